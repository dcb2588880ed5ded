"""`io.kestra.plugin.redis.json`: documents in Redis 8, or in older ones with RedisJSON."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, TaskFailed
from engine.tasks.property_types import JsonMap, Text
from engine.tasks.redis.string import Deleted, Expiration, Got, Incremented
from engine.tasks.redis_task import RedisTask, heard, written

ROOT = "$"


class SetOptions(Part):
    """When a value is written."""

    must_not_exist: bool = False
    must_exist: bool = False


class OldDocument(Outputs):
    """What was found at the path before, when `get` asks for it: a list, as a path from `$` may match often."""

    oldValue: Any = None  # noqa: N815 - appears as written


class Set(RedisTask):
    """Write a document, or what is at a path in one."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: remember
type: io.kestra.plugin.redis.json.Set
url: redis://:secret@cache.example.com:6379/0
key: orders:7
value: {"state": "paid", "total": 25}
""",
    )
    type: Literal["io.kestra.plugin.redis.json.Set"]
    key: Property[Text]
    value: Property[Any]
    path: Property[Text] = ROOT
    options: Property[SetOptions] = SetOptions()
    get: Property[bool] = False

    async def run(self, context: RunContext) -> OldDocument:
        value = written(self.value, "JSON") if isinstance(self.value, str) else json.dumps(self.value, default=str)
        when = ["NX"] if self.options.must_not_exist else ["XX"] if self.options.must_exist else []
        async with self.redis(context) as client:
            old = heard(await client.execute_command("JSON.GET", self.key, self.path), "JSON") if self.get else None
            await client.execute_command("JSON.SET", self.key, self.path, value, *when)
        return OldDocument(oldValue=old)


class Get(RedisTask):
    """Read a document, or what is at a path in one: the value where one matches, a list where more do."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: state
type: io.kestra.plugin.redis.json.Get
url: redis://:secret@cache.example.com:6379/0
key: orders:7
path: $.state
""",
    )
    type: Literal["io.kestra.plugin.redis.json.Get"]
    key: Property[Text]
    path: Property[Text] = ROOT
    failed_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Got:
        async with self.redis(context) as client:
            found = heard(await client.execute_command("JSON.GET", self.key, self.path), "JSON")
        if self.path.startswith(ROOT) and isinstance(found, list) and len(found) < 2:
            found = found[0] if found else None
        if found is None and self.failed_on_missing:
            raise TaskFailed(f"Redis has nothing at {self.path!r} of {self.key!r}.")
        return Got(data=found, key=self.key)


class Increment(RedisTask):
    """Count a number in a document up."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.redis.json.Increment
url: redis://:secret@cache.example.com:6379/0
key: orders:7
path: $.total
amount: 5
""",
    )
    type: Literal["io.kestra.plugin.redis.json.Increment"]
    key: Property[Text]
    path: Property[Text]
    amount: Property[int | float] = 1
    options: Property[Expiration | None] = None

    async def run(self, context: RunContext) -> Incremented:
        when = self.options or Expiration()
        async with self.redis(context) as client:
            said = await client.execute_command("JSON.NUMINCRBY", self.key, self.path, self.amount)
            await when.told(client, self.key)
        found = heard(said, "JSON") if isinstance(said, str) else said  # text, or a list, as the protocol is 2 or 3
        value = next(iter(found), None) if isinstance(found, list) else found
        if not isinstance(value, int | float):
            raise TaskFailed(f"There is no number at {self.path!r} of {self.key!r}.", fix="Check `path`.")
        return Incremented(value=value, key=self.key)


class Delete(RedisTask):
    """Delete documents, or what is at paths in them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.redis.json.Delete
url: redis://:secret@cache.example.com:6379/0
keys:
  orders:7: [$.state, $.total]
  orders:8: []
""",
    )
    type: Literal["io.kestra.plugin.redis.json.Delete"]
    keys: Property[JsonMap] = Field(description="Paths by key; no path is all of it.")
    failed_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Deleted:
        count = 0
        async with self.redis(context) as client:
            for key, paths in self.keys.items():
                for path in [paths] if isinstance(paths, str) else paths or [ROOT]:
                    count += await client.execute_command("JSON.DEL", key, path)
        context.metric("deleted.records.count", count)
        if self.failed_on_missing and count < len(self.keys):
            raise TaskFailed(f"Redis had only {count} of {len(self.keys)}.", fix="Check `keys`.")
        return Deleted(count=count)
