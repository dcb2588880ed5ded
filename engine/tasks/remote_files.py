"""Files on other machines: listed, fetched, put and moved through a client of SFTP, or one with its acts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.name_patterns import fitting
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import own_file

MOST_DEEP = 32  # folders inside of folders
RemoteFile = dict[str, Any]


class FolderFields(Part):
    """Which files are meant."""

    from_: Property[Text] = Field(alias="from")
    reg_exp: Property[OptionalText] = None
    recursive: Property[bool] = False


class ListFields(FolderFields):
    """Which files are meant, and how many at most."""

    max_files: Property[int] = Field(default=25, ge=1, description="Of a download; a longer list is cut.")


class ActionFields(ListFields):
    """What becomes of files once they are taken."""

    action: Property[Literal["MOVE", "DELETE", "NONE"] | None] = None
    move_directory: Property[OptionalText] = None


class Files(Outputs):
    """The files; those that were downloaded with the URI of their content as `path`."""

    files: list[RemoteFile]
    outputFiles: dict[str, StoredUri] | None = None  # noqa: N815 - appears as written


async def listed(sftp: Any, fields: ListFields, folder: str) -> list[RemoteFile]:
    """What is in a folder, by name; TaskFailed when the pattern is none."""
    there = [one async for one in _below(sftp, folder, deep=fields.recursive)]
    ways = {str(one["path"]): f"/{str(one['path']).removeprefix('./').lstrip('/')}" for one in there}
    wanted = set(await asyncio.to_thread(fitting, [*ways, *ways.values()], fields.reg_exp, "regExp"))
    return [one for one in there if one["path"] in wanted or ways[one["path"]] in wanted]


async def _below(sftp: Any, folder: str, *, deep: bool, depth: int = 0) -> AsyncIterator[RemoteFile]:
    for entry in sorted(await sftp.readdir(folder), key=lambda one: str(one.filename)):
        if entry.filename in (".", ".."):
            continue
        path = f"{folder.rstrip('/')}/{entry.filename}"
        is_folder = entry.attrs.type == 2
        moment = datetime.fromtimestamp(entry.attrs.mtime or 0, UTC).isoformat()
        about = {"name": entry.filename, "serverPath": path, "path": path, "size": entry.attrs.size or 0}
        yield {**about, "fileType": "FOLDER" if is_folder else "FILE", "updatedDate": moment}
        if is_folder and deep and depth < MOST_DEEP:
            async for one in _below(sftp, path, deep=True, depth=depth + 1):
                yield one


async def taken(sftp: Any, context: RunContext, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files with the URIs of their contents in internal storage."""
    path, done = own_file(context, "remote"), []
    for one in files:
        name = PurePosixPath(one["serverPath"]).name
        await sftp.get(one["serverPath"], str(path))
        context.metric("file.size", path.stat().st_size)
        done.append({**one, "name": name, "path": await context.files.put(path, name or "file")})
        path.unlink()
    return done


async def put(sftp: Any, context: RunContext, uri: str, target: str, *, overwrite: bool) -> str:
    """Where a file of internal storage was put; folders on the way are made."""
    if target.endswith("/"):
        target += PurePosixPath(uri).name
    await _ready(sftp, target, overwrite=overwrite)
    path = context.files.path(uri)
    await sftp.put(str(path), target)
    context.metric("file.size", path.stat().st_size)
    return target


async def moved(sftp: Any, source: str, target: str, *, overwrite: bool) -> None:
    """Move a file; folders on the way are made. One that would be moved onto itself stays."""
    await _ready(sftp, target, overwrite=overwrite)
    if PurePosixPath(source) == PurePosixPath(target):
        return
    if overwrite and await sftp.exists(target):
        await sftp.remove(target)
    await sftp.rename(source, target)


async def _ready(sftp: Any, target: str, *, overwrite: bool) -> None:
    if not overwrite and await sftp.exists(target):
        raise TaskFailed(f"There is a file {target} already.", fix="Set `overwrite: true`, or give another name.")
    parent = str(PurePosixPath(target).parent)
    if parent not in ("", ".", "/"):
        await sftp.makedirs(parent, exist_ok=True)
