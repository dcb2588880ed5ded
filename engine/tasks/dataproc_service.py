"""Dataproc's REST API: its address in each region, and its operations, which take a while."""

from datetime import timedelta
from typing import Any, ClassVar
from uuid import NAMESPACE_OID, uuid5

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.gcp_service import GcpConnected, Region

EVERY, MOST = timedelta(seconds=5), timedelta(days=7)


class DataprocConnected(GcpConnected):
    """Who asks, in which project, and where."""

    api: ClassVar[str] = "gcp_dataproc"
    region: Property[Region]

    def at(self, context: RunContext) -> str:
        base = context.settings.provider(self.api).base_url or f"https://{self.region}-dataproc.googleapis.com/v1"
        return base.rstrip("/")

    async def ended(self, context: RunContext, operation: dict[str, Any], *, stops: bool = False) -> dict[str, Any]:
        """An operation that has ended well, or that is cancelled with the task if it `stops`; TaskFailed when it has
        not."""

        async def look() -> dict[str, Any] | None:
            found = operation if operation.get("done") else await self.gcp(context, "GET", name)
            return found if found.get("done") else None

        name = str(rest_service.held(operation, "Google Cloud", "name"))
        done = await rest_service.waited(
            context, look, every=EVERY, most=MOST, what=f"The operation {name}",
            stop=(lambda: self.gcp(context, "POST", f"{name}:cancel", json={})) if stops else None,
        )  # fmt: skip
        if error := done.get("error"):
            raise TaskFailed(f"Dataproc could not do it: {error.get('message') or error}")
        return done


def request_id(context: RunContext) -> dict[str, str]:
    """The parameter by which Google knows that an attempt asks again: it answers with the operation it has begun."""
    return {"requestId": str(uuid5(NAMESPACE_OID, f"{context.task_run_id}/{context.attempt}"))}
