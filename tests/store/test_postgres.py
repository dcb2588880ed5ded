"""What only a server has: other writers, connections that end, addresses that are wrong."""

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, insert, select, text, update

from engine.clock import SystemClock
from engine.core.execution import Origin
from engine.errors import SettingInvalid, StoreFailed
from engine.key_values import KeyValueStore
from engine.secrets import Masker, Vault
from engine.settings import Settings
from engine.store import forgetting, kv, migrations, parts, records, triggers
from engine.store.batches import Superseded
from engine.store.database import SqliteDatabase
from engine.store.postgres import PostgresDatabase
from engine.store.statements import serial
from engine.store.tables import key_values, logs, schema_version
from tests.store.test_database import messages, write
from tests.store.test_rows import EXECUTION, LATER, NOW, State, create, executions, same


@pytest.fixture
async def two(postgres):
    """Two processes' doors to one database."""
    one, other = await PostgresDatabase.open(postgres), await PostgresDatabase.open(postgres)
    yield one, other
    await one.close()
    await other.close()


def backend(unit):
    return unit.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


def cut(pid):
    return lambda unit: unit.connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


async def test_a_connection_that_ended_meanwhile_is_replaced_and_nobody_notices(two):
    one, other = two
    await one.transact(write("before"))
    first = await one.transact(backend)
    assert one.backend == first
    await other.transact(cut(first))
    given = await asyncio.gather(*(one.transact(write(str(n))) for n in range(20)), return_exceptions=True)
    assert given == [given[0]] * 20 or all(not isinstance(one, Exception) for one in given)
    assert sorted(await messages(one)) == sorted(["before", *map(str, range(20))])
    assert first != one.backend == await one.transact(backend)  # the first may be anybody's by now


async def test_a_connection_that_ends_within_a_unit_loses_nothing_and_doubles_nothing(two):
    one, other = two
    cuts = []

    def work(unit):
        write("once")(unit)
        if not cuts:
            cuts.append(backend(unit))
            done = threading.Event()
            other._loop.call_soon_threadsafe(other.submit, cut(cuts[0]), lambda _: done.set())
            done.wait(10)
            write("never")(unit)

    await one.transact(work)
    assert await messages(other) == ["once"]


async def test_a_commit_whose_answer_is_lost_is_not_done_again(two, monkeypatch):
    one, other = two
    pid = await one.transact(backend)
    dialect = type(one._writer.dialect)
    commit = dialect.do_commit

    def lost(self, connection):
        commit(self, connection)
        connection.driver_connection.close()
        raise self.loaded_dbapi.OperationalError("the connection went away")

    monkeypatch.setattr(dialect, "do_commit", lost)
    with pytest.raises(StoreFailed, match="can't be reached"):
        await one.transact(write("once"))
    monkeypatch.undo()
    assert await messages(other) == ["once"]
    await one.transact(write("again"))
    assert await one.transact(backend) != pid


async def test_of_two_processes_that_decide_at_once_one_is_superseded(two, sealer):
    one, other = two
    await create(one, sealer)
    after = executions.next_version(EXECUTION.moved(State.SUCCESS, LATER))

    def save(unit):
        executions.save(unit.batch, EXECUTION, after, LATER, sealer)

    given = await asyncio.gather(one.transact(save), other.transact(save), return_exceptions=True)
    assert sorted(type(each) for each in given if each is not None) == [Superseded]
    same(await other.read(lambda c: executions.load(c, "E1", sealer)), after)


async def test_a_decision_to_change_nothing_waits_for_the_one_under_way_elsewhere(two, sealer):
    one, other = two
    await create(one, sealer)
    after = executions.next_version(EXECUTION.moved(State.SUCCESS, LATER))
    written, go_on = threading.Event(), threading.Event()

    def save(unit):
        executions.save(unit.connection, EXECUTION, after, LATER, sealer)
        written.set()
        go_on.wait(10)

    saving = asyncio.create_task(one.transact(save))
    await asyncio.to_thread(written.wait, 10)
    staying = asyncio.create_task(
        other.transact(lambda u: executions.save(u.batch, EXECUTION, EXECUTION, LATER, sealer))
    )
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not await one.read(lambda c: c.execute(text(waits)).scalar_one()):
        await asyncio.sleep(0.01)
    go_on.set()
    with pytest.raises(Superseded):
        await staying
    await saving


async def test_a_deadlock_between_two_processes_passes(two):
    one, other = two
    row = {"namespace": "a", "kind": "STRING", "value": '"0"', "updated": NOW}
    for key in ("x", "y"):
        await one.transact(lambda u, key=key: u.connection.execute(key_values.insert(), row | {"key": key}))
    both = threading.Barrier(2, timeout=10)
    met = []

    def raise_both(first, second):
        def work(unit):
            for number, key in enumerate((first, second)):
                where = key_values.c.key == key
                value = unit.connection.execute(select(key_values.c.value).where(where).with_for_update()).scalar_one()
                unit.connection.execute(update(key_values).where(where).values(value=f'"{int(value[1:-1]) + 1}"'))
                if not number and len(met) < 2:
                    met.append(key)
                    both.wait()

        return work

    await asyncio.gather(one.transact(raise_both("x", "y")), other.transact(raise_both("y", "x")))
    found = await one.read(lambda c: list(c.execute(select(key_values.c.value)).scalars()))
    assert found == ['"2"', '"2"']


async def test_what_is_serial_is_not_done_by_two_at_once(two):
    one, other = two

    def count(unit):
        serial(unit.connection, "counter")
        highest = len(list(unit.connection.execute(select(logs.c.id))))
        write(str(highest))(unit)

    await asyncio.gather(*(database.transact(count) for database in (one, other) for _ in range(25)))
    assert sorted(map(int, await messages(one))) == list(range(50))


async def test_a_reader_sees_one_moment(two):
    one, other = two
    await one.transact(write("there"))
    entered, go_on = threading.Event(), threading.Event()

    def look(connection):
        first = connection.execute(select(logs.c.message)).scalars().all()
        entered.set()
        go_on.wait(10)
        return first, connection.execute(select(logs.c.message)).scalars().all()

    looking = asyncio.create_task(one.read(look))
    await asyncio.to_thread(entered.wait, 10)
    await other.transact(lambda unit: unit.connection.execute(delete(logs)))
    go_on.set()
    assert await looking == (["there"], ["there"])


async def test_text_with_a_nul_is_kept_without_it(two):
    await two[0].transact(write("a\0b"))
    assert await messages(two[1]) == ["a\ufffdb"]


async def test_ten_processes_may_start_at_once(new_postgres):
    opened = await asyncio.gather(*(PostgresDatabase.open(new_postgres) for _ in range(10)))
    await opened[3].transact(write("x"))
    assert await messages(opened[7]) == ["x"]
    await asyncio.gather(*(database.close() for database in opened))


async def test_a_server_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(StoreFailed, match=r"can't be reached: .*Is PostgreSQL up"):
        await PostgresDatabase.open(f"postgresql://nobody:s3cret@/x?host={tmp_path}")
    with pytest.raises(StoreFailed) as told:
        await PostgresDatabase.open("postgresql://nobody:s3cret@127.0.0.1:1/x")
    assert "s3cret" not in str(told.value)
    with pytest.raises(SettingInvalid, match="no address"):
        await PostgresDatabase.open("postgresql://x:y:z:w:")


async def test_a_database_that_is_not_there_is_a_sentence(postgres):
    with pytest.raises(StoreFailed, match=r"is not there.*createdb"):
        await PostgresDatabase.open(postgres.replace("/parley_", "/nobody_"))


async def test_both_kinds_answer_the_same_questions(tmp_path, postgres):
    """The public face of the two is one."""
    file, server = await SqliteDatabase.open(tmp_path / "p.db"), await PostgresDatabase.open(postgres)
    for database in (file, server):
        await database.transact(write("x"))
        assert database.read_now(lambda c: c.execute(select(logs.c.message)).scalars().all()) == ["x"]
        told = asyncio.get_running_loop().create_future()
        database.submit(write("y"), told.set_result)
        assert await told is None
        assert database.groups == database.units == 2
        await database.close()


async def test_an_older_program_goes_on_beside_a_newer_one_that_says_so(new_postgres):
    """One process after the other is replaced: for a while both kinds are at work."""
    database = await PostgresDatabase.open(new_postgres)

    def newer(unit):
        unit.connection.execute(insert(schema_version), {"version": len(migrations.STEPS) + 1, "applied": NOW})

    await database.transact(newer)
    older = await PostgresDatabase.open(new_postgres)
    await older.transact(write("still at work"))
    await older.close()
    floor = str(len(migrations.STEPS) + 1)
    await database.transact(lambda unit: parts.put(unit.connection, migrations.OLDEST, floor))
    with pytest.raises(StoreFailed, match=r"newer Parley \(schema \d+, this one knows \d+\)"):
        await PostgresDatabase.open(new_postgres)
    await database.close()


async def meanwhile(one, first, other, second):
    """`second(unit)` is asked of another process when `first(unit, go_on)` has begun; `go_on()` comes back when it has
    been done, or waits for us."""
    done = threading.Event()

    def waits(unit):
        return unit.connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()

    def work(unit):
        def go_on():
            one._loop.call_soon_threadsafe(other.submit, second, lambda _: done.set())
            while not done.is_set() and not waits(unit):
                done.wait(0.01)

        return first(unit, go_on)

    async with asyncio.timeout(20):
        await one.transact(work)
        await asyncio.to_thread(done.wait)


@contextmanager
def before(unit, begins, call):
    """`call()` comes before the first statement that begins so."""
    reached = []

    def looks(*given):
        if given[2].startswith(begins) and not reached:
            reached.append(given[2])
            call()

    event.listen(unit.connection, "before_cursor_execute", looks)
    yield
    event.remove(unit.connection, "before_cursor_execute", looks)
    assert reached


async def test_a_trigger_that_comes_back_elsewhere_while_it_is_forgotten_keeps_what_it_has_seen(two):
    one, other = two
    state = triggers.TriggerState("ns", "f", "t", NOW)

    def saw(unit):
        triggers.save(unit.connection, state)
        triggers.save_memory(unit.connection, state.key, {"seen": [1]})

    def forget(unit, go_on):
        with before(unit, "DELETE FROM trigger_state", go_on):
            triggers.forget(unit.connection, lambda *_: False, NOW + timedelta(days=30), None, below=False)

    back = replace(state, updated=NOW + timedelta(days=31))
    await one.transact(saw)
    await meanwhile(one, forget, other, lambda unit: triggers.save(unit.connection, back))
    assert await one.read(triggers.all_states) == [back]
    assert await one.read(lambda c: triggers.memory(c, state.key)) == {"seen": [1]}


async def test_a_trigger_that_is_switched_off_as_what_it_started_ends_elsewhere_is_free_and_off(two):
    one, other = two
    state = triggers.TriggerState("ns", "f", "t", NOW, next_date=LATER, execution_id="E1")
    await one.transact(lambda unit: triggers.save(unit.connection, state))
    ended = replace(EXECUTION, namespace="ns", flow_id="f", origin=Origin("t", "schedule"))

    def switch_off(unit, go_on):
        there = triggers.held(unit.connection, "ns", "f", "t")
        go_on()
        triggers.save(unit.connection, replace(there, disabled=True))

    await meanwhile(one, switch_off, other, lambda unit: triggers.released(unit.connection, ended, LATER))
    there = await one.read(lambda c: triggers.get(c, "ns", "f", "t"))
    assert (there.disabled, there.execution_id) == (True, None)


async def test_of_changes_to_one_value_in_two_processes_none_is_lost(two):
    vault, masker = Vault.of(Settings(encryption_key="k" * 43 + "=")), Masker()
    stores = [KeyValueStore(each, SystemClock(), vault, masker) for each in two]
    await stores[0].set("ns", "n", 0)
    await asyncio.gather(*(stores[number % 2].update("ns", "n", lambda old: old + 1) for number in range(60)))
    assert await stores[1].get("ns", "n") == 60


async def test_a_value_that_is_set_elsewhere_while_another_is_worked_out_is_not_lost(two):
    one, other = two
    pair = kv.KeyValue("ns", "n", "NUMBER", "1", NOW)
    await one.transact(lambda unit: kv.put(unit.connection, pair, NOW))

    def double(unit, go_on):
        there = kv.held(unit.connection, "ns", "n")
        go_on()
        kv.put(unit.connection, replace(there, value=str(2 * int(there.value))), NOW)

    await meanwhile(one, double, other, lambda unit: kv.put(unit.connection, replace(pair, value="50"), NOW))
    assert (await one.read(lambda c: kv.get(c, "ns", "n"))).value == "50"


async def test_an_execution_that_is_restarted_elsewhere_while_somebody_is_forgotten_keeps_its_task_runs(two, sealer):
    """What the restart wrote of a task run is not written over with what stood there before."""
    one, other = two
    told = replace(EXECUTION.task_runs["E1.1"], outputs={"by": "slack:U77"})
    over = replace(EXECUTION.moved(State.FAILED, LATER), task_runs=EXECUTION.task_runs.changed([told]))
    await create(one, sealer, over)
    again = over.task_runs.changed([replace(told, state=State.RESTARTED, outputs=None, rendered={"n": 1})])
    after = executions.next_version(replace(over.moved(State.RESTARTED, LATER), task_runs=again))
    refused = []

    def forget(unit, go_on):
        with before(unit, "UPDATE task_run", go_on):
            forgetting.forget(unit.connection, ["slack:U77"], LATER)

    def restart(unit):
        if not executions.save(unit.connection, over, after, LATER, sealer):
            refused.append("decided again from what lies there")

    await meanwhile(one, forget, other, restart)
    there = await one.read(lambda c: executions.load(c, "E1", sealer))
    assert refused == ["decided again from what lies there"]
    assert (there.state, there.task_runs["E1.1"].outputs) == (State.FAILED, {"by": "removed"})


async def test_what_is_purged_is_not_taken_up_again_elsewhere_halfway(two, sealer):
    one, other = two
    over = EXECUTION.moved(State.FAILED, LATER)
    over = replace(over, task_runs=over.task_runs.changed([replace(over.task_runs["E1.1"], state=State.FAILED)]))
    await create(one, sealer, over)
    after = executions.next_version(over.moved(State.RESTARTED, LATER))
    refused = []

    def purge(unit, go_on):
        assert records.holds_at_rest(unit.connection, "E1")
        go_on()
        records.purge(unit.connection, "E1", {"execution"})

    def restart(unit):
        if not executions.save(unit.connection, over, after, LATER, sealer):
            refused.append("it is gone")

    await meanwhile(one, purge, other, restart)
    assert refused == ["it is gone"]
    assert await one.read(lambda c: executions.load(c, "E1", sealer)) is None
