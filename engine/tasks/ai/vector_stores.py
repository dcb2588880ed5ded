"""`io.kestra.plugin.ai.embeddings`: vectors in PostgreSQL with pgvector, in Qdrant and in Chroma."""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.jdbc import postgresql
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.sql_task import AllFetched

TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
GRPC, HTTP = 6334, 6333  # of Qdrant; flows name the port of the one, we speak the other
AT_ONCE = 500


class PGVector(EmbeddingStore):
    """A table of PostgreSQL, with the extension pgvector."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.PGVector
host: db.example.com
port: 5432
user: flows
password: "{{ secret('DB_PASSWORD') }}"
database: handbook
table: embeddings
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.PGVector"]
    host: Property[Text]
    port: Property[int] = 5432
    user: Property[Text]
    password: Property[Text]
    database: Property[Text]
    table: Property[Text]
    use_index: Property[bool] = Field(default=False, description="An HNSW index: quick, and right without training.")

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        table = self._table
        sql = ["CREATE EXTENSION IF NOT EXISTS vector"]
        if drop:
            sql.append(f"DROP TABLE IF EXISTS {table}")
        if segments:
            sql.append(
                f"CREATE TABLE IF NOT EXISTS {table} (embedding_id UUID PRIMARY KEY, "
                f"embedding vector({len(segments[0].vector)}), text TEXT NULL, metadata JSON NULL)"
            )
            if self.use_index:
                name = table.replace(".", "_")
                sql.append(
                    f"CREATE INDEX IF NOT EXISTS {name}_hnsw ON {table} USING hnsw (embedding vector_cosine_ops)"
                )
            sql.append(
                f"INSERT INTO {table} SELECT gen_random_uuid(), CAST(CAST(r->'v' AS text) AS vector), r->>'t', r->'m' "  # noqa: S608
                "FROM json_array_elements(CAST(:rows AS json)) AS r"
            )
        rows = [{"v": list(one.vector), "t": one.text, "m": one.metadata} for one in segments]
        await self._run(context, ";\n".join(sql), {"rows": json.dumps(rows, ensure_ascii=False)})
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        near = "(2 - (embedding <=> CAST(:v AS vector))) / 2"
        sql = (
            f"SELECT text, metadata, embedding::text AS vector FROM {self._table} WHERE {near} >= :least "  # noqa: S608
            "ORDER BY embedding <=> CAST(:v AS vector) LIMIT :most"
        )
        given = {"v": json.dumps(list(vector)), "least": least, "most": most}
        rows = (await self._run(context, sql, given)).outputs[0].rows or []
        return [Segment(row["text"], json.loads(row["vector"]), row["metadata"] or {}) for row in rows]

    @property
    def _table(self) -> str:
        if not TABLE.fullmatch(self.table):
            raise TaskFailed(f"`table` {self.table!r} is no name of a table.", fix="Letters, digits and `_`.")
        return self.table

    async def _run(self, context: RunContext, sql: str, parameters: dict[str, Any]) -> AllFetched:
        url = f"jdbc:postgresql://{quote(self.host, safe=':[]')}:{self.port}/{self.database}"
        call: dict[str, Any] = {
            "id": "store",
            "type": postgresql.Queries.type_names()[0],
            "url": url,
            "fetchType": "FETCH",
        }
        call |= {
            "username": self.user,
            "password": self.password,
            "sql": sql,
            "parameters": parameters,
            "fetchType": "FETCH",
        }
        return await postgresql.Queries.model_validate(call, context={"rendered": True}).run(context)


class Qdrant(EmbeddingStore):
    """A collection of Qdrant, through its REST API."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Qdrant
host: qdrant.example.com
port: 6333
apiKey: "{{ secret('QDRANT_API_KEY') }}"
collectionName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Qdrant"]
    api_key: Property[OptionalText] = None
    host: Property[Text]
    port: Property[int] = Field(default=HTTP, description="6334, that of gRPC, stands for 6333.")
    collection_name: Property[Text]

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        if drop:
            await self._ask(context, "DELETE", "")
        if segments:
            there = await self._ask(context, "GET", "/exists")
            if not there["result"]["exists"]:
                about = {"vectors": {"size": len(segments[0].vector), "distance": "Cosine"}}
                await self._ask(context, "PUT", "", json=about)
        for begin in range(0, len(segments), AT_ONCE):
            points = [_point(one) for one in segments[begin : begin + AT_ONCE]]
            await self._ask(context, "PUT", "/points", params={"wait": "true"}, json={"points": points})
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        asked: dict[str, Any] = {"query": list(vector), "limit": most, "with_payload": True, "with_vector": True}
        asked["score_threshold"] = 2 * least - 1  # a cosine, where ours go from 0 to 1
        found = (await self._ask(context, "POST", "/points/query", json=asked))["result"]["points"]
        kept = [(dict(one["payload"]), one.get("vector") or []) for one in found]
        return [Segment(str(payload.pop("text_segment", "")), at, payload) for payload, at in kept]

    async def _ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        if self.api_key:
            context.mask(self.api_key)
        host = self.host if "://" in self.host else f"http://{self.host}"
        at = f"{host}:{HTTP if self.port == GRPC else self.port}"
        url = f"{at}/collections/{quote(self.collection_name, safe='')}{path}"
        headers = {"api-key": self.api_key} if self.api_key else {}
        return await rest_service.document(context, "Qdrant", method, url, headers=headers, **given)


def _point(segment: Segment) -> dict[str, Any]:
    payload: dict[str, Any] = {**segment.metadata, "text_segment": segment.text}
    return {"id": str(uuid.uuid4()), "vector": list(segment.vector), "payload": payload}


class Chroma(EmbeddingStore):
    """A collection of Chroma, which is made when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Chroma
baseUrl: http://chroma.example.com:8000
collectionName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Chroma"]
    base_url: Property[Text]
    collection_name: Property[Text]

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        collection = await self._collection(context)
        if drop:
            await self._ask(context, "DELETE", f"/{quote(self.collection_name, safe='')}")
            collection = await self._collection(context)
        for begin in range(0, len(segments), AT_ONCE):
            some = segments[begin : begin + AT_ONCE]
            rows = {
                "ids": [str(uuid.uuid4()) for _ in some],
                "embeddings": [list(one.vector) for one in some],
                "documents": [one.text for one in some],
                "metadatas": [one.metadata or None for one in some],
            }
            await self._ask(context, "POST", f"/{collection}/add", json=rows)
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        asked: dict[str, Any] = {"query_embeddings": [list(vector)], "n_results": most}
        asked["include"] = ["documents", "metadatas", "distances", "embeddings"]
        found = await self._ask(context, "POST", f"/{await self._collection(context)}/query", json=asked)
        columns = (found[name][0] for name in ("documents", "embeddings", "metadatas", "distances"))
        rows = zip(*columns, strict=True)
        return [Segment(text, at, about or {}) for text, at, about, far in rows if 1 - far / 2 >= least]

    async def _collection(self, context: RunContext) -> str:
        """The collection's id."""
        about = {"name": self.collection_name, "get_or_create": True, "metadata": {"hnsw:space": "cosine"}}
        return str((await self._ask(context, "POST", "", json=about))["id"])

    async def _ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        base = f"{self.base_url.rstrip('/')}/api/v2/tenants/default_tenant/databases/default_database/collections"
        return await rest_service.document(context, "Chroma", method, f"{base}{path}", **given)
