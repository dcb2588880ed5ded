"""`io.kestra.plugin.airbyte.connections`: syncs of one's own Airbyte server."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import Auth, HttpOptions
from engine.tasks.property_types import OptionalInteger, OptionalText, Text

ENDED = ("failed", "cancelled", "succeeded", "incomplete")


class AirbyteTask(RunnableTask):
    """Where Airbyte is, and who we are there."""

    url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    token: Property[OptionalText] = None
    application_credentials: Any = None
    http_timeout: Property[timedelta] = timedelta(seconds=10)
    options: Property[HttpOptions | None] = None

    async def airbyte(self, context: RunContext, path: str, body: dict[str, Any]) -> Any:
        """The JSON of one call; TaskFailed when Airbyte refuses."""
        headers = {}
        options = self.options or HttpOptions(read_timeout=max(self.http_timeout, timedelta(seconds=1)))
        for secret in (self.password, self.token):
            if secret:
                context.mask(secret)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        elif self.username:
            options = options.model_copy(
                update={"auth": Auth(type="BASIC", username=self.username, password=self.password)}
            )
        url = f"{self.url.rstrip('/')}/api/v1/{path}"
        return await rest_service.mapping(context, "Airbyte", "POST", url, options=options, headers=headers, json=body)

    async def finished(
        self, context: RunContext, job: int, every: timedelta, most: timedelta, *, stops: bool = False
    ) -> None:
        """Wait for a job, which is cancelled with the task if it `stops`; TaskFailed when it did not succeed."""

        async def look() -> str | None:
            found = await self.airbyte(context, "jobs/get", {"id": job})
            status = str(rest_service.held(found, "Airbyte", "job", "status"))
            return status if status in ENDED else None

        status = await rest_service.waited(
            context, look, every=every, most=most, what=f"The job {job}", outlasts=True,
            stop=(lambda: self.airbyte(context, "jobs/cancel", {"id": job})) if stops else None,
        )  # fmt: skip
        if status != "succeeded":
            raise TaskFailed(f"The job {job} ended as {status}.", fix="Look at its log in Airbyte.")


class Job(Outputs):
    """The job. `adopted` would say that the task waited for another's sync; it never does."""

    jobId: int | None  # noqa: N815 - appears as written
    alreadyRunning: bool = False  # noqa: N815
    adopted: bool = False


class Sync(AirbyteTask):
    """Run a connection's sync, and wait for its end; one that is waited for is cancelled with the task."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sync
type: io.kestra.plugin.airbyte.connections.Sync
url: http://airbyte.example.com:8000
connectionId: e3b1ce92-547c-436f-b1e8-23b6936c12cd
""",
    )
    type: Literal["io.kestra.plugin.airbyte.connections.Sync"]
    connection_id: Property[Text]
    wait: Property[bool] = True
    poll_frequency: Property[timedelta] = timedelta(seconds=1)
    max_duration: Property[timedelta] = timedelta(minutes=60)
    fail_on_active_sync: Property[bool] = True

    async def run(self, context: RunContext) -> Job:
        try:
            made = await self.airbyte(context, "connections/sync", {"connectionId": self.connection_id})
        except TaskFailed as error:
            if "answered 409" not in error.message or self.fail_on_active_sync:
                raise
            context.log("A sync of this connection is running already.", "WARN")
            return Job(jobId=None, alreadyRunning=True)
        job = rest_service.whole(made, "Airbyte", "job", "id")
        if self.wait:
            await self.finished(context, job, self.poll_frequency, self.max_duration, stops=True)
        return Job(jobId=job)


class Finished(Outputs):
    """How the job ended."""

    finalJobStatus: str  # noqa: N815 - appears as written


class CheckStatus(AirbyteTask):
    """Wait for the end of a job, which goes on when the task is killed: it is not the task's own."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: check
type: io.kestra.plugin.airbyte.connections.CheckStatus
url: http://airbyte.example.com:8000
jobId: "{{ outputs.sync.jobId }}"
""",
    )
    type: Literal["io.kestra.plugin.airbyte.connections.CheckStatus"]
    job_id: Property[OptionalInteger] = None
    poll_frequency: Property[timedelta] = timedelta(seconds=1)
    max_duration: Property[timedelta] = timedelta(minutes=60)

    async def run(self, context: RunContext) -> Finished:
        if self.job_id is None:
            raise TaskFailed("`jobId` is empty.", fix="Give the id of a job, such as a sync's `outputs.sync.jobId`.")
        await self.finished(context, self.job_id, self.poll_frequency, self.max_duration)
        return Finished(finalJobStatus="succeeded")
