"""`io.kestra.plugin.ai.embeddings`: vectors in databases that keep other things as well."""

import json
import re
import uuid
from array import array
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.elasticsearch_cluster import Connection, name_of
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.jdbc import mariadb
from engine.tasks.mongodb_connection import Collected
from engine.tasks.mongodb_connection import Connection as MongoConnection
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.redis_task import RedisConnected
from engine.tasks.sql_task import AllFetched

AT_ONCE = 100
MOST_CANDIDATES = 10_000  # that Elasticsearch and MongoDB look at
UNTIL_READY = timedelta(minutes=1)
TABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", re.ASCII)
GLOB, ESCAPED = re.compile(r"[*?\[\]^\\]"), r"\\\g<0>"  # what Redis takes for a pattern
COLUMN = re.compile(r"\s*`?([A-Za-z_]\w*)`?\s", re.ASCII)


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


class MongoDBAtlas(EmbeddingStore):
    """A collection of MongoDB Atlas with an index for vectors."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.MongoDBAtlas
scheme: mongodb+srv
host: cluster.example.mongodb.net
username: "{{ secret('ATLAS_USER') }}"
password: "{{ secret('ATLAS_PASSWORD') }}"
database: company
collectionName: handbook
indexName: vectors
createIndex: true
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.MongoDBAtlas"]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    scheme: Property[Text]
    host: Property[Text]
    database: Property[Text]
    options: Property[JsonMap | None] = Field(default=None, description="Of the connection string.")
    collection_name: Property[Text]
    index_name: Property[Text]
    metadata_field_names: Property[TextList] = Field(default_factory=list, description="In the index, once created.")
    create_index: Property[bool] = False

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        if drop:
            await self._kept.using(context, lambda collection: collection.delete_many({}))
        rows = [
            {"_id": str(uuid.uuid4()), "embedding": list(one.vector), "text": one.text, "metadata": one.metadata}
            for one in segments
        ]
        if not rows:
            return {}
        await self._indexed(context, len(segments[0].vector))
        await self._kept.using(context, lambda collection: collection.insert_many(rows))
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        near = {"index": self.index_name, "path": "embedding", "queryVector": list(vector), "limit": most}
        near["numCandidates"] = min(10 * most, MOST_CANDIDATES)
        shown = {"score": {"$meta": "vectorSearchScore"}, "embedding": 1, "metadata": 1, "text": 1}
        pipeline = [{"$vectorSearch": near}, {"$project": shown}, {"$match": {"score": {"$gte": least}}}]
        rows = await self._kept.using(context, lambda collection: list(collection.aggregate(pipeline)))
        return [Segment(str(row.get("text") or ""), row["embedding"], row.get("metadata") or {}) for row in rows]

    async def _indexed(self, context: RunContext, size: int) -> None:
        """The index is there and ready; TaskFailed when it is not and may not be created."""
        found = await self._kept.using(context, self._indexes)
        if found:
            return
        if not self.create_index:
            raise TaskFailed(
                f"{self.database}.{self.collection_name} has no search index {self.index_name}.",
                fix="Create a vector search index of the field `embedding`, or set `createIndex: true`.",
            )
        models = extra("pymongo.operations", "mongodb")
        fields: list[dict[str, Any]] = [
            {"type": "vector", "path": "embedding", "numDimensions": size, "similarity": "cosine"},
            *({"type": "filter", "path": f"metadata.{name}"} for name in self.metadata_field_names),
        ]
        index = models.SearchIndexModel({"fields": fields}, name=self.index_name, type="vectorSearch")

        def create(collection: Any) -> None:
            if self.collection_name not in collection.database.list_collection_names():
                collection.database.create_collection(self.collection_name)  # an index needs one
            collection.create_search_index(index)

        async def ready() -> bool | None:
            found = await self._kept.using(context, self._indexes)
            return True if any(one.get("queryable") for one in found) else None

        await self._kept.using(context, create)
        what = f"The index {self.index_name} of MongoDB"
        await rest_service.waited(
            context, ready, every=timedelta(seconds=1), most=UNTIL_READY, what=what, fix="Try again later."
        )

    def _indexes(self, collection: Any) -> list[dict[str, Any]]:
        return list(collection.list_search_indexes(self.index_name))

    @property
    def _kept(self) -> Collected:
        who = f"{quote(self.username, safe='%')}:{quote(self.password or '', safe='%')}@" if self.username else ""
        options = (
            f"?{urlencode({name: text_of(value) for name, value in self.options.items()})}" if self.options else ""
        )
        uri = f"{self.scheme}://{who}{self.host}/{self.database}{options}"
        return Collected(connection=MongoConnection(uri=uri), database=self.database, collection=self.collection_name)


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
        far_of = [(row, row["how_far"]) for row in found.outputs[0].rows or []]  # of a zero vector NULL
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
        return f"`{_named(self.field_name or 'id', 'fieldName')}`"

    @property
    def _table(self) -> str:
        return _named(self.table_name, "tableName")

    async def _run(self, context: RunContext, sql: str, parameters: dict[str, Any]) -> AllFetched:
        call: dict[str, Any] = {"id": "store", "type": mariadb.Queries.type_names()[0], "url": self.database_url}
        call |= {"username": self.username, "password": self.password, "fetchType": "FETCH"}
        call |= {"sql": sql, "parameters": parameters}
        return await mariadb.Queries.model_validate(call, context={"rendered": True}).run(context)


def _pairs(flat: Sequence[Any]) -> dict[str, Any]:
    """A list of names and values as a map."""
    return {str(name.decode()): value for name, value in zip(flat[::2], flat[1::2], strict=False)}


def _named(text: str, of: str) -> str:
    if not TABLE.fullmatch(text):
        raise TaskFailed(f"`{of}` {text!r} is no name of a table or column.", fix="Letters, digits and `_`.")
    return text


def _refused(definition: str) -> str:
    raise TaskFailed(f"`columnDefinitions`: {definition!r} is none.", fix="A name and a type: source TEXT.")
