"""`io.kestra.plugin.core.kv`: small values that outlive an execution."""

import json
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.errors import NotFound, Refused
from engine.plugin import LateProperty, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.core.execution import records_of
from engine.tasks.property_types import OptionalText, Text, TextList

Kind = Literal["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON"]


class Set(RunnableTask):
    """Store a value under a key of a namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: remember
type: io.kestra.plugin.core.kv.Set
key: last_release
value: "{{ outputs.release.body }}"
kvType: JSON
ttl: P30D
""",
    )
    type: Literal["io.kestra.plugin.core.kv.Set", "io.kestra.plugin.core.kv.Put"]
    key: Property[Text]
    value: LateProperty[Any] = Field(
        description="Rendered by the task: text that is one whole expression keeps the value's type."
    )
    namespace: Property[OptionalText] = None
    overwrite: Property[bool] = True
    ttl: Property[timedelta | None] = None
    kv_type: Property[Kind | None] = None
    kv_description: Property[OptionalText] = None

    async def run(self, context: RunContext) -> None:
        value = await context.evaluate(self.value)
        if isinstance(value, str) and self.kv_type is not None:
            value = _as_kind(value, self.kv_type)
        seconds = self.ttl.total_seconds() if self.ttl is not None else None
        try:
            await context.kv.set(
                self.namespace or context.namespace,
                self.key,
                value,
                ttl=seconds,
                overwrite=self.overwrite,
                kind=self.kv_type,
            )
        except Refused as error:
            raise TaskFailed(error.message, fix=error.fix or "Set `overwrite: true`, or choose another key.") from error


class Value(Outputs):
    """What is stored, with its type; null when there is nothing."""

    value: Any


class Get(RunnableTask):
    """Read the value of a key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: last
type: io.kestra.plugin.core.kv.Get
key: last_release
errorOnMissing: true
""",
    )
    type: Literal["io.kestra.plugin.core.kv.Get"]
    key: Property[Text]
    namespace: Property[OptionalText] = None
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Value:
        namespace = self.namespace or context.namespace
        try:
            return Value(value=await context.kv.get(namespace, self.key))
        except NotFound as error:
            if not self.error_on_missing:
                return Value(value=None)
            raise TaskFailed(
                f"No value found for key '{self.key}' in namespace '{namespace}' and `errorOnMissing` is set to true",
                fix=f"Set it with `parley kv set {namespace} {self.key} VALUE`.",
            ) from error


class Deleted(Outputs):
    """Whether there was something to delete."""

    deleted: bool


class Delete(RunnableTask):
    """Forget a key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.core.kv.Delete
key: last_release
""",
    )
    type: Literal["io.kestra.plugin.core.kv.Delete"]
    key: Property[Text]
    namespace: Property[OptionalText] = None
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Deleted:
        namespace = self.namespace or context.namespace
        deleted = await context.kv.delete(namespace, self.key)
        if self.error_on_missing and not deleted:
            raise TaskFailed(
                f"No value found for key '{self.key}' in namespace '{namespace}' and `errorOnMissing` is set to true"
            )
        return Deleted(deleted=deleted)


class Keys(Outputs):
    """Keys that have not expired."""

    keys: list[str]


class GetKeys(RunnableTask):
    """List the keys of a namespace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: releases
type: io.kestra.plugin.core.kv.GetKeys
prefix: release_
""",
    )
    type: Literal["io.kestra.plugin.core.kv.GetKeys"]
    prefix: Property[OptionalText] = None
    namespace: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Keys:
        return Keys(keys=await context.kv.keys(self.namespace or context.namespace, self.prefix or ""))


class KeyBehavior(Part):
    """Which keys go: those that have expired, or all that the patterns name."""

    type: Literal["key"] = "key"
    expired_only: Property[bool] = True


class PurgedKeys(Outputs):
    """How many keys were deleted."""

    size: int


class PurgeKV(RunnableTask):
    """Delete keys of namespaces, those that have expired unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.kv.PurgeKV
namespaces: [company]
keyPattern: "cache_*"
behavior:
  type: key
  expiredOnly: false
""",
    )
    type: Literal["io.kestra.plugin.core.kv.PurgeKV"]
    namespaces: Property[TextList | None] = None
    namespace_pattern: Property[OptionalText] = None
    include_child_namespaces: Property[bool] = True
    key_pattern: Property[OptionalText] = None
    behavior: Property[KeyBehavior] = KeyBehavior()
    expired_only: Property[bool | None] = Field(default=None, description="The older way to say it; it wins.")

    @model_validator(mode="after")
    def _namespaces_are_named_once(self) -> "PurgeKV":
        if self.namespaces is not None and self.namespace_pattern is not None:
            raise ValueError("has both `namespaces` and `namespacePattern`: give one of them")
        return self

    async def run(self, context: RunContext) -> PurgedKeys:
        expired_only = self.behavior.expired_only if self.expired_only is None else self.expired_only
        size = await records_of(context).purge_keys(self._fits, expired_only=expired_only)
        context.log(f"Purged {size} keys.")
        return PurgedKeys(size=size)

    def _fits(self, namespace: str, key: str) -> bool:
        if self.key_pattern is not None and not fnmatchcase(key, self.key_pattern):
            return False
        if self.namespace_pattern is not None:
            return fnmatchcase(namespace, self.namespace_pattern)
        if self.namespaces is None:
            return True
        below = self.include_child_namespaces
        return any(namespace == name or (below and namespace.startswith(f"{name}.")) for name in self.namespaces)


def _as_kind(text: str, kind: Kind) -> Any:
    if kind not in ("NUMBER", "BOOLEAN", "JSON"):
        return text  # dates and durations are kept as ISO text; the store checks them
    if kind == "BOOLEAN":
        return text.strip().lower() == "true"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise TaskFailed(
            f"The value is not {kind}: {error}.", fix="Give `kvType: STRING`, or a fitting value."
        ) from error
    if kind == "NUMBER" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TaskFailed(f"The value {text!r} is not a NUMBER.", fix="Give `kvType: STRING`, or a number.")
    return value
