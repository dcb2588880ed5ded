"""`io.kestra.plugin.aws.sqs`: messages in queues."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from functools import partial
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
from engine.tasks.aws.connection import AwsConnected, asked
from engine.tasks.aws.sns import Sent
from engine.tasks.message_files import MessageFile, consumed, end_of, held, message_file, taken
from engine.tasks.property_types import OptionalInteger, Text
from engine.tasks.trigger_fields import fields_of

SERVICE = "AWS sqs"
MOST_AT_ONCE = 10  # SQS gives no more
LONGEST_WAIT = 20
HIDDEN = 30  # seconds for which others do not see what was received


class Publish(AwsConnected, RunnableTask):
    """Put messages into a queue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: enqueue
type: io.kestra.plugin.aws.sqs.Publish
region: eu-central-1
queueUrl: https://sqs.eu-central-1.amazonaws.com/000000000000/work
from:
  - data: first
  - data: second
    delaySeconds: 5
""",
    )
    type: Literal["io.kestra.plugin.aws.sqs.Publish"]
    queue_url: Property[Text]
    from_: Property[Any] = Field(alias="from")

    async def run(self, context: RunContext) -> Sent:
        messages = [_message(row) for row in await given_rows.rows(context, self.from_)]

        def work(client: Any) -> None:
            for message in messages:
                client.send_message(QueueUrl=self.queue_url, **message)

        await self.aws(context, "sqs", work)
        context.metric("sqs.publish.messages", len(messages))
        return Sent(messagesCount=len(messages))


class Consumed(Outputs):
    """How many messages were taken, and the file they are in."""

    count: int
    uri: StoredUri


class ConsumeFields(AwsConnected):
    """Which queue, how many messages, and for how long; one of the two ends the reading."""

    queue_url: Property[Text]
    max_records: Property[OptionalInteger] = None
    max_duration: Property[timedelta | None] = None
    visibility_timeout: Property[OptionalInteger] = 30
    auto_delete: Property[bool] = True
    serde_type: Property[Literal["STRING", "JSON"]] = "STRING"

    async def taking(self, context: RunContext) -> AsyncGenerator[Consumed, None]:
        """Messages stored as rows; they are taken out as it goes on."""
        async with message_file(context) as file:
            found = await self.aws(context, "sqs", partial(self._received, file=file))
            context.metric("sqs.consume.messages", file.count)
            yield Consumed(count=file.count, uri=await file.kept())
        if self.auto_delete:
            handles = list(found.values())
            await self.aws(context, "sqs", lambda sqs: _told(sqs.delete_message_batch, self.queue_url, handles))

    def _row(self, text: str) -> Any:
        return text if self.serde_type == "STRING" else held(text)

    def _received(self, client: Any, file: MessageFile) -> dict[str, str]:
        """The handles of messages by their ids: what is not taken out in time comes again, by another handle."""
        found: dict[str, str] = {}
        until = end_of(self.max_records, self.max_duration)
        hidden, renewed = self.visibility_timeout or HIDDEN, time.monotonic()
        while self.max_records is None or len(found) < self.max_records:
            left = LONGEST_WAIT if until is None else until - time.monotonic()
            if left <= 0:
                break
            most = MOST_AT_ONCE if self.max_records is None else min(MOST_AT_ONCE, self.max_records - len(found))
            got = client.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=min(max(int(left), 0), LONGEST_WAIT),
                VisibilityTimeout=hidden,
            ).get("Messages", [])
            told = {rest_service.held(one, SERVICE, "MessageId"): one for one in got}
            fresh = {name: rest_service.held(one, SERVICE, "Body") for name, one in told.items() if name not in found}
            is_idle = not fresh
            file.write(self._row(body) for body in fresh.values())
            found |= {name: rest_service.held(one, SERVICE, "ReceiptHandle") for name, one in told.items()}
            if is_idle and until is None:
                break
            if time.monotonic() - renewed > hidden / 2:
                handles, renewed = list(found.values()), time.monotonic()
                _told(client.change_message_visibility_batch, self.queue_url, handles, VisibilityTimeout=hidden)
        return found


class Consume(ConsumeFields, RunnableTask):
    """Take messages out of a queue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dequeue
type: io.kestra.plugin.aws.sqs.Consume
region: eu-central-1
queueUrl: https://sqs.eu-central-1.amazonaws.com/000000000000/work
maxRecords: 100
maxDuration: PT10S
""",
    )
    type: Literal["io.kestra.plugin.aws.sqs.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        return await consumed(self.taking(context))


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are messages; they are taken out when it is there.

    With `autoDelete: false` they are not, and each comes again after its `visibilityTimeout`.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.aws.sqs.Trigger
interval: PT30S
region: eu-central-1
queueUrl: https://sqs.eu-central-1.amazonaws.com/000000000000/work
maxRecords: 10
""",
    )
    type: Literal["io.kestra.plugin.aws.sqs.Trigger"]

    async def poll(self, context: PollContext) -> Taken | None:
        fields = await fields_of(self, ConsumeFields, context)
        return await taken(fields.taking(context), lambda found: found.count)


class ListenFields(AwsConnected):
    """Which queue, and how long a message stays hidden from others until its execution is there."""

    queue_url: Property[Text]
    visibility_timeout: Property[OptionalInteger] = 30
    max_number_of_message: Property[int] = Field(default=MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE)
    wait_time: Property[timedelta] = timedelta(seconds=LONGEST_WAIT)
    auto_delete: Property[bool] = True
    serde_type: Property[Literal["STRING", "JSON"]] = "STRING"
    client_retry_max_attempts: Property[OptionalInteger] = None
    consumer_fetch_size: Property[OptionalInteger] = None

    def received(self, client: Any) -> list[dict[str, Any]]:
        """The next messages; none when there were none for as long as SQS waits."""
        wait = min(max(int(self.wait_time.total_seconds()), 1), LONGEST_WAIT)
        got = client.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=self.max_number_of_message,
            WaitTimeSeconds=wait,
            VisibilityTimeout=self.visibility_timeout or HIDDEN,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId", "MessageDeduplicationId"],
        )
        found = list(got.get("Messages", []))
        for one in found:
            for name in ("MessageId", "Body", "ReceiptHandle"):
                rest_service.held(one, SERVICE, name)
        return found

    def message(self, got: dict[str, Any]) -> Message:
        """A message as flows see it."""
        system = got.get("Attributes", {})
        more = {"groupId": system.get("MessageGroupId"), "deduplicationId": system.get("MessageDeduplicationId")}
        seen = {"data": got["Body"], **{name: value for name, value in more.items() if value is not None}}
        if self.serde_type == "JSON":
            try:
                seen["data"] = held(got["Body"])
            except TaskFailed as problem:
                return Message(seen, got["MessageId"], problem)
        return Message(seen, got["MessageId"])


class RealtimeTrigger(ListenFields, plugin.RealtimeTrigger):
    """Start an execution for each message, as it comes; a message is taken out when its execution is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: work
type: io.kestra.plugin.aws.sqs.RealtimeTrigger
region: eu-central-1
queueUrl: https://sqs.eu-central-1.amazonaws.com/000000000000/work
serdeType: JSON
""",
    )
    type: Literal["io.kestra.plugin.aws.sqs.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ListenFields, context)
        client = await fields.client(context, "sqs")
        try:
            while True:
                got = await asked("sqs", lambda: fields.received(client))
                if not got:
                    continue
                yield [fields.message(one) for one in got]
                if fields.auto_delete:
                    handles = [one["ReceiptHandle"] for one in got]
                    await asked("sqs", partial(_told, client.delete_message_batch, fields.queue_url, handles))
        finally:
            client.close()


def _told(act: Callable[..., Any], queue_url: str, handles: Sequence[str], **more: Any) -> None:
    """Do something with messages: take them out, or keep them hidden for longer. One that can't be comes again."""
    for begin in range(0, len(handles), MOST_AT_ONCE):
        some = handles[begin : begin + MOST_AT_ONCE]
        entries = [{"Id": str(n), "ReceiptHandle": handle, **more} for n, handle in enumerate(some)]
        act(QueueUrl=queue_url, Entries=entries)


def _message(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("data") is None:
        raise TaskFailed("A message has no `data`.", fix="Give maps with `data`.")
    found = {
        "MessageBody": given_rows.text_of(row["data"]),
        "DelaySeconds": row.get("delaySeconds"),
        "MessageGroupId": row.get("groupId"),
        "MessageDeduplicationId": row.get("deduplicationId"),
    }
    return {name: value for name, value in found.items() if value is not None}
