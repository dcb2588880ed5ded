"""`io.kestra.plugin.ai.embeddings`: vectors in Milvus."""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import OptionalInteger, OptionalText, Text

AT_ONCE = 200
PORT = 19530


class Milvus(EmbeddingStore):
    """A collection of Milvus, which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Milvus
uri: http://milvus.example.com:19530
token: "{{ secret('MILVUS_TOKEN') }}"
collectionName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Milvus"]
    token: Property[OptionalText] = None
    uri: Property[OptionalText] = Field(default=None, description="Or `host` and `port`.")
    host: Property[OptionalText] = Field(default=None, description="`localhost` unless said.")
    port: Property[OptionalInteger] = Field(default=None, description="19530 unless said.")
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    collection_name: Property[OptionalText] = Field(default=None, description="`default` unless said.")
    consistency_level: Property[Text] = "EVENTUALLY"
    index_type: Property[Text] = "FLAT"
    metric_type: Property[Literal["COSINE", "IP", "L2"]] = "COSINE"
    retrieve_embeddings_on_search: Property[bool] = False
    database_name: Property[OptionalText] = None
    auto_flush_on_insert: Property[bool] = False
    auto_flush_on_delete: Property[bool] = False
    id_field_name: Property[OptionalText] = None
    text_field_name: Property[OptionalText] = None
    metadata_field_name: Property[OptionalText] = None
    vector_field_name: Property[OptionalText] = None

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        there = rest_service.held(await self._ask(context, "collections/has"), "Milvus", "has")
        if there and drop:
            await self._ask(context, "collections/drop")
        if segments and (drop or not there):
            await self._ask(context, "collections/create", **self._described(len(segments[0].vector)))
        key, text, about, vector = self._fields
        for begin in range(0, len(segments), AT_ONCE):
            rows = [
                {key: str(uuid.uuid4()), text: one.text, about: one.metadata, vector: list(one.vector)}
                for one in segments[begin : begin + AT_ONCE]
            ]
            await self._ask(context, "entities/insert", data=rows)
        if segments and self.auto_flush_on_insert:
            await self._ask(context, "collections/flush")
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        _, text, about, at = self._fields
        wanted = [text, about, *([at] if self.retrieve_embeddings_on_search else [])]
        asked: dict[str, Any] = {"data": [list(vector)], "annsField": at, "limit": most, "outputFields": wanted}
        asked["consistencyLevel"] = self.consistency_level.capitalize()
        rows = await self._ask(context, "entities/search", **asked) or []
        near = [row for row in rows if self._score(row["distance"]) >= least]
        return [Segment(str(row.get(text) or ""), row.get(at) or [], _document(row.get(about))) for row in near]

    def _score(self, distance: float) -> float:
        """How near a row is, from 0 to 1; Milvus tells a likeness, of L2 a distance."""
        return 1 / (1 + distance) if self.metric_type == "L2" else (1 + distance) / 2

    @property
    def _fields(self) -> tuple[str, str, str, str]:
        """What the columns are called: id, text, metadata, vector."""
        given = (self.id_field_name, self.text_field_name, self.metadata_field_name, self.vector_field_name)
        key, text, about, vector = (
            name or usual for name, usual in zip(given, ("id", "text", "metadata", "vector"), strict=True)
        )
        return key, text, about, vector

    def _described(self, size: int) -> dict[str, Any]:
        key, text, about, vector = self._fields
        fields = [
            {"fieldName": key, "dataType": "VarChar", "isPrimary": True, "elementTypeParams": {"max_length": "36"}},
            {"fieldName": text, "dataType": "VarChar", "elementTypeParams": {"max_length": "65535"}},
            {"fieldName": about, "dataType": "JSON"},
            {"fieldName": vector, "dataType": "FloatVector", "elementTypeParams": {"dim": str(size)}},
        ]
        index = {"fieldName": vector, "indexName": vector, "metricType": self.metric_type, "indexType": self.index_type}
        schema = {"autoId": False, "enableDynamicField": False, "fields": fields}
        params = {"consistencyLevel": self.consistency_level.capitalize()}
        return {"schema": schema, "indexParams": [index], "params": params}

    async def _ask(self, context: RunContext, what: str, **given: Any) -> Any:
        key = self.token or (f"{self.username}:{self.password or ''}" if self.username else "")
        for secret in filter(None, (self.token, self.password)):
            context.mask(secret)
        body = {"collectionName": self.collection_name or "default", **given}
        if self.database_name:
            body["dbName"] = self.database_name
        base = self.uri or f"http://{self.host or 'localhost'}:{self.port or PORT}"
        url = f"{re.sub(r'^milvus://', 'http://', base.rstrip('/'))}/v2/vectordb/{what}"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        told = await rest_service.mapping(context, "Milvus", "POST", url, headers=headers, json=body)
        if told.get("code", 0) not in (0, 200):  # which comes with the status 200
            raise TaskFailed(f"Milvus refused {what}: {told.get('message') or told['code']}")
        return told.get("data")


def _document(kept: Any) -> dict[str, Any]:
    """Metadata as Milvus gives it: a map, or JSON text of one."""
    found = json.loads(kept) if isinstance(kept, str) else kept
    return dict(found or {})
