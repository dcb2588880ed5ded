"""`io.kestra.plugin.azure.servicebus`: messages in queues and topics, over the service's own HTTP."""

import json
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.core import durations
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
from engine.tasks.message_files import consumed, held, message_file, taken
from engine.tasks.property_types import OptionalInteger
from engine.tasks.servicebus_connection import Bus, BusConnected, Received
from engine.tasks.trigger_fields import fields_of

LISTENING = 20.0  # seconds that the service waits for a message


class Published(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Publish(BusConnected, RunnableTask):
    """Send messages to a queue or a topic."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: enqueue
type: io.kestra.plugin.azure.servicebus.Publish
connectionString: "{{ secret('SERVICE_BUS') }}"
queueName: work
from:
  - body: "{{ inputs.order }}"
    subject: order
    timeToLive: PT1H
    applicationProperties: {priority: high}
""",
    )
    type: Literal["io.kestra.plugin.azure.servicebus.Publish"]
    from_: Property[Any] = Field(
        alias="from",
        description="Maps with `body`, `messageId`, `subject`, `timeToLive` and `applicationProperties`, or a file.",
    )

    async def run(self, context: RunContext) -> Published:
        rows = await given_rows.rows(context, self.from_)
        messages = [self._message(row) for row in rows]
        bus = await self.bus(context)
        for text, headers in messages:
            await bus.send(text, headers)
        kind = "queue" if self.queue_name else "topic"
        context.metric(f"servicebus.publish.{kind}.messages", len(messages))
        return Published(messagesCount=len(messages))

    def _message(self, row: Any) -> tuple[bytes, dict[str, str]]:
        if not isinstance(row, dict) or row.get("body") is None:
            raise TaskFailed("A message has no `body`.", fix="Give maps with `body`.")
        text = json.dumps(row["body"], ensure_ascii=False) if self.serde_type == "JSON" else None
        about: dict[str, Any] = {"MessageId": row.get("messageId"), "Label": row.get("subject")}
        if row.get("timeToLive") is not None:
            about["TimeToLive"] = _seconds(row["timeToLive"])
        headers = {"BrokerProperties": json.dumps({name: one for name, one in about.items() if one is not None})}
        for name, value in (row.get("applicationProperties") or {}).items():
            headers[str(name)] = json.dumps(value)  # texts in quotes, numbers and truth values without: so it is read
        return (given_rows.text_of(row["body"]) if text is None else text).encode(), headers


class Consumed(Outputs):
    """How many messages were taken, and the file they are in."""

    count: int
    uri: StoredUri


class ReceiveFields(BusConnected):
    """What is heard, and what becomes of it."""

    receive_mode: Property[Literal["PEEK_LOCK", "RECEIVE_AND_DELETE"]] = Field(
        default="PEEK_LOCK",
        description="When a message is taken out: once it is kept here, or as it is sent; those the bot then has in "
        "hand when it dies are lost.",
    )
    sub_queue: Property[Literal["NONE", "DEAD_LETTER_QUEUE", "TRANSFER_DEAD_LETTER_QUEUE"]] = "NONE"

    async def receiving(self, context: RunContext) -> Bus:
        """The bus to hear; TaskFailed when it is not said what."""
        return await self.bus(context, self.sub_queue, hears=True)

    def value(self, one: Received) -> Any:
        """The body of a message; TaskFailed when it should be JSON and is not."""
        text = one.body.decode("utf-8", "replace")
        return text if self.serde_type == "STRING" else held(text)


class ConsumeFields(ReceiveFields):
    """What is heard, how many messages, and for how long."""

    max_messages: Property[OptionalInteger] = None
    max_receive_duration: Property[timedelta] = timedelta(seconds=10)

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows; they are taken out as it goes on, and let go where it does not."""
        bus = await self.receiving(context)
        until = time.monotonic() + self.max_receive_duration.total_seconds()
        got: list[Received] = []
        locks = self.receive_mode == "PEEK_LOCK"
        try:
            async with message_file(context) as file:
                while self.max_messages is None or len(got) < self.max_messages:
                    left = until - time.monotonic()
                    one = await bus.receive(min(max(left, 0.0), LISTENING), locks=locks) if left > 0 else None
                    if one is None:
                        break
                    got.append(replace(one, body=b"", about={}))
                    await file.add(Message(self.value(one)))
                yield Consumed(count=len(got), uri=await file.kept())
        except BaseException:
            for one in got:
                await bus.release(one)
            raise
        for one in got:
            await bus.complete(one)


class Consume(ConsumeFields, RunnableTask):
    """Take messages of a queue or a subscription, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dequeue
type: io.kestra.plugin.azure.servicebus.Consume
connectionString: "{{ secret('SERVICE_BUS') }}"
topicName: orders
subscriptionName: flows
serdeType: JSON
maxMessages: 100
""",
    )
    type: Literal["io.kestra.plugin.azure.servicebus.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are messages; they are taken out when it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.azure.servicebus.Trigger
interval: PT1M
connectionString: "{{ secret('SERVICE_BUS') }}"
queueName: work
maxMessages: 100
""",
    )
    type: Literal["io.kestra.plugin.azure.servicebus.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.count)


class RealTimeTrigger(ReceiveFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes; it is taken out when its execution is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.azure.servicebus.RealTimeTrigger
connectionString: "{{ secret('SERVICE_BUS') }}"
queueName: work
serdeType: JSON
""",
    )
    type: Literal["io.kestra.plugin.azure.servicebus.RealTimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ReceiveFields, context)
        bus = await fields.receiving(context)
        locks = fields.receive_mode == "PEEK_LOCK"
        while True:
            one = await bus.receive(LISTENING, locks=locks)
            if one is None:
                continue
            yield [_heard(fields, one)]
            await bus.complete(one)


def _heard(fields: ReceiveFields, one: Received) -> Message:
    about = {"messageId": one.about.get("MessageId"), "subject": one.about.get("Label")}
    key = str(one.about.get("SequenceNumber") or one.about.get("MessageId") or "") or None
    try:
        return Message({"body": fields.value(one), **about}, key)
    except TaskFailed as problem:
        return Message({"body": one.body.decode("utf-8", "replace"), **about}, key, problem)


def _seconds(length: Any) -> float:
    try:
        return (length if isinstance(length, timedelta) else durations.parse(str(length))).total_seconds()
    except ValueError as error:
        raise TaskFailed(f"`timeToLive` of a message: {error}", fix="PT10S") from error
