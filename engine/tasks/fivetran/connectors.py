"""`io.kestra.plugin.fivetran.connectors`: syncs of Fivetran."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions
from engine.tasks.property_types import Text

API = "https://api.fivetran.com"


class Sync(RunnableTask):
    """Start a sync of a connector, and wait for its end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.fivetran.connectors.Sync
apiKey: "{{ secret('FIVETRAN_API_KEY') }}"
apiSecret: "{{ secret('FIVETRAN_API_SECRET') }}"
connectorId: speak_inexpensive
""",
    )
    type: Literal["io.kestra.plugin.fivetran.connectors.Sync"]
    api_key: Property[Text]
    api_secret: Property[Text]
    base_url: Property[Text] = API
    options: Property[HttpOptions | None] = None
    connector_id: Property[Text]
    force: Property[bool] = False
    wait: Property[bool] = True
    poll_frequency: Property[timedelta] = timedelta(seconds=1)
    max_duration: Property[timedelta] = timedelta(minutes=60)

    async def run(self, context: RunContext) -> None:
        context.mask(self.api_secret)
        before = _ended(await self._fivetran(context, "GET"))
        await self._fivetran(context, "POST", "/sync", json={"force": self.force})
        if not self.wait:
            return

        async def look() -> dict[str, Any] | None:
            found = await self._fivetran(context, "GET")
            return found if _ended(found) > before else None

        what = f"The sync of {self.connector_id}"
        done = await rest_service.waited(look, every=self.poll_frequency, most=self.max_duration, what=what)
        if (done.get("failed_at") or "") > (done.get("succeeded_at") or ""):
            raise TaskFailed(f"{what} failed.", fix="Look at its log in Fivetran.")

    async def _fivetran(self, context: RunContext, method: str, more: str = "", **body: Any) -> dict[str, Any]:
        auth = Auth(type="BASIC", username=self.api_key, password=self.api_secret)
        options = (self.options or DEFAULT).model_copy(update={"auth": auth})
        url = f"{self.base_url.rstrip('/')}/v1/connections/{quote(self.connector_id, safe='')}{more}"
        accept = {"Accept": "application/json;version=2"}
        found = await rest_service.document(context, "Fivetran", method, url, options=options, headers=accept, **body)
        return dict((found or {}).get("data") or {})


def _ended(connector: dict[str, Any]) -> str:
    """When its last sync ended, well or not, nothing before the first; moments in UTC, which sort as texts."""
    return max(connector.get("succeeded_at") or "", connector.get("failed_at") or "")
