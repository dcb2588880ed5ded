"""Tasks that count, read and purge what the engine keeps, on a real engine."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from engine.core.state import State
from engine.errors import FlowInvalid, NotFound
from engine.store import chat_audit, executions, flows
from engine.store.records import Candidate

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
    deeds = await engine.database.read(lambda c: chat_audit.about(c, "company"))
    assert [(deed.action, deed.platform, deed.details["executions"]) for deed in deeds] == [("purge", "flow", 1)] * 3
    assert {deed.details["by"] for deed in deeds} == {f"flow:{done.namespace}.{done.flow_id}"}
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


async def test_purging_logs_of_one_execution(there, deploy, run, engine):
    await deploy(f"""
tasks:
  - id: none
    type: io.kestra.plugin.core.log.PurgeLogs
    endDate: "{{{{ now() | dateAdd(1, 'HOURS') }}}}"
    purgeExecutionLogs: false
  - id: one
    type: io.kestra.plugin.core.log.PurgeLogs
    executionId: {there[0].id}
    endDate: "{{{{ now() | dateAdd(1, 'HOURS') }}}}"
    batchSize: 10000
    purgeNonExecutionLogs: false
""")
    written, others = await engine.logs(there[0].id), await engine.logs(there[1].id)
    done = await run()
    assert outputs(done, "none") == {"count": 0, "executionLogsCount": 0, "nonExecutionLogsCount": 0}
    counts = {"count": len(written), "executionLogsCount": len(written), "nonExecutionLogsCount": 0}
    assert outputs(done, "one") == counts
    assert (await engine.logs(there[0].id), await engine.logs(there[1].id)) == ([], others)
    assert written
    assert others


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


async def test_files_of_another_namespace_are_read_by_its_name(deploy, run, engine):
    engine.files.put_namespace_file("company.shared", "lib/a.sql", b"select 1")
    stored = engine.files.put("company/shared/f/executions/x/tasks/t/r", b"s3cret", "out.txt")
    await deploy(f"""
tasks:
  - id: there
    type: io.kestra.plugin.core.debug.Return
    format: "{{{{ read('lib/a.sql', 'company.shared') }}}} {{{{ fileSize('lib/a.sql', namespace='company.shared') }}}}"
  - id: sure
    type: io.kestra.plugin.core.debug.Return
    format: "{{{{ fileExists('lib/a.sql', 'company.shared') }}}} {{{{ fileExists('lib/a.sql') }}}}"
  - id: up
    type: io.kestra.plugin.core.debug.Return
    format: "{{{{ read('../f/executions/x/tasks/t/r/out.txt', 'company.shared') ?? 'no' }}}}"
    allowFailure: true
  - id: execution
    type: io.kestra.plugin.core.debug.Return
    format: "{{{{ read('{stored}', 'company.shared') }}}}"
""")
    done = await run()
    assert (outputs(done, "there"), outputs(done, "sure")) == ({"value": "select 1 8"}, {"value": "true false"})
    assert done.state is State.FAILED
    assert all(not outputs(done, task) for task in ("up", "execution"))


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
    deleteParentFolder: true
  - id: own
    type: io.kestra.plugin.core.namespace.UploadFiles
    filesMap: "{{ {'hello.txt': outputs.made.uri} }}"
    destination: /in
""")
    done = await run()
    assert done.state is State.SUCCESS, await engine.logs(done.id)
    assert list(outputs(done, "globbed")["files"]) == ["/docs/a/b.md"]
    found = outputs(done, "down")["files"]
    assert sorted(found) == ["/notes/content.txt", "/notes/hello.txt"]
    assert engine.files.path(found["/notes/hello.txt"]).read_text() == "hello"
    assert outputs(done, "gone")["files"] == ["/notes/content.txt", "/notes/hello.txt"]
    assert [path for path, _ in engine.files.namespace_files("company.shared")] == ["docs/a/b.md"]
    assert not (engine.files.namespace_folder("company.shared") / "notes").exists()
    assert [path for path, _ in engine.files.namespace_files("company.team")] == ["in/hello.txt"]


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
    assert (await run({"on": True})).state is State.SUCCESS
    [hourly] = engine.schedules.occurrences.standing()
    assert (hourly.key, hourly.state.next_date) == ("company.team/hourly/t", datetime(2026, 3, 2, 8, tzinfo=UTC))
    assert (await run({"on": True, "trigger": "other"})).state is State.FAILED


@pytest.mark.parametrize("name", ["io.kestra.plugin.core.flow.Template", "io.kestra.core.tasks.flows.Template"])
async def test_a_template_names_its_successor(deploy, name):
    with pytest.raises(FlowInvalid, match=r"io\.kestra\.plugin\.core\.flow\.Subflow"):
        await deploy(f"tasks:\n  - id: t\n    type: {name}\n    namespace: a\n    templateId: b\n")


async def test_metrics_are_purged(there, deploy, run, engine):
    await deploy(
        """
tasks:
  - id: publish
    type: io.kestra.plugin.core.metric.Publish
    metrics: [{type: counter, name: orders, value: 3}, {type: timer, name: took, value: PT2S}]
""",
        "measured",
    )
    measured = await run(flow_id="measured")
    assert {one.name: one.value for one in await engine.metrics(measured.id)} == {"orders": 3, "took": 2}
    await deploy("""
tasks:
  - id: of_another
    type: io.kestra.plugin.core.metric.PurgeMetrics
    namespace: company.team
    flowId: quiet
    endDate: "{{ now() | dateAdd(1, 'DAYS') }}"
  - id: early
    type: io.kestra.plugin.core.metric.PurgeMetrics
    endDate: "{{ now() | dateAdd(-1, 'DAYS') }}"
  - id: these
    type: io.kestra.plugin.core.metric.PurgeMetrics
    namespace: company
    endDate: "{{ now() | dateAdd(1, 'DAYS') }}"
""")
    done = await run()
    assert [outputs(done, name)["count"] for name in ("of_another", "early", "these")] == [0, 0, 2]
    assert await engine.metrics(measured.id) == []


async def test_files_of_executions_are_purged_by_their_date(there, deploy, run, engine):
    uri = outputs(there[0], "file")["uri"]
    old = engine.files.path(outputs(there[1], "file")["uri"])
    os.utime(old, (0, 0))
    gone_flow = engine.files.put("company/other/no-flow/executions/01GONE/tasks/t/r", b"x", "left.txt")
    os.utime(engine.files.path(gone_flow), (0, 0))
    text = """
tasks:
  - id: purge
    type: io.kestra.plugin.core.storage.PurgeStorage
    namespace: company
    endDate: "{{ now() | dateAdd(-7, 'DAYS') }}"
"""
    await deploy(text)
    done = await run()
    assert outputs(done, "purge") == {"scannedCount": 3, "purgedCount": 2, "deletedFilesCount": 0}
    assert old.is_file()
    await deploy(text + "    dryRun: false\n")
    assert outputs(await run(), "purge") == {"scannedCount": 3, "purgedCount": 2, "deletedFilesCount": 2}
    assert not old.exists()
    assert not (engine.files.root / "company/other/no-flow/executions/01GONE").exists()
    assert engine.files.path(uri).is_file()


async def test_files_of_an_execution_under_way_are_not_purged(deploy, run, engine):
    await deploy(QUIET + "  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n", "going")
    going = await run(flow_id="going")
    file = engine.files.path(outputs(going, "file")["uri"])
    os.utime(file, (0, 0))
    await deploy("""
tasks:
  - id: purge
    type: io.kestra.plugin.core.storage.PurgeStorage
    endDate: "{{ now() }}"
    dryRun: false
""")
    assert outputs(await run(), "purge") == {"scannedCount": 0, "purgedCount": 0, "deletedFilesCount": 0}
    assert file.is_file()


async def test_the_execution_that_asks_may_purge_its_own_files(deploy, run, engine):
    """As Kestra checks it: seen in a dry run first, then gone."""
    purge = """
  - id: %s
    type: io.kestra.plugin.core.storage.PurgeStorage
    namespace: company.team
    flowId: f
    endDate: "2100-01-01T00:00:00Z"
    dryRun: %s
"""
    await deploy(QUIET + purge % ("look", "true") + purge % ("purge", "false"))
    done = await run()
    assert outputs(done, "look") == {"scannedCount": 1, "purgedCount": 1, "deletedFilesCount": 0}
    assert outputs(done, "purge") == {"scannedCount": 1, "purgedCount": 1, "deletedFilesCount": 1}
    with pytest.raises(NotFound):
        engine.files.path(outputs(done, "file")["uri"])


async def test_old_revisions_are_forgotten_but_not_what_runs(deploy, run, engine):
    paused = None
    for number in range(5):
        await deploy(f"description: {number}\n{PAUSED}", "often")
        if number == 1:
            paused = await run(flow_id="often")
    await deploy(PAUSED, "other")
    purge = """
tasks:
  - id: purge
    type: io.kestra.plugin.core.flow.PurgeFlows
    namespaces: [company]
    flowPattern: "oft*"
"""
    await deploy(purge + "    behavior: {type: version, keepAmount: 2}\n")
    assert outputs(await run(), "purge") == {"size": 2}
    there = await engine.database.read(lambda c: flows.revisions(c, "company.team", "often"))
    assert there == [2, 4, 5]
    await engine.answers.resume(paused.id, {}, by="local:ann")
    assert (await engine.wait(paused.id, until="ended", timeout=20)).state is State.SUCCESS
    await deploy(purge)
    assert outputs(await run(), "purge") == {"size": 2}
    assert engine.flows.get("company.team", "often").description == "4"
    await deploy(purge + "    behavior: {type: version, before: '2020-01-01T00:00:00Z'}\n")
    assert outputs(await run(), "purge") == {"size": 0}


async def test_namespace_files_are_purged_when_all_are_meant(deploy, run, engine):
    engine.files.put_namespace_file("company.team", "a/x.sql", b"1")
    engine.files.put_namespace_file("company.team.sub", "y.sql", b"2")
    engine.files.put_namespace_file("company.other", "z.sql", b"3")
    await deploy("""
tasks:
  - id: old_ones
    type: io.kestra.plugin.core.namespace.PurgeFiles
    filePattern: "**/*.sql"
  - id: all_of_them
    type: io.kestra.plugin.core.namespace.PurgeFiles
    namespaces: [company.team]
    filePattern: "**/*.sql"
    behavior: {type: version, keepAmount: 0}
  - id: by_pattern
    type: io.kestra.plugin.core.namespace.PurgeFiles
    namespacePattern: "*.nothing"
    behavior: {type: version, keepAmount: 0}
""")
    done = await run()
    assert [outputs(done, one)["size"] for one in ("old_ones", "all_of_them", "by_pattern")] == [0, 2, 0]
    assert engine.files.namespaces() == ["company.other"]


async def test_versions_of_keys_are_purged_when_all_are_meant(deploy, run, engine):
    await engine.kv.set("company.team", "a", 1)
    await engine.kv.set("company.team", "b", 1)
    task = "\n    type: io.kestra.plugin.core.kv.PurgeKV\n    keyPattern: a\n    behavior: {type: version"
    await deploy(f"""
tasks:
  - id: newest{task}, keepAmount: 1}}
  - id: dated{task}, before: "2026-01-01T00:00:00Z"}}
  - id: every{task}}}
""")
    done = await run()
    assert [outputs(done, one)["size"] for one in ("newest", "dated", "every")] == [0, 0, 1]
    assert await engine.kv.keys("company.team") == ["b"]
    with pytest.raises(FlowInvalid, match="cannot set both"):
        await deploy(f"tasks:\n  - id: x{task}, keepAmount: 1, before: '2026-01-01T00:00:00Z'}}\n")


async def test_put_keeps_how_long_a_key_lives_and_that_it_is_a_secret(deploy, run, engine, clock):
    await engine.kv.set("company.team", "k", {"a": {"x": 1}}, ttl=3600, description="what it is")
    await engine.kv.set("company.team", "s", "hidden", kind="SECRET")
    await deploy("""
tasks:
  - {id: map, type: io.kestra.plugin.core.kv.Put, key: k, value: {a: {y: "{{ 1 + 1 }}"}}}
  - {id: secret, type: io.kestra.plugin.core.kv.Put, key: s, value: "{{ 'other' }}"}
""")
    assert (await run()).state is State.SUCCESS
    entry = await engine.kv.entry("company.team", "k")
    assert await engine.kv.get("company.team", "k") == {"a": {"x": 1, "y": 2}}
    assert entry.description == "what it is"
    assert timedelta(0) < entry.expires - clock.now() <= timedelta(seconds=3600)
    assert "other" not in (await engine.kv.entry("company.team", "s")).value
    assert await engine.kv.get("company.team", "s") == "other"


async def test_files_of_what_was_taken_up_again_meanwhile_stay(deploy, run, engine):
    """The purge saw it ended, and then somebody let it run again."""
    await deploy(QUIET + "  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n", "going")
    await deploy(QUIET, "over")
    going, over = await run(flow_id="going"), await run(flow_id="over")
    batch = [Candidate(one.id, one.namespace, one.flow_id) for one in (going, over)]
    gone = await engine.corrections.keeper._purge_batch(batch, frozenset({"execution", "log", "metric", "storage"}))
    assert (gone.executions, gone.files) == (1, 1)
    assert engine.files.path(outputs(going, "file")["uri"]).is_file()
    with pytest.raises(NotFound):
        engine.files.path(outputs(over, "file")["uri"])
    gone = await engine.corrections.keeper._purge_batch(batch[:1], frozenset({"storage"}))
    assert gone.files == 0
    assert engine.files.path(outputs(going, "file")["uri"]).is_file()
