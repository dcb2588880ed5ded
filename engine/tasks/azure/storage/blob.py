"""`io.kestra.plugin.azure.storage.blob`: objects of Azure's Blob Storage."""

from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import (
    Look,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
    Unserved,
)
from engine.tasks.arrivals import WatchFields, arrived
from engine.tasks.azure_blobs import (
    ActionFields,
    Blob,
    BlobConnected,
    Blobs,
    ListFields,
    Place,
    blob_of,
    copied,
    fetched,
    found_in,
    listing,
    taken,
)
from engine.tasks.checksums import EitherChecksum, KeptChecksum
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.trigger_fields import task_of


class OneBlob(Outputs):
    """The blob."""

    blob: Blob
    blobs: list[Blob] | None = None


class BlobTask(BlobConnected, RunnableTask):
    """Of which blob."""

    container: Property[Text]
    name: Property[Text]


class Upload(BlobTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.azure.storage.blob.Upload
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
container: reports
from: "{{ outputs.report.uri }}"
name: 2026/report.csv
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.Upload"]
    from_: Property[Text] = Field(alias="from")
    metadata: Property[JsonMap | None] = None
    tags: Property[JsonMap | None] = None
    access_tier: Property[OptionalText] = None
    legal_hold: Property[bool | None] = None
    immutability_policy: Annotated[
        Any, Unserved("`immutabilityPolicy` is not set here.", "Set it at the container.")
    ] = None

    async def run(self, context: RunContext) -> OneBlob:
        path = context.files.path(self.from_)
        tier = self.access_tier and self.access_tier.replace("_", "").capitalize()

        def work(client: Any) -> None:
            blob = client.get_blob_client(self.container, self.name)
            with path.open("rb") as file:
                blob.upload_blob(file, overwrite=True, metadata=_texts(self.metadata), tags=_texts(self.tags))
            if tier:
                blob.set_standard_blob_tier(tier)
            if self.legal_hold is not None:
                blob.set_legal_hold(self.legal_hold)

        await self.azure(context, work)
        size = path.stat().st_size
        context.metric("file.size", size)
        found = blob_of(self.container, self.name, size)
        return OneBlob(blob=found, blobs=[found])


class Download(EitherChecksum, BlobTask):
    """Download a blob."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.azure.storage.blob.Download
endpoint: https://company.blob.core.windows.net
sasToken: "{{ secret('AZURE_SAS') }}"
container: reports
name: 2026/report.csv
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.Download"]

    async def run(self, context: RunContext) -> OneBlob:
        return OneBlob(blob=await fetched(self, context, self.container, self.name, self))


class Gone(Outputs):
    """Whether there was one."""

    blob: Blob
    deleted: bool


class Delete(BlobTask):
    """Delete a blob."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.azure.storage.blob.Delete
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
container: reports
name: old.csv
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.Delete"]
    error_on_missing: Property[bool] = False
    delete_snapshots_option_type: Property[OptionalText] = Field(default=None, alias="deleteSnapshotsOptionType")

    async def run(self, context: RunContext) -> Gone:
        option = (self.delete_snapshots_option_type or "").lower() or None

        def work(client: Any) -> bool:
            blob = client.get_blob_client(self.container, self.name)
            if not blob.exists():
                return False
            blob.delete_blob(delete_snapshots=option)
            return True

        deleted = await self.azure(context, work)
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"There is no blob {self.name}.", fix="Leave out `errorOnMissing`.")
        return Gone(blob=blob_of(self.container, self.name, None), deleted=deleted)


class List(ListFields, RunnableTask):
    """List blobs."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reports
type: io.kestra.plugin.azure.storage.blob.List
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
container: reports
prefix: 2026/
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.List"]

    async def run(self, context: RunContext) -> Blobs:
        found = await listing(self, context)
        context.metric("size", len(found))
        return Blobs(blobs=found)


class Downloads(KeptChecksum, ActionFields, RunnableTask):
    """Download all blobs that are meant, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.azure.storage.blob.Downloads
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
container: inbox
prefix: orders/
action: MOVE
moveTo:
  container: archive
  name: orders/
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.Downloads"]

    async def run(self, context: RunContext) -> Blobs:
        return await taken(self, context)


class Trigger(ActionFields, WatchFields, PollingTrigger):
    """Start an execution when there are blobs; they are downloaded, and moved or deleted. Of blobs that stay those
    count that are new or have changed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.azure.storage.blob.Trigger
interval: PT5M
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
container: inbox
prefix: orders/
action: DELETE
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.Trigger"]

    async def poll(self, context: PollContext) -> Look:
        task = await task_of(self, Downloads, context)
        return await arrived(self, context, task.action, partial(taken, task, context), lambda found: found.blobs)


class Copy(BlobConnected, RunnableTask):
    """Copy a blob, and delete the old one if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.azure.storage.blob.Copy
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
from:
  container: reports
  name: latest.csv
to:
  container: archive
  name: 2026.csv
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.Copy"]
    from_: Place = Field(alias="from")
    to: Place
    delete: Property[bool] = False

    async def run(self, context: RunContext) -> OneBlob:
        name = self.from_.name or ""
        target = self.to.name or name
        if not name:
            raise TaskFailed("It is not said what to copy.", fix="Give `from.name`.")
        if self.delete and (self.from_.container, name) == (self.to.container, target):
            raise TaskFailed("The blob would be copied over itself and deleted.", fix="Give another `to`.")

        def work(client: Any) -> int:
            size = copied(client, self.from_.container, name, self.to.container, target)
            if self.delete:
                client.get_blob_client(self.from_.container, name).delete_blob()
            return size

        return OneBlob(blob=blob_of(self.to.container, target, await self.azure(context, work)))


class Tidied(Outputs):
    """How many blobs, and how many bytes."""

    count: int
    size: int


class DeleteList(ListFields, RunnableTask):
    """Delete all blobs that are meant."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.azure.storage.blob.DeleteList
endpoint: https://company.blob.core.windows.net
connectionString: "{{ secret('AZURE_CONNECTION_STRING') }}"
container: reports
prefix: 2024/
""",
    )
    type: Literal["io.kestra.plugin.azure.storage.blob.DeleteList"]
    concurrent: Any = None
    error_on_empty: Property[bool] = False

    async def run(self, context: RunContext) -> Tidied:
        def work(client: Any) -> list[Blob]:
            found = found_in(client, self)
            for one in found:
                client.get_blob_client(self.container, one["name"]).delete_blob()
            return found

        found = await self.azure(context, work)
        if not found and self.error_on_empty:
            raise TaskFailed("There is nothing to delete.", fix="Leave out `errorOnEmpty`.")
        return Tidied(count=len(found), size=sum(one["size"] for one in found))


def _texts(given: dict[str, Any] | None) -> dict[str, str] | None:
    return {str(name): str(value) for name, value in given.items()} if given else None
