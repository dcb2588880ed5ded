"""The writer by itself: units at any moment, some urgent, some that fail, and deaths half way; its laws, and bugs that
break them."""

import asyncio
import itertools
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest
from sqlalchemy import delete, insert, select

from engine.errors import Refused
from engine.store.batches import Batch
from engine.store.database import SqliteDatabase
from engine.store.tables import logs
from engine.store.writing import GroupWriter, Order
from tests.simulate.bots import PgRead, SqliteRead
from tests.simulate.clock import START, SteadyClock
from tests.simulate.databases import SteppedPostgres, SteppedSqlite, eased
from tests.simulate.loop import Died, SimulatedLoop, Stalled

SEEDS = range(40)


@dataclass
class Life:
    """What was asked of the writer, what it did in which order, and what it said."""

    put: list[int] = field(default_factory=list)
    urgent: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)
    begun: list[tuple[Batch, int, int]] = field(default_factory=list)  # transaction, unit, urgent units that waited
    told: dict[int, bool] = field(default_factory=dict)
    effects: list[int] = field(default_factory=list)
    too_early: list[int] = field(default_factory=list)  # told before its effects
    died: bool = False

    def work(self, number, unit):
        waiting = len(self.urgent.intersection(self.put) - {one for _, one, _ in self.begun})
        self.begun.append((unit.batch, number, waiting))
        row = {"execution_id": "e", "at": START, "level": 20, "message": str(number)}
        unit.connection.execute(insert(logs), row)
        unit.after_commit(partial(self.effects.append, number))
        if number in self.bad:
            raise Refused("no")

    async def ask(self, database, number, at, submits):
        """Ask for a unit at a time; nobody may be told before the effects were."""
        await asyncio.sleep(at)
        self.put.append(number)
        work = partial(self.work, number)
        if submits:
            database.submit(work, lambda error: self.told.__setitem__(number, error is None))
            return
        try:
            await database.transact(work, urgent=number in self.urgent)
        except Refused:
            self.told[number] = False
        else:
            self.told[number] = True
            self.too_early += [number] * (number not in self.effects)

    async def live(self, database, random):
        numbers = range(random.choice((5, 40, 160)))
        self.urgent = {number for number in numbers if random.random() < 0.2}
        self.bad = {number for number in numbers if random.random() < random.choice((0.0, 0.05))}
        moments = [random.random() * 0.05 for _ in range(4)]
        asked = [
            self.ask(database, number, random.choice(moments), number not in self.urgent and random.random() < 0.5)
            for number in numbers
        ]
        await asyncio.gather(*asked)
        for _ in range(100):  # those that nobody waits for
            if len(self.told) < len(self.put):
                await asyncio.sleep(0.1)
        await database.close()


def lived(random, opened):
    """A life with the writer of a database, maybe a short one."""
    life = Life()
    loop = SimulatedLoop(random, SteadyClock(), random.choice((None, None, random.randint(5, 400))))
    database = None

    async def whole():
        nonlocal database
        database = await opened()
        await life.live(database, random)

    try:
        loop.run_until_complete(whole())
    except Died:
        life.died = True
    except Stalled:
        pass  # somebody waits for ever: one of the laws
    finally:
        if database is not None:
            database.let_go()
        loop.bury()
    return life


def broken(life, written):
    """The laws that a life broke, from it and the units that lie on disk."""
    good = [number for number, well in life.told.items() if well]
    quiet = [number for number in written if number not in life.urgent]
    urgent = [number for number in written if number in life.urgent]
    after = [number for number in life.put if number in life.urgent]
    laws = {
        "on disk when it is told": set(good) <= set(written),
        "once": len(written) == len(set(written)) and len(life.effects) == len(set(life.effects)),
        "what fails leaves nothing": not life.bad.intersection(written, life.effects),
        "only what fails fails": all(well != (number in life.bad) for number, well in life.told.items()),
        "effects are of what is on disk": set(life.effects) <= set(written),
        "effects come first": not life.too_early,
        "everybody is told": life.died or set(life.told) == set(life.put),
        "in order": quiet == [number for number in life.put if number in quiet]
        and urgent == [number for number in after if number in urgent],
        "what is urgent waits for one unit": not any(_kept_waiting(life)),
    }
    return [law for law, holds in laws.items() if not holds]


def _kept_waiting(life):
    """Where something urgent waited for more than it must: for the second unit of a group that found nothing urgent
    when it began, or for a group after another that is not urgent either. A group that failed may begin anew."""
    groups = [list(units) for _, units in itertools.groupby(life.begun, lambda one: id(one[0]))]
    before = [(None, None, 0)]
    for group in groups:
        _, first, found = group[0]
        if first not in life.urgent:
            yield not found and any(waiting for *_, waiting in group[1:])
            yield bool(found) and before[0][1] not in (first, None, *life.urgent)
        before = group


def on_disk(database):
    """The units on disk, in the order they were written in."""
    query = select(logs.c.message).order_by(logs.c.id)
    return [int(text) for text in database.read_now(lambda connection: list(connection.execute(query).scalars()))]


def over_sqlite(folder, seeds=SEEDS):
    """The first seed that breaks a law → the laws it broke."""
    asyncio.run(_made(folder / "empty.db"))
    with eased():
        for seed in seeds:
            file = folder / f"{seed}.db"
            file.write_bytes((folder / "empty.db").read_bytes())
            life = lived(Random(seed), partial(SteppedSqlite.at, file))
            if laws := broken(life, asyncio.run(_read(SqliteRead.at(file)))):
                return {seed: laws}
    return {}


async def _made(file):
    await (await SqliteDatabase.open(file)).close()


async def _read(opening):
    database = await opening
    try:
        return on_disk(database)
    finally:
        database.let_go()


def test_the_laws_hold(tmp_path, monkeypatch):
    parts, redone, commit, alone = [], [], GroupWriter._commit, GroupWriter._one_by_one

    def counted(self, group, *, gives_way=False):
        parts.append(commit(self, group, gives_way=gives_way))
        return parts[-1]

    def one_by_one(self, group, first, *, gives_way=False):
        number = alone(self, group, first, gives_way=gives_way)
        redone.append(group[number:])
        return number

    monkeypatch.setattr(GroupWriter, "_commit", counted)
    monkeypatch.setattr(GroupWriter, "_one_by_one", one_by_one)
    assert over_sqlite(tmp_path) == {}
    assert sum(map(bool, parts)) > 20  # groups gave way …
    assert any(redone)  # … also such as were written unit by unit


def forgets_the_rest(self, group, *, gives_way=False, commit=GroupWriter._commit):
    commit(self, group, gives_way=gives_way)
    return []


def writes_the_rest_twice(self, group, *, gives_way=False, commit=GroupWriter._commit):
    rest = commit(self, group, gives_way=gives_way)
    return group[-len(rest) - 1 :] if rest else []


def never_gives_way(self, group, *, gives_way=False, commit=GroupWriter._commit):
    return commit(self, group)


def tells_before(self, group, *, gives_way=False, commit=GroupWriter._commit):
    self._tell(group)
    return commit(self, group, gives_way=gives_way)


def whole_groups_fail(self, group, first, *, gives_way=False):
    for order in group:
        self._fail(order, first)
    return len(group)


def redo_keeps_waiting(self, group, first, *, gives_way=False, alone=GroupWriter._one_by_one):
    return alone(self, group, first)


def urgent_comes_last(self, group):
    while group:
        group = self._commit(group, gives_way=True)
    self._commit(self._take_urgent())


PLANTS = {
    "_commit": (forgets_the_rest, writes_the_rest_twice, never_gives_way, tells_before),
    "_one_by_one": (whole_groups_fail, redo_keeps_waiting),
    "_commit_all": (urgent_comes_last,),
}


@pytest.mark.parametrize(
    ("name", "bug"), [pytest.param(name, bug, id=bug.__name__) for name, bugs in PLANTS.items() for bug in bugs]
)
def test_a_writer_with_a_bug_is_found_out(tmp_path, monkeypatch, name, bug):
    monkeypatch.setattr(GroupWriter, name, bug)
    monkeypatch.setattr(SimulatedLoop, "call_exception_handler", lambda *given: None)
    assert over_sqlite(tmp_path)


def test_an_effect_that_is_kept_from_a_failed_try_is_found_out(tmp_path, monkeypatch):
    run = Order.run

    def keeps(self, batch):
        kept = self.effects
        run(self, batch)
        self.effects = [*kept, *self.effects]

    monkeypatch.setattr(Order, "run", keeps)
    assert over_sqlite(tmp_path)


def test_the_laws_hold_over_postgres(postgres):
    with eased():
        for seed in SEEDS[:8]:
            kept = []

            async def opened(kept=kept):
                kept.append(await SteppedPostgres.at(postgres))
                await kept[0].transact(lambda unit: unit.connection.execute(delete(logs)))
                return kept[0]

            life = lived(Random(seed), opened)
            assert (seed, broken(life, asyncio.run(_read(PgRead.at(postgres))))) == (seed, [])
