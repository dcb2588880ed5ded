"""`io.kestra.plugin.dbt.cloud`: jobs of dbt Cloud."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList

API = "https://cloud.getdbt.com"
SUCCESS, ERROR, CANCELLED = 10, 20, 30  # how dbt numbers the ways a run ends
ARTIFACTS = ("run_results.json", "manifest.json")


class CloudRun(Outputs):
    """The run, and what dbt wrote about it."""

    runId: str  # noqa: N815 - appears as written
    runResults: str | None = None  # noqa: N815
    manifest: str | None = None


class CloudTask(RunnableTask):
    """Which account, and who we are there."""

    account_id: Property[Text]
    token: Property[Text]
    base_url: Property[Text] = API
    options: Property[HttpOptions | None] = None
    initial_delay_ms: Any = None
    max_retries: Any = None
    poll_frequency: Property[timedelta] = timedelta(seconds=5)
    max_duration: Property[timedelta] = timedelta(minutes=60)
    parse_run_results: Property[bool] = True

    async def dbt(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The `data` of one call; TaskFailed when dbt refuses."""
        answer = await self._answer(context, method, path, **given)
        return rest_service.mapped(rest_service.parsed(answer, "dbt Cloud"), "dbt Cloud").get("data")

    async def ended(self, context: RunContext, run: str, *, stops: bool = False) -> CloudRun:
        """Wait for a run, which is cancelled with the task if it `stops`, and fetch what it wrote; TaskFailed when it
        did not succeed."""
        related = '["trigger","job","run_steps"]'
        told: dict[Any, str] = {}

        async def look() -> Mapping[str, Any] | None:
            found = await self.dbt(context, "GET", f"runs/{run}/", params={"include_related": related})
            status = rest_service.held(found, "dbt Cloud", "status")
            self._tell(context, found, told)
            return found if status in (SUCCESS, ERROR, CANCELLED) else None

        done = await rest_service.waited(
            context, look, every=self.poll_frequency, most=self.max_duration, what=f"The run {run}", outlasts=True,
            stop=(lambda: self.dbt(context, "POST", f"runs/{run}/cancel/")) if stops else None,
        )  # fmt: skip
        artifacts = await self._artifacts(context, run) if self.parse_run_results else {}
        result = CloudRun(
            runId=run, runResults=artifacts.get("run_results.json"), manifest=artifacts.get("manifest.json")
        )
        if done["status"] != SUCCESS:
            how = done.get("status_humanized") or done["status"]
            said = done.get("status_message") or ""
            raise TaskFailed(
                f"The run {run} ended as {how}. {said}".strip(),
                fix="Look at its log in dbt Cloud.",
                outputs=result.model_dump(),
            )
        return result

    def _tell(self, context: RunContext, found: Mapping[str, Any], told: dict[Any, str]) -> None:
        for step in found.get("run_steps") or []:
            how = str(step.get("status_humanized") or step.get("status"))
            if told.get(step.get("id")) != how:
                told[step.get("id")] = how
                context.log(f"{step.get('name')}: {how}")

    async def _artifacts(self, context: RunContext, run: str) -> dict[str, str]:
        found = {}
        for name in ARTIFACTS:
            try:
                answer = await self._answer(context, "GET", f"runs/{run}/artifacts/{name}")
            except TaskFailed as error:
                context.log(f"There is no {name}: {error.message}", "DEBUG")
                continue
            found[name] = await context.files.put(answer.content, name)
        return found

    async def _answer(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        context.mask(self.token)
        url = f"{self.base_url.rstrip('/')}/api/v2/accounts/{self.account_id}/{path}"
        headers = {"Authorization": f"Token {self.token}"}
        return await rest_service.call(
            context, "dbt Cloud", method, url, options=self.options, headers=headers, **given
        )


class TriggerRun(CloudTask):
    """Start a job, and wait for its end; a run that is waited for is cancelled with the task. A crash of the bot leaves
    it: with `reattach` it is found again, without a second one is begun."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: transform
type: io.kestra.plugin.dbt.cloud.TriggerRun
accountId: "{{ secret('DBT_ACCOUNT') }}"
token: "{{ secret('DBT_TOKEN') }}"
jobId: "396284"
""",
    )
    type: Literal["io.kestra.plugin.dbt.cloud.TriggerRun"]
    job_id: Property[Text]
    cause: Property[Text] = "Triggered by a flow."
    git_sha: Property[OptionalText] = None
    git_branch: Property[OptionalText] = None
    schema_override: Property[OptionalText] = None
    dbt_version_override: Property[OptionalText] = None
    threads_override: Property[OptionalText] = None
    target_name_override: Property[OptionalText] = None
    generate_docs_override: Property[bool | None] = None
    timeout_seconds_override: Property[OptionalInteger] = None
    steps_override: Property[TextList | None] = None
    wait: Property[bool] = True
    reattach: Property[bool] = False

    async def run(self, context: RunContext) -> CloudRun:
        given = {
            "cause": f"{self.cause} [{context.task_run_id}]" if self.reattach else self.cause,
            "git_sha": self.git_sha,
            "git_branch": self.git_branch,
            "schema_override": self.schema_override,
            "dbt_version_override": self.dbt_version_override,
            "threads_override": self.threads_override,
            "target_name_override": self.target_name_override,
            "generate_docs_override": self.generate_docs_override,
            "timeout_seconds_override": self.timeout_seconds_override,
            "steps_override": self.steps_override,
        }
        run = await self._begun(context) if self.reattach else None
        if run is None:
            body = {name: value for name, value in given.items() if value is not None}
            begun = await self.dbt(context, "POST", f"jobs/{self.job_id}/run/", json=body)
            run = str(rest_service.held(begun, "dbt Cloud", "id"))
        return await self.ended(context, run, stops=True) if self.wait else CloudRun(runId=run)

    async def _begun(self, context: RunContext) -> str | None:
        """The run an earlier attempt of this task run started, unless it went wrong."""
        params = {"job_definition_id": self.job_id, "order_by": "-id", "limit": "100", "include_related": '["trigger"]'}
        for one in await self.dbt(context, "GET", "runs/", params=params) or []:
            found = rest_service.mapped(one, "dbt Cloud")
            cause = str((found.get("trigger") or {}).get("cause") or "")
            if f"[{context.task_run_id}]" in cause and found.get("status") not in (ERROR, CANCELLED):
                return str(rest_service.held(found, "dbt Cloud", "id"))
        return None


class CheckStatus(CloudTask):
    """Wait for the end of a run, which goes on when the task is killed: it is not the task's own."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: check
type: io.kestra.plugin.dbt.cloud.CheckStatus
accountId: "{{ secret('DBT_ACCOUNT') }}"
token: "{{ secret('DBT_TOKEN') }}"
runId: "{{ outputs.transform.runId }}"
""",
    )
    type: Literal["io.kestra.plugin.dbt.cloud.CheckStatus"]
    run_id: Property[Text]

    async def run(self, context: RunContext) -> CloudRun:
        return await self.ended(context, self.run_id)
