"""`io.kestra.plugin.kafka`: messages in topics, and connectors of Kafka Connect."""

from collections.abc import AsyncGenerator, Sequence
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
    Taken,
    TaskFailed,
)
from engine.tasks import given_rows
from engine.tasks.kafka_connect import (
    SERVICE,
    Changed,
    Connected,
    Listed,
    Made,
    Named,
    Offsets,
    OneConnector,
    Restarted,
    Settings,
    Status,
    WatchedConnector,
    made_told,
    settings,
    status_told,
)
from engine.tasks.kafka_connection import KafkaConnected, SerdeType, headers_of, milliseconds, writer
from engine.tasks.kafka_reading import Consumed, ConsumeFields, Reading
from engine.tasks.kafka_sending import send
from engine.tasks.message_files import consumed, taken
from engine.tasks.property_types import JsonMap, OptionalText
from engine.tasks.rest_service import held
from engine.tasks.threads import in_own_thread
from engine.tasks.trigger_fields import fields_of

ONE = "connectUrl: https://connect.example.com\nconnectorName: orders_sink\n"  # in examples


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
        given = await self.settings(context)
        await in_own_thread(lambda: send(given, messages, transactional=self.transactional))
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
        return await consumed(self.taking(context))


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are new messages for a group, whose place moves on when it is there."""

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

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.messagesCount)


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


class ConnectorCreate(OneConnector, RunnableTask):
    """Make a connector of Kafka Connect."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sink
type: io.kestra.plugin.kafka.ConnectorCreate
connectUrl: https://connect.example.com
connectorName: orders_sink
config:
  connector.class: io.confluent.connect.jdbc.JdbcSinkConnector
  topics: orders
  connection.url: jdbc:postgresql://db.example.com/orders
  connection.password: "{{ secret('DB_PASSWORD') }}"
""",
    )
    type: Literal["io.kestra.plugin.kafka.ConnectorCreate"]
    config: Property[JsonMap]

    async def run(self, context: RunContext) -> Made:
        config = settings(context, {**self.config, "name": self.connector_name})
        body = {"name": self.connector_name, "config": config}
        return made_told(context, await self.told(context, "POST", "/connectors", json=body))


class ConnectorUpdateConfig(OneConnector, RunnableTask):
    """Replace the settings of a connector; one that there is not is made."""

    examples: ClassVar[tuple[str, ...]] = (
        f"id: wider\ntype: io.kestra.plugin.kafka.ConnectorUpdateConfig\n{ONE}config: {{tasks.max: 3}}\n",
    )
    type: Literal["io.kestra.plugin.kafka.ConnectorUpdateConfig"]
    config: Property[JsonMap]

    async def run(self, context: RunContext) -> Made:
        config = settings(context, {**self.config, "name": self.connector_name})
        return made_told(context, await self.told(context, "PUT", f"{self.place}/config", json=config))


class ConnectorGetConfig(OneConnector, RunnableTask):
    """The settings of a connector."""

    examples: ClassVar[tuple[str, ...]] = (f"id: read\ntype: io.kestra.plugin.kafka.ConnectorGetConfig\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorGetConfig"]

    async def run(self, context: RunContext) -> Settings:
        config = await self.told(context, "GET", f"{self.place}/config")
        return Settings(connectorName=self.connector_name, config=settings(context, config))


class ConnectorGetStatus(OneConnector, RunnableTask):
    """How a connector and its tasks are doing."""

    examples: ClassVar[tuple[str, ...]] = (f"id: look\ntype: io.kestra.plugin.kafka.ConnectorGetStatus\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorGetStatus"]

    async def run(self, context: RunContext) -> Status:
        return await self.status(context)


class ConnectorList(Connected, RunnableTask):
    """The connectors there are, with how they are doing if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.kafka.ConnectorList
connectUrl: https://connect.example.com
expandStatus: true
""",
    )
    type: Literal["io.kestra.plugin.kafka.ConnectorList"]
    expand_status: Property[bool] = False

    async def run(self, context: RunContext) -> Listed:
        if not self.expand_status:
            return Listed(connectorNames=await self.connect(context, "GET", "/connectors") or [], connectors=[])
        found = await self.told(context, "GET", "/connectors", params={"expand": "status"})
        told = [status_told(name, held(one, SERVICE, "status")) for name, one in found.items()]
        return Listed(connectorNames=list(found), connectors=told)


class ConnectorPause(OneConnector, RunnableTask):
    """Let a connector rest."""

    examples: ClassVar[tuple[str, ...]] = (f"id: rest\ntype: io.kestra.plugin.kafka.ConnectorPause\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorPause"]

    async def run(self, context: RunContext) -> Named:
        await self.connect(context, "PUT", f"{self.place}/pause")
        return Named(connectorName=self.connector_name)


class ConnectorResume(OneConnector, RunnableTask):
    """Let a connector go on."""

    examples: ClassVar[tuple[str, ...]] = (f"id: go_on\ntype: io.kestra.plugin.kafka.ConnectorResume\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorResume"]

    async def run(self, context: RunContext) -> Named:
        await self.connect(context, "PUT", f"{self.place}/resume")
        return Named(connectorName=self.connector_name)


class ConnectorRestart(OneConnector, RunnableTask):
    """Start a connector anew, with its tasks if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        f"id: anew\ntype: io.kestra.plugin.kafka.ConnectorRestart\n{ONE}includeTasks: true\nonlyFailed: true\n",
    )
    type: Literal["io.kestra.plugin.kafka.ConnectorRestart"]
    include_tasks: Property[bool] = False
    only_failed: Property[bool] = False

    async def run(self, context: RunContext) -> Restarted:
        asked = {"includeTasks": self.include_tasks, "onlyFailed": self.only_failed}
        params = {name: str(value).lower() for name, value in asked.items()}
        await self.connect(context, "POST", f"{self.place}/restart", params=params)
        return Restarted(connectorName=self.connector_name, **asked)


class ConnectorDelete(OneConnector, RunnableTask):
    """Remove a connector."""

    examples: ClassVar[tuple[str, ...]] = (f"id: tidy\ntype: io.kestra.plugin.kafka.ConnectorDelete\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorDelete"]

    async def run(self, context: RunContext) -> Named:
        await self.connect(context, "DELETE", self.place)
        return Named(connectorName=self.connector_name)


class ConnectorGetOffsets(OneConnector, RunnableTask):
    """How far a connector has read."""

    examples: ClassVar[tuple[str, ...]] = (f"id: far\ntype: io.kestra.plugin.kafka.ConnectorGetOffsets\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorGetOffsets"]

    async def run(self, context: RunContext) -> Offsets:
        found = await self.told(context, "GET", f"{self.place}/offsets")
        return Offsets(connectorName=self.connector_name, offsets=found.get("offsets") or [])


class ConnectorAlterOffsets(OneConnector, RunnableTask):
    """Say how far a connector has read; it must be stopped."""

    examples: ClassVar[tuple[str, ...]] = (
        f"""
id: again
type: io.kestra.plugin.kafka.ConnectorAlterOffsets
{ONE}offsets:
  - partition: {{table: orders}}
    offset: {{incrementing: 0}}
""",
    )
    type: Literal["io.kestra.plugin.kafka.ConnectorAlterOffsets"]
    offsets: Property[list[dict[str, Any]]]

    async def run(self, context: RunContext) -> Changed:
        found = await self.told(context, "PATCH", f"{self.place}/offsets", json={"offsets": self.offsets})
        return Changed(connectorName=self.connector_name, message=found.get("message"))


class ConnectorResetOffsets(OneConnector, RunnableTask):
    """Let a connector read from the beginning; it must be stopped."""

    examples: ClassVar[tuple[str, ...]] = (f"id: again\ntype: io.kestra.plugin.kafka.ConnectorResetOffsets\n{ONE}",)
    type: Literal["io.kestra.plugin.kafka.ConnectorResetOffsets"]

    async def run(self, context: RunContext) -> Changed:
        found = await self.told(context, "DELETE", f"{self.place}/offsets")
        return Changed(connectorName=self.connector_name, message=found.get("message"))


class ConnectorStatusTrigger(WatchedConnector, PollingTrigger):
    """Start an execution whenever a connector, or a task of it, is in a state."""

    examples: ClassVar[tuple[str, ...]] = (
        f"id: broken\ntype: io.kestra.plugin.kafka.ConnectorStatusTrigger\n{ONE}targetState: FAILED\n",
    )
    type: Literal["io.kestra.plugin.kafka.ConnectorStatusTrigger"]

    async def poll(self, context: RunContext) -> Status | None:
        return await (await fields_of(self, WatchedConnector, context)).watched(context)
