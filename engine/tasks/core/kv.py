"""`io.kestra.plugin.core.kv`: small values that outlive an execution."""

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from engine.core.json_text import any_json
from engine.errors import NotFound, Refused
from engine.plugin import Instead, LateProperty, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.core.execution import records_of
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.purging import NamespacesTask, Versions

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
    sees: ClassVar[frozenset[str] | None] = frozenset()
    type: Literal["io.kestra.plugin.core.kv.Set"]
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
                description=self.kv_description,
            )
        except Refused as error:
            raise TaskFailed(error.message, fix=error.fix or "Set `overwrite: true`, or choose another key.") from error


class Put(RunnableTask):
    """Change what a key holds: maps are merged to any depth, a list of `key` and `value` sets single entries."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: note
type: io.kestra.plugin.core.kv.Put
key: release
value:
  - key: version
    value: "{{ inputs.version }}"
  - key: approvals.security
    value: true
""",
    )
    sees: ClassVar[frozenset[str] | None] = frozenset()
    type: Literal["io.kestra.plugin.core.kv.Put"]
    key: Property[Text]
    value: LateProperty[Any] = Field(
        description="Rendered by the task. A dotted `key` reaches into a map; a `value` alone replaces all there was."
    )
    namespace: Property[OptionalText] = None
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> None:
        namespace, value = self.namespace or context.namespace, await context.evaluate(self.value)
        try:
            await context.kv.update(
                namespace, self.key, lambda there: changed(there, value), must_exist=self.error_on_missing
            )
        except NotFound as error:
            raise _missing(self.key, namespace) from error
        except Refused as error:
            raise TaskFailed(error.message, fix=error.fix) from error


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
            raise _missing(self.key, namespace) from error


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
            raise _missing(self.key, namespace)
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

    type: Literal["key"]
    expired_only: Property[bool] = True


def _behavior(value: Any) -> str:
    return str(value.get("type", "key") if isinstance(value, dict) else getattr(value, "type", "key"))


Behavior = Annotated[
    Annotated[KeyBehavior, Tag("key")] | Annotated[Versions, Tag("version")],
    Discriminator(_behavior, custom_error_type="behavior", custom_error_message="`type` is `key` or `version`"),
]


class PurgedKeys(Outputs):
    """How many keys were deleted."""

    size: int


class PurgeKV(NamespacesTask):
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
    key_pattern: Property[OptionalText] = None
    behavior: Property[Behavior] = Field(
        default=KeyBehavior(type="key"),
        description="`type: key`, or `type: version`; a key has one version here, its newest.",
    )
    expired_only: Annotated[Property[bool | None], Instead("behavior.expiredOnly", "beside `type: key`")] = None

    async def run(self, context: RunContext) -> PurgedKeys:
        behavior = (
            self.behavior if self.expired_only is None else KeyBehavior(type="key", expired_only=self.expired_only)
        )
        if isinstance(behavior, Versions) and behavior.spares_the_newest:
            context.log("A key has one version here, its newest: there is nothing older to purge.")
            return PurgedKeys(size=0)
        expired_only = isinstance(behavior, KeyBehavior) and behavior.expired_only
        size = await records_of(context).purge_keys(self._fits, expired_only=expired_only)
        context.log(f"Purged {size} keys.")
        return PurgedKeys(size=size)

    def _fits(self, namespace: str, key: str) -> bool:
        return self.covers(namespace) and (self.key_pattern is None or fnmatchcase(key, self.key_pattern))


def changed(there: Any, value: Any) -> Any:
    """What a key holds after `Put`; TaskFailed when the entries do not fit what is there."""
    if not (isinstance(value, list) and value and all(map(_is_entry, value))):
        return _merged(there, value)
    named = [entry for entry in value if "key" in entry]
    if not named and len(value) == 1:
        return value[0]["value"]
    if len(named) != len(value):
        raise TaskFailed(
            "A `value` without a `key` stands among others: it replaces everything.",
            fix="Give every entry a `key`, or one entry without.",
        )
    if there is not None and not isinstance(there, dict):
        raise TaskFailed("Entries with a `key` cannot be put into a value that is no map.", fix="Use `kv.Set`.")
    found = there
    for entry in named:
        path = entry["key"]
        if not isinstance(path, str) or not path.strip():
            raise TaskFailed("An entry's `key` is empty or no text.", fix="Name the part of the value to set.")
        change = entry["value"]
        for step in reversed(path.split(".")):
            change = {step: change}
        found = _merged(found, change)
    return found


def _is_entry(item: Any) -> bool:
    return isinstance(item, dict) and "value" in item and item.keys() <= {"key", "value"}


def _merged(there: Any, value: Any) -> Any:
    if not (isinstance(there, dict) and isinstance(value, dict)):
        return value
    return {**there, **{name: _merged(there.get(name), item) for name, item in value.items()}}


def _missing(key: str, namespace: str) -> TaskFailed:
    return TaskFailed(
        f"No value found for key '{key}' in namespace '{namespace}' and `errorOnMissing` is set to true",
        fix=f"Set it with `parley kv set {namespace} {key} VALUE`.",
    )


def _as_kind(text: str, kind: Kind) -> Any:
    if kind not in ("NUMBER", "BOOLEAN", "JSON"):
        return text  # dates and durations are kept as ISO text; the store checks them
    if kind == "BOOLEAN":
        return text.strip().lower() == "true"
    try:
        value = any_json(text)
    except ValueError as error:
        raise TaskFailed(
            f"The value is not {kind}: {error}.", fix="Give `kvType: STRING`, or a fitting value."
        ) from error
    if kind == "NUMBER" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TaskFailed(f"The value {text!r} is not a NUMBER.", fix="Give `kvType: STRING`, or a number.")
    return value
