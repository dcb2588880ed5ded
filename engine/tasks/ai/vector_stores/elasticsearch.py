"""`io.kestra.plugin.ai.embeddings`: vectors in Elasticsearch."""

import json
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.elasticsearch_cluster import Connection, name_of
from engine.tasks.property_types import Text

AT_ONCE = 100
MOST_CANDIDATES = 10_000  # that it looks at


class Elasticsearch(EmbeddingStore):
    """An index of Elasticsearch (8.15 or newer), which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Elasticsearch
connection:
  hosts: [https://search.example.com:9200]
  basicAuth:
    username: flows
    password: "{{ secret('ELASTIC_PASSWORD') }}"
indexName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Elasticsearch"]
    connection: Connection
    index_name: Property[Text]

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        there, index = await self._is_there(context), name_of(self.index_name)
        if drop and there:
            await self.connection.ask(context, "DELETE", index)
        if segments and (drop or not there):
            vector = {"type": "dense_vector", "dims": len(segments[0].vector), "index": True, "similarity": "cosine"}
            properties = {"vector": vector, "text": {"type": "text"}}
            await self.connection.ask(context, "PUT", index, json={"mappings": {"properties": properties}})
        for begin in range(0, len(segments), AT_ONCE):
            lines = []
            for one in segments[begin : begin + AT_ONCE]:
                lines.append(json.dumps({"index": {"_index": self.index_name, "_id": str(uuid.uuid4())}}))
                lines.append(json.dumps({"vector": list(one.vector), "text": one.text, "metadata": one.metadata}))
            await self.connection.carried_out(context, "".join(f"{line}\n" for line in lines))
        if segments:
            await self.connection.ask(context, "POST", f"{index}/_refresh")
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        looked_at = min(max(10 * most, 100), MOST_CANDIDATES)
        near = {"field": "vector", "query_vector": list(vector), "k": most, "num_candidates": looked_at}
        asked = {"knn": near, "size": most, "min_score": least}
        path = f"{name_of(self.index_name)}/_search"
        found = await self.connection.ask(context, "POST", path, json=asked)
        kept = [one.get("_source") or {} for one in rest_service.held(found, "Elasticsearch", "hits", "hits")]
        return [Segment(str(one.get("text") or ""), one.get("vector") or [], one.get("metadata") or {}) for one in kept]

    async def _is_there(self, context: RunContext) -> bool:
        try:
            await self.connection.answer(context, "HEAD", name_of(self.index_name))
        except TaskFailed as error:
            if " answered 404" in error.message:
                return False
            raise
        return True
