"""`io.kestra.plugin.mqtt`: messages of things."""

import base64
import time
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
from engine.tasks.message_files import consumed, end_of, message_file, taken
from engine.tasks.mqtt_connection import MqttConnected, SerdeType, read, written
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.trigger_fields import fields_of

AT_ONCE = 50
IDLE = 2.0  # seconds of silence after which a task that may end has heard all there is


class Published(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Publish(MqttConnected, RunnableTask):
    """Send messages to a topic."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.mqtt.Publish
server: tcp://broker.example.com:1883
clientId: flows
topic: kitchen/oven
from: {temperature: 180}
retain: true
""",
    )
    type: Literal["io.kestra.plugin.mqtt.Publish"]
    topic: Property[Text]
    from_: Property[Any] = Field(alias="from")
    retain: Property[bool] = False
    serde_type: Property[SerdeType] = "JSON"
    response_topic: Property[OptionalText] = Field(default=None, description="Where to answer; only V5 sends it.")
    correlation_data: Property[OptionalText] = Field(
        default=None, description="What an answer is to repeat, in Base64; only V5 sends it."
    )

    async def run(self, context: RunContext) -> Published:
        rows = await given_rows.rows(context, self.from_)
        name = self.client_id or f"parley-{uuid.uuid4().hex[:16]}"
        try:
            correlation = base64.b64decode(self.correlation_data or "", validate=True)
        except ValueError as error:
            fix = "Write `{{ 'text' | base64encode }}`."
            raise TaskFailed("`correlationData` is not Base64.", fix=fix) from error
        options: dict[str, Any] = {"retain": self.retain, "answers": self.response_topic, "correlation": correlation}
        async with self.connected(context, name, lasting=False) as client:
            for row in rows:
                await client.publish(self.topic, written(row, self.serde_type), **options)
        context.metric("records", len(rows), topic=self.topic)
        return Published(messagesCount=len(rows))


class Subscribed(Outputs):
    """How many messages were heard, and the file they are in."""

    messagesCount: int  # noqa: N815 - appears as written
    uri: StoredUri


class SubscribeFields(MqttConnected):
    """Which topics, how many messages, and for how long."""

    topic: Property[TextList]
    serde_type: Property[SerdeType] = "JSON"
    max_records: Property[OptionalInteger] = Field(
        default=None,
        description="All are acknowledged at the end: a broker sends no more than may be unacknowledged at once "
        "(`max_inflight_messages` of Mosquitto, 20 unless set otherwise).",
    )
    max_duration: Property[timedelta | None] = None

    def name(self, context: RunContext) -> str:
        """Under which the broker knows us; the same again finds what came meanwhile."""
        return self.client_id or f"parley-{context.namespace}-{context.flow_id}-{context.task_id}"

    async def taking(self, context: RunContext) -> AsyncGenerator[Subscribed, None]:
        """Messages stored as rows; they are acknowledged as it goes on."""
        until = end_of(self.max_records, self.max_duration)
        got: list[Any] = []
        connected = self.connected(context, self.name(context), lasting=True)
        async with message_file(context) as file, connected as client:
            await client.subscribe(self.topic)
            while self.max_records is None or len(got) < self.max_records:
                patience = IDLE if until is None else until - time.monotonic()
                if patience <= 0:
                    break
                most = AT_ONCE if self.max_records is None else min(AT_ONCE, self.max_records - len(got))
                found = await client.heard(most, patience)
                if not found:
                    break
                await file.add(*(read(one, self.serde_type) for one in found))
                for one in found:
                    one.payload = b""  # it is in the file
                got += found
            context.metric("records", file.count)
            yield Subscribed(messagesCount=file.count, uri=await file.kept())
            client.acknowledge(got)


class Subscribe(SubscribeFields, RunnableTask):
    """Hear messages of topics, into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: listen
type: io.kestra.plugin.mqtt.Subscribe
server: tcp://broker.example.com:1883
clientId: flows
topic: [kitchen/oven, kitchen/fridge]
maxRecords: 100
maxDuration: PT30S
""",
    )
    type: Literal["io.kestra.plugin.mqtt.Subscribe"]

    async def run(self, context: RunContext) -> Subscribed:
        return await consumed(self.taking(context))


class Trigger(SubscribeFields, PollingTrigger):
    """Start an execution when there are messages; they are acknowledged when it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: kitchen
type: io.kestra.plugin.mqtt.Trigger
interval: PT1M
server: tcp://broker.example.com:1883
clientId: flows
topic: kitchen/#
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.mqtt.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, SubscribeFields, context)
        return await taken(fields.taking(context), lambda found: found.messagesCount)


class RealtimeTrigger(SubscribeFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes; it is acknowledged when its execution is there.

    MQTT gives messages no lasting id: what the bot had in hand when it died comes again, and may start a second one.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: kitchen
type: io.kestra.plugin.mqtt.RealtimeTrigger
server: ssl://broker.example.com:8883
clientId: flows
topic: kitchen/#
username: flows
password: "{{ secret('MQTT_PASSWORD') }}"
""",
    )
    type: Literal["io.kestra.plugin.mqtt.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, SubscribeFields, context)
        async with fields.connected(context, fields.name(context), lasting=True) as client:
            await client.subscribe(fields.topic)
            while True:
                if got := await client.heard(AT_ONCE, 60.0):
                    yield [read(one, fields.serde_type) for one in got]
                    client.acknowledge(got)
