"""Azure Batch, as its REST API answers."""

import asyncio
import base64
import hashlib
import hmac
from datetime import timedelta
from urllib.parse import quote

import pytest

from engine.errors import TaskFailed
from engine.tasks.azure.batch import pool
from engine.tasks.azure.batch.job import command_line
from tests.tasks.context import task
from tests.wire.loopback import Answered, serving

BATCH = "io.kestra.plugin.azure.batch"
SECRET = b"a key of Azure"
KEY = base64.b64encode(SECRET).decode()
VERSION = {"api-version": "2023-05-01.17.0"}


class Service:
    """Pools, and jobs whose tasks end at the second look."""

    def __init__(self):
        self.url, self.asked, self.jobs, self.files, self.failed = "", [], {}, {}, set()
        self.looks, self.is_slow, self.terminated = 0, False, []
        self.pool = {"id": "p", "state": "active", "allocationState": "resizing"}

    def __call__(self, request):
        if request.headers["authorization"] != f"SharedKey acc:{self.mark(request)}":
            return self.refused(403, "Not signed by the key.")
        self.asked.append((request.method, request.path, request.json if request.body else None))
        kind, *steps = request.path.strip("/").split("/")
        return self.of_pools(request, steps) if kind == "pools" else self.of_jobs(request, steps)

    def mark(self, request):
        """The signature of what came over the wire."""
        about = [request.headers.get(name, "") if request.body else "" for name in ("content-length", "content-type")]
        lines = [request.method, "", "", about[0], "", about[1], *[""] * 6]
        lines += [f"ocp-date:{request.headers['ocp-date']}", f"/acc{quote(request.path)}"]
        lines += [f"{name.lower()}:{value}" for name, value in sorted(request.query.items())]
        return base64.b64encode(hmac.new(SECRET, "\n".join(lines).encode(), hashlib.sha256).digest()).decode()

    def refused(self, status, why):
        return Answered({"code": "No", "message": {"lang": "en-us", "value": why}}, status)

    def of_pools(self, request, steps):
        if steps[-1] == "resize":
            self.pool |= {**request.json, "resizeErrors": [{"code": "Quota", "message": "too few cores"}]}
            return Answered(None, 202)
        if steps[-1] == "nodes":
            assert request.query == {**VERSION, "$filter": "state eq 'idle'", "$select": "id,state"}
            self.looks += 1
            return Answered({"value": [{"id": "n1", "state": "idle"}] if self.looks > 1 else []})
        told = dict(self.pool)
        self.pool["allocationState"] = "steady"
        return Answered(told)

    def of_jobs(self, request, steps):
        if not steps:
            if request.json["id"] in self.jobs:
                return self.refused(409, "The specified job already exists.")
            self.jobs[request.json["id"]] = {}
            return Answered(None, 201)
        job = self.jobs[steps[0]]
        if request.method == "DELETE":
            del self.jobs[steps[0]]
            return Answered(None, 202)
        if steps[1] == "terminate":
            self.terminated.append((steps[0], request.json))
            return Answered(None, 202)
        if steps[1] == "addtaskcollection":
            job |= {one["id"]: one for one in request.json["value"]}
            bad = {"status": "clienterror", "taskId": "bad", "error": {"message": {"value": "too many slots"}}}
            return Answered({"value": [bad if name == "bad" else {"status": "success"} for name in job]})
        if len(steps) == 2:
            return self.tasks(request, list(job))
        name, path = steps[2], "/".join(steps[4:])
        if not path:
            rows = [{"name": file, "isDirectory": file.endswith("sub")} for one, file in self.files if one == name]
            return Answered({"value": rows})
        if (name, path) not in self.files:
            return self.refused(404, "The specified file does not exist.")
        return Answered(self.files[name, path])

    def tasks(self, request, names):
        if "page" in request.query:
            return Answered({"value": [self.shown(names[-1])]})
        self.looks += 1
        if self.looks == 1:  # what was added is not listed yet
            return Answered({"value": []})
        following = {"odata.nextLink": f"{self.url}{quote(request.path)}?page=2&api-version=x"} if names[1:] else {}
        return Answered({"value": [self.shown(name) for name in names[: len(names) - bool(names[1:])]], **following})

    def shown(self, name):
        is_done = self.looks > 1 and not self.is_slow
        how = {"exitCode": 3, "failureInfo": {"message": "it broke"}} if name in self.failed else {"exitCode": 0}
        return {"id": name, "state": "completed" if is_done else "running", "executionInfo": how}


@pytest.fixture
def batch(context):
    with serving(service := Service()) as wire:
        service.url = wire.url
        who = {"endpoint": f"{wire.url}/", "account": "acc", "accessKey": KEY}
        yield service, context, who


async def test_a_job_runs_and_is_gone(batch):
    service, context, who = batch
    service.files = {
        ("count", "stdout.txt"): 'hello\n::{"outputs":{"n":3}}::\n',
        ("count", "stderr.txt"): "careful",
        ("count", "wd/out/a b.txt"): "one",
        ("tell", "stdout.txt"): '::{"outputs":{"m":4}}::',
        ("tell", "wd/outs"): "",
        ("tell", "wd/outs/sub"): "",
        ("tell", "wd/outs/sub/2.txt"): "two",
        ("tell", "wd/outs/.kestradirectory"): "",
        ("tell", "wd/outsider/3.txt"): "three",
    }
    full = {
        "id": "count",
        "displayName": "Count",
        "commands": ['echo "$A"', "echo {{ 'b c' }}"],
        "environments": {"A": 1},
        "outputFiles": ["out/a b.txt"],
        "resourceFiles": [{"httpUrl": "https://files.test/a.csv", "filePath": "in/a.csv"}],
        "uploadFiles": [
            {
                "filePattern": "*.log",
                "destination": {
                    "container": {"containerUrl": "https://c.test", "identityReference": {"resourceId": "i"}}
                },
                "uploadOptions": {"uploadCondition": "TASK_SUCCESS"},
            }
        ],
        "containerSettings": {
            "imageName": "python",
            "registry": {"registryServer": "r.test", "userName": "u", "password": "hush"},
            "workingDirectory": "TASK_WORKING_DIRECTORY",
        },
        "constraints": {"maxWallClockTime": "PT1H", "retentionTime": "P1D", "maxTaskRetryCount": 2},
        "requiredSlots": 1,
    }
    job = {"id": "j 1", "priority": 5, "labels": {"team": "shop"}}
    tasks = [full, {"id": "tell", "commands": ["true"], "outputDirs": ["/outs/"]}]
    create = {"type": f"{BATCH}.job.Create", **who, "poolId": "p", "completionCheckInterval": "PT0.01S"}
    done = await context.run(**create, job=job, tasks=tasks)
    assert done.vars == {"n": 3, "m": 4}
    assert {name: context.files.text(uri) for name, uri in done.outputFiles.items()} == {
        "out/a b.txt": "one",
        "outs/sub/2.txt": "two",
    }
    assert {("INFO", "hello"), ("ERROR", "careful")} <= set(context.lines)
    assert context.said("404 for stderr.txt of tell", "WARN")
    first, second, *_, last = service.asked
    metadata = [{"name": "team", "value": "shop"}]
    assert first == ("POST", "/jobs", {"id": "j 1", "priority": 5, "poolInfo": {"poolId": "p"}, "metadata": metadata})
    assert second[:2] == ("POST", "/jobs/j 1/addtaskcollection")
    assert second[2]["value"] == [
        {
            "id": "count",
            "displayName": "Count",
            "commandLine": '/bin/sh -c "echo \\"$A\\"\necho b c"',
            "containerSettings": {
                "imageName": "python",
                "registry": {"registryServer": "r.test", "username": "u", "password": "hush"},
                "workingDirectory": "taskWorkingDirectory",
            },
            "environmentSettings": [{"name": "A", "value": "1"}],
            "resourceFiles": [{"httpUrl": "https://files.test/a.csv", "filePath": "in/a.csv"}],
            "outputFiles": [
                {
                    "filePattern": "*.log",
                    "destination": {
                        "container": {"containerUrl": "https://c.test", "identityReference": {"resourceId": "i"}}
                    },
                    "uploadOptions": {"uploadCondition": "tasksuccess"},
                }
            ],
            "constraints": {"maxWallClockTime": "PT1H", "retentionTime": "PT24H", "maxTaskRetryCount": 2},
            "requiredSlots": 1,
        },
        {"id": "tell", "commandLine": '/bin/sh -c "true"'},
    ]
    assert (last, service.jobs) == (("DELETE", "/jobs/j 1", None), {})
    assert {KEY, "hush"} <= context.masked
    assert command_line("sh", ["-c"], ["a\\b"]) == 'sh -c "a\\\\b"'


async def test_a_job_that_fails_or_is_killed_is_gone_too(batch):
    service, context, who = batch
    create = {"type": f"{BATCH}.job.Create", **who, "poolId": "p", "completionCheckInterval": "PT0.01S"}
    create |= {"job": {"id": "j"}}
    service.failed = {"b"}
    service.files = {("a", "stdout.txt"): '::{"outputs":{"n":3}}::', ("b", "stdout.txt"): "oh"}
    two = [{"id": "a", "commands": ["true"]}, {"id": "b", "commands": ["exit 3"], "outputFiles": ["none"]}]
    with pytest.raises(TaskFailed, match="1 of 2 tasks of the job failed") as failed:
        await context.run(**create, tasks=two)
    assert failed.value.outputs == {"vars": {"n": 3}, "outputFiles": {}}
    assert context.said("b failed with the exit code 3: it broke", "WARN")
    for tasks, given, why in (
        ([*two, {"id": "bad", "commands": ["true"]}], {}, "does not take the task bad: too many slots"),
        ([two[0], two[0]], {}, "Two of `tasks` have the same `id`"),
        (two, {"accessKey": "%"}, "`accessKey` is no key"),
        (two, {"accessKey": "aHVzaA=="}, "403: Not signed by the key"),
    ):
        with pytest.raises(TaskFailed, match=why):
            await context.run(**{**create, **given}, tasks=tasks)
    assert service.jobs == {}
    await context.run(**create, tasks=[{"commands": ["true"]}], delete=False)  # a name is made up
    assert len(service.jobs["j"]) == 1
    with pytest.raises(TaskFailed, match="409: The specified job already exists"):
        await context.run(**create, tasks=two)
    service.is_slow = True
    with pytest.raises(TaskFailed, match="The job k did not end within"):
        await context.run(**{**create, "job": {"id": "k"}}, tasks=two, maxDuration="PT0.05S")
    for job, delete in (("k", True), ("l", False)):
        running = asyncio.ensure_future(context.run(**{**create, "job": {"id": job}}, tasks=two, delete=delete))
        while not service.jobs.get(job):
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (set(service.jobs), service.terminated) == ({"j", "l"}, [("l", {})])
    assert context.said("The job l is stopped")


async def test_a_value_stays_in_its_quotes(make_context):
    context = make_context(inputs={"evil": "'; rm -rf /; '"})
    made = task(
        context,
        type=f"{BATCH}.job.Create",
        endpoint="https://b.test",
        account="a",
        accessKey=KEY,
        poolId="p",
        job={"id": "j"},
        tasks=[{"commands": ["echo '{{ inputs.evil }}'"]}],
    )
    (said,) = made.tasks[0].commands
    assert said != "echo ''; rm -rf /; ''"


async def test_a_pool_is_resized(batch, monkeypatch):
    service, context, who = batch
    monkeypatch.setattr(pool, "EVERY", timedelta(0))
    resize = {"type": f"{BATCH}.pool.Resize", **who, "poolId": "p"}
    done = await context.run(**resize, targetDedicatedNodes=4)
    assert done.pool == {"id": "p", "targetDedicatedNodes": 4, "targetLowPriorityNodes": 0}
    assert [asked[:2] for asked in service.asked] == [
        ("GET", "/pools/p"),
        ("POST", "/pools/p/resize"),
        ("GET", "/pools/p"),
        ("GET", "/pools/p/nodes"),
        ("GET", "/pools/p/nodes"),
    ]
    assert service.asked[1][2] == {"targetDedicatedNodes": 4, "targetLowPriorityNodes": 0}
    assert context.said("Quota: too few cores", "WARN")
    service.asked.clear()
    await context.run(**resize)  # to none: there is nothing to wait for
    assert not [path for _, path, _ in service.asked if path.endswith("nodes")]
    service.pool["state"] = "deleting"
    with pytest.raises(TaskFailed, match="The pool p is not active, but deleting"):
        await context.run(**resize)
    with pytest.raises(TaskFailed, match="not said which pool"):
        await context.run(**{**resize, "poolId": " "})
