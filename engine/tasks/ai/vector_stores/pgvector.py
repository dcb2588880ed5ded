"""`io.kestra.plugin.ai.embeddings`: vectors in PostgreSQL, with pgvector."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.jdbc import postgresql
from engine.tasks.property_types import Text
from engine.tasks.sql_text import plain_name

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
        (rows,) = await self._run(context, sql, given)
        return [Segment(row["text"], json.loads(row["vector"]), row["metadata"] or {}) for row in rows]

    @property
    def _table(self) -> str:
        return plain_name(self.table, "table", dotted=True)

    async def _run(self, context: RunContext, sql: str, parameters: dict[str, Any]) -> list[list[dict[str, Any]]]:
        url = f"jdbc:postgresql://{quote(self.host, safe=':[]')}:{self.port}/{self.database}"
        who = {"url": url, "username": self.user, "password": self.password}
        return await postgresql.Queries.rows(context, sql, parameters, **who)
