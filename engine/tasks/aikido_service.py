"""Aikido Security's API: who asks, and one call."""

import base64
from typing import Any

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText, Text

API = "https://app.aikido.dev"


class AikidoConnected(Part):
    """The client of the API, and the region of the account."""

    base_url: Property[Text] = API
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None

    async def session(self, context: RunContext) -> "Session":
        """An open session; TaskFailed when Aikido knows no such client."""
        if not self.client_id or not self.client_secret:
            raise TaskFailed("It is not said who asks Aikido.", fix="Give `clientId` and `clientSecret`.")
        context.mask(self.client_secret)
        base = (context.settings.provider("aikido").base_url or self.base_url).rstrip("/")
        who = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        headers, body = {"Authorization": f"Basic {who}"}, {"grant_type": "client_credentials"}
        given = await rest_service.document(
            context, "Aikido", "POST", f"{base}/api/oauth/token", headers=headers, json=body
        )
        token = str((given or {}).get("access_token") or "")
        if not token:
            raise TaskFailed("Aikido gave no token.", fix="Check that `baseUrl` is the account's region.")
        context.mask(token)
        return Session(context, f"{base}/api/public/v1", token)


class Session:
    """Calls with one token."""

    def __init__(self, context: RunContext, at: str, token: str) -> None:
        self._context, self._at = context, at
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    async def ask(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of one call; TaskFailed when Aikido refuses."""
        if "params" in given:
            given["params"] = {name: str(value) for name, value in given["params"].items() if value is not None}
        url = f"{self._at}/{path}"
        return await rest_service.document(self._context, "Aikido", method, url, headers=self._headers, **given)

    async def pages(self, path: str, size: int, **params: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        page = 0
        while True:
            rows = await self.ask("GET", path, params={**params, "page": page, "per_page": size}) or []
            found += rows
            if len(rows) < size:
                return found
            page += 1
