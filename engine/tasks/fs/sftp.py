"""`io.kestra.plugin.fs.sftp`: files on other machines, over SSH."""

from typing import Any, ClassVar, Literal

from engine.plugin import PollingTrigger, Property, RunContext
from engine.tasks.property_types import OptionalText
from engine.tasks.remote_files import Files
from engine.tasks.remote_tasks import (
    DeleteTask,
    DownloadsTask,
    DownloadTask,
    EmptyFields,
    ListTask,
    MoveTask,
    UploadsTask,
    UploadTask,
)
from engine.tasks.ssh_connection import KeyFields
from engine.tasks.trigger_fields import task_of


class Upload(KeyFields, UploadTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.sftp.Upload
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: "{{ outputs.report.uri }}"
to: /reports/latest.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Upload"]


class Uploads(KeyFields, UploadsTask):
    """Upload several files to a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.sftp.Uploads
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from:
  - "{{ outputs.report.uri }}"
to: /reports/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Uploads"]


class Download(KeyFields, DownloadTask):
    """Download a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.fs.sftp.Download
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /orders/today.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Download"]


class List(KeyFields, ListTask):
    """List a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.sftp.List
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /orders/
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.List"]


class Downloads(KeyFields, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.fs.sftp.Downloads
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Downloads"]


class Trigger(KeyFields, EmptyFields, PollingTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.sftp.Trigger
interval: PT1M
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Trigger"]
    on: Property[OptionalText] = None
    state_key: Any = None
    state_ttl: Any = None

    async def poll(self, context: RunContext) -> Files | None:
        found = await (await task_of(self, Downloads, context)).emptied(context)
        return found if found.files else None


class Delete(KeyFields, DeleteTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.sftp.Delete
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
uri: /in/old.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Delete"]


class Move(KeyFields, MoveTask):
    """Move or rename a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.sftp.Move
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /in/today.csv
to: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Move"]
