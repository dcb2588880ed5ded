"""Databricks and Aikido: their REST APIs, faked at the wire."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.databricks_service import worded
from tests.tasks.test_services import routes
from tests.wire.loopback import Answered, serving

SQL, JOB, CLUSTER, DBFS = (f"io.kestra.plugin.databricks.{name}" for name in ("sql", "job", "cluster", "dbfs"))
AIKIDO = "io.kestra.plugin.aikido"


async def test_a_statement_of_sql(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.databricks.sql.EVERY", timedelta(seconds=0.01))
    kinds = ("id", "LONG"), ("total", "DECIMAL"), ("paid", "BOOLEAN"), ("tags", "ARRAY"), ("name", "STRING")
    columns = [{"name": name, "type_name": kind} for name, kind in kinds]
    more = "/api/2.0/sql/statements/s1/result/chunks/1"
    done = {
        "statement_id": "s1",
        "status": {"state": "SUCCEEDED"},
        "manifest": {"schema": {"columns": columns}},
        "result": {"data_array": [["1", "2.50", "true", '["a"]', "Ann"]], "next_chunk_internal_link": more},
    }
    failed = {"statement_id": "s2", "status": {"state": "FAILED", "error": {"message": "TABLE_OR_VIEW_NOT_FOUND"}}}
    table = {
        ("POST", "/api/2.0/sql/statements"): lambda request: Answered(
            failed if "nothing" in request.body.decode() else {"statement_id": "s1", "status": {"state": "PENDING"}}
        ),
        ("GET", "/api/2.0/sql/statements/s1"): done,
        ("GET", more): {"data_array": [["2", None, "false", None, "Bob"]]},
    }
    with serving(routes(table)) as databricks:
        context = make_context()
        ask = {"type": f"{SQL}.Query", "accessToken": "t0ken", "host": databricks.url}
        ask |= {"httpPath": "/sql/1.0/warehouses/w1", "catalog": "main", "schema": "shop"}
        found = await context.run(**ask, sql="SELECT * FROM t")
        rows = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
        assert rows == [
            {"id": 1, "total": 2.5, "paid": True, "tags": ["a"], "name": "Ann"},
            {"id": 2, "total": None, "paid": False, "tags": None, "name": "Bob"},
        ]
        sent = databricks.requests[0]
        assert sent.json == {
            "warehouse_id": "w1",
            "statement": "SELECT * FROM t",
            "catalog": "main",
            "schema": "shop",
            "wait_timeout": "10s",
        }
        assert sent.headers["authorization"] == "Bearer t0ken"
        with pytest.raises(TaskFailed, match="could not run the statement: TABLE_OR_VIEW"):
            await context.run(**ask, sql="SELECT nothing")
        with pytest.raises(TaskFailed, match="is no SQL warehouse"):
            await context.run(**{**ask, "httpPath": "sql/protocolv1/o/1/2"}, sql="x")
        with pytest.raises(TaskFailed, match="who asks Databricks"):
            await context.run(**{**ask, "accessToken": ""}, sql="x")
        with pytest.raises(ValidationError, match="there is no time zone"):
            await context.run(**ask, sql="x", timeZoneId="UTC'; DROP TABLE t; --")


async def test_jobs_and_runs(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.databricks.job.EVERY", datetime.resolution)
    looks = []

    def run(request):
        looks.append(request.query["run_id"])
        over = len(looks) > 2
        failed = request.query["run_id"] == "9"
        state = {"life_cycle_state": "TERMINATED", "result_state": "FAILED" if failed else "SUCCESS"}
        state |= {"state_message": "no such file"} if failed else {}
        return Answered({"job_id": 3, "state": state if over else {"life_cycle_state": "RUNNING"}})

    table = {
        ("POST", "/oidc/v1/token"): {"access_token": "from-oidc"},
        ("POST", "/api/2.1/jobs/runs/submit"): {"run_id": 8},
        ("POST", "/api/2.1/jobs/create"): {"job_id": 3},
        ("POST", "/api/2.1/jobs/run-now"): {"run_id": 9},
        ("GET", "/api/2.1/jobs/runs/get"): run,
    }
    with serving(routes(table)) as databricks:
        context = make_context({"providers": {"databricks": {"base_url": databricks.url}}})
        who = {"host": "ignored.example.com", "authentication": {"clientId": "c", "clientSecret": "s3cret"}}
        tasks = [
            {"taskKey": "a", "sparkPythonTask": {"pythonFile": "/x.py", "sparkPythonTaskSource": "WORKSPACE"}},
            {"taskKey": "b", "dependsOn": ["a"], "notebookTask": {"baseParameters": {"aB": "1"}}},
        ]
        done = await context.run(type=f"{JOB}.SubmitRun", **who, runName="n", runTasks=tasks, waitForCompletion="PT1M")
        assert (done.runId, done.runURI) == (8, f"{databricks.url}/#job/3/run/8")
        sent = next(one for one in databricks.requests if one.path.endswith("submit"))
        assert sent.json["tasks"] == [
            {"task_key": "a", "spark_python_task": {"python_file": "/x.py", "source": "WORKSPACE"}},
            {"task_key": "b", "depends_on": [{"task_key": "a"}], "notebook_task": {"base_parameters": {"aB": "1"}}},
        ]
        assert sent.headers["authorization"] == "Bearer from-oidc"
        assert {"s3cret", "from-oidc"} <= context.masked
        made = await context.run(type=f"{JOB}.CreateJob", **who, jobName="j", jobTasks=tasks)
        assert (made.jobId, made.runId) == (3, 9)
        with pytest.raises(TaskFailed, match=r"The run 9 ended as FAILED\. no such file"):
            await context.run(type=f"{JOB}.CreateJob", **who, jobTasks=tasks, waitForCompletion="PT1M")
        with pytest.raises(TaskFailed, match="A task is no map"):
            await context.run(type=f"{JOB}.SubmitRun", **who, runTasks=["x"])
    assert worded({"aBc": {"dE": [{"fG": None, "hI": 1}]}}) == {"a_bc": {"d_e": [{"h_i": 1}]}}


async def test_clusters(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.databricks.cluster.EVERY", datetime.resolution)
    told = []

    def look(request):
        assert request.query == {"cluster_id": "c-1"}
        return Answered(told.pop(0))

    def states(*names, why=""):
        told[:] = [{"state": name, "state_message": why} for name in names]

    table = {
        ("POST", "/api/2.1/clusters/create"): {"cluster_id": "c-1"},
        ("POST", "/api/2.1/clusters/delete"): {},
        ("GET", "/api/2.1/clusters/get"): look,
    }
    with serving(routes(table)) as databricks:
        context = make_context()
        who = {"host": databricks.url, "authentication": {"token": "t0ken"}}
        made = {"type": f"{CLUSTER}.CreateCluster", **who, "clusterName": "n", "sparkVersion": "13", "nodeTypeId": "m"}
        states("PENDING", "RUNNING")
        done = await context.run(**made, numWorkers=1, autoTerminationMinutes="{{ 10 * 3 }}")
        address = f"{databricks.url}/#setting/clusters/c-1/configuration"
        assert (done.clusterId, done.clusterURI, done.clusterState) == ("c-1", address, "RUNNING")
        body = {"cluster_name": "n", "spark_version": "13", "node_type_id": "m"}
        assert databricks.requests[0].json == body | {"num_workers": 1, "autotermination_minutes": 30}
        states("PENDING", "TERMINATED", why="No capacity.")
        with pytest.raises(TaskFailed, match=r"c-1 did not start, it is TERMINATED\. No capacity\."):
            await context.run(**made, minWorkers=1, maxWorkers=4)
        (sent,) = [one for one in databricks.requests if one.path.endswith("create")][1:]
        assert sent.json == body | {"autoscale": {"min_workers": 1, "max_workers": 4}}
        gone = {"type": f"{CLUSTER}.DeleteCluster", **who, "clusterId": "c-1"}
        states("TERMINATING", "TERMINATED")
        assert await context.run(**gone) is None
        assert told == []
        assert next(one for one in databricks.requests if one.path.endswith("delete")).json == {"cluster_id": "c-1"}
        states("ERROR", why="Ask us.")
        with pytest.raises(TaskFailed, match=r"c-1 is ERROR\. Ask us\."):
            await context.run(**gone)


async def test_files_of_dbfs(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.databricks.dbfs.BLOCK", 4)
    files, open_ones = {}, {}

    def create(request):
        assert request.json["overwrite"]
        open_ones[7] = request.json["path"]
        files[request.json["path"]] = b""
        return Answered({"handle": 7})

    def add(request):
        files[open_ones[request.json["handle"]]] += base64.b64decode(request.json["data"])
        return Answered({})

    def close(request):
        del open_ones[request.json["handle"]]
        return Answered({})

    def read(request):
        if request.query["path"] not in files:
            return Answered({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No file or directory exists"}, 404)
        start, length = int(request.query["offset"]), int(request.query["length"])
        block = files[request.query["path"]][start : start + length]
        return Answered({"bytes_read": len(block), "data": base64.b64encode(block).decode()})

    table = {
        ("POST", "/api/2.0/dbfs/create"): create,
        ("POST", "/api/2.0/dbfs/add-block"): add,
        ("POST", "/api/2.0/dbfs/close"): close,
        ("GET", "/api/2.0/dbfs/read"): read,
    }
    with serving(routes(table)) as databricks:
        context = make_context()
        who = {"host": databricks.url, "authentication": {"token": "t0ken"}}
        for content in (b"", b"0123", b"0123456789"):
            uri = await context.files.put(content, "a.parquet")
            await context.run(type=f"{DBFS}.Upload", **who, from_=uri, to="/Shared/b.parquet")
            assert (files, open_ones) == ({"/Shared/b.parquet": content}, {})
            found = await context.run(type=f"{DBFS}.Download", **who, from_="/Shared/b.parquet")
            assert (found.uri.rpartition("/")[2], await context.files.read(found.uri)) == ("b.parquet", content)
        assert context.metrics["file.size"] == 2 * (0 + 4 + 10)
        with pytest.raises(TaskFailed, match="answered 404: No file or directory exists"):
            await context.run(type=f"{DBFS}.Download", **who, from_="/Shared/none")


async def test_new_files_of_dbfs(make_context):
    there = {"/in/a.csv": (1, 10), "/in/b.txt": (1, 10), "/in/day/c.csv": (1, 10)}

    def listing(request):
        folder = request.query["path"]
        below = {path: about for path, about in there.items() if path.startswith(f"{folder}/")}
        folders = {path.rpartition("/")[0] for path in below} - {folder}
        files = [
            {"path": path, "is_dir": False, "modification_time": when, "file_size": size}
            for path, (when, size) in below.items()
            if path.rpartition("/")[0] == folder
        ]
        return Answered({"files": [*files, *({"path": one, "is_dir": True} for one in folders)]} if below else {})

    with serving(routes({("GET", "/api/2.0/dbfs/list"): listing})) as databricks:
        context = make_context()
        declared = {"id": "t", "type": f"{DBFS}.Trigger", "host": databricks.url, "from": "/{{ 'in' }}"}
        declared["authentication"] = {"token": "{{ 't0ken' }}"}

        async def look(memory, **given):
            given = {**declared, **given}
            trigger = catalogue().resolve(given).model_validate(given, context={"registry": catalogue()})
            context.memory = memory
            seen = await trigger.poll(context)
            return seen.found and [(one["path"], one["changeType"]) for one in seen.found.files], seen.memory

        csv = {"regExp": r".*\.csv", "recursive": True}
        first, memory = await look({}, **csv)
        assert first == [("/in/a.csv", "CREATE"), ("/in/day/c.csv", "CREATE")]
        assert databricks.last.headers["authorization"] == "Bearer t0ken"
        assert (await look(memory, **csv))[0] is None
        there["/in/a.csv"] = (2, 10)
        there["/in/day/d.csv"] = (2, 10)
        changed = [("/in/a.csv", "UPDATE"), ("/in/day/d.csv", "CREATE")]
        assert (await look(memory, **csv))[0] == changed
        assert (await look(memory, **csv, on="CREATE"))[0] == changed[1:]
        found, later = await look(memory, **csv, on="UPDATE")
        assert found == changed[:1]
        assert (await look(later, **csv))[0] is None  # what is no news is known all the same
        del there["/in/a.csv"]
        _, later = await look(later, **csv)
        there["/in/a.csv"] = (2, 10)
        assert (await look(later, **csv))[0] == [("/in/a.csv", "CREATE")]
        assert (await look({}))[0] == [("/in/a.csv", "CREATE"), ("/in/b.txt", "CREATE")]
        with pytest.raises(TaskFailed, match=r"`regExp`: The regular expression .* cannot be read"):
            await look({}, regExp="(")


async def test_aikido(make_context):
    groups = [{"id": n, "severity": "critical" if n % 2 else "low"} for n in range(15)]

    def listed(request):
        page, size = int(request.query["page"]), int(request.query["per_page"])
        return Answered(groups[page * size : (page + 1) * size])

    at = "/api/public/v1"
    table = {
        ("POST", "/api/oauth/token"): {"access_token": "t0ken", "expires_in": 3600},
        ("GET", f"{at}/report/soc2/overview"): [
            {"overview": {"CC6": {"ok": True}}, "total_complying_rule_count": 7, "total_rule_count": 9}
        ],
        ("GET", f"{at}/report/nis2/overview"): [],
        ("PUT", f"{at}/issues/groups/5004/snooze"): {"success": True, "snoozed_single_issues_amount": 3},
        ("PUT", f"{at}/issues/groups/5004/unsnooze"): {"success": True},
        ("GET", f"{at}/issues/groups/5004"): {"id": 5004, "title": "CVE"},
        ("GET", f"{at}/open-issue-groups"): listed,
    }
    with serving(routes(table)) as aikido:
        context = make_context({"providers": {"aikido": {"base_url": aikido.url}}})
        who = {"clientId": "c", "clientSecret": "s3cret"}
        report = await context.run(type=f"{AIKIDO}.compliance.GetReport", **who, framework="SOC2")
        assert (report.overview, report.totalComplyingRuleCount, report.totalRuleCount) == ({"CC6": {"ok": True}}, 7, 9)
        assert aikido.requests[0].headers["authorization"].startswith("Basic ")
        assert aikido.last.headers["authorization"] == "Bearer t0ken"
        with pytest.raises(TaskFailed, match="no report about NIS2"):
            await context.run(type=f"{AIKIDO}.compliance.GetReport", **who, framework="NIS2")
        group = {**who, "issueGroupId": "5004"}
        later = "2099-01-01T00:00:00Z"
        slept = await context.run(type=f"{AIKIDO}.issues.Snooze", **group, until=later, reason="false alarm")
        assert (slept.success, slept.snoozedSingleIssuesAmount) == (True, 3)
        moment = int(datetime(2099, 1, 1, tzinfo=UTC).timestamp())
        assert aikido.last.json == {"snooze_until": moment, "reason": "false alarm"}
        with pytest.raises(TaskFailed, match="in the past"):
            await context.run(type=f"{AIKIDO}.issues.Snooze", **group, until="2020-01-01T00:00:00Z")
        assert (await context.run(type=f"{AIKIDO}.issues.Unsnooze", **group)).success
        found = await context.run(type=f"{AIKIDO}.issues.Get", **group)
        assert found["issue"]["title"] == found["issueGroup"]["title"] == "CVE"
        ask = {"type": f"{AIKIDO}.issues.ListOpen", **who, "pageSize": 10}
        assert (await context.run(**ask)).size == 15
        urgent = await context.run(**ask, severities=["CRITICAL"], filterTeamId=4, fetchType="STORE")
        assert (urgent.size, aikido.last.query["filter_team_id"]) == (7, "4")
        with pytest.raises(TaskFailed, match="who asks Aikido"):
            await context.run(type=f"{AIKIDO}.issues.Get", issueGroupId="1")
