"""`io.kestra.plugin.airflow.dags`: DAGs of Apache Airflow."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import JsonMap, Text


class DagRun(Outputs):
    """The run, and how it ended if the task waited."""

    dagId: str  # noqa: N815 - appears as written
    dagRunId: str  # noqa: N815
    state: str | None = None
    started: str | None = None
    ended: str | None = None


class TriggerDagRun(RunnableTask):
    """Start a run of a DAG, and wait for its end if asked to; one that is waited for is set to failed when the task is
    killed."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: nightly
type: io.kestra.plugin.airflow.dags.TriggerDagRun
baseUrl: https://airflow.example.com
dagId: nightly
wait: true
options:
  basicAuthUser: "{{ secret('AIRFLOW_USER') }}"
  basicAuthPassword: "{{ secret('AIRFLOW_PASSWORD') }}"
body:
  conf:
    day: "{{ now() | date('yyyy-MM-dd') }}"
""",
    )
    type: Literal["io.kestra.plugin.airflow.dags.TriggerDagRun"]
    base_url: Property[Text]
    dag_id: Property[Text]
    headers: Property[JsonMap | None] = None
    options: Property[HttpOptions | None] = None
    body: Property[JsonMap | None] = None
    wait: Property[bool] = False
    poll_frequency: Property[timedelta] = timedelta(seconds=1)
    max_duration: Property[timedelta] = timedelta(minutes=60)

    async def run(self, context: RunContext) -> DagRun:
        headers = {str(name): str(value) for name, value in (self.headers or {}).items()}
        for name, value in headers.items():
            if name.lower() == "authorization":
                context.mask(value)
        given: dict[str, Any] = {"headers": headers, "options": self.options}
        url = f"{self.base_url.rstrip('/')}/api/v1/dags/{quote(self.dag_id, safe='')}/dagRuns"
        body = self.body or {"conf": self._conf(context)}
        begun = await rest_service.mapping(context, "Airflow", "POST", url, **given, json=body)
        run = str(begun.get("dag_run_id") or "")
        if not run:
            raise TaskFailed("Airflow does not say which run it began.", fix="Check `baseUrl`.")
        if not self.wait:
            return DagRun(dagId=self.dag_id, dagRunId=run, state=begun.get("state"))

        async def look() -> dict[str, Any] | None:
            told = await rest_service.mapping(context, "Airflow", "GET", f"{url}/{quote(run, safe='')}", **given)
            return told if str(told.get("state")).lower() in ("success", "failed") else None

        what = f"The run {run}"
        failed = {"state": "failed"}  # Airflow's way to end a run: its tasks are stopped
        done = await rest_service.waited(
            context, look, every=self.poll_frequency, most=self.max_duration, what=what, outlasts=True,
            stop=lambda: rest_service.call(
                context, "Airflow", "PATCH", f"{url}/{quote(run, safe='')}", **given, json=failed
            ),
        )  # fmt: skip
        found = DagRun(
            dagId=self.dag_id,
            dagRunId=run,
            state=done.get("state"),
            started=done.get("start_date"),
            ended=done.get("end_date"),
        )
        if str(found.state).lower() == "failed":
            context.log(f"{what} of {self.dag_id} failed; the task did not: look at `state`.", "WARN")
        return found

    def _conf(self, context: RunContext) -> dict[str, str]:
        return {
            "source": "kestra",
            "namespace": context.namespace,
            "flow": context.flow_id,
            "task": context.task_id,
            "execution": context.execution_id,
        }
