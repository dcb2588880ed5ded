"""`io.kestra.plugin.pulsar`: messages of Apache Pulsar."""

import base64
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal, TextIO

from pydantic import Field

from engine import plugin
from engine.core.dates import parse_datetime
from engine.core.durations import Duration
from engine.core.durations import parse as parse_duration
from engine.plugin import (
    Message,
    Outputs,
    Part,
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
from engine.tasks.extras import extra
from engine.tasks.message_files import consumed, taken
from engine.tasks.property_types import OptionalInteger, OptionalText
from engine.tasks.pulsar_connection import PulsarConnected, SerdeType, SubscriptionFields, read, received
from engine.tasks.rows import lines_of
from engine.tasks.runners import own_file
from engine.tasks.threads import in_own_thread
from engine.tasks.trigger_fields import fields_of

AT_ONCE = 100  # messages in hand at once
MOST = 100_000  # messages that are taken where `maxRecords` does not say


class Produced(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Produce(PulsarConnected, RunnableTask):
    """Send messages to a topic; each is there when the task ends."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.pulsar.Produce
uri: pulsar://pulsar.example.com:6650
topic: orders
serializer: JSON
from:
  - key: order-17
    value: {id: 17}
    properties: {source: flow}
""",
    )
    type: Literal["io.kestra.plugin.pulsar.Produce"]
    from_: Property[Any] = Field(alias="from")
    serializer: Property[SerdeType] = "STRING"
    producer_name: Property[OptionalText] = None
    producer_properties: Property[dict[str, str] | None] = None
    access_mode: Property[Literal["Shared", "Exclusive", "ExclusiveWithFencing", "WaitForExclusive"]] = "Shared"
    compression_type: Property[Literal["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"]] = "NONE"
    encryption_key: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Produced:
        if self.encryption_key:
            raise TaskFailed("Encrypted messages are not supported here.", fix="Leave out `encryptionKey`.")
        messages = [self._message(row) for row in await given_rows.rows(context, self.from_)]
        topic, *more = self.topics()
        if more:
            raise TaskFailed("Messages go to one topic.", fix="Use a task for each.")
        pulsar = extra("pulsar", "pulsar")
        given = {
            "producer_name": self.producer_name,
            "properties": self.producer_properties,
            "access_mode": getattr(pulsar.ProducerAccessMode, self.access_mode),
            "compression_type": getattr(pulsar.CompressionType, self.compression_type),
        }

        def work(client: Any) -> None:
            producer = client.create_producer(topic, **given)
            for content, about in messages:
                producer.send(content, **about)

        async with self.client(context) as client:
            await in_own_thread(lambda: work(client))
        context.metric("records", len(messages))
        return Produced(messagesCount=len(messages))

    def _message(self, row: Any) -> tuple[bytes, dict[str, Any]]:
        given = row if isinstance(row, dict) and "value" in row else {"value": row}
        about: dict[str, Any] = {
            "partition_key": None if given.get("key") is None else str(given["key"]),
            "properties": {str(name): str(value) for name, value in (given.get("properties") or {}).items()} or None,
            "sequence_id": given.get("sequenceId"),
        }
        if given.get("eventTime") is not None:
            about["event_timestamp"] = _milliseconds(given["eventTime"])
        if given.get("deliverAt") is not None:
            about["deliver_at"] = _milliseconds(given["deliverAt"])
        if given.get("deliverAfter") is not None:
            about["deliver_after"] = parse_duration(str(given["deliverAfter"]))
        return self._content(given["value"]), {name: value for name, value in about.items() if value is not None}

    def _content(self, value: Any) -> bytes:
        if self.serializer == "JSON":
            return json.dumps(value, ensure_ascii=False).encode()
        if self.serializer == "BYTES":
            try:
                return base64.b64decode(str(value), validate=True)
            except ValueError as error:
                raise TaskFailed(f"The value is not Base64: {error}.", fix="Set `serializer: STRING`.") from error
        return given_rows.text_of(value).encode()


class Consumed(Outputs):
    """How many messages were taken, and the file they are in."""

    messagesCount: int  # noqa: N815 - appears as written
    uri: StoredUri


class PollFields(Part):
    """How many messages, and for how long they are waited for."""

    poll_duration: Property[Duration] = Field(
        default=timedelta(seconds=2), description="No message for so long ends it, unless `maxDuration` says how long."
    )
    max_records: Property[OptionalInteger] = None
    max_duration: Property[Duration | None] = None

    async def stored(
        self, context: RunContext, hears: Callable[[int], Any], kind: SerdeType, told: Callable[[Any], None]
    ) -> Consumed:
        """A file with a row a message: as many as are wanted, until the time is over or none comes any more. `told` is
        given each as it is written. TaskFailed when one can't be read."""
        until = time.monotonic() + self.max_duration.total_seconds() if self.max_duration else None
        path, count = own_file(context, "pulsar", ".jsonl"), 0
        try:
            with path.open("w", encoding="utf-8") as file:
                while self.max_records is None or count < self.max_records:
                    left = None if until is None else until - time.monotonic()
                    patience = self.poll_duration.total_seconds() if left is None else min(left, 1.0)
                    if patience <= 0:
                        break
                    if self.max_records is None and count >= MOST:
                        context.log(f"{count} messages are taken, the rest the next time (`maxRecords`).", "WARN")
                        break
                    wanted = (MOST if self.max_records is None else self.max_records) - count
                    found = await received(hears, min(AT_ONCE, wanted), patience)
                    if not found and until is None:
                        break
                    await in_own_thread(lambda found=found: _write(file, found, kind))  # type: ignore[misc]
                    for one in found:
                        told(one)
                    count += len(found)
            uri = await context.files.put(path, "messages.jsonl")
        finally:
            path.unlink(missing_ok=True)
        context.metric("records", count)
        return Consumed(messagesCount=count, uri=uri)


def _write(file: TextIO, got: list[Any], kind: SerdeType) -> None:
    for one in got:
        message = read(one, kind)
        if message.problem is not None:
            raise message.problem
        file.writelines(lines_of([message.variables]))


class ConsumeFields(SubscriptionFields, PollFields):
    """Which messages of a subscription are taken."""

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows; they are acknowledged as it goes on."""
        async with self.client(context) as client:
            consumer = await self.subscribed(client)
            ids: list[Any] = []
            yield await self.stored(
                context, consumer.receive, self.deserializer, lambda one: ids.append(one.message_id())
            )
            await in_own_thread(lambda: [consumer.acknowledge(one) for one in ids])


class Consume(ConsumeFields, RunnableTask):
    """Take the messages of a subscription, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: take
type: io.kestra.plugin.pulsar.Consume
uri: pulsar://pulsar.example.com:6650
topic: orders
subscriptionName: flows
deserializer: JSON
maxRecords: 1000
""",
    )
    type: Literal["io.kestra.plugin.pulsar.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Reader(PulsarConnected, PollFields, RunnableTask):
    """Read the messages of a topic without a subscription: they stay for others."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.pulsar.Reader
uri: pulsar://pulsar.example.com:6650
topic: orders
since: PT1H
""",
    )
    type: Literal["io.kestra.plugin.pulsar.Reader"]
    deserializer: Property[SerdeType] = "STRING"
    since: Property[Duration | None] = Field(default=None, description="Messages that were sent so long ago at most.")
    message_id: Any = None

    async def run(self, context: RunContext) -> Consumed:
        if self.message_id is not None:
            raise TaskFailed("`messageId` is not supported here.", fix="Say by `since` where to begin.")
        topic, *more = self.topics()
        if more:
            raise TaskFailed("One topic is read.", fix="Use a task for each.")
        pulsar = extra("pulsar", "pulsar")
        async with self.client(context) as client:
            reader = await in_own_thread(lambda: client.create_reader(topic, pulsar.MessageId.earliest))
            if since := self.since:
                moment = int((time.time() - since.total_seconds()) * 1000)
                await in_own_thread(lambda: reader.seek(moment))
            return await self.stored(context, reader.read_next, self.deserializer, lambda _: None)


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are messages; they are acknowledged when it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.pulsar.Trigger
interval: PT30S
uri: pulsar://pulsar.example.com:6650
topic: orders
subscriptionName: flows
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.pulsar.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.messagesCount)


class RealtimeTrigger(SubscriptionFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes; it is acknowledged when its execution is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.pulsar.RealtimeTrigger
uri: pulsar://pulsar.example.com:6650
topic: orders
subscriptionName: flows
deserializer: JSON
""",
    )
    type: Literal["io.kestra.plugin.pulsar.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, SubscriptionFields, context)
        async with fields.client(context) as client:
            consumer = await fields.subscribed(client)
            while True:
                if got := await received(consumer.receive, AT_ONCE, 1.0):
                    yield [read(one, fields.deserializer) for one in got]
                    await in_own_thread(lambda got=got: [consumer.acknowledge(one) for one in got])  # type: ignore[misc]


def _milliseconds(moment: Any) -> int:
    if isinstance(moment, int | float):
        return int(moment)
    return int(parse_datetime(str(moment)).timestamp() * 1000)
