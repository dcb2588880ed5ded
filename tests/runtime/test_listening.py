"""Realtime triggers: every message starts an execution, once, whatever happens in between."""

import asyncio
import subprocess
import sys
from collections import Counter

import pytest

from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Settings
from tests.runtime.hearing import registry
from tests.shared import ROOT

KEY = "company.team/hears/ears"


def flow(folder, more="", task='type: io.kestra.plugin.core.debug.Return\n    format: "{{ trigger.text }}"'):
    return f"""
id: hears
namespace: company.team
tasks:
  - id: say
    {task}
triggers:
  - id: ears
    type: tests.Hear
    folder: {folder}
{more}"""


@pytest.fixture
async def engine(settings):
    opened = await Engine.open(settings, registry=registry())
    await opened.start(watch=False)
    yield opened
    await opened.stop(grace=0)


@pytest.fixture
def spool(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def send(folder, *names):
    for name in names:
        (folder.parent / name).write_text(f"text of {name}")
        (folder.parent / name).rename(folder / name)


async def until(holds):
    """Wait for what must come."""
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.01)


async def ended(engine, count):
    async def all_there():
        found = await engine.executions(limit=100)
        return len(found) >= count and all(one.state.is_terminal for one in found)

    await until(all_there)
    return await engine.executions(limit=100)


async def test_each_message_is_an_execution(engine, spool):
    send(spool, "a", "b", "c")
    await engine.deploy(flow(spool))
    found = await ended(engine, 3)
    said = {one.origin.variables["name"]: next(iter(one.task_runs.values())).outputs["value"] for one in found}
    assert said == {name: f"text of {name}" for name in "abc"}
    assert {(one.started_by, one.origin.type) for one in found} == {("trigger", "tests.Hear")}
    await until(lambda: asyncio.sleep(0, not list(spool.iterdir())))
    send(spool, "d", "b")  # `b` comes a second time
    await until(lambda: asyncio.sleep(0, not list(spool.iterdir())))
    assert len(await ended(engine, 4)) == 4


async def test_what_cannot_start_is_kept_as_a_failed_execution(engine, spool):
    inputs = "inputs:\n  - {id: number, type: INT}\ntasks:"
    more = '    inputs: {number: "{{ trigger.text }}"}\n    when: "{{ trigger.name != \'no\' }}"\n'
    await engine.deploy(flow(spool, more).replace("tasks:", inputs, 1))
    send(spool, "bad", "wrong", "no")
    found = await ended(engine, 2)
    await until(lambda: asyncio.sleep(0, not list(spool.iterdir())))
    assert len(await engine.executions()) == 2
    said = {}
    for one in found:
        assert one.state is State.FAILED
        said[one.origin.variables["name"]] = (await engine.logs(one.id))[0].message
    assert "It can't be read." in said["bad"]
    assert "number" in said["wrong"]


async def test_what_no_database_can_keep_holds_up_no_later_message(engine, spool):
    for name, text in (("a.json", '"half \\ud83d"'), ("b.json", "[" * 900 + "]" * 900), ("c.json", '"whole"')):
        (spool.parent / name).write_text(text)
        (spool.parent / name).rename(spool / name)
    await engine.deploy(flow(spool))
    half, whole, deep = sorted(await ended(engine, 3), key=lambda one: one.origin.variables.get("text", "z"))
    assert [one.origin.variables for one in (half, whole)] == [
        {"name": "a.json", "text": "half ?"},
        {"name": "c.json", "text": "whole"},
    ]
    assert (deep.state, deep.origin.variables) == (State.FAILED, {})
    (line,) = await engine.logs(deep.id)
    assert "nested too deeply" in line.message
    await until_empty(spool)


async def until_empty(folder):
    async def is_empty():
        return not list(folder.iterdir())

    await until(is_empty)


async def test_an_edit_and_a_switch_are_heard(engine, spool, tmp_path):
    await engine.deploy(flow(tmp_path / "nowhere"))  # listens again and again
    await engine.deploy(flow(spool))
    send(spool, "a")
    await ended(engine, 1)
    await engine.schedules.toggle("company.team", "hears", "ears", disabled=True)
    await until(lambda: asyncio.sleep(0, not engine.schedules._watches._listening._tasks))
    send(spool, "b")
    await engine.schedules.toggle("company.team", "hears", "ears", disabled=False)
    await ended(engine, 2)
    await engine.deploy(flow(spool, "    disabled: true\n"))
    send(spool, "c")
    assert not engine.schedules._watches._listening._tasks
    assert len(await engine.executions()) == 2


async def test_stop_after_stops_the_listening(engine, spool):
    failing = "type: io.kestra.plugin.core.execution.Fail"
    await engine.deploy(flow(spool, "    stopAfter: [FAILED]\n", failing))
    send(spool, "a")
    await until(lambda: asyncio.sleep(0, engine.schedules.is_disabled(KEY)))
    await until(lambda: asyncio.sleep(0, not engine.schedules._watches._listening._tasks))


async def test_stop_after_counts_what_a_check_made_failed(engine, spool):
    checked = "checks: [{condition: '{{ false }}', message: no, behavior: FAIL_EXECUTION}]\n"
    await engine.deploy(flow(spool, "    stopAfter: [FAILED]\n") + checked)
    send(spool, "a")
    await until(lambda: asyncio.sleep(0, engine.schedules.is_disabled(KEY)))
    await until(lambda: asyncio.sleep(0, not engine.schedules._watches._listening._tasks))
    assert not list(spool.iterdir())
    await engine.deploy(flow(spool, "    stopAfter: [FAILED]\n"))
    await engine.schedules.toggle("company.team", "hears", "ears", disabled=False)
    send(spool, "a", "b")  # `a` comes again: its execution was counted
    await ended(engine, 2)
    await until_empty(spool)
    assert sorted(one.state for one in await engine.executions()) == [State.FAILED, State.SUCCESS]
    assert not engine.schedules.is_disabled(KEY)


async def test_nobody_to_hear_can_be_an_execution(engine, tmp_path):
    await engine.deploy(flow(tmp_path / "nowhere", "    failOnTriggerError: true\n"))
    (found,) = await ended(engine, 1)
    assert found.state is State.FAILED
    assert "The folder is not there." in (await engine.logs(found.id))[0].message


@pytest.mark.parametrize("moment", ["before:2", "before:4", "after:3", "unsaid:1", "unsaid:4"])
async def test_a_kill_loses_and_doubles_no_message(tmp_path, spool, moment):
    flows, data = tmp_path / "flows", tmp_path / "data"
    flows.mkdir()
    (flows / "hears.yaml").write_text(flow(spool))
    names = [f"m{n}" for n in range(6)]
    send(spool, *names)

    def live(at):
        command = [sys.executable, "-m", "tests.runtime.hearing", str(data), str(flows), at]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    died = live(moment)
    assert died.returncode == -9, died.stderr
    again = live("never")
    assert again.returncode == 0, again.stderr
    engine = await Engine.open(Settings(data=data, flows=(flows,)), registry=registry())
    try:
        found = await engine.executions(limit=100)
    finally:
        await engine.database.close()
    assert Counter(one.origin.variables["name"] for one in found) == Counter(names)
    assert {one.state for one in found} == {State.SUCCESS}
