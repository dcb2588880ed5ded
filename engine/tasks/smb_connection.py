"""Files on shares of Windows and Samba servers: a client with the acts of SFTP's, in a thread."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.extras import extra
from engine.tasks.ftp_connection import FILE, FOLDER, Attributes, Entry
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.remote_tasks import Remote
from engine.tasks.threads import in_own_thread

R = TypeVar("R")
PATIENCE = 30  # seconds for a connection


class SmbConnected(Remote):
    """Which machine, and who we are to it. Paths begin with the name of a share."""

    reached = """host: files.example.com\nusername: shop\npassword: "{{ secret('SMB_PASSWORD') }}"\n"""
    host: Property[Text]
    port: Property[Text] = "445"
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None

    def place(self, path: str) -> str:
        return path.strip().replace("\\", "/").strip("/")

    @asynccontextmanager
    async def files(self, context: RunContext) -> AsyncIterator[Any]:
        smb, refusals = extra("smbclient", "smb"), extra("smbprotocol.exceptions", "smb")
        if not self.port.strip().isdigit():
            raise TaskFailed(f"`port` {self.port!r} is not a number.", fix="Usually it is 445.")
        if not self.username:
            raise TaskFailed("It is not said who asks.", fix="Give `username` and `password`.")
        await check_host(self.host, context.settings)
        if self.password:
            context.mask(self.password)
        known: dict[str, Any] = {}
        who = {
            "username": self.username,
            "password": self.password or "",
            "port": int(self.port),
            "connection_cache": known,
            "connection_timeout": PATIENCE,
        }
        where = f"{self.host}:{self.port}"
        try:
            await in_own_thread(partial(smb.register_session, self.host, **who))
            yield SmbClient(smb, self.host, who)
        except (refusals.SMBAuthenticationError, refusals.LogonFailure) as error:
            raise TaskFailed(f"{where} refused {self.username}.", fix="Check user and password.") from error
        except (refusals.SMBException, OSError) as error:
            said = (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
            named = getattr(error, "filename", None)
            told = f"{named}: {said}" if named else said
            raise TaskFailed(f"{where} refused: {told}.", fix="Check the path, and what the user may do.") from error
        except ValueError as error:  # how it says that nobody answers
            raise TaskFailed(f"{where} could not be reached: {error}.", fix="Check host, port and network.") from error
        finally:
            with suppress(Exception):  # whatever a server says when one leaves
                await in_own_thread(partial(smb.reset_connection_cache, fail_on_error=False, connection_cache=known))


class SmbClient:
    """SMB with the acts of SFTP's client."""

    def __init__(self, smb: Any, host: str, who: dict[str, Any]) -> None:
        self._smb, self._host, self._who = smb, host, who
        self._shutil = extra("smbclient.shutil", "smb")

    async def readdir(self, folder: str) -> list[Entry]:
        """What is in a folder."""

        def work() -> list[Entry]:
            found = []
            for one in self._smb.scandir(self._unc(folder), **self._who):
                facts, kind = one.smb_info, FOLDER if one.is_dir() else FILE
                found.append(Entry(one.name, Attributes(kind, facts.end_of_file, facts.last_write_time.timestamp())))
            return found

        return await in_own_thread(work)

    async def get(self, path: str, target: str) -> None:
        """Fetch a file."""
        await self._do(self._shutil.copyfile, self._unc(path), target)

    async def put(self, source: str, target: str) -> None:
        """Write a file."""
        await self._do(self._shutil.copyfile, source, self._unc(target))

    async def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return bool(await self._do(self._smb.path.exists, self._unc(path)))

    async def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        return bool(await self._do(self._smb.path.isdir, self._unc(path)))

    async def makedirs(self, path: str, *, exist_ok: bool = True) -> None:
        """Make a folder and those it lies in."""
        if len(PurePosixPath(path).parts) > 1:  # a share is there or is not
            await self._do(partial(self._smb.makedirs, exist_ok=exist_ok), self._unc(path))

    async def remove(self, path: str) -> None:
        """Delete a file."""
        await self._do(self._smb.remove, self._unc(path))

    async def rename(self, path: str, target: str) -> None:
        """Move a file; to another share it is copied."""
        if PurePosixPath(path).parts[0] == PurePosixPath(target).parts[0]:
            await self._do(self._smb.rename, self._unc(path), self._unc(target))
        else:
            await self._do(self._shutil.copyfile, self._unc(path), self._unc(target))
            await self.remove(path)

    async def rmtree(self, path: str) -> None:
        """Delete a folder and what is in it."""
        await self._do(self._shutil.rmtree, self._unc(path))

    async def _do(self, act: Callable[..., R], *paths: str) -> R:
        return await in_own_thread(partial(act, *paths, **self._who))

    def _unc(self, path: str) -> str:
        """A path as Windows writes it; TaskFailed when it names no share, or climbs out of one."""
        parts = PurePosixPath(path).parts
        if not parts or not {".", ".."}.isdisjoint(parts):
            raise TaskFailed(f"{path!r} is no path on a share.", fix="Begin with the share's name: /share/folder/file.")
        return "\\\\" + "\\".join((self._host, *parts))
