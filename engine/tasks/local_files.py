"""Files of this machine, or of what is mounted there: only in folders that the operator lets flows use."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from engine.plugin import Outputs, RunContext, TaskFailed
from engine.settings import Settings
from engine.tasks.name_patterns import fitting
from engine.tasks.remote_files import FolderFields
from engine.tasks.threads import in_own_thread, while_alive

R = TypeVar("R")
LocalFile = dict[str, Any]
WRITTEN = (Path(".env"), Path("parley.yaml"))  # where an operator writes settings, secrets among them
HALF = ".parley-"  # how the names of files begin that are not whole yet


async def reached(context: RunContext, work: Callable[["Reach"], R]) -> R:
    """What `work` makes of files, in a thread, as a disk of the network may be silent for long; TaskFailed for what the
    system refuses. Once the task is killed no further file is reached."""
    with while_alive() as alive:

        def act() -> R:
            with told():
                return work(Reach(context.settings, alive))

        return await in_own_thread(act)


class Reach:
    """Which files flows may use, as long as they are `alive`; what keeps this bot's own secrets is never among them."""

    def __init__(self, settings: Settings, alive: Callable[..., None]) -> None:
        self._alive = alive
        self._allowed = [folder.resolve() for folder in settings.local_files.allowed_paths]
        own = (settings.data, settings.secrets_dir, settings.audit.key_file, *WRITTEN)
        self._own = [path.resolve() for path in own if path is not None]

    def place(self, text: str, *, through: bool = True) -> Path:
        """Where a path or a `file://` URI leads, whatever links stand in between (`through`: if it is one itself, where
        that one leads); TaskFailed unless flows may use it."""
        given = text.strip()
        path = Path(unquote(urlsplit(given).path) if given.startswith("file:") else given)
        if not self._allowed:
            raise TaskFailed(
                "Flows may not use files of this machine.",
                fix="Whoever runs the bot lists the folders in `local_files.allowed_paths` of the settings.",
            )
        if not path.is_absolute() or "\0" in given:
            raise TaskFailed(f"{text!r} is no full path of a file.", fix="Write it from the root on: /data/in.")
        found = path.resolve() if through or path.name == ".." else path.parent.resolve() / path.name
        if not self.holds(found):
            raise TaskFailed(
                f"Flows may not use {path}.",
                fix="It must lie in a folder of `local_files.allowed_paths`; whoever runs the bot sets that.",
            )
        return found

    def holds(self, path: Path) -> bool:
        """Whether flows may use a path that leads through no link; TaskFailed once the task is killed."""
        self._alive()
        return any(path.is_relative_to(folder) for folder in self._allowed) and not any(
            path.is_relative_to(own) for own in self._own
        )

    def whole(self, text: str) -> Path:
        """The place of something that will be moved or removed, with all there is in it; TaskFailed."""
        found = self.place(text, through=False)
        if any(own.is_relative_to(found) for own in self._own) or found in self._allowed:
            raise TaskFailed(f"{found} is no folder that a flow may take away.", fix="Name what is in it.")
        return found


@contextmanager
def told() -> Iterator[None]:
    """What the system refuses, as TaskFailed."""
    try:
        yield
    except FileNotFoundError as error:
        raise TaskFailed(f"There is no {error.filename}.", fix="Check the path.") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise TaskFailed(
            f"{where}{error.strerror or error}.", fix="Check the path, and what the bot may do."
        ) from error


def about(path: Path) -> LocalFile:
    """What is known of a file or a folder, under the names of `fs.local` and of `fs.nfs`."""
    facts = path.lstat()
    made, changed, seen = (_moment(at) for at in (facts.st_ctime, facts.st_mtime, facts.st_atime))
    is_folder = S_ISDIR(facts.st_mode)
    return {
        "uri": path.as_uri(),
        "localPath": str(path),
        "name": path.name,
        "parent": str(path.parent),
        "size": facts.st_size,
        "isDirectory": is_folder,
        "directory": is_folder,
        "symbolicLink": S_ISLNK(facts.st_mode),
        "hidden": path.name.startswith("."),
        "createdDate": made,
        "creationTime": made,
        "modifiedDate": changed,
        "lastModifiedTime": changed,
        "accessedDate": seen,
        "lastAccessTime": seen,
    }


def version(path: Path) -> str | None:
    """What changes when the file does; None when it is gone."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return f"{facts.st_mtime_ns}_{facts.st_size}"


def listed(reach: Reach, fields: FolderFields, *, folders: bool = False) -> list[Path]:
    """The files of a folder, with `folders` these too, by path. Links that lead out of what flows may use are left
    out."""
    there = list(_below(reach.place(fields.from_), deep=fields.recursive))
    wanted = set(fitting([text for path in there for text in (path.name, str(path))], fields.reg_exp, "regExp"))
    return sorted(
        path
        for path in there
        if (path.name in wanted or str(path) in wanted)
        and (real := path.resolve())
        and reach.holds(real)
        and (real.is_file() or (folders and real.is_dir()))
    )


def _below(folder: Path, *, deep: bool) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if not entry.name.startswith(HALF):
                yield Path(entry.path)
            if deep and entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path), deep=True)


async def stored(context: RunContext, path: Path) -> tuple[str, int]:
    """The URI of a copy in internal storage, and its size; TaskFailed when it is no file that can be read."""
    with told():
        facts = await in_own_thread(path.stat)
        if not S_ISREG(facts.st_mode):
            raise TaskFailed(f"{path} is no file.", fix="Name a file; `Downloads` takes a folder.")
        uri = await context.files.put(path, path.name)
    context.metric("file.size", facts.st_size)
    return uri, facts.st_size


def copied(reach: Reach, source: Path, target: Path, *, overwrite: bool, keep_mode: bool = True) -> Path:
    """Where a copy of a file is now: whole at once, so that nobody reads half of it. Folders on the way are made."""
    target = _ready(reach, target, source.name, overwrite=overwrite)
    made = target.parent / f"{HALF}{token_hex(8)}"
    try:
        with source.open("rb") as content, made.open("xb") as copy:
            shutil.copyfileobj(content, copy)
        if keep_mode:
            shutil.copymode(source, made)
        made.replace(target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    return target


def copied_folder(reach: Reach, source: Path, target: Path, *, overwrite: bool) -> list[Path]:
    """The files that were there already and stay, unless they are to be written over. Links are left out."""
    left = []
    for path in [one for one in _below(source, deep=True) if S_ISREG(one.lstat().st_mode) and reach.holds(one)]:
        goal = reach.place(str(target / path.relative_to(source)), through=False)
        if not overwrite and goal.exists():
            left.append(goal)
        else:
            copied(reach, path, goal, overwrite=True)
    return left


def moved(reach: Reach, source: Path, target: Path, *, overwrite: bool) -> Path:
    """Where a file or a folder is now; folders on the way are made. As in Java's Files.move, what is there is replaced
    with `overwrite`, never moved into: TaskFailed for a folder that holds something."""
    target = reach.place(str(target), through=False)
    is_there, is_folder = target.exists() or target.is_symlink(), target.is_dir() and not target.is_symlink()
    if is_there and not overwrite:
        kind = "folder" if is_folder else "file"
        fix = "Set `overwrite: true`, or give another name; a `to` that ends in `/` is the folder to move into."
        raise TaskFailed(f"There is a {kind} {target} already.", fix=fix)
    if is_there and source.exists() and source.samefile(target):
        return target
    if is_folder:
        if any(target.iterdir()):
            fix = "Delete it before, or give another name; a `to` that ends in `/` is the folder to move into."
            raise TaskFailed(f"{target} is a folder that holds something, and is not replaced.", fix=fix)
        target.rmdir()
    elif is_there and source.is_dir():
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file() and not source.is_symlink():
        try:
            source.replace(target)  # at once, where both are on one disk
        except OSError:
            copied(reach, source, target, overwrite=True)
            source.unlink()
    else:
        shutil.move(source, target)
    return target


def _ready(reach: Reach, target: Path, name: str, *, overwrite: bool) -> Path:
    """The place of a file to write: in the folder, if the target is one; TaskFailed if that leads elsewhere."""
    target = reach.place(str(target / name), through=False) if target.is_dir() else target
    if not overwrite and (target.exists() or target.is_symlink()):
        raise TaskFailed(f"There is a file {target} already.", fix="Set `overwrite: true`, or give another name.")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


class Gone(Outputs):
    """Whether there was one."""

    uri: str
    deleted: bool


async def deleted(context: RunContext, text: str, *, must_exist: bool, recursive: bool | None = None) -> Gone:
    """What became of a file, or of a folder with all that is in it when it is `recursive`; TaskFailed for one that
    holds something else (None: the task can't be), and for none when one `must_exist`."""

    def remove(reach: Reach) -> Gone:
        path = reach.whole(text)
        is_there, is_folder = path.is_symlink() or path.exists(), path.is_dir() and not path.is_symlink()
        if is_folder and not recursive and any(path.iterdir()):
            fix = "Delete what is in it first." if recursive is None else "Set `recursive: true` to delete all in it."
            raise TaskFailed(f"The folder {path} is not empty.", fix=fix)
        if is_folder:
            shutil.rmtree(path)
        elif is_there:
            path.unlink()
        elif must_exist:
            raise TaskFailed(f"There is no file {path}.", fix="Set `errorOnMissing: false`.")
        return Gone(uri=path.as_uri(), deleted=is_there)

    return await reached(context, remove)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
