"""WorkingDirectory: one folder for all its tasks, files in and out, and whose files are whose."""

import asyncio

from engine.core.state import State
from engine.runtime import Engine
from tests.runtime.marks import marks, registry

SHELL = (
    "type: io.kestra.plugin.scripts.shell.Commands\n        taskRunner: {type: io.kestra.plugin.core.runner.Process}"
)


def directory(tasks, more=""):
    return f"tasks:\n  - id: wdir\n    type: io.kestra.plugin.core.flow.WorkingDirectory\n{more}    tasks:\n{tasks}"


def returned(expression, name="r"):
    return f'  - {{id: {name}, type: io.kestra.plugin.core.debug.Return, format: "{{{{ {expression} }}}}"}}\n'


def shell(name, command, more=""):
    return f"      - id: {name}\n        {SHELL}\n        commands:\n          - {command}\n{more}"


async def test_tasks_share_a_folder_and_see_what_came_before(engine, deploy, run):
    tasks = (
        shell("one", "echo hello > a.txt")
        + shell("two", '\'cat a.txt > b.txt; echo "::{\\"outputs\\":{\\"said\\":\\"$(cat b.txt)\\"}}::"\'')
        + '      - id: three\n        type: tests.Mark\n        text: "{{ outputs.two.vars.said }}"\n'
    )
    await deploy(directory(tasks, "    outputFiles: ['*.txt']\n"))
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    assert marks(engine.settings.data)[0].endswith(" hello")
    runs = {one.task_id: one for one in done.task_runs.values()}
    assert sorted(runs["wdir"].outputs["outputFiles"]) == ["a.txt", "b.txt"]
    assert runs["one"].parent_id == runs["wdir"].id
    assert all(len(one.attempts) == 1 for one in done.task_runs.values())


async def test_a_file_also_belongs_to_the_task_that_wrote_it(engine, deploy, run):
    tasks = shell("one", "echo hello > output.txt") + shell("two", "echo x > other.log")
    after = returned("read(outputs.one.outputFiles['output.txt'])", "read")
    await deploy(directory(tasks, "    outputFiles: ['output.txt']\n") + after)
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    runs = {one.task_id: one for one in done.task_runs.values()}
    assert runs["read"].outputs == {"value": "hello\n"}
    assert not runs["two"].outputs.get("outputFiles")


async def test_files_are_placed_before_the_first_task(engine, deploy, run):
    engine.files.put_namespace_file("company.team", "lib/tool.sh", b"echo from the namespace")
    more = "    namespaceFiles: {enabled: true}\n    inputFiles:\n      in/data.txt: '{{ flow.id }}'\n"
    more += "    outputFiles: ['out.txt']\n"
    await deploy(
        directory(shell("one", "'sh lib/tool.sh > out.txt; cat in/data.txt >> out.txt'"), more)
        + returned("read(outputs.wdir.outputFiles['out.txt'])")
    )
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    assert [one.outputs for one in done.task_runs.values()][-1] == {"value": "from the namespace\nf"}


async def test_a_failing_task_stops_the_rest_unless_it_may_fail(engine, deploy, run):
    await deploy(directory(shell("bad", "exit 3") + "      - {id: never, type: tests.Mark}\n"))
    failed = await run()
    assert failed.state is State.FAILED
    assert [one.task_id for one in failed.task_runs.values()] == ["wdir", "bad"]
    assert any(line.task_id == "bad" and line.level == "ERROR" for line in await engine.logs(failed.id))
    await deploy(
        directory(shell("bad", "exit 3", "        allowFailure: true\n") + "      - {id: then, type: tests.Mark}\n")
    )
    done = await run()
    assert [(one.task_id, one.state.value) for one in done.task_runs.values()] == [
        ("wdir", "WARNING"), ("bad", "WARNING"), ("then", "SUCCESS"),
    ]  # fmt: skip


async def test_run_if_and_retry_of_a_child(engine, deploy, run):
    tasks = "      - {id: skipped, type: tests.Mark, runIf: '{{ false }}'}\n" + shell(
        "flaky",
        "'test -f there || { touch there; exit 1; }'",
        "        retry: {type: constant, interval: PT0.01S, maxAttempts: 3}\n",
    )
    await deploy(directory(tasks))
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    assert [(one.task_id, one.state.value, len(one.attempts)) for one in done.task_runs.values()][1:] == [
        ("skipped", "SKIPPED", 0), ("flaky", "SUCCESS", 2),
    ]  # fmt: skip


async def test_a_child_that_took_a_second_try_warns_when_that_is_asked(deploy, run):
    fail = "      - id: flaky\n        type: io.kestra.plugin.core.execution.Fail\n        RETRY\n"
    fail += '        condition: "{{ taskrun.attemptsCount == 0 }}"\n'
    retry = "retry: {type: constant, interval: PT0.01S, maxAttempts: 2, warningOnRetry: true}"
    await deploy(directory(fail.replace("RETRY", retry)))
    assert [one.state.value for one in (await run()).task_runs.values()] == ["WARNING", "WARNING"]
    await deploy(directory(fail.replace("RETRY", f"{retry}\n        allowWarning: true")))
    assert [one.state.value for one in (await run()).task_runs.values()] == ["SUCCESS", "SUCCESS"]


async def test_a_child_is_asked_before_every_try_whether_it_runs(deploy, run):
    tasks = (
        "      - id: flaky\n        type: io.kestra.plugin.core.execution.Fail\n"
        '        runIf: "{{ taskrun.attemptsCount < 2 }}"\n'
        "        retry: {type: constant, interval: PT0.01S, maxAttempts: 5}\n"
        '      - {id: unsure, type: tests.Mark, runIf: "{{ nothing.there }}", '
        "retry: {type: constant, interval: PT1H, maxAttempts: 5}}\n"
    )
    await deploy(directory(tasks))
    done = await run()
    shown = [(one.task_id, one.state.value, [a.state.value for a in one.attempts]) for one in done.task_runs.values()]
    assert shown[1:] == [("flaky", "SKIPPED", ["FAILED", "FAILED"]), ("unsure", "FAILED", ["FAILED"])]


async def test_every_try_of_a_directory_begins_with_its_first_task(engine, deploy, run):
    tasks = (
        "      - {id: first, type: tests.Mark, text: \"{{ outputs.first.text ?? 'nothing' }}\"}\n"
        '      - {id: second, type: tests.Mark, text: "{{ outputs.first.text }} again"}\n'
        "      - id: third\n        type: io.kestra.plugin.core.execution.Fail\n"
        '        condition: "{{ workerTaskrun.attemptsCount < 2 }}"\n'
    )
    await deploy(directory(tasks, "    retry: {type: constant, interval: PT0.01S, maxAttempts: 3}\n"))
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    shown = {one.task_id: (one.state, len(one.attempts), one.outputs) for one in done.task_runs.values()}
    assert shown["first"] == (State.SUCCESS, 1, {"text": "nothing"})
    assert shown["second"] == (State.SUCCESS, 1, {"text": "nothing again"})
    assert [line.split(" ", 1)[1] for line in marks(engine.settings.data)] == ["nothing", "nothing again"] * 3


async def test_a_child_may_wait(engine, deploy, run):
    tasks = "      - {id: breathe, type: io.kestra.plugin.core.flow.Sleep, duration: \"{{ 'PT0.01S' }}\"}\n"
    await deploy(directory(tasks + shell("one", "echo on > a.txt"), "    outputFiles: ['*.txt']\n"))
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    assert {one.task_id: one.state for one in done.task_runs.values()}["breathe"] is State.SUCCESS


async def test_files_of_other_namespaces_are_placed(engine, deploy, run):
    engine.files.put_namespace_file("company.shared", "lib.sh", b"echo shared > out.txt")
    asked = '    namespaceFiles: {namespaces: [company.shared], folderPerNamespace: "{{ 1 == 1 }}"}\n'
    await deploy(directory(shell("one", "sh company.shared/lib.sh"), asked + "    outputFiles: ['*.txt']\n"))
    done = await run()
    runs = {one.task_id: one for one in done.task_runs.values()}
    assert engine.files.path(runs["wdir"].outputs["outputFiles"]["out.txt"]).read_text() == "shared\n"


async def test_the_folder_is_gone_afterwards(engine, deploy, run):
    await deploy(directory(shell("one", "touch left")))
    await run()
    work = engine.settings.data / "work"
    assert not work.exists() or list(work.iterdir()) == []


async def test_a_cache_brings_files_into_the_next_run(engine, deploy, run):
    tasks = shell("one", "'echo x >> kept.txt; wc -l < kept.txt > count.txt'")
    more = "    cache: {patterns: ['kept.txt'], ttl: PT1H}\n    outputFiles: ['count.txt']\n"
    read = returned("read(outputs.wdir.outputFiles['count.txt']) | trim")
    await deploy(directory(tasks, more) + read)
    counts = []
    for _ in range(2):
        done = await run()
        counts.append([one.outputs for one in done.task_runs.values()][-1]["value"])
    assert counts == ["1", "2"]


async def test_a_directory_interrupted_by_the_end_of_the_process_runs_again(settings, clock):
    flow = "id: f\nnamespace: a\n" + directory(
        shell("one", "echo again > a.txt")
        + "      - {id: two, type: tests.Mark, hang: true}\n"
        + shell("three", "cat a.txt")
    )
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(flow)
    made = await first.create("a", "f", {}, started_by="x")
    async with asyncio.timeout(20):
        while not marks(settings.data):
            await asyncio.sleep(0.01)
    await first.stop(grace=0)
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        done = await second.wait(made.id, timeout=20)
        assert done.state is State.SUCCESS, [line.message for line in await second.logs(made.id)]
        assert [(one.task_id, one.state.value) for one in done.task_runs.values()] == [
            ("wdir", "SUCCESS"), ("one", "SUCCESS"), ("two", "SUCCESS"), ("three", "SUCCESS"),
        ]  # fmt: skip
    finally:
        await second.stop()
