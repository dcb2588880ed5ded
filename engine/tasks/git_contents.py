"""What of a repository's folder belongs where: flows to namespaces and back, files in and out."""

import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.plugin import TaskFailed
from engine.tasks.runners import WORK
from engine.tasks.working_files import inside

NAMESPACE = re.compile(r"""^(namespace:[ \t]*)(?P<quote>["']?)(?P<name>[^\s"'#]+)(?P=quote)""", re.MULTILINE)
REVISION = re.compile(r"^revision:[ \t]*\d+[ \t]*\n?", re.MULTILINE)
SUFFIXES = (".yml", ".yaml")
MAX_FILE = 64 << 20  # no flow and no script is larger


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the repository: its path below the folder, and what it holds."""

    path: str
    content: bytes


def files_below(root: Path, directory: str) -> list[Found] | None:
    """Every file below a folder of a checkout; None when there is no such folder. Blocks."""
    folder = inside(root, directory)
    if not folder.is_dir():
        return None
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(root).parts
        if parts[0] == ".git" or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size > MAX_FILE:
            raise TaskFailed(f"{path.relative_to(root)} is larger than {MAX_FILE} bytes.", fix="Keep it elsewhere.")
        found.append(Found(path.relative_to(folder).as_posix(), path.read_bytes()))
    return found


def write_below(root: Path, directory: str, files: Mapping[str, bytes]) -> None:
    """Write files below a folder of a checkout, over what was there. Blocks."""
    folder = inside(root, directory)
    for name, content in files.items():
        path = inside(folder, name)
        if path.relative_to(root).parts[0] == ".git":
            raise TaskFailed(f"{name!r} is git's own.", fix="Choose another `gitDirectory`.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            where = f"{path.relative_to(root)} of the repository"
            raise TaskFailed(f"{where} cannot be written: {error.strerror}.", fix="Correct `gitDirectory`.") from error


def drop_below(root: Path, directory: str, keep: Collection[str], meant: Callable[[str], bool]) -> None:
    """Remove files below a folder of a checkout that are `meant` and not to be kept. Blocks."""
    for found in files_below(root, directory) or []:
        if found.path not in keep and meant(found.path):
            (inside(root, directory) / found.path).unlink()


def overlay(root: Path, source: Path, *, mirror: bool) -> None:
    """Copy a folder's files over a checkout; with `mirror`, what the folder lacks goes from the checkout. Blocks."""
    home, names = source.resolve(), set[str]()
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if relative.parts[0] == WORK or ".git" in relative.parts or not path.is_file():
            continue
        if not path.resolve().is_relative_to(home):
            continue  # a link that leads out
        target = inside(root, relative.as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        names.add(relative.as_posix())
    if mirror:
        drop_below(root, ".", names, lambda path: True)


def is_flow(path: str, *, below: bool) -> bool:
    """Whether a file is a flow to sync: YAML, and in a folder of its own only when child namespaces are meant."""
    return path.endswith(SUFFIXES) and (below or "/" not in path)


def namespace_of(path: str, target: str) -> str:
    """The namespace of a flow by the folder its file is in: `marketing/crm/x.yml` is `<target>.marketing.crm`."""
    return ".".join((target, *PurePosixPath(path).parent.parts))


def with_namespace(source: str, namespace: str) -> str:
    """A flow's text in another namespace, all else as it is written."""
    return NAMESPACE.sub(lambda found: found[1] + namespace, source, count=1).rstrip() + "\n"


def declared_namespace(source: str) -> str | None:
    """The namespace a flow's text names in a line of its own."""
    found = NAMESPACE.search(source)
    return found["name"] if found else None


def pushed_path(namespace: str, flow_id: str, source_namespace: str) -> str:
    """Where a flow lies in the repository, below its folder."""
    below = namespace.removeprefix(source_namespace).removeprefix(".")
    return "/".join((*filter(None, below.split(".")), f"{flow_id}.yml"))


def pushed_source(source: str, namespace: str, source_namespace: str, target: str | None) -> str:
    """A flow's text for the repository: without its revision, in the namespace it is meant for."""
    text = REVISION.sub("", source)
    if target is None or target == source_namespace:
        return text.rstrip() + "\n"
    return with_namespace(text, target + namespace.removeprefix(source_namespace))
