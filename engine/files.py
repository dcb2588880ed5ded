"""Internal storage: files of executions and of namespaces, under `kestra:///…` URIs.

`kestra:///<namespace>/<flow>/executions/<id>/tasks/<task>/<task run>/<name>` with the namespace's dots as folders, and
`kestra:///<namespace>/_files/<path>` for files that belong to a namespace. A URI from outside reaches only what a
`Scope` allows.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from engine.errors import NotFound, Refused

SCHEME = "kestra://"
NAMESPACE_FILE = "nsfile://"
NAMESPACE_FOLDER = "_files"
MAX_NAME = 255  # bytes of a file's name, of which file systems take no more


def slug(text: str) -> str:
    """Lower case with single dashes, as Kestra writes flows and tasks in URIs."""
    dashed = re.sub(r"[\s_]+", "-", text)
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w-]", "", dashed)).strip("-").lower()


def execution_folder(namespace: str, flow_id: str, execution_id: str) -> str:
    """Where everything of an execution lies."""
    return f"{namespace.replace('.', '/')}/{slug(flow_id)}/executions/{execution_id}"


def task_folder(namespace: str, flow_id: str, execution_id: str, task_id: str, task_run_id: str) -> str:
    """Where a task run's files lie."""
    return f"{execution_folder(namespace, flow_id, execution_id)}/tasks/{slug(task_id)}/{task_run_id}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Who reads: files of the own namespace, the own execution, its callers and what it called are open to it."""

    namespace: str
    execution_id: str = ""
    callers: frozenset[str] = frozenset()
    is_called: Callable[[str], bool] = field(default=lambda execution_id: False)

    def allows(self, parts: Sequence[str]) -> bool:
        """Whether the path of a URI, cut at its slashes, may be read."""
        if NAMESPACE_FOLDER in parts:
            return ".".join(parts[: parts.index(NAMESPACE_FOLDER)]) == self.namespace
        if "trigger" in parts[2:-2] and ".".join(parts[: parts.index("trigger", 2) - 1]) == self.namespace:
            return True  # what a polling trigger found and stored
        if "executions" not in parts[2:]:
            return False
        at = parts.index("executions", 2)
        namespace, execution = ".".join(parts[: at - 1]), parts[at + 1] if len(parts) > at + 1 else ""
        if namespace == self.namespace or (self.execution_id and execution == self.execution_id):
            return True
        return execution in self.callers or self.is_called(execution)


class FileStore:
    """The folder in which internal storage lies."""

    is_remote = False  # whether files have to be fetched before they can be read

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, folder: str, source: Path | bytes, name: str) -> str:
        """Copy into a folder of storage; the URI. A name that is taken gets a number."""
        target = self._inside(PurePosixPath(folder))
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        clean = re.sub(r"[^\w.@+=-]", "_", PurePosixPath(name.replace("\\", "/")).name).lstrip(".") or "file"
        handle, written = tempfile.mkstemp(dir=target, prefix=".put-")
        try:
            with os.fdopen(handle, "wb") as stream:
                if isinstance(source, bytes):
                    stream.write(source)
                else:
                    with source.open("rb") as content:
                        shutil.copyfileobj(content, stream, 1 << 20)
            path = _claim(Path(written), target, _cut(clean))
        finally:
            Path(written).unlink(missing_ok=True)
        return f"{SCHEME}/{path.relative_to(self.root).as_posix()}"

    def path(self, uri: str, scope: Scope | None = None) -> Path:
        """The local file of a URI (or of a namespace file's path); NotFound, Refused when out of scope."""
        parts = self.parts(uri, scope)
        if scope is not None and not scope.allows(parts):
            raise Refused(
                f"{uri} belongs to another execution.",
                fix="A flow reads its own files, those of its namespace and of flows it called or was called by.",
            )
        path = self._inside(PurePosixPath(*parts))
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a name is too long
            raise NotFound(f"There is no file {uri}.", fix="It may have been purged, or never been written.")
        return path

    def fetch(self, text: str) -> None:
        """Have the files that a text names nearby; they are."""

    def parts(self, uri: str, scope: Scope | None = None) -> tuple[str, ...]:
        """The path of a URI, cut at its slashes; Refused when it is none or leaves the storage."""
        if uri.startswith(SCHEME):
            text = uri.removeprefix(SCHEME)
        elif scope is not None and (uri.startswith(NAMESPACE_FILE) or "://" not in uri):
            text = (
                f"{scope.namespace.replace('.', '/')}/{NAMESPACE_FOLDER}/{uri.removeprefix(NAMESPACE_FILE).lstrip('/')}"
            )
        else:
            raise Refused(f"{uri} is not a file of internal storage.", fix="Such files begin with `kestra:///`.")
        for candidate in (text, unquote(text)):
            parts = PurePosixPath(candidate.lstrip("/")).parts
            if not parts or ".." in parts or "\0" in candidate or "\\" in candidate:
                raise Refused(f"{uri} is not a path inside internal storage.", fix="Leave out `..`.")
        return PurePosixPath(text.lstrip("/")).parts

    def delete(self, uri: str, scope: Scope | None = None) -> None:
        """Remove a file; NotFound, Refused."""
        self.path(uri, scope).unlink()

    def delete_execution(self, namespace: str, flow_id: str, execution_id: str) -> int:
        """Remove every file of an execution; how many there were."""
        folder = self._inside(PurePosixPath(execution_folder(namespace, flow_id, execution_id)))
        if not folder.is_dir():
            return 0
        count = sum(1 for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
        return count

    def execution_files(self, namespace: str, flow_id: str, execution_id: str) -> list[str]:
        """URIs of every file of an execution."""
        folder = self._inside(PurePosixPath(execution_folder(namespace, flow_id, execution_id)))
        found = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        return [f"{SCHEME}/{path.relative_to(self.root).as_posix()}" for path in found]

    def namespace_folder(self, namespace: str) -> Path:
        """The folder of a namespace's own files."""
        return self._inside(PurePosixPath(*namespace.split("."), NAMESPACE_FOLDER))

    def put_namespace_file(self, namespace: str, path: str, source: Path | bytes) -> str:
        """Write a namespace file over what was there; its URI."""
        parts = self.parts(path, Scope(namespace))
        if any(len(part.encode("utf-8", "replace")) > MAX_NAME for part in parts):
            raise Refused(f"No file can have the name {path[:80]!r}\u2026", fix=f"Use at most {MAX_NAME} bytes.")
        target = self._inside(PurePosixPath(*parts))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, written = tempfile.mkstemp(dir=target.parent, prefix=".put-")
        os.close(handle)
        if isinstance(source, bytes):
            Path(written).write_bytes(source)
        else:
            shutil.copyfile(source, written)
        Path(written).replace(target)
        return f"{SCHEME}/{PurePosixPath(*parts)}"

    def delete_namespace_file(self, namespace: str, path: str, *, tidy: bool = False) -> bool:
        """Whether there was such a file of a namespace; with `tidy` folders left empty go too. Refused."""
        target = self._inside(PurePosixPath(*self.parts(path, Scope(namespace))))
        if not target.is_file():
            return False
        target.unlink()
        folder = target.parent
        while tidy and folder != self.namespace_folder(namespace) and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
        return True

    def namespace_files(self, namespace: str) -> Iterator[tuple[str, Path]]:
        """(path, local file) of every file of a namespace."""
        folder = self.namespace_folder(namespace)
        if folder.is_dir():
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.startswith(".put-"):
                    yield path.relative_to(folder).as_posix(), path

    def namespaces(self) -> list[str]:
        """Namespaces that have files of their own."""
        folders = sorted(path.parent for path in self.root.rglob(NAMESPACE_FOLDER) if path.is_dir())
        names = (".".join(folder.relative_to(self.root).parts) for folder in folders)
        return [name for name in names if any(True for _ in self.namespace_files(name))]

    def executions(self) -> Iterator[tuple[tuple[str, str, str], Path]]:
        """((namespace, flow's slug, execution), folder) of every execution that has files."""
        for folder in sorted(self.root.rglob("executions/*")):
            *namespace, flow, marker, execution = folder.relative_to(self.root).parts
            if folder.is_dir() and namespace and marker == "executions" and NAMESPACE_FOLDER not in namespace:
                yield (".".join(namespace), flow, execution), folder

    def _inside(self, relative: PurePosixPath) -> Path:
        path = self.root / relative
        if relative.is_absolute() or not path.resolve().is_relative_to(self.root.resolve()):
            raise Refused(f"{relative} leads out of internal storage.", fix="Leave out `..` and links.")
        return path


def _cut(name: str) -> str:
    """A name that leaves room for a number; what it ends with stays."""
    if len(name.encode("utf-8", "replace")) <= MAX_NAME - 20:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = f"{dot}{suffix}" if stem and len(suffix.encode("utf-8", "replace")) <= 20 else ""
    room = MAX_NAME - 20 - len(ending.encode("utf-8", "replace"))
    return name.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + ending


def _claim(written: Path, folder: Path, name: str) -> Path:
    """Give a written file its name; the first that is free of name, name-1, name-2 …"""
    stem, dot, suffix = name.partition(".")
    for number in range(100_000):
        path = folder / (f"{stem}-{number}{dot}{suffix}" if number else name)
        try:
            os.link(written, path)  # fails when the name is taken, also by another thread this instant
        except FileExistsError:
            continue
        return path
    raise Refused(f"There are too many files called {name} in one task run.", fix="Give them different names.")
