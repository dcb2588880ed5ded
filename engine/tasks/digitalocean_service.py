"""DigitalOcean's REST API: who asks, one call, and lists page by page."""

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched, stored
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import Text

SERVICE = "DigitalOcean"
PAGES = 10_000  # of a list; more is a list that leads back to itself
PAGE = 200


class DigitalOcean(Part):
    """Who asks, and where DigitalOcean is."""

    api_token: Property[Text]
    base_url: Property[Text] = "https://api.digitalocean.com"
    options: Property[HttpOptions | None] = None

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when DigitalOcean refuses."""
        context.mask(self.api_token)
        url = f"{self.base_url.rstrip('/')}/v2/{path}"
        asked = {"options": self.options, "headers": {"Authorization": f"Bearer {self.api_token}"}, **given}
        return await rest_service.mapping(context, SERVICE, method, url, **asked)

    async def rows(
        self, context: RunContext, kind: str, page_size: int = PAGE, path: str = ""
    ) -> AsyncGenerator[dict[str, Any], None]:
        """All that a list holds, page after page; `path` where it is, if not called as what it holds; TaskFailed."""
        for page in range(1, PAGES + 1):
            params = {"page": str(page), "per_page": str(page_size)}
            answer = await self.ask(context, "GET", path or kind, params=params)
            for row in rest_service.listed(answer, SERVICE, kind):
                yield row
            links = rest_service.mapped(answer.get("links"), SERVICE)
            if not rest_service.mapped(links.get("pages"), SERVICE).get("next"):
                return
        raise TaskFailed(
            f"DigitalOcean's list of {kind} has more than {PAGES} pages.",
            fix="Raise `perPage`, or check `baseUrl`: this list may lead back to itself.",
        )


class DigitalOceanTask(DigitalOcean, RunnableTask):
    """A task that asks DigitalOcean."""


class Listed(Fetched):
    """The rows as asked for, and how many there are at DigitalOcean."""

    total: int


class ListTask(DigitalOceanTask):
    """A list, and what becomes of it."""

    per_page: Property[int] = Field(default=PAGE, ge=1, le=PAGE, description="How many are asked for at once.")
    fetch_type: Property[FetchType] = "FETCH"

    async def listed(
        self, context: RunContext, kind: str, without: frozenset[str] = frozenset(), path: str = ""
    ) -> Listed:
        """All of a kind, each without some of what is told of it; TaskFailed."""
        told = (
            {name: value for name, value in row.items() if name not in without}
            async for row in self.rows(context, kind, self.per_page, path)
        )
        if self.fetch_type == "STORE":
            uri, total = await stored(context, told, "rows.jsonl")
            context.metric("fetch.size", total)
            return Listed(uri=uri, size=total, total=total)
        rows = [row async for row in told]
        return Listed(**(await fetched(context, rows, self.fetch_type)).model_dump(), total=len(rows))


def below(kind: str, identity: str, name: str) -> str:
    """The path of one of a kind; TaskFailed when the property `name` does not say which."""
    if not identity.strip():
        raise TaskFailed(f"It is not said which of the {kind}.", fix=f"Give `{name}`.")
    return f"{kind}/{quote(identity.strip(), safe='')}"


def found(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    """What an answer tells of one of a kind; TaskFailed when it tells of none."""
    one = answer.get(kind)
    if not isinstance(one, dict):
        raise TaskFailed(f"DigitalOcean answered without a {kind}.", fix="Check `baseUrl`.")
    return one
