"""`io.kestra.plugin.ai.embeddings`: where the vectors of documents are kept."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.errors import NotFound
from engine.plugin import Property, RunContext, TaskFailed, Typed
from engine.tasks.property_types import OptionalText


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document with its vector."""

    text: str
    vector: Sequence[float]
    metadata: dict[str, Any] = field(default_factory=dict)


class EmbeddingStore(Typed, ABC):
    """Keeps segments."""

    @abstractmethod
    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        """Keep segments, with `drop` instead of what was there; what the task's outputs tell about it."""

    @abstractmethod
    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        """The segments nearest to a vector, best first, whose score is `least` or better."""


class KestraKVStore(EmbeddingStore):
    """The KV store of the namespace: for small collections, which are read as a whole."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.embeddings.KestraKVStore
kvName: handbook
""",
    )
    type: Literal["io.kestra.plugin.ai.embeddings.KestraKVStore"]
    kv_name: Property[OptionalText] = Field(default=None, description="`<flow id>-embedding-store` unless said.")

    async def add(self, context: RunContext, segments: Sequence[Segment], *, drop: bool) -> dict[str, Any]:
        kept = [] if drop else await self._kept(context)
        kept += [{"text": one.text, "vector": list(one.vector), "metadata": one.metadata} for one in segments]
        await context.kv.set(context.namespace, self._key(context), {"segments": kept})
        return {"kvName": self._key(context)}

    async def nearest(self, context: RunContext, vector: Sequence[float], most: int, least: float) -> list[Segment]:
        kept = [Segment(one["text"], one["vector"], one.get("metadata") or {}) for one in await self._kept(context)]
        scored = sorted(((relevance(vector, one.vector), n, one) for n, one in enumerate(kept)), key=lambda s: -s[0])
        return [one for score, _, one in scored[:most] if score >= least]

    async def _kept(self, context: RunContext) -> list[dict[str, Any]]:
        try:
            found = await context.kv.get(context.namespace, self._key(context))
        except NotFound:
            return []
        segments = found.get("segments") if isinstance(found, dict) else None
        if not isinstance(segments, list):
            raise TaskFailed(f"The key {self._key(context)} holds no embeddings.", fix="Name another in `kvName`.")
        return list(segments)

    def _key(self, context: RunContext) -> str:
        return self.kv_name or f"{context.flow_id}-embedding-store"


def relevance(one: Sequence[float], other: Sequence[float]) -> float:
    """How near two vectors are, from 0 (opposite) to 1; TaskFailed when models of different size made them."""
    if len(one) != len(other):
        raise TaskFailed(
            f"The question's vector has {len(one)} numbers, the documents' {len(other)}.",
            fix="Use the model with which the documents were ingested.",
        )
    lengths = math.hypot(*one) * math.hypot(*other)
    if lengths == 0:
        return 0.5
    return (sum(a * b for a, b in zip(one, other, strict=True)) / lengths + 1) / 2
