"""`io.kestra.plugin.fs.smb`: files on shares of Windows and Samba servers. Paths begin with the name of a share."""

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
from engine.tasks.smb_connection import SmbConnected


class Upload(SmbConnected, UploadTask):
    """Upload a file."""

    type: Literal["io.kestra.plugin.fs.smb.Upload"]


class Uploads(SmbConnected, UploadsTask):
    """Upload several files to a folder."""

    type: Literal["io.kestra.plugin.fs.smb.Uploads"]


class Download(SmbConnected, DownloadTask):
    """Download a file."""

    type: Literal["io.kestra.plugin.fs.smb.Download"]


class List(SmbConnected, ListTask):
    """List a folder."""

    type: Literal["io.kestra.plugin.fs.smb.List"]


class Downloads(SmbConnected, DownloadsTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    type: Literal["io.kestra.plugin.fs.smb.Downloads"]


class Trigger(SmbConnected, ArrivalTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    taking = Downloads
    type: Literal["io.kestra.plugin.fs.smb.Trigger"]


class Delete(SmbConnected, DeleteTask):
    """Delete a file."""

    type: Literal["io.kestra.plugin.fs.smb.Delete"]


class Move(SmbConnected, MoveTask):
    """Move or rename a file."""

    type: Literal["io.kestra.plugin.fs.smb.Move"]
