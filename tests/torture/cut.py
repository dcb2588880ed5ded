"""A TCP proxy of our own in front of PostgreSQL: it can stop forwarding, as a network does, and forward again."""

import asyncio
import contextlib
from urllib.parse import parse_qs, urlsplit, urlunsplit


class Cable:
    """What lies between one process and the database. Whoever is cut off is told nothing: bytes just do not arrive."""

    def __init__(self, address: str) -> None:
        self._to = urlsplit(address)
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.held = 0  # bytes that came while it was cut …
        self.kept_out = 0  # … and connections that somebody wanted then

    async def __aenter__(self) -> "Cable":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def address(self) -> str:
        """The address of the database through it."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        user = self._to.username or "postgres"
        secret = f":{self._to.password}" if self._to.password else ""
        return urlunsplit(("postgresql", f"{user}{secret}@{host}:{port}", self._to.path, "", ""))

    def cut(self) -> None:
        """Forward nothing more."""
        self._whole.clear()

    def mend(self) -> None:
        """Forward again, first what came meanwhile."""
        self._whole.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.kept_out += not self._whole.is_set()
        await self._whole.wait()
        folder = parse_qs(self._to.query).get("host")
        try:
            if folder:
                there = await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.{self._to.port or 5432}")
            else:
                there = await asyncio.open_connection(self._to.hostname, self._to.port or 5432)
        except OSError:  # the server is away: so are we
            writer.close()
            return
        for source, target in ((reader, there[1]), (there[0], writer)):
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not self._whole.is_set():
                    self.held += len(data)
                    await self._whole.wait()
                target.write(data)
                await target.drain()
        target.close()
