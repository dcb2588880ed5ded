"""`io.kestra.plugin.notion.database`: databases of Notion."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.fetched_rows import FetchType, filed
from engine.tasks.notion_blocks import blocks_of, plain_text
from engine.tasks.notion_service import NotionTask, Page, identity, page_of, titled
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, Text
from engine.tasks.rest_service import held, listed, mapped


class Rows(Outputs):
    """The rows of one page of the result, and where the next begins."""

    size: int
    hasMore: bool  # noqa: N815 - appears as written
    nextCursor: str | None  # noqa: N815
    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    uri: StoredUri | None = None


class Database(Outputs):
    """What Notion says about a database."""

    databaseId: str  # noqa: N815 - appears as written
    url: str | None = None
    message: str = ""


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
        rows = listed(answer, "Notion", "results")
        found = Rows(size=len(rows), hasMore=bool(answer.get("has_more")), nextCursor=answer.get("next_cursor"))
        if self.fetch_type == "STORE":
            found.uri = await filed(context, rows, "rows.jsonl")
        elif self.fetch_type == "FETCH":
            found.rows = rows
        elif self.fetch_type == "FETCH_ONE":
            found.row = rows[0] if rows else None
        return found


class ItemTask(NotionTask):
    """Which database, and what its row holds."""

    database_id: Property[Text]
    properties: Property[JsonMap | None] = Field(
        default=None, description="By the names of the columns, each as Notion writes a value of its kind."
    )

    def values(self) -> dict[str, Any]:
        """What the row holds. A checkbox that a template filled in is true or false, not the word."""
        return {name: _with_booleans(value) for name, value in (self.properties or {}).items()}


class CreateItem(ItemTask):
    """Add a row to a database."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: incident
type: io.kestra.plugin.notion.database.CreateItem
apiToken: "{{ secret('NOTION_TOKEN') }}"
databaseId: 12345678-1234-1234-1234-123456789abc
title: "{{ flow.id }} failed"
properties:
  Status:
    select:
      name: To do
content: |
  ## What happened
  See {{ execution.id }}.
""",
    )
    type: Literal["io.kestra.plugin.notion.database.CreateItem"]
    title: Property[Text]
    content: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Page:
        database = identity(self.database_id, "databaseId")
        about = await self.notion(context, "GET", f"databases/{database}")
        columns = mapped(about, "Notion", "properties")
        named = next((name for name in columns if mapped(columns, "Notion", name).get("type") == "title"), "Name")
        body: dict[str, Any] = {
            "parent": {"database_id": database},
            "properties": {**self.values(), named: titled(self.title)["title"]},
        }
        made = await self.created(context, body, blocks_of(self.content or ""))
        return page_of(made, title=self.title, content=self.content, message="Item created successfully")


class UpdateItem(ItemTask):
    """Change a row of a database, put it into the trash or take it back from there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: done
type: io.kestra.plugin.notion.database.UpdateItem
apiToken: "{{ secret('NOTION_TOKEN') }}"
databaseId: 12345678-1234-1234-1234-123456789abc
pageId: "{{ outputs.incident.pageId }}"
properties:
  Status:
    select:
      name: Done
""",
    )
    type: Literal["io.kestra.plugin.notion.database.UpdateItem"]
    page_id: Property[Text]
    archived: Property[bool | None] = None

    async def run(self, context: RunContext) -> Page:
        given = {"properties": self.values() or None, "archived": self.archived}
        body = {name: value for name, value in given.items() if value is not None}
        if not body:
            raise TaskFailed("There is nothing to change.", fix="Give `properties` or `archived`.")
        page = identity(self.page_id, "pageId")
        return page_of(
            await self.notion(context, "PATCH", f"pages/{page}", json=body), message="Item updated successfully"
        )


class Update(NotionTask):
    """Give a database another title, or say anew what it is for."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: renamed
type: io.kestra.plugin.notion.database.Update
apiToken: "{{ secret('NOTION_TOKEN') }}"
databaseId: 12345678-1234-1234-1234-123456789abc
title: "Incidents of {{ execution.startDate | date('yyyy') }}"
""",
    )
    type: Literal["io.kestra.plugin.notion.database.Update"]
    database_id: Property[Text]
    title: Property[OptionalText] = None
    database_description: Property[OptionalText] = Field(default=None, description="Plain text.")

    async def run(self, context: RunContext) -> Database:
        given = {"title": self.title, "description": self.database_description}
        body = {name: plain_text(text) for name, text in given.items() if text is not None}
        if not body:
            raise TaskFailed("There is nothing to change.", fix="Give `title` or `databaseDescription`.")
        path = f"databases/{identity(self.database_id, 'databaseId')}"
        found = await self.notion(context, "PATCH", path, json=body)
        return Database(
            databaseId=held(found, "Notion", "id"), url=found.get("url"), message="Database updated successfully"
        )


def _with_booleans(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_booleans(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_booleans(one) for one in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
