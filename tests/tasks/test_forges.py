"""GitLab, GraphQL, n8n and Power BI: each in its own JSON, faked at the wire."""

import base64
import json

import pytest

from engine.errors import TaskFailed
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"


def gitlab(request):
    if request.headers["private-token"] != "glpat":
        return Answered({"message": "401 Unauthorized"}, 401)
    if request.path == "/api/v4/projects/group/shop/issues" and request.method == "GET":
        return Answered([{"iid": 7, "title": "slow"}, {"iid": 8, "title": "down"}])
    if request.path == "/api/v4/projects/12/issues":
        return Answered({"id": 84, "iid": 14, "web_url": "https://gitlab.test/12/14", **request.json}, 201)
    if request.path == "/proxy/projects/12/merge_requests":
        if request.json["source_branch"] == "none":
            return Answered({"message": {"source_branch": ["does not exist"]}}, 400)
        return Answered({"id": 1, "web_url": "https://gitlab.test/12/mr/1"}, 201)
    return Answered({"message": "404 Project Not Found"}, 404)


async def test_gitlab(context):
    with serving(gitlab) as wire:

        async def run(name, **given):
            who = {"url": wire.url, "token": "glpat", "projectId": "12"}
            return await context.run(type=f"{PLUGIN}.gitlab.{name}", **{**who, **given})

        made = await run("issues.Create", title="Down", issueDescription="Since 8", labels=["bug", "urgent"])
        assert (made.issueId, made.issueIid, made.webUrl) == ("84", 14, "https://gitlab.test/12/14")
        assert wire.last.json == {"title": "Down", "description": "Since 8", "labels": ["bug", "urgent"]}
        for project in ("group/shop", "group%2Fshop"):
            found = await run("issues.Search", projectId=project, search="a&b", labels=["bug", "urgent"])
            assert (found.count, found.issues[1]["title"], found.statusCode) == (2, "down", 200)
            assert wire.last.query == {"state": "opened", "search": "a&b", "labels": "bug,urgent"}
        merge = {"title": "Prices", "targetBranch": "main", "apiPath": "proxy/projects"}
        for name in ("mergerequests.Create", "MergeRequest"):
            assert (await run(name, **merge, sourceBranch="prices")).mergeReqID == "1"
        with pytest.raises(TaskFailed, match=r"GitLab answered 400: .*does not exist"):
            await run("mergerequests.Create", **merge, sourceBranch="none")
        with pytest.raises(TaskFailed, match=r"404 Project Not Found"):
            await run("issues.Search", projectId="a?b/../c")
        with pytest.raises(TaskFailed, match=r"404 Project Not Found"):
            await run("issues.Search", projectId="12/../../../user/keys?x=%")
        assert wire.last.path.startswith("/api/v4/projects/12/")
        with pytest.raises(TaskFailed, match=r"401.*Check the credentials"):
            await run("issues.Search", token="no")
    assert "glpat" in context.masked


def graphql(request):
    asked = request.json
    assert request.headers["content-type"] == "application/json"
    if "nonsense" in asked["query"]:
        return Answered({"data": None, "errors": [{"message": "Cannot query field 'nonsense'"}]})
    if "broken" in asked["query"]:
        return Answered("<html>", 200)
    return Answered({"data": {"asked": asked, "who": request.headers.get("authorization")}})


async def test_graphql(context):
    with serving(graphql) as wire:

        async def run(**given):
            return await context.run(type=f"{PLUGIN}.graphql.Request", uri=f"{wire.url}/graphql", **given)

        variables = {"id": 7, "tags": ["a"]}
        found = await run(
            query="query A { a }", variables=variables, operationName="A", headers={"Authorization": "Bearer x"}
        )
        assert found.body == {
            "asked": {"query": "query A { a }", "variables": variables, "operationName": "A"},
            "who": "Bearer x",
        }
        assert (found.code, found.error) == (200, None)
        told = await run(query="{ nonsense }")
        assert (told.body, told.error) == (None, [{"message": "Cannot query field 'nonsense'"}])
        with pytest.raises(TaskFailed, match=r"The query failed: Cannot query field 'nonsense'"):
            await run(query="{ nonsense }", failOnGraphQLErrors=True)
        with pytest.raises(TaskFailed, match="not JSON"):
            await run(query="{ broken }")
        sealed = await run(query="{ a }", encryptBody=True)
        assert (sealed.body, json.loads(sealed.encryptedBody)["data"]["asked"]) == (None, {"query": "{ a }"})
        assert sealed.encryptedBody in context.masked


def n8n(request):
    if request.path == "/webhook/off":
        return Answered({"code": 404, "message": 'The requested webhook "off" is not registered.'}, 404)
    told = {"method": request.method, "query": request.query, "authorization": request.headers.get("authorization")}
    if request.headers["x-key"]:
        return Answered(request.body.decode().upper())
    return Answered({**told, "json": request.json if request.body else None})


async def test_n8n(context):
    with serving(n8n) as wire:

        async def run(path="on", **given):
            given = {"method": "POST", **given}
            return await context.run(
                type=f"{PLUGIN}.n8n.webhook.TriggerWorkflow", uri=f"{wire.url}/webhook/{path}", **given
            )

        user = {"type": "BasicAuth", "username": "flows", "password": "s3cret"}
        done = await run(body={"order": 7}, queryParameters={"a": 1, "b": ["x"]}, authentication=user)
        assert done.body == {
            "method": "POST",
            "query": {"a": "1", "b": '["x"]'},
            "authorization": "Basic " + base64.b64encode(b"flows:s3cret").decode(),
            "json": {"order": 7},
        }
        token = {"type": "JWTAuth", "jwt": "j.w.t"}
        assert (await run(method="GET", authentication=token)).body["authorization"] == "Bearer j.w.t"
        key = {"type": "HeaderAuth", "name": "X-Key", "value": "k3y"}
        uri = await context.files.put(b"a;b", "rows.csv")
        done = await run(authentication=key, from_=uri, contentType="TEXT")
        assert (done.body, wire.last.headers["content-type"]) == ("A;B", "text/plain")
        assert (await run(wait=False)).body is None
        with pytest.raises(TaskFailed, match=r"n8n answered 404: .*is not registered"):
            await run("off")
        with pytest.raises(TaskFailed, match="Both `from` and `body`"):
            await run(from_=uri, body={"a": 1})
        with pytest.raises(TaskFailed, match="has no header"):
            await run(authentication={"type": "HeaderAuth"})
    assert {"s3cret", "j.w.t", "k3y"} <= set(context.masked)


class PowerBi:
    """One dataset; a refresh ends as told at the third look."""

    def __init__(self, ends):
        self.ends, self.looks = ends, 0

    def __call__(self, request):
        if request.path == "/acme/oauth2/token":
            good = request.form["client_secret"] == "s3cret"
            return Answered({"access_token": "t0ken"} if good else {"error": "invalid_client"}, 200 if good else 401)
        assert request.headers["authorization"] == "Bearer t0ken"
        assert request.path == "/v1.0/myorg/groups/g1/datasets/d1/refreshes"
        if request.method == "POST":
            return Answered(None, 202, headers={"RequestId": "r1"})
        self.looks += 1
        status = self.ends if self.looks == 3 else "Unknown"
        return Answered({"value": [{"requestId": "r0", "status": "Failed"}, {"requestId": "r1", "status": status}]})


async def test_power_bi(make_context):
    who = {"tenantId": "acme", "clientId": "c", "clientSecret": "s3cret", "groupId": "g1", "datasetId": "d1"}
    refresh = {"type": f"{PLUGIN}.powerbi.RefreshGroupDataset", **who, "pollDuration": "PT0.01S"}

    async def run(ends="Completed", **given):
        with serving(PowerBi(ends)) as wire:
            context = make_context({"providers": {name: {"base_url": wire.url} for name in ("powerbi", "entra")}})
            done = await context.run(**{**refresh, **given})
            assert {"s3cret", "t0ken"} <= set(context.masked)
            return done

    assert (await run()).requestId == "r1"
    assert (await run(wait=True)).status == "Completed"
    with pytest.raises(TaskFailed, match=r"The refresh r1 ended as Failed: nothing more"):
        await run("Failed", wait=True)
    with pytest.raises(TaskFailed, match="did not end within"):
        await run("Unknown", wait=True, waitDuration="PT0S")
    with pytest.raises(TaskFailed, match="401: invalid_client"):
        await run(clientSecret="no")
    with pytest.raises(TaskFailed, match="not said what to refresh"):
        await make_context().run(**{**refresh, "groupId": None})
    fabric = "io.kestra.plugin.microsoft.fabric.powerbi.RefreshGroupDataset"
    assert (await run(type=fabric)).requestId == "r1"
