"""Rows of a group are written together; what one unit gets wrong stays its own."""

import asyncio
import threading
from dataclasses import replace

import pytest
from sqlalchemy import delete, func, insert, select

from engine.core import commands as core_commands
from engine.core.execution import Execution
from engine.core.state import State
from engine.errors import StoreFailed
from engine.store import commands, executions
from engine.store.batches import Statement, Superseded
from engine.store.tables import commands as command_rows
from engine.store.tables import outputs
from tests.store.test_rows import LATER, NOW

NUMBER = 40
ADD = Statement(insert(outputs), columns=("id", "execution_id", "doc"))
CLEAR = Statement(delete(outputs))


def made(number):
    return Execution(
        id=f"E{number}",
        namespace="a",
        flow_id="f",
        revision=1,
        state=State.CREATED,
        histories=((State.CREATED, NOW),),
    )


def row(key):
    return {"id": key, "execution_id": "E1", "doc": "{}"}


async def grouped(database, works):
    """Run units in one group; what each gave or raised, in order."""
    entered, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def block(unit):
        loop.call_soon_threadsafe(entered.set)
        release.wait(10)

    blocked = asyncio.create_task(database.transact(block))
    await entered.wait()
    waiting = [asyncio.create_task(database.transact(work)) for work in works]
    await asyncio.sleep(0)
    release.set()
    await blocked
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_rows_of_many_units_are_written_by_one_statement(database, sealer):
    ran = []

    class Counted(Statement):
        def run(self, connection, rows):
            ran.append(len(rows))
            return super().run(connection, rows)

    add = Counted(ADD.core, columns=("id", "execution_id", "doc"))
    await grouped(database, [lambda u, n=n: u.batch.add(add, [row(str(n))]) for n in range(NUMBER)])
    assert ran == [NUMBER]
    assert await database.read(lambda c: c.execute(select(func.count()).select_from(outputs)).scalar_one()) == NUMBER


async def test_of_a_group_only_the_superseded_execution_is_refused(database, sealer):
    for number in range(NUMBER):
        await database.transact(lambda u, n=number: executions.create(u.batch, made(n), NOW, sealer))

    def save(number):
        before = made(number) if number != 7 else replace(made(number), version=3)
        after = executions.next_version(before.moved(State.RUNNING, LATER))
        return lambda u: executions.save(u.batch, before, after, LATER, sealer)

    given = await grouped(database, [save(number) for number in range(NUMBER)])
    assert [number for number, one in enumerate(given) if isinstance(one, Superseded)] == [7]
    found = {one.id: one.state for one in await database.read(lambda c: executions.find(c, sealer, limit=100))}
    assert found == {f"E{n}": State.CREATED if n == 7 else State.RUNNING for n in range(NUMBER)}


async def test_a_decision_to_change_nothing_rests_on_what_lies_there(database, sealer):
    for number in range(NUMBER):
        await database.transact(lambda u, n=number: executions.create(u.batch, made(n), NOW, sealer))

    def stay(number):
        seen = made(number) if number not in (7, NUMBER) else replace(made(number), version=3)

        def work(unit):
            executions.save(unit.batch, seen, seen, LATER, sealer)
            unit.batch.add(ADD, [row(str(number))])

        return work

    given = await grouped(database, [stay(number) for number in range(NUMBER + 1)])
    assert [number for number, one in enumerate(given) if isinstance(one, Superseded)] == [7, NUMBER]
    stored = await database.read(lambda c: set(c.execute(select(outputs.c.id)).scalars()))
    assert stored == {str(number) for number in range(NUMBER) if number != 7}


async def test_a_row_the_database_refuses_fails_its_unit_only(database):
    await database.transact(lambda u: u.batch.add(ADD, [row("there")]))
    keys = ["a", "there", "b"]
    given = await grouped(database, [lambda u, key=key: u.batch.add(ADD, [row(key)]) for key in keys])
    assert [type(one) for one in given] == [type(None), StoreFailed, type(None)]
    stored = await database.read(lambda c: sorted(c.execute(select(outputs.c.id)).scalars()))
    assert stored == ["a", "b", "there"]


async def test_who_uses_the_connection_sees_what_the_group_has_added(database):
    def add(unit):
        unit.batch.add(ADD, [row("first")])

    def look(unit):
        return list(unit.connection.execute(select(outputs.c.id)).scalars())

    assert (await grouped(database, [add, look]))[1] == ["first"]


async def test_a_timer_that_moves_is_deleted_before_it_is_set_whatever_was_added_first(database, sealer):
    timer = core_commands.SetTimer("sleep", NOW)
    await database.transact(lambda u: commands.put(u.batch, [commands.stored("E1", timer, 1)], sealer))
    run = core_commands.RunTask("E2.1", 1)
    await grouped(
        database,
        [
            lambda u: commands.put(u.batch, [commands.stored("E2", run, 1)], sealer),
            lambda u: commands.put(u.batch, [commands.stored("E1", replace(timer, at=LATER), 2)], sealer),
        ],
    )
    found = await database.read(lambda c: {r.id: r.run_at for r in c.execute(select(command_rows))})
    assert found == {"timer:E1:sleep": LATER, "run:E2.1:1": None}


async def test_a_batch_that_fails_leaves_nothing_behind(database):
    await database.transact(lambda u: u.batch.add(ADD, [row("kept")]))

    def bad(unit):
        unit.batch.add(CLEAR, [{}])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.transact(bad)
    assert await database.read(lambda c: list(c.execute(select(outputs.c.id)).scalars())) == ["kept"]
