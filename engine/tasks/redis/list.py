"""`io.kestra.plugin.redis.list`: lists in Redis."""

import asyncio
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks import given_rows
from engine.tasks.property_types import OptionalInteger, Text
from engine.tasks.redis_task import RedisTask, SerdeType, heard, written
from engine.tasks.rows import lines_of
from engine.tasks.runners import WORK


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
    uri: str


class ListPop(RedisTask):
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
    key: Property[Text]
    serde_type: Property[SerdeType] = "STRING"
    count: Property[int] = 100
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None

    async def run(self, context: RunContext) -> Popped:
        if self.max_records is None and self.max_duration is None:
            raise TaskFailed("`maxRecords` or `maxDuration` is missing: a list may never become empty.")
        loop = asyncio.get_running_loop()
        until = loop.time() + self.max_duration.total_seconds() if self.max_duration else None
        path = context.working_dir / WORK / f"list-{context.task_run_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        total = 0
        async with self.redis(context) as client:
            with path.open("w", encoding="utf-8") as file:
                while (self.max_records is None or total < self.max_records) and (not until or loop.time() < until):
                    left = self.count if self.max_records is None else min(self.count, self.max_records - total)
                    found = await client.lpop(self.key, max(left, 1))
                    if not found:
                        break
                    file.writelines(lines_of(heard(text, self.serde_type) for text in found))
                    total += len(found)
        context.metric("popped.records.count", total, key=self.key)
        return Popped(count=total, uri=await context.files.put(path, path.name))
