"""`io.kestra.plugin.minio`: files in buckets of MinIO, and of others that speak S3."""

import sys
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.aws import s3
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.aws.s3_objects import Listed, listing
from engine.tasks.extras import extra
from engine.tasks.http_options import Ssl
from engine.tasks.property_types import OptionalInteger, OptionalText
from engine.tasks.runners import own_file
from engine.tasks.secret_files import kept

# Each is the task of `aws.s3` of the same name, at another address: only what differs stands here.


class MinioConnected(AwsConnected):
    """Where the service is, and whose certificates it may have."""

    owner: ClassVar[str] = "MinIO"
    most: ClassVar[int] = sys.maxsize  # here a list is cut by nobody but the flow
    endpoint: Property[OptionalText] = None
    client_pem: Property[OptionalText] = None
    ca_pem: Property[OptionalText] = None
    ssl: Ssl | None = None

    async def client(self, context: RunContext, service: str) -> Any:
        given = {"endpoint_override": self.endpoint or self.endpoint_override}
        for name, text in (("client_pem", self.client_pem), ("ca_pem", self.ca_pem)):
            if text:
                context.mask(text)
                given[name] = kept(own_file(context, name, ".pem"), text)
        return await AwsConnected.client(self.model_copy(update=given), context, service)

    def _config(self) -> Any:
        config = extra("botocore.config", "aws").Config
        path_style = {"addressing_style": "path"} if self.endpoint_override else None
        more = config(
            s3=path_style,
            client_cert=self.client_pem,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return super()._config().merge(more)

    def _trusted(self) -> bool | str | None:
        return False if self.ssl and self.ssl.insecure_trust_all_certificates else self.ca_pem


class Upload(MinioConnected, s3.Upload):
    """Upload a file, or several below one key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: upload
type: io.kestra.plugin.minio.Upload
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
key: latest.csv
from: "{{ outputs.report.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.minio.Upload"]  # type: ignore[assignment]


class Download(MinioConnected, s3.Download):
    """Download an object, or all that a prefix or pattern names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: download
type: io.kestra.plugin.minio.Download
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
key: latest.csv
""",
    )
    type: Literal["io.kestra.plugin.minio.Download"]  # type: ignore[assignment]
    max_files: Property[OptionalInteger] = Field(default=None, description="Objects at most; all unless given.")


class Downloads(MinioConnected, s3.Downloads):
    """Download objects, and move or delete them afterwards."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: downloads
type: io.kestra.plugin.minio.Downloads
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
prefix: orders/
action: DELETE
""",
    )
    type: Literal["io.kestra.plugin.minio.Downloads"]  # type: ignore[assignment]
    max_files: Property[OptionalInteger] = Field(default=None, description="Objects at most; all unless given.")


class List(MinioConnected, s3.List):
    """List objects."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: list
type: io.kestra.plugin.minio.List
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
prefix: 2026/
regexp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.minio.List"]  # type: ignore[assignment]
    max_files: Property[OptionalInteger] = Field(default=None, description="Objects at most; all unless given.")
    start_after: Property[OptionalText] = None
    recursive: Property[bool] = True
    include_versions: Property[bool] = Field(
        default=True, description="Name an object of a bucket with versions once for each of them."
    )

    async def run(self, context: RunContext) -> Listed:
        delimiter = self.delimiter or (None if self.recursive else "/")
        asked = self.model_copy(update={"marker": self.start_after or self.marker, "delimiter": delimiter})
        try:
            found = await listing(asked, context, self.bucket, versions=self.include_versions)
        except TaskFailed as error:
            if "NotImplemented" not in error.message:
                raise
            found = await listing(asked, context, self.bucket)  # at a service that keeps no versions
        context.metric("s3.objects.count", len(found))
        return Listed(objects=found)


class Trigger(MinioConnected, s3.Trigger):
    """Start an execution when there are objects; they are downloaded, and moved or deleted. Of objects that stay those
    count that are new or have changed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: trigger
type: io.kestra.plugin.minio.Trigger
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
prefix: orders/
action: DELETE
interval: PT1M
""",
    )
    type: Literal["io.kestra.plugin.minio.Trigger"]  # type: ignore[assignment]
    max_files: Property[OptionalInteger] = Field(default=None, description="Objects at most; all unless given.")
    taking: ClassVar = Downloads


class Deleted(s3.Deleted):
    """What was deleted, and what the server says about it."""

    bucket: str
    key: str


class Delete(MinioConnected, s3.Delete):
    """Delete an object."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: delete
type: io.kestra.plugin.minio.Delete
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
key: old.csv
""",
    )
    type: Literal["io.kestra.plugin.minio.Delete"]  # type: ignore[assignment]

    async def run(self, context: RunContext) -> Deleted:
        done = await s3.Delete.run(self, context)
        return Deleted(bucket=self.bucket, key=self.key, **done.model_dump())


class DeleteList(MinioConnected, s3.DeleteList):
    """Delete all objects that a prefix or pattern names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deletelist
type: io.kestra.plugin.minio.DeleteList
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
prefix: 2024/
""",
    )
    type: Literal["io.kestra.plugin.minio.DeleteList"]  # type: ignore[assignment]


class Copy(MinioConnected, s3.Copy):
    """Copy an object, and delete the old one if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.minio.Copy
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
from:
  bucket: reports
  key: latest.csv
to:
  bucket: archive
  key: 2026.csv
""",
    )
    type: Literal["io.kestra.plugin.minio.Copy"]  # type: ignore[assignment]


class CreateBucket(MinioConnected, s3.CreateBucket):
    """Create a bucket, unless it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: createbucket
type: io.kestra.plugin.minio.CreateBucket
endpoint: https://minio.example.com
accessKeyId: "{{ secret('MINIO_ACCESS_KEY') }}"
secretKeyId: "{{ secret('MINIO_SECRET_KEY') }}"
bucket: reports
""",
    )
    type: Literal["io.kestra.plugin.minio.CreateBucket"]  # type: ignore[assignment]

    async def run(self, context: RunContext) -> s3.Made:
        try:
            return await s3.CreateBucket.run(self, context)
        except TaskFailed as error:
            if "BucketAlreadyOwnedByYou" in error.message:
                return s3.Made(bucket=self.bucket, region=self.region)
            raise
