"""`io.kestra.plugin.ai.embeddings`: vectors in MariaDB."""

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.jdbc import mariadb
from engine.tasks.property_types import Text, TextList
from engine.tasks.sql_text import plain_name

AT_ONCE = 100
COLUMN = re.compile(r"\s*`?([A-Za-z_]\w*)`?\s", re.ASCII)


class MariaDB(EmbeddingStore):
    """A table of MariaDB (11.7 or newer)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.MariaDB
databaseUrl: jdbc:mariadb://db.example.com:3306/company
username: flows
password: "{{ secret('DB_PASSWORD') }}"
tableName: handbook
fieldName: id
createTable: true
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.MariaDB"]
    username: Property[Text]
    password: Property[Text]
    database_url: Property[Text]
    create_table: Property[bool]
    table_name: Property[Text]
    field_name: Property[Text] = Field(description="The column of the ids.")
    column_definitions: Property[TextList] = Field(default_factory=list, description="Such as `source TEXT`.")
    indexes: Property[TextList] = Field(default_factory=list, description="Such as `INDEX by_source (source)`.")
    metadata_storage_mode: Property[Literal["COLUMN_PER_KEY", "COMBINED_JSON"]] = "COLUMN_PER_KEY"

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        if drop:
            sql = f"DROP TABLE IF EXISTS {self._table}" if self.create_table else f"DELETE FROM {self._table}"  # noqa: S608 - its name is checked
            await self._run(context, sql, {})
        if segments and self.create_table:
            await self._run(context, self._created(len(segments[0].vector)), {})
        about = [f"`{name}`" for name in self._columns] or ["metadata"]
        for begin in range(0, len(segments), AT_ONCE):
            given: dict[str, Any] = {}
            rows = []
            for n, one in enumerate(segments[begin : begin + AT_ONCE]):
                kept = [one.metadata.get(name) for name in self._columns] or [
                    json.dumps(one.metadata, ensure_ascii=False)
                ]
                given |= {f"v{n}": json.dumps(list(one.vector)), f"t{n}": one.text}
                given |= {f"m{n}_{m}": value for m, value in enumerate(kept)}
                marks = ", ".join(f":m{n}_{m}" for m in range(len(kept)))
                rows.append(f"(UUID(), VEC_FromText(:v{n}), :t{n}, {marks})")
            columns = ", ".join([self._id, "embedding", "`text`", *about])
            await self._run(context, f"INSERT INTO {self._table} ({columns}) VALUES {', '.join(rows)}", given)  # noqa: S608
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        about = ", ".join(f"`{name}`" for name in self._columns) or "metadata"
        far = "VEC_DISTANCE_COSINE(embedding, VEC_FromText(:v))"
        sql = (
            f"SELECT {about}, `text` AS a_text, VEC_ToText(embedding) AS a_vector, {far} AS how_far "  # noqa: S608
            f"FROM {self._table} ORDER BY {far} LIMIT :most"
        )
        found = await self._run(context, sql, {"v": json.dumps(list(vector)), "most": most})
        far_of = [(row, row["how_far"]) for row in found[0]]  # of a zero vector NULL
        near = [row for row, how_far in far_of if how_far is not None and 1 - how_far / 2 >= least]
        return [Segment(row["a_text"] or "", json.loads(row["a_vector"]), self._about(row)) for row in near]

    def _about(self, row: dict[str, Any]) -> dict[str, Any]:
        if self._columns:
            return {name: row[name] for name in self._columns if row[name] is not None}
        found = row["metadata"]
        return dict((json.loads(found) if isinstance(found, str) else found) or {})

    def _created(self, size: int) -> str:
        about = [*self.column_definitions, *self.indexes] if self._columns else ["metadata JSON NULL"]
        lines = [f"{self._id} UUID NOT NULL PRIMARY KEY", f"embedding VECTOR({size}) NOT NULL", "`text` LONGTEXT NULL"]
        near = "VECTOR INDEX (embedding) M=8 DISTANCE=cosine"
        return f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join([*lines, *about, near])})"

    @property
    def _columns(self) -> list[str]:
        """The columns of the metadata; none of them when it is one document."""
        if self.metadata_storage_mode == "COMBINED_JSON" or not (self.column_definitions and self.indexes):
            return []
        found = [COLUMN.match(one) for one in self.column_definitions]
        return [one[1] if one else _refused(text) for one, text in zip(found, self.column_definitions, strict=True)]

    @property
    def _id(self) -> str:
        return f"`{plain_name(self.field_name or 'id', 'fieldName')}`"

    @property
    def _table(self) -> str:
        return plain_name(self.table_name, "tableName", dotted=True)

    async def _run(self, context: RunContext, sql: str, parameters: dict[str, Any]) -> list[list[dict[str, Any]]]:
        who = {"url": self.database_url, "username": self.username, "password": self.password}
        return await mariadb.Queries.rows(context, sql, parameters, **who)


def _refused(definition: str) -> str:
    raise TaskFailed(f"`columnDefinitions`: {definition!r} is none.", fix="A name and a type: source TEXT.")
