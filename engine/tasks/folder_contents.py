"""What lies below a folder that a flow names: one of a namespace's files, or one of the working directory."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from engine.plugin import RunContext, TaskFailed
from engine.tasks.runners import WORK
from engine.tasks.working_files import STORAGE, inside

NAMESPACE = "nsfile://"
FILES = "/_files"  # below a namespace's folder of internal storage


async def contents(context: RunContext, folder: str) -> Mapping[str, Path | None]:
    """Path below the folder → file, None for a folder; sorted, so that a folder stands before what it holds.

    `folder` is `nsfile:///reports` (`nsfile://other.namespace/reports`), the same as a URI of internal storage
    (`kestra:///company/team/_files/reports`), or a path in the working directory, whose links are left out.
    TaskFailed when it is none of these, or there is no such folder.
    """
    if folder.startswith(NAMESPACE):
        namespace, _, path = folder.removeprefix(NAMESPACE).partition("/")
        return await _of_namespace(context, namespace or context.namespace, path)
    if folder.startswith(STORAGE):
        owner, found, path = folder.removeprefix(STORAGE).partition(FILES)
        if found and not path.strip("/").startswith(".."):
            return await _of_namespace(context, owner.strip("/").replace("/", "."), path)
    if "://" in folder:
        raise TaskFailed(
            f"{folder} is no folder of a namespace.",
            fix="Name one as `nsfile:///reports`, or a folder of the working directory as `reports`.",
        )
    root = inside(context.working_dir, folder)
    if not root.is_dir():
        raise TaskFailed(f"There is no folder {folder} in the working directory.")
    return await asyncio.to_thread(_walked, root)


async def _of_namespace(context: RunContext, namespace: str, path: str) -> dict[str, Path | None]:
    prefix = f"{path.strip('/')}/" if path.strip("/") else ""
    files = await context.files.namespace_files(namespace)
    below: dict[str, Path | None] = {
        name.removeprefix(prefix): source for name, source in files.items() if name.startswith(prefix)
    }
    if not below:
        raise TaskFailed(f"The namespace {namespace} has no files below {path.strip('/') or '/'}.")
    folders = {parent.as_posix() for name in below for parent in PurePosixPath(name).parents}
    return dict(sorted({**dict.fromkeys(folders - {"."}), **below}.items()))


def _walked(root: Path) -> dict[str, Path | None]:
    found: dict[str, Path | None] = {}
    for at, folders, files in os.walk(root):
        here = Path(at)
        folders[:] = [name for name in folders if name != WORK and not (here / name).is_symlink()]
        found |= {(here / name).relative_to(root).as_posix(): None for name in folders}
        regular = [here / name for name in files if (here / name).is_file() and not (here / name).is_symlink()]
        found |= {path.relative_to(root).as_posix(): path for path in regular}
    return dict(sorted(found.items()))
