"""`io.kestra.plugin.databricks.job`: jobs of Databricks, and single runs."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.databricks_service import DatabricksConnected, Workspace, worded
from engine.tasks.property_types import JsonList, OptionalText

EVERY = timedelta(seconds=5)
ENDED = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})


class Submitted(Outputs):
    """The run."""

    runId: int  # noqa: N815 - appears as written
    runURI: str  # noqa: N815


class Created(Submitted):
    """The job, and its run."""

    jobId: int  # noqa: N815 - appears as written
    jobURI: str  # noqa: N815


class JobTask(DatabricksConnected, RunnableTask):
    """For how long to wait; a run that is waited for is cancelled with the task."""

    wait_for_completion: Property[timedelta | None] = Field(default=None, description="None: do not wait.")

    async def ended(self, workspace: Workspace, run: int) -> str:
        """The address of a run, once it has ended well if that is to be waited for; TaskFailed when it has not."""
        address = ""

        async def look() -> dict[str, Any] | None:
            nonlocal address
            found = await self._look(workspace, run)
            if not address:
                address = f"{workspace.host}/#job/{found.get('job_id')}/run/{run}"
                workspace.context.log(f"The run: {address}")
            state = rest_service.held(found, "Databricks", "state", "life_cycle_state")
            return found if state in ENDED else None

        if self.wait_for_completion is None:
            await look()
            return address
        done = await rest_service.waited(
            workspace.context, look, every=EVERY, most=self.wait_for_completion, what=f"The run {run}",
            fix="Raise `waitForCompletion`.", outlasts=True,
            stop=lambda: workspace.ask("POST", "api/2.1/jobs/runs/cancel", json={"run_id": run}),
        )  # fmt: skip
        state = done["state"]
        if state.get("result_state") != "SUCCESS":
            how = state.get("result_state") or state["life_cycle_state"]
            raise TaskFailed(f"The run {run} ended as {how}. {state.get('state_message') or ''}".strip(), fix=address)
        return address

    async def _look(self, workspace: Workspace, run: int) -> dict[str, Any]:
        return await workspace.ask("GET", "api/2.1/jobs/runs/get", params={"run_id": str(run)})


class SubmitRun(JobTask):
    """Run tasks once, without a job."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: run
type: io.kestra.plugin.databricks.job.SubmitRun
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
runTasks:
  - taskKey: hello
    existingClusterId: 0101-120000-abcd123
    sparkPythonTask:
      pythonFile: /Shared/hello.py
      sparkPythonTaskSource: WORKSPACE
waitForCompletion: PT5M
""",
    )
    type: Literal["io.kestra.plugin.databricks.job.SubmitRun"]
    run_name: Property[OptionalText] = None
    run_tasks: Property[JsonList]

    async def run(self, context: RunContext) -> Submitted:
        workspace = await self.workspace(context)
        body = {"tasks": tasks_of(self.run_tasks), **({"run_name": self.run_name} if self.run_name else {})}
        begun = await workspace.ask("POST", "api/2.1/jobs/runs/submit", json=body)
        run = rest_service.whole(begun, "Databricks", "run_id")
        return Submitted(runId=run, runURI=await self.ended(workspace, run))


class CreateJob(JobTask):
    """Create a job and run it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: job
type: io.kestra.plugin.databricks.job.CreateJob
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
jobName: nightly
jobTasks:
  - taskKey: hello
    existingClusterId: 0101-120000-abcd123
    notebookTask:
      notebookPath: /Shared/hello
waitForCompletion: PT1H
""",
    )
    type: Literal["io.kestra.plugin.databricks.job.CreateJob"]
    job_name: Property[OptionalText] = None
    job_tasks: Property[JsonList]

    async def run(self, context: RunContext) -> Created:
        workspace = await self.workspace(context)
        body = {"tasks": tasks_of(self.job_tasks), **({"name": self.job_name} if self.job_name else {})}
        made = await workspace.ask("POST", "api/2.1/jobs/create", json=body)
        job = rest_service.whole(made, "Databricks", "job_id")
        begun = await workspace.ask("POST", "api/2.1/jobs/run-now", json={"job_id": job})
        run = rest_service.whole(begun, "Databricks", "run_id")
        address = await self.ended(workspace, run)
        return Created(jobId=job, jobURI=f"{workspace.host}/#job/{job}", runId=run, runURI=address)


def tasks_of(given: list[Any]) -> list[dict[str, Any]]:
    """Tasks in the words of the API; TaskFailed when one is no map."""
    found = []
    for one in given:
        if not isinstance(one, dict):
            raise TaskFailed(f"A task is no map: {str(one)[:100]!r}.", fix="Give maps with `taskKey`.")
        task = worded(one)
        if "depends_on" in task:
            task["depends_on"] = [{"task_key": key} if isinstance(key, str) else key for key in task["depends_on"]]
        found.append(task)
    return found
