"""`io.kestra.plugin.ai.embeddings`: vectors in Qdrant."""

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import OptionalText, Text

GRPC, HTTP = 6334, 6333  # flows name the port of the one, we speak the other
AT_ONCE = 500


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
            if not rest_service.held(there, "Qdrant", "result", "exists"):
                about = {"vectors": {"size": len(segments[0].vector), "distance": "Cosine"}}
                await self._ask(context, "PUT", "", json=about)
        for begin in range(0, len(segments), AT_ONCE):
            points = [_point(one) for one in segments[begin : begin + AT_ONCE]]
            await self._ask(context, "PUT", "/points", params={"wait": "true"}, json={"points": points})
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        asked: dict[str, Any] = {"query": list(vector), "limit": most, "with_payload": True, "with_vector": True}
        asked["score_threshold"] = 2 * least - 1  # a cosine, where ours go from 0 to 1
        told = await self._ask(context, "POST", "/points/query", json=asked)
        found = rest_service.held(told, "Qdrant", "result", "points")
        kept = [(dict(one.get("payload") or {}), one.get("vector") or []) for one in found]
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
