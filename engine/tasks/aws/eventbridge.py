"""`io.kestra.plugin.aws.eventbridge`: events on a bus."""

import json
from typing import Any, ClassVar, Literal

from engine.core.dates import parse_datetime
from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import given_rows, rest_service
from engine.tasks.aws.connection import AwsConnected, in_parts, refusal

MOST_AT_ONCE = 10  # EventBridge takes no more


class Put(Outputs):
    """How many events there were, how many were refused, and a file with an answer each."""

    entryCount: int  # noqa: N815 - appears as written
    failedEntryCount: int  # noqa: N815
    uri: StoredUri


class PutEvents(AwsConnected, RunnableTask):
    """Put events on a bus."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.aws.eventbridge.PutEvents
region: eu-central-1
entries:
  - eventBusName: default
    source: shop
    detailType: order sold
    detail:
      order: "{{ inputs.order }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.eventbridge.PutEvents"]
    entries: Property[Any]
    fail_on_unsuccessful_events: Property[bool] = True

    async def run(self, context: RunContext) -> Put:
        entries = [_entry(row) for row in await given_rows.rows(context, self.entries, "entries")]

        def put(client: Any, part: list[dict[str, Any]]) -> Any:
            return rest_service.held(client.put_events(Entries=part), "AWS events", "Entries")

        done = await self.aws(context, "events", in_parts(entries, MOST_AT_ONCE, put))
        context.metric("entryCount", len(entries))
        failed = [one for one in done if one.get("ErrorCode")]
        context.metric("failedEntryCount", len(failed))
        if failed and self.fail_on_unsuccessful_events:
            raise refusal(failed, len(entries), "events")
        text = "".join(
            json.dumps({"entry": entry, "eventId": one.get("EventId"), "errorCode": one.get("ErrorCode")}, default=str)
            + "\n"
            for entry, one in zip(entries, done, strict=False)
        )
        uri = await context.files.put(text.encode(), "events.jsonl")
        return Put(entryCount=len(entries), failedEntryCount=len(failed), uri=uri)


def _entry(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TaskFailed("An event is not a map.", fix="Give `source`, `detailType` and `detail`.")
    found = {
        "Source": row.get("source"),
        "DetailType": row.get("detailType"),
        "Detail": given_rows.text_of(row.get("detail") or {}),
        "EventBusName": row.get("eventBusName"),
        "Resources": row.get("resources"),
        "Time": parse_datetime(str(row["time"])) if row.get("time") else None,
    }
    return {name: value for name, value in found.items() if value is not None}
