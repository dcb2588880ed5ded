"""`io.kestra.plugin.notion.page`: pages of Notion, written and read as Markdown."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.dates import parse_datetime
from engine.core.durations import Duration
from engine.plugin import Look, PollContext, PollingTrigger, Property, RunContext, TaskFailed
from engine.tasks.notion_blocks import blocks_of, markdown_of
from engine.tasks.notion_service import (
    NotionConnected,
    NotionTask,
    Page,
    identity,
    page_of,
    title_of,
    titled,
)
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.rest_service import dated, held, listed, mapped
from engine.tasks.trigger_fields import fields_of

MOST_PAGES = 100  # of 100 blocks each


class Create(NotionTask):
    """Create a page."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: notes
type: io.kestra.plugin.notion.page.Create
apiToken: "{{ secret('NOTION_TOKEN') }}"
parentPageId: 12345678-1234-1234-1234-123456789abc
title: Notes of {{ now() | date('yyyy-MM-dd') }}
content: |
  # Decisions
  - [ ] Ship it
""",
    )
    type: Literal["io.kestra.plugin.notion.page.Create"]
    title: Property[Text]
    content: Property[OptionalText] = None
    parent_page_id: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Page:
        parent: dict[str, Any] = {"type": "workspace", "workspace": True}
        if self.parent_page_id:
            parent = {"type": "page_id", "page_id": identity(self.parent_page_id, "parentPageId")}
        body: dict[str, Any] = {"parent": parent, "properties": titled(self.title)}
        made = await self.created(context, body, blocks_of(self.content or ""))
        return page_of(made, title=self.title, content=self.content, message="Page created successfully")


class PageTask(NotionTask):
    """Of which page."""

    page_id: Property[Text]


class Read(PageTask):
    """Read a page."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.notion.page.Read
apiToken: "{{ secret('NOTION_TOKEN') }}"
pageId: "{{ inputs.page }}"
""",
    )
    type: Literal["io.kestra.plugin.notion.page.Read"]

    async def run(self, context: RunContext) -> Page:
        page = identity(self.page_id, "pageId")
        found = await self.notion(context, "GET", f"pages/{page}")
        blocks: list[Any] = []
        params, pages = {"page_size": "100"}, Pages("Notion")
        for _ in range(MOST_PAGES):
            told = await self.notion(context, "GET", f"blocks/{page}/children", params=params)
            held(told, "Notion", "results")
            blocks += listed(told, "Notion", "results")
            if not told.get("has_more"):
                break
            params["start_cursor"] = pages.after(held(told, "Notion", "next_cursor"))
        return page_of(found, content=markdown_of(blocks), message="Page read successfully")


class Update(PageTask):
    """Change the title of a page, or add to its end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: add
type: io.kestra.plugin.notion.page.Update
apiToken: "{{ secret('NOTION_TOKEN') }}"
pageId: "{{ inputs.page }}"
content: "{{ outputs.summary.textOutput }}"
""",
    )
    type: Literal["io.kestra.plugin.notion.page.Update"]
    title: Property[OptionalText] = None
    content: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Page:
        page = identity(self.page_id, "pageId")
        title, content = (self.title or "").strip(), (self.content or "").strip()
        if not title and not content:
            raise TaskFailed("There is nothing to change.", fix="Give `title` or `content`.")
        if title:
            await self.notion(context, "PATCH", f"pages/{page}", json={"properties": titled(title)})
        await self.append(context, page, blocks_of(content))
        found = await self.notion(context, "GET", f"pages/{page}")
        return page_of(found, content=self.content, message="Page updated successfully")


class Archive(PageTask):
    """Put a page into the trash."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.notion.page.Archive
apiToken: "{{ secret('NOTION_TOKEN') }}"
pageId: "{{ inputs.page }}"
""",
    )
    type: Literal["io.kestra.plugin.notion.page.Archive"]

    async def run(self, context: RunContext) -> Page:
        page = identity(self.page_id, "pageId")
        found = await self.notion(context, "PATCH", f"pages/{page}", json={"archived": True})
        return page_of(found, message="Page archived successfully")


class WatchFields(NotionConnected):
    """Which pages are looked at."""

    query: Property[OptionalText] = Field(default=None, description="What their titles hold.")
    parent_page_id: Property[OptionalText] = Field(default=None, description="Only pages right below this one.")

    async def edited(self, context: RunContext, since: str) -> list[dict[str, Any]]:
        """Pages edited since a moment, the newest first; TaskFailed."""
        above = identity(self.parent_page_id, "parentPageId").replace("-", "") if self.parent_page_id else None
        body: dict[str, Any] = {
            "filter": {"property": "object", "value": "page"},
            "sort": {"direction": "descending", "timestamp": "last_edited_time"},
            "page_size": 100,
            **({"query": self.query} if self.query else {}),
        }
        found, pages = list[dict[str, Any]](), Pages("Notion")
        for _ in range(MOST_PAGES):
            answer = await self.notion(context, "POST", "search", json=body)
            for page in listed(answer, "Notion", "results", each=["id", "last_edited_time"]):
                if dated(page, "Notion", "last_edited_time") < parse_datetime(since):
                    return found
                parent = str(mapped(page, "Notion", "parent").get("page_id") or "").replace("-", "")
                if above is None or parent == above:
                    found.append({**page, "id": str(page["id"])})
            if not answer.get("has_more"):
                break
            body["start_cursor"] = pages.after(held(answer, "Notion", "next_cursor"))
        return found


class UpdateTrigger(WatchFields, PollingTrigger):
    """Start an execution when pages were edited. Notion tells the minute only: what is edited again within the minute
    of the last look is not told again."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: notes
type: io.kestra.plugin.notion.page.UpdateTrigger
apiToken: "{{ secret('NOTION_TOKEN') }}"
query: Minutes
interval: PT5M
""",
    )
    type: Literal["io.kestra.plugin.notion.page.UpdateTrigger"]
    options: Any = None
    interval: Duration = Field(
        default=timedelta(minutes=5), ge=timedelta(seconds=1), description="The wait between two looks."
    )

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, WatchFields, context)
        floor = str(context.memory.get("moment") or (datetime.now(UTC) - self.interval).isoformat())
        known = set(context.memory.get("ids", ()))
        there = await fields.edited(context, floor)
        fresh = [page for page in there if page["last_edited_time"] != floor or page["id"] not in known]
        if not fresh:
            return Look(None, {"moment": floor, "ids": sorted(known)})
        newest = there[0]["last_edited_time"]
        ids = {page["id"] for page in there if page["last_edited_time"] == newest} | (
            known if newest == floor else set()
        )
        pages = [
            {
                "pageId": page["id"],
                "url": page.get("url"),
                "title": title_of(page),
                "lastEditedTime": page["last_edited_time"],
            }
            for page in fresh
        ]
        return Look({"updatedPages": pages}, {"moment": newest, "ids": sorted(ids)})
