"""`io.kestra.plugin.airbyte.cloud.jobs`: syncs of Airbyte Cloud."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import urljoin

from pydantic import Field

from engine.core.durations import parse as parse_duration
from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import OptionalText, Text

API = "https://api.airbyte.com"
ENDED = ("incomplete", "failed", "cancelled", "succeeded")


class Job(Outputs):
    """The job as Airbyte tells it."""

    job: dict[str, Any]


class JobTask(RunnableTask):
    """Start a job of a connection, and wait for its end; one that is waited for is cancelled with the task."""

    job_type: ClassVar[str] = "sync"
    token: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    token_url: Property[OptionalText] = Field(
        default=None,
        alias="tokenURL",
        description="Who gives a token for `clientId` and `clientSecret`, if not Airbyte.",
    )
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    connection_id: Property[Text]
    wait: Property[bool] = True
    poll_frequency: Property[timedelta] = timedelta(seconds=1)
    max_duration: Property[timedelta] = timedelta(minutes=60)
    options: Property[HttpOptions | None] = None

    async def run(self, context: RunContext) -> Job:
        token = await self._token(context)
        asked = {"connectionId": self.connection_id, "jobType": self.job_type}
        made = await self._call(context, token, "POST", "v1/jobs", json=asked)
        if not self.wait:
            return Job(job=made)
        number = rest_service.held(made, "Airbyte", "jobId")

        async def look() -> Any:
            found = await self._call(context, token, "GET", f"v1/jobs/{number}")
            return found if rest_service.held(found, "Airbyte", "status") in ENDED else None

        done = await rest_service.waited(
            context, look, every=self.poll_frequency, most=self.max_duration, what=f"The job {number}",
            stop=lambda: self._call(context, token, "DELETE", f"v1/jobs/{number}"), outlasts=True,
        )  # fmt: skip
        for metric, name in (("bytes_synced", "bytesSynced"), ("rows_synced", "rowsSynced")):
            if done.get(name) is not None:
                context.metric(metric, float(done[name]))
        if done.get("duration"):
            context.metric("duration", parse_duration(done["duration"]).total_seconds(), "timer")
        if done["status"] != "succeeded":
            raise TaskFailed(
                f"The job {number} ended as {done['status']}.",
                fix="Look at its log in Airbyte.",
                outputs={"job": done},
            )
        return Job(job=done)

    async def _token(self, context: RunContext) -> str:
        if self.token:
            context.mask(self.token)
            return self.token
        if not (self.client_id and self.client_secret):
            raise TaskFailed("Airbyte wants to know who asks.", fix="Give `token`, or `clientId` and `clientSecret`.")
        context.mask(self.client_secret)
        asked = {"client_id": self.client_id, "client_secret": self.client_secret}
        found = await self._call(context, None, "POST", self.token_url or "v1/applications/token", json=asked)
        token = str(rest_service.held(found, "Airbyte", "access_token"))
        context.mask(token)
        return token

    async def _call(self, context: RunContext, token: str | None, method: str, path: str, **given: Any) -> Any:
        base = context.settings.provider("airbyte").base_url or API
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = urljoin(f"{base.rstrip('/')}/", path)
        return await rest_service.mapping(
            context, "Airbyte", method, url, options=self.options, headers=headers, **given
        )


class Sync(JobTask):
    """Run a connection's sync."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.airbyte.cloud.jobs.Sync
token: "{{ secret('AIRBYTE_TOKEN') }}"
connectionId: e3b1ce92-547c-436f-b1e8-23b6936c12cd
""",
    )
    type: Literal["io.kestra.plugin.airbyte.cloud.jobs.Sync"]


class Reset(JobTask):
    """Delete what a connection has copied."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reset
type: io.kestra.plugin.airbyte.cloud.jobs.Reset
token: "{{ secret('AIRBYTE_TOKEN') }}"
connectionId: e3b1ce92-547c-436f-b1e8-23b6936c12cd
""",
    )
    job_type: ClassVar[str] = "reset"
    type: Literal["io.kestra.plugin.airbyte.cloud.jobs.Reset"]
