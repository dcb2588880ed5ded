"""Old executions go when their time is over, with all that belongs to them; what waits stays, and the audit tells."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from bot.settings import read_settings
from engine.core.events import KillAsked
from engine.errors import NotFound, SettingInvalid
from engine.plugin import Selection
from engine.runtime import Engine, retention
from engine.runtime.retention import kept_for
from engine.settings import Settings
from engine.store import chat_audit, triggers
from engine.store import events as inbox
from engine.store.chat_ladder import rungs
from engine.store.chat_tables import messages, runs
from engine.store.chat_votes import votes
from engine.store.tables import events, executions, key_values, logs, metadata, pauses, trigger_fires
from tests.runtime.conftest import START
from tests.runtime.marks import registry

QUICK = "tasks: [{id: say, type: io.kestra.plugin.core.log.Log, message: hello}]\n"
ASKS = "tasks: [{id: ask, type: io.kestra.plugin.core.flow.Pause}]\n"


def test_the_nearest_rule_holds():
    rules = {"*": "P90D", "company": "P30D", "company.team": "P7D"}
    days = [
        kept_for(name, rules).days for name in ("company.team", "company.team.sub", "company.x", "companyx", "other")
    ]
    assert days == [7, 7, 30, 90, 90]
    assert kept_for("other", {"company": "P1D"}) is None


@pytest.mark.parametrize("text", ["a month", "P0D", "-P1D"])
def test_a_rule_that_is_no_duration_is_told(text):
    with pytest.raises(SettingInvalid, match=r"retention.*ops.*P30D|retention.*ops.*PT30S"):
        read_settings(retention={"ops": text})


def card(kind, entity, execution_id, **more):
    row = {"id": f"m-{entity}", "kind": kind, "entity": entity, "execution_id": execution_id, "platform": "web"}
    return row | {"place": "p", "room": "r", "desired": 1, "urgency": 1, "state": "FINAL", "due": START} | more


async def test_a_purge_takes_all_of_what_has_ended_and_nothing_of_what_waits(engine, deploy, run, clock):
    await deploy(QUICK)
    await deploy(ASKS, "asks")
    ended, waiting, answered = await run(), await run(flow_id="asks"), await run(flow_id="asks")
    (pause,) = await engine.pauses(execution_id=answered.id)
    await engine.resume(answered.id, {}, by="ann")
    await engine.wait(answered.id)
    fires = [("company.team/f/t", START), ("company.team/f/t", START + timedelta(days=9)), ("other/f/t", START)]

    def tell(unit):
        c = unit.connection
        for one in (ended, waiting):
            c.execute(insert(messages), card("run", one.id, one.id, changed=START))
            row = {"execution_id": one.id, "person": "p", "room": "r", "place": "p", "flow": "f", "created": START}
            c.execute(insert(runs), row)
        c.execute(insert(rungs), {"id": "r1", "pause_id": pause.id, "kind": "remind", "due": START})
        row = {"pause_id": pause.id, "voter": "ann", "person": "ann", "name": "Ann", "platform": "web"}
        c.execute(insert(votes), row | {"ballot": "approve", "word": "yes", "at": START})
        for key, at in fires:
            triggers.claim_fire(c, key, at, "e", START)

    await engine.database.transact(tell)
    clock.jump(timedelta(days=8))
    kept = await run()
    await engine.logbook.flush()
    old = Selection("company", until=clock.now() - timedelta(days=7), below=True)
    assert await engine.retention.count(old) == 2
    gone = await engine.retention.purge(old, person="web:ann", name="Ann", platform="web")
    assert (gone.executions, gone.logs) == (2, 1)
    for one in (ended, answered):
        with pytest.raises(NotFound):
            await engine.execution(one.id)
    left = {kept.id, waiting.id}

    def look(c):
        rows = {t: set(c.execute(select(t.c.execution_id)).scalars()) for t in (messages, runs, pauses, logs)}
        counts = [c.execute(select(func.count()).select_from(t)).scalar_one() for t in (votes, rungs)]
        taken = {tuple(row) for row in c.execute(select(trigger_fires.c.trigger_key, trigger_fires.c.scheduled_at))}
        return set(c.execute(select(executions.c.id)).scalars()), rows, counts, taken, chat_audit.about(c, "company")

    there, rows, counts, taken, (deed,) = await engine.database.read(look)
    assert there == left
    assert rows == {messages: {waiting.id}, runs: {waiting.id}, pauses: {waiting.id}, logs: {kept.id}}
    assert counts == [0, 0]
    assert taken == set(fires[1:])
    assert (deed.person, deed.name, deed.action, deed.details["executions"]) == ("web:ann", "Ann", "purge", 2)
    assert deed.details["before"] == old.until.isoformat()
    await engine.resume(waiting.id, {}, by="ann")
    assert (await engine.wait(waiting.id)).state == "SUCCESS"


async def test_nothing_goes_without_its_line_in_the_record(engine, deploy, run, clock, monkeypatch):
    """However many batches it takes, and when the line of one of them can't be written."""
    await deploy(QUICK)
    for _ in range(5):
        await run()
    clock.jump(timedelta(days=8))
    monkeypatch.setattr(retention, "BATCH", 2)
    write, written = chat_audit.record, []

    def breaks_on_the_second(connection, deed):
        written.append(deed)
        if len(written) >= 2:
            raise RuntimeError("the disk is gone")
        write(connection, deed)

    monkeypatch.setattr(chat_audit, "record", breaks_on_the_second)
    every = Selection("company", until=clock.now(), below=True)

    async def told():
        deeds = await engine.database.read(lambda c: chat_audit.about(c, "company"))
        return [deed.details["executions"] for deed in deeds], await engine.retention.count(every)

    with pytest.raises(RuntimeError):
        await engine.retention.purge(every, person="web:ann", name="Ann", platform="web")
    assert await told() == ([2], 3)
    monkeypatch.setattr(chat_audit, "record", write)
    assert (await engine.retention.purge(every)).executions == 3
    assert await told() == ([2, 2, 1], 0)


async def test_what_is_purged_makes_room_for_what_comes(engine, deploy, run, clock):
    """The file does not shrink, and does not grow either."""
    await deploy("tasks: [{id: say, type: io.kestra.plugin.core.debug.Return, format: '" + "x" * 50_000 + "'}]")
    sizes = []
    for _ in range(4):
        for _ in range(20):
            await run()
        clock.jump(timedelta(days=8))
        gone = await engine.retention.purge(Selection("company", until=clock.now(), below=True))
        assert gone.executions == 20
        pages = await engine.database.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        sizes.append(pages * 4096)
    assert sizes[0] > 20 * 50_000
    assert max(sizes[1:]) < 1.2 * sizes[0]


async def test_every_table_that_speaks_of_executions_is_purged(engine):
    """A table that is added later is either emptied by a purge or named here."""
    kept = {"audit_entry", "trigger_fire", "trigger_state"}
    emptied = {"task_run", "output", "event", "command", "pause", "log", "metric", "chat_message", "chat_run"}
    emptied |= {"chat_explanation", "chat_explanation_listener"}
    speaking = {table.name for table in metadata.tables.values() if "execution_id" in table.c}
    assert speaking - kept - {"procrastinate_jobs"} == emptied


async def test_the_running_bot_purges_every_day(settings, clock):
    settings = Settings(**{**settings.model_dump(), "retention": {"company.team": "P7D"}})
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    try:
        await engine.start(watch=False)
        await engine.deploy(f"id: f\nnamespace: company.team\n{QUICK}")
        await engine.deploy(f"id: f\nnamespace: elsewhere\n{QUICK}")
        ids = [(await engine.create(ns, "f", {}, started_by="x")).id for ns in ("company.team", "elsewhere")]
        for one in ids:
            await engine.wait(one)
        clock.jump(timedelta(days=6))
        clock.jump(timedelta(days=2))

        async with asyncio.timeout(20):
            while [one.id for one in await engine.executions(limit=10)] != ids[1:]:
                await asyncio.sleep(0.01)
            while not (deeds := await engine.database.read(lambda c: chat_audit.about(c, "company.team"))):
                await asyncio.sleep(0.01)
        (deed,) = deeds
        assert (deed.platform, deed.details["executions"]) == ("retention", 1)
    finally:
        await engine.stop(grace=0)


async def test_who_does_not_lead_purges_nothing_until_it_does(settings, clock):
    settings = Settings(**{**settings.model_dump(), "retention": {"company.team": "P7D"}})
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    asked, leads = [], False

    def falls_to_us():
        asked.append(clock.now())
        return leads

    engine.retention.falls_to_us = falls_to_us
    try:
        await engine.start(watch=False)
        await engine.deploy(f"id: f\nnamespace: company.team\n{QUICK}")
        await engine.wait((await engine.create("company.team", "f", {}, started_by="x")).id)
        clock.jump(timedelta(days=8))
        async with asyncio.timeout(20):
            while not asked:
                await asyncio.sleep(0.01)
            assert len(await engine.executions(limit=10)) == 1
            leads = True
            clock.jump(timedelta(minutes=2))
            while await engine.executions(limit=10):
                await asyncio.sleep(0.01)
    finally:
        await engine.stop(grace=0)


FAR = START + timedelta(days=365)
EVERY = Selection(until=FAR)


async def seen(engine, key):
    return await engine.database.read(lambda c: triggers.memory(c, key))


async def test_a_flow_that_a_sync_takes_away_for_a_while_keeps_what_its_triggers_saw(engine, deploy, clock):
    text = QUICK + "triggers: [{id: t, type: io.kestra.plugin.core.trigger.Webhook, key: k}]\n"
    await deploy(text)

    def look(unit):
        triggers.save(unit.connection, triggers.TriggerState("company.team", "f", "t", START))
        triggers.save_memory(unit.connection, "company.team/f/t", {"seen": [1]})

    await engine.database.transact(look)
    clock.jump(timedelta(days=90))  # nothing moved for long
    await engine.flows.delete("company.team", "f")
    await engine.retention.purge(EVERY)
    clock.jump(timedelta(hours=23))
    await engine.retention.purge(EVERY)
    assert await seen(engine, "company.team/f/t") == {"seen": [1]}
    await deploy(text)
    clock.jump(timedelta(days=2))
    await engine.retention.purge(EVERY)
    assert await seen(engine, "company.team/f/t") == {"seen": [1]}
    await engine.flows.delete("company.team", "f")
    clock.jump(timedelta(days=1, seconds=1))
    await engine.retention.purge(EVERY)
    assert await seen(engine, "company.team/f/t") == {}


async def test_the_rule_of_its_namespace_forgets_what_triggers_of_a_flow_that_is_gone_saw(settings, clock):
    """Also when no run of the namespace is left."""
    settings = Settings(**{**settings.model_dump(), "retention": {"company.team": "P7D"}})
    engine = await Engine.open(settings, registry=registry(), clock=clock)

    def look(unit):
        for space in ("company.team", "elsewhere"):
            triggers.save(unit.connection, triggers.TriggerState(space, "f", "t", START))
            triggers.save_memory(unit.connection, f"{space}/f/t", {"seen": [1]})

    try:
        for space in ("company.team", "elsewhere"):
            await engine.deploy(f"id: f\nnamespace: {space}\n{QUICK}")
            await engine.flows.delete(space, "f")
        await engine.database.transact(look)
        clock.jump(timedelta(days=6))
        await engine.retention.apply()
        assert await seen(engine, "company.team/f/t") == {"seen": [1]}
        clock.jump(timedelta(days=2))
        await engine.retention.apply()
        assert await seen(engine, "company.team/f/t") == {}
        assert await seen(engine, "elsewhere/f/t") == {"seen": [1]}
    finally:
        await engine.stop(grace=0)


POLLS = """
triggers:
  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: k}
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    dependsOn: [{flowId: other, namespace: company.team}]
"""


async def test_what_is_left_of_a_trigger_goes_a_month_after_its_flow_lost_it(engine, deploy, clock):
    """Without any rule. It is as if it had never been, also for who remembered that it was switched off."""
    await deploy(QUICK + POLLS)
    for one in ("hook", "after"):
        await engine.schedules.toggle("company.team", "f", one, disabled=True)
    window = triggers.Window("company.team/f/after", "w", START, START + timedelta(hours=1), {"x": 1.0})
    await engine.database.transact(lambda unit: triggers.save_window(unit.connection, window))
    clock.jump(timedelta(days=90))
    await engine.retention.apply()
    keys = [f"company.team/f/{one}" for one in ("hook", "after")]
    assert all(engine.schedules.is_disabled(key) for key in keys)
    await deploy(QUICK + POLLS.partition("  - id: after")[0])
    clock.jump(timedelta(days=29))
    await engine.retention.apply()
    assert all(engine.schedules.is_disabled(key) for key in keys)
    clock.jump(timedelta(days=2))
    await engine.retention.apply()
    assert [engine.schedules.is_disabled(key) for key in keys] == [True, False]
    assert [state.key for state in await engine.database.read(triggers.all_states)] == keys[:1]
    assert not await engine.database.read(lambda c: triggers.window(c, keys[1], "w", to_write=False))


async def test_a_process_that_runs_on_tidies_up_every_day(engine, clock):
    def tell(unit):
        inbox.post(unit.connection, "E1", KillAsked(START), clock.now(), engine.sealer, "once", consumed=True)

    await engine.database.transact(tell)
    await engine.kv.set("company", "short", "x", ttl=3600)
    clock.jump(timedelta(days=8))
    async with asyncio.timeout(20):
        while await engine.database.read(lambda c: c.execute(select(func.count()).select_from(events)).scalar_one()):
            await asyncio.sleep(0.01)
    left = select(func.count()).select_from(key_values)
    assert await engine.database.read(lambda c: c.execute(left).scalar_one()) == 0
