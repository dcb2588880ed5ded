"""`io.kestra.plugin.fs.ftps`: files on other machines, over FTP and TLS."""

from typing import Literal

from engine.tasks.ftp_connection import FtpsConnected
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


class Upload(FtpsConnected, UploadTask):
    """Upload a file."""

    type: Literal["io.kestra.plugin.fs.ftps.Upload"]


class Uploads(FtpsConnected, UploadsTask):
    """Upload several files to a folder."""

    type: Literal["io.kestra.plugin.fs.ftps.Uploads"]


class Download(FtpsConnected, DownloadTask):
    """Download a file."""

    type: Literal["io.kestra.plugin.fs.ftps.Download"]


class List(FtpsConnected, ListTask):
    """List a folder."""

    type: Literal["io.kestra.plugin.fs.ftps.List"]


class Downloads(FtpsConnected, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    type: Literal["io.kestra.plugin.fs.ftps.Downloads"]


class Trigger(FtpsConnected, ArrivalTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    taking = Downloads
    type: Literal["io.kestra.plugin.fs.ftps.Trigger"]


class Delete(FtpsConnected, DeleteTask):
    """Delete a file."""

    type: Literal["io.kestra.plugin.fs.ftps.Delete"]


class Move(FtpsConnected, MoveTask):
    """Move or rename a file."""

    type: Literal["io.kestra.plugin.fs.ftps.Move"]
