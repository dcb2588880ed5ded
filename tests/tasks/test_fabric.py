"""Microsoft Fabric and Azure Data Factory, as their REST APIs answer."""

import asyncio
import json

import pytest

from engine.errors import TaskFailed
from tests.tasks.test_services import routes
from tests.wire.loopback import Answered, serving

FABRIC, ONELAKE = (f"io.kestra.plugin.microsoft.fabric.{name}" for name in ("data.engineering", "onelake"))
JOBS = "/v1/workspaces/w/items/i/jobs/instances"


@pytest.fixture
def fabric(make_context):
    """A service that begins the job `j-1`, and a context that reaches it; `said` is told of the job, look by look."""
    said = []

    def begin(request):
        assert request.headers["authorization"] == "Bearer of-entra"
        where = f"https://api.fabric.microsoft.com{JOBS}/j-1"
        return Answered(None, 202, headers={"Location": where, "Retry-After": "60"})

    table = {
        ("POST", "/t/oauth2/v2.0/token"): {"access_token": "of-entra"},
        ("POST", JOBS): begin,
        ("GET", f"{JOBS}/j-1"): lambda request: Answered(said.pop(0) if len(said) > 1 else said[0]),
        ("POST", f"{JOBS}/j-1/cancel"): lambda request: Answered(None, 202),
    }
    with serving(routes(table)) as wire:
        at = {"fabric": {"base_url": f"{wire.url}/v1"}, "entra": {"base_url": wire.url}}
        context = make_context({"providers": at})
        context.who = {"tenantId": "t", "clientId": "c", "clientSecret": "s3cret", "workspaceId": "w"}
        context.who |= {"pollFrequency": "PT0.01S"}
        yield wire, said, context


@pytest.mark.parametrize(
    ("name", "item", "kind", "told", "output"),
    [
        ("RunPipeline", "pipelineId", "Pipeline", {"day": "2026-01-02", "n": 3}, "runId"),
        (
            "RunNotebook",
            "notebookId",
            "RunNotebook",
            {"day": {"value": "2026-01-02", "type": "string"}, "n": {"value": 3, "type": "int"}},
            "jobInstanceId",
        ),
        ("RunSparkJob", "sparkJobDefinitionId", "sparkjob", {"day": "2026-01-02", "n": 3}, "jobInstanceId"),
    ],
)
async def test_jobs(fabric, name, item, kind, told, output):
    wire, said, context = fabric
    said[:] = [{"status": "NotStarted"}, {"status": "InProgress"}, {"status": "Completed"}]
    job = {"type": f"{FABRIC}.{name}", **context.who, item: "i", "parameters": {"day": "2026-01-{{ '02' }}", "n": 3}}
    done = await context.run(**job)
    assert (getattr(done, output), done.status, len(said)) == ("j-1", "Completed", 1)
    begun = next(one for one in wire.requests if one.path == JOBS)
    assert (begun.query, begun.json) == ({"jobType": kind}, {"executionData": {"parameters": told}})
    assert {"s3cret", "of-entra"} <= context.masked
    said[:] = [{"status": "Failed", "failureReason": {"message": "The table is locked."}}]
    assert (await context.run(**job, wait=False)).status == "Running"
    with pytest.raises(TaskFailed, match=r"j-1 ended as Failed: The table is locked\."):
        await context.run(**job)
    with pytest.raises(TaskFailed, match=r"who asks Azure\. Give `tenantId`"):
        await context.run(**{**job, "clientSecret": ""})


async def test_a_job_that_is_waited_for_ends_with_the_task(fabric):
    wire, said, context = fabric
    said[:] = [{"status": "InProgress"}]
    job = {"type": f"{FABRIC}.RunNotebook", **context.who, "notebookId": "i"}
    running = asyncio.create_task(context.run(**job))
    while not wire.requests or wire.last.method != "GET":
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert wire.last.path == f"{JOBS}/j-1/cancel"
    context.time_limit = 0.02
    wire.requests.clear()
    with pytest.raises(TaskFailed, match=r"did not end within .*Give a longer `timeout`"):
        await context.run(**job)
    assert wire.last.path == f"{JOBS}/j-1/cancel"


async def test_parameters_that_say_their_type_stay_as_they_are(fabric):
    wire, said, context = fabric
    said[:] = [{"status": "Completed"}]
    given = {"a": {"value": "x", "type": "string"}, "b": True, "c": 1.5, "d": {"k": 1}}
    await context.run(type=f"{FABRIC}.RunNotebook", **context.who, notebookId="i", parameters=given)
    told = next(one for one in wire.requests if one.path == JOBS).json["executionData"]["parameters"]
    kinds = [(one["value"], one["type"]) for one in told.values()]
    assert kinds == [("x", "string"), (True, "bool"), (1.5, "float"), ({"k": 1}, "string")]


@pytest.mark.parametrize(
    ("path", "lies"),
    [("raw/a b.csv", "Files/raw/a b.csv"), ("/Files/x.csv", "Files/x.csv"), ("Tables/t/y.csv", "Tables/t/y.csv")],
)
async def test_files_of_the_lake(make_context, monkeypatch, path, lies):
    monkeypatch.setattr("engine.tasks.microsoft.fabric.onelake.BLOCK", 4)
    whole, begun, gone = {}, {}, []

    def lake(request):
        if request.path == "/t/oauth2/v2.0/token":
            return Answered({"access_token": "of-entra"})
        assert request.headers["authorization"] == "Bearer of-entra"
        if request.method == "GET":
            said = Answered({"error": {"code": "PathNotFound", "message": "The path does not exist."}}, 404)
            return Answered(whole[request.path]) if request.path in whole else said
        if request.method == "DELETE":
            gone.append((request.path, request.query["recursive"]))
            return Answered(None)
        if request.query.get("resource") == "file":
            begun[request.path] = b""
            return Answered(None, 201)
        there = begun[request.path]
        assert int(request.query["position"]) == len(there)
        if request.query["action"] == "flush":
            whole[request.path] = begun.pop(request.path)
            return Answered(None)
        begun[request.path] = there + request.body
        return Answered(None, 202)

    with serving(lake) as wire:
        context = make_context({"providers": {name: {"base_url": wire.url} for name in ("onelake", "entra")}})
        who = {"tenantId": "t", "clientId": "c", "clientSecret": "s3cret", "workspaceId": "w", "itemId": "i"}
        for content in (b"", b"0123", b"0123456789"):
            uri = await context.files.put(content, "x.csv")
            done = await context.run(type=f"{ONELAKE}.Upload", **who, from_=uri, filePath=path)
            assert done.uri == f"abfss://w@onelake.dfs.fabric.microsoft.com/i/{lies}"
            assert (whole, begun) == ({f"/w/i/{lies}": content}, {})
            found = await context.run(type=f"{ONELAKE}.Download", **who, filePath=path)
            assert (await context.files.read(found.uri), found.size) == (content, len(content))
        await context.run(type=f"{ONELAKE}.Delete", **who, filePath=path)
        await context.run(type=f"{ONELAKE}.Delete", **who, filePath="/old", recursive=True)
        assert gone == [(f"/w/i/{lies}", "false"), ("/w/i/Files/old", "true")]
        for nothing in ("", "/", "Files/", "old/"):
            with pytest.raises(TaskFailed, match="names no file"):
                await context.run(type=f"{ONELAKE}.Delete", **who, filePath=nothing, recursive=True)
        assert context.metrics["file.size"] == 2 * (0 + 4 + 10)
        with pytest.raises(TaskFailed, match=r"404 for w/i/Files/none: .*does not exist"):
            await context.run(type=f"{ONELAKE}.Download", **who, filePath="none")
        with pytest.raises(TaskFailed, match=r"has `\.` or `\.\.` for a step"):
            await context.run(type=f"{ONELAKE}.Download", **who, filePath="../../other/x.csv")


async def test_pipelines_of_data_factory(make_context):
    at = "/subscriptions/s/resourceGroups/my group/providers/Microsoft.DataFactory/factories/f"
    said, activities = [], [{"activityName": name, "status": "Succeeded"} for name in ("Copy", "Tell")]
    table = {
        ("POST", "/t/oauth2/v2.0/token"): {"access_token": "of-entra"},
        ("POST", f"{at}/pipelines/nightly/createRun"): {"runId": "r-1"},
        ("GET", f"{at}/pipelineruns/r-1"): lambda request: Answered(said.pop(0) if len(said) > 1 else said[0]),
        ("POST", f"{at}/pipelineruns/r-1/queryActivityruns"): lambda request: Answered(
            {"value": activities[1:]}
            if request.json.get("continuationToken") == "more"
            else {"value": activities[:1], "continuationToken": "more"}
        ),
        ("POST", f"{at}/pipelineruns/r-1/cancel"): {},
    }
    with serving(routes(table)) as wire:
        providers = {name: {"base_url": wire.url} for name in ("azure_management", "entra")}
        context = make_context({"providers": providers})
        who = {"tenantId": "t", "clientId": "c", "clientSecret": "s3cret", "subscriptionId": "s"}
        run = {"type": "io.kestra.plugin.azure.datafactory.CreateRun", **who, "resourceGroupName": "my group"}
        run |= {"factoryName": "f", "pipelineName": "nightly", "parameters": {"day": "{{ 1 + 1 }}"}}
        run["checkFrequency"] = {"interval": "PT0.01S"}
        said[:] = [{"status": "Queued"}, {"status": "InProgress"}, {"status": "Succeeded", "durationInMs": 1500}]
        done = await context.run(**run)
        rows = [json.loads(line) for line in context.files.text(done.uri).splitlines()]
        assert (done.runId, rows) == ("r-1", activities)
        assert (context.metrics["activities.count"], context.metrics["pipeline.duration.ms"]) == (2, 1.5)
        begun = next(one for one in wire.requests if one.path.endswith("createRun"))
        assert (begun.json, begun.query) == ({"day": "2"}, {"api-version": "2018-06-01"})
        assert begun.headers["authorization"] == "Bearer of-entra"
        said[:] = [{"status": "Failed", "message": "Source is empty."}]
        assert (await context.run(**run, wait=False)).uri is None
        with pytest.raises(TaskFailed, match=r"r-1 ended as Failed: Source is empty\."):
            await context.run(**run)
        said[:] = [{"status": "InProgress"}]
        wire.requests.clear()
        running = asyncio.create_task(context.run(**run))
        while not wire.requests or wire.last.method != "GET":
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert wire.last.path.endswith("/r-1/cancel")
        with pytest.raises(TaskFailed, match=r"r-1 did not end within 0:00:00\.020000.*checkFrequency"):
            await context.run(**{**run, "checkFrequency": {"interval": "PT0.01S", "maxDuration": "PT0.02S"}})
        assert wire.last.path.endswith("/r-1/cancel")
