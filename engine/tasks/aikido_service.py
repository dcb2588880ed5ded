"""Aikido Security's API: who asks, and one call."""

import base64
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any, Literal

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalText, Text, scalar_to_text

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
        given = await rest_service.mapping(
            context, "Aikido", "POST", f"{base}/api/oauth/token", headers=headers, json=body
        )
        token = str(given.get("access_token") or "")
        if not token:
            raise TaskFailed("Aikido gave no token.", fix="Check that `baseUrl` is the account's region.")
        context.mask(token)
        return Session(context, f"{base}/api/public/v1", token)


class Session:
    """Calls with one token."""

    def __init__(self, context: RunContext, at: str, token: str) -> None:
        self._context, self._at = context, at
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    async def tell(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON object of one call, an empty one when there is none; TaskFailed."""
        return rest_service.mapped(await self.ask(method, path, **given), "Aikido")

    async def ask(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of one call; TaskFailed when Aikido refuses."""
        if "params" in given:
            given["params"] = worded(given["params"])
        url = f"{self._at}/{path}"
        return await rest_service.document(self._context, "Aikido", method, url, headers=self._headers, **given)

    async def file(self, path: str, params: dict[str, Any]) -> bytes:
        """What an export gives, whatever it is; TaskFailed when Aikido refuses."""
        url, params = f"{self._at}/{path}", worded(params)
        answer = await rest_service.call(self._context, "Aikido", "GET", url, headers=self._headers, params=params)
        return answer.content

    async def pages(self, path: str, size: int, *, key: str = "", **params: Any) -> list[dict[str, Any]]:
        """All pages of a list, or of the list that stands below a key."""
        found, pages = list[dict[str, Any]](), Pages("Aikido")
        page, sized = 0, "limit" if key else "per_page"
        while True:
            told = await self.ask("GET", path, params={**params, "page": page, sized: size})
            rows = rest_service.listed(told, "Aikido", *([key] if key and isinstance(told, dict) else []))
            found += rows
            if len(rows) < size:
                return found
            pages.after(rows)
            page += 1


def worded(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they stand in an address, without those that are not given; a list is given value by value."""
    kept = {name: value for name, value in params.items() if value is not None}
    return {name: value if isinstance(value, list) else scalar_to_text(value) for name, value in kept.items()}


class Scanned(Outputs):
    """Whether a scan was begun, and whether one ended while the task waited."""

    triggered: bool
    completed: bool


class ScanTask(AikidoConnected, RunnableTask, ABC):
    """Begin a scan. Aikido gives a scan no id: waiting is until the next one ends, whoever began it,
    and none can be cancelled."""

    wait_for_completion: Property[bool] = False
    poll_interval: Property[timedelta] = timedelta(seconds=10)
    max_duration: Property[timedelta] = timedelta(hours=1)

    @abstractmethod
    async def begin(self, session: Session) -> bool:
        """Whether a scan was begun."""

    @abstractmethod
    async def scanned_at(self, session: Session) -> int:
        """When the last scan ended, 0 when there was none."""

    async def run(self, context: RunContext) -> Scanned:
        session = await self.session(context)
        before = await self.scanned_at(session) if self.wait_for_completion else 0
        triggered = await self.begin(session)
        if not self.wait_for_completion:
            return Scanned(triggered=triggered, completed=False)

        async def look() -> bool | None:
            return await self.scanned_at(session) > before or None

        await rest_service.waited(context, look, every=self.poll_interval, most=self.max_duration, what="The scan")
        return Scanned(triggered=triggered, completed=True)


class Exported(Outputs):
    """The file, and its size in bytes."""

    uri: StoredUri
    size: int


class SbomTask(AikidoConnected, RunnableTask):
    """Which packages and licenses there are, as a file."""

    format: Property[Literal["CSV", "SBOM", "SBOM_SPDX"]] = "CSV"
    include_risk_reason: Property[bool] = False

    async def exported(self, context: RunContext, path: str, **more: Any) -> Exported:
        """The report of what stands at a path; TaskFailed when nothing was scanned yet."""
        params = {"format": self.format.lower(), "include_risk_reason": int(self.include_risk_reason), **more}
        try:
            content = await (await self.session(context)).file(f"{path}/licenses/export", params)
        except TaskFailed as error:
            if " answered 404:" in error.message:
                raise TaskFailed(error.message, fix="There is a report once it was scanned: run `Scan`.") from error
            raise
        name = "sbom.csv" if self.format == "CSV" else "sbom.json"
        return Exported(uri=await context.files.put(content, name), size=len(content))
