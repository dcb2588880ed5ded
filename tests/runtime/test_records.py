"""Tasks that count, read and purge what the engine keeps, on a real engine."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from engine.core.state import State
from engine.errors import FlowInvalid, NotFound
from engine.store import executions

QUIET = """
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: [one, two]
  - id: file
    type: io.kestra.plugin.core.storage.Write
    content: hello
"""
PAUSED = """
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
"""
BROKEN = """
tasks:
  - id: stop
    type: io.kestra.plugin.core.execution.Fail
"""


def outputs(execution, task):
    return next(run.outputs for run in execution.task_runs.values() if run.task_id == task)


@pytest.fixture
async def there(deploy, run):
    """Two executions of `quiet`, one of `broken`, one of `waiting` that is paused."""
    for name, text in (("quiet", QUIET), ("broken", BROKEN), ("waiting", PAUSED)):
        await deploy(text, name)
    return [await run(flow_id=name) for name in ("quiet", "quiet", "broken", "waiting")]


async def test_count_by_flow_namespace_and_state(there, deploy, run):
    await deploy("""
tasks:
  - id: flows
    type: io.kestra.plugin.core.execution.Count
    flows:
      - {namespace: company.team, flowId: quiet}
      - {namespace: company.team, flowId: broken}
      - {namespace: company.team, flowId: never}
    startDate: "{{ now() | dateAdd(-1, 'DAYS') }}"
  - id: failed
    type: io.kestra.plugin.core.execution.Counts
    namespaces: [company.team, company]
    states: [FAILED]
    startDate: "{{ now() | dateAdd(-1, 'DAYS') }}"
    expression: "{{ count > 0 }}"
  - id: silent
    type: io.kestra.plugin.core.execution.Count
    flows: [{namespace: company.team, flowId: quiet}, {namespace: company.team, flowId: never}]
    startDate: "{{ now() | dateAdd(-1, 'DAYS') }}"
    expression: "{{ count == 0 }}"
  - id: later
    type: io.kestra.plugin.core.execution.Count
    namespaces: [company.team]
    startDate: "{{ now() | dateAdd(1, 'DAYS') }}"
""")
    done = await run()
    assert done.state is State.SUCCESS
    counted = outputs(done, "flows")
    assert [one["count"] for one in counted["results"]] == [2, 1, 0]
    assert counted["total"] == 3
    assert outputs(done, "failed") == {
        "results": [{"namespace": "company.team", "flowId": None, "count": 1}],
        "total": 1,
    }
    assert [one["flowId"] for one in outputs(done, "silent")["results"]] == ["never"]
    assert outputs(done, "later")["total"] == 0


async def test_count_must_know_what(deploy):
    with pytest.raises(FlowInvalid, match="needs `flows` or `namespaces`"):
        await deploy("""
tasks:
  - id: count
    type: io.kestra.plugin.core.execution.Count
    startDate: "2026-01-01T00:00:00Z"
""")


async def test_the_log_of_an_execution_as_a_file(there, deploy, run, engine):
    source = """
tasks:
  - id: own
    type: io.kestra.plugin.core.log.Log
    message: mine
  - id: fetched
    type: io.kestra.plugin.core.log.Fetch
    executionId: "{{ inputs.of }}"
    tasksId: [say]
  - id: mine
    type: io.kestra.plugin.core.log.Fetch
inputs:
  - {id: of, type: STRING}
"""
    await deploy(source)
    done = await run({"of": there[0].id})
    fetched = outputs(done, "fetched")
    lines = [json.loads(line) for line in engine.files.path(fetched["uri"]).read_text().splitlines()]
    assert [line["message"] for line in lines] == ["one", "two"]
    assert fetched["size"] == 2
    assert {(line["executionId"], line["flowId"], line["level"]) for line in lines} == {(there[0].id, "quiet", "INFO")}
    assert "mine" in engine.files.path(outputs(done, "mine")["uri"]).read_text()


async def test_the_log_of_another_namespace_needs_its_name(there, engine):
    source = """
id: f
namespace: elsewhere
inputs:
  - {id: of, type: STRING}
tasks:
  - id: fetched
    type: io.kestra.plugin.core.log.Fetch
    executionId: "{{ inputs.of }}"
"""
    await engine.deploy(source)
    made = await engine.create("elsewhere", "f", {"of": there[0].id}, started_by="a")
    assert (await engine.wait(made.id, timeout=20)).state is State.FAILED
    assert any("There is no execution" in line.message for line in await engine.logs(made.id))
    named = source + "    namespace: company.team\n    flowId: quiet\n"
    await engine.deploy(named)
    made = await engine.create("elsewhere", "f", {"of": there[0].id}, started_by="a")
    assert (await engine.wait(made.id, timeout=20)).state is State.SUCCESS


PURGE = """
tasks:
  - id: purge
    type: io.kestra.plugin.core.execution.PurgeExecutions
    endDate: "{{ now() | dateAdd(1, 'HOURS') }}"
"""


async def test_purging_spares_what_has_not_ended(there, deploy, run, engine):
    quiet, broken, waiting = there[0], there[2], there[3]
    await deploy(PURGE + "    namespace: company\n    batchSize: 1\n")
    done = await run()
    gone = outputs(done, "purge")
    assert gone["executionsCount"] == 3
    assert gone["logsCount"] >= 4
    assert gone["storagesCount"] == 2
    for execution in (quiet, broken):
        assert await engine.database.read(lambda c, e=execution.id: executions.state_of(c, e)) is None
        assert await engine.logs(execution.id) == []
    assert (await engine.execution(waiting.id)).state is State.PAUSED
    assert (await engine.execution(done.id)).state is State.SUCCESS


@pytest.mark.parametrize(
    ("more", "count", "files", "lines"),
    [
        ("    flowId: quiet\n    purgeStorage: false\n", 2, 0, True),
        ("    states: [FAILED]\n", 1, 0, True),
        ("    purgeExecution: false\n    purgeLog: false\n    purgeMetric: false\n", 0, 2, False),
        ("    startDate: \"{{ now() | dateAdd(10, 'MINUTES') }}\"\n", 0, 0, False),
    ],
)
async def test_what_is_purged(there, deploy, run, more, count, files, lines):
    await deploy(PURGE + "    namespace: company.team\n" + more)
    gone = outputs(await run(), "purge")
    assert (gone["executionsCount"], gone["storagesCount"]) == (count, files)
    assert (gone["logsCount"] > 0) is lines


async def test_purging_by_age(there, deploy, run, clock, engine):
    await deploy(PURGE.replace("dateAdd(1, 'HOURS')", "dateAdd(-30, 'DAYS')"))
    assert outputs(await run(), "purge")["executionsCount"] == 0
    clock.jump(timedelta(days=31))
    assert outputs(await run(), "purge")["executionsCount"] == 4  # three, and the purge before
    left = [one.id for one in await engine.executions()]
    assert there[3].id in left


async def test_purging_logs_by_level_and_flow(there, deploy, run, engine):
    await deploy("""
tasks:
  - id: errors
    type: io.kestra.plugin.core.log.PurgeLogs
    logLevels: [ERROR]
    endDate: "{{ now() | dateAdd(1, 'HOURS') }}"
  - id: quiet
    type: io.kestra.plugin.core.log.PurgeLogs
    namespace: company.team
    flowId: quiet
    endDate: "{{ now() | dateAdd(1, 'HOURS') }}"
""")
    done = await run()
    assert outputs(done, "errors")["count"] >= 1
    assert outputs(done, "quiet")["count"] == 4
    assert await engine.logs(there[0].id) == []
    assert await engine.logs(there[2].id, level="ERROR") == []


async def test_purging_keys(deploy, run, engine, clock):
    for namespace, key, ttl in (
        ("company", "cache_a", 60),
        ("company", "kept", None),
        ("company.team", "cache_b", None),
        ("companyx", "cache_c", 60),
    ):
        await engine.kv.set(namespace, key, 1, ttl=ttl)
    clock.jump(timedelta(minutes=2))
    await deploy("""
tasks:
  - id: expired
    type: io.kestra.plugin.core.kv.PurgeKV
    namespaces: [company]
  - id: cache
    type: io.kestra.plugin.core.kv.PurgeKV
    namespacePattern: "company*"
    keyPattern: "cache_*"
    behavior: {type: key, expiredOnly: false}
  - id: children
    type: io.kestra.plugin.core.kv.PurgeKV
    namespaces: [comp]
    expiredOnly: false
""")
    done = await run()
    assert [outputs(done, task)["size"] for task in ("expired", "cache", "children")] == [1, 2, 0]
    assert await engine.kv.keys("company") == ["kept"]


async def test_files_of_this_execution_are_purged(deploy, run, engine):
    await deploy(QUIET + "  - id: purge\n    type: io.kestra.plugin.core.storage.PurgeExecution\n")
    done = await run()
    uri = outputs(done, "file")["uri"]
    assert outputs(done, "purge") == {"uris": [uri]}
    with pytest.raises(NotFound):
        engine.files.path(uri)


async def test_files_of_a_namespace(deploy, run, engine):
    await deploy("""
tasks:
  - id: made
    type: io.kestra.plugin.core.storage.Write
    content: hello
    extension: .txt
  - id: up
    type: io.kestra.plugin.core.namespace.UploadFiles
    namespace: company.shared
    filesMap:
      /notes/hello.txt: "{{ outputs.made.uri }}"
  - id: listed
    type: io.kestra.plugin.core.namespace.UploadFiles
    namespace: company.shared
    files: ["{{ outputs.made.uri }}"]
    destination: /notes
  - id: dir
    type: io.kestra.plugin.core.flow.WorkingDirectory
    tasks:
      - id: local
        type: io.kestra.plugin.core.storage.LocalFiles
        inputs: {a/b.md: text, c.txt: other}
      - id: globbed
        type: io.kestra.plugin.core.namespace.UploadFiles
        namespace: company.shared
        files: ["**.md"]
        destination: docs
  - id: down
    type: io.kestra.plugin.core.namespace.DownloadFiles
    namespace: company.shared
    files: "notes/**"
  - id: gone
    type: io.kestra.plugin.core.namespace.DeleteFiles
    namespace: company.shared
    files: ["notes/*.txt"]
""")
    done = await run()
    assert done.state is State.SUCCESS, await engine.logs(done.id)
    assert list(outputs(done, "globbed")["files"]) == ["/docs/a/b.md"]
    found = outputs(done, "down")["files"]
    assert sorted(found) == ["/notes/content.txt", "/notes/hello.txt"]
    assert engine.files.path(found["/notes/hello.txt"]).read_text() == "hello"
    assert outputs(done, "gone")["files"] == ["/notes/content.txt", "/notes/hello.txt"]
    assert [path for path, _ in engine.files.namespace_files("company.shared")] == ["docs/a/b.md"]


@pytest.mark.parametrize(
    ("conflict", "state", "content"),
    [("OVERWRITE", State.SUCCESS, "new"), ("SKIP", State.SUCCESS, "old"), ("ERROR", State.FAILED, "old")],
)
async def test_a_file_that_is_there_already(deploy, run, engine, conflict, state, content):
    engine.files.put_namespace_file("company.team", "a.txt", b"old")
    await deploy(f"""
tasks:
  - id: made
    type: io.kestra.plugin.core.storage.Write
    content: new
  - id: up
    type: io.kestra.plugin.core.namespace.UploadFiles
    namespace: company.team
    filesMap: {{a.txt: "{{{{ outputs.made.uri }}}}"}}
    conflict: {conflict}
""")
    assert (await run()).state is state
    assert dict(engine.files.namespace_files("company.team"))["a.txt"].read_text() == content


@pytest.mark.parametrize(
    "change", ["namespace: '../../x'", "namespace: company/other", "filesMap: {../x.txt: '{{ outputs.made.uri }}'}"]
)
async def test_nobody_leaves_a_namespace(deploy, run, engine, change):
    name = change.partition(":")[0]
    given = {"namespace": "namespace: company.team", "filesMap": "filesMap: {x.txt: '{{ outputs.made.uri }}'}"}
    lines = "\n".join(f"    {line}" for line in {**given, name: change}.values())
    text = f"""
tasks:
  - id: made
    type: io.kestra.plugin.core.storage.Write
    content: new
  - id: up
    type: io.kestra.plugin.core.namespace.UploadFiles
{lines}
"""
    try:
        await deploy(text)
    except FlowInvalid:
        return
    assert (await run()).state is State.FAILED
    assert not list(engine.files.root.rglob("x.txt"))


async def test_kill_ends_the_execution(deploy, run):
    await deploy("""
tasks:
  - id: stop
    type: io.kestra.plugin.core.execution.Kill
  - id: never
    type: io.kestra.plugin.core.log.Log
    message: no
""")
    done = await run()
    assert done.state is State.KILLED
    assert [one.task_id for one in done.task_runs.values()] == ["stop"]


async def test_toggle_switches_a_schedule(deploy, run, engine):
    await engine.deploy("""
id: hourly
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: x}
triggers:
  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 * * * *"}
""")
    toggle = """
inputs:
  - {id: on, type: BOOLEAN}
  - {id: trigger, type: STRING, defaults: t}
tasks:
  - id: toggle
    type: io.kestra.plugin.core.trigger.Toggle
    flowId: hourly
    trigger: "{{ inputs.trigger }}"
    enabled: "{{ inputs.on }}"
"""
    await deploy(toggle)
    assert (await run({"on": False})).state is State.SUCCESS
    assert engine.schedules.is_disabled("company.team/hourly/t")
    assert engine.schedules.next_dates() == {}
    assert (await run({"on": True})).state is State.SUCCESS
    assert engine.schedules.next_dates() == {"company.team/hourly/t": datetime(2026, 3, 2, 8, tzinfo=UTC)}
    assert (await run({"on": True, "trigger": "other"})).state is State.FAILED


@pytest.mark.parametrize("name", ["io.kestra.plugin.core.flow.Template", "io.kestra.core.tasks.flows.Template"])
async def test_a_template_names_its_successor(deploy, name):
    with pytest.raises(FlowInvalid, match=r"io\.kestra\.plugin\.core\.flow\.Subflow"):
        await deploy(f"tasks:\n  - id: t\n    type: {name}\n    namespace: a\n    templateId: b\n")
