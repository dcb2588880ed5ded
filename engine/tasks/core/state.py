"""`io.kestra.plugin.core.state`: a small map a flow keeps between its executions, in the KV store."""

import hashlib
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.errors import NotFound
from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.property_types import JsonMap, Text


class StateTask(RunnableTask):
    """What the three tasks share: where the map lies."""

    name: Property[Text] = "default"
    namespace: Property[bool] = False
    taskrun_value: Property[bool] = True

    def place(self, context: RunContext) -> str:
        """The key: one a flow (or a namespace), a name, and an iteration value."""
        parts = ["state", *([] if self.namespace else [context.flow_id]), self.name]
        if self.taskrun_value and context.value is not None:
            parts.append(hashlib.sha256(context.value.encode()).hexdigest()[:16])  # values may be whole documents
        return "_".join(parts)


async def _stored(context: RunContext, key: str) -> dict[str, Any] | None:
    try:
        value = await context.kv.get(context.namespace, key)
    except NotFound:
        return None
    return dict(value) if isinstance(value, dict) else None


class Stored(Outputs):
    """The key it lies under, and how many entries the map has now."""

    count: int
    key: str


class Set(StateTask):
    """Merge entries into the map."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: remember
type: io.kestra.plugin.core.state.Set
data:
  last_id: "{{ outputs.fetch.code }}"
""",
    )
    type: Literal["io.kestra.plugin.core.state.Set", "io.kestra.core.tasks.states.Set"]
    data: Property[JsonMap] = Field(default_factory=dict)

    async def run(self, context: RunContext) -> Stored:
        key = self.place(context)
        merged = {**(await _stored(context, key) or {}), **self.data}
        await context.kv.set(context.namespace, key, merged, kind="JSON")
        return Stored(count=len(merged), key=key)


class Data(Outputs):
    """The map."""

    count: int
    data: dict[str, Any]


class Get(StateTask):
    """Read the map; empty when there is none."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: last
type: io.kestra.plugin.core.state.Get
""",
    )
    type: Literal["io.kestra.plugin.core.state.Get", "io.kestra.core.tasks.states.Get"]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Data:
        data = await _stored(context, self.place(context))
        if data is None and self.error_on_missing:
            raise TaskFailed(f"There is no state {self.name!r}.", fix="Set it first, or drop `errorOnMissing`.")
        return Data(count=len(data or {}), data=data or {})


class Deleted(Outputs):
    """Whether there was one."""

    deleted: bool


class Delete(StateTask):
    """Forget the map."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.core.state.Delete
""",
    )
    type: Literal["io.kestra.plugin.core.state.Delete", "io.kestra.core.tasks.states.Delete"]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Deleted:
        deleted = await context.kv.delete(context.namespace, self.place(context))
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"There is no state {self.name!r}.", fix="Set it first, or drop `errorOnMissing`.")
        return Deleted(deleted=deleted)
