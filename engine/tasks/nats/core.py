"""`io.kestra.plugin.nats.core`: messages of NATS, and of its streams."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

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
)
from engine.tasks import given_rows
from engine.tasks.extras import extra
from engine.tasks.message_files import consumed, taken
from engine.tasks.nats_connection import (
    RENEWED_IN,
    NatsConnected,
    SerializationType,
    SubscribeFields,
    fetched,
    line,
    read,
    sent,
    written,
)
from engine.tasks.property_types import OptionalInteger, Text
from engine.tasks.runners import own_file
from engine.tasks.trigger_fields import fields_of

MOST = 100_000  # messages that one run takes
QUIET = 30.0  # seconds a listening trigger waits for the next message before it asks anew

Wait = Annotated[
    timedelta, BeforeValidator(lambda value: timedelta(milliseconds=value) if isinstance(value, int) else value)
]


class Produced(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Produce(NatsConnected, RunnableTask):
    """Send messages; the server has them when the task ends."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.nats.core.Produce
url: nats://nats.example.com:4222
username: flows
password: "{{ secret('NATS_PASSWORD') }}"
subject: orders.new
from:
  headers: {source: flow}
  data: '{"id": 17}'
""",
    )
    type: Literal["io.kestra.plugin.nats.core.Produce", "io.kestra.plugin.nats.Produce"]
    subject: Property[Text]
    from_: Property[Any] = Field(alias="from")
    serialization_type: Property[SerializationType] = "STRING"

    async def run(self, context: RunContext) -> Produced:
        rows = await given_rows.rows(context, self.from_)
        messages = [await written(context, row, self.serialization_type) for row in rows]
        async with self.connected(context) as connection:
            for data, headers in messages:
                await connection.publish(self.subject, data, headers=headers or None)
            await sent(connection)
        context.metric("records", len(messages))
        return Produced(messagesCount=len(messages))


class Replied(Outputs):
    """The answer, nothing when there was none in time."""

    response: str | None = None


class Request(NatsConnected, RunnableTask):
    """Send one message and wait for the answer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: ask
type: io.kestra.plugin.nats.core.Request
url: nats://nats.example.com:4222
token: "{{ secret('NATS_TOKEN') }}"
subject: prices.of
from:
  data: "17"
requestTimeout: PT2S
""",
    )
    type: Literal["io.kestra.plugin.nats.core.Request", "io.kestra.plugin.nats.Request"]
    subject: Property[Text]
    from_: Property[Any] = Field(alias="from")
    request_timeout: Property[Wait] = Field(default=timedelta(seconds=5), description="A number is milliseconds.")

    async def run(self, context: RunContext) -> Replied:
        errors = extra("nats.errors", "nats")
        rows = await given_rows.rows(context, self.from_)
        data, headers = await written(context, rows[0] if rows else "")
        async with self.connected(context) as connection:
            wait = self.request_timeout.total_seconds()
            try:
                reply = await connection.request(self.subject, data, timeout=wait, headers=headers or None)
            except (errors.NoRespondersError, TimeoutError) as error:
                why = "Nobody hears" if isinstance(error, errors.NoRespondersError) else "Nobody answers"
                context.log(f"{why} {self.subject}.", "WARN")
                return Replied()
        return Replied(response=reply.data.decode("utf-8", "replace"))


class Consumed(Outputs):
    """How many messages were taken, and the file they are in."""

    messagesCount: int  # noqa: N815 - appears as written
    uri: StoredUri


class ConsumeFields(SubscribeFields):
    """How many messages are taken, and for how long."""

    poll_duration: Property[timedelta] = timedelta(seconds=2)
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows until there are none for a while; they are acknowledged as it goes on."""
        most = min(self.max_records or MOST, MOST)
        until = time.monotonic() + self.max_duration.total_seconds() if self.max_duration else None
        path = own_file(context, "messages", ".jsonl")
        path.write_bytes(b"")
        got: list[Any] = []
        renewed = time.monotonic()
        async with self.connected(context) as connection:
            consumer = await self.subscribed(connection)
            while len(got) < most and (until is None or time.monotonic() < until):
                size = min(self.batch_size, most - len(got))
                some = await fetched(consumer, size, self.poll_duration.total_seconds())
                if not some:
                    break
                await asyncio.to_thread(_append, path, [read(one) for one in some])
                for one in some:
                    one.data = b""  # it is in the file
                got += some
                if time.monotonic() - renewed > RENEWED_IN:
                    for one in got:
                        await one.in_progress()
                    renewed = time.monotonic()
            uri = await context.files.put(path, "messages.jsonl")
            path.unlink()
            context.metric("records", len(got))
            yield Consumed(messagesCount=len(got), uri=uri)
            for one in got:
                await one.ack()
            await sent(connection)


class Consume(ConsumeFields, RunnableTask):
    """Take messages out of a stream, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: take
type: io.kestra.plugin.nats.core.Consume
url: nats://nats.example.com:4222
username: flows
password: "{{ secret('NATS_PASSWORD') }}"
subject: orders.>
durableId: flows
maxRecords: 1000
""",
    )
    type: Literal["io.kestra.plugin.nats.core.Consume", "io.kestra.plugin.nats.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are messages; they are acknowledged when it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.nats.core.Trigger
interval: PT30S
url: nats://nats.example.com:4222
subject: orders.>
durableId: flows
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.nats.core.Trigger", "io.kestra.plugin.nats.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.messagesCount)


class RealtimeTrigger(SubscribeFields, plugin.RealtimeTrigger):
    """Start an execution for each message of a stream, as it comes; it is acknowledged when its execution is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.nats.core.RealtimeTrigger
url: nats://nats.example.com:4222
username: flows
password: "{{ secret('NATS_PASSWORD') }}"
subject: orders.new
durableId: flows
""",
    )
    type: Literal["io.kestra.plugin.nats.core.RealtimeTrigger", "io.kestra.plugin.nats.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, SubscribeFields, context)
        async with fields.connected(context) as connection:
            consumer = await fields.subscribed(connection)
            while True:
                if got := await fetched(consumer, fields.batch_size, QUIET):
                    yield [read(one) for one in got]
                    for one in got:
                        await one.ack()
                    await connection.flush()


def _append(path: Path, messages: Sequence[Message]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(line(one) for one in messages)
