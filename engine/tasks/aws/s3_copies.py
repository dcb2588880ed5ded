"""`io.kestra.plugin.aws.s3.Copy`: objects copied inside S3."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.property_types import OptionalText, Text


class Place(Part):
    """An object."""

    bucket: Property[Text]
    key: Property[OptionalText] = None
    version_id: Property[OptionalText] = None
    server_side_encryption: Property[OptionalText] = Field(default=None, description="How a new object is kept.")
    kms_key_id: Property[OptionalText] = Field(default=None, description="With which key a new object is kept.")


class Copied(Outputs):
    """The new object."""

    bucket: str
    key: str
    eTag: str | None = None  # noqa: N815 - appears as written


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
        return Copied(bucket=bucket, key=key, eTag=str(done["ETag"]).strip('"'))
