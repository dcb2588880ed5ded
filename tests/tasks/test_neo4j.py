"""Neo4j's Query API, at the wire."""

import base64
import json
import threading

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.neo4j_service import address
from tests.wire.loopback import Answered, serving

NEO4J = "io.kestra.plugin.neo4j"
ANN = {"elementId": "4:1:0", "labels": ["Person"], "properties": {"name": "Ann", "tags": ["a"]}}


class Graph:
    """Answers statements; what an open transaction ran is kept when it is committed."""

    def __init__(self):
        self.kept, self.open, self.heard = [], None, []

    def __call__(self, request):
        if request.headers["authorization"] != "Basic " + base64.b64encode(b"neo4j:s3cret").decode():
            errors = [{"code": "Neo.ClientError.Security.Unauthorized", "message": "Invalid credential."}]
            return Answered({"errors": errors}, 401)
        assert request.path.startswith("/db/graph/query/v2"), request.path
        path = request.path.removeprefix("/db/graph/query/v2")
        self.heard.append((request.method, path))
        if path == "/tx":
            self.open = []
            return Answered({"transaction": {"id": "t1"}}, 202, {"neo4j-cluster-affinity": "member-2"})
        if path.startswith("/tx/t1"):
            assert request.headers["neo4j-cluster-affinity"] == "member-2"
            if request.method == "DELETE":
                self.open = None
                return Answered({})
            if path == "/tx/t1/commit":
                self.kept += self.open
                return Answered({"bookmarks": ["b"]}, 202)
        asked = request.json
        if "BAD" in asked["statement"]:
            return Answered({"errors": [{"code": "x", "message": "Invalid input 'BAD'"}]}, 400)
        if path:
            self.open.append(asked)
        else:
            self.kept.append(asked)
        given = asked.get("parameters", {}).get("props") or [1]
        values = [[ANN, 3, None] for _ in given]
        counters = {"nodesCreated": 1, "propertiesSet": 2, "containsUpdates": True}
        data = {"fields": ["p", "n", "m"], "values": values}
        return Answered({"data": data, "counters": counters, "bookmarks": ["b"]}, 202)


@pytest.fixture
def graph(context):
    """Runs tasks on a graph."""
    with serving(Graph()) as server:
        where = {"url": server.url, "username": "neo4j", "password": "s3cret", "database": "graph"}

        async def run(name, **given):
            return await context.run(type=f"{NEO4J}.{name}", **{**where, **given})

        run.server, run.graph, run.context, run.where = server, server.handler, context, where
        yield run


async def test_a_statement(graph):
    found = await graph("Query", query="MATCH (p) RETURN p", parameters={"a": 1}, storeType="FETCH")
    assert found.rows == [{"name": "Ann", "tags": ["a"]}, {"n": 3, "m": None}]
    assert found.size == 2
    assert graph.graph.kept[0]["parameters"] == {"a": 1}
    one = await graph("Query", query="RETURN p", storeType="FETCHONE", accessMode="READ")
    assert (one.row, one.size) == ({"name": "Ann", "tags": ["a"]}, 2)
    assert graph.graph.kept[1]["accessMode"] == "READ"
    stored = await graph("Query", query="RETURN p", storeType="STORE")
    assert json.loads(graph.context.files.text(stored.uri).splitlines()[0]) == {"name": "Ann", "tags": ["a"]}
    assert (await graph("Query", query="RETURN p")).rows is None
    with pytest.raises(TaskFailed, match=r"Neo4j answered 400: .*Invalid input 'BAD'"):
        await graph("Query", query="BAD")
    with pytest.raises(TaskFailed, match="Invalid credential"):
        await graph("Query", query="RETURN 1", password="wrong")
    assert "s3cret" in graph.context.masked


async def test_rows_of_a_file(graph):
    uri = await graph.context.files.put(b'{"id": 1}\n{"id": 2}\n{"id": 3}\n', "events.jsonl")
    found = await graph("Batch", query="UNWIND $props AS p RETURN p", **{"from": uri}, chunk=2)
    assert (found.rowCount, found.updatedCount) == (2, 3)
    assert [one["parameters"]["props"] for one in graph.graph.kept] == [[{"id": 1}, {"id": 2}], [{"id": 3}]]
    assert graph.graph.heard[-1] == ("POST", "/tx/t1/commit")
    with pytest.raises(TaskFailed, match="Invalid input"):
        await graph("Batch", query="BAD", **{"from": uri})
    assert graph.graph.heard[-1] == ("DELETE", "/tx/t1")
    assert len(graph.graph.kept) == 2


async def test_all_or_none_of_several(graph):
    statements = [{"query": "CREATE (:A {n: $n})", "parameters": {"n": 1}}, {"query": "CREATE (:B)"}]
    found = await graph("Transaction", statements=statements)
    assert (found.nodesCreated, found.propertiesSet, found.labelsRemoved) == (2, 4, 0)
    assert graph.context.metrics["nodes.created"] == 2
    with pytest.raises(TaskFailed, match="Invalid input"):
        await graph("Transaction", statements=[*statements, {"query": "BAD"}])
    assert len(graph.graph.kept) == 2


@pytest.mark.parametrize(("store", "size"), [({}, 2), ({"storeType": "NONE"}, None)])
async def test_a_trigger(graph, store, size):
    declared = {"id": "t", "type": f"{NEO4J}.Trigger", **graph.where, "query": "MATCH (p) RETURN p", **store}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    found = await trigger.poll(graph.context)
    assert (found and found.size) == size
    assert found is None or found.rows[0] == {"name": "Ann", "tags": ["a"]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password": None}, "`username` and `password` belong together"),
        ({"trustStrategy": "CUSTOM"}, "belong together"),
        ({"trustStrategy": "SYSTEM", "trustedCertificate": "x"}, "belong together"),
        ({"trustedCertificate": "no PEM"}, "`trustedCertificate` is no certificate"),
    ],
)
async def test_what_does_not_fit(graph, given, said):
    with pytest.raises(TaskFailed, match=said):
        await graph("Query", query="RETURN 1", **given)


@pytest.mark.parametrize(
    ("url", "expected", "is_trusting"),
    [
        ("bolt://graph.test:7687", "http://graph.test:7474", False),
        ("neo4j://graph.test", "http://graph.test:7474", False),
        ("bolt+s://graph.test", "https://graph.test:7473", False),
        ("neo4j+ssc://graph.test:7690", "https://graph.test:7690", True),
        ("neo4j+s://abc.databases.neo4j.io", "https://abc.databases.neo4j.io", False),
        ("https://graph.test/neo/", "https://graph.test/neo", False),
        ("bolt://[::1]:7687", "http://[::1]:7474", False),
    ],
)
def test_where_neo4j_speaks_http(url, expected, is_trusting):
    assert address(url) == (expected, is_trusting)
    if url.startswith("bolt://graph"):
        assert address(url, is_secure=True) == ("https://graph.test:7473", False)


@pytest.mark.parametrize("url", ["graph.test:7687", "jdbc:neo4j://x", "bolt://", "bolt://x:port"])
def test_what_is_no_address(url):
    with pytest.raises(TaskFailed, match="is no address of Neo4j"):
        address(url)


@pytest.mark.parametrize(
    ("odd", "said"), [([1], "no object"), ({}, "without `transaction.id`"), ({"errors": ["no"]}, "Neo4j refused: no")]
)
async def test_what_neo4j_answers_may_be_odd(context, odd, said):
    with serving(lambda request: Answered(odd)) as server:
        asked = {"url": server.url, "statements": [{"query": "RETURN 1"}]}
        with pytest.raises(TaskFailed, match=said):
            await context.run(type=f"{NEO4J}.Transaction", **asked)


async def test_a_server_that_hangs_does_not_hold_a_task_that_has_failed(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.rest_service.PATIENCE", 0.1)
    go_on, rolled_back = threading.Event(), []

    def hangs(request):
        if request.method == "DELETE":
            go_on.wait(10)
            rolled_back.append(1)
        if request.path.endswith("/tx"):
            return Answered({"transaction": {"id": "t1"}}, 202)
        return Answered({"errors": [{"message": "Invalid input"}]}, 400)

    with serving(hangs) as server:
        with pytest.raises(TaskFailed, match="Invalid input"):
            await context.run(type=f"{NEO4J}.Transaction", url=server.url, statements=[{"query": "BAD"}])
        assert not rolled_back
        go_on.set()
