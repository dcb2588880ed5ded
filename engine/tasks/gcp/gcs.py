"""`io.kestra.plugin.gcp.gcs`: objects of Google Cloud Storage."""

import asyncio
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import (
    Look,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    StoredUri,
    TaskFailed,
)
from engine.tasks.arrivals import WatchFields, arrived
from engine.tasks.gcp_objects import (
    ActionFields,
    Blob,
    Blobs,
    GcsConnected,
    ListFields,
    delete_object,
    download,
    listing,
    rewrite,
    taken,
    upload,
)
from engine.tasks.gcp_objects import place_of as place
from engine.tasks.gcp_service import is_conflict
from engine.tasks.property_types import JsonList, JsonMap, OptionalInteger, OptionalText, Text
from engine.tasks.trigger_fields import task_of

ACTIONS = {"DELETE": "Delete", "SET_STORAGE_CLASS": "SetStorageClass"}


class Uploaded(Outputs):
    """Where the object is now."""

    uri: str


class Upload(GcsConnected, RunnableTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.gcp.gcs.Upload
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
from: "{{ outputs.report.uri }}"
to: gs://reports/2026/report.csv
contentType: text/csv
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.Upload"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    content_type: Property[OptionalText] = None
    content_encoding: Property[OptionalText] = None
    content_disposition: Property[OptionalText] = None
    cache_control: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Uploaded:
        bucket, name = place(self.to, "to", named=True)
        given = {
            "contentType": self.content_type,
            "contentEncoding": self.content_encoding,
            "contentDisposition": self.content_disposition,
            "cacheControl": self.cache_control,
        }
        path = context.files.path(self.from_)
        await upload(self, context, path, bucket, {"name": name, **{k: v for k, v in given.items() if v}})
        context.metric("file.size", path.stat().st_size)
        return Uploaded(uri=f"gs://{bucket}/{name}")


class Downloaded(Outputs):
    """The file in internal storage, and where it came from."""

    bucket: str
    path: str
    uri: StoredUri


class Download(GcsConnected, RunnableTask):
    """Download an object."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.gcp.gcs.Download
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
from: gs://reports/2026/report.csv
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.Download"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Downloaded:
        bucket, name = place(self.from_, "from", named=True)
        return Downloaded(bucket=bucket, path=name, uri=await download(self, context, bucket, name))


class List(ListFields, RunnableTask):
    """List objects."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reports
type: io.kestra.plugin.gcp.gcs.List
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
from: gs://reports/2026/
filter: FILES
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.List"]
    filter: Property[Literal["FILES", "DIRECTORY", "BOTH"]] = "BOTH"

    async def run(self, context: RunContext) -> Blobs:
        found = await listing(self, context, self.filter)
        context.metric("size", len(found))
        return Blobs(blobs=found)


class Downloads(ActionFields, RunnableTask):
    """Download all objects below a place, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.gcp.gcs.Downloads
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
from: gs://inbox/orders/
action: MOVE
moveDirectory: gs://inbox/archive/
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.Downloads"]

    async def run(self, context: RunContext) -> Blobs:
        return await taken(self, context)


class Trigger(ActionFields, WatchFields, PollingTrigger):
    """Start an execution when there are objects; they are downloaded, and moved or deleted. Of objects that stay those
    count that are new or have changed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.gcp.gcs.Trigger
interval: PT5M
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
from: gs://inbox/orders/
action: MOVE
moveDirectory: gs://inbox/archive/
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.Trigger"]

    async def poll(self, context: PollContext) -> Look:
        task = await task_of(self, Downloads, context)
        return await arrived(self, context, task.action, partial(taken, task, context), lambda found: found.blobs)


class Gone(Outputs):
    """Whether there was one."""

    uri: str
    deleted: bool


class Delete(GcsConnected, RunnableTask):
    """Delete an object."""

    examples: ClassVar[tuple[str, ...]] = (
        "id: tidy\ntype: io.kestra.plugin.gcp.gcs.Delete\nuri: gs://reports/old.csv\n",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.Delete"]
    uri: Property[Text]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Gone:
        bucket, name = place(self.uri, "uri", named=True)
        deleted = await delete_object(self, context, bucket, name)
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"There is no object {self.uri}.", fix="Leave out `errorOnMissing`.")
        return Gone(uri=self.uri, deleted=deleted)


class AllGone(Outputs):
    """How many objects were deleted, and how many bytes they held."""

    count: int
    size: int


class DeleteList(ListFields, RunnableTask):
    """Delete all objects below a place that a pattern names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.gcp.gcs.DeleteList
from: gs://reports/2024/
listingType: RECURSIVE
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.DeleteList"]
    concurrent: Property[int | None] = Field(default=None, ge=2, description="How many at once.")
    error_on_empty: Property[bool] = False

    async def run(self, context: RunContext) -> AllGone:
        found = await listing(self, context, "FILES")
        if not found and self.error_on_empty:
            raise TaskFailed("There is nothing to delete.", fix="Leave out `errorOnEmpty`.")
        at_once = asyncio.Semaphore(self.concurrent or 1)

        async def delete(one: Blob) -> int:
            async with at_once:
                gone = await delete_object(self, context, one["bucket"], one["name"])
            return int(one["size"]) if gone else 0

        size = sum(await asyncio.gather(*map(delete, found)))
        context.metric("count", len(found))
        context.metric("size", size)
        return AllGone(count=len(found), size=size)


class Copied(Outputs):
    """The new object."""

    bucket: str
    path: str
    uri: str


class Copy(GcsConnected, RunnableTask):
    """Copy an object, and delete the old one if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.gcp.gcs.Copy
from: gs://reports/latest.csv
to: gs://archive/2026.csv
delete: true
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.Copy"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    delete: Property[bool] = False

    async def run(self, context: RunContext) -> Copied:
        source, target = place(self.from_, "from", named=True), place(self.to, "to", named=True)
        if self.delete and source == target:
            raise TaskFailed("The object would be copied over itself and deleted.", fix="Give another `to`.")
        await rewrite(self, context, source, target)
        if self.delete:
            await delete_object(self, context, *source)
        return Copied(bucket=target[0], path=target[1], uri=f"gs://{target[0]}/{target[1]}")


class Bucket(Outputs):
    """The bucket, and what became of it."""

    bucket: dict[str, Any]
    created: bool = False
    updated: bool = False


class CreateBucket(GcsConnected, RunnableTask):
    """Create a bucket."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bucket
type: io.kestra.plugin.gcp.gcs.CreateBucket
projectId: my-project
name: reports
location: EU
ifExists: SKIP
""",
    )
    type: Literal["io.kestra.plugin.gcp.gcs.CreateBucket"]
    name: Property[Text]
    if_exists: Property[Literal["ERROR", "UPDATE", "SKIP"]] = "ERROR"
    location: Property[OptionalText] = None
    storage_class: Property[OptionalText] = None
    labels: Property[JsonMap | None] = None
    requester_pays: Property[bool | None] = None
    versioning_enabled: Property[bool | None] = None
    index_page: Property[OptionalText] = None
    not_found_page: Property[OptionalText] = None
    lifecycle_rules: Property[JsonList | None] = None
    cors: Property[JsonList | None] = None
    acl: Property[JsonList | None] = None
    default_acl: Property[JsonList | None] = None
    default_kms_key_name: Property[OptionalText] = None
    default_event_based_hold: Property[bool | None] = None
    retention_period: Property[OptionalInteger] = None
    iam_configuration: Property[JsonMap | None] = None
    logging: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Bucket:
        body = self.body()
        try:
            params = {"project": self.project(context)}
            return Bucket(bucket=await self.gcp(context, "POST", "b", params=params, json=body), created=True)
        except TaskFailed as error:
            if not is_conflict(error) or self.if_exists == "ERROR":
                raise
        if self.if_exists == "UPDATE":
            del body["name"]
            return Bucket(bucket=await self.gcp(context, "PATCH", f"b/{self.name}", json=body), updated=True)
        return Bucket(bucket=await self.gcp(context, "GET", f"b/{self.name}"))

    def body(self) -> dict[str, Any]:
        """The bucket in Google's JSON, without what was not given."""
        website = {"mainPageSuffix": self.index_page, "notFoundPage": self.not_found_page}
        given = {
            "name": self.name,
            "location": self.location,
            "storageClass": self.storage_class,
            "labels": self.labels,
            "billing": {"requesterPays": self.requester_pays} if self.requester_pays is not None else None,
            "versioning": {"enabled": self.versioning_enabled} if self.versioning_enabled is not None else None,
            "website": {k: v for k, v in website.items() if v} or None,
            "lifecycle": {"rule": [_rule(one) for one in self.lifecycle_rules]} if self.lifecycle_rules else None,
            "cors": self.cors,
            "acl": self.acl,
            "defaultObjectAcl": self.default_acl,
            "encryption": {"defaultKmsKeyName": self.default_kms_key_name} if self.default_kms_key_name else None,
            "defaultEventBasedHold": self.default_event_based_hold,
            "retentionPolicy": {"retentionPeriod": str(self.retention_period)} if self.retention_period else None,
            "iamConfiguration": self.iam_configuration,
            "logging": self.logging,
        }
        return {name: value for name, value in given.items() if value is not None}


class DeleteBucket(GcsConnected, RunnableTask):
    """Delete an empty bucket."""

    examples: ClassVar[tuple[str, ...]] = ("id: tidy\ntype: io.kestra.plugin.gcp.gcs.DeleteBucket\nname: reports\n",)
    type: Literal["io.kestra.plugin.gcp.gcs.DeleteBucket"]
    name: Property[Text]

    async def run(self, context: RunContext) -> None:
        await self.gcp(context, "DELETE", f"b/{self.name}")


def _rule(given: Any) -> dict[str, Any]:
    """A rule of a bucket's lifecycle: `{condition: {age}, action: {type, storageClass}}` in Google's JSON."""
    if not isinstance(given, dict) or not isinstance(given.get("action"), dict):
        raise TaskFailed("A lifecycle rule has `condition` and `action`.", fix="Write both.")
    action = {**given["action"]}
    action["type"] = ACTIONS.get(str(action.get("type")), action.get("type"))
    return {"condition": given.get("condition") or {}, "action": action}
