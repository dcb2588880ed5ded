"""Transfers of BigQuery's Data Transfer Service: run, or found under way, and waited for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.gcp_service import GcpConnected
from engine.tasks.property_types import Text, moment_from_text

NAMED = re.compile(r"projects/(?P<project>[\w.:-]+)(?:/locations/(?P<location>[\w-]+))?/transferConfigs/[\w-]+")
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
SOON = timedelta(seconds=30)  # a run that was just begun is said to begin a little later; what is later still is queued


class Transferred(Outputs):
    """The run, how it stands, whether it was under way before, and where its data goes."""

    runName: str  # noqa: N815 - appears as written
    state: str
    reattached: bool
    destinationDatasetId: str | None = None  # noqa: N815
    projectId: str  # noqa: N815
    location: str | None = None


class TransferTask(GcpConnected, RunnableTask):
    """Which transfer, and whether its end is waited for. A run goes on when the task is killed: nothing stops one."""

    api: ClassVar[str] = "bigquery_transfers"
    public_url: ClassVar[str] = "https://bigquerydatatransfer.googleapis.com/v1"
    transfer_config_name: Property[Text] = Field(description="As `projects/…/locations/…/transferConfigs/…`.")
    reattach: Property[bool] = Field(default=True, description="Wait for a run that is under way; begin no other.")
    reattach_max_age: Property[timedelta | None] = Field(
        default=None, description="One that should have begun longer ago than that is let be."
    )
    wait: Property[bool] = True
    poll_interval: Property[timedelta] = timedelta(seconds=15)
    max_duration: Property[timedelta] = timedelta(hours=1)

    async def run(self, context: RunContext) -> Transferred:
        config = self.transfer_config_name.strip()
        if not (place := NAMED.fullmatch(config)):
            fix = "Write it as projects/my-project/locations/eu/transferConfigs/123."
            raise TaskFailed(f"`transferConfigName` {config!r} names no transfer.", fix=fix)
        run = await self._under_way(context, config) if self.reattach else None
        reattached = run is not None
        context.metric("reattached", int(reattached))
        if run is None:
            begin = {"requestedRunTime": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
            made = await self.gcp(context, "POST", f"{config}:startManualRuns", json=begin)
            if not (runs := made.get("runs")):
                raise TaskFailed(f"{config} began no run.", fix="Look whether it is disabled.")
            run = runs[0]
        name = str(rest_service.held(run, "Google Cloud", "name"))
        context.log(f"The run {name} {'is under way' if reattached else 'is begun'}.")
        told = await self.gcp(context, "GET", config)
        done = await self._ended(context, name) if self.wait else run
        return Transferred(
            runName=name,
            state=str(done.get("state") or "PENDING"),
            reattached=reattached,
            destinationDatasetId=told.get("destinationDatasetId"),
            projectId=place["project"],
            location=place["location"],
        )

    async def _under_way(self, context: RunContext, config: str) -> dict[str, Any] | None:
        """The run that goes on now, else the newest of those that are about to."""
        now = datetime.now(UTC)
        oldest = now - self.reattach_max_age if self.reattach_max_age else None
        pages = await self.pages(context, f"{config}/runs", {"states": ["PENDING", "RUNNING"]})
        found = [run for page in pages for run in page.get("transferRuns") or ()]
        dated = [(moment_from_text(run.get("scheduleTime")) or now, run) for run in found]
        fitting = [(at, run) for at, run in dated if at <= now + SOON and (oldest is None or at >= oldest)]
        newest = max(fitting, key=lambda one: (one[1].get("state") == "RUNNING", one[0]), default=None)
        return newest[1] if newest else None

    async def _ended(self, context: RunContext, name: str) -> dict[str, Any]:
        """The run once it has ended well; TaskFailed when it has not, or takes too long."""
        began = datetime.now(UTC)

        async def look() -> dict[str, Any] | None:
            found = await self.gcp(context, "GET", name)
            return found if found.get("state") in ENDED else None

        what, fix = f"The run {name}", "Raise `maxDuration`."
        done = await rest_service.waited(
            context, look, every=self.poll_interval, most=self.max_duration, what=what, fix=fix
        )
        context.metric("duration", (datetime.now(UTC) - began).total_seconds(), "timer")
        if done["state"] != "SUCCEEDED":
            why = (done.get("errorStatus") or {}).get("message") or "nothing more is said"
            raise TaskFailed(f"{what} ended as {done['state']}: {why}", outputs={"runName": name})
        return done
