"""`io.kestra.plugin.aws.s3`: files in buckets."""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

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
)
from engine.tasks import rest_service
from engine.tasks.arrivals import WatchFields, arrived
from engine.tasks.aws import s3_objects
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.aws.s3_copies import Copied, Place
from engine.tasks.aws.s3_objects import UPLOAD, ActionFields, Downloaded, Listed, ListFields, Taken
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList, scalar_to_text
from engine.tasks.trigger_fields import task_of


class BucketTask(AwsConnected, RunnableTask):
    """In which bucket."""

    bucket: Property[Text]
    request_payer: Property[OptionalText] = None


class Uploaded(Outputs):
    """The object, or the last of several; `files` are those several: name → eTag, versionId, contentLength (bytes)."""

    bucket: str
    key: str
    eTag: str | None = None  # noqa: N815 - appears as written
    versionId: str | None = None  # noqa: N815
    files: dict[str, dict[str, Any]] | None = None


class Upload(BucketTask):
    """Upload a file, or several below one key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.aws.s3.Upload
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
region: eu-central-1
bucket: reports
key: "2026/{{ execution.id }}.csv"
from: "{{ outputs.report.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.Upload"]
    from_: Property[JsonMap | TextList] = Field(alias="from")
    key: Property[Text]
    metadata: Property[JsonMap | None] = None
    tagging: Property[JsonMap | None] = None
    cache_control: Property[OptionalText] = None
    content_type: Property[OptionalText] = None
    content_encoding: Property[OptionalText] = None
    content_disposition: Property[OptionalText] = None
    content_language: Property[OptionalText] = None
    content_length: Any = None
    expires: Property[OptionalText] = None
    acl: Property[OptionalText] = None
    storage_class: Property[OptionalText] = None
    server_side_encryption: Property[OptionalText] = None
    kms_key_id: Property[OptionalText] = None
    bucket_key_enabled: Property[bool | None] = None
    checksum_algorithm: Property[OptionalText] = None
    checksum: Property[OptionalText] = None
    expected_bucket_owner: Property[OptionalText] = None
    object_lock_mode: Property[OptionalText] = None
    object_lock_legal_hold_status: Property[OptionalText] = None
    object_lock_retain_until_date: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Uploaded:
        files = self._files(context)
        if not files:
            raise TaskFailed("`from` names no file.", fix="Give a file's URI.")
        options = {name: value for field, name in UPLOAD.items() if (value := getattr(self, field)) is not None}
        if self.metadata:
            options["Metadata"] = {str(name): str(scalar_to_text(value)) for name, value in self.metadata.items()}
        if self.tagging:
            options["Tagging"] = urlencode({name: scalar_to_text(value) for name, value in self.tagging.items()})

        def work(client: Any) -> Any:
            told = {}
            for name, key, path in files:
                client.upload_file(str(path), self.bucket, key, ExtraArgs=options)
                there = client.head_object(Bucket=self.bucket, Key=key)
                told[name] = {
                    "eTag": s3_objects.tag(there),
                    "versionId": there.get("VersionId"),
                    "contentLength": rest_service.held(there, f"{self.owner} s3", "ContentLength"),
                }
            return told

        told = await self.aws(context, "s3", work)
        context.metric("file.count", len(files))
        context.metric("file.size", sum(path.stat().st_size for *_, path in files))
        last = told[files[-1][0]]
        is_one = isinstance(self.from_, list) and len(files) == 1
        return Uploaded(
            bucket=self.bucket,
            key=self.key,
            eTag=last["eTag"],
            versionId=last["versionId"],
            files=None if is_one else told,
        )

    def _files(self, context: RunContext) -> list[tuple[str, str, Path]]:
        """Name, the object's key, and the file."""
        if isinstance(self.from_, dict):
            named = [(str(name), context.files.path(str(uri))) for name, uri in self.from_.items()]
        else:
            named = [(path.name, path) for path in map(context.files.path, self.from_)]
            if len(named) == 1:
                return [(name, self.key, path) for name, path in named]
        return [(name, s3_objects.below(self.key, name), path) for name, path in named]


class Download(ListFields, BucketTask):
    """Download an object, or all that a prefix or pattern names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.aws.s3.Download
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
region: eu-central-1
bucket: reports
key: latest.csv
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.Download"]
    key: Property[OptionalText] = None
    version_id: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Downloaded:
        several = self.prefix is not None or self.regexp is not None or self.delimiter is not None
        if not several and not self.key:
            raise TaskFailed("It is not said what to download.", fix="Give `key`, `prefix` or `regexp`.")
        keys = [self.key or ""]
        if several:
            keys = [found["key"] for found in await s3_objects.listing(self, context, self.bucket)]
        done = await s3_objects.fetched(
            self, context, self.bucket, [key for key in keys if not key.endswith("/")], self.version_id
        )
        context.metric("file.size", sum(one["contentLength"] for one in done.values()))
        return Downloaded(files=done) if several else Downloaded(**done[keys[0]])


class List(ListFields, BucketTask):
    """List objects."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: list
type: io.kestra.plugin.aws.s3.List
region: eu-central-1
bucket: reports
prefix: 2026/
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.List"]

    async def run(self, context: RunContext) -> Listed:
        found = await s3_objects.listing(self, context, self.bucket)
        context.metric("s3.objects.count", len(found))
        return Listed(objects=found)


class Downloads(ActionFields, BucketTask):
    """Download objects, and move or delete them afterwards."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: take
type: io.kestra.plugin.aws.s3.Downloads
region: eu-central-1
bucket: inbox
prefix: orders/
action: MOVE
moveTo:
  key: archive
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.Downloads"]

    async def run(self, context: RunContext) -> Taken:
        return await s3_objects.taken(self, context, self.bucket)


class Trigger(ActionFields, WatchFields, PollingTrigger):
    """Start an execution when there are objects, or news of those that stay; they are downloaded."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.aws.s3.Trigger
interval: PT1M
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
region: eu-central-1
bucket: inbox
prefix: orders/
action: DELETE
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.Trigger"]
    bucket: Property[Text]
    request_payer: Property[OptionalText] = None
    taking: ClassVar = Downloads

    async def poll(self, context: PollContext) -> Look:
        task = await task_of(self, self.taking, context)
        take = partial(s3_objects.taken, task, context, task.bucket)
        return await arrived(self, context, task.action, take, lambda found: found.objects)


class Deleted(Outputs):
    """What S3 says about it."""

    versionId: str | None = None  # noqa: N815 - appears as written
    deleteMarker: bool | None = None  # noqa: N815


class Delete(BucketTask):
    """Delete an object."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.aws.s3.Delete
region: eu-central-1
bucket: reports
key: old.csv
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.Delete"]
    key: Property[Text]
    version_id: Property[OptionalText] = None
    mfa: Property[OptionalText] = None
    bypass_governance_retention: Property[bool | None] = None

    async def run(self, context: RunContext) -> Deleted:
        more = {
            "VersionId": self.version_id,
            "MFA": self.mfa,
            "BypassGovernanceRetention": self.bypass_governance_retention,
        }
        named = {name: value for name, value in more.items() if value is not None}
        done = await self.aws(context, "s3", lambda s3: s3.delete_object(Bucket=self.bucket, Key=self.key, **named))
        return Deleted(versionId=done.get("VersionId"), deleteMarker=done.get("DeleteMarker"))


class AllDeleted(Outputs):
    """How many objects, and how many bytes."""

    count: int
    size: int


class DeleteList(ListFields, BucketTask):
    """Delete all objects that a prefix or pattern names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.aws.s3.DeleteList
region: eu-central-1
bucket: reports
prefix: 2024/
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.DeleteList"]
    concurrent: Property[OptionalInteger] = None
    error_on_empty: Property[bool] = False

    async def run(self, context: RunContext) -> AllDeleted:
        found = await s3_objects.there(self, context, self.bucket)
        if not found and self.error_on_empty:
            raise TaskFailed("There is nothing to delete.", fix="Leave out `errorOnEmpty`.")

        def work(client: Any) -> None:
            for one in found:
                client.delete_object(Bucket=self.bucket, Key=one["key"])

        await self.aws(context, "s3", work)
        return AllDeleted(count=len(found), size=sum(one["size"] for one in found))


class Copy(AwsConnected, RunnableTask):
    """Copy an object, and delete the old one if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.aws.s3.Copy
region: eu-central-1
from:
  bucket: reports
  key: latest.csv
to:
  bucket: archive
  key: 2026.csv
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.Copy"]
    from_: Place = Field(alias="from")
    to: Place | None = None
    delete: Property[bool] = False
    server_side_encryption: Property[OptionalText] = None
    kms_key_id: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Copied:
        if not self.from_.key:
            raise TaskFailed("It is not said what to copy.", fix="Give `from.key`.")
        source = {"Bucket": self.from_.bucket, "Key": self.from_.key}
        if self.from_.version_id:
            source["VersionId"] = self.from_.version_id
        bucket = self.to.bucket if self.to else self.from_.bucket
        key = (self.to.key if self.to else None) or self.from_.key
        if self.delete and (bucket, key) == (self.from_.bucket, self.from_.key):
            raise TaskFailed("The object would be copied over itself and deleted.", fix="Give another `to`.")
        new = self.to or self.from_
        options = {
            "ServerSideEncryption": new.server_side_encryption or self.server_side_encryption,
            "SSEKMSKeyId": new.kms_key_id or self.kms_key_id,
        }

        def work(client: Any) -> Any:
            given = {name: value for name, value in options.items() if value}
            client.copy(source, bucket, key, ExtraArgs=given)
            if self.delete:
                client.delete_object(Bucket=self.from_.bucket, Key=self.from_.key)
            return client.head_object(Bucket=bucket, Key=key)

        done = await self.aws(context, "s3", work)
        return Copied(bucket=bucket, key=key, eTag=s3_objects.tag(done))


class Made(Outputs):
    """The bucket."""

    bucket: str
    region: str | None


class CreateBucket(BucketTask):
    """Create a bucket."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bucket
type: io.kestra.plugin.aws.s3.CreateBucket
region: eu-central-1
bucket: reports
""",
    )
    type: Literal["io.kestra.plugin.aws.s3.CreateBucket"]
    acl: Property[OptionalText] = None
    object_lock_enabled_for_bucket: Property[bool | None] = None
    grant_full_control: Property[OptionalText] = None
    grant_read: Property[OptionalText] = None
    grant_read_acp: Property[OptionalText] = Field(default=None, alias="grantReadACP")
    grant_write: Property[OptionalText] = None
    grant_write_acp: Property[OptionalText] = Field(default=None, alias="grantWriteACP")

    async def run(self, context: RunContext) -> Made:
        more = {
            "ACL": self.acl,
            "ObjectLockEnabledForBucket": self.object_lock_enabled_for_bucket,
            "GrantFullControl": self.grant_full_control,
            "GrantRead": self.grant_read,
            "GrantReadACP": self.grant_read_acp,
            "GrantWrite": self.grant_write,
            "GrantWriteACP": self.grant_write_acp,
        }
        named: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
        if self.region and self.region != "us-east-1":  # there it must not be said
            named["CreateBucketConfiguration"] = {"LocationConstraint": self.region}
        await self.aws(context, "s3", lambda s3: s3.create_bucket(Bucket=self.bucket, **named))
        return Made(bucket=self.bucket, region=self.region)
