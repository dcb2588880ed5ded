"""`io.kestra.plugin.notion.database`: databases of Notion."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.fetched_rows import FetchType
from engine.tasks.notion_service import NotionTask, identity
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, Text
from engine.tasks.rows import lines_of


class Rows(Outputs):
    """The rows of one page of the result, and where the next begins."""

    size: int
    hasMore: bool  # noqa: N815 - appears as written
    nextCursor: str | None  # noqa: N815
    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    uri: str | None = None


class Query(NotionTask):
    """Look for rows of a database."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: done
type: io.kestra.plugin.notion.database.Query
apiToken: "{{ secret('NOTION_TOKEN') }}"
databaseId: 12345678-1234-1234-1234-123456789abc
filter:
  property: Status
  select:
    equals: Done
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.notion.database.Query"]
    database_id: Property[Text]
    filter: Property[JsonMap | None] = None
    sorts: Property[JsonList | None] = None
    page_size: Property[int] = Field(default=100, ge=1, le=100)
    start_cursor: Property[OptionalText] = None
    fetch_type: Property[FetchType] = "STORE"

    async def run(self, context: RunContext) -> Rows:
        given = {"filter": self.filter, "sorts": self.sorts, "start_cursor": self.start_cursor}
        body = {"page_size": self.page_size, **{name: value for name, value in given.items() if value}}
        path = f"databases/{identity(self.database_id, 'databaseId')}/query"
        answer = await self.notion(context, "POST", path, json=body)
        rows = answer.get("results") or []
        found = Rows(size=len(rows), hasMore=bool(answer.get("has_more")), nextCursor=answer.get("next_cursor"))
        if self.fetch_type == "STORE":
            found.uri = await context.files.put("".join(lines_of(rows)).encode(), "rows.jsonl")
        elif self.fetch_type == "FETCH":
            found.rows = rows
        elif self.fetch_type == "FETCH_ONE":
            found.row = rows[0] if rows else None
        return found
