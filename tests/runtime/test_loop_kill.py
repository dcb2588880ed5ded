"""kill -9 while rounds of a Loop end before their tasks are through: each has its end, and none of it happens again."""

import json
import random
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from engine.core.registry import Registry
from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Settings
from engine.tasks import _third_party, places, renamed
from tests.runtime.dying_loop import ROUNDS, Turn, name_of
from tests.runtime.marks import marks
from tests.shared import ROOT

SAID = Counter(
    [f"begin {name}" for name in ROUNDS]
    + ["slow exits", "runs exits", "leaves exits", "go exits", "slow stops", "runs stops", "leaves stops"]
    + ["past plain", "next plain", "tidy plain", "tidy denied", "tidy late", "last"]
)
ENDS = {"exits": "CANCELLED", "stops": "KILLED", "denied": "CANCELLED", "late": "CANCELLED", "plain": "SUCCESS"}
ASIDE = {  # every run of a round that is not as the round is
    **dict.fromkeys((("begin", name) for name in ROUNDS), "SUCCESS"),
    **dict.fromkeys((("leaves", name) for name in ("exits", "stops")), "SUCCESS"),
    **dict.fromkeys((("tidy", name) for name in ("denied", "late", "plain")), "SUCCESS"),
    **dict.fromkeys(
        ((one, name) for one in ("slow", "leaves", "exit") for name in ("denied", "late", "plain")), "SKIPPED"
    ),
    **dict.fromkeys((("ask", "late"), ("ask", "plain"), ("wait", "plain")), "SKIPPED"),
    ("slow", "exits"): "SUCCESS",
}
AS_THE_ROUND = [
    *((one, name) for one in ("both", "way") for name in ROUNDS),
    *(("exit", "exits"), ("exit", "stops"), ("slow", "stops"), ("ask", "denied"), ("wait", "late")),
    *(("past", "plain"), ("next", "plain")),
]
STATES = {
    **ASIDE,
    **{(one, name): ENDS[name] for one, name in AS_THE_ROUND},
    ("each", ""): "SUCCESS",
    ("last", ""): "SUCCESS",
}


def live(data, limit, moment, hours):
    """A process until its end: its exit status, the runs that had ended before, and whether time passed in it."""
    command = [sys.executable, "-m", "tests.runtime.dying_loop", str(data), str(limit), moment, str(hours)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    ended, *more = ran.stdout.splitlines() or ["[]"]
    assert ran.returncode in (0, -9), ran.stderr
    return ran.returncode, json.loads(ended), "passes" in more


async def test_nobody_kills_it(tmp_path):
    assert live(tmp_path, 2, "never", 0)[0] == 0
    await check(tmp_path)
    assert Counter(line.partition(" ")[2] for line in marks(tmp_path)) == SAID


@pytest.mark.parametrize("seed", [15, 30, 27, 38])
async def test_a_round_that_was_left_is_left_after_a_kill(tmp_path, seed):
    draw = random.Random(seed)  # the end of each of the four rounds that are left, before and after it is written
    limit, hours = draw.choice((0, 2)), 0
    for number in draw.sample(range(1, 5), draw.choice((1, 1, 1, 2))):
        moment = f"{draw.choice(('before', 'after'))}:{number}:{draw.choice((1, 1, 2, 3))}"
        died, _, has_passed = live(tmp_path, limit, moment, hours)
        assert died == -9, moment
        hours += 4 if has_passed or draw.random() < 0.5 else 0  # a clock that went on is not set back
    before = Counter(line.partition(" ")[0] for line in marks(tmp_path))
    done, ended, _ = live(tmp_path, limit, "never", hours)
    assert done == 0
    await check(tmp_path)
    after = Counter(line.partition(" ")[0] for line in marks(tmp_path))
    assert {run: after[run] for run in ended} == {run: before[run] for run in ended}


async def check(data):
    """Each round has its end and each run its own, once; nothing is left to do, and nobody is asked any more."""
    registry = Registry([Turn], places=places(), rename=renamed, plugins=_third_party)
    engine = await Engine.open(Settings(data=data, flows=()), registry=registry)
    try:
        (execution,) = await engine.executions(limit=100)
        asked = await engine.pauses()
    finally:
        await engine.database.close()
    assert (execution.state, asked) == (State.SUCCESS, [])
    runs = execution.task_runs
    found = [((run.task_id, name_of(runs, run)), run.state.value) for run in runs.values()]
    assert (dict(found), len(found)) == (STATES, len(STATES))
    assert all(len(run.attempts) <= 1 for run in runs.values())
    (whole,) = [run for run in runs.values() if run.task_id == "each"]
    assert whole.outputs["terminatedIterations"] == {"CANCELLED": 3, "KILLED": 1, "SUCCESS": 1}
    assert {line.partition(" ")[2] for line in marks(data)} == set(SAID)
    with sqlite3.connect(data / "parley.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from command").fetchone() == (0,)
        assert connection.execute("select count(*) from event where consumed = 0").fetchone() == (0,)
        states = connection.execute("select state, count(*) from pause group by state order by state").fetchall()
    connection.close()
    assert states == [("EXPIRED", 1), ("RESUMED", 1)]
