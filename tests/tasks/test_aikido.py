"""Scans, reports and findings of Aikido: its REST API, faked at the wire."""

import pytest

from engine.errors import TaskFailed
from engine.plugin import Look
from engine.tasks import catalogue
from tests.wire.loopback import Answered, serving

AIKIDO = "io.kestra.plugin.aikido"
AT = "/api/public/v1"


class Account:
    """Repositories, images and domains whose scans end at the second look, and groups of findings."""

    def __init__(self):
        self.looks, self.groups, self.scans = 0, [], []

    def __call__(self, request):
        if request.path == "/api/oauth/token":
            return Answered({"access_token": "t0ken"})
        assert request.headers["authorization"] == "Bearer t0ken"
        path = request.path.removeprefix(AT)
        if path.endswith("/scan"):
            self.scans.append((path, request.query, request.json if request.body else None))
            return Answered(status=204) if "repositories" in path else Answered({"success": 1})
        if path.endswith("/licenses/export"):
            if "/none/" in path:
                return Answered({"reason_phrase": "no scan", "message": "no scan"}, 404)
            return Answered(b"name,license\nhttpx,BSD\n" if request.query["format"] == "csv" else b"{}")
        page, size = int(request.query.get("page", 0)), int(request.query.get("per_page") or 100)
        if path in ("/repositories/code/1", "/containers/c/1", "/domains"):
            self.looks += bool(self.scans)
            about = {"id": 12, "last_scanned_at": 200 if self.looks == 2 else 100}
            return Answered([about] if path == "/domains" else about)
        if path == "/clouds/assets":
            assert request.query["limit"] == "10"
            return Answered({"assets": [{"id": "i-1"}], "totalCount": 1})
        if path == "/issues/export" and request.query.get("format") == "csv":
            return Answered(b"id,severity\n" + b"1,high\n" * 100)
        rows = {
            "/repositories/code": [{"id": n} for n in range(25)],
            "/containers": [{"id": 1}],
            "/issues/export": [{"id": n, "asked": request.parameters} for n in range(150)],
            "/open-issue-groups": self.groups,
        }[path]
        return Answered(rows[page * size : (page + 1) * size])


@pytest.fixture
def account(make_context):
    """An account, and how to run a task or look with a trigger."""
    with serving(account := Account()) as wire:
        account.wire = wire
        context = make_context({"providers": {"aikido": {"base_url": wire.url}}})
        account.context = context
        account.who = {"clientId": "c", "clientSecret": "s3cret"}

        async def run(name, **given):
            return await context.run(type=f"{AIKIDO}.{name}", **account.who, **given)

        account.run = run
        yield account


@pytest.mark.parametrize(
    ("kind", "given", "begun"),
    [
        ("repositories.Scan", {"repositoryId": "1", "iac": False}, "/repositories/code/1/scan"),
        ("containers.Scan", {"containerId": "c/1"}, "/containers/c/1/scan"),
        ("domains.Scan", {"domainId": "12"}, "/domains/scan"),
    ],
)
async def test_scans(account, kind, given, begun):
    done = await account.run(kind, **given)
    assert (done.triggered, done.completed, account.looks) == (True, False, 0)
    account.scans.clear()
    done = await account.run(kind, **given, waitForCompletion=True, pollInterval="PT0.01S")
    assert (done.triggered, done.completed, account.looks) == (True, True, 2)
    ((path, query, body),) = account.scans
    assert path == begun
    if kind == "repositories.Scan":
        assert query == {"include_sast_scan": "true", "include_iac_scan": "false", "include_secrets_scan": "true"}
    assert body == ({"domain_id": 12} if kind == "domains.Scan" else None)
    with pytest.raises(TaskFailed, match="The scan did not end within"):
        await account.run(kind, **given, waitForCompletion=True, maxDuration="PT0S")


async def test_reports_of_packages(account):
    done = await account.run("repositories.ExportSbom", repositoryId="1", scope="DIRECT", location="app")
    assert account.context.files.text(done.uri) == "name,license\nhttpx,BSD\n"
    assert done.size == len("name,license\nhttpx,BSD\n")
    asked = {"format": "csv", "include_risk_reason": "0", "scope": "direct", "include_vex": "0", "location": "app"}
    assert account.wire.last.query == asked
    done = await account.run("containers.ExportSbom", containerId="c/1", format="SBOM", includeRiskReason=True)
    assert (done.uri.rpartition("/")[2], account.wire.last.query["format"]) == ("sbom.json", "sbom")
    with pytest.raises(TaskFailed, match=r"404: no scan.*run `Scan`"):
        await account.run("repositories.ExportSbom", repositoryId="none")


async def test_lists(account):
    found = await account.run("repositories.List", filterName="shop")
    assert (found.size, found.rows[24]) == (25, {"id": 24})
    assert account.wire.last.query["include_inactive"] == "false"
    assert (await account.run("containers.List", filterTag="latest", fetchType="FETCH_ONE")).row == {"id": 1}
    assert (await account.run("clouds.ListAssets", cloudId=3, pageSize=10)).rows == [{"id": "i-1"}]
    assert account.wire.last.query["cloud_id"] == "3"
    found = await account.run("issues.Export", filterSeverities=["CRITICAL", "HIGH"], filterTeamId=4, fetchType="FETCH")
    assert (found.size, found.rows[0]["asked"]["filter_severities"]) == (150, ["critical", "high"])
    csv = await account.run("issues.Export", format="CSV")
    assert (csv.size, account.context.files.text(csv.uri)[:11]) == (100, "id,severity")
    assert account.context.said("`format: JSON` gives all", "WARN")


async def test_new_findings_start_executions(account):
    declared = {"id": "t", "type": f"{AIKIDO}.issues.Trigger", **account.who, "severityThreshold": 50}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

    async def look():
        seen = await trigger.poll(account.context)
        assert isinstance(seen, Look)
        account.context.memory = dict(seen.memory)
        return seen.found and seen.found.issueGroupId

    def group(number, moment, score=80):
        about = {"severity_score": score, "severity": "high", "type": "sast", "title": "T"}
        return {"id": number, "first_detected_at": moment, **about}

    account.groups = [group(1, 100), group(2, 200)]
    assert await look() is None  # those of before
    assert await look() is None
    account.groups = [group(5, 300), group(4, 200), group(1, 100), group(6, 300), group(9, 400, 10), group(2, 200)]
    assert [await look() for _ in range(4)] == [4, 5, 6, None]
    account.groups.append({"id": 10, "severity_score": 90})
    assert await look() is None
