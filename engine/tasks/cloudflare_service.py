"""Cloudflare's REST API: who asks about which zone, and one call."""

from typing import Any
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import OptionalText, Text

API = "https://api.cloudflare.com/client/v4"


class CloudflareConnected(Part):
    """A zone, and a token that may change it."""

    api_token: Property[Text]
    base_url: Property[OptionalText] = Field(default=None, description=f"`{API}`, unless the settings say otherwise.")
    options: Property[HttpOptions | None] = None
    zone_id: Property[Text]

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The `result` of a call below the zone; TaskFailed when Cloudflare refuses."""
        context.mask(self.api_token)
        base = (self.base_url or context.settings.provider("cloudflare").base_url or API).rstrip("/")
        url = f"{base}/zones/{quote(self.zone_id, safe='')}/{path}"
        headers = {"Authorization": f"Bearer {self.api_token}"}
        asked = {"options": self.options, "headers": headers, **given}
        told = await rest_service.document(context, "Cloudflare", method, url, **asked) or {}
        if not told.get("success"):
            said = "; ".join(str(one.get("message")) for one in told.get("errors") or ()) or "it did not say why"
            raise TaskFailed(f"Cloudflare refused: {said}.")
        return told.get("result")
