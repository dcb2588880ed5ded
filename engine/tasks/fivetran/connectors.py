"""`io.kestra.plugin.fivetran.connectors`: syncs of Fivetran."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.core.dates import parse_datetime
from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions
from engine.tasks.property_types import Text, TextList

API = "https://api.fivetran.com"


class FivetranTask(RunnableTask):
    """Who we are to Fivetran."""

    api_key: Property[Text]
    api_secret: Property[Text]
    base_url: Property[Text] = API
    options: Property[HttpOptions | None] = None

    async def connector(
        self, context: RunContext, connector: str, method: str, more: str = "", **body: Any
    ) -> dict[str, Any]:
        """What Fivetran says of a connector, or of what it is asked to do; TaskFailed."""
        context.mask(self.api_secret)
        auth = Auth(type="BASIC", username=self.api_key, password=self.api_secret)
        options = (self.options or DEFAULT).model_copy(update={"auth": auth})
        url = f"{self.base_url.rstrip('/')}/v1/connections/{quote(connector, safe='')}{more}"
        accept = {"Accept": "application/json;version=2"}
        found = await rest_service.mapping(context, "Fivetran", method, url, options=options, headers=accept, **body)
        return rest_service.mapped(found.get("data"), "Fivetran")


class Sync(FivetranTask):
    """Start a sync of a connector, and wait for its end. Fivetran has no call that cancels a sync and leaves the
    connector as it is: when the task is killed the sync goes on."""

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
    connector_id: Property[Text]
    force: Property[bool] = False
    wait: Property[bool] = True
    poll_frequency: Property[timedelta] = timedelta(seconds=1)
    max_duration: Property[timedelta] = timedelta(minutes=60)

    async def run(self, context: RunContext) -> None:
        before = _ended(await self.connector(context, self.connector_id, "GET"))
        await self.connector(context, self.connector_id, "POST", "/sync", json={"force": self.force})
        if not self.wait:
            return

        async def look() -> dict[str, Any] | None:
            found = await self.connector(context, self.connector_id, "GET")
            return found if _ended(found) > before else None

        what = f"The sync of {self.connector_id}"
        done = await rest_service.waited(context, look, every=self.poll_frequency, most=self.max_duration, what=what)
        if (done.get("failed_at") or "") > (done.get("succeeded_at") or ""):
            raise TaskFailed(f"{what} failed.", fix="Look at its log in Fivetran.")


class Looked(Outputs):
    """The connectors by their ids."""

    connectors: dict[str, dict[str, Any]]


class Status(FivetranTask):
    """Tell how fresh the data of connectors is, and wait until it is: synced within the time between two syncs."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.fivetran.connectors.Status
apiKey: "{{ secret('FIVETRAN_API_KEY') }}"
apiSecret: "{{ secret('FIVETRAN_API_SECRET') }}"
connectorIds: [speak_inexpensive, bulky_shirt]
freshnessBuffer: PT10M
""",
    )
    type: Literal["io.kestra.plugin.fivetran.connectors.Status"]
    connector_ids: Property[TextList]
    freshness_buffer: Property[timedelta] = timedelta(0)
    wait: Property[bool] = True
    max_duration: Property[timedelta] = timedelta(hours=1)
    poll_frequency: Property[timedelta] = timedelta(seconds=30)
    allow_terminal: Property[bool] = False

    async def run(self, context: RunContext) -> Looked:
        if not self.connector_ids:
            raise TaskFailed("`connectorIds` is empty.", fix="Name the connectors.")

        async def look() -> dict[str, dict[str, Any]] | None:
            found = {one: await self._state(context, one) for one in self.connector_ids}
            stale = [one for one in found.values() if not one["fresh"]]
            if not self.wait or not stale:
                return found
            for one in stale:
                if one["fresh"] is None:
                    raise TaskFailed(f"Fivetran tells no time between syncs of {one['id']}, so it is never fresh.")
                if not self.allow_terminal and (one["paused"] or one["setupState"] != "connected"):
                    why = "is paused" if one["paused"] else f"is not connected ({one['setupState']})"
                    raise TaskFailed(f"{one['id']} never gets fresh: it {why}.", fix="`allowTerminal` waits for it.")
            return None

        most = self.max_duration
        found = await rest_service.waited(context, look, every=self.poll_frequency, most=most, what="The wait")
        return Looked(connectors=found)

    async def _state(self, context: RunContext, connector: str) -> dict[str, Any]:
        found = await self.connector(context, connector, "GET")
        status = found.get("status") or {}
        succeeded, failed, minutes = found.get("succeeded_at"), found.get("failed_at"), found.get("sync_frequency")
        bad = (failed or "") > (succeeded or "")
        oldest = datetime.now(UTC) - timedelta(minutes=minutes or 0) - self.freshness_buffer
        fresh = None if minutes is None else bool(succeeded and not bad and parse_datetime(succeeded) >= oldest)
        return {
            "id": found.get("id") or connector,
            "name": found.get("schema"),
            "paused": bool(found.get("paused")),
            "syncFrequency": minutes,
            "scheduleType": found.get("schedule_type"),
            "succeededAt": succeeded,
            "failedAt": failed,
            "completedDate": _ended(found) or None,
            "hasFailed": bad,
            "syncState": status.get("sync_state"),
            "setupState": status.get("setup_state"),
            "schemaStatus": status.get("schema_status"),
            "fresh": fresh,
        }


def _ended(connector: dict[str, Any]) -> str:
    """When its last sync ended, well or not, nothing before the first; moments in UTC, which sort as texts."""
    return max(connector.get("succeeded_at") or "", connector.get("failed_at") or "")
