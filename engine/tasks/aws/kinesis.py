"""`io.kestra.plugin.aws.kinesis`: streams of records."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.plugin import (
    Look,
    Message,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    StoredUri,
    TaskFailed,
)
from engine.tasks import given_rows, rest_service
from engine.tasks.aws.connection import AwsConnected, in_parts, refusal
from engine.tasks.aws.kinesis_shards import Shards, Start
from engine.tasks.message_files import message_file
from engine.tasks.property_types import OptionalInteger, OptionalText, Text
from engine.tasks.trigger_fields import fields_of

MOST_AT_ONCE = 500  # Kinesis takes no more
LISTENING = 0.5  # seconds between two looks; a shard may be asked five times a second


class Put(Outputs):
    """How many records there were, how many were refused, and a file with an answer each."""

    recordCount: int  # noqa: N815 - appears as written
    failedRecordsCount: int  # noqa: N815
    uri: StoredUri


class PutRecords(AwsConnected, RunnableTask):
    """Put records into a stream."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stream
type: io.kestra.plugin.aws.kinesis.PutRecords
region: eu-central-1
streamName: clicks
records:
  - partitionKey: "{{ inputs.person }}"
    data: clicked
""",
    )
    type: Literal["io.kestra.plugin.aws.kinesis.PutRecords"]
    stream_name: Property[OptionalText] = None
    stream_arn: Property[OptionalText] = None
    records: Property[Any]
    fail_on_unsuccessful_records: Property[bool] = True

    async def run(self, context: RunContext) -> Put:
        if not self.stream_name and not self.stream_arn:
            raise TaskFailed("It is not said which stream.", fix="Give `streamName`.")
        stream = {"StreamName": self.stream_name} if self.stream_name else {"StreamARN": self.stream_arn}
        records = [_record(row) for row in await given_rows.rows(context, self.records, "records")]

        def put(client: Any, part: list[dict[str, Any]]) -> Any:
            return rest_service.held(client.put_records(Records=part, **stream), "AWS kinesis", "Records")

        done = await self.aws(context, "kinesis", in_parts(records, MOST_AT_ONCE, put))
        context.metric("recordCount", len(records))
        failed = [one for one in done if one.get("ErrorCode")]
        context.metric("failedRecordsCount", len(failed))
        if failed and self.fail_on_unsuccessful_records:
            raise refusal(failed, len(records), "records")
        text = "".join(json.dumps(one) + "\n" for one in done)
        uri = await context.files.put(text.encode(), "records.jsonl")
        return Put(recordCount=len(records), failedRecordsCount=len(failed), uri=uri)


def _record(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or not row.get("partitionKey"):
        raise TaskFailed("A record has no `partitionKey`.", fix="Give maps with `partitionKey` and `data`.")
    found = {
        "PartitionKey": str(row["partitionKey"]),
        "Data": given_rows.text_of(row.get("data", "")).encode(),
        "ExplicitHashKey": row.get("explicitHashKey"),
    }
    return {name: value for name, value in found.items() if value is not None}


class Consumed(Outputs):
    """The file of the records, how many there are, and how far each shard was read."""

    uri: StoredUri
    count: int
    lastSequencePerShard: dict[str, str]  # noqa: N815 - appears as written


class StreamFields(AwsConnected):
    """Which stream, and from where on."""

    stream_name: Property[Text]
    iterator_type: Property[Start] = "LATEST"
    starting_sequence_number: Property[OptionalText] = None

    async def shards(self, context: RunContext, places: dict[str, str] | None = None, since: str = "") -> Shards:
        """The stream's shards to read on from `places`; the others from `since`, or as the flow says. To be closed."""
        at: dict[str, Any] = {"ShardIteratorType": self.iterator_type}
        if self.iterator_type.endswith("_SEQUENCE_NUMBER"):
            if not self.starting_sequence_number:
                fix = "Give `startingSequenceNumber`."
                raise TaskFailed(f"`{self.iterator_type}` wants to know from which record on.", fix=fix)
            at["StartingSequenceNumber"] = self.starting_sequence_number
        elif since and self.iterator_type == "LATEST":
            at = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": datetime.fromisoformat(since)}
        return Shards(await self.client(context, "kinesis"), self.stream_name, at, dict(places or {}))


class ConsumeFields(StreamFields):
    """Which stream, from where on, how many records, and for how long."""

    max_records: Property[OptionalInteger] = 1000
    max_duration: Property[timedelta] = timedelta(seconds=30)
    poll_duration: Property[timedelta] = Field(default=timedelta(seconds=1), description="The wait between two looks.")

    async def consumed(self, context: RunContext, shards: Shards, *, is_patient: bool) -> Consumed:
        """The next records, as a file; one that is not `is_patient` leaves off when there are no more for now."""
        until = time.monotonic() + self.max_duration.total_seconds()
        async with message_file(context) as file:
            while self.max_records is None or file.count < self.max_records:
                got = await shards.read(None if self.max_records is None else self.max_records - file.count)
                await asyncio.to_thread(file.write, got)
                if shards.are_over or (not is_patient and not got and shards.are_drained):
                    break
                if time.monotonic() + self.poll_duration.total_seconds() > until:
                    break
                await asyncio.sleep(self.poll_duration.total_seconds())
            uri = await file.kept("records.jsonl")
        context.metric("records", file.count)
        return Consumed(uri=uri, count=file.count, lastSequencePerShard=shards.places)


class Consume(ConsumeFields, RunnableTask):
    """Read records of a stream into a file, for as long as `maxDuration`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: clicks
type: io.kestra.plugin.aws.kinesis.Consume
region: eu-central-1
streamName: clicks
iteratorType: TRIM_HORIZON
maxRecords: 100
maxDuration: PT10S
""",
    )
    type: Literal["io.kestra.plugin.aws.kinesis.Consume"]

    async def run(self, context: RunContext) -> Consumed:
        shards = await self.shards(context)
        try:
            return await self.consumed(context, shards, is_patient=True)
        finally:
            shards.close()


class Trigger(ConsumeFields, PollingTrigger):
    """Start an execution when there are new records; a look goes on where the one before ended.

    With `iteratorType: LATEST` the first look finds what comes from then on.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: clicks
type: io.kestra.plugin.aws.kinesis.Trigger
interval: PT30S
region: eu-central-1
streamName: clicks
maxRecords: 100
""",
    )
    type: Literal["io.kestra.plugin.aws.kinesis.Trigger"]

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, ConsumeFields, context)
        known = context.memory if context.memory.get("stream") == fields.stream_name else {}
        since = known.get("since") or datetime.now(UTC).isoformat()
        shards = await fields.shards(context, known.get("places"), since)
        try:
            found = await fields.consumed(context, shards, is_patient=False)
        finally:
            shards.close()
        memory = {"stream": fields.stream_name, "since": since, "places": shards.places}
        return Look(found if found.count else None, memory)


class ListenFields(StreamFields):
    """Which stream, from where on, and how often to look."""

    consumer_arn: Property[OptionalText] = Field(default=None, description="Without effect: records are asked for.")
    shard_discovery_interval: Property[timedelta] = timedelta(seconds=30)


class RealtimeTrigger(ListenFields, plugin.RealtimeTrigger):
    """Start an execution for each record, as it comes.

    With `iteratorType: LATEST` what comes while the bot is down is not heard; with `TRIM_HORIZON` all that the stream
    still has is, and what was heard before starts nothing.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: click
type: io.kestra.plugin.aws.kinesis.RealtimeTrigger
region: eu-central-1
streamName: clicks
iteratorType: TRIM_HORIZON
""",
    )
    type: Literal["io.kestra.plugin.aws.kinesis.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, ListenFields, context)
        shards = await fields.shards(context)
        looked = time.monotonic()
        try:
            while True:
                if time.monotonic() - looked > fields.shard_discovery_interval.total_seconds():
                    await shards.discover()
                    looked = time.monotonic()
                if got := await shards.read(1000):
                    yield [Message(row, f"{row['shardId']}/{row['sequenceNumber']}") for row in got]
                await asyncio.sleep(LISTENING)
        finally:
            shards.close()
