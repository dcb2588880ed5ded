"""Rows of executions, events, commands, pauses and the rest: what is written comes back the same."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, select, text

from engine.core import commands as core_commands
from engine.core import events as core_events
from engine.core.execution import Attempt, Execution, Origin, TaskRun, TaskRuns
from engine.core.state import State
from engine.plugin import Selection
from engine.store import (
    commands,
    durations,
    events,
    executions,
    flows,
    kv,
    logs,
    metrics,
    own_schedules,
    pauses,
    records,
    triggers,
)
from engine.store.batches import Statement
from engine.store.database import SqliteDatabase
from engine.store.documents import COMMANDS, EVENTS, plain
from engine.store.executions import Caller
from engine.store.pauses import PauseRow
from engine.store.tables import metadata, outputs, trigger_fires, trigger_memories, trigger_windows

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def run(number, **changes):
    made = TaskRun(
        id=f"E1.{number}",
        task_id=f"t{number}",
        state=State.SUCCESS,
        histories=((State.CREATED, NOW), (State.SUCCESS, LATER)),
        attempts=(Attempt(State.SUCCESS, NOW, LATER),),
        outputs={"value": "x" * number},
        rendered={"runIf": "true"},
    )
    return replace(made, **changes)


EXECUTION = Execution(
    id="E1",
    namespace="company.team",
    flow_id="f",
    revision=3,
    state=State.RUNNING,
    histories=((State.CREATED, NOW), (State.RUNNING, LATER)),
    task_runs=TaskRuns([run(1), run(2, parent_id="E1.1", value="v", iteration=0, outputs=None)]),
    inputs={"name": "ann", "deep": {"a": [1, 2.5, None, True]}},
    labels=(("a", "1"), ("a", "2")),
    variables={"x": 1},
    origin=Origin("t", "Subflow", {"executionId": "E0"}),
    parent_id="E0",
    original_id="E1",
    attempt_number=2,
    started_by="slack:U1",
    schedule_date=LATER,
    sequence=2,
    rendered={"vars": True},
    original_created=NOW,
    held=True,
)


def same(one, other):
    assert replace(one, task_runs={}) == replace(other, task_runs={})
    assert list(one.task_runs.values()) == list(other.task_runs.values())


async def create(database, sealer, execution=EXECUTION, **more):
    return await database.transact(lambda u: executions.create(u.connection, execution, NOW, sealer, **more))


async def load(database, sealer, key="E1"):
    return await database.read(lambda c: executions.load(c, key, sealer))


async def test_an_execution_comes_back_the_same(database, sealer):
    await create(database, sealer)
    same(await load(database, sealer), EXECUTION)


async def test_large_values_lie_apart_and_come_back(database, sealer):
    big = {"value": "ü" * 5000}
    execution = replace(EXECUTION, inputs=big, outputs=big, task_runs=TaskRuns([run(1, outputs=big)]))
    await create(database, sealer, execution)
    same(await load(database, sealer), execution)
    sizes = await database.read(lambda c: c.execute(text("select length(doc) from execution")).scalar())
    assert sizes < 2000
    changed = executions.next_version(execution.moved(State.SUCCESS, LATER))
    await database.transact(lambda u: executions.save(u.connection, execution, changed, NOW, sealer))
    same(await load(database, sealer), changed)


async def test_only_the_version_that_was_read_can_be_written_over(database, sealer):
    await create(database, sealer)
    one = executions.next_version(EXECUTION.moved(State.SUCCESS, LATER))
    other = executions.next_version(EXECUTION.moved(State.FAILED, LATER))

    def save(after):
        return lambda u: executions.save(u.connection, EXECUTION, after, NOW, sealer)

    won = await asyncio.gather(database.transact(save(one)), database.transact(save(other)))
    assert won == [True, False]
    assert (await load(database, sealer)).state is State.SUCCESS


async def test_task_runs_that_are_gone_are_deleted_with_their_outputs(database, sealer):
    before = replace(EXECUTION, task_runs=TaskRuns([run(1), run(2, outputs={"v": "x" * 5000})]))
    await create(database, sealer, before)
    after = executions.next_version(replace(before, task_runs=before.task_runs.changed([run(3)], ["E1.2"])))
    await database.transact(lambda u: executions.save(u.connection, before, after, NOW, sealer))
    assert list((await load(database, sealer)).task_runs) == ["E1.1", "E1.3"]
    assert await database.read(lambda c: c.execute(text("select count(*) from output")).scalar()) == 0


async def test_the_same_dedupe_key_makes_one_execution(database, sealer):
    assert await create(database, sealer, dedupe="click 1")
    assert not await create(database, sealer, replace(EXECUTION, id="E2", task_runs=TaskRuns()), dedupe="click 1")
    assert (await database.read(lambda c: executions.by_dedupe(c, "click 1", sealer))).id == "E1"
    assert await load(database, sealer, "E2") is None


async def test_executions_are_found_newest_first_by_page(database, sealer):
    for number in range(5):
        made = replace(
            EXECUTION, id=f"E{number}", task_runs=TaskRuns(), state=State.SUCCESS if number % 2 else State.FAILED
        )
        await create(database, sealer, made)
    found = await database.read(lambda c: executions.find(c, sealer, namespace="company.team", limit=2))
    assert [one.id for one in found] == ["E4", "E3"]
    found = await database.read(lambda c: executions.find(c, sealer, limit=2, before="E3"))
    assert [one.id for one in found] == ["E2", "E1"]
    found = await database.read(lambda c: executions.find(c, sealer, states=[State.SUCCESS]))
    assert [one.id for one in found] == ["E3", "E1"]
    assert await database.read(lambda c: executions.count(c, states=[State.FAILED])) == 3


async def test_who_called_is_known(database, sealer):
    caller = Caller("E0", "E0.1", waits=True, iteration=4, outputs={"x": "{{ outputs.a }}"})
    await create(database, sealer, caller=caller, trigger="t")
    assert await database.read(lambda c: executions.caller_of(c, "E1")) == caller
    assert await database.read(lambda c: executions.trigger_of(c, "E1")) == "t"


async def test_secrets_never_lie_in_the_file_in_clear(database, sealer, masker, tmp_path):
    masker.add("s3cr3t-value")
    execution = replace(
        EXECUTION,
        inputs={"token": "s3cr3t-value", "text": "Bearer s3cr3t-value"},
        task_runs=TaskRuns([run(1, outputs={"value": "it is s3cr3t-value!"})]),
    )
    await create(database, sealer, execution)
    resumed = core_events.Resumed(NOW, None, {"password": "s3cr3t-value"})
    await database.transact(lambda u: events.post(u.connection, "E1", resumed, NOW, sealer))
    command = core_commands.StartSubflow("E1.1", "a", "b", inputs={"t": "s3cr3t-value"})
    await database.transact(lambda u: commands.put(u.connection, [commands.stored("E1", command, 1)], sealer))
    same(await load(database, sealer), execution)
    assert (await database.read(lambda c: events.waiting(c, sealer)))[0].event == resumed
    assert (await database.read(lambda c: commands.waiting(c, sealer)))[0].command == command
    everything = await stored(database, tmp_path)
    assert "s3cr3t" not in everything
    assert "$sealed" in everything


async def stored(database, tmp_path):
    """Everything that lies in a database: the bytes of its files, or the rows of its tables."""
    if isinstance(database, SqliteDatabase):
        return b"".join(path.read_bytes() for path in tmp_path.glob("parley.db*")).decode("latin-1")

    def rows(connection):
        return [str(row) for table in metadata.tables.values() for row in connection.execute(select(table))]

    return "\n".join(await database.read(rows))


async def test_a_sealed_value_opens_for_its_own_execution_only(sealer, masker):
    masker.add("s3cr3t-value")
    stored = sealer.dumps({"a": "s3cr3t-value"}, "E1")
    assert sealer.loads(stored, "E1") == {"a": "s3cr3t-value"}
    moved = sealer.loads(stored, "E2")
    assert "$sealed" in moved["a"]
    assert sealer.loads(json.dumps({"a": {"$sealed": "made up"}}), "E1") == {"a": {"$sealed": "made up"}}


EVENT_EXAMPLES = [
    core_events.Started(NOW),
    core_events.LimitReached(NOW, 2),
    core_events.TaskStarted(NOW, "E1.1", 1),
    core_events.TaskEnded(NOW, "E1.1", 1, State.FAILED, LATER, {"a": 1}, {"exit": "FAILED"}, "why"),
    core_events.ChildRan(NOW, "E1.1", "t", State.RUNNING, 2, {"a": 1}, {}),
    core_events.TimerFired(NOW, "retry:E1.1:1"),
    core_events.Resumed(NOW, "E1.1", {"ok": True}, "ann"),
    core_events.Overruled(NOW, "E1.1", "CANCEL"),
    core_events.Overruled(NOW, "E1.1", None),
    core_events.SubflowCreated(NOW, "E1.1", "E2", None, iteration=3),
    core_events.SubflowEnded(NOW, "E1.1", "E2", State.SUCCESS, {"x": [1]}, None, iteration=3),
    core_events.KillAsked(NOW, "ann", "because", False),
    core_events.PauseAsked(NOW, "ann"),
    core_events.RestartAsked(NOW, "ann"),
    core_events.ForceAsked(NOW, "ann"),
    core_events.TaskStateAsked(NOW, "E1.1", State.SUCCESS, "ann"),
]


def test_there_is_an_example_of_every_event():
    assert {type(event).__name__ for event in EVENT_EXAMPLES} == set(EVENTS)


@pytest.mark.parametrize("event", EVENT_EXAMPLES, ids=lambda event: type(event).__name__)
async def test_an_event_comes_back_the_same(database, sealer, event):
    await database.transact(lambda u: events.post(u.connection, "E1", event, NOW, sealer))
    assert [one.event for one in await database.read(lambda c: events.waiting(c, sealer, "E1"))] == [event]


async def test_an_event_with_a_dedupe_key_counts_once_also_after_it_was_consumed(database, sealer):
    event = core_events.Started(NOW)

    def post(u):
        return events.post(u.connection, "E1", event, NOW, sealer, "start:E1")

    first = await database.transact(post)
    assert await database.transact(post) is None
    await database.transact(lambda u: events.consume(u.connection, [first]))
    assert await database.transact(post) is None
    assert await database.read(lambda c: events.waiting(c, sealer)) == []
    await database.transact(lambda u: events.forget(u.connection, NOW + timedelta(days=8)))
    assert await database.transact(post) is not None


COMMAND_EXAMPLES = [
    core_commands.RunTask("E1.1", 2, "gpu"),
    core_commands.SetTimer("retry:E1.1:1", LATER),
    core_commands.StartSubflow(
        "E1.1", "a", "b", 3, {"x": 1}, (("k", "v"),), False, "ForEachItem", LATER, "kestra:///a", 2, 7
    ),
    core_commands.CreateRetry(LATER),
]


def test_there_is_an_example_of_every_command_that_is_kept():
    assert {type(command).__name__ for command in COMMAND_EXAMPLES} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMAND_EXAMPLES, ids=lambda command: type(command).__name__)
async def test_a_command_waits_until_it_is_done(database, sealer, command):
    row = commands.stored("E1", command, 4)
    await database.transact(lambda u: commands.put(u.connection, [row, row], sealer))  # asked for twice in one decision
    assert await database.read(lambda c: commands.waiting(c, sealer)) == [row]
    assert await database.transact(lambda u: commands.take(u.connection, row.id))
    assert not await database.transact(lambda u: commands.take(u.connection, row.id))


async def test_a_timer_that_is_set_again_moves(database, sealer):
    for at in (NOW, LATER):
        row = commands.stored("E1", core_commands.SetTimer("k", at), 1)
        await database.transact(lambda u, row=row: commands.put(u.connection, [row], sealer))
    assert [row.run_at for row in await database.read(lambda c: commands.waiting(c, sealer))] == [LATER]


PAUSE = PauseRow("P1", "E1", "E1.1", "wait", "company.team", "f", "WAITING", NOW, LATER, "FAIL")


async def test_of_two_answers_the_first_wins(database):
    await database.transact(lambda u: pauses.open_pause(u.connection, PAUSE))
    await database.transact(lambda u: pauses.open_pause(u.connection, replace(PAUSE, id="P2")))  # the same task run

    def answer(by):
        return lambda u: pauses.decide(u.connection, "P1", "RESUMED", by=by, now=LATER, inputs={"ok": True})

    won = await asyncio.gather(*(database.transact(answer(by)) for by in ("ann", "bob")))
    assert [row and row.decided_by for row in won] == ["ann", None]
    found = await database.read(lambda c: pauses.find(c, state=None))
    assert [(row.id, row.state, row.inputs) for row in found] == [("P1", "RESUMED", {"ok": True})]


async def test_a_flow_gets_a_revision_only_when_it_changed(database):
    def deploy(source, file="f.yaml"):
        return lambda u: flows.deploy(u.connection, "ns", "f", source, file, NOW)

    assert [await database.transact(deploy(s)) for s in ("a", "a", "b", "a")] == [1, 1, 2, 3]
    await database.transact(lambda u: flows.delete(u.connection, "ns", "f", NOW))
    assert (await database.read(lambda c: flows.latest(c, "ns", "f"))).deleted
    assert await database.transact(deploy("a")) == 3
    assert not (await database.read(lambda c: flows.latest(c, "ns", "f"))).deleted
    assert await database.read(lambda c: flows.revisions(c, "ns", "f")) == [1, 2, 3]
    assert (await database.read(lambda c: flows.revision(c, "ns", "f", 2))).source == "b"


async def test_a_date_of_a_trigger_fires_once(database):
    def claim(execution):
        return lambda u: triggers.claim_fire(u.connection, "ns/f/t", NOW, execution, NOW)

    assert [await database.transact(claim(e)) for e in ("E1", "E2")] == [True, False]
    assert await database.read(lambda c: triggers.fires(c, "ns/f/t")) == [(NOW, "E1")]


async def test_what_a_trigger_saw_is_forgotten_when_its_flow_has_long_been_gone(database):
    """Flows of a, and of the namespaces below and beside it: some there, some gone since a while later."""
    long = timedelta(days=3)

    def tell(unit):
        c = unit.connection
        for space, flow in (
            ("a", "there"),
            ("a", "gone"),
            ("a", "back"),
            ("a.b", "gone"),
            ("ab", "gone"),
            ("a", "new"),
        ):
            flows.deploy(c, space, flow, "x: 1", "", NOW)
            triggers.save(c, triggers.TriggerState(space, flow, "t", NOW))
            triggers.save_memory(c, f"{space}/{flow}/t", {"seen": [1]})
            if flow in ("gone", "back", "new"):
                assert flows.delete(c, space, flow, NOW + long)
        flows.deploy(c, "a", "back", "x: 1", "", LATER)
        flows.deploy(c, "a", "new", "x: 2", "", LATER)  # its deleted revision is not the newest

    await database.transact(tell)

    def is_there(space, flow, trigger):
        return flow in ("there", "back", "new")

    async def forget(space, before, below):
        return len(
            await database.transact(lambda unit: triggers.forget(unit.connection, is_there, before, space, below=below))
        )

    async def kept():
        every = ("a/there", "a/gone", "a/back", "a.b/gone", "ab/gone", "a/new")
        return [key for key in every if await database.read(lambda c, k=key: triggers.memory(c, f"{k}/t"))]

    assert await forget(None, NOW + long, True) == 0  # it is the end of the flow that counts, not the last move before
    assert await forget("a", NOW + long + timedelta(microseconds=1), False) == 1
    assert await kept() == ["a/there", "a/back", "a.b/gone", "ab/gone", "a/new"]
    assert await forget("a", NOW + 2 * long, True) == 1
    assert await kept() == ["a/there", "a/back", "ab/gone", "a/new"]
    assert await forget(None, NOW + 2 * long, True) == 1
    assert await kept() == ["a/there", "a/back", "a/new"]


async def test_all_that_is_left_of_a_trigger_goes_once_no_flow_has_it(database):
    """Of one that its flow lost, one that its flow has, one that somebody added in chat, and one whose flow is gone."""
    day, hour = timedelta(days=1), timedelta(hours=1)
    kept = ("has", "added")

    def tell(unit):
        c = unit.connection
        for flow in ("f", "gone"):
            flows.deploy(c, "ns", flow, "x: 1", "", NOW)
        for key in ("f/lost", "f/has", "f/added", "gone/has"):
            flow, trigger = key.split("/")
            triggers.save(c, triggers.TriggerState("ns", flow, trigger, NOW, disabled=True))
            triggers.save_memory(c, f"ns/{key}", {"seen": [1]})
            triggers.save_window(c, triggers.Window(f"ns/{key}", "w", NOW, NOW + hour, {"one": 1.0}))
            triggers.claim_fire(c, f"ns/{key}", NOW, "E1", NOW)
        triggers.save_window(c, triggers.Window("ns/f/open", "w", NOW, NOW + 9 * day, {"one": 1.0}))
        own_schedules.add(c, own_schedules.OwnSchedule("ns", "f", "added", {}, "daily", "ann", {}, NOW))
        flows.deploy(c, "ns", "f", "x: 2", "", NOW + day)  # that is when it lost one
        flows.delete(c, "ns", "gone", NOW + 2 * day)

    def is_there(space, flow, trigger):
        return (flow, trigger) == ("f", "has")

    async def forget(before):
        return await database.transact(
            lambda unit: triggers.forget(unit.connection, is_there, before, "ns", below=False)
        )

    def left(c):
        tables = (trigger_memories, trigger_windows, trigger_fires)
        keys = [sorted(c.execute(select(table.c.trigger_key)).scalars()) for table in tables]
        return [sorted(state.key for state in triggers.all_states(c)), *keys]

    await database.transact(tell)
    assert await forget(NOW + day) == []
    assert await forget(NOW + day + hour) == ["ns/f/lost"]
    assert sorted(await forget(NOW + 3 * day)) == ["ns/gone/has"]
    there = [f"ns/f/{one}" for one in sorted(kept)]
    assert await database.read(left) == [there, there, [*there, "ns/f/open"], there]
    assert await forget(NOW + 10 * day) == ["ns/f/open"]
    assert await forget(NOW + 99 * day) == []


async def test_a_trigger_is_released_by_the_end_of_its_execution(database):
    state = triggers.TriggerState("ns", "f", "t", NOW, next_date=LATER, execution_id="E1")
    await database.transact(lambda u: triggers.save(u.connection, state))
    ended = replace(EXECUTION, namespace="ns", flow_id="f", origin=Origin("t", "schedule"))
    freed = await database.transact(lambda u: triggers.released(u.connection, ended, LATER, disable=True))
    assert (freed.execution_id, freed.disabled, freed.next_date) == (None, True, LATER)
    assert await database.transact(lambda u: triggers.released(u.connection, ended, LATER)) is None


async def test_log_lines_keep_their_order_and_long_ones_are_cut(database):
    lines = [
        logs.LogLine(NOW, level, "t", "E1.1", 1, message, execution_id="E1")
        for level, message in (("INFO", "a"), ("ERROR", "b" * 25_000), ("TRACE", "c"))
    ]
    await database.transact(lambda u: logs.write(u.connection, lines))
    found = await database.read(lambda c: logs.find(c, "E1"))
    assert [len(line.message) for line in found] == [1, 10_240, 10_240, 4_520, 1]
    assert [line.level for line in await database.read(lambda c: logs.find(c, "E1", level="INFO", limit=2))] == [
        "INFO",
        "ERROR",
    ]
    assert [line.message for line in await database.read(lambda c: logs.find(c, "E1", after=found[3].id))] == ["c"]


async def test_metrics_come_back(database):
    metric = metrics.Metric("E1", "E1.1", "t", "rows", "counter", 3.0, NOW, {"table": "x"})
    await database.transact(lambda u: metrics.write(u.connection, [metric]))
    assert await database.read(lambda c: metrics.find(c, "E1")) == [metric]


async def test_keys_expire(database):
    pair = kv.KeyValue("ns", "k", "STRING", '"v"', NOW, expires=LATER)
    await database.transact(lambda u: kv.put(u.connection, pair, NOW))
    assert not await database.transact(lambda u: kv.put(u.connection, pair, NOW, overwrite=False))
    assert await database.read(lambda c: kv.find(c, "ns", NOW)) == [pair]
    assert await database.read(lambda c: kv.find(c, "ns", LATER)) == []
    assert await database.transact(lambda u: kv.put(u.connection, pair, LATER, overwrite=False))


async def test_a_purged_execution_leaves_nothing(database, sealer):
    await create(database, sealer)
    assert not await database.transact(lambda u: executions.purge(u.connection, "E1"))  # still running
    done = replace(EXECUTION, id="E9", state=State.SUCCESS, task_runs=TaskRuns())
    await create(database, sealer, done)
    assert await database.transact(lambda u: executions.purge(u.connection, "E9"))
    assert await load(database, sealer, "E9") is None


async def test_old_revisions_go_but_not_the_newest_nor_what_runs(database, sealer):
    for number in range(5):
        at = NOW + timedelta(hours=number)
        await database.transact(lambda u, n=number, at=at: flows.deploy(u.connection, "ns", "f", str(n), "", at))
    await create(database, sealer, replace(EXECUTION, namespace="ns", revision=2))

    async def purge(keep=None, before=None):
        return await database.transact(lambda u: flows.purge_revisions(u.connection, "ns", "f", keep, before))

    assert await purge(keep=4) == 1
    assert await purge(before=NOW + timedelta(hours=2)) == 1
    assert await database.read(lambda c: flows.revisions(c, "ns", "f")) == [2, 4, 5]
    assert await purge() == 1
    assert await database.read(lambda c: flows.revisions(c, "ns", "f")) == [2, 5]
    assert await purge() == 0


async def test_metrics_of_some_flows_and_dates_go(database, sealer):
    await create(database, sealer)
    await create(
        database, sealer, replace(EXECUTION, id="E2", namespace="other", state=State.SUCCESS, task_runs=TaskRuns())
    )
    recorded = [metrics.Metric(e, "r", "t", "n", "counter", 1.0, at) for e in ("E1", "E2") for at in (NOW, LATER)]
    await database.transact(lambda u: metrics.write(u.connection, recorded))

    async def purge(limit=10, **chosen):
        return await database.transact(lambda u: records.purge_metrics(u.connection, Selection(**chosen), limit))

    assert await purge(namespace="company", below=True, until=NOW) == 1
    assert await purge(namespace="company", until=LATER) == 0
    assert await purge(since=LATER, limit=1) == 1
    assert await purge(until=LATER) == 2
    assert await database.read(records.under_way) == {"E1"}


def test_dates_are_kept_as_text():
    values = {
        1: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "d": date(2026, 1, 2),
        "t": time(3, 4, 5),
        "l": timedelta(minutes=5, seconds=6),
    }
    assert plain(values) == {"1": "2026-01-02T03:04:05Z", "d": "2026-01-02", "t": "03:04:05", "l": "PT5M6S"}


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), Decimal("NaN"), Decimal("Infinity")])
def test_numbers_that_json_cannot_write_are_null(value):
    assert plain({"a": [value]}) == {"a": [None]}


@pytest.mark.parametrize("number", ["1E+5000", "9E+999999999", "1E-5000"])
def test_numbers_too_long_for_a_template_are_kept_as_texts(number):
    assert json.loads(json.dumps(plain({"a": Decimal(number)}))) == {"a": number}


def test_half_of_a_character_is_a_question_mark():
    values = {"half\ud83d": ["whole \U0001f98a", "half \udc8a"]}
    assert plain(values) == {"half?": ["whole \U0001f98a", "half ?"]}


async def test_text_that_utf8_cannot_write_is_kept_and_looked_for_without_it(database):
    there = [("E1", "half \ud83d"), ("E2", "Gr\u00fc\u00dfe \U0001f98a"), ("E3", "\udc8a")]
    rows = [{"id": id_, "execution_id": id_, "doc": doc} for id_, doc in there]
    add = Statement(insert(outputs), columns=("id", "execution_id", "doc"))
    await database.transact(lambda unit: unit.batch.add(add, rows[:2]))
    await database.transact(lambda unit: unit.connection.execute(insert(outputs), rows[2:]))
    read = select(outputs.c.doc).order_by(outputs.c.id)
    assert await database.read(lambda c: c.execute(read).scalars().all()) == [
        "half ?",
        "Gr\u00fc\u00dfe \U0001f98a",
        "?",
    ]
    found = read.where(outputs.c.doc == "half \ud83d")
    assert await database.read(lambda c: c.execute(found).scalars().all()) == ["half ?"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_plain_json_is_left_as_it_is(value):
    assert plain(value) == value


async def test_how_long_earlier_runs_took_is_read_from_the_latest_alone(database, sealer):
    """Of the flow's newest runs the successful ones; other flows and what is older are not looked at."""
    good = (State.CREATED, NOW), (State.RUNNING, NOW), (State.SUCCESS, LATER)

    def add(unit):
        for number in range(durations.AMONG + 30):
            made = NOW + timedelta(minutes=number)
            fine = number % 2 == 0
            id_ = f"E{number:04}"
            once, twice = run(1, id=f"{id_}.1"), [run(2, id=f"{id_}.{place}") for place in (2, 3)]
            executions.create(
                unit.connection,
                Execution(id_, "a.b", "f", number % 3, State.SUCCESS if fine else State.FAILED,
                          ((State.CREATED, made), *good[1:]), {one.id: one for one in (once, *twice)}),
                NOW, sealer,
            )  # fmt: skip
        other = Execution("X", "a.b", "g", 1, State.SUCCESS, good, {})
        executions.create(unit.connection, other, NOW, sealer)

    await database.transact(add)
    found = await database.read(lambda c: durations.past(c, "a.b", "f"))
    assert len(found) == durations.MAX_RUNS
    newest = durations.AMONG + 28
    assert [one.revision for one in found] == [(newest - 2 * number) % 3 for number in range(durations.MAX_RUNS)]
    assert list(found[0].tasks) == ["t1"], "what ran twice in a run is no measure"
    assert found[0].histories[-1] == (State.SUCCESS, LATER)
    assert await database.read(lambda c: durations.past(c, "a.b", "none")) == []


async def test_reading_it_uses_the_index_of_the_flow(sqlite):
    seen = []

    def plans(connection):
        event.listen(connection, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
        durations.past(connection, "a.b", "f")
        return [row[3] for text_, given in list(seen) for row in connection.connection.execute(
            f"EXPLAIN QUERY PLAN {text_}", given)]  # fmt: skip

    steps = await sqlite.read(plans)
    assert any("execution_by_flow" in step for step in steps)
    assert not any(step.startswith(("SCAN execution", "SCAN task_run")) for step in steps), steps
