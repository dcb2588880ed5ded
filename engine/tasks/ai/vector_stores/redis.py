"""`io.kestra.plugin.ai.embeddings`: vectors in Redis."""

import json
import re
import uuid
from array import array
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import Text
from engine.tasks.redis_task import RedisConnected

AT_ONCE = 100
GLOB, ESCAPED = re.compile(r"[*?\[\]^\\]"), r"\\\g<0>"  # what it takes for a pattern


class Redis(EmbeddingStore):
    """An index of a Redis server that searches (Redis 8, or Redis Stack), which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Redis
host: redis.example.com
port: 6379
indexName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Redis"]
    host: Property[Text]
    port: Property[int] = 6379
    index_name: Property[Text] = "embedding-index"

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        async with self._server.redis(context, raw=True) as client:
            prefix = await self._prefix(client)
            if drop and prefix is not None:
                if not prefix:
                    raise TaskFailed(
                        f"The index {self.index_name} of Redis is one of all keys; `drop` would delete them all.",
                        fix="Leave out `drop`, or name an index whose keys begin with something of its own.",
                    )
                keys = [key async for key in client.scan_iter(match=f"{GLOB.sub(ESCAPED, prefix)}*", count=AT_ONCE)]
                for begin in range(0, len(keys), AT_ONCE):
                    await client.delete(*keys[begin : begin + AT_ONCE])
            if segments and prefix is None:
                prefix = "embedding:" if self.index_name == "embedding-index" else f"{self.index_name}:"
                vector = ["HNSW", 6, "TYPE", "FLOAT32", "DIM", len(segments[0].vector), "DISTANCE_METRIC", "COSINE"]
                schema = ["SCHEMA", "$.text", "AS", "text", "TEXT", "$.vector", "AS", "vector", "VECTOR", *vector]
                await client.execute_command("FT.CREATE", self.index_name, "ON", "JSON", "PREFIX", 1, prefix, *schema)
            for begin in range(0, len(segments), AT_ONCE):
                many = client.pipeline(transaction=False)
                for one in segments[begin : begin + AT_ONCE]:
                    kept = {**one.metadata, "text": one.text, "vector": list(one.vector)}
                    many.execute_command("JSON.SET", f"{prefix}{uuid.uuid4()}", "$", json.dumps(kept))
                await many.execute()
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        given = ["PARAMS", 2, "BLOB", array("f", vector).tobytes()]
        asked = [f"*=>[KNN {most} @vector $BLOB AS vector_score]", *given, "SORTBY", "vector_score", "ASC"]
        async with self._server.redis(context, raw=True) as client:
            told = await client.execute_command("FT.SEARCH", self.index_name, *asked, "LIMIT", 0, most, "DIALECT", 2)
        rows = [_pairs(row) for row in told[2::2]]
        kept = [json.loads(row["$"]) for row in rows if 1 - float(row["vector_score"]) / 2 >= least]
        return [Segment(str(one.pop("text", "")), one.pop("vector"), one) for one in kept]

    async def _prefix(self, client: Any) -> str | None:
        """What the keys of the index begin with; None when there is no index."""
        if self.index_name.encode() not in await client.execute_command("FT._LIST"):
            return None
        about = _pairs(await client.execute_command("FT.INFO", self.index_name))
        prefixes = _pairs(about["index_definition"])["prefixes"]
        return str(prefixes[0].decode())

    @property
    def _server(self) -> RedisConnected:
        url = self.host if "://" in self.host else f"redis://{self.host}:{self.port}"
        return RedisConnected(url=f"{url}{'&' if '?' in url else '?'}protocol=2")  # whose answers are lists


def _pairs(flat: Sequence[Any]) -> dict[str, Any]:
    """A list of names and values as a map."""
    return {str(name.decode()): value for name, value in zip(flat[::2], flat[1::2], strict=False)}
