"""`io.kestra.plugin.redis.string`: single values in Redis."""

from typing import Any, ClassVar, Literal

from engine.core.durations import Duration
from engine.plugin import Outputs, Part, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalMoment, Text, TextList
from engine.tasks.redis_task import RedisTask, SerdeType, heard, written


class Expiration(Part):
    """When a key goes away by itself."""

    expiration_duration: Duration | None = None
    expiration_date: OptionalMoment = None

    async def told(self, client: Any, key: str) -> None:
        """Say it of a key that is there."""
        if self.expiration_duration:
            await client.pexpire(key, self.expiration_duration)
        elif self.expiration_date:
            await client.pexpireat(key, self.expiration_date)


class SetOptions(Expiration):
    """When a value is written, and how long it stays."""

    must_not_exist: bool = False
    must_exist: bool = False
    keep_ttl: bool = False


class OldValue(Outputs):
    """What the key had before, when `get` asks for it."""

    oldValue: str | None = None  # noqa: N815 - appears as written


class Set(RedisTask):
    """Write the value of a key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: remember
type: io.kestra.plugin.redis.string.Set
url: redis://:secret@cache.example.com:6379/0
key: orders:last
value: "{{ execution.startDate }}"
options:
  expirationDuration: P7D
""",
    )
    type: Literal["io.kestra.plugin.redis.string.Set", "io.kestra.plugin.redis.Set"]
    key: Property[Text]
    value: Property[Any]
    options: Property[SetOptions] = SetOptions()
    get: Property[bool] = False
    serde_type: Property[SerdeType] = "STRING"

    async def run(self, context: RunContext) -> OldValue:
        options = self.options
        given: dict[str, Any] = {"nx": options.must_not_exist, "xx": options.must_exist, "keepttl": options.keep_ttl}
        if options.expiration_duration:
            given["px"] = options.expiration_duration
        elif options.expiration_date:
            given["pxat"] = options.expiration_date
        value = written(self.value, self.serde_type)
        async with self.redis(context) as client:
            old = await client.set(self.key, value, get=self.get, **given)
        return OldValue(oldValue=old if self.get else None)


class Got(Outputs):
    """The value, null when there is none."""

    data: Any
    key: str


class Get(RedisTask):
    """Read the value of a key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: last
type: io.kestra.plugin.redis.string.Get
url: redis://:secret@cache.example.com:6379/0
key: orders:last
""",
    )
    type: Literal["io.kestra.plugin.redis.string.Get", "io.kestra.plugin.redis.Get"]
    key: Property[Text]
    serde_type: Property[SerdeType] = "STRING"
    failed_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Got:
        async with self.redis(context) as client:
            text = await client.get(self.key)
        if text is None and self.failed_on_missing:
            raise TaskFailed(f"Redis has no key {self.key!r}.")
        return Got(data=heard(text, self.serde_type), key=self.key)


class Deleted(Outputs):
    """How many keys are gone."""

    count: int


class Delete(RedisTask):
    """Delete keys."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.redis.string.Delete
url: redis://:secret@cache.example.com:6379/0
keys: ["orders:last", "orders:first"]
""",
    )
    type: Literal["io.kestra.plugin.redis.string.Delete", "io.kestra.plugin.redis.Delete"]
    keys: Property[TextList]
    failed_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Deleted:
        async with self.redis(context) as client:
            count = await client.delete(*self.keys) if self.keys else 0
        context.metric("keys.deleted", count)
        if self.failed_on_missing and count < len(self.keys):
            raise TaskFailed(f"Redis had only {count} of {len(self.keys)} keys.", fix="Check `keys`.")
        return Deleted(count=count)


class Incremented(Outputs):
    """The new number."""

    value: float | int
    key: str


class Increment(RedisTask):
    """Count a key up."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.redis.string.Increment
url: redis://:secret@cache.example.com:6379/0
key: orders:count
amount: 5
""",
    )
    type: Literal["io.kestra.plugin.redis.string.Increment"]
    key: Property[Text]
    amount: Property[int | float] = 1
    options: Property[Expiration | None] = None

    async def run(self, context: RunContext) -> Incremented:
        when = self.options or Expiration()
        async with self.redis(context) as client:
            whole = isinstance(self.amount, int)
            value = await (client.incrby if whole else client.incrbyfloat)(self.key, self.amount)
            await when.told(client, self.key)
        return Incremented(value=value, key=self.key)


class Left(Outputs):
    """How many seconds a key stays: -1 for good, -2 when there is none."""

    ttl: int
    key: str


class Ttl(RedisTask):
    """Tell how long a key stays."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: left
type: io.kestra.plugin.redis.string.Ttl
url: redis://:secret@cache.example.com:6379/0
key: orders:last
""",
    )
    type: Literal["io.kestra.plugin.redis.string.Ttl"]
    key: Property[Text]

    async def run(self, context: RunContext) -> Left:
        async with self.redis(context) as client:
            return Left(ttl=await client.ttl(self.key), key=self.key)
