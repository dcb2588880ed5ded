"""Services with an API of their own: GitHub, Jira, Airbyte, dbt Cloud, Jenkins, Odoo. Their wire is faked."""

import base64
import json
import xmlrpc.client

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.wire.loopback import Answered, serving

PLUGIN = "io.kestra.plugin"


def routes(table):
    """A handler by method and path; what is not there answers 404 as APIs do."""

    def handle(request):
        found = table.get((request.method, request.path))
        if found is None:
            return Answered({"message": "Not Found"}, 404)
        return found(request) if callable(found) else Answered(found)

    return handle


async def test_github_issues_and_pulls(make_context):
    issue = {"html_url": "https://github.test/o/r/issues/7", "number": 7}
    pull = {"html_url": "https://github.test/o/r/pull/8", "number": 8, "issue_url": "https://api.github.test/issues/8"}
    comment = {"html_url": "https://github.test/o/r/issues/7#issuecomment-1"}

    def search(request):
        page = int(request.query["page"])
        rows = [{"number": n} for n in range((page - 1) * 100, min(page * 100, 130))]
        return Answered({"total_count": 130, "items": rows})

    table = {
        ("POST", "/repos/o/r/issues"): issue,
        ("POST", "/repos/o/r/issues/7/comments"): comment,
        ("POST", "/repos/o/r/pulls"): pull,
        ("GET", "/search/issues"): search,
        ("POST", "/repos/o/r/actions/workflows/deploy.yml/dispatches"): lambda request: Answered(status=204),
    }
    with serving(routes(table)) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        who = {"oauthToken": "t0ken", "repository": "o/r"}
        made = await context.run(
            type=f"{PLUGIN}.github.issues.Create", **who, title="T", body='a "b"', labels=["bug"], assignees=["ann"]
        )
        assert (made.issueNumber, made.issueUrl) == (7, issue["html_url"])
        assert github.last.json == {"title": "T", "body": 'a "b"', "labels": ["bug"], "assignees": ["ann"]}
        assert github.last.headers["authorization"] == "Bearer t0ken"
        said = await context.run(type=f"{PLUGIN}.github.issues.Comment", **who, issueNumber="7", body="x")
        assert (said.issueUrl, said.commentUrl) == (issue["html_url"], comment["html_url"])
        made = await context.run(
            type=f"{PLUGIN}.github.pulls.Create", **who, sourceBranch="a", targetBranch="main", title="T"
        )
        assert (made.pullRequestNumber, github.last.json["head"]) == (8, "a")
        found = await context.run(type=f"{PLUGIN}.github.issues.Search", **who, query="fire in:title", open=True)
        assert (len(context.files.text(found.uri).splitlines()), found.size) == (130, 130)
        found = await context.run(type=f"{PLUGIN}.github.issues.Search", **who, query="x", fetchType="FETCH")
        assert (len(found.rows), found.uri) == (130, None)
        found = await context.run(
            type=f"{PLUGIN}.github.issues.Search", **who, query="fire in:title", open=True, fetchType="FETCH_ONE"
        )
        assert isinstance(found.row, dict)
        assert found.size == 1
        assert github.last.query["q"] == "fire in:title is:issue repo:o/r state:open"
        await context.run(
            type=f"{PLUGIN}.github.pulls.Search", **who, author="ann", createdAfter="2026-01-01", is_="draft"
        )
        assert github.last.query["q"] == "is:pr repo:o/r is:draft created:>=2026-01-01 author:ann"
        run = {"type": f"{PLUGIN}.github.actions.RunWorkflow", **who, "workflowId": "deploy.yml", "ref": "main"}
        assert await context.run(**run, inputs={"n": 1}) is None
        assert github.last.json == {"ref": "main", "inputs": {"n": "1"}}
        assert "t0ken" in context.masked
        with pytest.raises(TaskFailed, match="GitHub answered 404: Not Found"):
            await context.run(type=f"{PLUGIN}.github.issues.Create", **{**who, "repository": "o/x"}, title="T")
        with pytest.raises(TaskFailed, match="owner/name"):
            await context.run(type=f"{PLUGIN}.github.issues.Create", **{**who, "repository": "o/../x"}, title="T")


async def test_an_issue_of_github_has_the_fields_of_its_organization(make_context):
    fields = [{"id": 1, "node_id": "IFT_1", "name": "Customer"}, {"id": 2, "node_id": "IFSS_2", "name": "Stage"}]
    issue = {"html_url": "https://github.test/o/r/issues/7", "number": 7}
    with serving(routes({("GET", "/orgs/o/issue-fields"): fields, ("POST", "/repos/o/r/issues"): issue})) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        create = {"type": f"{PLUGIN}.github.issues.Create", "oauthToken": "t", "repository": "o/r", "title": "T"}
        await context.run(**create, fields={"Stage": "In review", "IFT_1": "ACME"})
        values = [{"field_id": 2, "value": "In review"}, {"field_id": 1, "value": "ACME"}]
        assert github.last.json == {"title": "T", "issue_field_values": values}
        with pytest.raises(TaskFailed, match=r"o has no issue field 'Size'\..*It has: Customer, Stage\."):
            await context.run(**create, fields={"Stage": "In review", "Size": 3})
        assert github.last.method == "GET"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("issues.Create", {"title": "T"}),
        ("issues.Comment", {"issueNumber": 7, "body": "x"}),
        ("issues.Search", {"query": "x"}),
        ("pulls.Create", {"title": "T", "sourceBranch": "a", "targetBranch": "b"}),
    ],
)
@pytest.mark.parametrize("told", [{}, ["x"]])
async def test_odd_answers_of_github_end_in_a_sentence(make_context, name, given, told):
    with serving(lambda request: Answered(told)) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        with pytest.raises(TaskFailed, match="GitHub answered without `"):
            await context.run(type=f"{PLUGIN}.github.{name}", oauthToken="t", repository="o/r", **given)


async def test_names_reach_github_as_they_are(context):
    with serving(lambda request: Answered(status=204)) as github:
        run = {"type": f"{PLUGIN}.github.actions.RunWorkflow", "oauthToken": "t", "ref": "main"}
        await context.run(**run, endpoint=github.url, repository="o/r?x", workflowId="a/b.yml")
    assert github.last.path == "/repos/o/r?x/actions/workflows/a/b.yml/dispatches"
    assert github.last.query == {}


async def test_what_is_found_at_github_is_told_as_flows_read_it(make_context):
    issue = {
        "number": 7,
        "url": "https://api.github.test/repos/o/r/issues/7",
        "html_url": "https://github.test/o/r/issues/7",
        "repository_url": "https://api.github.test/repos/o/r",
        "state": "closed",
        "state_reason": "completed",
        "user": {"login": "ann"},
        "assignee": {"login": "bob"},
        "assignees": [{"login": "bob"}],
        "labels": [{"name": "bug"}],
    }
    with serving(routes({("GET", "/search/issues"): {"total_count": 1, "items": [issue]}})) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        search = {"type": f"{PLUGIN}.github.issues.Search", "oauthToken": "t", "fetchType": "FETCH_ONE"}
        row = (await context.run(**search, mentions="ann")).row
        assert (row["url"], row["owner"], row["assignee"]) == (issue["html_url"], "ann", "bob")
        assert (row["assignees"], row["labels"]) == (["bob"], ["bug"])
        assert (row["state"], row["state_reason"]) == ("CLOSED", "COMPLETED")
        assert (row["repository_name"], row["repository_url"]) == ("r", "https://github.test/o/r")
        asked = github.last.query
        assert (asked["q"], asked["sort"], asked["order"]) == ("is:issue mentions:ann", "created", "asc")
        await context.run(**search, query="is:pr fire")
        assert github.last.query["q"] == "is:pr fire"
        await context.run(**search, merged=True)
        assert github.last.query["q"] == "is:pr is:merged"
        pulls = {**search, "type": f"{PLUGIN}.github.pulls.Search"}
        await context.run(**pulls, title="two words", createdByMe=True, mentions="ann")
        assert github.last.query["q"] == '"two words" in:title is:pr mentions:ann author:@me'
        assert github.last.query["sort"] == "created"


async def test_an_app_of_github_gets_a_token_that_other_tasks_take(make_context):
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    granted = {"token": "ghs_1", "expires_at": "2026-01-01T00:00:00Z"}
    comment = {"html_url": "https://github.test/o/r/issues/7#issuecomment-1"}
    table = {("POST", "/app/installations/5/access_tokens"): granted, ("POST", "/repos/o/r/issues/7/comments"): comment}
    with serving(routes(table)) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        ask = {"type": f"{PLUGIN}.github.auth.AppToken", "clientId": "Iv23", "installationId": "5"}
        found = await context.run(**ask, privateKey=pem)
        assert (found.token, found.expiresAt) == (granted["token"], granted["expires_at"])
        header, claims, signature = github.last.headers["authorization"].removeprefix("Bearer ").split(".")
        decoded = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (header, claims, signature)]
        key.public_key().verify(decoded[2], f"{header}.{claims}".encode(), PKCS1v15(), SHA256())
        said = json.loads(decoded[1])
        assert (said["iss"], said["exp"] - said["iat"]) == ("Iv23", 590)
        assert {pem, "ghs_1"} <= set(context.masked)
        with pytest.raises(TaskFailed, match="not a private key"):
            await context.run(**ask, privateKey="x")
        with pytest.raises(TaskFailed, match="not a number"):
            await context.run(**{**ask, "installationId": "5/.."}, privateKey=pem)
        who = {"appInstallationToken": found.token, "repository": "o/r"}
        await context.run(type=f"{PLUGIN}.github.issues.Comment", **who, issueNumber=7, body="x")
        assert github.last.headers["authorization"] == "Bearer ghs_1"


async def test_code_and_commits_of_github_are_told_as_flows_read_them(make_context):
    code = {"name": "a.py", "html_url": "https://github.test/a", "repository": {"name": "r", "html_url": "https://r"}}
    commit = {
        "sha": "abc",
        "url": "https://api.github.test/abc",
        "html_url": "https://github.test/abc",
        "author": {"login": "ann"},
        "repository": {"name": "r"},
        "commit": {"message": "M", "author": {"date": "2026-01-01T00:00:00Z"}, "tree": {"sha": "t"}},
    }
    table = {
        ("GET", f"/search/{kind}"): {"total_count": 1, "items": [row]}
        for kind, row in (("code", code), ("commits", commit))
    }
    with serving(routes(table)) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        ask = {"oauthToken": "t", "query": "x", "fetchType": "FETCH_ONE"}
        row = (await context.run(type=f"{PLUGIN}.github.code.Search", **ask)).row
        assert (row["repository_name"], row["repository_url"], row["url"]) == ("r", "https://r", code["html_url"])
        row = (await context.run(type=f"{PLUGIN}.github.commits.Search", **ask)).row
        assert (row["author"], row["repository"], row["message"], row["tree_sha"]) == ("ann", "r", "M", "t")
        assert (row["url"], row["authored_date"]) == (commit["html_url"], "2026-01-01T00:00:00Z")


async def test_people_and_repositories_of_github_are_told_as_flows_read_them(make_context):
    ann = {"login": "ann", "node_id": "U1", "url": "https://api.test/ann", "html_url": "https://h/ann", "type": "User"}
    shop = {
        "name": "shop", "full_name": "ann/shop", "node_id": "R1", "html_url": "https://h/ann/shop", "owner": ann,
        "forks_count": 3, "stargazers_count": 5, "open_issues_count": 7, "updated_at": "2026-01-02T00:00:00Z",
    }  # fmt: skip
    known = {
        "U1": {"id": "U1", "name": "Ann", "location": "Oslo", "followers": {"totalCount": 2}},
        "R1": {"id": "R1", "pullRequests": {"totalCount": 4}},
    }
    refused = False

    def graphql(request):
        if refused:
            return Answered({"message": "Resource not accessible"}, 403)
        return Answered({"data": {"nodes": [known[key] for key in request.json["variables"]["ids"]]}})

    table = {
        ("GET", f"/api/v3/search/{kind}"): {"total_count": 1, "items": [row]}
        for kind, row in (("users", ann), ("repositories", shop))
    }
    with serving(routes({**table, ("POST", "/api/graphql"): graphql})) as github:
        context = make_context({"providers": {"github": {"base_url": f"{github.url}/api/v3"}}})

        async def found(kind, **more):
            ask = {"type": f"{PLUGIN}.github.{kind}.Search", "query": "x", "fetchType": "FETCH_ONE"}
            return (await context.run(**ask, **more)).row

        row = await found("users", oauthToken="t")
        assert (row["username"], row["url"], row["name"], row["location"]) == ("ann", "https://h/ann", "Ann", "Oslo")
        assert (row["followers"], row["following"], row["company"]) == (2, 0, None)
        row = await found("repositories", oauthToken="t")
        assert (row["owner"], row["url"], row["updated"]) == ("ann", "https://h/ann/shop", "2026-01-02T00:00:00Z")
        counts = ("task_count", "stars_count", "issues_count", "pull_request_count")
        assert [row[name] for name in counts] == [3, 5, 7, 4]
        refused = True
        assert (await found("users", oauthToken="t"))["username"] == "ann"
        assert any("told in part only" in line for _, line in context.lines)
        github.requests.clear()
        assert (await found("users"))["name"] is None
        assert [request.method for request in github.requests] == ["GET"]


async def test_the_issues_on_a_board_of_github(make_context):
    def item(number, status, *labels, owner=None):
        values = [{"name": status, "field": {"name": "Status"}}, {"number": 3.0, "field": {"name": "Size"}}, {}]
        if owner:
            values.append({"text": owner, "field": {"name": "Owner"}})
        named = {"nodes": [{"name": label} for label in labels]}
        issue = {"number": number, "title": f"T{number}", "repository": {"name": "r"}, "labels": named}
        return {"content": issue, "fieldValues": {"nodes": values}}

    pages = {
        None: ([item(1, "Done", "bug", owner="ann"), {"content": None}, {"content": {}}], True, "c1"),
        "c1": ([item(2, "Todo", "bug"), item(3, "Done")], False, None),
    }

    def answer(request):
        variables = request.json["variables"]
        if variables["number"] == 9:
            return Answered({"data": {"organization": {"projectV2": None}}})
        if variables["number"] == 8:
            return Answered({"errors": [{"type": "FORBIDDEN", "message": "Resource not accessible"}]})
        nodes, more, cursor = pages[variables["after"]]
        items = {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": cursor}}
        return Answered({"data": {"organization": {"projectV2": {"items": items}}}})

    with serving(routes({("POST", "/graphql"): answer})) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        ask = {"type": f"{PLUGIN}.github.projects.List", "oauthToken": "t", "organization": "o", "projectNumber": 1}
        found = await context.run(**ask)
        assert (len(context.files.text(found.uri).splitlines()), found.size) == (3, 3)
        ask["fetchType"] = "FETCH"
        rows = (await context.run(**ask, status=["Done"], labels=["bug"], fields={"Owner": "ann"})).rows
        assert [(row["number"], row["status"], row["Size"], row["repository"]) for row in rows] == [
            (1, "Done", "3", "r")
        ]
        assert [row["number"] for row in (await context.run(**ask, limit=2)).rows] == [1, 2]
        with serving(routes({("POST", "/api/graphql"): answer})) as enterprise:
            assert len((await context.run(**ask, endpoint=f"{enterprise.url}/api/v3")).rows) == 3
        with pytest.raises(TaskFailed, match="There is no project 9 of o"):
            await context.run(**{**ask, "projectNumber": 9})
        with pytest.raises(TaskFailed, match=r"Resource not accessible.*read:project"):
            await context.run(**{**ask, "projectNumber": 8})


SEARCHES = {
    "code": (
        {"query": "addClass", "in": "file", "language": "js", "fork": "FORKS_ONLY"},
        "addClass in:file language:js fork:only",
    ),
    "commits": (
        {"repository": "o/r", "is": "public", "authorDate": ">2026-01-01", "merge": False},
        "repo:o/r is:public author-date:>2026-01-01 merge:false",
    ),
    "repositories": ({"user": "o", "visibility": "PUBLIC", "sort": "STARS"}, "user:o is:public"),
    "topics": (
        {"query": "flow", "is": "NOT_CURATED", "repositories": ">100"},
        "flow is:not-curated repositories:>100",
    ),
    "users": (
        {"query": "o", "in": "login", "accountType": "ORGANIZATION", "repositories": 5},
        "o repos:5 in:login type:org",
    ),
}


@pytest.mark.parametrize("kind", SEARCHES)
async def test_what_github_is_searched_for(make_context, kind):
    given, asked = SEARCHES[kind]

    def search(request):
        return Answered({"total_count": 1, "items": [{"name": "x"}]})

    with serving(routes({("GET", f"/search/{kind}"): search})) as github:
        context = make_context({"providers": {"github": {"base_url": github.url}}})
        declared = {name if name not in ("in", "is") else f"{name}_": value for name, value in given.items()}
        found = await context.run(type=f"{PLUGIN}.github.{kind}.Search", oauthToken="t", order="DESC", **declared)
        assert json.loads(context.files.text(found.uri))["name"] == "x"
        assert github.last.query["q"] == asked
        sort = {"commits": "committer-date", "repositories": "stars", "users": "joined"}
        assert github.last.query.get("sort") == sort.get(kind)


def test_a_workflow_of_github_starts_under_its_older_names():
    assert catalogue().canonical(f"{PLUGIN}.github.workflows.Dispatch") == f"{PLUGIN}.github.actions.RunWorkflow"


async def test_jira(context):
    made = {"id": "1", "key": "OPS-12"}
    table = {
        ("POST", "/rest/api/2/issue"): made,
        ("POST", "/rest/api/2/issue/OPS-12/comment"): {"id": "5"},
        ("PUT", "/rest/api/2/issue/OPS-12"): lambda request: Answered(status=204),
        ("GET", "/rest/api/2/issue/OPS-12"): {"key": "OPS-12", "fields": {"summary": "S"}},
    }
    with serving(routes(table)) as jira:
        who = {"baseUrl": jira.url, "username": "ann", "password": "s3cret"}
        issue = {"projectKey": "OPS", "summary": "S", "description": "D", "labels": ["a"], "issueTypeId": "10001"}
        found = await context.run(type=f"{PLUGIN}.jira.issues.Create", **who, **issue)
        assert (found.key, found.url) == ("OPS-12", f"{jira.url}/browse/OPS-12")
        assert (jira.last.json["fields"]["issuetype"], jira.last.json["fields"]["labels"]) == ({"id": "10001"}, ["a"])
        for priority, told in (("High", {"name": "High"}), ("2", {"id": "2"})):
            await context.run(type=f"{PLUGIN}.jira.issues.Create", **who, projectKey="OPS", priority=priority)
            fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "priority": told}
            assert jira.last.json == {"fields": fields}
        with pytest.raises(TaskFailed, match="needs a project"):
            await context.run(type=f"{PLUGIN}.jira.issues.Create", **who, summary="S")
        pair = base64.b64decode(jira.last.headers["authorization"].split()[1]).decode()
        assert pair == "ann:s3cret"
        await context.run(
            type=f"{PLUGIN}.jira.issues.CreateComment", **who, projectKey="OPS", issueIdOrKey="OPS-12", body="x"
        )
        assert jira.last.json == {"body": "x"}
        await context.run(type=f"{PLUGIN}.jira.issues.UpdateFields", **who, issueIdOrKey="OPS-12", fields={"a": 1})
        assert jira.last.json == {"fields": {"a": 1}}
        found = await context.run(
            type=f"{PLUGIN}.jira.issues.Get", baseUrl=jira.url, accessToken="t", issueIdOrKey="OPS-12"
        )
        assert found.issue["fields"] == {"summary": "S"}
        assert jira.last.headers["authorization"] == "Bearer t"
        with pytest.raises(TaskFailed, match="who asks"):
            await context.run(type=f"{PLUGIN}.jira.issues.Create", baseUrl=jira.url, **issue)
    refusal = {"errorMessages": [], "errors": {"issuetype": "The issue type selected is invalid."}}
    said = r"Jira answered 400: .*issue type selected is invalid"
    with serving(lambda request: Answered(refusal, 400)) as jira, pytest.raises(TaskFailed, match=said):
        await context.run(type=f"{PLUGIN}.jira.issues.Create", **{**who, "baseUrl": jira.url}, **issue)


class Jobs:
    """An Airbyte server whose jobs need a few looks."""

    def __init__(self, ends="succeeded"):
        self.looks, self.ends = 0, ends

    def __call__(self, request):
        running = self.looks < 2
        self.looks += request.method == "GET" or request.path.endswith("/get")
        status = "running" if running else self.ends
        if request.path == "/v1/applications/token":
            return Answered({"access_token": "fresh"})
        if request.path.startswith("/v1/jobs"):
            more = {} if running else {"bytesSynced": 10, "rowsSynced": 2, "duration": "PT3S"}
            return Answered({"jobId": 5, "status": status, "jobType": "sync", **more})
        return Answered({"job": {"id": 5, "status": status}})


QUICK = {"pollFrequency": "PT0.01S"}


async def test_what_jira_is_asked_for(context):
    issue = {"key": "OPS-12", "fields": {"summary": "S"}}
    comments = [{"id": "5", "body": "x"}, {"id": "6", "body": "y"}]
    table = {
        ("GET", "/rest/api/2/issue/OPS-12"): issue,
        ("GET", "/rest/api/2/search"): {"issues": [issue]},
        ("GET", "/rest/api/2/issue/OPS-12/comment"): {"comments": comments},
        ("GET", "/rest/api/2/issue/OPS-12/comment/5"): comments[0],
        ("PUT", "/rest/api/2/issue/OPS-12"): lambda request: Answered(status=204),
    }
    with serving(routes(table)) as jira:
        who = {"baseUrl": jira.url, "accessToken": "t"}
        get = {"type": f"{PLUGIN}.jira.issues.Get", **who}
        found = await context.run(**get, issueIdOrKey="OPS-12")
        assert (found.row, found.issue, found.size) == (issue, issue, 1)
        found = await context.run(**get, jql="project = OPS", fetchType="FETCH", maxResults=10)
        assert (found.rows, found.size) == ([issue], 1)
        assert jira.last.query == {"jql": "project = OPS", "maxResults": "10"}
        found = await context.run(**get, jql="project = OPS", fetchType="STORE")
        assert json.loads(context.files.text(found.uri)) == [issue]
        assert (await context.run(**get, fetchType="NONE")).size == 0
        with pytest.raises(TaskFailed, match="Give `issueIdOrKey`"):
            await context.run(**get, jql="project = OPS")
        with pytest.raises(TaskFailed, match="Give `jql`"):
            await context.run(**get, issueIdOrKey="OPS-12", fetchType="FETCH")
        get = {"type": f"{PLUGIN}.jira.comments.Get", **who, "issueIdOrKey": "OPS-12"}
        assert (await context.run(**get)).rows == comments
        assert (await context.run(**get, commentId="5", fetchType="FETCH_ONE")).row == comments[0]
        odd = {"issueIdOrKey": "OPS-12?a/b", "commentId": "5/6", "fetchType": "FETCH_ONE"}
        with pytest.raises(TaskFailed, match="answered 404"):
            await context.run(**get | odd)
        assert (jira.last.path, jira.last.query) == ("/rest/api/2/issue/OPS-12?a/b/comment/5/6", {})
        with pytest.raises(TaskFailed, match="Give `commentId`"):
            await context.run(**get, fetchType="FETCH_ONE")
        change = {"issueIdOrKey": "OPS-12", "fields": {"a": 1}, "summary": "S", "issueTypeId": "1", "labels": ["a"]}
        await context.run(type=f"{PLUGIN}.jira.issues.UpdateFields", **who, **change, description="D")
        assert jira.last.json == {"fields": {"a": 1}}


async def test_airbyte_in_the_cloud(make_context):
    with serving(Jobs()) as airbyte:
        context = make_context({"providers": {"airbyte": {"base_url": airbyte.url}}})
        sync = {"type": f"{PLUGIN}.airbyte.cloud.jobs.Sync", "connectionId": "c", **QUICK}
        done = await context.run(**sync, clientId="id", clientSecret="s3cret")
        assert done.job["status"] == "succeeded"
        assert airbyte.requests[1].json == {"connectionId": "c", "jobType": "sync"}
        assert airbyte.last.headers["authorization"] == "Bearer fresh"
        assert (context.metrics["rows_synced"], context.metrics["duration"]) == (2, 3)
        begun = await context.run(**sync, token="t", wait=False)
        assert begun.job["jobId"] == 5
        with serving(lambda request: Answered({"access_token": "theirs"})) as other:
            who = {"clientId": "id", "clientSecret": "s3cret", "tokenURL": f"{other.url}/token?a=b"}
            await context.run(**sync, **who, wait=False)
        assert (other.last.path, airbyte.last.headers["authorization"]) == ("/token", "Bearer theirs")
        await context.run(**{**sync, "type": f"{PLUGIN}.airbyte.cloud.jobs.Reset"}, token="t", wait=False)
        assert airbyte.last.json == {"connectionId": "c", "jobType": "reset"}
        with pytest.raises(TaskFailed, match="who asks"):
            await context.run(**sync)
    with serving(Jobs("failed")) as airbyte:
        context = make_context({"providers": {"airbyte": {"base_url": airbyte.url}}})
        with pytest.raises(TaskFailed, match="The job 5 ended as failed") as failed:
            await context.run(**sync, token="t")
        assert failed.value.outputs["job"]["jobId"] == 5


async def test_airbyte_on_one_s_own_server(context):
    with serving(Jobs()) as airbyte:
        who = {"url": airbyte.url, "username": "ann", "password": "s3cret", **QUICK}
        done = await context.run(type=f"{PLUGIN}.airbyte.connections.Sync", **who, connectionId="c")
        assert (done.jobId, done.alreadyRunning, done.adopted) == (5, False, False)
        assert [request.path for request in airbyte.requests][:2] == ["/api/v1/connections/sync", "/api/v1/jobs/get"]
        assert airbyte.last.headers["authorization"].startswith("Basic ")
        check = await context.run(type=f"{PLUGIN}.airbyte.connections.CheckStatus", **who, jobId="5")
        assert check.finalJobStatus == "succeeded"
    with serving(lambda request: Answered({"message": "A sync is already running"}, 409)) as airbyte:
        sync = {"type": f"{PLUGIN}.airbyte.connections.Sync", "url": airbyte.url, "connectionId": "c"}
        with pytest.raises(TaskFailed, match="answered 409"):
            await context.run(**sync)
        assert (await context.run(**sync, failOnActiveSync=False)).alreadyRunning


class Dbt:
    """dbt Cloud with one run."""

    def __init__(self, ends=10):
        self.looks, self.ends = 0, ends

    def __call__(self, request):
        base = "/api/v2/accounts/1"
        if request.path == f"{base}/jobs/7/run/":
            return Answered({"data": {"id": 99}})
        if request.path == f"{base}/runs/":
            tagged = {"id": 98, "status": 1, "trigger": {"cause": "x [01EXECUTION.1]"}}
            return Answered({"data": [{"id": 97, "status": 1, "trigger": {"cause": "x"}}, tagged]})
        if request.path.endswith("run_results.json"):
            return Answered({"results": []})
        if "/artifacts/" in request.path:
            return Answered({"status": {"user_message": "not found"}}, 404)
        self.looks += 1
        done = self.looks > 2
        step = {"id": 1, "name": "dbt run", "status_humanized": "Success" if done else "Running"}
        status = {"status": self.ends if done else 3, "status_humanized": "Error", "status_message": "Model x failed."}
        return Answered({"data": {"id": 99, "run_steps": [step], **status}})


async def test_dbt_cloud(context):
    with serving(Dbt()) as dbt:
        who = {"accountId": "1", "token": "t0ken", "baseUrl": dbt.url, **QUICK}
        trigger = {"type": f"{PLUGIN}.dbt.cloud.TriggerRun", **who, "jobId": "7"}
        done = await context.run(**trigger, gitBranch="main", stepsOverride=["dbt run"], cause="Because")
        assert (done.runId, done.manifest) == ("99", None)
        assert json.loads(context.files.text(done.runResults)) == {"results": []}
        assert dbt.requests[0].json == {"cause": "Because", "git_branch": "main", "steps_override": ["dbt run"]}
        assert dbt.last.headers["authorization"] == "Token t0ken"
        assert [line for _, line in context.lines if line.startswith("dbt run")] == [
            "dbt run: Running",
            "dbt run: Success",
        ]
        assert (await context.run(**trigger, reattach=True, wait=False)).runId == "98"
        assert (await context.run(type=f"{PLUGIN}.dbt.cloud.CheckStatus", **who, runId="99")).runId == "99"
    with serving(Dbt(20)) as dbt, pytest.raises(TaskFailed, match=r"The run 99 ended as Error\. Model x failed\."):
        await context.run(**{**trigger, "baseUrl": dbt.url})
    endless = Answered({"data": {"id": 1, "status": 3}})
    with serving(lambda request: endless) as dbt, pytest.raises(TaskFailed, match="did not end within"):
        await context.run(**{**trigger, "baseUrl": dbt.url}, maxDuration="PT0.05S")


async def test_jenkins(context):
    table = {
        ("POST", "/job/team/job/deploy app/buildWithParameters"): lambda request: Answered(
            status=201, headers={"Location": "http://j/queue/item/3/"}
        ),
        ("POST", "/job/plain/build"): lambda request: Answered(status=201),
        ("GET", "/job/plain/lastBuild/api/json"): {"number": 4, "result": "SUCCESS", "building": False, "url": "u"},
    }
    with serving(routes(table)) as jenkins:
        who = {"serverUri": jenkins.url + "/", "username": "ann", "apiToken": "t0ken"}
        build = {"type": f"{PLUGIN}.jenkins.JobBuild", **who}
        done = await context.run(**build, jobName="team/deploy app", parameters={"branch": "a&b", "n": [1, 2]})
        assert (done.status, done.queueUrl) == (201, "http://j/queue/item/3/")
        assert jenkins.last.body == b"branch=a%26b&n=1&n=2"
        assert (await context.run(**build, jobName="plain")).status == 201
        info = await context.run(type=f"{PLUGIN}.jenkins.JobInfo", **who, jobName="plain")
        assert (info.buildNumber, info.result) == (4, "SUCCESS")
        assert jenkins.last.headers["authorization"].startswith("Basic ")


async def test_odoo(context):
    def handle(request):
        arguments, method = xmlrpc.client.loads(request.body)
        if method == "authenticate":
            answer = 2 if arguments[2] == "s3cret" else False
        else:
            assert arguments[:4] == ("d", 2, "s3cret", "res.partner")
            operation, given, named = arguments[4:]
            if operation == "write" and given[0] == [9]:
                fault = xmlrpc.client.Fault(1, "Traceback (most recent call last):\nMissingError: no such record")
                return Answered(xmlrpc.client.dumps(fault).encode())
            answer = {
                "search_read": [{"id": 1, "given": given, "named": named}],
                "search": [1, 2],
                "search_count": 3,
                "create": 8,
                "write": True,
                "unlink": True,
            }[operation]
        return Answered(xmlrpc.client.dumps((answer,), methodresponse=True).encode())

    with serving(handle) as odoo:
        query = {
            "type": f"{PLUGIN}.odoo.Query", "url": odoo.url, "db": "d", "username": "ann", "password": "s3cret",
            "model": "res.partner",
        }  # fmt: skip
        filters = [["is_company", "=", True]]
        found = await context.run(**query, filters=filters, fields=["name"], limit=5)
        assert found.result == [{"id": 1, "given": [filters], "named": {"limit": 5, "fields": ["name"]}}]
        found = await context.run(**query, fields=["name"], fetchType="FETCH_ONE", operation="SEARCH_READ")
        assert (found.row["id"], found.rows, found.result, found.size) == (1, None, None, 1)
        found = await context.run(**query, operation="SEARCH", fetchType="FETCH")
        assert (found.rows, found.size) == ([{"id": 1}, {"id": 2}], 2)
        found = await context.run(**query, operation="SEARCH", fetchType="STORE")
        assert (found.rows, found.size) == (None, 2)
        assert [json.loads(line)["id"] for line in context.files.text(found.uri).splitlines()] == [1, 2]
        assert (await context.run(**query, operation="CREATE", values={"a": 1})).ids == [8]
        assert (await context.run(**query, operation="UNLINK", ids=["1", 2])).ids == [1, 2]
        counts = {}
        for operation, more in (
            ("search", {}), ("search_count", {}), ("create", {"values": {"a": 1}}), ("unlink", {"ids": [1, 2]}),
            ("write", {"ids": ["1"], "values": {"a": 1}}),
        ):  # fmt: skip
            counts[operation] = (await context.run(**query, operation=operation, **more)).recordCount
        assert counts == {"search": 2, "search_count": 3, "create": 1, "unlink": 2, "write": 1}
        with pytest.raises(TaskFailed, match="Odoo refused: MissingError: no such record"):
            await context.run(**query, operation="write", ids=[9], values={"a": 1})
        with pytest.raises(TaskFailed, match="does not know ann"):
            await context.run(**{**query, "password": "no"})
        with pytest.raises(TaskFailed, match="needs `ids`"):
            await context.run(**query, operation="unlink")
    with serving(lambda request: Answered("<html>")) as page, pytest.raises(TaskFailed, match="not Odoo's XML"):
        await context.run(**{**query, "url": page.url})
