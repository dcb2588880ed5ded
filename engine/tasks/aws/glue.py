"""`io.kestra.plugin.aws.glue`: jobs that move and change data."""

import math
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected, asked
from engine.tasks.property_types import JsonMap, Text, scalar_to_text

SERVICE = "AWS glue"
TIMES = ("startedOn", "completedOn", "lastModifiedOn")
UNDER_WAY = frozenset({"STARTING", "RUNNING", "WAITING", "STOPPING"})


class JobRun(Outputs):
    """The run of the job: its state, its times, and Glue's message when it went wrong."""

    jobName: str  # noqa: N815 - appears as written
    jobRunId: str  # noqa: N815
    state: str
    startedOn: str | None = None  # noqa: N815
    completedOn: str | None = None  # noqa: N815
    lastModifiedOn: str | None = None  # noqa: N815
    executionTime: int | None = None  # noqa: N815
    timeout: int | None = None
    attempt: int | None = None
    errorMessage: str | None = None  # noqa: N815


class GlueTask(AwsConnected, RunnableTask):
    """Which job."""

    job_name: Property[Text]

    async def state(self, client: Any, number: str) -> JobRun:
        """The run as it is now."""
        found = await asked("glue", lambda: client.get_job_run(JobName=self.job_name, RunId=number))
        about = rest_service.held(found, SERVICE, "JobRun")
        times = {name: about.get(name[0].upper() + name[1:]) for name in TIMES}
        return JobRun(
            jobName=self.job_name,
            jobRunId=number,
            state=rest_service.held(about, SERVICE, "JobRunState"),
            executionTime=about.get("ExecutionTime"),
            timeout=about.get("Timeout"),
            attempt=about.get("Attempt"),
            errorMessage=about.get("ErrorMessage"),
            **{name: moment.isoformat() if moment else None for name, moment in times.items()},
        )

    async def ended(
        self, context: RunContext, client: Any, number: str, interval: timedelta, *, stops: bool = False
    ) -> JobRun:
        """The run once it has ended; one that is waited for no more is stopped if it should be."""

        async def look() -> JobRun | None:
            found = await self.state(client, number)
            return None if found.state in UNDER_WAY else found

        stop = partial(self.stopped, client, number) if stops else None
        return await rest_service.waited(context, look, every=interval, what=f"The run {number}", stop=stop)

    async def stopped(self, client: Any, number: str) -> None:
        """Ask for the end of the run."""
        done = await asked("glue", lambda: client.batch_stop_job_run(JobName=self.job_name, JobRunIds=[number]))
        for refused in done.get("Errors") or []:
            said = refused.get("ErrorDetail", {}).get("ErrorMessage", "")
            raise TaskFailed(f"AWS glue does not stop the run {number}: {said}")


class StartJobRun(GlueTask):
    """Start a job and wait for its end; a run that is waited for no more is stopped."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: nightly
type: io.kestra.plugin.aws.glue.StartJobRun
region: eu-central-1
jobName: nightly
arguments:
  --day: "{{ now() | date('yyyy-MM-dd') }}"
maxDuration: PT1H
""",
    )
    type: Literal["io.kestra.plugin.aws.glue.StartJobRun"]
    arguments: Property[JsonMap | None] = None
    wait: Property[bool] = True
    max_duration: Property[timedelta | None] = Field(default=None, description="Glue ends the job then, in minutes.")
    interval: Property[timedelta] = timedelta(seconds=1)

    async def run(self, context: RunContext) -> JobRun:
        given: dict[str, Any] = {"JobName": self.job_name}
        if self.arguments:
            given["Arguments"] = {name: str(scalar_to_text(value)) for name, value in self.arguments.items()}
        if self.max_duration:
            given["Timeout"] = math.ceil(self.max_duration.total_seconds() / 60)
        client = await self.client(context, "glue")
        try:
            made = await asked("glue", lambda: client.start_job_run(**given))
            number = str(rest_service.held(made, SERVICE, "JobRunId"))
            context.log(f"The run {number} of {self.job_name} was started.")
            if self.wait:
                found = await self.ended(context, client, number, self.interval, stops=True)
            else:
                found = await self.state(client, number)
        finally:
            client.close()
        if found.state != "SUCCEEDED" and found.state not in UNDER_WAY:
            said = f"The run {number} of {self.job_name} ended as {found.state}. {found.errorMessage or ''}"
            raise TaskFailed(said.strip(), outputs=found.model_dump())
        return found


class GetJobRun(GlueTask):
    """How the run of a job is doing."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.aws.glue.GetJobRun
region: eu-central-1
jobName: nightly
jobRunId: "{{ outputs.nightly.jobRunId }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.glue.GetJobRun"]
    job_run_id: Property[Text]

    async def run(self, context: RunContext) -> JobRun:
        client = await self.client(context, "glue")
        try:
            return await self.state(client, self.job_run_id)
        finally:
            client.close()


class StopJobRun(GlueTask):
    """Stop the run of a job."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stop
type: io.kestra.plugin.aws.glue.StopJobRun
region: eu-central-1
jobName: nightly
jobRunId: "{{ outputs.nightly.jobRunId }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.glue.StopJobRun"]
    job_run_id: Property[Text]
    wait: Property[bool] = True
    interval: Property[timedelta] = timedelta(seconds=1)

    async def run(self, context: RunContext) -> JobRun:
        client = await self.client(context, "glue")
        try:
            await self.stopped(client, self.job_run_id)
            if not self.wait:
                return await self.state(client, self.job_run_id)
            return await self.ended(context, client, self.job_run_id, self.interval)
        finally:
            client.close()
