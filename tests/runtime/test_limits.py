"""No flow stops the others: each limit at its value and one past it, with other work going on beside it."""

import asyncio
import itertools
import json
import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.chat_settings import ChatSettings
from engine.aside import aside, waits
from engine.core.state import State
from engine.expressions import Services, render
from engine.runtime import Engine
from engine.runtime.creation import is_long
from engine.runtime.starts import hurried
from engine.settings import HttpSettings, Limits, ScriptSettings, Settings
from engine.tasks.core.trigger.schedule import Schedule
from engine.tasks.runners import PATIENCE, QUICK
from engine.tasks.script_output import ScriptOutput
from tests.runtime.greedy import ASKS, BESIDE, EACH, ENDLESS, FORKS, HANGS, LARGE, LOOP, PING, TALKATIVE
from tests.shared import ROOT


@pytest.fixture
async def engine(tmp_path):
    limits = Limits(output_bytes=2000, log_lines_per_task=100, foreach_values=40, subflow_depth=5, loop_iterations=30)
    opened = await Engine.open(Settings(data=tmp_path / "data", flows=(tmp_path / "none",), limits=limits))
    await opened.start(watch=False)
    await opened.deploy(BESIDE)
    yield opened
    await opened.stop(1)


async def ended(engine, flow, **inputs):
    """A flow's end, and that of another execution beside it."""
    made = await engine.create("n", flow, inputs, started_by="test")
    beside = await engine.create("n", "beside", {}, started_by="test")
    assert (await engine.wait(beside.id, timeout=60)).state is State.SUCCESS
    done = await engine.wait(made.id, timeout=60)
    return done, "\n".join(line.message for line in await engine.logs(made.id))


@pytest.mark.parametrize(("source", "flow"), [(EACH, "each"), (LOOP, "loop")])
async def test_values_of_a_loop(engine, source, flow):
    await engine.deploy(source)
    done, _ = await ended(engine, flow, last=40)
    assert done.state is State.SUCCESS
    assert len(done.task_runs) == 41
    done, said = await ended(engine, flow, last=41)
    assert done.state is State.FAILED
    assert "There are 41 values to go through; 40 are allowed." in said
    assert "limits.foreach_values" in said
    assert len(done.task_runs) == 1


async def test_a_loop_without_an_end(engine):
    await engine.deploy(ENDLESS)
    done, said = await ended(engine, "endless")
    assert done.state is State.FAILED
    assert "Loop 'again' was stopped after 30 iterations" in said
    assert "limits.loop_iterations" in said


async def test_flows_that_call_each_other(engine):
    await engine.deploy(PING % ("ping", "pong"))
    await engine.deploy(PING % ("pong", "ping"))
    done, _ = await ended(engine, "ping")
    assert done.state is State.FAILED
    every = [one for one in await engine.executions(limit=50) if one.flow_id != "beside"]
    assert len(every) == 6  # the first, and five calls
    assert {one.state for one in every} == {State.FAILED}
    deepest = "\n".join(line.message for line in await engine.logs(every[0].id))
    assert "Subflows are nested more than 5 deep." in deepest
    assert "limits.subflow_depth" in deepest


async def test_a_flow_that_starts_many_leaves_room_for_others_that_start_one(engine):
    start = {"type": "io.kestra.plugin.core.flow.Subflow", "namespace": "n", "flowId": "beside"}
    starts = [{"id": f"start{number}", "wait": False, **start} for number in range(400)]
    every = {"id": "all", "type": "io.kestra.plugin.core.flow.Parallel", "tasks": starts}
    for name, task in (("one", {"id": "start", **start}), ("many", every)):
        await engine.deploy(json.dumps({"id": name, "namespace": "n", "tasks": [task]}))
    many = await engine.create("n", "many", {}, started_by="test")
    await until(lambda: engine.starting > 300)
    one = await engine.create("n", "one", {}, started_by="test")
    assert (await engine.wait(one.id, timeout=60)).state is State.SUCCESS
    assert engine.starting > 100  # it did not stand behind all of them
    assert (await engine.wait(many.id, timeout=60)).state is State.SUCCESS
    assert len(await engine.executions(flow_id="beside", limit=1000)) == 401


async def test_a_large_output(engine):
    await engine.deploy(LARGE)
    done, _ = await ended(engine, "large", size=1000)
    assert done.state is State.SUCCESS
    done, said = await ended(engine, "large", size=3000)
    assert done.state is State.FAILED
    assert "The outputs of the task are too large" in said
    assert "Write large data to a file" in said
    assert "limits.output_bytes" in said


async def test_a_task_that_talks_without_end(engine):
    await engine.deploy(TALKATIVE)
    done, said = await ended(engine, "talkative")
    assert done.state is State.SUCCESS
    assert "The task wrote more than 100 lines (`limits.log_lines_per_task`); the rest is left out." in said
    assert len(said.splitlines()) < 110


async def test_a_task_that_writes_as_fast_as_it_can_leaves_most_of_the_time_to_others(engine, monkeypatch):
    """It is not heard for three times as long as hearing it took."""
    heard = []
    hear = ScriptOutput.hear

    def timed(self, block, stream):
        began = time.perf_counter()
        hear(self, block, stream)
        heard.append((began, time.perf_counter()))

    monkeypatch.setattr(ScriptOutput, "hear", timed)
    await engine.deploy(TALKATIVE.replace("seq 10000", "yes"))
    begun = await engine.create("n", "talkative", {}, started_by="test")
    await until(lambda: len(heard) > 50)
    await engine.kill(begun.id, by="ann")
    assert (await engine.wait(begun.id, timeout=60)).state is State.KILLED
    slow = [(one, two) for one, two in itertools.pairwise(heard[:50]) if one[1] - one[0] > 2 * QUICK]
    assert slow
    assert all(two[0] - one[1] > PATIENCE * (one[1] - one[0] - QUICK) for one, two in slow)


@pytest.mark.parametrize("way", ["times out", "is killed", "is stopped"])
async def test_a_task_that_forks_leaves_nobody(engine, tmp_path, way):
    pids = tmp_path / "pids"
    await engine.deploy(FORKS.replace("PT2S", "PT3S" if way == "times out" else "PT10M") % pids)
    begun = await engine.create("n", "forks", {}, started_by="test")
    born = await until(lambda: ids if len(ids := numbers(pids)) >= 31 + 3 else None)
    if way == "is killed":
        await engine.kill(begun.id, by="ann")
    if way == "is stopped":
        await engine.stop(grace=0)
    else:
        done = await engine.wait(begun.id, timeout=60)
        assert done.state is (State.FAILED if way == "times out" else State.KILLED)
    await until(lambda: not [pid for pid in born if lives(pid)])


async def test_tasks_that_hang_leave_room_for_others_also_after_a_restart(tmp_path):
    limits = Limits(workers=4, workers_per_flow=3)
    settings = Settings(data=tmp_path / "data", flows=(tmp_path / "none",), limits=limits)
    for life in range(2):
        opened = await Engine.open(settings)
        await opened.start(watch=False)
        try:
            await opened.deploy(BESIDE.replace("{a: b}", "{a: b}, timeout: PT1M"))  # with a limit it is a worker's task
            await opened.deploy(HANGS)
            for _ in range(0 if life else 5):
                await opened.create("n", "hangs", {}, started_by="test")
            await until(lambda opened=opened: opened.dispatcher.under_way == 3)
            made = [await opened.create("n", "beside", {}, started_by="test") for _ in range(5)]
            assert {(await opened.wait(one.id, timeout=60)).state for one in made} == {State.SUCCESS}
            await until(lambda opened=opened: opened.dispatcher.under_way == 3)
            assert len(await opened.executions(states=[State.RUNNING])) == 5
        finally:
            await opened.stop(0)


async def test_what_a_script_leaves_behind_ends_soon_after_it(engine, tmp_path):
    pids = tmp_path / "pids"
    begun, _, _ = FORKS.partition("        env -i")
    await engine.deploy(
        begun.replace("PT2S", "PT10M") % pids + '        until [ "$(wc -l < $PIDS)" = 2 ]; do sleep 0.05; done\n'
    )
    done, _ = await ended(engine, "forks")
    assert done.state is State.SUCCESS
    born = numbers(pids)
    assert len(born) == 2  # one in a session of its own, one without a parent beside
    await until(lambda: not [pid for pid in born if lives(pid)])


def numbers(path: Path) -> list[int]:
    """The process ids in a file."""
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


async def until(found):
    """The first true answer."""
    async with asyncio.timeout(60):
        while not (answer := found()):
            await asyncio.sleep(0.05)
    return answer


async def test_ten_thousand_values_by_default_and_others_get_their_turns(tmp_path):
    """Each value is a worker's task, once; another execution is begun, asked, answered and ended meanwhile."""
    opened = await Engine.open(Settings(data=tmp_path / "data", flows=(tmp_path / "none",)))
    await opened.start(watch=False)
    try:
        await opened.deploy(EACH.replace('taskrun.value }}"', 'taskrun.value }}", timeout: PT1M'))
        await opened.deploy(ASKS)
        made = await opened.create("n", "each", {"last": 10_000}, started_by="test")
        turns = 0
        while not (await opened.execution(made.id)).state.is_terminal:
            asked = await opened.create("n", "asks", {}, started_by="test")
            assert (await opened.wait(asked.id, until="ended_or_paused", timeout=60)).state is State.PAUSED
            await opened.resume(asked.id, {}, by="ann")
            assert (await opened.wait(asked.id, timeout=60)).state is State.SUCCESS
            turns += 1
        done = await opened.execution(made.id)
        each = [run for run in done.task_runs.values() if run.task_id == "one"]
        assert (done.state, len(each), {len(run.attempts) for run in each}) == (State.SUCCESS, 10_000, {1})
        assert sorted(int(run.outputs["value"]) for run in each) == list(range(1, 10_001))
        assert turns >= 3
    finally:
        await opened.stop(1)


async def test_the_real_sizes_do_not_stop_another_execution(tmp_path):
    """With the limits as they come: 100 MB of output, 100,001 log lines and 10,001 values, all at once."""
    opened = await Engine.open(Settings(data=tmp_path / "data", flows=(tmp_path / "none",)))
    await opened.start(watch=False)
    try:
        for flow in (BESIDE, LARGE, TALKATIVE.replace("seq 10000", "seq 100001"), EACH):
            await opened.deploy(flow)
        heavy = {"large": {"size": 100_000_000}, "talkative": {}, "each": {"last": 10_001}}
        made = {flow: await opened.create("n", flow, given, started_by="test") for flow, given in heavy.items()}
        beside = await opened.create("n", "beside", {}, started_by="test")
        assert (await opened.wait(beside.id, timeout=60)).state is State.SUCCESS
        done = {flow: await opened.wait(one.id, timeout=110) for flow, one in made.items()}
        assert {flow: one.state for flow, one in done.items()} == {
            "large": State.SUCCESS, "talkative": State.SUCCESS, "each": State.FAILED,
        }  # fmt: skip
        said = {flow: [line.message for line in await opened.logs(one.id, limit=200_000)] for flow, one in made.items()}
        assert any("Outputs in a line of more than 1,048,576 characters are not read" in line for line in said["large"])
        assert any(
            "The script wrote more than 10,485,760 characters (`scripts.max_output`)" in line for line in said["large"]
        )
        assert sum(map(len, said["large"])) < 20_000_000
        assert any("The task wrote more than 100,000 lines" in line for line in said["talkative"])
        assert any("There are 10001 values" in line.replace(",", "") for line in said["each"])
    finally:
        await opened.stop(1)


def lives(pid: int) -> bool:
    """Whether a process does anything still; one that ended and was not yet collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_the_table_in_the_docs_is_the_settings():
    text = (ROOT / "bot" / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `(\w+\.\w+)` \| ([\d,]+) \| (.+) \|$", text, re.MULTILINE)
    told = {name: (int(number.replace(",", "")), what) for name, number, what in rows}
    sections = [("limits", Limits, Limits.model_fields), ("scripts", ScriptSettings, ["max_output"])]
    sections += [("http", HttpSettings, ["max_body"]), ("chat", ChatSettings, ["per_person"])]
    real = {
        f"{section}.{name}": (model.model_fields[name].default, model.model_fields[name].description)
        for section, model, names in sections
        for name in names
    }
    assert told == real


@pytest.mark.parametrize(
    "text",
    [
        "{% for one in inputs.rows %}{{ one }}{% endfor %}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{{ inputs.text | regexMatch('(a+)+$') }}",
        "{{ inputs.text | jq('.a') }}",
        "{{ inputs.text.split('(a+)+$') }}",
        "{% filter replace({'(a+)+$': ''}, regexp=true) %}{{ inputs.text }}{% endfilter %}",
        "{{ read('a.txt') }}",
    ],
)
def test_what_may_take_seconds_is_not_rendered_where_everything_else_goes_on(text):
    assert waits(["plain", {"key": text}])


def test_long_inputs_are_not_read_where_everything_else_goes_on():
    assert not is_long({"rows": "- a\n" * 100, "more": ["b", 3, None]})
    assert is_long({"more": ["b", {"deep": "- a\n" * 100_000}]})


@pytest.mark.parametrize(
    "text", ["plain", "{{ inputs.a ?? 'b' | upper }}", "{{ inputs.a.trim() }}", "{% if a %}b{% endif %}"]
)
def test_what_is_soon_done_is_rendered_at_once(text):
    assert not waits(text)


@pytest.mark.parametrize(
    ("template", "is_long"),
    [
        ("{{ big | length }}", False),
        ("{{ big }}", True),
        ("{{ big | distinct | length }}", True),
        ("{{ yaml(text) | length }}", True),
        ("{{ big ~ '' | length }}", True),
        ("{{ big == other }}", True),
    ],
)
async def test_what_turns_out_to_take_long_is_rendered_beside_everything_else(template, is_long):
    values = {"big": [[number] for number in range(50_000)], "text": "- a\n" * 10_000}
    values["other"] = [[number] for number in range(50_000)]
    threads = []

    def work():
        threads.append(threading.current_thread())
        return render(template, values, Services())

    assert await aside(template, work) == render(template, values, Services())
    assert threads[0] is threading.current_thread()
    assert [thread is threads[0] for thread in threads[1:]] == [False] * is_long


async def test_a_pure_task_that_takes_long_ends_as_any_other(engine):
    await engine.deploy("""
id: f
namespace: n
inputs:
  - {id: rows, type: JSON}
tasks:
  - {id: r, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.rows | distinct | length }}"}
  - {id: if, type: io.kestra.plugin.core.flow.If, condition: "{{ inputs.rows | distinct | length > 5 }}", then: [
      {id: s, type: io.kestra.plugin.core.debug.Return, format: "{{ (inputs.rows | toJson) == '1' }}"}]}
""")
    made = await engine.create("n", "f", {"rows": [[number] for number in range(30_000)]}, started_by="test")
    ended = await engine.wait(made.id, timeout=60)
    assert ended.state is State.SUCCESS
    values = [run.outputs["value"] for run in ended.task_runs.values() if "value" in run.outputs]
    assert values == ["30000", "false"]


def test_a_search_among_dates_ends_when_the_conditions_take_long():
    asked = []

    def never(text, extra, typed):
        asked.append(extra)
        return "false"

    passing = itertools.count(1).__next__  # a second passes each time somebody looks
    trigger = Schedule(id="t", type="io.kestra.plugin.core.trigger.Schedule", cron="* * * * *", when="{{ false }}")
    after = datetime(2042, 3, 3, 8, 0, tzinfo=UTC)
    found = trigger.next_date(after, hurried(never, passing))
    assert found == after + timedelta(minutes=len(asked) + 1)  # which is looked at when it comes
    assert 0 < len(asked) < 10
    assert trigger.previous_date(after, hurried(never, passing)) is None
