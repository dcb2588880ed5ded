"""A server that speaks MySQL's protocol on loopback; SQLite does the SQL. KILL ends a statement that waits."""

import asyncio
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mysql_mimic import IdentityProvider, MysqlServer, NativePasswordAuthPlugin, Session, User

from tests.wire.tcp import close


class People(IdentityProvider):
    """One person with a password."""

    def get_plugins(self) -> list[Any]:
        return [NativePasswordAuthPlugin()]

    def get_default_plugin(self) -> Any:
        return self.get_plugins()[0]

    async def get_user(self, username: str) -> User | None:
        if username != "ann":
            return None
        return User(name="ann", auth_string=NativePasswordAuthPlugin.create_auth_string("s3cret"))


LOAD = re.compile(r"LOAD DATA LOCAL INFILE '(.*)' INTO TABLE (\w+)")
INDEXES = re.compile(r", (VECTOR )?INDEX [^()]*\([^()]*\)( M=\d+ DISTANCE=\w+)?")  # which SQLite makes elsewhere


@contextmanager
def mysql(
    functions: Mapping[str, Callable[..., Any]] | None = None, *, curious: str = ""
) -> Iterator[tuple[int, list[str]]]:
    """The port, and the statements as they came; statements may call `functions`.

    `LOAD DATA LOCAL INFILE 'path' INTO TABLE t` puts the lines of the client's file into a table, a text a row; a
    `curious` server asks for a file of its own choice instead.
    """
    heard: list[str] = []
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for name, function in {"UUID": lambda: str(uuid.uuid4()), **(functions or {})}.items():
        database.create_function(name, -1, function)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    port: list[int] = []
    servers: list[MysqlServer] = []

    class Rows(Session):
        async def handle_query(self, sql: str, attrs: dict[str, str]) -> Any:
            heard.append(sql)
            if sql.upper().startswith(("SET ", "KILL ")):
                return await super().handle_query(sql, attrs)
            if sql.upper() == "COMMIT":
                return [], []
            if load := LOAD.match(sql):
                stream, lines = self.connection.stream, b""
                await stream.write(b"\xfb" + (curious or load[1]).encode())
                while piece := await stream.read():
                    lines += piece
                database.executemany(f"insert into {load[2]} values (?)", [(one,) for one in lines.decode().split()])
                return [], []
            cursor = database.execute(INDEXES.sub("", sql).replace(r"\'", "''").replace(r"\"", '"'))
            if cursor.description is None:
                return [], []
            return cursor.fetchall(), [column[0] for column in cursor.description]

    async def serve() -> None:
        server = MysqlServer(session_factory=Rows, identity_provider=People())
        await server.start_server(host="127.0.0.1", port=0)
        servers.append(server)
        port.append(server._server.sockets[0].getsockname()[1])
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()
        servers[0].close()
        close(loop)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield port[0], heard
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        database.close()
