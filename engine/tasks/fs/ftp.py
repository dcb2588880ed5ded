"""`io.kestra.plugin.fs.ftp`: files on other machines, over FTP: nothing of it is secret on its way."""

from typing import Literal

from engine.tasks.ftp_connection import FtpConnected
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


class Upload(FtpConnected, UploadTask):
    """Upload a file."""

    type: Literal["io.kestra.plugin.fs.ftp.Upload"]


class Uploads(FtpConnected, UploadsTask):
    """Upload several files to a folder."""

    type: Literal["io.kestra.plugin.fs.ftp.Uploads"]


class Download(FtpConnected, DownloadTask):
    """Download a file."""

    type: Literal["io.kestra.plugin.fs.ftp.Download"]


class List(FtpConnected, ListTask):
    """List a folder."""

    type: Literal["io.kestra.plugin.fs.ftp.List"]


class Downloads(FtpConnected, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    type: Literal["io.kestra.plugin.fs.ftp.Downloads"]


class Trigger(FtpConnected, ArrivalTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    taking = Downloads
    type: Literal["io.kestra.plugin.fs.ftp.Trigger"]


class Delete(FtpConnected, DeleteTask):
    """Delete a file."""

    type: Literal["io.kestra.plugin.fs.ftp.Delete"]


class Move(FtpConnected, MoveTask):
    """Move or rename a file."""

    type: Literal["io.kestra.plugin.fs.ftp.Move"]
