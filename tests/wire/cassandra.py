"""A node of Cassandra, as far as its own driver looks: version 4 of the native protocol, answers by statement."""

import socketserver
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.wire.tcp import listening

TEXT, NUMBER, UUID, ADDRESS = 0x0D, 0x09, 0x0C, 0x10
ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED, QUERY, RESULT, REGISTER = 0, 1, 2, 3, 5, 6, 7, 8, 11
AUTH_RESPONSE, AUTH_SUCCESS = 15, 16
HOST = uuid.UUID(int=7)
LOCAL = [
    ("key", TEXT, "local"),
    ("cluster_name", TEXT, "test"),
    ("data_center", TEXT, "dc1"),
    ("rack", TEXT, "r1"),
    ("partitioner", TEXT, "org.apache.cassandra.dht.Murmur3Partitioner"),
    ("release_version", TEXT, "4.1.0"),
    ("host_id", UUID, HOST),
    ("schema_version", UUID, HOST),
    ("rpc_address", ADDRESS, b"\x7f\0\0\1"),
    ("broadcast_address", ADDRESS, b"\x7f\0\0\1"),
]


def _text(value: str) -> bytes:
    return struct.pack(">H", len(value.encode())) + value.encode()


def _cell(value: Any) -> bytes:
    if value is None:
        return struct.pack(">i", -1)
    data = struct.pack(">i", value) if isinstance(value, int) else getattr(value, "bytes", value)
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">i", len(data)) + data


def rows(columns: list[tuple[str, int]], found: list[list[Any]]) -> bytes:
    """The body of a result with rows."""
    head = struct.pack(">iii", 2, 1, len(columns)) + _text("ks") + _text("t")
    head += b"".join(_text(name) + struct.pack(">H", kind) for name, kind in columns)
    return head + struct.pack(">i", len(found)) + b"".join(_cell(value) for row in found for value in row)


class Node:
    """`answers`: statement → its columns and rows. What is not there is refused as Cassandra does."""

    def __init__(self, password: str) -> None:
        self.answers: dict[str, tuple[list[tuple[str, int]], list[list[Any]]]] = {}
        self.statements: list[str] = []
        self.password = password
        self.port = 0

    def answer(self, kind: int, body: bytes) -> tuple[int, bytes]:
        if kind == OPTIONS:
            versions = _text("CQL_VERSION") + struct.pack(">H", 1) + _text("3.4.5")
            return SUPPORTED, struct.pack(">H", 2) + versions + _text("COMPRESSION") + struct.pack(">H", 0)
        if kind == STARTUP:
            return AUTHENTICATE, _text("org.apache.cassandra.auth.PasswordAuthenticator")
        if kind == AUTH_RESPONSE:
            if body[4:] == f"\0flows\0{self.password}".encode():
                return AUTH_SUCCESS, struct.pack(">i", -1)
            return ERROR, struct.pack(">i", 0x0100) + _text("Provided username flows and/or password are incorrect")
        return self._asked(body) if kind == QUERY else (READY, b"")

    def _asked(self, body: bytes) -> tuple[int, bytes]:
        size = struct.unpack(">i", body[:4])[0]
        statement = body[4 : 4 + size].decode()
        if "system.local" in statement:
            return RESULT, rows([one[:2] for one in LOCAL], [[one[2] for one in LOCAL]])
        if "system.peers" in statement:
            return RESULT, rows([("peer", ADDRESS)], [])
        self.statements.append(statement)
        if statement.startswith("INSERT"):
            return RESULT, struct.pack(">i", 1)
        if statement not in self.answers:
            return ERROR, struct.pack(">i", 0x2000) + _text("line 1:0 no viable alternative at input")
        return RESULT, rows(*self.answers[statement])


@contextmanager
def cassandra_node(password: str) -> Iterator[Node]:
    """A running node."""
    node = Node(password)

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.read(9):
                version, _, stream, kind, size = struct.unpack(">BBhBi", head)
                body = self.rfile.read(size)
                if version != 4:
                    said = struct.pack(">i", 0x000A) + _text("Invalid or unsupported protocol version")
                    kind, body = ERROR, said
                else:
                    kind, body = node.answer(kind, body)
                self.wfile.write(struct.pack(">BBhBi", 0x84, 0, stream, kind, len(body)) + body)
                self.wfile.flush()

    with listening(Connection) as node.port:
        yield node
