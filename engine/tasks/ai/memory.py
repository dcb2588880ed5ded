"""`io.kestra.plugin.ai.memory`: what an agent remembers from one run to the next."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, Field, ValidationError

from engine.errors import NotFound
from engine.plugin import Property, RunContext, Typed
from engine.tasks.ai.conversation import Turn, correlation_of
from engine.tasks.property_types import OptionalText


class Remembered(BaseModel):
    """One message as it is kept."""

    role: Literal["user", "assistant"]
    text: str


class KestraKVStore(Typed):
    """The last messages of a conversation, kept in the KV store of the namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.memory.KestraKVStore
memoryId: "support-{{ inputs.user }}"
messages: 20
ttl: P7D
""",
    )
    type: Literal["io.kestra.plugin.ai.memory.KestraKVStore", "io.kestra.plugin.ai.memory.KestraKVMemory"]
    memory_id: Property[OptionalText] = Field(default=None, description="The correlation id unless said otherwise.")
    messages: Property[int] = Field(default=10, ge=1, le=1000)
    ttl: Property[timedelta] = timedelta(hours=1)
    drop: Property[Literal["NEVER", "BEFORE_TASKRUN", "AFTER_TASKRUN"]] = "NEVER"

    async def recall(self, context: RunContext) -> list[Turn]:
        """What was said before, oldest first."""
        if self.drop == "BEFORE_TASKRUN":
            await context.kv.delete(context.namespace, self._key(context))
            return []
        try:
            kept = await context.kv.get(context.namespace, self._key(context))
        except NotFound:
            return []
        try:
            found = [Remembered.model_validate(message) for message in kept]
        except (ValidationError, TypeError):
            context.log(f"The key {self._key(context)} holds no conversation; it is begun anew.", "WARN")
            return []
        return [Turn(message.role, message.text) for message in found]

    async def keep(self, context: RunContext, turns: Sequence[Turn]) -> None:
        """Keep the newest messages of a conversation for a while; forget it when it is to be dropped."""
        if self.drop == "AFTER_TASKRUN":
            await context.kv.delete(context.namespace, self._key(context))
            return
        said = [turn for turn in turns if turn.role in ("user", "assistant") and turn.text][-self.messages :]
        while said and said[0].role != "user":  # services want a conversation to begin with its user
            said = said[1:]
        kept = [{"role": turn.role, "text": turn.text} for turn in said]
        await context.kv.set(context.namespace, self._key(context), kept, ttl=self.ttl.total_seconds() or None)

    def _key(self, context: RunContext) -> str:
        name = self.memory_id or correlation_of(context.variables) or context.execution_id
        return "ai-memory-" + re.sub(r"[^a-zA-Z0-9._-]", "_", name)[:200]
