"""The tasks of `io.kestra.plugin.kestra` that are pointed at another server, whose API answers as Kestra's does."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.settings import BotSettings, WebSection
from engine.errors import TaskFailed
from engine.plugin import TriggerStanding
from engine.tasks.kestra.triggers import MonitorFields, ScheduleMonitor
from tests.wire.loopback import Answered, serving

K = "io.kestra.plugin.kestra"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCHEDULE = "io.kestra.plugin.core.trigger.Schedule"


class Kestra:
    """A server with executions e0 to e24, flows, logs and triggers; only `Bearer t0ken` may ask."""

    def __init__(self):
        self.asked = []
        self.triggers = []

    def __call__(self, request):
        if request.headers["authorization"] not in ("Bearer t0ken", f"Basic {base64.b64encode(b'ann:pw').decode()}"):
            return Answered({"message": "Unauthorized"}, 401)
        self.asked.append((request.method, request.path, request.parameters))
        step = request.path.removeprefix("/api/v1/main/")
        if step.endswith("/search"):
            return self.page(request, self.found(step))
        if request.method == "DELETE":
            return Answered(status=204)
        if step == "executions/gone":
            return Answered({"message": "Not Found: execution"}, 404)
        if step.startswith("flows/export/"):
            return Answered(b"PK-archive")
        return Answered(self.told(request, *step.split("/")))

    def found(self, step):
        return {
            "executions/search": [{"id": f"e{number}", "flowId": "f"} for number in range(25)],
            "namespaces/search": [{"id": f"n{number}"} for number in range(12)],
            "triggers/search": self.triggers,
        }[step]

    def told(self, request, kind, *names):
        state = {"current": "RUNNING" if "busy" in names else "SUCCESS", "startDate": "2026-03-02T09:00:00.123456Z"}
        return (
            {
                "executions": {"id": names[0], "state": state},
                "logs": [{"level": "WARN", "message": f"of {request.query.get('taskId', 'all')}"}],
                "flows": [{"id": "f", "namespace": names[0], "revision": 3}],
                "triggers": {"count": 1},
            }[kind]
            if names != ("distinct-namespaces",)
            else ["company", "company.team"]
        )

    def page(self, request, everything):
        number, size = int(request.query["page"]), int(request.query["size"])
        return Answered({"results": everything[(number - 1) * size : number * size], "total": len(everything)})


@pytest.fixture
def kestra():
    service = Kestra()
    with serving(service) as wire:
        service.url = wire.url
        service.wire = wire
        yield service


@pytest.fixture
def run(kestra, context):
    async def do(name, **given):
        return await context.run(
            type=f"{K}.{name}", **{"kestraUrl": kestra.url, "auth": {"apiToken": "t0ken"}, **given}
        )

    return do


async def test_count_adds_up_namespaces(kestra, run, context):
    counted = await run(
        "executions.Count",
        namespaces=["a", "b"],
        states=["FAILED", "KILLED"],
        startDate="2026-01-01T00:00:00Z",
        endDate="2026-01-02T00:00:00Z",
        expression="{{ count == 50 }}",
    )
    assert counted.count == 50
    assert [asked[2]["filters[namespace][EQUALS]"] for asked in kestra.asked] == [["a"], ["b"]]
    assert kestra.asked[0][2] == {
        "page": ["1"],
        "size": ["1"],
        "filters[namespace][EQUALS]": ["a"],
        "filters[state][IN]": ["FAILED,KILLED"],
        "filters[startDate][GREATER_THAN_OR_EQUAL_TO]": ["2026-01-01T00:00:00+00:00"],
        "filters[startDate][LESS_THAN_OR_EQUAL_TO]": ["2026-01-02T00:00:00+00:00"],
    }
    assert "t0ken" in context.masked


async def test_executions_are_found_page_by_page(kestra, run, context):
    found = await run("executions.Query", labels={"team": "web"}, childFilter="MAIN", flowScopes=["USER"])
    lines = [json.loads(line)["id"] for line in context.files.text(found.uri).splitlines()]
    assert (lines, found.size) == ([f"e{number}" for number in range(25)], 25)
    assert [asked[2]["page"] for asked in kestra.asked] == [["1"], ["2"], ["3"]]
    more = {name: values for name, values in kestra.asked[0][2].items() if "[" in name}
    assert more == {
        "filters[labels][EQUALS][team]": ["web"],
        "filters[childFilter][EQUALS]": ["MAIN"],
        "filters[scope][EQUALS]": ["USER"],
    }
    kestra.asked.clear()
    paged = await run("executions.Query", page=3, size=4, fetchType="FETCH", triggerExecutionId="e9")
    assert ([one["id"] for one in paged.rows[0]], paged.size) == (["e8", "e9", "e10", "e11"], 25)
    first = await run("executions.Query", fetchType="FETCH_ONE")
    assert (first.row["0"]["id"], first.size) == ("e0", 25)
    none = await run("executions.Query", fetchType="NONE")
    assert (none.rows, none.row, none.uri, none.size) == (None, None, None, 25)
    assert len(kestra.asked) == 3, "one page each"


async def test_too_many_for_one_output(kestra, run, monkeypatch):
    monkeypatch.setattr("engine.tasks.kestra.executions.MOST", 24)
    with pytest.raises(TaskFailed, match=r"More than 24 executions fit\. Use `fetchType: STORE`"):
        await run("executions.Query", fetchType="FETCH")


async def test_executions_are_changed(kestra, run):
    await run("executions.Kill", executionId="e/1", propagateKill=False)
    assert kestra.asked[-1] == ("DELETE", "/api/v1/main/executions/e/1/kill", {"isOnKillCascade": ["false"]})
    await run("executions.Delete", executionId="e1", deleteLogs=False)
    flags = {"deleteLogs": ["false"], "deleteMetrics": ["true"], "deleteStorage": ["true"]}
    assert kestra.asked[-1] == ("DELETE", "/api/v1/main/executions/e1", flags)
    with pytest.raises(TaskFailed, match="busy has not ended: it is RUNNING"):
        await run("executions.Delete", executionId="busy")
    with pytest.raises(TaskFailed, match="Kestra answered 404: Not Found: execution"):
        await run("executions.Delete", executionId="gone")
    await run("executions.Resume", executionId="e1", inputs={"approve": True, "why": "fine"})
    assert kestra.wire.last.parts == {"approve": (None, b"true"), "why": (None, b"fine")}
    await run("executions.Resume", executionId="e1")
    assert kestra.wire.last.body == b""


async def test_logs_flows_and_namespaces(kestra, run, context):
    log = await run("logs.Fetch", executionId="e1", level="WARN", tasksId=["a", "b"])
    assert [json.loads(line)["message"] for line in context.files.text(log.uri).splitlines()] == ["of a", "of b"]
    assert (log.size, kestra.asked[-1][2]) == (2, {"minLevel": ["WARN"], "taskId": ["b"]})
    with pytest.raises(TaskFailed, match=r"which execution of the other server\. Give `executionId`"):
        await run("logs.Fetch")
    listed = await run("flows.List")
    assert listed.flows == [{"id": "f", "namespace": "company.ai", "revision": 3}]
    exported = await run("flows.Export", namespace="company", labels=["team:web"])
    assert context.files.text(exported.flowsZip) == "PK-archive"
    wanted = {"filters[labels][EQUALS][team]": ["web"], "filters[namespace][PREFIX]": ["company"]}
    assert kestra.asked[-1][1:] == ("/api/v1/main/flows/export/by-query", wanted)
    await run("flows.ExportById", flows=[{"namespace": "a", "id": "f"}])
    assert (kestra.wire.last.path, kestra.wire.last.json) == (
        "/api/v1/main/flows/export/by-ids",
        [{"namespace": "a", "id": "f"}],
    )
    with pytest.raises(TaskFailed, match="is no `key:value`"):
        await run("flows.Export", labels=["team"])
    names = await run("namespaces.List", existingOnly=True, prefix="n")
    assert (len(names.namespaces), kestra.asked[-1][2]["existing"]) == (12, ["true"])
    assert (await run("namespaces.List", page=2, size=5)).namespaces == [f"n{number}" for number in range(5, 10)]
    assert (await run("namespaces.NamespacesWithFlows", prefix="company")).namespaces == ["company", "company.team"]
    assert kestra.asked[-1][2] == {"q": ["company"]}


async def test_triggers_are_switched(kestra, run):
    await run("triggers.Toggle", trigger="hourly", enabled=True)
    assert kestra.asked[-1][1:] == (
        "/api/v1/main/triggers/set-disabled/by-query",
        {
            "disabled": ["false"],
            "filters[namespace][EQUALS]": ["company.ai"],
            "filters[flowId][EQUALS]": ["a_flow"],
            "filters[triggerId][EQUALS]": ["hourly"],
        },
    )


def told(name, newer, *, type_=SCHEDULE, disabled=False, **state):
    """A trigger as Kestra tells of it: 2.0, or 1.x."""
    names = {"last": "lastTriggeredDate", "next": "nextEvaluationDate"}
    names = names if newer else {"last": "date", "next": "nextExecutionDate"}
    whose = {"namespace": "company.ai", "flowId": "f", "triggerId": name}
    known = {names.get(key, key): value for key, value in state.items()}
    declared, standing = {"id": name, "type": type_, "disabled": disabled}, {**whose, **known}
    return {"trigger": declared, "state": standing} if newer else {
        "abstractTrigger": declared, "triggerContext": standing
    }  # fmt: skip


@pytest.mark.parametrize("newer", [True, False])
async def test_a_monitor_of_another_server(kestra, context, newer):
    late, soon = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
    kestra.triggers = [
        told("overdue", newer, last=late, next=late),
        told("fine", newer, last=late, next=soon),
        told("off", newer, disabled=True, next=late),
        told("other", newer, type_="io.kestra.plugin.core.trigger.Webhook"),
        told("filling", newer, next=late, backfill={"start": late}),
        told("busy", newer, next=soon, executionId="busy"),
        told("over", newer, next=soon, executionId="done"),
        told("endless", newer),
    ]
    trigger = ScheduleMonitor.model_validate(
        {
            "id": "watch",
            "type": f"{K}.triggers.ScheduleMonitor",
            "kestraUrl": kestra.url,
            "auth": {"username": "ann", "password": "{{ secret('PW') }}"},
            "namespace": "company",
            "maxExecutionDuration": "PT1H",
        }
    )
    context.secrets["PW"] = "pw"
    found = await trigger.poll(context)
    assert [one["triggerId"] for one in found.data] == ["overdue", "busy", "endless"]
    assert found.data[0]["expectedNext"] == "2026-01-01T00:00:00+00:00"
    kestra.triggers = kestra.triggers[1:2]
    assert await trigger.poll(context) is None


async def test_stuck_schedules_of_another_server(kestra, run):
    recent = datetime.now(UTC).isoformat()
    kestra.triggers = [
        told("old", True, last="2026-01-01T00:00:00Z", next="2999-01-01T00:00:00Z"),
        told("fresh", True, last=recent, next="2999-01-01T00:00:00Z"),
        told("never", True, next="2999-01-01T00:00:00Z"),
        told("endless", True),
    ]
    found = await run("triggers.DetectStuckSchedules")
    assert found.stuckTriggers == ["company.ai.f#old (last run too old)", "company.ai.f#never (never executed)"]
    assert found.misconfiguredTriggers == ["company.ai.f#endless (no next date)"]
    assert found.totalChecked == 1


def standing(**more):
    return TriggerStanding("n", "f", "t", SCHEDULE, **{"next_date": NOW + timedelta(hours=1), **more})


@pytest.mark.parametrize(
    ("one", "fields", "since", "unhealthy"),
    [
        (standing(), {}, None, False),
        (standing(next_date=None), {}, None, True),
        (standing(next_date=NOW - timedelta(minutes=1)), {}, None, False),
        (standing(next_date=NOW - timedelta(minutes=1, seconds=1)), {}, None, True),
        (standing(next_date=NOW - timedelta(minutes=5)), {"allowedDelay": "PT10M"}, None, False),
        (standing(disabled=True, next_date=None), {}, None, False),
        (standing(disabled=True), {"includeDisabled": True}, None, True),
        (standing(next_date=None, is_filling=True), {}, None, False),
        (standing(), {"maxExecutionDuration": "PT1H"}, NOW - timedelta(hours=2), True),
        (standing(), {"maxExecutionDuration": "PT3H"}, NOW - timedelta(hours=2), False),
        (standing(last_date=NOW - timedelta(days=2)), {"maxExecutionInterval": "P1D"}, None, True),
        (standing(last_date=NOW - timedelta(hours=2)), {"maxExecutionInterval": "P1D"}, None, False),
    ],
)
def test_which_schedules_need_a_look(one, fields, since, unhealthy):
    assert (
        MonitorFields.model_validate(fields).rendered(lambda value, guard: value).is_unhealthy(one, since, NOW)
        is unhealthy
    )


async def test_who_asks_is_said_once(run, context):
    for auth, why in (
        ({"apiToken": "t0ken", "username": "ann", "password": "pw"}, "a token and a user"),
        ({"username": "ann"}, "go together"),
    ):
        with pytest.raises(TaskFailed, match=why):
            await run("flows.List", auth=auth)
    with pytest.raises(TaskFailed, match=r"Kestra answered 401: Unauthorized. Check the credentials"):
        await run("flows.List", auth={"apiToken": "wr0ng"})
    assert {"t0ken", "wr0ng", "pw"} <= context.masked


async def test_other_servers_are_reached_as_every_service(run):
    with pytest.raises(TaskFailed, match="link-local address, which flows may not call"):
        await run("flows.List", kestraUrl="http://169.254.169.254")
    with pytest.raises(TaskFailed, match="`kestraUrl` holds a user"):
        await run("flows.List", kestraUrl="http://ann:pw@kestra.example.com")
    with pytest.raises(TaskFailed, match="`kestraUrl` is no address"):
        await run("flows.List", kestraUrl="http://kestra:port")


@pytest.mark.parametrize("url", ["http://localhost:8099/", "http://127.0.0.1:8099", "https://bot.example.com"])
async def test_an_address_of_its_own_is_this_bot(context, url):
    """It says that there is no engine here, instead of calling itself."""
    context.settings = BotSettings(web=WebSection(port=8099), public_url="https://bot.example.com")
    with pytest.raises(TaskFailed, match="cannot reach other flows"):
        await context.run(type=f"{K}.flows.List", kestraUrl=url, auth={"apiToken": "t"})
    assert "t" in context.masked
