"""`io.kestra.plugin.fs.sftp`: files on other machines, over SSH."""

from typing import Literal

from engine.tasks.remote_tasks import (
    ArrivalTrigger,
    DeleteTask,
    DownloadsTask,
    DownloadTask,
    ListTask,
    MoveTask,
    UploadsTask,
    UploadTask,
)
from engine.tasks.ssh_connection import KeyFields


class Upload(KeyFields, UploadTask):
    """Upload a file."""

    type: Literal["io.kestra.plugin.fs.sftp.Upload"]


class Uploads(KeyFields, UploadsTask):
    """Upload several files to a folder."""

    type: Literal["io.kestra.plugin.fs.sftp.Uploads"]


class Download(KeyFields, DownloadTask):
    """Download a file."""

    type: Literal["io.kestra.plugin.fs.sftp.Download"]


class List(KeyFields, ListTask):
    """List a folder."""

    type: Literal["io.kestra.plugin.fs.sftp.List"]


class Downloads(KeyFields, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    type: Literal["io.kestra.plugin.fs.sftp.Downloads"]


class Trigger(KeyFields, ArrivalTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    taking = Downloads
    type: Literal["io.kestra.plugin.fs.sftp.Trigger"]


class Delete(KeyFields, DeleteTask):
    """Delete a file."""

    type: Literal["io.kestra.plugin.fs.sftp.Delete"]


class Move(KeyFields, MoveTask):
    """Move or rename a file."""

    type: Literal["io.kestra.plugin.fs.sftp.Move"]
