"""`io.kestra.plugin.fs.smb`: files on shares of Windows and Samba servers. Paths begin with the name of a share."""

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
from engine.tasks.smb_connection import SmbConnected
from engine.tasks.trigger_fields import task_of


class Upload(SmbConnected, UploadTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.smb.Upload
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from: "{{ outputs.report.uri }}"
to: /office/reports/latest.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Upload"]


class Uploads(SmbConnected, UploadsTask):
    """Upload several files to a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.smb.Uploads
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from:
  - "{{ outputs.report.uri }}"
to: /office/reports/
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Uploads"]


class Download(SmbConnected, DownloadTask):
    """Download a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.fs.smb.Download
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from: /office/orders/today.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Download"]


class List(SmbConnected, ListTask):
    """List a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.smb.List
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from: /office/orders/
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.List"]


class Downloads(SmbConnected, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.fs.smb.Downloads
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from: /office/in/
action: MOVE
moveDirectory: /archive/orders/
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Downloads"]


class Trigger(SmbConnected, EmptyFields, PollingTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.smb.Trigger
interval: PT1M
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from: /office/in/
action: MOVE
moveDirectory: /archive/orders/
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Trigger"]
    on: Property[OptionalText] = None
    state_key: Any = None
    state_ttl: Any = None

    async def poll(self, context: RunContext) -> Files | None:
        found = await (await task_of(self, Downloads, context)).emptied(context)
        return found if found.files else None


class Delete(SmbConnected, DeleteTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.smb.Delete
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
uri: /office/in/old.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Delete"]


class Move(SmbConnected, MoveTask):
    """Move or rename a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.smb.Move
host: files.example.com
username: shop
password: "{{ secret('SMB_PASSWORD') }}"
from: /office/in/today.csv
to: /office/archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.smb.Move"]
