"""`io.kestra.plugin.aws.kinesis`: streams of records."""

import json
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import given_rows
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.property_types import OptionalText

MOST_AT_ONCE = 500  # Kinesis takes no more


class Put(Outputs):
    """How many records there were, how many were refused, and a file with an answer each."""

    recordCount: int  # noqa: N815 - appears as written
    failedRecordsCount: int  # noqa: N815
    uri: str


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

        def work(client: Any) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            for at in range(0, len(records), MOST_AT_ONCE):
                found += client.put_records(Records=records[at : at + MOST_AT_ONCE], **stream)["Records"]
            return found

        done = await self.aws(context, "kinesis", work)
        failed = [one for one in done if one.get("ErrorCode")]
        context.metric("recordCount", len(records))
        context.metric("failedRecordsCount", len(failed))
        if failed and self.fail_on_unsuccessful_records:
            first = failed[0]
            said = f"{first['ErrorCode']}: {first.get('ErrorMessage')}"
            raise TaskFailed(f"{len(failed)} of {len(records)} records were refused: {said}.")
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
