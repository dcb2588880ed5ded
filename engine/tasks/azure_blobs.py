"""Azure's Blob Storage: who asks, and objects found, fetched, moved and deleted."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.arrivals import Arrivals, away, chosen, cut, placed, unheard
from engine.tasks.checksums import KeptChecksum
from engine.tasks.entra import credential_of
from engine.tasks.extras import extra
from engine.tasks.name_patterns import fitting
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import WORK
from engine.tasks.threads import in_own_thread, while_alive

R = TypeVar("R")
Blob = dict[str, Any]
PATIENCE = 60  # seconds between two bytes
ADDRESS = re.compile(r"(?:BlobEndpoint=([^;]+))")


class BlobConnected(Part):
    """Which storage account, and who asks."""

    endpoint: Property[OptionalText] = None
    connection_string: Property[OptionalText] = None
    shared_key_account_name: Property[OptionalText] = None
    shared_key_account_access_key: Property[OptionalText] = None
    sas_token: Property[OptionalText] = None
    tenant_id: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    pem_certificate: Property[OptionalText] = None

    async def azure(self, context: RunContext, work: Callable[[Any], R]) -> R:
        """What `work` does with a client, in a thread; TaskFailed when Azure refuses. Nothing more is asked of it once
        the task is killed."""
        blob = extra("azure.storage.blob", "azure")
        for secret in (
            self.connection_string,
            self.shared_key_account_access_key,
            self.sas_token,
            self.client_secret,
            self.pem_certificate,
        ):
            if secret:
                context.mask(secret)
        address = self.endpoint
        if self.connection_string and (found := ADDRESS.search(self.connection_string)):
            address = found[1]
        if address:
            await check_address(address, context.settings)

        with while_alive() as alive:

            def run() -> R:
                with explained(), self._client(blob, alive) as client:
                    return work(client)

            return await in_own_thread(run)

    def _client(self, blob: Any, before: Callable[..., None]) -> Any:
        options: dict[str, Any] = {"retry_total": 2, "connection_timeout": PATIENCE, "read_timeout": PATIENCE}
        options["raw_request_hook"] = before
        if self.connection_string:
            try:
                return blob.BlobServiceClient.from_connection_string(self.connection_string, **options)
            except ValueError as error:
                raise TaskFailed(f"`connectionString` is none: {error}", fix="Copy it from `Access keys`.") from error
        if not self.endpoint:
            raise TaskFailed("It is not said which storage account.", fix="Give `endpoint` or `connectionString`.")
        credential: Any = self.sas_token
        if self.shared_key_account_name and self.shared_key_account_access_key:
            credential = {
                "account_name": self.shared_key_account_name,
                "account_key": self.shared_key_account_access_key,
            }
        elif app := credential_of(self.tenant_id, self.client_id, self.client_secret, self.pem_certificate):
            credential = app
        if credential is None:
            raise TaskFailed(
                "It is not said who asks.",
                fix="Give `connectionString`, `sasToken`, a shared key or a client's secret.",
            )
        return blob.BlobServiceClient(self.endpoint, credential=credential, **options)


@contextmanager
def explained() -> Iterator[None]:
    """What the library raises leaves as TaskFailed."""
    errors = extra("azure.core.exceptions", "azure")
    try:
        yield
    except errors.HttpResponseError as error:
        code = getattr(error, "error_code", None) or error.status_code
        code = getattr(code, "value", code)
        fix = "Check the credentials." if error.status_code in (401, 403) else "Check the names in the task."
        raise TaskFailed(f"Azure answered {code}: {str(error.message).splitlines()[0]}", fix=fix) from error
    except errors.AzureError as error:
        raise TaskFailed(f"Azure could not be reached: {error}", fix="Check `endpoint` and the network.") from error
    except ValueError as error:
        raise TaskFailed(f"Azure's library refuses: {error}", fix="Check `endpoint` and the credentials.") from error


class ListFields(BlobConnected):
    """Which blobs are meant."""

    container: Property[Text]
    prefix: Property[OptionalText] = None
    regexp: Property[OptionalText] = None
    delimiter: Property[OptionalText] = None
    filter: Property[Literal["FILES", "DIRECTORY", "BOTH"]] = "FILES"
    max_files: Property[int] = Field(default=25, ge=1, description="A longer list is cut.")


class Place(Part):
    """A blob."""

    container: Property[Text]
    name: Property[OptionalText] = None


class ActionFields(ListFields):
    """What becomes of blobs once they are taken."""

    action: Property[Literal["MOVE", "DELETE", "NONE"] | None] = None
    move_to: Place | None = None


class Blobs(Outputs):
    """The blobs; those that were downloaded with the URI of their file."""

    blobs: list[Blob]
    outputFiles: dict[str, StoredUri] | None = None  # noqa: N815 - appears as written


def found_in(client: Any, fields: ListFields) -> list[Blob]:
    """The blobs that are meant."""
    container = client.get_container_client(fields.container)
    if fields.delimiter:
        items = container.walk_blobs(name_starts_with=fields.prefix, delimiter=fields.delimiter)
    else:
        items = container.list_blobs(name_starts_with=fields.prefix)
    found = []
    for item in items:
        folder = item.name.endswith("/") or item.get("prefix") is not None
        if (fields.filter == "FILES" and folder) or (fields.filter == "DIRECTORY" and not folder):
            continue
        blob = blob_of(fields.container, item.name, getattr(item, "size", 0))
        found.append({**blob, "etag": getattr(item, "etag", None)})
    wanted = set(fitting([str(blob["name"]) for blob in found], fields.regexp, "regexp"))
    return sorted((blob for blob in found if blob["name"] in wanted), key=lambda blob: str(blob["name"]))


def blob_of(container: str, name: str, size: int | None) -> Blob:
    """What a flow sees of a blob."""
    return {"container": container, "name": name, "size": size or 0, "uri": None}


async def listing(fields: ListFields, context: RunContext) -> list[Blob]:
    """The blobs that are meant, `maxFiles` at most; a longer list is cut with a word about it."""
    return list(cut(context, await _there(fields, context), fields.max_files, "blobs"))


async def _there(fields: ListFields, context: RunContext) -> list[Blob]:
    """The blobs that are meant, all of them."""
    return await fields.azure(context, lambda client: found_in(client, fields))


async def fetched(
    azure: BlobConnected, context: RunContext, container: str, name: str, checksum: KeptChecksum | None = None
) -> Blob:
    """A blob with the URI of its file in internal storage; TaskFailed when `checksum` says that it is another."""
    folder = context.working_dir / WORK / f"azure-{context.task_run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "blob"

    def work(client: Any) -> bytes | None:
        blob = client.get_blob_client(container, name)
        _downloaded(blob, path)
        if checksum is None or not checksum.validate_checksum:
            return None
        kept = blob.get_blob_properties().content_settings.content_md5
        return bytes(kept) if kept else None

    kept = await azure.azure(context, work)
    if checksum is not None:
        await checksum.checked(context, path, name, kept)
    size = path.stat().st_size
    context.metric("file.size", size)
    uri = await context.files.put(path, PurePosixPath(name).name or "blob")
    path.unlink()
    return {**blob_of(container, name, size), "uri": uri}


async def taken(fields: ActionFields, context: RunContext, arrivals: Arrivals | None = None) -> Blobs:
    """Download what is listed, with `arrivals` what is news of it, then do what is to be done with it."""
    if fields.action == "MOVE" and fields.move_to is None:
        raise TaskFailed("It is not said where to move the blobs.", fix="Give `moveTo`.")
    files = [one for one in await _there(fields, context) if not one["name"].endswith("/")]
    if done := unheard(arrivals, files, name="name", version=_version):
        return _taken(done)
    listed = chosen(context, files, fields.max_files, arrivals, kind="blobs", name="name", version=_version)
    checksum = fields if isinstance(fields, KeptChecksum) else None
    done = [{**one, **await fetched(fields, context, one["container"], one["name"], checksum)} for one in listed]

    async def act(gone: list[Blob]) -> None:
        def work(client: Any) -> None:
            for one in done:
                place, target = (one["container"], one["name"]), None
                if fields.action == "MOVE" and (goal := fields.move_to) is not None:
                    name = PurePosixPath(one["name"]).name
                    target = (goal.container, f"{(goal.name or '').rstrip('/')}/{name}".lstrip("/"))
                if target != place:
                    if target is not None:
                        copied(client, *place, *target)
                    client.get_blob_client(*place).delete_blob()
                gone.append(one)

        await fields.azure(context, work)

    if fields.action in ("MOVE", "DELETE") and done:
        done = await away(context, done, act, arrivals, placed(listed, "name", _version))
    return _taken(done)


def _taken(done: list[Blob]) -> Blobs:
    return Blobs(blobs=done, outputFiles={one["name"]: one["uri"] for one in done})


def copied(client: Any, container: str, name: str, to: str, new_name: str) -> int:
    """Copy a blob inside of the account; its size."""
    source = client.get_blob_client(container, name)
    target = client.get_blob_client(to, new_name.lstrip("/"))
    target.start_copy_from_url(source.url, requires_sync=True)
    return int(target.get_blob_properties().size)


def _version(blob: Blob) -> str:
    return str(blob["etag"])


def _downloaded(blob: Any, path: Path) -> None:
    with path.open("wb") as file:
        blob.download_blob().readinto(file)
