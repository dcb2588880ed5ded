"""What the branches of repositories held when a task last saw them: kept beside the database, so that people can be
shown what a push or a sync would change although nobody may call the repository for that.

A copy belongs to a namespace: a flow of another one, without the password, learns nothing from it.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from engine.plugin import Content, Settings
from engine.tasks.git_contents import MAX_FILE

if TYPE_CHECKING:
    from git import Repo

MAX_FILES = 5_000
MAX_BYTES = 32 << 20  # of what a branch holds; a larger one is not kept
MAX_COPIES = 200
INDEX = "index"
TEXTS = "text/"


@dataclass(frozen=True, slots=True)
class BranchCopy:
    """A branch as it was at a commit: path → what the file held."""

    commit: str
    seen: datetime
    files: dict[str, Content]

    @classmethod
    def find(cls, settings: Settings, namespace: str, url: str, branch: str) -> Self | None:
        """What a task of the namespace saw last; None when none did. Blocks."""
        place = _place(settings, namespace, url, branch)
        try:
            with zipfile.ZipFile(place) as kept:
                index = json.loads(kept.read(INDEX))
                files = {
                    path: Content(size, digest, kept.read(TEXTS + path).decode("utf-8") if is_text else None)
                    for path, (size, digest, is_text) in index["files"].items()
                }
            return cls(index["commit"], datetime.fromtimestamp(place.stat().st_mtime, UTC), files)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None  # there is none, or it is being thrown away

    def below(self, directory: str) -> dict[str, Content]:
        """The files below a folder, by their path there."""
        parts = [part for part in directory.split("/") if part not in ("", ".")]
        prefix = "".join(f"{part}/" for part in parts)
        return {path.removeprefix(prefix): held for path, held in self.files.items() if path.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps what a task of a namespace sees of a repository."""

    settings: Settings
    namespace: str
    url: str

    def keep(self, repository: "Repo", branch: str, asked: str | None) -> None:
        """Remember what the checkout of a branch, `asked` for by its name or as the default one, holds. Blocks."""
        commit, listed = str(repository.git.rev_parse("HEAD")), repository.git.ls_files("-z")
        names = [name for name in listed.split("\0") if name]
        for called in {branch, asked or ""}:
            _keep(_place(self.settings, self.namespace, self.url, called), commit, Path(repository.working_dir), names)


def _keep(place: Path, commit: str, folder: Path, names: Sequence[str]) -> None:
    try:
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), zipfile.ZipFile(place) as kept:
            if json.loads(kept.read(INDEX))["commit"] == commit:
                os.utime(place)
                return
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, written = tempfile.mkstemp(dir=place.parent, prefix=".copy-")
        os.close(handle)
        try:
            if _write(Path(written), commit, folder, names):
                Path(written).replace(place)
            else:
                place.unlink(missing_ok=True)
        finally:
            Path(written).unlink(missing_ok=True)
        for old in sorted(place.parent.glob("*.zip"), key=_age)[:-MAX_COPIES]:
            old.unlink(missing_ok=True)
    except OSError:
        return  # a disk that takes no copy must not fail a push


def _write(target: Path, commit: str, folder: Path, names: Sequence[str]) -> bool:
    if len(names) > MAX_FILES:
        return False
    files: dict[str, tuple[int, str, bool]] = {}
    left = MAX_BYTES
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as kept:
        for name in filter(_is_plain, names):
            path = folder / name
            if path.is_symlink() or not path.is_file():  # a submodule, or a link of a clone
                continue
            size = path.stat().st_size
            left -= size
            if left < 0 or size > MAX_FILE:
                return False
            content = Content.read(path)
            if content is None:
                continue
            files[name] = (content.size, content.digest, content.text is not None)
            if content.text is not None:
                kept.writestr(TEXTS + name, content.text.encode())
        kept.writestr(INDEX, json.dumps({"commit": commit, "files": files}))
    return True


def _is_plain(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _place(settings: Settings, namespace: str, url: str, branch: str) -> Path:
    name = hashlib.sha256("\0".join((namespace, url, branch)).encode("utf-8", "replace")).hexdigest()[:40]
    return settings.data / "branches" / f"{name}.zip"
