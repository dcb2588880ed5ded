"""Where a worker finds what to run and tells what came of it: in this process, or through the database."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from engine.clock import Clock
from engine.core.events import Event
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.task import Task
from engine.errors import NotFound, StoreFailed
from engine.logbook import Note, write_notes
from engine.runtime.deciding import Decider
from engine.runtime.flows import Flows
from engine.secrets import AtRest
from engine.store import events as inbox
from engine.store import executions
from engine.store.database import Database, Unit

log = logging.getLogger(__name__)

CACHED = 200  # executions a worker keeps in memory
LOOK_SECONDS = 0.1  # between two looks whether an event was decided upon


class WorkerHome:
    """In this process: the decider is at hand."""

    def __init__(self, decider: Decider, flows: Flows) -> None:
        self._decider = decider
        self._flows = flows

    async def current(self, execution_id: str, version: int = 0) -> Execution:
        """The execution as it was last written, at least in a version."""
        return await self._decider.current(execution_id, version)

    async def flow(self, execution: Execution) -> Flow:
        """Its flow, in its revision."""
        return await self._flows.fetch(execution.namespace, execution.flow_id, execution.revision)

    def task(self, flow: Flow, task_id: str) -> Task:
        """A task of the flow."""
        return self._flows.task(flow, task_id)

    async def tell(self, execution_id: str, event: Event, lines: tuple[Note, ...] = ()) -> Execution:
        """Decide upon an event; the execution once that is on disk."""
        return await self._decider.decide(execution_id, event, lines=lines)

    async def end(self, execution_id: str, event: Event, lines: tuple[Note, ...]) -> None:
        """An attempt ended; kept when this returns."""
        await self._decider.decide(execution_id, event, lines=lines)

    def mention(self, execution_id: str, event: Event, lines: tuple[Note, ...] = ()) -> None:
        """The same without waiting."""
        self._decider.post(execution_id, event, lines=lines)


class SharedHome(WorkerHome):
    """Through the database, unless the execution falls to this very process: events lie in the inbox for whoever
    decides, who is woken by them."""

    def __init__(
        self,
        decider: Decider,
        flows: Flows,
        database: Database,
        clock: Clock,
        sealer: AtRest,
        owns: Callable[[str], bool],
    ) -> None:
        super().__init__(decider, flows)
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._owns = owns
        self._cache: OrderedDict[str, Execution] = OrderedDict()
        self._late: set[asyncio.Task[None]] = set()

    async def current(self, execution_id: str, version: int = 0) -> Execution:
        """The execution as it was last written, at least in a version."""
        if self._owns(execution_id):
            return await super().current(execution_id, version)
        cached = self._cache.get(execution_id)
        if cached is not None and cached.version >= version > 0:
            self._cache.move_to_end(execution_id)
            return cached
        found = await self._database.read(lambda c: executions.load(c, execution_id, self._sealer))
        if found is None:
            raise NotFound(f"There is no execution {execution_id}.", fix="It may have been purged.")
        self._cache[execution_id] = found
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return found

    async def tell(self, execution_id: str, event: Event, lines: tuple[Note, ...] = ()) -> Execution:
        """Have an event decided upon; the execution once that is on disk."""
        if self._owns(execution_id):
            return await super().tell(execution_id, event, lines)

        def work(unit: Unit) -> int:
            posted = inbox.post(unit.connection, execution_id, event, self._clock.now(), self._sealer)
            write_notes(unit, lines)
            return 0 if posted is None else posted.id

        number = await self._database.transact(work)
        while await self._database.read(lambda c: inbox.is_waiting(c, number)):  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(LOOK_SECONDS)
        return await self.current(execution_id)

    async def end(self, execution_id: str, event: Event, lines: tuple[Note, ...]) -> None:
        """An attempt ended; in the inbox when this returns, however long the database could not be written."""
        if self._owns(execution_id):
            return await super().end(execution_id, event, lines)
        wait = 0.5
        while True:
            try:
                await self._database.transact(lambda unit: self._add(unit, execution_id, event, lines))
            except StoreFailed as error:
                log.warning("The end of an attempt can't be written (%s); trying again in %.1f s.", error, wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, 10.0)
            else:
                return None

    def end_in(self, unit: Unit, execution_id: str, event: Event) -> None:
        """The same inside somebody's transaction."""
        posted = inbox.post(unit.connection, execution_id, event, self._clock.now(), self._sealer)
        if posted is not None:
            unit.after_commit(lambda: self._decider.post_stored(posted))

    def mention(self, execution_id: str, event: Event, lines: tuple[Note, ...] = ()) -> None:
        """The same without waiting."""
        if self._owns(execution_id):
            super().mention(execution_id, event, lines)
            return

        def told(error: BaseException | None) -> None:
            if error is not None:
                late = asyncio.create_task(self.end(execution_id, event, lines))
                self._late.add(late)
                late.add_done_callback(self._late.discard)

        self._database.submit(lambda unit: self._add(unit, execution_id, event, lines), told)

    def _add(self, unit: Unit, execution_id: str, event: Event, lines: tuple[Note, ...]) -> None:
        inbox.add(unit.batch, execution_id, event, self._clock.now(), self._sealer)
        write_notes(unit, lines)
