"""How a question went on before: what is read, that nothing later changes it, and how much of it at most."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from engine.core.execution import Execution, TaskRun
from engine.core.state import State
from engine.store import executions, metrics, pauses, precedents
from engine.store.executions import Caller
from engine.store.pauses import PauseRow
from engine.store.precedents import Recorded, Stage, Worked

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TOKENS = ("input.token.count",)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


ASKED = PauseRow("P-now", "E9", "E9.1", "wait", "a.b", "f", "WAITING", at(100_000))
STATES = ((State.CREATED, 0), (State.RUNNING, 0), (State.PAUSED, 10), (State.RUNNING, 60), (State.SUCCESS, 90))


def write(unit, sealer, id_, begun, *, flow="f", revision=1, caller=None, tokens=0, answer=None, **pause):
    """A run that asked 10 s after it began, was answered at 60 s, and went on with one task for 20 s."""
    histories = tuple((state, at(begun + second)) for state, second in STATES)
    work = tuple((state, at(begun + second)) for state, second in ((State.RUNNING, 65), (State.SUCCESS, 85)))
    runs = {f"{id_}.2": TaskRun(f"{id_}.2", "deploy", State.SUCCESS, work)}
    made = Execution(id_, "a.b", flow, revision, State.SUCCESS, histories, runs)
    called = Caller(caller, f"{caller}.2") if caller else None
    executions.create(unit.connection, made, NOON, sealer, caller=called)
    if pause.pop("asks", True):
        asked = PauseRow(f"P-{id_}", id_, f"{id_}.1", "wait", "a.b", flow, "WAITING", at(begun + 10))
        pauses.open_pause(unit.connection, replace(asked, **pause))
        pauses.decide(unit.connection, asked.id, "RESUMED", by="x", now=at(begun + 60), inputs=answer)
    if tokens:
        one = metrics.Metric(
            id_, f"{id_}.2", "deploy", "input.token.count", "counter", tokens, at(begun + 70), {"m": "x"}
        )
        metrics.write(unit.connection, [one, replace(one, name="other")])


def look(connection, pause=ASKED, **how):
    return precedents.before(connection, pause, values=TOKENS, **how)


async def test_it_tells_what_was_answered_and_what_was_recorded_by_the_run_and_all_it_called(database, sealer):
    def add(unit):
        write(unit, sealer, "E1", 0, tokens=5, answer={"ok": True}, revision=3)
        write(unit, sealer, "E2", 0, flow="sub", caller="E1", tokens=7, asks=False)
        write(unit, sealer, "E3", 0, flow="leaf", caller="E2", tokens=9, asks=False)
        write(unit, sealer, "E4", 0, flow="other", tokens=100)
        write(unit, sealer, "E5", 0, task_id="elsewhere", tokens=100)

    await database.transact(add)
    (found,) = await database.read(look)
    assert (found.revision, found.answers, found.since, found.until) == (3, {"ok": True}, at(60), None)
    assert found.pause_id == "P-E1"
    (again,) = await database.read(lambda c: look(c, known={"P-E1"}))
    assert (again.since, again.recorded, again.worked) == (found.since, None, None), "nothing is read twice"
    assert found.histories[-1] == (State.SUCCESS, at(90))
    stages = [Stage("a.b", name) for name in ("f", "sub", "leaf")]
    counts = [
        Recorded(stage, "deploy", TOKENS[0], n, at(70), {"m": "x"}) for stage, n in zip(stages, (5, 7, 9), strict=True)
    ]
    assert sorted(found.recorded, key=lambda one: one.value) == counts
    spans = ((State.RUNNING, at(65)), (State.SUCCESS, at(85)))
    assert {one.stage: one for one in found.worked} == {stage: Worked(stage, "deploy", spans) for stage in stages}
    assert (await database.read(lambda c: look(c, with_tasks=False)))[0].worked == ()


async def test_nothing_that_came_after_the_question_changes_what_is_found(database, sealer):
    await database.transact(lambda unit: write(unit, sealer, "E1", 0, tokens=5))
    known = await database.read(look)
    assert len(known) == 1

    def later(unit):
        write(unit, sealer, "E2", 99_950, tokens=5)  # answered after the question was asked
        write(unit, sealer, "E3", 200_000, tokens=5)
        again = PauseRow("P-again", "E1", "E1.3", "wait", "a.b", "f", "WAITING", at(150_000))
        pauses.open_pause(unit.connection, again)

    await database.transact(later)
    assert await database.read(look) == known
    assert [one.since for one in await database.read(lambda c: look(c, replace(ASKED, created=at(300_000))))] == [
        at(200_060), at(100_010), at(60)]  # fmt: skip


async def test_a_stage_ends_where_the_run_asks_again(database, sealer):
    def add(unit):
        write(unit, sealer, "E1", 0)
        for number, second in enumerate((5, 75, 80)):
            again = PauseRow(f"Q{number}", "E1", f"E1.{number + 5}", "more", "a.b", "f", "WAITING", at(second))
            pauses.open_pause(unit.connection, again)

    await database.transact(add)
    assert [one.until for one in await database.read(look)] == [at(75)]


async def test_only_the_latest_times_are_read_and_those_that_hold_too_much_by_their_length_alone(
    database, sealer, monkeypatch
):
    def add(unit):
        for number in range(precedents.MAX_TIMES + 5):
            write(unit, sealer, f"E{number:03}", number * 100, tokens=number + 1)
        for number in range(4):
            write(unit, sealer, f"F{number}", 50_000, flow="sub", caller="E024", asks=False, tokens=1)

    await database.transact(add)
    found = await database.read(look)
    assert [one.since for one in found] == [at(number * 100 + 60) for number in range(24, 4, -1)]
    assert all(len(one.recorded) == 1 for one in found[1:])
    assert len(found[0].recorded) == 5
    monkeypatch.setattr(precedents, "MAX_VALUES", 6)
    monkeypatch.setattr(precedents, "MAX_TASK_RUNS", 7)
    some = await database.read(look)
    assert [one.since for one in some] == [one.since for one in found]
    assert [len(one.recorded) if one.recorded is not None else None for one in some] == [5, 1, *[None] * 18]
    assert [len(one.worked) if one.worked is not None else None for one in some] == [5, 1, 1, *[None] * 17]
    monkeypatch.setattr(precedents, "MAX_CALLED", 3)
    assert (await database.read(look))[0].recorded is None, "not all flows that it called were looked at"


@pytest.mark.parametrize("levels", [precedents.MAX_LEVELS, precedents.MAX_LEVELS + 1])
async def test_flows_are_followed_so_deep_and_where_they_go_deeper_nothing_is_told(database, sealer, levels):
    def add(unit):
        write(unit, sealer, "E0", 0, tokens=1)
        for level in range(1, levels + 1):
            write(unit, sealer, f"E{level}", 0, flow="sub", caller=f"E{level - 1}", asks=False, tokens=1)

    await database.transact(add)
    (found,) = await database.read(look)
    assert found.recorded is None if levels > precedents.MAX_LEVELS else len(found.recorded) == 1 + levels


async def test_nobody_answered_it_yet(database):
    assert await database.read(look) == []


async def test_reading_it_uses_indexes_alone(sqlite, sealer):
    await sqlite.transact(lambda unit: write(unit, sealer, "E1", 0, tokens=5))
    seen = []

    def plans(connection):
        event.listen(connection, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
        look(connection)
        return [row[3] for text_, given in list(seen) for row in connection.connection.execute(
            f"EXPLAIN QUERY PLAN {text_}", given)]  # fmt: skip

    steps = await sqlite.read(plans)
    assert any("execution_by_flow" in step for step in steps)
    tables = ("execution", "pause", "metric", "task_run")
    assert not any(step.startswith(tuple(f"SCAN {table}" for table in tables)) for step in steps), steps
