"""Jobs that run at a service and are waited for: they end there with the task, and only then."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from engine.errors import TaskFailed
from tests.tasks.test_services import routes
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"
BASIC = "Basic " + base64.b64encode(b"ann:s3cret").decode()
DAG, RUN = "/api/v1/dags/nightly/dagRuns", "/v1/workflows/executions/e-1"
DATABRICKS = {"authentication": {"token": "t0ken"}, "waitForCompletion": "PT1H"}

# name, properties (`{url}` is the service), how it begins, where it is looked at, what is said while it runs and when
# it has ended well, the call that cancels it, the body of that, and the credentials
FAMILIES = [
    (
        "databricks.job.SubmitRun",
        {"host": "{url}", **DATABRICKS, "runTasks": [{"taskKey": "a"}]},
        ("POST", "/api/2.1/jobs/runs/submit", {"run_id": 42}),
        ("GET", "/api/2.1/jobs/runs/get"),
        (
            {"state": {"life_cycle_state": "RUNNING"}},
            {"state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}},
        ),
        ("POST", "/api/2.1/jobs/runs/cancel", {"run_id": 42}),
        "Bearer t0ken",
    ),
    (
        "databricks.sql.Query",
        {"host": "{url}", "accessToken": "t0ken", "httpPath": "/sql/1.0/warehouses/w", "sql": "SELECT 1"},
        ("POST", "/api/2.0/sql/statements", {"statement_id": "s1", "status": {"state": "PENDING"}}),
        ("GET", "/api/2.0/sql/statements/s1"),
        ({"statement_id": "s1", "status": {"state": "RUNNING"}}, {"status": {"state": "SUCCEEDED"}}),
        ("POST", "/api/2.0/sql/statements/s1/cancel", None),
        "Bearer t0ken",
    ),
    (
        "dbt.cloud.TriggerRun",
        {"accountId": "1", "token": "t0ken", "baseUrl": "{url}", "jobId": "7", "parseRunResults": False},
        ("POST", "/api/v2/accounts/1/jobs/7/run/", {"data": {"id": 99}}),
        ("GET", "/api/v2/accounts/1/runs/99/"),
        ({"data": {"status": 3}}, {"data": {"status": 10}}),
        ("POST", "/api/v2/accounts/1/runs/99/cancel/", None),
        "Token t0ken",
    ),
    (
        "airbyte.connections.Sync",
        {"url": "{url}", "username": "ann", "password": "s3cret", "connectionId": "c"},
        ("POST", "/api/v1/connections/sync", {"job": {"id": 5}}),
        ("POST", "/api/v1/jobs/get"),
        ({"job": {"status": "running"}}, {"job": {"status": "succeeded"}}),
        ("POST", "/api/v1/jobs/cancel", {"id": 5}),
        BASIC,
    ),
    (
        "airbyte.cloud.jobs.Sync",
        {"token": "t0ken", "connectionId": "c"},
        ("POST", "/v1/jobs", {"jobId": 5, "status": "pending"}),
        ("GET", "/v1/jobs/5"),
        ({"status": "running"}, {"status": "succeeded"}),
        ("DELETE", "/v1/jobs/5", None),
        "Bearer t0ken",
    ),
    (
        "airflow.dags.TriggerDagRun",
        {"baseUrl": "{url}", "dagId": "nightly", "wait": True, "headers": {"authorization": "Bearer t0ken"}},
        ("POST", DAG, {"dag_run_id": "manual__1"}),
        ("GET", f"{DAG}/manual__1"),
        ({"state": "running"}, {"state": "success"}),
        ("PATCH", f"{DAG}/manual__1", {"state": "failed"}),
        "Bearer t0ken",
    ),
    (
        "mistral.RunWorkflow",
        {"apiKey": "t0ken", "baseUrl": "{url}/v1", "workflowIdentifier": "w", "pollInterval": "PT0.01S"},
        ("POST", "/v1/workflows/w/execute", {"execution_id": "e-1"}),
        ("GET", RUN),
        ({"status": "RUNNING"}, {"status": "COMPLETED"}),
        ("POST", f"{RUN}/cancel", None),
        "Bearer t0ken",
    ),
]


class Service:
    """One job of a service. It ends with its second look if it `ends`; `begun` is set with the first."""

    def __init__(self, family, *, ends=False, refuses=False):
        _, _, (method, path, answer), look, (runs, ended), (verb, where, _), _ = family
        self.cancel, self.looks, self.begun = (verb, where), 0, asyncio.Event()
        self._loop = asyncio.get_running_loop()

        def looked(request):
            self.looks += 1
            self._loop.call_soon_threadsafe(self.begun.set)
            return Answered(ended if ends and self.looks > 1 else runs)

        refusal = Answered({"message": "It is over already."}, 409)
        table = {(method, path): answer, look: looked, self.cancel: lambda _: refusal if refuses else Answered({})}
        self.handle = routes(table)

    def cancels(self, wire):
        return [one for one in wire.requests if (one.method, one.path) == self.cancel]


def task_of(family, wire, make_context):
    context = make_context({"providers": {"airbyte": {"base_url": wire.url}}})
    given = json.loads(json.dumps(family[1]).replace("{url}", wire.url))
    if family[0].startswith(("dbt", "airbyte", "airflow")):
        given["pollFrequency"] = "PT0.01S"
    return context, {"type": f"{PLUGIN}.{family[0]}", **given}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("job", "sql"):
        monkeypatch.setattr(f"engine.tasks.databricks.{name}.EVERY", timedelta(seconds=0.01))


FAMILY = pytest.mark.parametrize("family", FAMILIES, ids=[one[0] for one in FAMILIES])


@FAMILY
@pytest.mark.parametrize("refuses", [False, True])
async def test_a_killed_task_cancels_its_job_once(make_context, family, refuses):
    service = Service(family, refuses=refuses)
    with serving(service.handle) as wire:
        context, task = task_of(family, wire, make_context)
        running = asyncio.ensure_future(context.run(**task))
        await service.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (sent,) = service.cancels(wire)
        assert wire.last is sent
        assert sent.headers["authorization"] == family[6]
        assert (sent.json if sent.body else None) == family[5][2]
        if refuses:
            assert context.said(r"may still run: it could not be stopped\. .*It is over already", "WARN")
        else:
            assert context.said("is stopped, for nobody waits for it any more", "INFO")


@FAMILY
async def test_a_job_that_ended_is_not_cancelled(make_context, family):
    service = Service(family, ends=True)
    with serving(service.handle) as wire:
        context, task = task_of(family, wire, make_context)
        await context.run(**task)
        assert service.looks > 1
        assert service.cancels(wire) == []


async def test_a_job_that_takes_longer_than_the_wait_goes_on(make_context):
    family = next(one for one in FAMILIES if one[0] == "dbt.cloud.TriggerRun")
    service = Service(family)
    with serving(service.handle) as wire:
        context, task = task_of(family, wire, make_context)
        with pytest.raises(TaskFailed, match="did not end within"):
            await context.run(**task, maxDuration="PT0.02S")
        assert service.cancels(wire) == []


@pytest.mark.parametrize(
    ("name", "given"), [("dbt.cloud.CheckStatus", "runId"), ("airbyte.connections.CheckStatus", "jobId")]
)
async def test_a_job_of_another_goes_on(make_context, name, given):
    family = next(one for one in FAMILIES if one[0].startswith(name.rpartition(".")[0]))
    service = Service(family)
    with serving(service.handle) as wire:
        context, task = task_of(family, wire, make_context)
        who = {key: value for key, value in task.items() if key not in ("jobId", "connectionId")}
        about = {**who, "type": f"{PLUGIN}.{name}", given: "99"}
        running = asyncio.ensure_future(context.run(**about))
        await service.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert service.cancels(wire) == []


async def test_a_service_that_does_not_answer_does_not_hold_the_kill(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.rest_service.PATIENCE", 0.05)
    family = next(one for one in FAMILIES if one[0] == "airbyte.cloud.jobs.Sync")
    service, over = Service(family), asyncio.Event()
    held = service.handle

    def handle(request):
        if request.method == "DELETE":
            asyncio.run_coroutine_threadsafe(over.wait(), service._loop).result(30)
        return held(request)

    with serving(handle) as wire:
        context, task = task_of(family, wire, make_context)
        running = asyncio.ensure_future(context.run(**task))
        await service.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert context.said("may still run: its service did not answer", "WARN")
        over.set()
        await asyncio.sleep(0)


async def test_a_job_is_not_asked_about_without_a_pause(make_context):
    family = next(one for one in FAMILIES if one[0] == "airbyte.connections.Sync")
    with serving(Service(family).handle) as wire:
        context, task = task_of(family, wire, make_context)
        with pytest.raises(TaskFailed, match="did not end within"):
            await context.run(**task | {"pollFrequency": "PT0S", "maxDuration": "PT0.3S"})
        assert len(wire.requests) < 8
