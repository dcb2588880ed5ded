"""`io.kestra.plugin.gcp.pubsub`: messages in Google's Pub/Sub."""

import asyncio
import base64
import time
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
from engine.tasks import given_rows, rest_service
from engine.tasks.gcp_service import GcpConnected, is_conflict
from engine.tasks.message_files import consumed, end_of, held, message_file, taken
from engine.tasks.property_types import OptionalInteger, Text
from engine.tasks.trigger_fields import fields_of

AT_ONCE = 100
OF_ITS_TOKEN = 1800.0  # seconds; Google's tokens live for an hour
IDLE = 0.5  # seconds between two looks where the service does not wait by itself


class PubSubConnected(GcpConnected):
    """Which topic."""

    api: ClassVar[str] = "pubsub"
    public_url: ClassVar[str] = "https://pubsub.googleapis.com/v1"
    topic: Property[Text]

    def named(self, context: RunContext, kind: str, name: str) -> str:
        """The whole name of a topic or subscription."""
        return name if name.startswith("projects/") else f"projects/{self.project(context)}/{kind}/{name}"


class Published(Outputs):
    """How many messages were sent."""

    messagesCount: int  # noqa: N815 - appears as written


class Publish(PubSubConnected, RunnableTask):
    """Send messages to a topic."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: send
type: io.kestra.plugin.gcp.pubsub.Publish
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
topic: orders
from:
  - data: first
    attributes: {source: flow}
  - data: {n: 2}
""",
    )
    type: Literal["io.kestra.plugin.gcp.pubsub.Publish"]
    from_: Property[Any] = Field(alias="from")
    serde_type: Property[Literal["STRING", "JSON"]] = "STRING"

    async def run(self, context: RunContext) -> Published:
        messages = [_written(row) for row in await given_rows.rows(context, self.from_)]
        path = f"{self.named(context, 'topics', self.topic)}:publish"
        for begin in range(0, len(messages), AT_ONCE):
            await self.gcp(context, "POST", path, json={"messages": messages[begin : begin + AT_ONCE]})
        context.metric("records", len(messages))
        return Published(messagesCount=len(messages))


class Consumed(Outputs):
    """How many messages were taken, and the file they are in."""

    count: int
    uri: StoredUri


class ListenFields(PubSubConnected):
    """Which subscription of the topic."""

    subscription: Property[Text]
    auto_create_subscription: Property[bool] = True
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None
    serde_type: Property[Literal["STRING", "JSON"]] = "STRING"

    async def subscribed(self, context: RunContext) -> "Subscription":
        """The subscription, made when it is not there and should be."""
        name = self.named(context, "subscriptions", self.subscription)
        if self.auto_create_subscription:
            try:
                await self.gcp(context, "PUT", name, json={"topic": self.named(context, "topics", self.topic)})
            except TaskFailed as error:
                if not is_conflict(error):
                    raise
        return Subscription(self, context, name)

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows; they are acknowledged as it goes on."""
        until = end_of(self.max_records, self.max_duration)
        subscription = await self.subscribed(context)
        marks: dict[str, str] = {}  # by message: one that is not acknowledged in time comes again, with another
        async with message_file(context) as file:
            while self.max_records is None or len(marks) < self.max_records:
                most = AT_ONCE if self.max_records is None else min(AT_ONCE, self.max_records - len(marks))
                got = {one["message"]["messageId"]: one for one in await subscription.pull(most)}
                fresh = [one for id_, one in got.items() if id_ not in marks]
                await file.add(*map(self.message, fresh))
                marks |= {id_: one["ackId"] for id_, one in got.items()}
                if (not fresh and until is None) or (until is not None and time.monotonic() >= until):
                    break
                if not fresh:
                    await asyncio.sleep(IDLE)
            context.metric("records", file.count)
            yield Consumed(count=file.count, uri=await file.kept())
        await subscription.acknowledge(list(marks.values()))

    def message(self, got: dict[str, Any]) -> Message:
        """A message as flows see it."""
        inner = got["message"]
        text = (
            rest_service.decoded(inner, "Google Cloud", "data").decode("utf-8", "replace") if inner.get("data") else ""
        )
        seen = {"data": text, "attributes": inner.get("attributes", {}), "messageId": inner["messageId"]}
        if inner.get("orderingKey"):
            seen["orderingKey"] = inner["orderingKey"]
        if self.serde_type == "STRING":
            return Message(seen, inner["messageId"])
        try:
            return Message({**seen, "data": held(text)}, inner["messageId"])
        except TaskFailed as problem:
            return Message(seen, inner["messageId"], problem)


class Subscription:
    """Pulls and acknowledges, with one token for many calls."""

    def __init__(self, fields: ListenFields, context: RunContext, name: str) -> None:
        self.fields, self.context, self.name = fields, context, name
        self._headers: dict[str, str] = {}
        self._until = 0.0

    async def pull(self, most: int) -> list[dict[str, Any]]:
        """The next messages; none when there were none for a while."""
        answer = await self._call("pull", {"maxMessages": most})
        found = rest_service.listed(answer, "Google Cloud", "receivedMessages", each=["ackId"])
        for one in found:
            rest_service.held(one, "Google Cloud", "message", "messageId")
        return found

    async def acknowledge(self, marks: Sequence[str]) -> None:
        """Messages that need not come again, by their `ackId`."""
        for begin in range(0, len(marks), AT_ONCE):
            await self._call("acknowledge", {"ackIds": marks[begin : begin + AT_ONCE]})

    async def _call(self, verb: str, body: dict[str, Any]) -> Any:
        if time.monotonic() > self._until:
            self._headers = await self.fields.headers(self.context)
            self._until = time.monotonic() + OF_ITS_TOKEN
        url = f"{self.fields.at(self.context)}/{self.name}:{verb}"
        return await rest_service.document(self.context, "Google Cloud", "POST", url, headers=self._headers, json=body)


class Consume(ListenFields, RunnableTask):
    """Take messages of a subscription."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.gcp.pubsub.Consume
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
topic: orders
subscription: flows
maxRecords: 100
maxDuration: PT10S
""",
    )
    type: Literal["io.kestra.plugin.gcp.pubsub.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Trigger(ListenFields, PollingTrigger):
    """Start an execution when there are messages; they are acknowledged when it is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.gcp.pubsub.Trigger
interval: PT30S
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
topic: orders
subscription: flows
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.gcp.pubsub.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ListenFields, context)
        return await taken(fields.taking(context), lambda found: found.count)


class RealtimeTrigger(ListenFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes; it is acknowledged when its execution is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.gcp.pubsub.RealtimeTrigger
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
topic: orders
subscription: flows
serdeType: JSON
""",
    )
    type: Literal["io.kestra.plugin.gcp.pubsub.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ListenFields, context)
        subscription = await fields.subscribed(context)
        while True:
            if got := await subscription.pull(AT_ONCE):
                yield [fields.message(one) for one in got]
                await subscription.acknowledge([one["ackId"] for one in got])
            else:
                await asyncio.sleep(IDLE)


def _written(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        row = {"data": row}
    data = base64.b64encode(given_rows.text_of(row.get("data", "")).encode()).decode()
    given = {"data": data, "attributes": row.get("attributes"), "orderingKey": row.get("orderingKey")}
    return {name: value for name, value in given.items() if value is not None}
