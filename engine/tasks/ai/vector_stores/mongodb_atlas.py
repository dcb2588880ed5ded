"""`io.kestra.plugin.ai.embeddings`: vectors in MongoDB Atlas."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.mongodb_connection import Collected
from engine.tasks.mongodb_connection import Connection as MongoConnection
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList

MOST_CANDIDATES = 10_000  # that it looks at
UNTIL_READY = timedelta(minutes=1)


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
