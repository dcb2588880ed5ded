"""`io.kestra.plugin.fs.ftps`: files on other machines, over FTP and TLS."""

from typing import Any, ClassVar, Literal

from engine.plugin import PollingTrigger, Property, RunContext
from engine.tasks.ftp_connection import FtpsConnected
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


class Upload(FtpsConnected, UploadTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.ftps.Upload
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: "{{ outputs.report.uri }}"
to: /reports/latest.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Upload"]


class Uploads(FtpsConnected, UploadsTask):
    """Upload several files to a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.ftps.Uploads
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from:
  - "{{ outputs.report.uri }}"
to: /reports/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Uploads"]


class Download(FtpsConnected, DownloadTask):
    """Download a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.fs.ftps.Download
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /orders/today.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Download"]


class List(FtpsConnected, ListTask):
    """List a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.ftps.List
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /orders/
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.List"]


class Downloads(FtpsConnected, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.fs.ftps.Downloads
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Downloads"]


class Trigger(FtpsConnected, EmptyFields, PollingTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.ftps.Trigger
interval: PT1M
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Trigger"]
    on: Property[OptionalText] = None
    state_key: Any = None
    state_ttl: Any = None

    async def poll(self, context: RunContext) -> Files | None:
        found = await (await task_of(self, Downloads, context)).emptied(context)
        return found if found.files else None


class Delete(FtpsConnected, DeleteTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.ftps.Delete
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
uri: /in/old.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Delete"]


class Move(FtpsConnected, MoveTask):
    """Move or rename a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.ftps.Move
host: files.example.com
username: shop
password: "{{ secret('FTP_PASSWORD') }}"
from: /in/today.csv
to: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.ftps.Move"]
