"""Each promise is found broken when it is: a check that can't fail would prove nothing."""

import signal
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.scenarios.process import Parley
from tests.torture import clocks
from tests.torture.clocks import LONG, NIGHTS, due
from tests.torture.fleet import PAGE, FleetWorld, Post, posts
from tests.torture.promises import (
    Fire,
    Ran,
    TaskRow,
    Told,
    at_rest,
    decided_once,
    done_at_least_once,
    errands_end,
    fired_at,
    fired_once,
    in_their_time,
    nothing_lost,
    recorded_once,
)

ONE = Ran("e1", 1, "SUCCESS", "yes")
MARKS = ["1 before", "1 after yes", "1 after yes"]
DECIDED = {"e1": ["yes"]}
START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FIRES = [Fire("t", START + SECOND * n, f"x{n}") for n in range(5)]
MADE = {"t": [f"x{n}" for n in range(5)]}


def told():
    return Told([1, 2], {1: "e1"}, {"e1": ["yes", "no"]}, {"e1": ["yes"]})


def test_the_set_up_that_is_tortured_is_the_one_of_the_guide():
    found = posts(PAGE.read_text("utf-8"))
    assert Counter(role for _, role, _ in found) == {"bot": 2, "scheduler": 2, "worker": 3}
    assert [words[-2:] for _, _, words in found if "--worker-group" in words] == [["--worker-group", "gpu"]]


def test_a_process_that_is_struck_is_up_no_more_though_its_end_takes_a_moment(tmp_path):
    world = FleetWorld(tmp_path, 1, "postgresql:///a", "postgresql:///b")
    world.posts = [Post("A-bot", "bot", [], {})]
    (post,) = world.posts
    life = post.life = Parley(["30"], tmp_path, program=["sleep"])
    life.url = "http://localhost:1"
    assert post.is_up
    world.strike()
    assert (post.is_up, world.url, post.kills) == (False, None, 1)
    assert life.stop() == -signal.SIGKILL


def test_a_good_run_keeps_all():
    assert nothing_lost(told(), [ONE]) == []  # order 2 was never acknowledged: it may be there or not
    assert decided_once(told(), [ONE], DECIDED, MARKS) == []
    assert done_at_least_once([ONE], MARKS) == []
    assert recorded_once([TaskRow("e1", "a", "1", "SUCCESS", 1), TaskRow("e1", "a", "2", "SUCCESS", 1)]) == []
    assert fired_once(FIRES, MADE, {"t": SECOND}, START, FIRES[-1].at) == []
    assert at_rest(0, 0) == []


def test_errands_end_as_they_should():
    begun, stuck = {"a": "errand", "b": "stuck"}, {"b": "KILLED", "c": "KILLED"}
    assert errands_end(begun, {"b"}, {"a": "SUCCESS"}, stuck) == []
    assert recorded_once([TaskRow("b", "last", None, "KILLED", 0)], stuck) == []
    assert recorded_once([TaskRow("b", "last", None, "RUNNING", 0)], stuck) == ["last of b is RUNNING"]
    assert recorded_once([TaskRow("a", "last", None, "KILLED", 0)], stuck) == ["last of a is KILLED"]
    late = TaskRow("a", "late", None, "FAILED", 0)
    assert recorded_once([late], (), {"late": "FAILED"}) == []
    assert recorded_once([replace(late, state="SUCCESS")], (), {"late": "FAILED"}) == ["late of a is SUCCESS"]


@pytest.mark.parametrize(
    ("errands", "stuck", "said"),
    [
        ({}, {"b": "KILLED"}, "errand a was acknowledged and is not there"),
        ({"a": "SUCCESS"}, {}, "stuck b was acknowledged and is not there"),
        ({"a": "RUNNING"}, {"b": "KILLED"}, "errand a ended as RUNNING"),
        ({"a": "SUCCESS"}, {"b": "KILLING"}, "b was killed, said the server, and is KILLING"),
        ({"a": "SUCCESS"}, {"b": "KILLED", "c": "RUNNING"}, "c was stuck, and is RUNNING"),
    ],
)
def test_an_errand_that_does_not_end_so_is_found(errands, stuck, said):
    assert errands_end({"a": "errand", "b": "stuck"}, {"b"}, errands, stuck) == [said]


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        ([], "acknowledged as e1 and is not there"),
        ([replace(ONE, id="e2")], "not there"),
        ([ONE, replace(ONE, id="e2")], "made 2 executions"),
        ([replace(ONE, state="RUNNING")], "ended as RUNNING"),
        ([ONE, Ran("e3", 7, "SUCCESS", "yes")], "never sent"),
    ],
)
def test_a_lost_or_doubled_order_is_found(ran, said):
    assert any(said in line for line in nothing_lost(told(), ran))


@pytest.mark.parametrize(
    ("ran", "decided", "marks", "said"),
    [
        (ONE, {}, MARKS, "0 decisions"),
        (ONE, {"e1": ["yes", "no"]}, MARKS, "2 decisions"),
        (ONE, {"e1": ["maybe"]}, MARKS, "which nobody sent"),
        (replace(ONE, word="no"), {"e1": ["no"]}, ["1 after no"], "said the server"),
        (replace(ONE, word="no"), DECIDED, MARKS, "handed on 'no'"),
        (ONE, DECIDED, [*MARKS, "1 after no"], "saw ['no', 'yes']"),
    ],
)
def test_a_decision_that_counts_twice_or_not_is_found(ran, decided, marks, said):
    assert any(said in line for line in decided_once(told(), [ran], decided, marks))


@pytest.mark.parametrize(
    ("fires", "made", "said"),
    [
        ([], {}, "never"),
        (FIRES[:2] + FIRES[3:], {"t": ["x0", "x1", "x3", "x4"]}, "has nothing between"),
        (FIRES[:-2], {"t": ["x0", "x1", "x2"]}, "it was due"),
        ([*FIRES[:-1], replace(FIRES[-1], execution_id=None)], {"t": MADE["t"][:-1]}, "without an execution"),
        ([*FIRES[:-1], replace(FIRES[-1], execution_id="x0")], {"t": MADE["t"][:-1]}, "two dates with x0"),
        (FIRES, {"t": [*MADE["t"], "again"]}, "again is not one date's only execution"),
        (FIRES, {"t": MADE["t"][1:]}, "x0 is not one date's only execution"),
    ],
)
def test_a_missed_or_doubled_fire_is_found(fires, made, said):
    assert any(said in line for line in fired_once(fires, made, {"t": SECOND}, START, FIRES[-1].at))


DUE = {"t": [START + SECOND * n for n in range(1, 4)]}  # later than the first of FIRES, not later than the fourth


def test_exactly_the_dates_between_two_moments_are_looked_at():
    assert fired_at(FIRES, MADE, DUE, START, START + 3 * SECOND) == []


@pytest.mark.parametrize(
    ("fires", "made", "said"),
    [
        ([], {}, "t missed"),
        (FIRES[:2] + FIRES[3:], {"t": ["x0", "x1", "x3", "x4"]}, "t missed 2026-01-01T00:00:02+00:00"),
        (
            [*FIRES, replace(FIRES[1], at=START + SECOND / 2, execution_id="x9")],
            {"t": [*MADE["t"], "x9"]},
            "no date of it",
        ),
        ([*FIRES, replace(FIRES[1], execution_id="x9")], {"t": [*MADE["t"], "x9"]}, "fired 2 times"),
        ([*FIRES[:-1], replace(FIRES[-1], execution_id="x1")], {"t": MADE["t"][:-1]}, "2 dates with x1"),
        (FIRES, {"t": [*MADE["t"], "again"]}, "again is not one date's only execution"),
        (FIRES, {"t": MADE["t"][1:]}, "x0 is not one date's only execution"),
    ],
)
def test_a_date_that_was_missed_or_made_up_is_found(fires, made, said):
    assert any(said in line for line in fired_at(fires, made, DUE, START, START + 3 * SECOND))


def test_what_ends_before_its_time_is_found():
    moments, lengths = [START, START + SECOND, START + 3 * SECOND], [SECOND, 2 * SECOND]
    assert in_their_time(moments, lengths) == []
    assert in_their_time(moments, [SECOND, 3 * SECOND]) == ["what takes 0:00:03 took 0:00:02"]
    assert in_their_time(moments[:2], lengths) == ["it has 2 moments"]


@pytest.mark.parametrize(
    ("night", "wanted"),
    [
        ("an hour skipped", {"at_0145": "00:45", "at_0215": "01:00", "at_0230": "01:00"}),
        ("an hour twice", {"at_0145": "23:45", "at_0215": "00:15", "at_0230": "00:30"}),
        ("half an hour skipped", {"at_0145": "15:15", "at_0215": "15:30", "at_0230": "15:30"}),
        ("half an hour twice", {"at_0145": "14:45", "at_0215": "15:45", "at_0230": "16:00"}),
    ],
)
def test_the_dates_of_a_night_in_which_the_hours_change(night, wanted):
    one = NIGHTS[night]
    found = due(ZoneInfo(one.zone), one.start, one.start + LONG)
    assert {name: [f"{at:%H:%M}" for at in found[name]] for name in wanted} == {k: [at] for k, at in wanted.items()}
    assert len(found["minutely"]) == 7 * 60
    assert len(found["half_past"]) == (8 if night == "half an hour twice" else 7)


async def test_the_nights_are_one_report(monkeypatch, tmp_path):
    async def night(folder, seed, one):
        return {"moves": 2, "broken": {"timers": ["late"]} if one.more else {}}

    monkeypatch.setattr(clocks, "MISSING", "")
    monkeypatch.setattr(clocks, "night", night)
    found = await clocks.jumps(tmp_path, 1)
    assert found == {"nights": 4, "moves": 8, "broken": {"an hour skipped, timers": ["late"]}}


@pytest.mark.parametrize("ci", ["", "true"])
async def test_without_a_compiler_the_clocks_are_skipped_but_not_in_ci(monkeypatch, tmp_path, ci):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(clocks, "MISSING", "no compiler")
    found = await clocks.jumps(tmp_path, 1)
    assert found["skipped"] == "no compiler"
    assert bool(found["broken"]) is bool(ci)


def test_missing_effects_doubled_records_and_leftovers_are_found():
    assert done_at_least_once([ONE], MARKS[:1]) == ["order 1 succeeded without after"]
    twice = [TaskRow("e1", "a", None, "SUCCESS", 2), TaskRow("e1", "b", None, "RUNNING", 0)]
    assert [line.split(" of")[0] for line in recorded_once([*twice, twice[0]])] == ["a", "b", "a", "a"]
    assert at_rest(1, 2) == ["1 rows are left in the outbox", "2 rows are left in the inbox"]
