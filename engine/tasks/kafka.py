"""`io.kestra.plugin.kafka`: messages in topics."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.plugin import Message, Outputs, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import given_rows
from engine.tasks.kafka_connection import KafkaConnected, SerdeType, headers_of, milliseconds, writer
from engine.tasks.kafka_reading import Consumed, ConsumeFields, Reading
from engine.tasks.kafka_sending import send
from engine.tasks.property_types import OptionalText
from engine.tasks.threads import in_own_thread
from engine.tasks.trigger_fields import fields_of


class Produced(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Produce(KafkaConnected, RunnableTask):
    """Send messages to a topic: all of them, or, as long as it is `transactional`, none."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.kafka.Produce
topic: orders
from:
  - key: "17"
    value: {customer: ann, amount: 4}
    headers: {source: flow}
valueSerializer: JSON
properties:
  bootstrap.servers: broker.example.com:9092
""",
    )
    type: Literal["io.kestra.plugin.kafka.Produce"]
    topic: Property[OptionalText] = Field(default=None, description="A message may name another one in `topic`.")
    from_: Property[Any] = Field(
        alias="from", description="Maps with `key`, `value`, `partition`, `timestamp` and `headers`, or a file of such."
    )
    key_serializer: Property[SerdeType] = "STRING"
    value_serializer: Property[SerdeType] = "STRING"
    key_avro_schema: Property[Any] = None
    value_avro_schema: Property[Any] = None
    transactional: Property[bool] = True

    async def run(self, context: RunContext) -> Produced:
        messages = [self._message(row) for row in await given_rows.rows(context, self.from_)]
        settings = await self.settings(context)
        await in_own_thread(lambda: send(settings, messages, transactional=self.transactional))
        context.metric("records", len(messages))
        return Produced(messagesCount=len(messages))

    def _message(self, row: Any) -> dict[str, Any]:
        if not isinstance(row, dict):
            raise TaskFailed(f"A message is no map: {str(row)[:100]!r}.", fix="Give maps with `key` and `value`.")
        topic = row.get("topic") or self.topic
        if not topic:
            raise TaskFailed("It is not said which topic.", fix="Give `topic`.")
        found = {
            "topic": str(topic),
            "key": writer(self.key_serializer)(row.get("key")),
            "value": writer(self.value_serializer)(row.get("value")),
            "partition": None if row.get("partition") is None else int(row["partition"]),
            "timestamp": milliseconds(row.get("timestamp")),
            "headers": headers_of(row.get("headers")),
        }
        return {name: value for name, value in found.items() if value is not None}


class Consume(ConsumeFields, RunnableTask):
    """Read messages of topics into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.kafka.Consume
topic: orders
groupId: reports
valueDeserializer: JSON
maxRecords: 1000
properties:
  bootstrap.servers: broker.example.com:9092
  auto.offset.reset: earliest
""",
        """
id: read
type: io.kestra.plugin.kafka.Consume
topic: [orders, returns]
since: "{{ now() | dateAdd(-1, 'DAYS') }}"
properties:
  bootstrap.servers: broker.example.com:9093
  security.protocol: SASL_SSL
  sasl.mechanism: PLAIN
  sasl.jaas.config: >-
    org.apache.kafka.common.security.plain.PlainLoginModule required
    username="flows" password="{{ secret('KAFKA_PASSWORD') }}";
""",
    )
    type: Literal["io.kestra.plugin.kafka.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await self.consumed(context)


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are new messages for a group."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.kafka.Trigger
interval: PT30S
topic: orders
groupId: flows
valueDeserializer: JSON
properties:
  bootstrap.servers: broker.example.com:9092
  auto.offset.reset: earliest
""",
    )
    type: Literal["io.kestra.plugin.kafka.Trigger"]

    async def poll(self, context: RunContext) -> Consumed | None:
        found = await (await fields_of(self, ConsumeFields, context)).consumed(context)
        return found if found.messagesCount else None


class RealtimeTrigger(ConsumeFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes. The group's place moves on behind messages whose executions
    are there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.kafka.RealtimeTrigger
topic: orders
groupId: flows
valueDeserializer: JSON
properties:
  bootstrap.servers: broker.example.com:9092
""",
    )
    type: Literal["io.kestra.plugin.kafka.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ConsumeFields, context)
        reading = Reading(fields, *await fields.group(context))
        try:
            while True:
                if found := await in_own_thread(reading.heard):
                    yield found
                    await in_own_thread(reading.commit)
        finally:
            reading.stop.set()
            await in_own_thread(reading.close)
