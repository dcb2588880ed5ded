"""Airtable, Weaviate and Linear: each in its own JSON, faked at the wire."""

import json
import re

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

AIRTABLE, WEAVIATE = "io.kestra.plugin.airtable.records", "io.kestra.plugin.weaviate"


class Airtable:
    """One table."""

    def __init__(self):
        self.rows = {f"rec{n}": {"id": f"rec{n}", "createdTime": "2026", "fields": {"n": n}} for n in range(5)}

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer pat":
            return Answered({"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}}, 401)
        key = re.fullmatch(r"/app1/My Tasks(?:/(.+))?", request.path)[1]
        if key is None and request.method == "GET":
            begin = int(request.query.get("offset", 0))
            page = list(self.rows.values())[begin : begin + 2]
            more = {"offset": str(begin + 2)} if begin + 2 < len(self.rows) else {}
            return Answered({"records": page, **more})
        if key is None:
            assert len(request.json["records"]) <= 10
            made = [{"id": f"new{one['fields']['n']}", **one} for one in request.json["records"]]
            self.rows |= {one["id"]: one for one in made}
            return Answered({"records": made})
        if key not in self.rows:
            return Answered({"error": "NOT_FOUND"}, 404)
        if request.method == "DELETE":
            del self.rows[key]
            return Answered({"id": key, "deleted": True})
        if request.method == "PATCH":
            self.rows[key]["fields"] |= request.json["fields"]
        return Answered(self.rows[key])


async def test_airtable(make_context):
    with serving(service := Airtable()) as wire:
        context = make_context({"providers": {"airtable": {"base_url": wire.url}}})

        async def run(name, **given):
            who = {"baseId": "app1", "tableId": "My Tasks", "apiKey": "pat"}
            return await context.run(type=f"{AIRTABLE}.{name}", **{**who, **given})

        first = await run("List", filterByFormula="{a} = 'b&c'", fields=["n", "m"], maxRecords=50)
        assert (first.size, first.rows[1]["fields"]) == (2, {"n": 1})
        assert wire.last.parameters == {
            "filterByFormula": ["{a} = 'b&c'"],
            "fields[]": ["n", "m"],
            "maxRecords": ["50"],
        }
        stored = await run("List", enableAutoPagination=True, fetchType="STORE")
        assert (stored.size, len(context.files.text(stored.uri).splitlines())) == (5, 5)
        made = await run("Create", fields={"n": 10}, typecast=True)
        assert (made.recordIds, wire.last.json["typecast"]) == (["new10"], True)
        assert len((await run("Create", records=[{"n": n} for n in range(20, 35)])).recordIds) == 15
        for wrong in ({}, {"fields": {"n": 1}, "records": [{"n": 2}]}):
            with pytest.raises(TaskFailed, match="not said what to create"):
                await run("Create", **wrong)
        changed = await run("Update", recordId="rec1", fields={"m": "x"})
        assert (changed.recordId, changed.record["fields"]) == ("rec1", {"n": 1, "m": "x"})
        assert (await run("Get", recordId="rec1", fields=["m"])).record["fields"] == {"m": "x"}
        await run("Delete", recordId="rec1")
        assert "rec1" not in service.rows
        with pytest.raises(TaskFailed, match="404: NOT_FOUND"):
            await run("Get", recordId="rec1")
        with pytest.raises(TaskFailed, match="401: Authentication required"):
            await run("List", apiKey="no")
    assert "pat" in context.masked


class Weaviate:
    """Classes and their objects."""

    def __init__(self):
        self.classes, self.objects = {}, []

    def __call__(self, request):
        if request.headers["authorization"] != "Bearer key":
            return Answered({"code": 401, "message": "anonymous access not enabled"}, 401)
        if request.path == "/v1/schema":
            if request.json["class"] in self.classes:
                return Answered({"error": [{"message": "class name Question already exists"}]}, 422)
            self.classes[request.json["class"]] = request.json["properties"]
            return Answered(request.json)
        if request.path == "/v1/graphql":
            if "nonsense" in request.json["query"]:
                return Answered({"data": {"Get": None}, "errors": [{"message": 'Cannot query field "nonsense"'}]})
            assert request.headers["x-openai-api-key"] == "sk"
            return Answered({"data": {"Get": {"Question": [one["properties"] for one in self.objects]}}})
        if request.path == "/v1/batch/objects" and request.method == "POST":
            wrong = any("bad" in one["properties"] for one in request.json["objects"])
            errors = {"errors": {"error": [{"message": "invalid text property 'bad'"}]}} if wrong else {}
            self.objects += request.json["objects"]
            return Answered([{**one, "result": errors} for one in request.json["objects"]])
        if request.path == "/v1/batch/objects":
            self.where = request.json["match"]["where"]
            gone = [{"id": one["id"], "status": "SUCCESS"} for one in self.objects]
            return Answered({"results": {"successful": len(gone), "failed": 0, "objects": gone}})
        assert (request.method, request.path) == ("DELETE", "/v1/objects/Question/u/1")
        return Answered(status=204)


async def test_weaviate(context):
    with serving(service := Weaviate()) as wire:

        async def run(name, **given):
            return await context.run(type=f"{WEAVIATE}.{name}", **{"url": wire.url, "apiKey": "key", **given})

        schema = {"className": "Question", "fields": {"text": ["text"], "points": "int"}}
        assert (await run("SchemaCreate", **schema)).success
        assert service.classes["Question"][1] == {"name": "points", "dataType": ["int"]}
        with pytest.raises(TaskFailed, match="already exists"):
            await run("SchemaCreate", **schema)
        made = await run("BatchCreate", className="Question", objects=[{"text": f"q{n}"} for n in range(250)])
        assert (made.createdCount, len(service.objects)) == (250, 250)
        assert len({one["id"] for one in service.objects}) == 250
        assert context.files.text(made.uri).splitlines()[1] == '{"text": "q1"}'
        uri = await context.files.put(b'{"text": "one"}\n{"text": "two"}\n', "rows.jsonl")
        service.objects.clear()
        assert (await run("BatchCreate", className="Question", objects=uri)).createdCount == 2
        query = {"query": "{ Get { Question { text } } }", "headers": {"X-OpenAI-Api-Key": "sk"}}
        found = await run("Query", **query, fetchType="FETCH")
        assert found.rows == [{"Question": {"text": "one"}}, {"Question": {"text": "two"}}]
        assert (await run("Query", **query, fetchType="FETCH_ONE")).row == {"text": "one"}
        assert json.loads(context.files.text((await run("Query", **query)).uri).splitlines()[1])["Question"]
        with pytest.raises(TaskFailed, match='refused: Cannot query field "nonsense"'):
            await run("Query", query="{ nonsense }")
        with pytest.raises(TaskFailed, match="kept not all objects: invalid text property"):
            await run("BatchCreate", className="Question", objects=[{"bad": 1}])
        with pytest.raises(TaskFailed, match="no map"):
            await run("BatchCreate", className="Question", objects=["text"])
        filtered = {"category": "old*", "points": 3, "open": True}
        gone = await run("Delete", className="Question", filter=filtered)
        assert (gone.success, gone.deletedCount, len(gone.ids)) == (True, 3, 3)
        assert service.where == {
            "operator": "And",
            "operands": [
                {"path": ["category"], "operator": "Like", "valueText": "old*"},
                {"path": ["points"], "operator": "Equal", "valueNumber": 3.0},
                {"path": ["open"], "operator": "Equal", "valueBoolean": True},
            ],
        }
        await run("Delete", className="Question")
        assert service.where["operator"] == "NotEqual"
        assert (await run("Delete", className="Question", objectId="u/1")).deletedCount == 1
        with pytest.raises(TaskFailed, match="anonymous access not enabled"):
            await run("Query", query="{}", apiKey=None)
    assert "key" in context.masked


class Linear:
    """Two pages of teams, some labels, and what was opened."""

    def __init__(self):
        self.opened = []

    def __call__(self, request):
        if request.headers["authorization"] != "lin_api":
            return Answered({"errors": [{"message": "Authentication required, not authenticated"}]}, 401)
        query, variables = request.json["query"], request.json["variables"]
        if "issueCreate" in query:
            if not variables["input"]["title"]:
                return Answered({"errors": [{"message": "Argument Validation Error"}], "data": None})
            self.opened.append(variables["input"])
            return Answered({"data": {"issueCreate": {"success": True, "issue": {"id": "i1"}}}})
        if "teams(" in query:
            nodes = {"id": "t2", "name": "Platform"} if variables["after"] else {"id": "t1", "name": "Sales"}
            more = {"hasNextPage": not variables["after"], "endCursor": "c1"}
            return Answered({"data": {"teams": {"nodes": [nodes], "pageInfo": more}}})
        labels = [{"id": "l1", "name": "Bug"}, {"id": "l2", "name": "Idea"}]
        return Answered({"data": {"issueLabels": {"nodes": labels, "pageInfo": {"hasNextPage": False}}}})


async def test_linear(make_context):
    with serving(service := Linear()) as wire:
        context = make_context({"providers": {"linear": {"base_url": wire.url}}})

        async def run(**given):
            issue = {"type": "io.kestra.plugin.linear.issues.Create", "token": "lin_api", "team": "platform"}
            return await context.run(**{**issue, "title": "Down", **given})

        made = await run(description="Since 8", labels=["Bug", "Urgent"])
        assert (made.isSuccess, made.issueId) == (True, "i1")
        assert service.opened == [{"teamId": "t2", "title": "Down", "description": "Since 8", "labelIds": ["l1"]}]
        assert context.said("no label Urgent", "WARN")
        with pytest.raises(TaskFailed, match=r"no team 'Nobody'.*There are: Platform, Sales"):
            await run(team="Nobody")
        with pytest.raises(TaskFailed, match="refused: Argument Validation Error"):
            await run(title="")
        with pytest.raises(TaskFailed, match=r"401.*not authenticated"):
            await run(token="no")
    assert "lin_api" in context.masked
