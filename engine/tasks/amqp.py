"""`io.kestra.plugin.amqp`: messages of RabbitMQ and other brokers of AMQP 0-9-1."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.core.dates import parse_datetime
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
from engine.tasks.amqp_connection import AT_ONCE, AmqpConnected, Inbox, SerdeType, read
from engine.tasks.extras import extra
from engine.tasks.message_files import consumed, end_of, message_file, taken
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text
from engine.tasks.trigger_fields import fields_of

EVERY = 0.2  # seconds between two looks at an empty queue
PERSISTENT = 2  # how a broker is to keep what does not say it
OF_MESSAGES = {
    "headers": "headers",
    "contentType": "content_type",
    "contentEncoding": "content_encoding",
    "deliveryMode": "delivery_mode",
    "priority": "priority",
    "correlationId": "correlation_id",
    "replyTo": "reply_to",
    "messageId": "message_id",
    "type": "type",
    "userId": "user_id",
    "appId": "app_id",
}


class Published(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Publish(AmqpConnected, RunnableTask):
    """Send messages to an exchange; each is there when the task ends."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.amqp.Publish
host: rabbit.example.com
username: flows
password: "{{ secret('AMQP_PASSWORD') }}"
virtualHost: /shop
exchange: orders
routingKey: new
from:
  - data: {id: 17}
    messageId: order-17
    headers: {source: flow}
serdeType: JSON
""",
    )
    type: Literal["io.kestra.plugin.amqp.Publish"]
    exchange: Property[OptionalText] = Field(default=None, description="None: the one that knows queues by name.")
    routing_key: Property[OptionalText] = None
    from_: Property[Any] = Field(alias="from")
    serde_type: Property[SerdeType] = "STRING"

    async def run(self, context: RunContext) -> Published:
        messages = [self._message(row) for row in await given_rows.rows(context, self.from_)]
        async with self.channel(context) as channel:
            exchange = await channel.get_exchange(self.exchange) if self.exchange else channel.default_exchange
            for message in messages:
                await exchange.publish(message, self.routing_key or "", mandatory=False)
        context.metric("records", len(messages))
        return Published(messagesCount=len(messages))

    def _message(self, row: Any) -> Any:
        given = row if isinstance(row, dict) and "data" in row else {"data": row}
        data = given["data"]
        body = json.dumps(data, ensure_ascii=False) if self.serde_type == "JSON" else given_rows.text_of(data)
        about = {ours: given[name] for name, ours in OF_MESSAGES.items() if given.get(name) is not None}
        about.setdefault("delivery_mode", PERSISTENT)
        if given.get("timestamp") is not None:
            about["timestamp"] = parse_datetime(str(given["timestamp"]), zoned=False)
        return extra("aio_pika", "amqp").Message(body.encode(), **about)


class Consumed(Outputs):
    """How many messages were taken, and the file they are in."""

    count: int
    uri: StoredUri


class ConsumeFields(AmqpConnected):
    """Which queue, how many messages, and for how long."""

    queue: Property[Text]
    consumer_tag: Property[OptionalText] = None
    auto_ack: Property[bool] = Field(
        default=False,
        description="Let the broker forget messages as it sends them; those the bot has in hand when it dies are lost.",
    )
    serde_type: Property[SerdeType] = "STRING"
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows; they are acknowledged as it goes on."""
        until = end_of(self.max_records, self.max_duration)
        async with self.channel(context) as channel, message_file(context) as file:
            last, queue = None, await channel.get_queue(self.queue)
            while self.max_records is None or file.count < self.max_records:
                if last is not None and until is not None and time.monotonic() >= until:
                    break
                one = await queue.get(no_ack=self.auto_ack, fail=False)
                if one is not None:
                    await file.add(read(one, self.serde_type))
                    last = one
                elif until is None or time.monotonic() >= until:
                    break
                else:
                    await _pause(until)
            context.metric("records", file.count)
            yield Consumed(count=file.count, uri=await file.kept())
            if last is not None and not self.auto_ack:
                await last.ack(multiple=True)


class Consume(ConsumeFields, RunnableTask):
    """Take messages out of a queue, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: take
type: io.kestra.plugin.amqp.Consume
url: amqp://flows:{{ secret('AMQP_PASSWORD') }}@rabbit.example.com:5672/shop
queue: orders
maxRecords: 1000
""",
    )
    type: Literal["io.kestra.plugin.amqp.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are messages; they are acknowledged when it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.amqp.Trigger
interval: PT30S
url: amqp://flows:{{ secret('AMQP_PASSWORD') }}@rabbit.example.com:5672/shop
queue: orders
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.amqp.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.count)


class RealtimeTrigger(ConsumeFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes; it is acknowledged when its execution is there.

    A message with a `messageId` that comes again after the bot died starts no second execution.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.amqp.RealtimeTrigger
host: rabbit.example.com
username: flows
password: "{{ secret('AMQP_PASSWORD') }}"
virtualHost: /shop
queue: orders
serdeType: JSON
""",
    )
    type: Literal["io.kestra.plugin.amqp.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ConsumeFields, context)
        async with fields.channel(context) as channel:
            inbox = Inbox()
            await inbox.open(channel, fields.queue, tag=fields.consumer_tag, auto_ack=fields.auto_ack)
            while True:
                if got := await inbox.take(AT_ONCE, 60.0):
                    yield [read(one, fields.serde_type) for one in got]
                    if not fields.auto_ack:
                        await got[-1].ack(multiple=True)


class Made(Outputs):
    """The queue."""

    queue: str


class CreateQueue(AmqpConnected, RunnableTask):
    """Declare a queue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: queue
type: io.kestra.plugin.amqp.CreateQueue
url: amqp://flows:{{ secret('AMQP_PASSWORD') }}@rabbit.example.com:5672/shop
name: orders
""",
    )
    type: Literal["io.kestra.plugin.amqp.CreateQueue"]
    name: Property[Text]
    durability: Property[bool] = True
    exclusive: Property[bool] = False
    auto_delete: Property[bool] = False
    args: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Made:
        kind = {"durable": self.durability, "exclusive": self.exclusive, "auto_delete": self.auto_delete}
        async with self.channel(context) as channel:
            await channel.declare_queue(self.name, arguments=self.args, **kind)
        return Made(queue=self.name)


class MadeExchange(Outputs):
    """The exchange."""

    exchange: str


class DeclareExchange(AmqpConnected, RunnableTask):
    """Declare an exchange."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: exchange
type: io.kestra.plugin.amqp.DeclareExchange
url: amqp://flows:{{ secret('AMQP_PASSWORD') }}@rabbit.example.com:5672/shop
name: orders
exchangeType: TOPIC
""",
    )
    type: Literal["io.kestra.plugin.amqp.DeclareExchange"]
    name: Property[Text]
    exchange_type: Property[Literal["DIRECT", "FANOUT", "TOPIC", "HEADERS"]] = "DIRECT"
    durability: Property[bool] = True
    auto_delete: Property[bool] = False
    internal: Property[bool] = False
    args: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> MadeExchange:
        kind = {"durable": self.durability, "internal": self.internal, "auto_delete": self.auto_delete}
        async with self.channel(context) as channel:
            await channel.declare_exchange(self.name, self.exchange_type.lower(), arguments=self.args, **kind)
        return MadeExchange(exchange=self.name)


class Bound(Outputs):
    """The queue, and the exchange that now feeds it."""

    queue: str
    exchange: str


class QueueBind(AmqpConnected, RunnableTask):
    """Let an exchange feed a queue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bind
type: io.kestra.plugin.amqp.QueueBind
url: amqp://flows:{{ secret('AMQP_PASSWORD') }}@rabbit.example.com:5672/shop
exchange: orders
queue: orders
routingKey: new
""",
    )
    type: Literal["io.kestra.plugin.amqp.QueueBind"]
    exchange: Property[Text]
    queue: Property[Text]
    routing_key: Property[OptionalText] = ""
    args: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Bound:
        async with self.channel(context) as channel:
            queue = await channel.get_queue(self.queue)
            await queue.bind(self.exchange, self.routing_key or "", arguments=self.args)
        return Bound(queue=self.queue, exchange=self.exchange)


async def _pause(until: float) -> None:
    """Wait for new messages, no longer than may be."""
    await asyncio.sleep(max(min(EVERY, until - time.monotonic()), 0.01))
