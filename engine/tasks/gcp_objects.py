"""Objects of Google Cloud Storage over its JSON API: found, fetched, put, copied, deleted."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.arrivals import Arrivals, away, chosen, placed, unheard
from engine.tasks.gcp_service import GcpConnected
from engine.tasks.name_patterns import fitting
from engine.tasks.outbound import send
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import WORK

BLOCK = 1 << 20

Place = tuple[str, str]
Blob = dict[str, Any]


class GcsConnected(GcpConnected):
    """A task of Cloud Storage."""

    api: ClassVar[str] = "gcs"
    public_url: ClassVar[str] = "https://storage.googleapis.com/storage/v1"


class ListFields(GcsConnected):
    """Which objects are meant."""

    from_: Property[Text] = Field(alias="from")
    listing_type: Property[Literal["RECURSIVE", "DIRECTORY"]] = "DIRECTORY"
    reg_exp: Property[OptionalText] = None
    all_versions: Property[bool | None] = None
    max_files: Property[int] = Field(default=25, ge=1, description="Of a download; a longer list is cut.")


class ActionFields(ListFields):
    """What becomes of objects once they are taken."""

    action: Property[Literal["MOVE", "DELETE", "NONE"] | None] = None
    move_directory: Property[OptionalText] = None


class Blobs(Outputs):
    """The objects; those that were downloaded with the URI of their file."""

    blobs: list[Blob]
    outputFiles: dict[str, StoredUri] | None = None  # noqa: N815 - appears as written


def place_of(uri: str, name: str, *, named: bool = False) -> Place:
    """Bucket and object of `gs://bucket/object`; TaskFailed when it is none."""
    found = re.fullmatch(r"gs://([^/]+)(?:/(.*))?", uri.strip(), re.DOTALL)
    if found is None or (named and not found[2]):
        wanted = "gs://bucket/object" if named else "gs://bucket/folder/"
        raise TaskFailed(f"`{name}` {uri!r} is no place in Cloud Storage.", fix=f"Write it as {wanted}.")
    return found[1], found[2] or ""


async def listing(fields: ListFields, context: RunContext, kind: str) -> list[Blob]:
    """The objects that are meant."""
    bucket, prefix = place_of(fields.from_, "from")
    params = {"prefix": prefix, "maxResults": "1000"}
    if fields.listing_type == "DIRECTORY":
        params |= {"delimiter": "/", "includeTrailingDelimiter": "true"}
    if fields.all_versions:
        params["versions"] = "true"
    pages = await fields.pages(context, f"b/{bucket}/o", params)
    items = [blob_of(item) for page in pages for item in rest_service.listed(page, "Google Cloud", "items")]
    folders = [
        {"bucket": bucket, "name": name, "uri": f"gs://{bucket}/{name}", "size": 0, "directory": True}
        for page in pages
        for name in page.get("prefixes", ())
    ]
    found = {one["name"] if not fields.all_versions else (one["name"], one.get("generation")): one for one in items}
    found |= {one["name"]: one for one in folders if one["name"] not in found}
    wanted = [one for one in found.values() if _is(one, kind)]
    fits = set(await asyncio.to_thread(fitting, [one["uri"] for one in wanted], fields.reg_exp, "regExp"))
    return [one for one in wanted if one["uri"] in fits]


def blob_of(item: Mapping[str, Any]) -> Blob:
    """What a flow sees of an object."""
    bucket, name = (rest_service.held(item, "Google Cloud", part) for part in ("bucket", "name"))
    return {
        "bucket": bucket,
        "name": name,
        "uri": f"gs://{bucket}/{name}",
        "size": int(item.get("size", 0)),
        "directory": name.endswith("/"),
        "contentType": item.get("contentType"),
        "contentEncoding": item.get("contentEncoding"),
        "md5": item.get("md5Hash"),
        "etag": item.get("etag"),
        "generation": item.get("generation"),
        "createTime": item.get("timeCreated"),
        "updateTime": item.get("updated"),
        "metadata": item.get("metadata"),
    }


async def taken(fields: ActionFields, context: RunContext, arrivals: Arrivals | None = None) -> Blobs:
    """Download what is listed, with `arrivals` what is news of it, then do what is to be done with it."""
    goal = None
    if fields.action == "MOVE":
        if not fields.move_directory:
            raise TaskFailed("It is not said where to move the objects.", fix="Give `moveDirectory`.")
        goal = place_of(fields.move_directory, "moveDirectory")
    there = await listing(fields, context, "FILES")
    if found := unheard(arrivals, there, name="uri", version=_version):
        return _taken(found)
    listed = chosen(context, there, fields.max_files, arrivals, kind="objects", name="uri", version=_version)
    found = [{**one, "uri": await download(fields, context, one["bucket"], one["name"])} for one in listed]

    async def act(gone: list[Blob]) -> None:
        for one in found:
            source, target = (one["bucket"], one["name"]), None
            if goal is not None:
                target = (goal[0], f"{goal[1].rstrip('/')}/{PurePosixPath(one['name']).name}".lstrip("/"))
            if target != source:
                if target is not None:
                    await rewrite(fields, context, source, target)
                await delete_object(fields, context, *source)
            gone.append(one)

    if fields.action in ("MOVE", "DELETE") and found:
        found = await away(context, found, act, arrivals, placed(listed, "uri", _version))
    context.metric("size", len(found))
    return _taken(found)


def _taken(found: list[Blob]) -> Blobs:
    return Blobs(blobs=found, outputFiles={one["name"]: one["uri"] for one in found})


def _version(blob: Blob) -> str:
    return f"{blob['generation']}_{blob['updateTime']}"


async def download(gcs: GcsConnected, context: RunContext, bucket: str, name: str) -> str:
    """The URI of an object's file in internal storage."""
    folder = context.working_dir / WORK / f"gcs-{context.task_run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "object"
    url, headers = f"{gcs.at(context)}/{object_path(bucket, name)}", await gcs.headers(context)
    place, params = f"gs://{bucket}/{name}", {"alt": "media"}
    await rest_service.downloaded(context, "Google Cloud", url, path, of=place, headers=headers, params=params)
    context.metric("file.size", path.stat().st_size)
    uri = await context.files.put(path, PurePosixPath(name).name or "object")
    path.unlink()
    return uri


async def upload(
    gcs: GcpConnected, context: RunContext, path: Path, bucket: str, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Put a file into a bucket."""
    base = gcs.at(context).replace("/storage/v1", "/upload/storage/v1")
    return await resumable(gcs, context, f"{base}/b/{bucket}/o", path, about)


async def resumable(
    gcp: GcpConnected, context: RunContext, url: str, path: Path, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Send a file in two steps: what it is, then its bytes to the address that is answered."""
    size = await asyncio.to_thread(os.path.getsize, path)
    kind = str(about.get("contentType") or "application/octet-stream")
    headers = {**await gcp.headers(context), "X-Upload-Content-Type": kind, "X-Upload-Content-Length": str(size)}
    params = {"uploadType": "resumable"}
    begun = await rest_service.call(
        context, "Google Cloud", "POST", url, headers=headers, params=params, json=dict(about)
    )
    address = begun.headers.get("location")
    if not address:
        raise TaskFailed("Google Cloud named no address for the upload.")
    sending = {**await gcp.headers(context), "Content-Type": kind, "Content-Length": str(size)}
    answer = await send(
        context, "PUT", address, headers=sending, content=_blocks(path)
    )  # once: the bytes are gone then
    found = rest_service.parsed(rest_service.accepted(answer, "Google Cloud"), "Google Cloud")
    return rest_service.mapped(found, "Google Cloud")


async def rewrite(gcs: GcsConnected, context: RunContext, source: Place, target: Place) -> None:
    """Copy an object, over as many calls as Google wants."""
    path = f"{object_path(*source)}/rewriteTo/{object_path(*target)}"
    params: dict[str, str] = {}
    while True:
        answer = await gcs.gcp(context, "POST", path, params=params, json={})
        if answer.get("done"):
            return
        params = {"rewriteToken": str(rest_service.held(answer, "Google Cloud", "rewriteToken"))}


async def delete_object(gcs: GcsConnected, context: RunContext, bucket: str, name: str) -> bool:
    """Whether there was one."""
    try:
        await gcs.gcp(context, "DELETE", object_path(bucket, name))
    except TaskFailed as error:
        if " answered 404:" not in error.message:
            raise
        return False
    return True


def object_path(bucket: str, name: str) -> str:
    """The path of an object in the API."""
    return f"b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _is(blob: Blob, kind: str) -> bool:
    return kind == "BOTH" or blob["directory"] == (kind == "DIRECTORY")
