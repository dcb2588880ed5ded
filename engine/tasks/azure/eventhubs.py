"""`io.kestra.plugin.azure.eventhubs`: streams of events."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
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
from engine.tasks.eventhubs_connection import HubConnected, ReadFields, Serde, client_of, place_of, written
from engine.tasks.extras import extra
from engine.tasks.message_files import consumed, taken
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText
from engine.tasks.rows import lines_of
from engine.tasks.trigger_fields import fields_of

HEARD = 50  # events of a partition that are taken at once


class Sent(Outputs):
    """How many events were sent, in how many batches."""

    eventsCount: int  # noqa: N815 - appears as written
    sendBatchesCount: int  # noqa: N815


class Produce(HubConnected, RunnableTask):
    """Send events to a hub."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.azure.eventhubs.Produce
namespace: shop
eventHubName: orders
connectionString: "{{ secret('EVENT_HUBS') }}"
bodySerializer: JSON
from:
  - body: {customer: ann, amount: 4}
    properties: {source: flow}
""",
    )
    type: Literal["io.kestra.plugin.azure.eventhubs.Produce"]
    from_: Property[Any] = Field(
        alias="from",
        description="Maps with `body`, `contentType`, `correlationId`, `messageId` and `properties`, or a file.",
    )
    event_properties: Property[JsonMap] = Field(default_factory=dict, description="Properties of all events.")
    partition_key: Property[OptionalText] = None
    max_batch_size_in_bytes: Property[OptionalInteger] = None
    max_events_per_batch: Property[int] = Field(default=1000, ge=1)
    body_content_type: Property[OptionalText] = None
    body_serializer: Property[Serde] = "STRING"
    body_serializer_properties: Property[JsonMap | None] = Field(default=None, description="Of no effect.")

    async def run(self, context: RunContext) -> Sent:
        rows = await given_rows.rows(context, self.from_)
        library = await asyncio.to_thread(extra, "azure.eventhub", "azure")
        events = [self._event(library, row) for row in rows]
        how: dict[str, Any] = {"partition_key": self.partition_key} if self.partition_key else {}
        how |= {"max_size_in_bytes": self.max_batch_size_in_bytes} if self.max_batch_size_in_bytes else {}
        batches = 0
        async with client_of("EventHubProducerClient", await self.told(context)) as client:
            rest = iter(events)
            event = next(rest, None)
            while event is not None:
                batch = await client.create_batch(**how)
                while event is not None and len(batch) < self.max_events_per_batch:
                    try:
                        batch.add(event)
                    except ValueError as error:  # it is full
                        if not len(batch):
                            fix = "Raise `maxBatchSizeInBytes`."
                            raise TaskFailed("An event is too large for a batch.", fix=fix) from error
                        break
                    event = next(rest, None)
                await client.send_batch(batch)
                batches += 1
        context.metric("events.sent.count", len(events))
        context.metric("batches.sent.count", batches)
        return Sent(eventsCount=len(events), sendBatchesCount=batches)

    def _event(self, library: Any, row: Any) -> Any:
        if not isinstance(row, dict) or row.get("body") is None:
            raise TaskFailed("An event has no `body`.", fix="Give maps with `body`.")
        event = library.EventData(written(self.body_serializer, row["body"]))
        for name, field in (("contentType", "content_type"), ("correlationId", "correlation_id")):
            if row.get(name) is not None:
                setattr(event, field, str(row[name]))
        if row.get("messageId") is not None:
            event.message_id = str(row["messageId"])
        if self.body_content_type:
            event.content_type = self.body_content_type
        properties = row.get("properties") or {}
        if not isinstance(properties, dict):
            raise TaskFailed("The `properties` of an event are no map.", fix="Give names and values.")
        event.properties = {**properties, **self.event_properties}
        return event


class Consumed(Outputs):
    """How many events were read, and the file they are in."""

    eventsCount: int  # noqa: N815
    uri: StoredUri


class ConsumeFields(ReadFields):
    """Which events, how many of each partition, and for how long."""

    max_batch_size_per_partition: Property[int] = Field(default=50, ge=1)
    max_wait_time_per_partition: Property[timedelta] = timedelta(seconds=5)
    max_duration: Property[timedelta] = timedelta(seconds=10)

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """A batch of each partition, stored; it is kept how far was read as it goes on. TaskFailed."""
        told, places = await self.told(context), await self.places(context)
        got: dict[str, Sequence[Any]] = {}
        everything = asyncio.Event()
        async with client_of("EventHubConsumerClient", told, consumer_group=self.consumer_group) as client:
            partitions = await client.get_partition_ids()

            idle: set[str] = set()

            async def hear(partition: str, events: Sequence[Any]) -> None:
                if events or partition in idle:  # the first wait may have gone by while it was connected
                    got.setdefault(partition, events)
                idle.add(partition)
                if len(got) == len(partitions):
                    everything.set()

            most, patience = self.max_batch_size_per_partition, self.max_wait_time_per_partition.total_seconds()
            reading = asyncio.ensure_future(self.read_all(client, places, hear, most, max(patience, 0.01)))
            waiting = asyncio.ensure_future(everything.wait())
            try:
                limit = self.max_duration.total_seconds()
                await asyncio.wait([reading, waiting], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
            finally:
                waiting.cancel()
                reading.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await reading
        rows = [self.row(event) for events in got.values() for event in events]
        uri = await context.files.put("".join(lines_of(rows)).encode(), "events.jsonl")
        context.metric("records.consumed", len(rows))
        yield Consumed(eventsCount=len(rows), uri=uri)
        await self.keep(context, {partition: place_of(events) for partition, events in got.items() if events})


class Consume(ConsumeFields, RunnableTask):
    """Read the next events of a hub, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.azure.eventhubs.Consume
namespace: shop
eventHubName: orders
connectionString: "{{ secret('EVENT_HUBS') }}"
bodyDeserializer: JSON
checkpointStoreProperties:
  connectionString: "{{ secret('BLOBS') }}"
  containerName: checkpoints
""",
    )
    type: Literal["io.kestra.plugin.azure.eventhubs.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are events."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.azure.eventhubs.Trigger
interval: PT1M
namespace: shop
eventHubName: orders
connectionString: "{{ secret('EVENT_HUBS') }}"
checkpointStoreProperties:
  connectionString: "{{ secret('BLOBS') }}"
  containerName: checkpoints
""",
    )
    type: Literal["io.kestra.plugin.azure.eventhubs.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.eventsCount)


class RealtimeTrigger(ReadFields, plugin.RealtimeTrigger):
    """Start an execution for each event, as it comes."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.azure.eventhubs.RealtimeTrigger
namespace: shop
eventHubName: orders
connectionString: "{{ secret('EVENT_HUBS') }}"
bodyDeserializer: JSON
checkpointStoreProperties:
  connectionString: "{{ secret('BLOBS') }}"
  containerName: checkpoints
""",
    )
    type: Literal["io.kestra.plugin.azure.eventhubs.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ReadFields, context)
        told, places = await fields.told(context), await fields.places(context)
        coming: asyncio.Queue[tuple[str, Sequence[Any]]] = asyncio.Queue(1)  # who is quicker waits

        async def hear(partition: str, events: Sequence[Any]) -> None:
            if events:
                await coming.put((partition, events))

        async with client_of("EventHubConsumerClient", told, consumer_group=fields.consumer_group) as client:
            reading = asyncio.ensure_future(fields.read_all(client, places, hear, HEARD))
            try:
                while True:
                    one = asyncio.ensure_future(coming.get())
                    try:
                        await asyncio.wait([one, reading], return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        one.cancel()  # of no effect on one that is done
                    if not one.done():
                        reading.result()
                        return
                    partition, events = one.result()
                    yield [_heard(fields, partition, event) for event in events]
                    await fields.keep(context, {partition: place_of(events)})
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await reading


def _heard(fields: ReadFields, partition: str, event: Any) -> Message:
    key = f"{fields.host}/{fields.event_hub_name}/{partition}/{event.sequence_number}"
    try:
        return Message(fields.row(event), key)
    except TaskFailed as problem:
        plain = fields.model_copy(update={"body_deserializer": "STRING"})
        return Message(plain.row(event), key, problem)
