"""`io.kestra.plugin.confluence.pages`: pages of Confluence in the cloud, written as Markdown."""

from base64 import b64encode
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from markdown_it import MarkdownIt
from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText, Text


class Page(Outputs):
    """What Confluence answered: the page, as JSON text."""

    value: str


class VersionInfo(Part):
    """The version that a change makes."""

    number: Property[int] = Field(description="The number of the version that is there, and one.")
    message: Property[Text]


class ConfluenceTask(RunnableTask):
    """Which Confluence, and who asks."""

    server_url: Property[Text]
    username: Property[Text]
    api_token: Property[Text]

    async def confluence(self, context: RunContext, method: str, path: str, **given: Any) -> Page:
        """What Confluence answers about pages; TaskFailed when it refuses."""
        context.mask(self.api_token)
        who = b64encode(f"{self.username}:{self.api_token}".encode()).decode()
        headers = {"Authorization": f"Basic {who}", "Accept": "application/json"}
        url = f"{self.server_url.rstrip('/')}/wiki/api/v2/{path}"
        answer = await rest_service.call(context, "Confluence", method, url, headers=headers, **given)
        return Page(value=answer.text)


def stored_form(markdown: str) -> dict[str, str]:
    """A text in the form Confluence stores."""
    return {"representation": "storage", "value": MarkdownIt("commonmark").render(markdown)}


class Create(ConfluenceTask):
    """Make a page in a space."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.confluence.pages.Create
serverUrl: https://your-domain.atlassian.net
username: you@example.com
apiToken: "{{ secret('CONFLUENCE_API_TOKEN') }}"
spaceId: "123456"
title: Release notes
markdown: |
  # What is new
  - Faster starts
""",
    )
    type: Literal["io.kestra.plugin.confluence.pages.Create"]
    space_id: Property[Text]
    title: Property[Text]
    markdown: Property[Text]
    status: Property[OptionalText] = Field(default=None, description="`current` or `draft`.")
    parent_id: Property[OptionalText] = Field(default=None, description="The page it stands under; else the homepage.")
    subtype: Property[OptionalText] = Field(default=None, description="`live` for a document that all write at once.")
    embedded: Property[bool] = False
    make_private: Property[bool] = Field(default=False, description="Only who made it sees it.")
    root_level: Property[bool] = Field(default=False, description="Beside the homepage of the space, not under it.")

    async def run(self, context: RunContext) -> Page:
        page: dict[str, Any] = {"spaceId": self.space_id, "title": self.title, "body": stored_form(self.markdown)}
        page |= rest_service.present(
            status=self.status or None, parentId=self.parent_id or None, subtype=self.subtype or None
        )
        asked = {"embedded": self.embedded, "private": self.make_private, "root-level": self.root_level}
        params = {name: "true" for name, wanted in asked.items() if wanted}
        return await self.confluence(context, "POST", "pages", json=page, params=params)


class Update(ConfluenceTask):
    """Write a page anew, as a next version of it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: recap
type: io.kestra.plugin.confluence.pages.Update
serverUrl: https://your-domain.atlassian.net
username: you@example.com
apiToken: "{{ secret('CONFLUENCE_API_TOKEN') }}"
pageId: "12345678"
status: current
title: Weekly recap
markdown: "## {{ now() | date('yyyy-MM-dd') }}"
versionInfo:
  number: "{{ kv('version') + 1 }}"
  message: Weekly recap
""",
    )
    type: Literal["io.kestra.plugin.confluence.pages.Update"]
    page_id: Property[Text]
    status: Property[Text] = Field(description="`current` or `draft`.")
    title: Property[Text]
    markdown: Property[Text]
    version_info: Property[VersionInfo]
    space_id: Property[OptionalText] = None
    parent_id: Property[OptionalText] = Field(default=None, description="The page to move it under.")
    owner_id: Property[OptionalText] = Field(default=None, description="The account that owns it from now on.")

    async def run(self, context: RunContext) -> Page:
        version = {"number": self.version_info.number, "message": self.version_info.message}
        page: dict[str, Any] = {"id": self.page_id, "status": self.status, "title": self.title}
        page |= {"body": stored_form(self.markdown), "version": version}
        page |= rest_service.present(
            spaceId=self.space_id or None, parentId=self.parent_id or None, ownerId=self.owner_id or None
        )
        return await self.confluence(context, "PUT", f"pages/{quote(self.page_id, safe='')}", json=page)
