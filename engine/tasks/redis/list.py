"""`io.kestra.plugin.redis.list`: lists in Redis."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.plugin import (
    Message,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    StoredUri,
    Taken,
    TaskFailed,
)
from engine.tasks import given_rows
from engine.tasks.message_files import taken
from engine.tasks.property_types import OptionalInteger, Text
from engine.tasks.redis_task import RedisConnected, RedisTask, SerdeType, heard, written
from engine.tasks.rows import lines_of
from engine.tasks.runners import own_file
from engine.tasks.trigger_fields import fields_of

PATIENCE = 5  # seconds Redis waits for a value
AT_ONCE = 50


class Pushed(Outputs):
    """How many values there were."""

    count: int


class ListPush(RedisTask):
    """Put values at the head of a list."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: push
type: io.kestra.plugin.redis.list.ListPush
url: redis://:secret@cache.example.com:6379/0
key: queue
from: [first, second]
""",
    )
    type: Literal["io.kestra.plugin.redis.list.ListPush", "io.kestra.plugin.redis.ListPush"]
    key: Property[Text]
    from_: Property[Any] = Field(alias="from")
    serde_type: Property[SerdeType] = "STRING"

    async def run(self, context: RunContext) -> Pushed:
        values = [written(row, self.serde_type) for row in await given_rows.rows(context, self.from_)]
        async with self.redis(context) as client:
            if values:
                await client.lpush(self.key, *values)
        context.metric("inserted.records.count", len(values))
        return Pushed(count=len(values))


class Popped(Outputs):
    """A file with one value a line."""

    count: int
    uri: StoredUri


class PopFields(RedisConnected):
    """Which list, and how much of it."""

    key: Property[Text]
    serde_type: Property[SerdeType] = "STRING"
    count: Property[int] = 100
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None

    async def popped(self, context: RunContext, client: Any, own: "Own | None" = None) -> Popped:
        """Take values, into the trigger's `own` list where there is one, and store them in a file. One that can't be
        read stays in the list, and what comes after it: TaskFailed when it is the first."""
        if self.max_records is None and self.max_duration is None:
            raise TaskFailed("`maxRecords` or `maxDuration` is missing: a list may never become empty.")
        loop = asyncio.get_running_loop()
        until = loop.time() + self.max_duration.total_seconds() if self.max_duration else None
        path = own_file(context, "list", ".jsonl")
        total = 0
        with path.open("w", encoding="utf-8") as file:
            while (self.max_records is None or total < self.max_records) and (not until or loop.time() < until):
                left = self.count if self.max_records is None else min(self.count, self.max_records - total)
                most = max(left, 1)
                found = await (own.take(most, total) if own else client.lpop(self.key, most))
                if not found:
                    break
                values, problem = _readable(found, self.serde_type)
                file.writelines(lines_of(values))
                total += len(values)
                if problem is not None:
                    if own:
                        await own.give_back(total)
                    else:
                        await client.lpush(self.key, *reversed(found[len(values) :]))
                    if not total:
                        raise problem
                    context.log(f"What comes after {total} values stays in {self.key}: {problem}", "WARN")
                    break
        context.metric("popped.records.count", total, key=self.key)
        return Popped(count=total, uri=await context.files.put(path, path.name))

    async def taking(self, context: RunContext) -> AsyncGenerator[Popped, None]:
        """Values stored in a file; they stand in a list of the trigger's own until it goes on."""
        async with self.redis(context, raw=True) as client:
            own = Own(client, self.key, f"{self.key}:parley:{context.namespace}:{context.flow_id}:{context.task_id}")
            found = await self.popped(context, client, own)
            yield found
            await own.forget(found.count)


class Own:
    """The list where a trigger has values in hand; what is left there by a process that died is taken up first."""

    def __init__(self, client: Any, key: str, name: str) -> None:
        self.name = name
        self._client, self._key = client, key

    async def take(self, most: int, after: int) -> list[bytes]:
        """The next values, behind so many that are in hand."""
        left: list[bytes] = await self._client.lrange(self.name, after, after + most - 1)
        if left:
            return left
        async with self._client.pipeline(transaction=True) as moves:
            for _ in range(most):
                moves.lmove(self._key, self.name, "LEFT", "RIGHT")
            return [value for value in await moves.execute() if value is not None]

    async def forget(self, count: int) -> None:
        """Let go of the first so many; a look may end before it has taken up all that was left."""
        await self._client.ltrim(self.name, count, -1)

    async def give_back(self, after: int) -> None:
        """Put values behind so many that are in hand back to the head of the list."""
        back = await self._client.lrange(self.name, after, -1)
        async with self._client.pipeline(transaction=True) as moves:
            for _ in back:
                moves.lmove(self.name, self._key, "RIGHT", "LEFT")
            await moves.execute()


class ListPop(PopFields, RunnableTask):
    """Take values from the head of a list, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pop
type: io.kestra.plugin.redis.list.ListPop
url: redis://:secret@cache.example.com:6379/0
key: queue
serdeType: JSON
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.redis.list.ListPop", "io.kestra.plugin.redis.ListPop"]

    async def run(self, context: RunContext) -> Popped:
        async with self.redis(context, raw=True) as client:
            return await self.popped(context, client)


class Trigger(PopFields, PollingTrigger):
    """Start an execution when there are values in a list; they are taken out.

    Until it is there they stand in a list of the trigger's own, which is taken up first when the bot died meanwhile.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: watch
type: io.kestra.plugin.redis.list.Trigger
interval: PT30S
url: redis://:secret@cache.example.com:6379/0
key: queue
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.redis.list.Trigger", "io.kestra.plugin.redis.TriggerList"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, PopFields, context)
        return await taken(fields.taking(context), lambda found: found.count)


class ListenFields(RedisConnected):
    """Which list."""

    key: Property[Text]
    serde_type: Property[SerdeType] = "STRING"

    def message(self, text: bytes, key: str) -> Message:
        """A value as flows see it."""
        try:
            return Message({"value": heard(text, self.serde_type)}, key)
        except TaskFailed as error:
            return Message({"value": text.decode("utf-8", "replace")}, key, error)


class RealtimeTrigger(ListenFields, plugin.RealtimeTrigger):
    """Start an execution for each value of a list, as it comes.

    Values in hand stand in a list of the trigger's own, beside the name of the lot, until their executions are there:
    what is left there by a process that died is taken up first, and by its name it starts nothing twice.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.redis.list.RealtimeTrigger
url: redis://:secret@cache.example.com:6379/0
key: queue
serdeType: JSON
""",
    )
    type: Literal["io.kestra.plugin.redis.list.RealtimeTrigger", "io.kestra.plugin.redis.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ListenFields, context)
        own = f"{fields.key}:parley:{context.namespace}:{context.flow_id}:{context.task_id}"
        lot = f"{own}:lot"
        async with fields.redis(context, raw=True) as client:
            while True:
                if not await client.llen(own):
                    await client.set(lot, uuid.uuid4().hex)
                    if await client.blmove(fields.key, own, PATIENCE, "LEFT", "RIGHT") is None:
                        continue
                    async with client.pipeline(transaction=True) as more:
                        for _ in range(AT_ONCE - 1):
                            more.lmove(fields.key, own, "LEFT", "RIGHT")
                        await more.execute()
                name, values = await client.get(lot) or b"", await client.lrange(own, 0, -1)
                yield [fields.message(value, f"{name.decode()}/{n}") for n, value in enumerate(values)]
                await client.delete(own, lot)


def _readable(found: Sequence[bytes], kind: SerdeType) -> tuple[list[Any], TaskFailed | None]:
    """The values up to the first that can't be read, and why that can't be."""
    values: list[Any] = []
    for text in found:
        try:
            values.append(heard(text, kind))
        except TaskFailed as error:
            return values, error
    return values, None
