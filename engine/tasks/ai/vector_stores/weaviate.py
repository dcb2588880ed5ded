"""`io.kestra.plugin.ai.embeddings`: vectors in Weaviate."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.ai.embeddings import EmbeddingStore, Segment
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.sql_text import plain_name

AT_ONCE = 200
EVERYTHING = {"path": ["_id"], "operator": "NotEqual", "valueText": ""}


class Weaviate(EmbeddingStore):
    """A class of objects in Weaviate; everything goes over HTTP, what is said of gRPC has no effect."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.Weaviate
apiKey: "{{ secret('WEAVIATE_API_KEY') }}"
host: cluster.weaviate.network
port: 443
objectClass: Handbook
metadataKeys: [file_name]
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.Weaviate"]
    api_key: Property[Text]
    scheme: Property[Literal["http", "https"]] = "https"
    host: Property[Text]
    port: Property[int]
    object_class: Property[Text]
    consistency_level: Property[Literal["ONE", "QUORUM", "ALL"]] = "QUORUM"
    avoid_dups: Property[bool] = Field(default=True, description="The same text is kept once.")
    metadata_field_name: Property[OptionalText] = Field(default=None, description="`_metadata` unless said.")
    metadata_keys: Property[TextList] = Field(default_factory=list, description="Metadata to keep; else none.")
    use_grpc_for_inserts: Property[bool] = False
    secured_grpc: Property[bool] = True
    grpc_port: Property[OptionalInteger] = None

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        if drop:
            await self._clear(context)
        params = {"consistency_level": self.consistency_level}
        for begin in range(0, len(segments), AT_ONCE):
            objects = [self._object(one) for one in segments[begin : begin + AT_ONCE]]
            told = await self._ask(context, "POST", "batch/objects", params=params, json={"objects": objects})
            if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
                raise TaskFailed("Weaviate does not say what it kept.", fix="Check `host` and `port`.")
            for one in told:
                if errors := ((one.get("result") or {}).get("errors") or {}).get("error"):
                    raise TaskFailed(f"Weaviate kept not all texts: {errors[0].get('message') or errors[0]}")
        return {}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        about = f"{self._field} {{ {' '.join(self._keys)} }}" if self._keys else ""
        near = f"nearVector: {{vector: {json.dumps(list(vector))}, certainty: {least}}}, limit: {most}"
        query = f"{{ Get {{ {self._class}({near}) {{ text {about} _additional {{ vector }} }} }} }}"
        told = await self._ask(context, "POST", "graphql", json={"query": query})
        if not isinstance(told, dict):
            raise TaskFailed("Weaviate does not say what it found.", fix="Check `host` and `port`.")
        if errors := told.get("errors"):
            said = ", ".join(str(one.get("message") or one) for one in errors[:5])
            raise TaskFailed(f"Weaviate refused: {said}", fix="Check `objectClass` and `metadataKeys`.")
        rows = ((told.get("data") or {}).get("Get") or {}).get(self._class) or []
        return [Segment(str(row.get("text") or ""), row["_additional"]["vector"], self._about(row)) for row in rows]

    def _object(self, segment: Segment) -> dict[str, Any]:
        about = {name: segment.metadata[name] for name in self._keys if name in segment.metadata}
        properties: dict[str, Any] = {"text": segment.text, **({self._field: about} if about else {})}
        vector = list(segment.vector)
        return {"class": self._class, "id": self._id(segment.text), "vector": vector, "properties": properties}

    def _id(self, text: str) -> str:
        if not self.avoid_dups:
            return str(uuid.uuid4())
        return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=5))

    def _about(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in (row.get(self._field) or {}).items() if value is not None}

    async def _clear(self, context: RunContext) -> None:
        try:
            await self._ask(context, "GET", f"schema/{self._class}")
        except TaskFailed as error:
            if " answered 404" in error.message:
                return
            raise
        match = {"match": {"class": self._class, "where": EVERYTHING}}
        while True:  # a cluster deletes so many in one call
            told = ((await self._ask(context, "DELETE", "batch/objects", json=match)) or {}).get("results") or {}
            if told.get("failed"):
                raise TaskFailed(f"Weaviate did not delete {told['failed']} objects of {self._class}.")
            if not told.get("successful"):
                return

    @property
    def _class(self) -> str:
        return plain_name(self.object_class, "objectClass")

    @property
    def _field(self) -> str:
        return plain_name(self.metadata_field_name or "_metadata", "metadataFieldName")

    @property
    def _keys(self) -> list[str]:
        return [plain_name(key, "metadataKeys") for key in self.metadata_keys]

    async def _ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        context.mask(self.api_key)
        url = f"{self.scheme}://{self.host}:{self.port}/v1/{path}"
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return await rest_service.document(context, "Weaviate", method, url, headers=headers, **given)
