"""`io.kestra.plugin.hightouch`: syncs of Hightouch."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import Text

API = "https://api.hightouch.com"
ENDED = frozenset({"success", "warning", "failed", "cancelled", "interrupted"})
METRICS = (("successfulRows", "rows.successfully"), ("failedRows", "rows.failed"))


class Started(Outputs):
    """The run of the sync."""

    runId: int  # noqa: N815 - appears as written


class Sync(RunnableTask):
    """Start a sync, and wait for its end. Hightouch has no call that cancels a run: when the task is killed it
    goes on."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.hightouch.Sync
token: "{{ secret('HIGHTOUCH_API_TOKEN') }}"
syncId: 1127166
""",
    )
    type: Literal["io.kestra.plugin.hightouch.Sync", "io.kestra.plugin.hightouch.connections.Sync"]
    token: Property[Text]
    options: Property[HttpOptions | None] = None
    sync_id: Property[int]
    full_resynchronization: Property[bool] = False
    wait: Property[bool] = True
    max_duration: Property[timedelta] = timedelta(minutes=5)

    every: ClassVar[timedelta] = timedelta(seconds=1)

    async def run(self, context: RunContext) -> Started:
        context.mask(self.token)
        started = await self._hightouch(context, "POST", "/trigger", json={"fullResync": self.full_resynchronization})
        run = rest_service.whole(started, "Hightouch", "id")
        if self.wait:
            await self._finished(context, run)
        return Started(runId=run)

    async def _finished(self, context: RunContext, run: int) -> None:
        async def look() -> dict[str, Any] | None:
            answer = await self._hightouch(context, "GET", "/runs", params={"runId": str(run)})
            if len(found := answer.get("data") or []) != 1:
                raise TaskFailed(f"Hightouch tells of {len(found)} runs {run}.", fix="Look at the sync in Hightouch.")
            done = rest_service.held(found[0], "Hightouch", "status") in ENDED
            return dict(found[0]) if done else None

        what = f"The run {run}"
        done = await rest_service.waited(context, look, every=self.every, most=self.max_duration, what=what)
        for rows, metric in METRICS:
            for kind, count in (done.get(rows) or {}).items():
                context.metric(f"{metric}{kind.removesuffix('Count').capitalize()}", float(count))
        if done["status"] not in ("success", "warning"):
            why = f": {done['error']}" if done.get("error") else ""
            raise TaskFailed(f"The run {run} ended as {done['status']}{why}.", fix="Look at the sync in Hightouch.")
        if done["status"] == "warning":
            context.log(f"The run {run} ended with warnings.", "WARN")

    async def _hightouch(self, context: RunContext, method: str, more: str, **given: Any) -> dict[str, Any]:
        base = (context.settings.provider("hightouch").base_url or API).rstrip("/")
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{base}/api/v1/syncs/{self.sync_id}{more}"
        return await rest_service.mapping(
            context, "Hightouch", method, url, options=self.options, headers=headers, **given
        )
