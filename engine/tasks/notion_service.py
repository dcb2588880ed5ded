"""Notion's API: pages and the blocks they are made of."""

import re
from typing import Any

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.notion_blocks import text_of
from engine.tasks.property_types import Text

API = "https://api.notion.com/v1"
VERSION = "2022-06-28"
MOST_BLOCKS = 100  # in one request
IDENTITY = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


class Page(Outputs):
    """What Notion says about a page, and its text as Markdown."""

    pageId: str  # noqa: N815 - appears as written
    url: str | None = None
    title: str | None = None
    content: str | None = None
    createdTime: str | None = None  # noqa: N815
    lastEditedTime: str | None = None  # noqa: N815
    archived: bool | None = None
    properties: dict[str, Any] | None = None
    message: str = ""


class NotionConnected(Part):
    """Who asks."""

    api_token: Property[Text]

    async def notion(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON object of one call; TaskFailed when Notion refuses."""
        context.mask(self.api_token)
        base = context.settings.provider("notion").base_url or API
        headers = {"Authorization": f"Bearer {self.api_token}", "Notion-Version": VERSION}
        return await rest_service.mapping(
            context, "Notion", method, f"{base.rstrip('/')}/{path}", headers=headers, **given
        )

    async def created(self, context: RunContext, page: dict[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:
        """A new page, with all its blocks; TaskFailed when Notion refuses."""
        children = {"children": blocks[:MOST_BLOCKS]} if blocks else {}
        made = await self.notion(context, "POST", "pages", json={**page, **children})
        await self.append(context, str(rest_service.held(made, "Notion", "id")), blocks[MOST_BLOCKS:])
        return made

    async def append(self, context: RunContext, page: str, blocks: list[dict[str, Any]]) -> None:
        """Add blocks to the end of a page, as many at once as Notion takes."""
        for begin in range(0, len(blocks), MOST_BLOCKS):
            children = blocks[begin : begin + MOST_BLOCKS]
            await self.notion(context, "PATCH", f"blocks/{page}/children", json={"children": children})


class NotionTask(NotionConnected, RunnableTask):
    """What every task of Notion has."""


def page_of(found: dict[str, Any], **more: Any) -> Page:
    """A page as outputs tell it."""
    told = {
        "pageId": rest_service.held(found, "Notion", "id"),
        "url": found.get("url"),
        "title": title_of(found),
        "createdTime": found.get("created_time"),
        "lastEditedTime": found.get("last_edited_time"),
        "archived": found.get("archived"),
        "properties": found.get("properties"),
    }
    return Page(**{**told, **more})


def identity(text: str, name: str) -> str:
    """An id of Notion; TaskFailed when it is none."""
    found = text.strip().lower()
    if not IDENTITY.fullmatch(found):
        raise TaskFailed(f"`{name}` {text!r} is no id of Notion.", fix="It is the end of the page's address.")
    return found


def titled(title: str) -> dict[str, Any]:
    """The property that is a page's title."""
    return {"title": {"title": [{"type": "text", "text": {"content": title}}]}}


def title_of(found: dict[str, Any]) -> str | None:
    """The title of a page."""
    for one in rest_service.mapped(found.get("properties"), "Notion").values():
        if isinstance(one, dict) and one.get("type", "title") == "title" and isinstance(one.get("title"), list):
            return "".join(map(text_of, rest_service.listed(one, "Notion", "title")))
    return None
