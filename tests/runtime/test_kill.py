"""kill -9 at every kind of moment: after the next start nothing is lost and nothing is counted twice."""

import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from engine.core.execution import Execution
from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Settings
from tests.runtime.marks import marks, registry
from tests.shared import ROOT

CRASH = """
id: crash
namespace: company.team
tasks:
  - id: first
    type: tests.Mark
    text: first
  - id: fan
    type: io.kestra.plugin.core.flow.ForEach
    values: [1, 2, 3, 4, 5, 6]
    concurrencyLimit: 3
    tasks:
      - id: each
        type: tests.Mark
        text: "each {{ taskrun.value }}"
  - id: nap
    type: io.kestra.plugin.core.flow.Sleep
    duration: PT0.2S
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - id: ok
        type: BOOLEAN
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: child
    inputs:
      word: "{{ outputs.ask.onResume.ok }}"
  - id: last
    type: tests.Mark
    text: "last {{ outputs.call.outputs.said }}"
outputs:
  - id: said
    type: STRING
    value: "{{ outputs.last.text }}"
"""
CHILD = """
id: child
namespace: company.team
inputs:
  - id: word
    type: STRING
tasks:
  - id: inner
    type: tests.Mark
    text: "child {{ inputs.word }}"
outputs:
  - id: said
    type: STRING
    value: "{{ outputs.inner.text }}"
"""
EXPECTED = Counter(["first", *(f"each {n}" for n in range(1, 7)), "child true", "last child true"])
MOMENTS = [
    *(f"before:{number}" for number in (2, 3, 5, 8, 12, 16)),
    *(f"after:{number}" for number in (2, 4, 6, 9, 13, 16)),
    "mark",
    "paused",
    "timer",
]


@pytest.fixture
def folders(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "crash.yaml").write_text(CRASH)
    (flows / "child.yaml").write_text(CHILD)
    return tmp_path / "data", flows


def live(folders, moment):
    """A process until its end; its exit status."""
    command = [sys.executable, "-m", "tests.runtime.victim", str(folders[0]), str(folders[1]), moment]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_execution_goes_on_after_a_kill(folders, moment):
    died = live(folders, moment)
    assert died.returncode == -9, f"it should have died at {moment}: {died.stdout} {died.stderr}"
    again = live(folders, "never")
    assert again.returncode == 0, again.stderr
    await check(folders, kills=1)


async def test_three_kills_in_a_row(folders):
    for moment in ("after:3", "before:6", "after:7"):
        assert live(folders, moment).returncode == -9
    assert live(folders, "never").returncode == 0
    await check(folders, kills=3)


async def check(folders, kills):
    """One parent, one child, each task once in the books; a body ran again only if the kill met it."""
    data, flows = folders
    engine = await Engine.open(Settings(data=data, flows=(flows,)), registry=registry())
    try:
        found = await engine.executions(limit=100)
    finally:
        await engine.database.close()
    by_flow = {one.flow_id: one for one in found}
    assert len(found) == 2, [(one.flow_id, one.state) for one in found]
    parent, child = by_flow["crash"], by_flow["child"]
    assert parent.state is State.SUCCESS
    assert child.state is State.SUCCESS
    assert parent.outputs == {"said": "last child true"}
    once_in_the_books(parent, 12)
    once_in_the_books(child, 1)
    bodies = Counter(line.partition(" ")[2] for line in marks(data))
    assert set(bodies) == set(EXPECTED)
    assert sum((bodies - EXPECTED).values()) <= 4 * kills  # again only what one of the four workers was at
    with sqlite3.connect(data / "parley.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from command").fetchone() == (0,)
        assert connection.execute("select count(*) from event where consumed = 0").fetchone() == (0,)
        assert connection.execute("select count(*) from pause where state = 'RESUMED'").fetchone() == (1,)
    connection.close()


def once_in_the_books(execution: Execution, runs: int) -> None:
    """Every task run is there once, ended well, with one attempt that counts."""
    listed = [(run.task_id, run.value) for run in execution.task_runs.values()]
    assert len(listed) == len(set(listed)) == runs, listed
    assert all(run.state is State.SUCCESS for run in execution.task_runs.values())
    assert all(len(run.attempts) <= 1 for run in execution.task_runs.values())
