"""Cloudflare's REST API: who asks about which zone, and one call."""

from typing import Any
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalText, Text

SERVICE = "Cloudflare"
API = "https://api.cloudflare.com/client/v4"


PAGE = 100


class CloudflareAccount(Part):
    """Whose token it is, and where Cloudflare is."""

    api_token: Property[Text]
    base_url: Property[OptionalText] = Field(default=None, description=f"`{API}`, unless the settings say otherwise.")
    options: Property[HttpOptions | None] = None

    async def result(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The `result` of a call; TaskFailed when Cloudflare refuses."""
        context.mask(self.api_token)
        base = (self.base_url or context.settings.provider("cloudflare").base_url or API).rstrip("/")
        asked = {"options": self.options, "headers": {"Authorization": f"Bearer {self.api_token}"}, **given}
        told = await rest_service.mapping(context, SERVICE, method, f"{base}/{path}", **asked)
        if not told.get("success"):
            said = (
                "; ".join(str(one.get("message")) for one in rest_service.listed(told, SERVICE, "errors"))
                or "it did not say why"
            )
            raise TaskFailed(f"Cloudflare refused: {said}.")
        return told.get("result")

    async def results(self, context: RunContext, path: str) -> list[dict[str, Any]]:
        """All that a list holds, page after page; TaskFailed."""
        found, pages, page = list[dict[str, Any]](), Pages(SERVICE), 1
        while True:
            some = await self.result(context, "GET", path, params={"page": str(page), "per_page": str(PAGE)})
            rows = rest_service.listed(some, SERVICE)
            found += rows
            if len(rows) < PAGE:
                return found
            pages.after(rows)
            page += 1


class CloudflareConnected(CloudflareAccount):
    """A zone, and a token that may change it."""

    zone_id: Property[Text]

    def below(self, path: str) -> str:
        """The path of something of the zone; TaskFailed when it is not said which zone."""
        if not self.zone_id.strip():
            raise TaskFailed("It is not said which zone.", fix="Give `zoneId`.")
        return f"zones/{quote(self.zone_id.strip(), safe='')}/{path}"

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The `result` of a call below the zone; TaskFailed when Cloudflare refuses."""
        return await self.result(context, method, self.below(path), **given)
