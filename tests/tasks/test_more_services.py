"""Fivetran, Hightouch, ServiceNow and Couchbase: each in its own JSON, faked at the wire."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"


def signed(request):
    """User and password of a request, with a colon between."""
    return base64.b64decode(request.headers["authorization"].split()[1]).decode()


class Fivetran:
    """One connector, whose sync ends at the third look after it began."""

    def __init__(self, ends="succeeded_at"):
        self.connector = {"id": "c/1", "succeeded_at": "2026-01-01T00:00:00Z", "failed_at": "2026-01-02T00:00:00.5Z"}
        self.ends, self.looks, self.asked = ends, 0, None

    def __call__(self, request):
        if signed(request) != "key:s3cret":
            return Answered({"code": "AuthFailed", "message": "Incorrect API key"}, 401)
        assert request.headers["accept"] == "application/json;version=2"
        if request.path == "/v1/connections/c/1/sync":
            self.asked = request.json
            return Answered({"code": "Success", "message": "Sync has been successfully triggered"})
        if request.path != "/v1/connections/c/1":
            return Answered({"code": "NotFound_Connector", "message": "Cannot find connector"}, 404)
        self.looks += self.asked is not None
        if self.looks == 3:
            self.connector[self.ends] = "2026-01-03T00:00:00Z"
        return Answered({"code": "Success", "data": self.connector})


async def test_a_sync_of_fivetran(context):
    sync = {"type": f"{PLUGIN}.fivetran.connectors.Sync", "apiKey": "key", "apiSecret": "s3cret", "connectorId": "c/1"}
    fast = {"pollFrequency": "PT0.01S"}
    with serving(service := Fivetran()) as wire:
        assert await context.run(**sync, **fast, baseUrl=wire.url, force=True) is None
        assert (service.asked, service.looks) == ({"force": True}, 3)  # the failure of the day before is not this one's
        with pytest.raises(TaskFailed, match=r"answered 404: Cannot find connector"):
            await context.run(**{**sync, "connectorId": "none"}, baseUrl=wire.url)
        with pytest.raises(TaskFailed, match=r"401: Incorrect API key.*credentials"):
            await context.run(**{**sync, "apiSecret": "no"}, baseUrl=wire.url)
        with pytest.raises(TaskFailed, match="did not end within"):
            await context.run(**sync, **fast, baseUrl=wire.url, maxDuration="PT0S")
    with serving(service := Fivetran("failed_at")) as wire:
        await context.run(**sync, baseUrl=wire.url, wait=False)
        assert service.looks == 0
        service.asked = None
        with pytest.raises(TaskFailed, match=r"The sync of c/1 failed.*its log"):
            await context.run(**sync, **fast, baseUrl=wire.url)
    assert "s3cret" in context.masked


async def test_data_of_fivetran_is_waited_for(context):
    service = Fivetran()
    service.connector |= {"sync_frequency": 60, "schema": "shop", "status": {"setup_state": "connected"}}
    looks = []

    def answer(request):
        looks.append(request.path)
        if len(looks) == 3:
            service.connector["succeeded_at"] = datetime.now(UTC).isoformat()
        return service(request)

    status = {"type": f"{PLUGIN}.fivetran.connectors.Status", "apiKey": "key", "apiSecret": "s3cret"}
    status |= {"connectorIds": ["c/1"], "pollFrequency": "PT0.01S"}
    with serving(answer) as wire:
        now = await context.run(**status, baseUrl=wire.url, wait=False)
        assert (now.connectors["c/1"]["fresh"], now.connectors["c/1"]["hasFailed"]) == (False, True)
        done = await context.run(**status, baseUrl=wire.url)
        assert (done.connectors["c/1"]["fresh"], done.connectors["c/1"]["name"], len(looks)) == (True, "shop", 3)
        service.connector |= {"succeeded_at": "2026-01-01T00:00:00Z", "failed_at": None, "paused": True}
        with pytest.raises(TaskFailed, match="never gets fresh: it is paused"):
            await context.run(**status, baseUrl=wire.url)
        assert (await context.run(**status, baseUrl=wire.url, freshnessBuffer="P9999D")).connectors["c/1"]["fresh"]
        with pytest.raises(TaskFailed, match="did not end within"):
            await context.run(**status, baseUrl=wire.url, allowTerminal=True, maxDuration="PT0S")
        del service.connector["sync_frequency"]
        with pytest.raises(TaskFailed, match="no time between syncs"):
            await context.run(**status, baseUrl=wire.url)
    assert "s3cret" in context.masked


class Hightouch:
    """One sync, whose run goes through `states`."""

    def __init__(self, *states):
        self.states, self.runs = list(states), 0

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer t0ken":
            return Answered({"message": "Unauthorized"}, 401)
        if request.path == "/api/v1/syncs/17/trigger":
            self.runs += 1
            return Answered({"id": str(100 + self.runs)})
        assert (request.path, request.query) == ("/api/v1/syncs/17/runs", {"runId": "101"})
        rows = {"addedCount": 3, "changedCount": 1, "removedCount": 0}
        state = self.states.pop(0)
        run = {"id": "101", "status": state, "successfulRows": rows, "error": "No route" if state == "failed" else None}
        return Answered({"data": [run] if state else []})


async def test_a_sync_of_hightouch(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.hightouch.Sync.every", timedelta(seconds=0.01))
    sync = {"type": f"{PLUGIN}.hightouch.Sync", "token": "t0ken", "syncId": "17"}

    async def run(*states, **given):
        with serving(Hightouch(*states)) as wire:
            context = make_context({"providers": {"hightouch": {"base_url": wire.url}}})
            done = await context.run(**{**sync, **given})
            return done, context, wire

    done, context, wire = await run("querying", "processing", "success", fullResynchronization=True)
    assert (done.runId, context.metrics["rows.successfullyAdded"]) == (101, 3)
    assert (wire.requests[0].json, "t0ken" in context.masked) == ({"fullResync": True}, True)
    done, context, _ = await run("warning")
    assert (done.runId, context.lines) == (101, [("WARN", "The run 101 ended with warnings.")])
    assert (await run(wait=False))[0].runId == 101
    with pytest.raises(TaskFailed, match="ended as failed: No route"):
        await run("failed")
    with pytest.raises(TaskFailed, match="tells of 0 runs"):
        await run(None)
    with pytest.raises(TaskFailed, match="401: Unauthorized"):
        await run(token="no")


class ServiceNow:
    """The incidents of an instance."""

    def __init__(self):
        self.rows = {}

    def __call__(self, request):
        if request.path == "/oauth_token.do":
            good = request.form["client_secret"] == "app" and request.form["grant_type"] == "password"
            return Answered({"access_token": "b34rer"} if good else {"error": "invalid_client"}, 200 if good else 401)
        if request.headers["authorization"] != "Bearer b34rer" and signed(request) != "flows:s3cret":
            return Answered({"error": {"message": "User Not Authenticated"}, "status": "failure"}, 401)
        key = re.fullmatch(r"/api/now/table/incident(?:/(.+))?", request.path)[1]
        if request.method == "POST":
            row = {**request.json, "sys_id": f"id{len(self.rows)}", "number": f"INC{len(self.rows):07}"}
            self.rows[row["sys_id"]] = row
            return Answered({"result": row}, 201)
        if request.method == "GET":
            return Answered({"result": list(self.rows.values())})
        if key not in self.rows:
            return Answered({"error": {"message": "No Record found"}, "status": "failure"}, 404)
        if request.method == "DELETE":
            del self.rows[key]
            return Answered(status=204)
        self.rows[key] |= request.json
        return Answered({"result": self.rows[key]})


async def test_records_of_servicenow(context):
    with serving(service := ServiceNow()) as wire:
        who = {"domain": wire.url, "username": "flows", "password": "s3cret"}

        async def run(name, **given):
            return await context.run(type=f"{PLUGIN}.servicenow.{name}", **{**who, **given})

        data = {"short_description": "S", "urgency": 2}
        made = await run("Post", table="incident", data=data)
        assert made.result == {**data, "sys_id": "id0", "number": "INC0000000"}
        assert (made.number, made.sysId) == ("INC0000000", "id0")
        assert made.url == f"{wire.url}/nav_to.do?uri=incident.do%3Fsys_id%3Did0"
        opened = await run("CreateIncident", shortDescription="T", urgency=1, data={"urgency": "3", "caller_id": "ann"})
        assert (
            service.rows[opened.sysId] | {"short_description": "T", "urgency": "1", "caller_id": "ann"}
            == (service.rows[opened.sysId])
        )
        assert "description" not in service.rows[opened.sysId]
        changed = await run("Update", table="incident", sysId="id0", data='{"comments": "seen"}')
        assert changed.result["comments"] == "seen"
        found = await run("Get", table="incident")
        assert (found.size, found.results[0]["comments"]) == (2, "seen")
        assert not wire.last.query
        some = {"query": "active=true^priority=1", "fields": ["number", "state"], "limit": 2, "offset": 0}
        assert (await run("Get", table="incident", **some)).offset == 0
        assert wire.last.query == {
            "sysparm_query": "active=true^priority=1",
            "sysparm_fields": "number,state",
            "sysparm_limit": "2",
            "sysparm_offset": "0",
        }
        one = await run("Get", table="incident", fetchType="FETCH_ONE")
        assert (one.size, len(one.results)) == (1, 1)
        kept = await run("Get", table="incident", fetchType="STORE")
        assert (kept.size, kept.results) == (2, None)
        assert [json.loads(line)["number"] for line in context.files.text(kept.uri).splitlines()] == [
            "INC0000000",
            "INC0000001",
        ]
        app = {"clientId": "flows", "clientSecret": "app", "headers": {"X-Team": "ops"}}
        assert (await run("Delete", table="incident", sysId="id0", **app)).deleted
        assert (wire.last.headers["authorization"], wire.last.headers["x-team"]) == ("Bearer b34rer", "ops")
        assert list(service.rows) == ["id1"]
        with pytest.raises(TaskFailed, match="404: No Record found"):
            await run("Update", table="incident", sysId="a/b", data={})
        with pytest.raises(TaskFailed, match="401: invalid_client"):
            await run("Get", table="incident", **{**app, "clientSecret": "no"})
        with pytest.raises(TaskFailed, match="401: User Not Authenticated"):
            await run("Get", table="incident", password="no")
        assert {"s3cret", "app", "b34rer"} <= set(context.masked)


@pytest.mark.parametrize(
    ("domain", "base"),
    [
        ("dev12345", "https://dev12345.service-now.com"),
        ("dev12345.service-now.com/", "https://dev12345.service-now.com"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_where_servicenow_is(domain, base):
    declared = {"id": "a", "type": f"{PLUGIN}.servicenow.Get", "domain": domain, "table": "incident"}
    cls = catalogue().resolve(declared)
    assert cls.model_validate({**declared, "username": "u", "password": "p"}).base == base


def couchbase(request):
    if signed(request) != "flows:s3cret":
        error = {"code": 13014, "msg": "User does not have credentials to run SELECT queries"}
        return Answered({"errors": [error], "status": "fatal"}, 401)
    assert request.path == "/query/service"
    given = request.json
    if "nonsense" in given["statement"]:
        return Answered({"errors": [{"code": 3000, "msg": "syntax error - line 1"}], "status": "fatal"})
    rows = [{"n": 1, "given": given.get("$a") or given.get("args")}, 2] if "nobody" not in given["statement"] else []
    return Answered({"results": rows, "status": "success"})


async def test_statements_for_couchbase(context):
    with serving(couchbase) as wire:
        at = {"connectionString": wire.url, "username": "flows", "password": "s3cret"}
        query = {"type": f"{PLUGIN}.couchbase.Query", **at}
        found = await context.run(**query, query="SELECT $a", parameters={"a": "O'Hara"}, fetchType="FETCH")
        assert (found.rows, found.size) == ([{"n": 1, "given": "O'Hara"}, {"value": 2}], 2)
        stored = await context.run(**query, query="SELECT ?", parameters=["x"])
        assert context.files.text(stored.uri).splitlines()[0] == '{"n": 1, "given": ["x"]}'
        with pytest.raises(TaskFailed, match="refused: syntax error"):
            await context.run(**query, query="nonsense")
        with pytest.raises(TaskFailed, match=r"401: .*does not have credentials"):
            await context.run(**{**query, "password": "no"}, query="SELECT 1")
        assert "s3cret" in context.masked
        declared = {"id": "t", "type": f"{PLUGIN}.couchbase.Trigger", **at, "fetchType": "FETCH_ONE"}
        cls = catalogue().resolve(declared)

        async def seen(query):
            trigger = cls.model_validate({**declared, "query": query}, context={"registry": catalogue()})
            return await trigger.poll(context)

        assert (await seen("SELECT 1")).row["n"] == 1
        assert await seen("SELECT nobody") is None


@pytest.mark.parametrize(
    ("given", "nodes"),
    [
        ("couchbase://10.0.0.1", ["http://10.0.0.1:8093/query/service"]),
        ("db.example.com", ["http://db.example.com:8093/query/service"]),
        (
            "couchbases://a:11207,b,[::1]?network=external",
            [f"https://{host}:18093/query/service" for host in ("a", "b", "[::1]")],
        ),
    ],
)
def test_where_couchbase_answers(given, nodes):
    from engine.tasks.couchbase import QueryFields

    assert QueryFields(connectionString=given, username="u", password="p", query="q")._nodes() == nodes


async def test_the_next_node_of_couchbase_answers(context, monkeypatch):
    with serving(couchbase) as wire:
        nodes = ["http://127.0.0.1:9/query/service", f"{wire.url}/query/service"]
        monkeypatch.setattr("engine.tasks.couchbase.QueryFields._nodes", lambda self: nodes)
        query = {
            "type": f"{PLUGIN}.couchbase.Query",
            "connectionString": "x",
            "username": "flows",
            "fetchType": "FETCH",
        }
        assert (await context.run(**query, password="s3cret", query="SELECT 1")).size == 2
        nodes.pop()
        with pytest.raises(TaskFailed, match="could not be reached"):
            await context.run(**query, password="s3cret", query="SELECT 1")


async def test_a_function_is_called(context):
    def handle(request):
        if request.method == "GET":
            return Answered("plain words")
        if request.json.get("fail"):
            return Answered({"message": "boom"}, 500)
        return Answered({"sum": request.json["a"] + 1})

    with serving(handle) as service:
        call = {"type": "io.kestra.plugin.azure.function.HttpFunction", "url": f"{service.url}/api/f?code=k3y"}
        done = await context.run(**call, httpMethod="POST", httpBody={"a": 1})
        assert (done.responseBody, done.repsonseBody) == ({"sum": 2}, {"sum": 2})
        assert service.requests[-1].query == {"code": "k3y"}
        assert "k3y" in context.masked
        assert (await context.run(**call, httpMethod="GET")).responseBody == "plain words"
        with pytest.raises(TaskFailed, match="The function answered 500: boom"):
            await context.run(**call, httpMethod="POST", httpBody={"fail": True})


async def test_rules_of_sifflet(context):
    def service(request):
        assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
        is_known = request.headers["authorization"] == "Bearer k"
        return Answered("begun" if is_known else "who?", 200 if is_known else 401)

    with serving(service) as wire:
        ask = {"type": "io.kestra.plugin.sifflet.RunRule", "apiKey": "k", "baseUrl": f"{wire.url}/", "ruleId": "r/1"}
        found = await context.run(**ask, requestTimeout=5)
        assert found.model_dump() == {"ruleId": "r/1", "status": "SUCCESS", "statusCode": 200, "response": "begun"}
        assert (wire.last.path, wire.last.body) == ("/api/v1/rules/r/1/_run", b"")
        refused = await context.run(**{**ask, "apiKey": "hush"})  # told, and no failure of the task
        assert (refused.status, refused.statusCode, refused.response) == ("FAILED", 401, "who?")
        assert context.said("Sifflet answered 401: who", "ERROR")
        assert {"k", "hush"} <= context.masked
        with pytest.raises(TaskFailed, match="not said which rule"):
            await context.run(**{**ask, "ruleId": " "})
        asked = len(wire.requests)
        with pytest.raises(TaskFailed, match="for a step of its path"):
            await context.run(**{**ask, "ruleId": ".."})
        assert len(wire.requests) == asked
