"""`io.kestra.plugin.fs.ftp`: files on other machines, over FTP: nothing of it is secret on its way."""

from typing import Any, ClassVar, Literal

from engine.plugin import PollingTrigger, Property, RunContext
from engine.tasks.ftp_connection import FtpConnected
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
from engine.tasks.trigger_fields import task_of


class Upload(FtpConnected, UploadTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.ftp.Upload
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: "{{ outputs.report.uri }}"
to: /reports/latest.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Upload"]


class Uploads(FtpConnected, UploadsTask):
    """Upload several files to a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.ftp.Uploads
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from:
  - "{{ outputs.report.uri }}"
to: /reports/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Uploads"]


class Download(FtpConnected, DownloadTask):
    """Download a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.fs.ftp.Download
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /orders/today.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Download"]


class List(FtpConnected, ListTask):
    """List a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.ftp.List
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /orders/
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.List"]


class Downloads(FtpConnected, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.fs.ftp.Downloads
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Downloads"]


class Trigger(FtpConnected, EmptyFields, PollingTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.ftp.Trigger
interval: PT1M
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Trigger"]
    on: Property[OptionalText] = None
    state_key: Any = None
    state_ttl: Any = None

    async def poll(self, context: RunContext) -> Files | None:
        found = await (await task_of(self, Downloads, context)).emptied(context)
        return found if found.files else None


class Delete(FtpConnected, DeleteTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.ftp.Delete
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
uri: /in/old.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Delete"]


class Move(FtpConnected, MoveTask):
    """Move or rename a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.ftp.Move
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /in/today.csv
to: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftp.Move"]
