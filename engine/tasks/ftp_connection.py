"""Files over FTP, in the clear or over TLS: a client with the acts of SFTP's, in a thread."""

import ftplib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from engine.core.durations import Duration
from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.remote_tasks import NO_PROXY, Remote
from engine.tasks.threads import in_own_thread

R = TypeVar("R")
PATIENCE = 30  # seconds for a connection, and for each answer
FOLDER, FILE = 2, 1
UNIX = re.compile(
    r"(?P<kind>[-dl])[rwxsStT-]{9}\S*\s+\d+\s+\S+\s+\S+\s+(?P<size>\d+)\s+(?P<when>\w{3}\s+\d+\s+[\d:]+)\s(?P<name>.+)"
)
WINDOWS = re.compile(r"(?P<when>\d\d-\d\d-\d{2,4}\s+\d\d:\d\d[AP]M)\s+(?P<size><DIR>|\d+)\s+(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is told of a file, as SFTP tells it."""

    type: int
    size: int
    mtime: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder in a folder."""

    filename: str
    attrs: Attributes


class FtpOptions(Part):
    """How long is waited for the machine; 0 is for ever."""

    connection_timeout: Duration | None = Field(default=None, description="For a connection; 30 s unless given.")
    socket_timeout: Duration | None = Field(default=None, description="For each answer; 30 s unless given.")
    data_timeout: Duration | None = Field(default=None, description="For more of a file; 30 s unless given.")
    control_keep_alive_timeout: Duration | None = Field(
        default=None, description="After so much silence while a file is on its way TCP asks whether all is well."
    )
    control_keep_alive_reply_timeout: Duration | None = Field(
        default=None, description="Of no effect: TCP knows how long to wait for its answer."
    )


class FtpConnected(Remote):
    """Which machine, and who we are to it."""

    usual_port: ClassVar[int] = 21
    reached = """host: files.example.com\nusername: shop\npassword: "{{ secret('FTP_PASSWORD') }}"\n"""
    host: Property[Text]
    port: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    root_dir: Property[bool] = Field(default=True, description="Whether `/` means the user's home.")
    passive_mode: Property[bool] = True
    remote_ip_verification: Property[bool] = True
    proxy_host: Annotated[Property[OptionalText], NO_PROXY] = None
    proxy_port: Property[OptionalText] = None
    proxy_type: Property[OptionalText] = None
    options: Property[FtpOptions | None] = None

    def place(self, path: str) -> str:
        return path.strip().lstrip("/") or "." if self.root_dir else path.strip()

    def made(self) -> ftplib.FTP:
        """A client that is not connected yet."""
        return ftplib.FTP(timeout=self._patience("connection_timeout"), encoding="utf-8")  # noqa: S321 - as asked

    def _patience(self, name: str) -> float | None:
        """Seconds to wait for what an option is about; None is for ever."""
        said: timedelta | None = getattr(self.options, name, None)
        return PATIENCE if said is None else said.total_seconds() or None

    @asynccontextmanager
    async def files(self, context: RunContext) -> AsyncIterator[Any]:
        port = (self.port or "").strip() or str(self.usual_port)
        if not port.isdigit():
            raise TaskFailed(f"`port` {self.port!r} is not a number.", fix=f"Usually it is {self.usual_port}.")
        await check_host(self.host, context.settings)
        if self.password:
            context.mask(self.password)
        client = self.made()
        where = f"{self.host}:{port}"
        try:
            await in_own_thread(lambda: self.sign_in(client, int(port)))
            yield FtpClient(client)
        except ftplib.error_perm as error:
            said = str(error)
            fix = "Check user and password." if said.startswith("530") else "Check the path, and what the user may do."
            raise TaskFailed(f"{where} refused: {said}.", fix=fix) from error
        except ssl.SSLError as error:
            raise TaskFailed(
                f"{where} can't be trusted: {error}.", fix="Set `insecureTrustAllCertificates: true` to do so."
            ) from error
        except (ftplib.Error, OSError, EOFError) as error:
            said = str(error) or type(error).__name__
            raise TaskFailed(f"{where} could not be reached: {said}.", fix="Check host, port and network.") from error
        finally:
            await in_own_thread(lambda: _left(client))

    def sign_in(self, client: ftplib.FTP, port: int) -> None:
        """Connect and say who we are."""
        client.connect(self.host, port)
        sock: socket.socket = client.sock  # type: ignore[assignment]  # there is one now
        sock.settimeout(self._patience("socket_timeout"))
        client.timeout = self._patience("data_timeout")  # of the connections that files come over
        if idle := self.options and self.options.control_keep_alive_timeout:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(idle.total_seconds())))
        client.login(self.username or "anonymous", self.password or "")
        client.set_pasv(self.passive_mode)


class FtpsConnected(FtpConnected):
    """The same over TLS."""

    usual_port: ClassVar[int] = 990
    mode: Property[Literal["EXPLICIT", "IMPLICIT"]] = "EXPLICIT"
    data_channel_protection_level: Property[Literal["C", "S", "E", "P"]] = "P"
    insecure_trust_all_certificates: Property[bool] = False

    def made(self) -> ftplib.FTP:
        tls = ssl.create_default_context()
        if self.insecure_trust_all_certificates:
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        return _Tls(
            timeout=self._patience("connection_timeout"),
            encoding="utf-8",
            context=tls,
            implicit=self.mode == "IMPLICIT",
        )

    def sign_in(self, client: ftplib.FTP, port: int) -> None:
        super().sign_in(client, port)
        if isinstance(client, ftplib.FTP_TLS) and self.data_channel_protection_level == "P":
            client.prot_p()


class _Tls(ftplib.FTP_TLS):
    """FTP over TLS, from the first byte if told to; files come over the session of the commands, as many ask."""

    def __init__(self, *, implicit: bool, **given: Any) -> None:
        super().__init__(**given)
        self._implicit = implicit

    def connect(self, *given: Any, **named: Any) -> str:
        if not self._implicit:
            return super().connect(*given, **named)
        self.host, self.port = given[0], given[1]
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=self.host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def login(self, *given: Any, **named: Any) -> str:
        owner = ftplib.FTP if self._implicit else ftplib.FTP_TLS
        return owner.login(self, *given, **named)

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[Any, int | None]:
        connection, size = super(ftplib.FTP_TLS, self).ntransfercmd(cmd, rest)
        if self._prot_p:  # type: ignore[attr-defined]
            session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
            connection = self.context.wrap_socket(connection, server_hostname=self.host, session=session)
        return connection, size


class FtpClient:
    """FTP with the acts of SFTP's client."""

    def __init__(self, client: ftplib.FTP) -> None:
        self._client = client

    async def readdir(self, folder: str) -> list[Entry]:
        """What is in a folder."""
        return await in_own_thread(lambda: self._listed(folder))

    async def get(self, path: str, target: str) -> None:
        """Fetch a file."""

        def work() -> None:
            with open(target, "wb") as file:  # noqa: PTH123 - in a thread
                self._client.retrbinary(f"RETR {_line(path)}", file.write)

        await in_own_thread(work)

    async def put(self, source: str, target: str) -> None:
        """Write a file."""

        def work() -> None:
            with open(source, "rb") as file:  # noqa: PTH123 - in a thread
                self._client.storbinary(f"STOR {_line(target)}", file)

        await in_own_thread(work)

    async def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return await in_own_thread(lambda: self._kind(path) is not None)

    async def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        return await in_own_thread(lambda: self._kind(path) == FOLDER)

    async def makedirs(self, path: str, *, exist_ok: bool = True) -> None:
        """Make a folder and those it lies in."""

        def work() -> None:
            steps = PurePosixPath(path)
            for folder in reversed([steps, *steps.parents]):
                if str(folder) not in (".", "/") and self._kind(str(folder)) is None:
                    self._client.mkd(_line(str(folder)))

        await in_own_thread(work)

    async def remove(self, path: str) -> None:
        """Delete a file."""
        await in_own_thread(lambda: self._client.delete(_line(path)))

    async def rename(self, path: str, target: str) -> None:
        """Move a file."""
        await in_own_thread(lambda: self._client.rename(_line(path), _line(target)))

    async def rmtree(self, path: str) -> None:
        """Delete a folder and what is in it."""
        await in_own_thread(lambda: self._emptied(path))

    def _emptied(self, folder: str) -> None:
        for one in self._listed(folder):
            if one.filename in (".", ".."):
                continue
            path = f"{folder.rstrip('/')}/{one.filename}"
            if one.attrs.type == FOLDER:
                self._emptied(path)
            else:
                self._client.delete(_line(path))
        self._client.rmd(_line(folder))

    def _listed(self, folder: str) -> list[Entry]:
        try:
            return [_told(name, facts) for name, facts in self._client.mlsd(_line(folder), ["type", "size", "modify"])]
        except ftplib.error_perm as error:
            if not str(error).startswith(("500", "501", "502", "504")):  # it has no such command
                raise
        lines: list[str] = []
        self._client.retrlines(f"LIST {_line(folder)}", lines.append)
        return [found for line in lines if (found := entry_of(line, datetime.now(UTC))) is not None]

    def _kind(self, path: str) -> int | None:
        """What there is at a path, nothing if nothing is."""
        home = self._client.pwd()
        try:
            self._client.cwd(_line(path))
        except ftplib.error_perm:
            pass
        else:
            self._client.cwd(home)
            return FOLDER
        name = PurePosixPath(path).name
        try:
            there = self._listed(str(PurePosixPath(path).parent))
        except ftplib.error_perm:
            return None
        return next((FILE for one in there if one.filename == name), None)


def entry_of(line: str, now: datetime) -> Entry | None:
    """A line of a listing as servers for Unix and Windows write it; None when it is none."""
    if found := UNIX.match(line):
        name = found["name"].partition(" -> ")[0] if found["kind"] == "l" else found["name"]
        kind = FOLDER if found["kind"] == "d" else FILE
        return Entry(name, Attributes(kind, int(found["size"]), _unix_moment(found["when"], now)))
    if found := WINDOWS.match(line):
        is_folder = found["size"] == "<DIR>"
        pattern = "%m-%d-%y %I:%M%p" if len(found["when"].split()[0]) == len("01-02-26") else "%m-%d-%Y %I:%M%p"
        moment = datetime.strptime(" ".join(found["when"].split()), pattern).replace(tzinfo=UTC).timestamp()
        return Entry(
            found["name"], Attributes(FOLDER if is_folder else FILE, 0 if is_folder else int(found["size"]), moment)
        )
    return None


def _unix_moment(text: str, now: datetime) -> float | None:
    """`Nov 28 2025` or `Nov 28 10:00`, which is of the last twelve months."""
    month, day, last = text.split()
    with suppress(ValueError):
        if ":" not in last:
            return datetime.strptime(f"{month} {day} {last}", "%b %d %Y").replace(tzinfo=UTC).timestamp()
        for year in (now.year, now.year - 1):
            moment = datetime.strptime(f"{year} {month} {day} {last}", "%Y %b %d %H:%M").replace(tzinfo=UTC)
            if (moment - now).days < 1:
                return moment.timestamp()
    return None


def _told(name: str, facts: dict[str, str]) -> Entry:
    """A file as MLSD tells of it."""
    kind = FOLDER if facts.get("type", "file").lower() in ("dir", "cdir", "pdir") else FILE
    moment = None
    with suppress(ValueError):
        moment = datetime.strptime(facts.get("modify", "")[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    own = {"cdir": ".", "pdir": ".."}.get(facts.get("type", "").lower(), name)
    return Entry(own, Attributes(kind, int(facts.get("size") or 0), moment))


def _line(path: str) -> str:
    """A path as part of a command; TaskFailed when it would be more than that."""
    if any(character in path for character in "\r\n\0"):
        raise TaskFailed(f"The path {path!r} holds a line break.", fix="Check the expression that makes it.")
    return path


def _left(client: ftplib.FTP) -> None:
    with suppress(ftplib.Error, OSError, EOFError):
        if client.sock is not None:
            client.quit()
    client.close()
