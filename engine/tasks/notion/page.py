"""`io.kestra.plugin.notion.page`: pages of Notion, written and read as Markdown."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.notion_blocks import blocks_of, markdown_of
from engine.tasks.notion_service import MOST_BLOCKS, NotionTask, Page, identity, page_of, titled
from engine.tasks.property_types import OptionalText, Text

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
        blocks = blocks_of(self.content or "")
        parent: dict[str, Any] = {"type": "workspace", "workspace": True}
        if self.parent_page_id:
            parent = {"type": "page_id", "page_id": identity(self.parent_page_id, "parentPageId")}
        body: dict[str, Any] = {"parent": parent, "properties": titled(self.title)}
        if blocks:
            body["children"] = blocks[:MOST_BLOCKS]
        made = await self.notion(context, "POST", "pages", json=body)
        await self.append(context, made["id"], blocks[MOST_BLOCKS:])
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
        params = {"page_size": "100"}
        for _ in range(MOST_PAGES):
            listed = await self.notion(context, "GET", f"blocks/{page}/children", params=params)
            blocks += listed["results"]
            if not listed.get("has_more"):
                break
            params["start_cursor"] = listed["next_cursor"]
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
