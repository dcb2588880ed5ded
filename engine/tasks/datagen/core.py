"""`io.kestra.plugin.datagen.core`: data that is made up, once or again and again."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.durations import Duration
from engine.plugin import Outputs, Part, PollContext, PollingTrigger, Property, RunContext, RunnableTask, StoredUri
from engine.tasks.datagen.generators import AnyGenerator
from engine.tasks.rows import lines_of
from engine.tasks.runners import own_file
from engine.tasks.threads import in_own_thread, while_alive
from engine.tasks.trigger_fields import task_of

MOST = 1_000_000


class Generated(Outputs):
    """The value, or the file that holds them; how many there are, and of how many bytes."""

    value: Any = None
    uri: StoredUri | None = None
    count: int
    size: int


class DataFields(Part):
    """What is made up, and how much of it."""

    generator: AnyGenerator
    batch_size: Property[int] = Field(default=1, ge=1, le=MOST, description="How many values `store` writes.")
    store: Property[bool] = Field(default=False, description="Into a file of rows; else there is one value.")


class Generate(DataFields, RunnableTask):
    """Make up data for trials."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: people
type: io.kestra.plugin.datagen.core.Generate
batchSize: 100
store: true
generator:
  type: io.kestra.plugin.datagen.generators.JsonObjectGenerator
  value:
    name: "#{name.fullName}"
    email: "#{internet.emailAddress}"
    age: "#{number.numberBetween '18','99'}"
""",
    )
    type: Literal["io.kestra.plugin.datagen.core.Generate", "io.kestra.plugin.datagen.Generate"]

    async def run(self, context: RunContext) -> Generated:
        if not self.store:
            value = await in_own_thread(lambda: next(self.generator.values(1)))
            return Generated(value=value, count=1, size=len("".join(lines_of([value])).encode()) - 1)
        path = own_file(context, "data")
        with while_alive() as alive:

            def write() -> None:  # as they come: a million of them would fill the memory
                with path.open("w", encoding="utf-8") as file:
                    for line in lines_of(self.generator.values(self.batch_size)):
                        alive()
                        file.write(line)

            await in_own_thread(write)
        size = path.stat().st_size - self.batch_size
        return Generated(uri=await context.files.put(path, "data.jsonl"), count=self.batch_size, size=size)


class Trigger(DataFields, PollingTrigger):
    """Start an execution with made-up data, again and again."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: visitors
type: io.kestra.plugin.datagen.core.Trigger
interval: PT30S
generator:
  type: io.kestra.plugin.datagen.generators.JsonObjectGenerator
  value:
    name: "#{name.fullName}"
    ip: "#{internet.ipV4Address}"
""",
    )
    type: Literal["io.kestra.plugin.datagen.core.Trigger"]
    interval: Duration = Field(default=timedelta(seconds=1), ge=timedelta(seconds=1))

    async def poll(self, context: PollContext) -> Generated:
        return await (await task_of(self, Generate, context)).run(context)
