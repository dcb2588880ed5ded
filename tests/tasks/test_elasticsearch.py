"""Documents in Elasticsearch: its REST API, faked at the wire."""

import base64
import json
import re

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

ELASTIC = "io.kestra.plugin.elasticsearch"


class Cluster:
    """Keeps documents by index and id."""

    def __init__(self):
        self.kept = {}

    def __call__(self, request):
        if request.headers["authorization"] != "Basic " + base64.b64encode(b"flows:s3cret").decode():
            return Answered({"error": {"type": "security_exception", "reason": "unable to authenticate"}}, 401)
        path = request.path.removeprefix("/es/")
        if path == "_bulk":
            return self.bulk(request.body.decode().splitlines())
        if path.endswith("_search"):
            wanted = request.json["query"]["term"]["level"]
            hits = [{"_source": doc} for (index, _), doc in self.kept.items() if doc.get("level") == wanted]
            return Answered({"hits": {"total": {"value": len(hits)}, "hits": hits}})
        if path == "_cat/health":
            return Answered("1475 green", 201)
        if path.endswith("_count"):
            return Answered({"count": len(self.kept), "asked": request.query})
        index, kind, key = re.fullmatch(r"([^/]+)/(_doc|_update)/(.*)", path).groups()
        if request.method == "GET":
            doc = self.kept.get((index, key))
            return Answered({"found": bool(doc), "_source": doc}, 200 if doc else 404)
        if request.method == "DELETE":
            del self.kept[index, key]
            return Answered({"_id": key, "result": "deleted"})
        there = (index, key) in self.kept
        if request.query.get("op_type") == "create" and there:
            reason = f"[{key}]: version conflict, document already exists"
            return Answered({"error": {"type": "version_conflict_engine_exception", "reason": reason}}, 409)
        doc = {**self.kept[index, key], **request.json["doc"]} if kind == "_update" else request.json
        self.kept[index, key or "made"] = doc
        return Answered({"_id": key or "made", "result": "updated" if there else "created"})

    def bulk(self, lines):
        for about, doc in zip(lines[::2], lines[1::2], strict=True):
            ((_, place),) = json.loads(about).items()
            if "bad" in doc:
                error = {"type": "mapper_parsing_exception", "reason": "failed to parse field [total]"}
                return Answered({"errors": True, "items": [{"index": {"error": error}}]})
            self.kept[place["_index"], place.get("_id")] = json.loads(doc)
        return Answered({"errors": False, "items": []})


async def test_documents(context):
    cluster = Cluster()
    with serving(cluster) as server:
        who = {"username": "flows", "password": "s3cret"}
        connection = {"hosts": ["http://127.0.0.1:9", server.url], "basicAuth": who, "pathPrefix": "es"}

        async def run(name, **given):
            return await context.run(type=f"{ELASTIC}.{name}", connection=connection, **given)

        kept = await run("Put", index="logs", key="a/1", value={"level": "error", "n": 1}, refreshPolicy="WAIT_UNTIL")
        assert (kept.id, kept.result, server.last.query["refresh"]) == ("a/1", "CREATED", "wait_for")
        assert (await run("Put", index="logs", key="a/1", opType="UPDATE", value={"n": 2})).result == "UPDATED"
        assert (await run("Get", index="logs", key="a/1")).row == {"level": "error", "n": 2}
        with pytest.raises(TaskFailed, match=r"409: .*version conflict"):
            await run("Put", index="logs", key="a/1", opType="CREATE", value={})
        assert (await run("Put", index="logs", value={"level": "info"})).id == "made"
        query = {"query": {"term": {"level": "error"}}}
        found = await run("Search", indexes=["logs"], request=json.dumps(query))
        assert (found.rows, found.total, found.size) == ([{"level": "error", "n": 2}], 1, 1)
        stored = await run("Search", request=query, fetchType="STORE")
        assert json.loads(context.files.text(stored.uri)) == {"level": "error", "n": 2}
        uri = await context.files.put(b'{"id": 1, "total": 4}\n{"id": 2, "total": 5}\n', "rows.jsonl")
        assert (await run("Load", from_=uri, index="orders", idKey="id", chunk=1)).size == 2
        assert cluster.kept["orders", "2"] == {"total": 5}
        with pytest.raises(TaskFailed, match=r"kept not all documents: failed to parse field"):
            await run("Load", from_=[{"bad": 1}], index="orders")
        asked = await run("Request", endpoint="/_count", parameters={"q": "x"})
        assert (asked.status, asked.response) == (200, {"count": 4, "asked": {"q": "x"}})
        asked = await run("Request", endpoint="_cat/health")
        assert (asked.status, asked.response) == (201, "1475 green")
        await run("Put", index="logs", key="a/1", opType="DELETE", value={})
        calls = len(server.requests)
        for key in ("..", "."):  # whose address would be the index itself
            with pytest.raises(TaskFailed, match=r"has `\.` or `\.\.` for a step of its path"):
                await run("Put", index="logs", key=key, opType="DELETE", value={})
        assert len(server.requests) == calls
        assert ("logs", "a/1") not in cluster.kept
        with pytest.raises(TaskFailed, match="answered 404"):
            await run("Get", index="logs", key="none")
        assert "s3cret" in context.masked
        who["password"] = "wrong"
        with pytest.raises(TaskFailed, match="unable to authenticate"):
            await run("Search", request=query)
        connection["hosts"] = ["http://127.0.0.1:9"]
        with pytest.raises(TaskFailed, match="could not be reached"):
            await run("Get", index="logs", key="none")


class Scrolls:
    """Two pages of documents, kept until they are cleared; a query in ES|QL; operations, many at a time."""

    def __init__(self, break_at=None):
        self.kept, self.operations, self.break_at = False, [], break_at

    def __call__(self, request):
        if request.path == "/orders/_search":
            self.kept, self.page = True, 0
            assert request.query == {"scroll": "60s", "routing": "eu"}
            return self.next()
        if request.path == "/_search/scroll":
            assert request.json["scroll_id"] in ("s0", "s1", "s2")
            if request.method == "DELETE":
                self.kept = False
                return Answered({"succeeded": True})
            return self.next()
        if request.path == "/_query":
            assert request.json == {"query": "FROM books", "columnar": False, "filter": {"term": {"a": 1}}}
            columns = [{"name": "author", "type": "keyword"}, {"name": "pages", "type": "long"}]
            return Answered({"columns": columns, "values": [["Ann", 5], ["Bob", 4]]})
        assert request.path == "/_bulk"
        self.operations.append(request.body.decode())
        return Answered({"errors": False, "items": []})

    def next(self):
        if self.page == self.break_at:
            return Answered({"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}}, 503)
        hits = [{"_source": {"n": self.page * 2 + n}} for n in range(2)] if self.page < 2 else []
        self.page += 1
        return Answered({"_scroll_id": f"s{self.page - 1}", "hits": {"hits": hits}})


@pytest.mark.parametrize("plugin", [ELASTIC, "io.kestra.plugin.opensearch"])
async def test_all_documents_of_a_search(context, plugin):
    with serving(cluster := Scrolls()) as server:
        search = {"type": f"{plugin}.Scroll", "connection": {"hosts": [server.url]}, "indexes": ["orders"]}
        stored = await context.run(**search, request={"size": 2}, routing="eu")
        assert (stored.size, cluster.kept) == (4, False)
        assert [json.loads(line)["n"] for line in context.files.text(stored.uri).splitlines()] == [0, 1, 2, 3]
        cluster.break_at = 1
        with pytest.raises(TaskFailed, match="Data too large"):
            await context.run(**search, request={"size": 2}, routing="eu")
        assert not cluster.kept


async def test_a_query_in_esql(context):
    with serving(Scrolls()) as server:
        query = {"type": f"{ELASTIC}.Esql", "connection": {"hosts": [server.url]}, "query": "FROM books"}
        found = await context.run(**query, filter={"query": {"term": {"a": 1}}})
        assert (found.rows[1], found.size, found.total) == ({"author": "Bob", "pages": 4}, 2, 2)
        one = await context.run(**query, filter={"term": {"a": 1}}, fetchType="FETCH_ONE")
        assert one.row == {"author": "Ann", "pages": 5}


async def test_operations_of_a_file(context):
    lines = ['{"index": {"_id": "1"}}', '{"n": 1}', '{"delete": {"_id": "2"}}', "", '{"update": {"_id": "3"}}', "{}"]
    with serving(cluster := Scrolls()) as server:
        bulk = {"type": f"{ELASTIC}.Bulk", "connection": {"hosts": [server.url]}}
        uri = await context.files.put("\n".join(lines).encode(), "operations.jsonl")
        assert (await context.run(**bulk, from_=uri, chunk=2)).size == 3
        assert cluster.operations == ["\n".join(lines[:3]) + "\n", "\n".join(lines[4:]) + "\n"]
        for line in ('{"drop": {}}', "[", '"text"'):
            uri = await context.files.put(f"{lines[2]}\n{line}".encode(), "operations.jsonl")
            with pytest.raises(TaskFailed, match=r"Line 2 of operations\.jsonl"):
                await context.run(**bulk, from_=uri)
