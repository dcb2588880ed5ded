"""`io.kestra.plugin.ai.embeddings`: vectors in Chroma."""

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Property, RunContext
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import Text

AT_ONCE = 500


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
        names = ("documents", "embeddings", "metadatas", "distances")
        rows = zip(*(rest_service.held(found, "Chroma", name)[0] for name in names), strict=True)
        return [Segment(text or "", at, about or {}) for text, at, about, far in rows if 1 - far / 2 >= least]

    async def _collection(self, context: RunContext) -> str:
        """The collection's id."""
        about = {"name": self.collection_name, "get_or_create": True, "metadata": {"hnsw:space": "cosine"}}
        return str(rest_service.held(await self._ask(context, "POST", "", json=about), "Chroma", "id"))

    async def _ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        base = f"{self.base_url.rstrip('/')}/api/v2/tenants/default_tenant/databases/default_database/collections"
        return await rest_service.document(context, "Chroma", method, f"{base}{path}", **given)
