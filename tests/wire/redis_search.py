"""A server that searches documents, by the protocol of Redis."""

import asyncio
import json
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from tests.wire.vectors import Vectors


class Documents:
    """JSON by its key, and the prefix of each index."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.indexes: dict[str, bytes] = {}

    def answer(self, words: list[bytes]) -> Any:
        name = words[0].decode().replace(".", "_").lower()
        return getattr(self, f"do_{name}", lambda words: None)(words)

    def do_ft__list(self, words: list[bytes]) -> Any:
        return [index.encode() for index in self.indexes]

    def do_ft_info(self, words: list[bytes]) -> Any:
        prefixes = [b"key_type", b"JSON", b"prefixes", [self.indexes[words[1].decode()]]]
        return [b"index_name", words[1], b"index_definition", prefixes]

    def do_ft_create(self, words: list[bytes]) -> Any:
        assert words[2:6] == [b"ON", b"JSON", b"PREFIX", b"1"]
        assert words[-8:] == [b"HNSW", b"6", b"TYPE", b"FLOAT32", b"DIM", b"2", b"DISTANCE_METRIC", b"COSINE"]
        self.indexes[words[1].decode()] = words[6]

    def do_json_set(self, words: list[bytes]) -> Any:
        self.kept[words[1]] = words[3]

    def do_scan(self, words: list[bytes]) -> Any:
        steps = [re.escape(one[1:] or one) if one != b"*" else b".*" for one in re.findall(rb"\\?.", words[3])]
        return [b"0", [key for key in self.kept if re.fullmatch(b"".join(steps), key)]]

    def do_del(self, words: list[bytes]) -> Any:
        for key in words[1:]:
            del self.kept[key]
        return len(words) - 1

    def do_ft_search(self, words: list[bytes]) -> Any:
        vectors = Vectors()
        prefix = self.indexes[words[1].decode()]
        own = {key: doc for key, doc in self.kept.items() if key.startswith(prefix)}
        vectors.points = [(json.loads(doc)["vector"], key) for key, doc in own.items()]
        asked = struct.unpack("2f", words[words.index(b"BLOB") + 1])
        found = vectors.nearest(asked, int(words[words.index(b"LIMIT") + 2]))
        rows: list[Any] = [len(found)]
        for score, (_, key) in found:
            rows += [key, [b"vector_score", str(1 - score).encode(), b"$", own[key]]]
        return rows


def coded(value: Any) -> bytes:
    """A value as the protocol writes it; None is done."""
    if value is None:
        return b"+OK\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return b"*%d\r\n%s" % (len(value), b"".join(map(coded, value)))


@asynccontextmanager
async def searching() -> AsyncIterator[tuple[int, Documents]]:
    """The port, and what the server keeps."""
    documents = Documents()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):  # also when the test ends before we see that the client is gone
            while head := await reader.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                writer.write(coded(documents.answer(words)))
                await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], documents
    finally:
        server.close()
