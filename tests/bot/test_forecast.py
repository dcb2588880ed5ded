"""When a run will be done, from how long earlier ones worked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.forecast import ENOUGH, Usual, ready_at, usual, worked
from bot.cards.outbox import digest
from bot.cards.run_cards import RunView, run_card
from bot.links import ActionIds, Pages
from engine.core.execution import Execution, TaskRun
from engine.core.state import State
from engine.store.durations import PastRun

NOON = datetime(2026, 3, 24, 12, tzinfo=UTC)
ID = "01JD0000000000000000ABCDEF"


def histories(*steps):
    """(state, seconds after noon) …"""
    return tuple((state, NOON + timedelta(seconds=at)) for state, at in steps)


def ran(seconds, revision=1, **tasks):
    took = {name: histories((State.RUNNING, 0), (State.SUCCESS, length)) for name, length in tasks.items()}
    return PastRun(revision, histories((State.CREATED, 0), (State.RUNNING, 0), (State.SUCCESS, seconds)), took)


def running(*steps, runs=()):
    state = steps[-1][0]
    return Execution(ID, "a.b", "f", 1, state, histories(*steps), {run.id: run for run in runs}, started_by="slack:U1")


def test_time_between_an_end_and_a_restart_is_no_work():
    steps = histories((State.CREATED, 0), (State.RUNNING, 0), (State.FAILED, 5), (State.RESTARTED, 90_000),
                      (State.RUNNING, 90_000), (State.SUCCESS, 90_007))  # fmt: skip
    assert worked(steps) == 12


def test_waiting_is_no_work():
    steps = histories((State.CREATED, 0), (State.QUEUED, 1), (State.RUNNING, 61), (State.PAUSED, 71),
                      (State.RUNNING, 9000), (State.SUCCESS, 9020))  # fmt: skip
    assert worked(steps) == 30
    assert worked(steps[:-1], NOON + timedelta(seconds=9007)) == 17


@pytest.mark.parametrize(
    ("past", "whole"),
    [
        ([], None),
        ([ran(10)] * (ENOUGH - 1), None),
        ([ran(10), ran(20), ran(90)], 20),
        ([ran(10, 2), ran(12, 2), ran(14, 2), *[ran(500)] * 9], 12),  # those of the same revision are enough
        ([ran(10, 2), *[ran(500)] * 9], 500),  # one is not
    ],
)
def test_the_median_of_enough_runs(past, whole):
    assert usual(past, 2).whole == whole


def test_tasks_are_told_where_enough_of_them_are_known():
    known = usual([ran(60, fetch=50, rare=3), ran(60, fetch=40), ran(60, fetch=45)], 1)
    assert known.tasks == {"fetch": 45}


def test_the_card_says_when_and_moves_by_the_pause_only():
    known, now = Usual(100.0, {"fetch": 50.0}), NOON + timedelta(seconds=30)
    run = running((State.CREATED, 0), (State.RUNNING, 10))
    assert ready_at(run, known, now) == NOON + timedelta(seconds=110)
    assert ready_at(run, known, now + timedelta(seconds=40)) == NOON + timedelta(seconds=110)
    after = running((State.CREATED, 0), (State.RUNNING, 10), (State.PAUSED, 20), (State.RUNNING, 1020))
    assert ready_at(after, known, NOON + timedelta(seconds=1030)) == NOON + timedelta(seconds=1110)


@pytest.mark.parametrize(
    ("run", "known", "labels"),
    [
        (running((State.CREATED, 0), (State.RUNNING, 0)), Usual(100.0), {"Done around"}),
        (running((State.CREATED, 0), (State.RUNNING, 0)), Usual(20.0), {"Usually takes"}),  # later than usual
        (running((State.CREATED, 0), (State.PAUSED, 0)), Usual(100.0), {"Usually takes"}),
        (running((State.CREATED, 0), (State.RUNNING, 0)), Usual(0.5), set()),
        (running((State.CREATED, 0), (State.RUNNING, 0)), Usual(), set()),
        (running((State.CREATED, 0), (State.SUCCESS, 9)), Usual(100.0), set()),
    ],
)
def test_what_a_card_says_of_it(run, known, labels):
    view = RunView(run, None, "Ann", NOON + timedelta(seconds=60), usual=known)
    shown = {fact.label for fact in run_card(view, ActionIds(b"k"), Pages()).facts}
    assert shown & {"Done around", "Usually takes"} == labels


def test_a_running_task_says_how_long_it_usually_takes_and_time_alone_is_no_edit():
    task = TaskRun(f"{ID}.1", "fetch", State.RUNNING, histories((State.CREATED, 0), (State.RUNNING, 1)))
    run = running((State.CREATED, 0), (State.RUNNING, 0), runs=[task])

    def drawn(seconds):
        now = NOON + timedelta(seconds=seconds)
        return run_card(RunView(run, None, "Ann", now, usual=Usual(100.0, {"fetch": 50.0})), ActionIds(b"k"), Pages())

    assert drawn(5).steps[0].note == "usually 50 s"
    assert digest(drawn(5)) == digest(drawn(50))


@given(
    st.lists(st.tuples(st.sampled_from(list(State)), st.integers(0, 10_000)), min_size=1, max_size=20),
    st.integers(0, 10_000),
)
def test_work_is_never_negative_nor_more_than_the_time(steps, length):
    steps.sort(key=lambda step: step[1])
    made = histories(*steps)
    end = made[-1][1] + timedelta(seconds=length)
    assert 0 <= worked(made, end) <= (end - made[0][1]).total_seconds()
