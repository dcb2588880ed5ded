"""The tasks of `io.kestra.plugin.kestra`, which ask this bot itself, on a real engine."""

import json
import zipfile
from datetime import timedelta

import pytest

from engine.core.state import State
from engine.errors import NotFound, Refused
from engine.store import chat_audit
from tests.runtime.test_schedules import at_rest

K = "io.kestra.plugin.kestra"
QUIET = """
labels: {team: web}
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: [one, two]
"""
BROKEN = """
tasks:
  - id: stop
    type: io.kestra.plugin.core.execution.Fail
"""
PAUSED = """
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: comment, type: STRING}
  - id: said
    type: io.kestra.plugin.core.debug.Return
    format: "{{ outputs.wait.onResume.comment }}"
"""
SCHEDULED = """
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hello
triggers:
  - id: hourly
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 * * * *"
  - id: call
    type: io.kestra.plugin.core.trigger.Webhook
    key: a-key-of-some-length
"""


def outputs(execution, task):
    return next(run.outputs for run in execution.task_runs.values() if run.task_id == task)


async def recorded(engine, execution):
    deeds = await engine.database.read(lambda connection: chat_audit.about(connection, execution.id))
    return [(deed.action, deed.details) for deed in deeds if deed.platform == "flow"]


@pytest.fixture
async def there(deploy, run):
    """Two executions of `quiet`, one of `broken`, one of `waiting` that is paused."""
    for name, text in (("quiet", QUIET), ("broken", BROKEN), ("waiting", PAUSED)):
        await deploy(text, name)
    return [await run(flow_id=name) for name in ("quiet", "quiet", "broken", "waiting")]


async def test_count(there, deploy, run):
    await deploy(f"""
tasks:
  - id: every
    type: {K}.executions.Count
    namespaces: [company.team, company.other, company.team]
  - id: failed
    type: {K}.executions.Count
    states: [FAILED]
    startDate: "{{{{ now() | dateAdd(-1, 'DAYS') }}}}"
    expression: "{{{{ count == 1 }}}}"
  - id: of_flow
    type: {K}.executions.Count
    flowId: quiet
    expression: "{{{{ count > 5 }}}}"
  - id: later
    type: {K}.executions.Count
    startDate: "{{{{ now() | dateAdd(1, 'DAYS') }}}}"
""")
    done = await run()
    assert done.state is State.SUCCESS
    counts = {name: outputs(done, name)["count"] for name in ("every", "failed", "of_flow", "later")}
    assert counts == {"every": 5, "failed": 1, "of_flow": 0, "later": 0}


@pytest.mark.parametrize("name", ["Query", "Search"])
async def test_executions_are_found(there, deploy, run, engine, name):
    await deploy(f"""
pluginDefaults:
  - type: {K}.executions.{name}
    values: {{namespace: company.team}}
tasks:
  - {{id: file, type: {K}.executions.{name}, flowId: quiet}}
  - {{id: rows, type: {K}.executions.{name}, states: [FAILED, PAUSED], fetchType: FETCH}}
  - {{id: first, type: {K}.executions.{name}, labels: {{team: web}}, fetchType: FETCH_ONE}}
  - {{id: paged, type: {K}.executions.{name}, page: 2, size: 3, fetchType: FETCH}}
  - {{id: labelled, type: {K}.executions.{name}, page: 2, size: 1, labels: {{team: web}}, fetchType: FETCH}}
  - {{id: none, type: {K}.executions.{name}, state: [FAILED], fetchType: NONE}}
  - {{id: children, type: {K}.executions.{name}, childFilter: CHILD, fetchType: FETCH}}
  - {{id: system, type: {K}.executions.{name}, flowScopes: [SYSTEM], fetchType: FETCH}}
  - {{id: recent, type: {K}.executions.{name}, flowId: broken, timeRange: P3650D, fetchType: NONE}}
""")
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    file = outputs(done, "file")
    lines = [json.loads(line) for line in engine.files.path(file["uri"]).read_text().splitlines()]
    assert ([line["id"] for line in lines], file["size"]) == ([there[1].id, there[0].id], 2)
    assert {"key": "team", "value": "web"} in lines[0]["labels"]
    assert lines[0]["state"]["startDate"] < lines[0]["state"]["endDate"]
    assert [one["id"] for one in outputs(done, "rows")["rows"][0]] == [there[3].id, there[2].id]
    assert (outputs(done, "first")["row"]["0"]["id"], outputs(done, "first")["size"]) == (there[1].id, 2)
    paged = outputs(done, "paged")
    assert ([one["id"] for one in paged["rows"][0]], paged["size"]) == ([there[1].id, there[0].id], 5)
    assert [one["id"] for one in outputs(done, "labelled")["rows"][0]] == [there[0].id]
    assert outputs(done, "labelled")["size"] == 2
    assert [outputs(done, name)["size"] for name in ("none", "children", "system", "recent")] == [1, 0, 0, 1]


async def test_what_a_subflow_was_is_found_by_its_parent(there, deploy, run):
    await deploy(f"""
tasks:
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: quiet
    wait: true
  - id: found
    type: {K}.executions.Query
    triggerExecutionId: "{{{{ execution.id }}}}"
    fetchType: FETCH
  - id: children
    type: {K}.executions.Query
    childFilter: CHILD
    fetchType: NONE
""")
    done = await run()
    assert [one["flowId"] for one in outputs(done, "found")["rows"][0]] == ["quiet"]
    assert (outputs(done, "found")["size"], outputs(done, "children")["size"]) == (1, 1)


async def test_dates_are_said_once(there, deploy, run, engine):
    await deploy(f"""
tasks:
  - id: find
    type: {K}.executions.Query
    timeRange: PT1H
    startDate: "2026-01-01T00:00:00Z"
    endDate: "2026-01-02T00:00:00Z"
""")
    done = await run()
    assert done.state is State.FAILED
    assert any("`timeRange` stands beside" in line.message for line in await engine.logs(done.id))


CHANGES = f"""
inputs:
  - {{id: of, type: STRING}}
tasks:
  - id: change
    type: {K}.executions.%s
    executionId: "{{{{ inputs.of }}}}"
"""


async def test_an_execution_is_deleted_once_it_has_ended(there, deploy, run, engine):
    await deploy(CHANGES % "Delete")
    assert (await run({"of": there[0].id})).state is State.SUCCESS
    with pytest.raises(NotFound):
        await engine.execution(there[0].id)
    assert await engine.logs(there[0].id) == []
    assert await recorded(engine, there[0]) == [("delete", {"by": "flow:company.team.f"})]
    for other, why in ((there[3].id, "has not ended: it is PAUSED"), (there[0].id, "There is no execution")):
        refused = await run({"of": other})
        assert refused.state is State.FAILED
        assert any(why in line.message for line in await engine.logs(refused.id)), why
    assert (await engine.execution(there[3].id)).state is State.PAUSED


async def test_an_execution_is_not_deleted_by_itself(deploy, run, engine):
    await deploy(f"""
tasks:
  - {{id: change, type: {K}.executions.Delete, executionId: "{{{{ execution.id }}}}"}}
""")
    done = await run()
    assert done.state is State.FAILED
    assert any("can't delete itself" in line.message for line in await engine.logs(done.id))


async def test_what_is_not_deleted_stays(there, deploy, run, engine):
    await deploy((CHANGES % "Delete") + "    deleteLogs: false\n")
    assert (await run({"of": there[0].id})).state is State.SUCCESS
    assert [line.message for line in await engine.logs(there[0].id)] == ["one", "two"]


async def test_another_execution_is_killed_and_this_one(there, deploy, run, engine):
    await deploy(CHANGES % "Kill")
    assert (await run({"of": there[3].id})).state is State.SUCCESS
    assert (await engine.wait(there[3].id, timeout=20)).state is State.KILLED
    assert await recorded(engine, there[3]) == [("kill", {"by": "flow:company.team.f"})]
    again = await run({"of": there[3].id})
    assert again.state is State.FAILED
    assert any("already finished" in line.message for line in await engine.logs(again.id))
    await deploy(f"""
tasks:
  - {{id: stop, type: {K}.executions.Kill, executionId: "{{{{ execution.id }}}}"}}
  - {{id: never, type: io.kestra.plugin.core.log.Log, message: never}}
""")
    assert (await run(until="ended")).state is State.KILLED


async def test_a_task_that_runs_again_after_a_crash_has_stopped_it_already(there, engine):
    executions, asked = engine._outside.executions, {"by": "flow:a.b", "cascade": True}
    await executions.kill(there[3].id, **asked, dedupe="run.1:kill")
    assert (await engine.wait(there[3].id, timeout=20)).state is State.KILLED
    await executions.kill(there[3].id, **asked, dedupe="run.1:kill")
    assert len(await recorded(engine, there[3])) == 1
    with pytest.raises(Refused, match="already finished"):
        await executions.kill(there[3].id, **asked, dedupe="run.2:kill")


async def test_a_pause_is_answered(there, deploy, run, engine):
    await deploy((CHANGES % "Resume") + "    inputs: {comment: fine}\n")
    assert (await run({"of": there[3].id})).state is State.SUCCESS
    answered = await engine.wait(there[3].id, timeout=20)
    assert outputs(answered, "said") == {"value": "fine"}
    assert (await run({"of": there[3].id})).state is State.FAILED, "nothing waits any more"


async def test_vars_name_the_execution_that_was_resumed(there, deploy, run):
    paused = there[3]
    resume = (
        f"{{id: go, type: io.kestra.plugin.core.execution.Resume, executionId: {paused.id}, inputs: {{comment: x}}}}"
    )
    told = "{id: told, type: io.kestra.plugin.core.debug.Return, format: '{{ vars | json }}'}"
    await deploy(f"variables: {{mine: kept}}\ntasks:\n  - {resume}\n  - {told}\n")
    resumed = {"id": paused.id, "namespace": paused.namespace, "flowId": paused.flow_id}
    said = json.loads(outputs(await run(), "told")["value"])
    assert said == {"mine": "kept", "resumedExecution": resumed}


async def test_a_log_is_fetched(there, deploy, run, engine):
    await deploy((CHANGES % "X").replace("executions.X", "logs.Fetch") + "    tasksId: [say]\n")
    fetched = outputs(await run({"of": there[0].id}), "change")
    lines = [json.loads(line) for line in engine.files.path(fetched["uri"]).read_text().splitlines()]
    assert ([line["message"] for line in lines], fetched["size"]) == (["one", "two"], 2)


async def test_flows_are_listed_and_exported(there, deploy, run, engine):
    await engine.deploy(f"id: far\nnamespace: company.team.sub\n{BROKEN}")
    await engine.deploy(f"id: else\nnamespace: companies\n{BROKEN}")
    await deploy(f"""
tasks:
  - {{id: list, type: {K}.flows.List}}
  - {{id: export, type: {K}.flows.Export, namespace: company.team}}
  - {{id: labelled, type: {K}.flows.Export, labels: ["team:web"]}}
  - {{id: named, type: {K}.flows.ExportById, flows: [{{namespace: company.team, id: quiet}}]}}
  - {{id: names, type: {K}.namespaces.List, prefix: compan}}
  - {{id: second, type: {K}.namespaces.List, page: 2, size: 1}}
  - {{id: own, type: {K}.namespaces.List, existingOnly: true}}
  - {{id: with, type: {K}.namespaces.NamespacesWithFlows, prefix: company.}}
""")
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    listed = {flow["id"]: flow for flow in outputs(done, "list")["flows"]}
    assert listed.keys() == {"quiet", "broken", "waiting", "f"}
    assert (listed["quiet"]["labels"], listed["quiet"]["revision"]) == ({"team": "web"}, 1)
    assert listed["quiet"]["tasks"][0]["message"] == ["one", "two"]

    def files(task):
        with zipfile.ZipFile(engine.files.path(outputs(done, task)["flowsZip"])) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}

    names = {"company.team.quiet.yml", "company.team.broken.yml", "company.team.waiting.yml", "company.team.f.yml"}
    assert files("export").keys() == {*names, "company.team.sub.far.yml"}
    assert files("labelled") == files("named")
    assert files("named") == {"company.team.quiet.yml": engine.flows.source("company.team", "quiet")}
    assert outputs(done, "names")["namespaces"] == ["companies", "company", "company.team", "company.team.sub"]
    assert outputs(done, "second")["namespaces"] == ["company"]
    assert outputs(done, "own")["namespaces"] == ["companies", "company.team", "company.team.sub"]
    assert outputs(done, "with")["namespaces"] == ["company.team", "company.team.sub"]


async def test_a_flow_that_is_not_there_is_not_exported(deploy, run, engine):
    await deploy(f"""
tasks:
  - {{id: export, type: {K}.flows.ExportById, flows: [{{namespace: company.team, id: none}}]}}
""")
    done = await run()
    assert done.state is State.FAILED
    assert any("There is no flow company.team.none" in line.message for line in await engine.logs(done.id))


async def test_triggers_are_switched(deploy, run, engine):
    await deploy(SCHEDULED, "dated")
    await deploy(f"""
inputs:
  - {{id: on, type: BOOL, defaults: false}}
tasks:
  - {{id: all, type: {K}.triggers.Toggle, flowId: dated, enabled: "{{{{ inputs.on }}}}"}}
""")
    assert (await run()).state is State.SUCCESS
    keys = ("company.team/dated/hourly", "company.team/dated/call")
    assert [engine.schedules.is_disabled(key) for key in keys] == [True, True]
    assert (await run({"on": True})).state is State.SUCCESS
    assert [engine.schedules.is_disabled(key) for key in keys] == [False, False]
    await deploy(f"""
tasks:
  - {{id: one, type: {K}.triggers.Toggle, flowId: dated, trigger: hourly}}
  - {{id: none, type: {K}.triggers.Toggle}}
""")
    done = await run()
    assert [engine.schedules.is_disabled(key) for key in keys] == [True, False]
    assert done.state is State.FAILED
    assert any("has no trigger" in line.message for line in await engine.logs(done.id))


async def test_a_monitor_finds_what_is_switched_off(deploy, engine, clock):
    await deploy(SCHEDULED, "dated")
    await deploy(f"""
tasks:
  - {{id: say, type: io.kestra.plugin.core.log.Log, message: "{{{{ trigger.data[0].flowId }}}}"}}
triggers:
  - {{id: off, type: {K}.triggers.ScheduleMonitor, includeDisabled: true, allowedDelay: P3650D, namespace: company}}
""")
    await at_rest(engine)
    assert await engine.executions(flow_id="f") == []
    await engine.schedules.toggle("company.team", "dated", "hourly", disabled=True)
    clock.jump(timedelta(minutes=1))
    await at_rest(engine)
    (made,) = await engine.executions(flow_id="f")
    (found,) = made.origin.variables["data"]
    assert (found["triggerId"], found["flowId"], found["lastExecution"]) == ("hourly", "dated", None)


async def test_schedules_that_did_not_fire(deploy, run, engine):
    await deploy(SCHEDULED, "dated")
    await deploy(f"""
tasks:
  - {{id: stuck, type: {K}.triggers.DetectStuckSchedules}}
""")
    found = outputs(await run(), "stuck")
    assert found == {
        "stuckTriggers": ["company.team.dated#hourly (never executed)"],
        "misconfiguredTriggers": [],
        "totalChecked": 1,
    }
