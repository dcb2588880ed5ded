"""The whole bot in the simulation: the real engine and desk over a real store, on a loop whose time is simulated.

It dies a few times at random steps and starts again on what is on disk; people press, type and fill forms meanwhile, do
again what nobody answered. The laws look at every decision, at what lies on disk after each death, and at the end.
"""

import asyncio
import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import yaml

from bot.cards.pacing import Pace
from bot.chat_port import FrontEndChat
from bot.chat_settings import ChatSettings
from bot.conversation import Click, Command, Form, Reply, Room, Submission
from bot.desk import FrontDesk
from engine import identifiers
from engine.errors import EngineError, FlowInvalid, InputInvalid, Refused
from engine.runtime import Engine, advancing, deciding
from engine.runtime.decision import Decision
from engine.settings import Limits, Settings
from engine.store import writing
from engine.store.database import SqliteDatabase
from tests.bot.memory_front_end import MemoryFrontEnd
from tests.simulate.chat import person_of
from tests.simulate.clock import START, SteadyClock, after
from tests.simulate.databases import Alone, SteppedPostgres, SteppedSqlite, Stepwise, eased
from tests.simulate.histories import NO_ERROR, History, place_of
from tests.simulate.invariants import Broken, Laws
from tests.simulate.loop import Died, SimulatedLoop, Stalled
from tests.simulate.rows import Seen, seen
from tests.simulate.scenes import WIDE, Deed, Scene
from tests.simulate.work import flow_of, registry

LONGEST = 4000.0  # simulated seconds
LOOK = 5.0  # simulated seconds between two looks at whether anything is left to do
VERBS = {"approve": ("Approve", "Answer"), "reject": ("Reject", "Cancel"), "killed by card": ("Cancel", "Reject")}
OPS = Room("slack", "C1", workspace="T1")


class Errors(logging.Handler):
    """Whatever the bot logs as an error of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.said.append(f"{record.getMessage()} {type(error).__name__ if error else ''} {error or ''}".strip())


class Bot:
    """One seed over a real store."""

    def __init__(self, history: History, folder: Path, address: str | None) -> None:
        self.random = Random(history.seed)
        Scene.drawn(self.random, wide=history.seed >= WIDE)  # so that a smaller scene meets the same chances
        self.scene = history.scene
        self.folder = folder
        self.address = address
        self.clock = SteadyClock()
        self.ends = [MemoryFrontEnd(platform) for platform in ("slack", "discord", "web")]
        self.deaths = [self.random.randint(20, 1500) for _ in range(self.random.choice((0, 1, 2, 3, 5)))]
        self.flows = {(flow["namespace"], flow["id"]): flow_of(flow) for flow in self.scene.flows}
        self.answers: dict[str, str] = {}
        self.meant: dict[int, Any] = {}
        self.done: set[str] = set()
        self.laws = Laws(Seen(self.flows, self.clock))  # type: ignore[arg-type]
        self.errors = Errors()
        self.broken: Broken | None = None  # a law that broke inside a task
        self.database: Stepwise | Alone | None = None
        self.steps: list[str] = []

    # --- lives
    def play(self) -> None:
        """Live, die and live again until all is at rest; Broken."""
        for steps in (*self.deaths, None):
            loop = SimulatedLoop(self.random, self.clock, steps)
            try:
                loop.run_until_complete(self._live())
            except Died:
                self.steps.append(f"died after {steps} steps")
            except Stalled as stalled:
                raise Broken("it comes to rest", str(stalled)) from stalled
            finally:
                with _quiet():
                    if self.database is not None:
                        self.database.let_go()
                    loop.bury()
            if self.broken is not None:
                raise self.broken
            if self.errors.said:
                raise Broken(NO_ERROR, self.errors.said[0])
            is_over = steps is None or loop.taken < steps
            asyncio.run(self._look(at_rest=is_over))
            if is_over:
                return

    async def _open(self) -> Stepwise | Alone:
        if self.address is not None:
            return await SteppedPostgres.at(self.address)
        return await SteppedSqlite.at(self.folder / "parley.db")

    async def _live(self) -> None:
        settings = Settings(
            data=self.folder, flows=(self.folder / "flows",), limits=Limits(workers=4), encryption_key="k" * 43 + "=",
        )  # fmt: skip
        self.database = await self._open()
        engine = Engine(settings, self.database, registry(), self.clock)
        told = engine.decider._decided

        def decided(decision: Decision) -> None:
            try:
                self.laws.moved(decision)
            except Broken as broken:
                self.broken = self.broken or broken
            told(decision)

        engine.decider._decided = decided
        engine.chat = FrontEndChat(engine, self.ends)
        await engine.start(watch=False, schedules=False)
        for document in reversed(self.scene.flows):
            await engine.deploy(yaml.safe_dump(document, sort_keys=False))
        paces = {end.platform: Pace(end.platform, {}, 0.0) for end in self.ends}
        desk = FrontDesk(engine, self.ends, ChatSettings(), paces=paces)
        for end in self.ends:
            end._changed = asyncio.Condition()
            await end.start(desk)
        await desk.start()
        acting = [asyncio.create_task(self._act(label, at, engine, desk)) for label, at in self._acts()]
        await self._until_rest(engine, acting)
        await desk.stop()
        await engine.stop(1)

    # --- people
    def _acts(self) -> Iterator[tuple[str, float]]:
        for number, start in enumerate(self.scene.starts):
            yield f"start {number}", start.at
        for number, deed in enumerate(self.scene.deeds):
            for copy in range(deed.copies):
                yield f"deed {number}.{copy}", deed.at + copy * deed.late

    async def _act(self, label: str, at: float, engine: Engine, desk: FrontDesk) -> None:
        """Do something at its time; what was answered in an earlier life is not done again."""
        if label in self.done:
            return
        now = (self.clock.now() - START).total_seconds()
        await asyncio.sleep(max(at - now, 0))
        kind, _, number = label.partition(" ")
        if kind == "start":
            who = Deed(at, 0, "approve")
            n = self.scene.starts[int(number)].n
            command = Command(f"run sim/main n={n}", person_of(who), OPS, label, answer_url="https://answer.test/1")
            said = _text(await desk.command(command))
        else:
            said = await self._do(int(number.partition(".")[0]), engine, desk)
        self.done.add(label)
        key = label.partition(".")[0]
        if said is not None and self.answers.setdefault(key, said) != said:
            self.broken = Broken("one answer per delivery", f"{key}: {self.answers[key]!r}, then {said!r}")

    async def _do(self, number: int, engine: Engine, desk: FrontDesk) -> str | None:
        deed = self.scene.deeds[number]
        person, receipt = person_of(deed), f"deed{number}"
        if number not in self.meant:
            self.meant[number] = await self._chosen(deed, engine)
        meant = self.meant[number]
        if meant is None:
            return None
        if deed.what in VERBS:
            return await self._press(desk, Click(meant, person, OPS, receipt), deed)
        if deed.what in ("kill", "restart", "replay"):
            return _text(await desk.command(Command(f"{deed.what} {meant}", person, OPS, receipt)))
        with suppress(EngineError):
            if deed.what == "hold":
                await engine.pause(meant, by=person.id)
            elif (await engine.execution(meant)).held:
                await engine.resume(meant, {}, by=person.id)
        return None

    async def _chosen(self, deed: Deed, engine: Engine) -> Any:
        if deed.what not in VERBS:
            found = sorted(one.id for one in await engine.executions(limit=1000))
            return found[deed.which % len(found)] if found else None
        cards = [shown for end in self.ends for shown in end.of("pause")]
        if not cards:
            return None
        first = sorted(cards, key=lambda shown: shown.card.entity)[deed.which % len(cards)].versions[0]
        for word in VERBS[deed.what]:
            for action in first.actions:
                if action.label.startswith(word):
                    return action.id
        return None

    async def _press(self, desk: FrontDesk, click: Click, deed: Deed) -> str | None:
        reply = await desk.click(click)
        if isinstance(reply.body, Form):
            values = {field.id: "yes" if deed.what == "approve" else "no" for field in reply.body.fields}
            sent = Submission(reply.body.id, values, click.person, OPS, f"{click.receipt}f", 0, True)
            filled = await desk.submit(sent)
            return _text(filled) if isinstance(filled, Reply) else None
        return _text(reply)

    # --- the end
    async def _until_rest(self, engine: Engine, acting: list[asyncio.Task[None]]) -> None:
        """Until everybody has done what they do and everything has ended; somebody answers what still waits."""
        await asyncio.gather(*acting)
        before = None
        while True:
            await asyncio.sleep(LOOK)
            if self.broken or self.errors.said or (self.clock.now() - START).total_seconds() > LONGEST:
                return
            store = await self._rows()
            now = [(one.id, one.version) for one in store.executions.values()]
            is_busy = engine.is_busy or store.inbox or any(
                type(row.command).__name__ != "SetTimer" or (row.run_at and row.run_at <= self.clock.now() + after(60))
                for row in store.outbox.values()
            )  # fmt: skip
            if now == before and not is_busy and not await self._answered(engine, store):
                return
            before = now

    async def _answered(self, engine: Engine, store: Any) -> bool:
        held = [one.id for one in store.executions.values() if one.held and not one.state.is_terminal]
        waits = [(pause.execution_id, pause.task_run_id) for pause in store.waiting()]
        for execution_id, task_run_id in [*((one, None) for one in held), *waits][:1]:
            given: dict[str, Any]
            for given in ({}, {"approve": True}):
                with suppress(InputInvalid, Refused):
                    await engine.resume(execution_id, given, by="local:closer", task_run_id=task_run_id)
                    break
        return bool(held or waits)

    async def _rows(self) -> Any:
        assert self.database is not None
        return await self.database.read(seen)

    async def _look(self, *, at_rest: bool) -> None:
        """Whether what lies on disk keeps the laws."""
        database = await (SqliteRead.at(self.folder / "parley.db") if self.address is None else PgRead.at(self.address))
        try:
            store = database.read_now(seen)
        finally:
            database.let_go()
        world = self.laws.world
        world.store = store
        for execution in store.executions.values():
            self.laws.waits(execution)
        if not at_rest:
            return
        for shown in (shown for end in self.ends for shown in end.of("pause")):
            asks = any(action.id.startswith(("p1:ap:", "p1:rj:", "p1:an:", "p1:ch:")) for action in shown.card.actions)
            pause = store.pauses[shown.card.entity]
            if asks and pause.state != "WAITING":
                raise Broken("cards tell the truth", f"the card of {pause.id} still asks, it is {pause.state}")
        self.laws.resting()
        started = [one for one in store.executions.values() if one.flow_id == "main" and one.parent_id is None]
        if len(started) > len(self.scene.starts):
            raise Broken("one execution per start", f"{len(started)} were made for {len(self.scene.starts)} commands")


class Unlocked(Stepwise):
    """A store that is only read."""

    async def _begin(self) -> None:
        self._open()


class SqliteRead(Unlocked, SteppedSqlite):
    """SQLite, read."""


class PgRead(Unlocked, SteppedPostgres):
    """PostgreSQL, read."""


def _text(reply: Any) -> str:
    body = reply.body
    return str(getattr(body, "text", "") or getattr(body, "title", "") or type(body).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        gc.collect(0)
        logging.disable(logging.NOTSET)


@contextmanager
def pinned(seed: int) -> Iterator[None]:
    """Nothing but the seed decides: ids, and how long the machine thinks a decision or telling of one has taken."""
    random, standing = Random(seed), SimpleNamespace(monotonic=lambda: 0.0)
    made, kept = identifiers._identifiers, (deciding.time, advancing.time, writing.time)
    made._last = 0
    made._bits = random.getrandbits  # type: ignore[method-assign]
    deciding.time = advancing.time = writing.time = standing  # type: ignore[assignment]
    try:
        yield
    finally:
        del made._bits
        made._last = 0
        deciding.time, advancing.time, writing.time = kept


def lived(history: History, address: str | None = None) -> History:
    """A history lived over a real store, with the law that broke."""
    folder = _fast() / f"parley-simulate-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "flows").mkdir(parents=True)
    if address is None and _empty:
        (folder / "parley.db").write_bytes(_empty[0])
    bot = Bot(history, folder, address)
    loggers = [logging.getLogger(name) for name in ("engine", "bot")]
    for logger in loggers:
        logger.addHandler(bot.errors)
    law = detail = ""
    try:
        with pinned(history.seed):
            bot.play()
    except Broken as broken:
        law, detail = broken.law, broken.detail
    except FlowInvalid:
        pass  # what the language refuses
    except Exception as error:  # noqa: BLE001 - of the bot or of those who play people: both are to be looked at
        law, detail = NO_ERROR, f"{type(error).__name__}: {error} at {place_of(error)}"
    finally:
        for logger in loggers:
            logger.removeHandler(bot.errors)
        shutil.rmtree(folder, ignore_errors=True)
    return replace(history, steps=tuple(bot.steps), law=law, detail=detail)


_empty: list[bytes] = []  # a file with tables and no rows, while many seeds are lived over one


def _fast() -> Path:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else Path(tempfile.gettempdir())


@contextmanager
def _prepared() -> Iterator[None]:
    """Seeds over SQLite begin with tables that are there already."""
    with tempfile.TemporaryDirectory(prefix="parley-simulate-") as folder:
        file = Path(folder) / "parley.db"
        asyncio.run(_made(file))
        _empty.append(file.read_bytes())
    try:
        yield
    finally:
        _empty.clear()


async def _made(file: Path) -> None:
    database = await SqliteDatabase.open(file)
    await database.close()


@contextmanager
def opened(store: str) -> Iterator[Callable[[History], History]]:
    """What lives histories over a store, each on empty tables."""
    if store == "sqlite":
        with _prepared(), eased():
            yield lived
        return
    from tests.postgres import server

    with server() as running, eased():
        address = running.create()

        def live(history: History) -> History:
            running.empty(address)
            return lived(history, address)

        try:
            yield live
        finally:
            running.drop(address)


def drawn_over(seed: int, store: str) -> History:
    """The history of a seed, not lived yet."""
    return History(seed, "wild", Scene.drawn(Random(seed), wide=seed >= WIDE), store=store)
