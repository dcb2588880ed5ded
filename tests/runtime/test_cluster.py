"""Two processes' engines on one database, side by side: what one does, the other hears of."""

import asyncio
from datetime import timedelta

import pytest

from engine.core.events import Resumed
from engine.core.state import State
from engine.dispatch.procrastinate import POLL_SECONDS, SILENT_BEATS
from engine.errors import SettingInvalid, StoreFailed
from engine.runtime import Engine
from engine.runtime.answers import Answers
from engine.runtime.cluster import SWEEP_SECONDS
from engine.settings import Settings
from engine.store import executions, pauses, task_runs
from engine.store.health import of_server
from engine.store.members import queue_of
from tests.runtime.marks import registry
from tests.runtime.test_executions import until

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
FLOW = "id: f\nnamespace: company.team\ntasks:\n  - {id: ask, type: io.kestra.plugin.core.flow.Pause}\n"
TICK = """
id: tick
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: tick}
triggers:
  - {id: hourly, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 * * * *"}
"""


def given(tmp_path, postgres, name, **more):
    return Settings(**{"data": tmp_path / name, "database": postgres, "flows": (), "encryption_key": KEY, **more})


@pytest.fixture
async def two(tmp_path, postgres, clock):
    """The engine that leads, and another."""
    engines = []
    for name in ("one", "other"):
        engines.append(await Engine.open(given(tmp_path, postgres, name), registry=registry(), clock=clock))
        await engines[-1].start(watch=False)
    yield engines
    for engine in reversed(engines):
        await engine.stop(grace=0)


async def test_flows_executions_and_answers_are_everybodys(two):
    one, other = two
    await one.deploy(FLOW)
    await until(lambda: other.flows.exists("company.team", "f"))
    async with other.subscribe() as changes:
        made = [await one.create("company.team", "f", {}, started_by="a") for _ in range(6)]
        for each in made:
            assert (await other.wait(each.id, until="ended_or_paused", timeout=20)).state is State.PAUSED
        heard = {(await anext(changes)).execution_id for _ in made}
    assert heard == {each.id for each in made}
    for number, each in enumerate(made):
        await two[number % 2].resume(each.id, {}, by="b")
        assert (await two[1 - number % 2].wait(each.id, timeout=20)).state is State.SUCCESS


async def test_a_kill_whose_word_was_lost_is_seen_all_the_same(two):
    one, other = two
    await one.deploy(FLOW)
    made = [await one.create("company.team", "f", {}, started_by="a") for _ in range(2)]
    for each in made:
        await one.wait(each.id, until="ended_or_paused", timeout=20)
    await one.kill(made[0].id, by="a")
    await one.wait(made[0].id, timeout=20)
    ids = {f"{made[0].id}.1", f"{made[1].id}.1", "purged.1"}
    assert await other.database.read(lambda c: task_runs.stopped(c, ids)) == {f"{made[0].id}.1", "purged.1"}


async def test_what_comes_after_the_end_of_a_killed_execution_is_not_stopped(two):
    one, other = two
    await one.deploy(f"{FLOW}afterExecution:\n  - {{id: late, type: tests.Mark, hang: true}}\n")
    made = await one.create("company.team", "f", {}, started_by="a")
    await one.wait(made.id, until="ended_or_paused", timeout=20)
    await one.kill(made.id, by="a")
    late = f"{made.id}.2"
    await until(lambda: late in one.dispatcher.running() | other.dispatcher.running())
    assert (await one.execution(made.id)).state is State.KILLED
    assert await other.database.read(lambda c: task_runs.stopped(c, {f"{made.id}.1", late})) == {f"{made.id}.1"}


async def test_a_deadline_does_not_overtake_an_answer_that_is_on_its_way(two, clock, monkeypatch):
    one, _ = two
    await until(lambda: all(len(engine.cluster.presence.members) == 2 for engine in two))
    await one.deploy(FLOW.replace("Pause}", "Pause, pauseDuration: PT1H, behavior: FAIL}"))
    made = await one.create("company.team", "f", {}, started_by="a")
    await one.wait(made.id, until="ended_or_paused", timeout=20)
    owner = next(engine for engine in two if engine.cluster.owns(made.id))
    [pause] = await owner.pauses(execution_id=made.id)
    now = clock.now()
    await owner.database.transact(lambda unit: pauses.decide(unit.connection, pause.id, "RESUMED", by="a", now=now))
    expire, tried = Answers.expire, asyncio.Event()

    async def tries(*given):
        await expire(*given)
        tried.set()

    monkeypatch.setattr(Answers, "expire", tries)
    clock.jump(timedelta(hours=2))
    await asyncio.wait_for(tried.wait(), 20)
    owner.decider.post(made.id, Resumed(clock.now(), pause.task_run_id, {}, by="a"))
    assert (await one.wait(made.id, until="ended", timeout=20)).state is State.SUCCESS


async def test_a_worker_group_may_have_a_name_with_blanks(tmp_path, postgres, clock):
    groups = ("my gpu", "ü/50%")
    engine = await Engine.open(given(tmp_path, postgres, "one", worker_groups=groups), registry=registry(), clock=clock)
    await engine.start(watch=False)
    try:
        (member,) = engine.cluster.presence.members
        assert member.queues == tuple(map(queue_of, (*groups, "my gpu+ü/50%")))
        assert of_server(postgres).members == (member,)
        await engine.deploy(
            "id: f\nnamespace: company.team\nworkerSelector: {tags: [ü/50%]}\ntasks:\n"
            "  - {id: a, type: tests.Mark, workerGroup: {key: my gpu}}\n"
            "  - {id: b, type: tests.Mark, workerSelector: {tags: [ü/50%, my gpu], match: ALL, fallback: WAIT}}\n"
            "  - {id: c, type: tests.Mark, workerSelector: {tags: [my gpu, other], match: ANY}}\n"
            "  - {id: d, type: tests.Mark}\n"
        )
        made = await engine.create("company.team", "f", {}, started_by="a")
        assert (await engine.wait(made.id, timeout=20)).state is State.SUCCESS
    finally:
        await engine.stop(grace=0)


async def test_who_leads_purges_and_nobody_else(two):
    one, other = two
    await until(lambda: one.cluster.leads)
    assert (one.retention.falls_to_us(), other.retention.falls_to_us()) == (True, False)
    await one.stop(grace=0)
    await until(lambda: other.retention.falls_to_us())


def test_a_silent_worker_is_missed_within_twenty_seconds_by_default():
    heartbeat = Settings().heartbeat
    assert SILENT_BEATS * heartbeat + min(SWEEP_SECONDS, heartbeat / 2) + POLL_SECONDS <= 20


async def test_executions_are_shared_out_and_fall_to_who_is_left(two):
    one, other = two
    await until(lambda: all(len(engine.cluster.presence.members) == 2 for engine in two))
    ids = [f"E{number}" for number in range(200)]
    mine = {key for key in ids if one.cluster.owns(key)}
    assert mine.isdisjoint(key for key in ids if other.cluster.owns(key))
    assert 40 < len(mine) < 160
    await other.stop(grace=0)
    await until(lambda: all(one.cluster.owns(key) for key in ids))


async def test_a_trigger_switched_off_and_on_elsewhere(two, clock):
    one, other = two
    await one.deploy(TICK)
    await until(lambda: other.flows.exists("company.team", "tick"))
    assert one.cluster.leads
    assert not other.cluster.leads
    await other.schedules.toggle("company.team", "tick", "hourly", disabled=True)
    await until(lambda: one.schedules.is_disabled("company.team/tick/hourly"))
    clock.jump_to(clock.now().replace(hour=20, minute=30))
    await other.schedules.toggle("company.team", "tick", "hourly", disabled=False)
    await until(lambda: not one.schedules.is_disabled("company.team/tick/hourly"))
    await until(lambda: one.schedules.occurrences.standing()[0].state.next_date > clock.now())
    assert await one.executions(flow_id="tick") == []  # the dates that passed meanwhile are none
    clock.jump_to(clock.now().replace(hour=21, minute=0, second=1))
    await until(lambda: other.database.read_now(lambda c: executions.count(c, flow_id="tick")) == 1)


async def test_a_process_with_another_key_or_anothers_folder_is_refused(two, tmp_path, postgres):
    other_key = given(tmp_path, postgres, "third", encryption_key=KEY.replace("M", "N"))
    third = await Engine.open(other_key, registry=registry())
    with pytest.raises(SettingInvalid, match="another encryption key"):
        await third.start(watch=False)
    await third.database.close()
    with pytest.raises(StoreFailed, match="in use by another Parley"):
        await Engine.open(given(tmp_path, postgres, "one"), registry=registry())


async def test_a_role_needs_a_database_to_share(tmp_path):
    with pytest.raises(SettingInvalid, match="'worker' needs a database that processes can share"):
        await Engine.open(Settings(data=tmp_path, role="worker"), registry=registry())
