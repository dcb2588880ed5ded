"""Decides about executions, one event after the other for each, all of them side by side.

Per execution: take what has happened, let the pure core decide, answer what it wants rendered, and keep the new state
together with everything that follows from it in one transaction. Only after that is anything carried out.
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from engine.clock import Clock
from engine.core.commands import Announce, Render
from engine.core.events import Event
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.state import State
from engine.errors import EngineError, FlowInvalid, NotFound, StoreFailed
from engine.logbook import Note
from engine.rendering import Renderer
from engine.runtime.advancing import Advancer, MustWait, Step
from engine.runtime.decision import Called, Decision, Writer
from engine.runtime.mailbox import UNDECIDED, Mailbox, Pending, answer, broken, stopping
from engine.runtime.memory import Memory
from engine.secrets import AtRest
from engine.store import events as inbox
from engine.store import executions
from engine.store.batches import Superseded
from engine.store.commands import Announcement, stored
from engine.store.database import Database, Unit
from engine.store.events import Posted
from engine.tallies import count_change

log = logging.getLogger(__name__)

BATCH = 64  # events in one decision
ROUND = 0.005  # seconds of deciding in one round of the loop, but for the last decision
RETRY_LIMIT = 30.0  # seconds between two attempts to write at most


class Decider:
    """Turns events into new states of executions."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        renderer: Renderer,
        sealer: AtRest,
        find_flow: Callable[[str, str, int], Awaitable[Flow]],
        flow_at_hand: Callable[[str, str, int], Flow | None],
        advancer: Advancer,
        writer: Writer,
        decided: Callable[[Decision], None],
        listens_to: Callable[[Execution, State], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._renderer = renderer
        self._sealer = sealer
        self._find_flow = find_flow
        self._flow_at_hand = flow_at_hand
        self._advancer = advancer
        self._writer = writer
        self._decided = decided
        self._listens_to = listens_to
        self._boxes: dict[str, Mailbox] = {}
        self.memory = Memory(database, sealer)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: deque[tuple[str, Mailbox]] = deque()  # executions whose turn comes in this round of the loop
        self._writing = 0  # decisions on their way to the disk that no task waits for
        self._written_all: asyncio.Future[None] | None = None
        self._open = True
        self.owns: Callable[[str], bool] = lambda execution_id: True  # what falls to others, they will take up
        self.superseded: Callable[[Execution], Awaitable[None]] | None = None  # before it is decided again

    @property
    def busy(self) -> int:
        """How many executions have something undecided."""
        return len(self._boxes)

    def post(self, execution_id: str, event: Event, *, lines: Sequence[Note] = (), drops: str | None = None) -> None:
        """Something happened; it is decided upon soon. A row of outbox or inbox must stand for it until then."""
        self._put(execution_id, Pending(event, None, tuple(lines), drops=drops))

    def begin(self, execution_id: str, event: Event, *, drops: str, made: Execution | None) -> None:
        """An execution was made and is on disk; its first event is decided upon soon."""
        if not self.owns(execution_id):
            return
        if made is not None and self.memory.get(execution_id) is None:
            self.memory.keep(made)
        self.post(execution_id, event, drops=drops)

    def first(self, flow: Flow, execution: Execution, event: Event) -> Decision | None:
        """What a new execution comes to without waiting for anything, before it is written; None when it must wait."""
        step = Step(execution)
        try:
            self._advancer.advance_now(flow, step, event)
        except MustWait:
            return None
        return self._decision(execution, step, [], Called())

    def begin_with(self, unit: Unit, decision: Decision) -> None:
        """An execution is made in this unit, as its first decision left it: write what follows, do it then."""
        self._writer.write_rest(unit, decision)
        unit.after_commit(lambda: self._committed(decision))

    def reserve(self, execution_id: str, event: Event) -> Decision | None:
        """What an event comes to, for who writes it (`write`) in the transaction that stores the event. What happens to
        the execution meanwhile waits for `release`. None when there is something to wait for first."""
        before = self.memory.get(execution_id)
        if before is None or execution_id in self._boxes or not self._open or not self.owns(execution_id):
            return None
        found = self._at_once(before, [Pending(event)])
        if found is not None:
            self._boxes[execution_id] = Mailbox(working=True)
        return found

    def write(self, unit: Unit, decision: Decision) -> None:
        """Write a decision in this unit; what follows from it is carried out after the commit."""
        self._writer.write(unit, decision)
        unit.after_commit(lambda: self._committed(decision))

    def release(self, decision: Decision) -> None:
        """A decision that was reserved is written, or will not be: go on."""
        execution_id = decision.after.id
        if self.memory.get(execution_id) is decision.before:  # not written, and it may be because that is old
            self.memory.drop(execution_id)
        self._settled(execution_id, self._boxes[execution_id], [], decision.after)

    def post_stored(self, posted: Posted, done: asyncio.Future[Execution] | None = None) -> None:
        """An event of the inbox became durable; `done` is told what became of the execution."""
        if done is None and not self.owns(posted.execution_id):
            return
        self._put(posted.execution_id, Pending(posted.event, posted, done=done))

    async def decide(self, execution_id: str, event: Event, *, lines: Sequence[Note] = ()) -> Execution:
        """Post an event and wait until what follows from it is on disk; the execution then."""
        done: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        self._put(execution_id, Pending(event, None, tuple(lines), done))
        return await done

    async def current(self, execution_id: str, version: int = 0) -> Execution:
        """The execution as it was last written, at least in a version; NotFound."""
        return await self.memory.current(execution_id, version)

    async def stop(self) -> None:
        """Decide no more; what is undecided is in the inbox or will be done again."""
        self._open = False
        if self._writing:
            self._written_all = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._written_all], timeout=5)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for box in self._boxes.values():  # their rows wait for the next start
            answer(list(box.pending), stopping())

    def _put(self, execution_id: str, pending: Pending) -> None:
        box = self._boxes.setdefault(execution_id, Mailbox())
        if box.knows(pending):
            return
        if not self._open:  # its row waits for the next start; whoever waits for an answer must not
            answer([pending], stopping())
            return
        box.pending.append(pending)
        if not box.working:
            box.working = True
            self._call(execution_id, box)

    def _call(self, execution_id: str, box: Mailbox) -> None:
        """Decide in the next round of the loop, together with all others whose turn it is."""
        self._ready.append((execution_id, box))
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        started = time.monotonic()
        while self._ready and time.monotonic() - started < ROUND:
            execution_id, box = self._ready[0]
            try:
                done = self._open and self._decide_at_once(execution_id, box)
            except Exception:
                log.exception("Execution %s could not be decided upon at once.", execution_id)
                done = False
            if not done:
                task = asyncio.create_task(self._work(execution_id, box), name=f"decide {execution_id}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            self._ready.popleft()
        if self._ready:
            asyncio.get_running_loop().call_soon(self._round)

    def _decide_at_once(self, execution_id: str, box: Mailbox) -> bool:
        """Decide without waiting for anything but the disk; False when there is something to wait for first."""
        before = self.memory.get(execution_id)
        decision = self._at_once(before, itertools.islice(box.pending, BATCH)) if before is not None else None
        if decision is None:
            return False
        batch = [box.pending.popleft() for _ in decision.events]

        def told(error: BaseException | None) -> None:
            self._writing -= 1
            if self._written_all is not None and not self._writing and not self._written_all.done():
                self._written_all.set_result(None)
            if error is None:
                self._settled(execution_id, box, batch, decision.after)
                return
            self.memory.drop(execution_id)  # decide again, from what lies there
            box.pending.extendleft(reversed(batch))
            task = asyncio.create_task(self._work(execution_id, box), name=f"decide {execution_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            self._database.submit(lambda unit: self.write(unit, decision), told)
        except StoreFailed:
            box.pending.extendleft(reversed(batch))
            return False
        self._writing += 1
        return True

    def _at_once(self, before: Execution, waiting: Iterable[Pending]) -> Decision | None:
        """What some of what waits comes to, from the first on; None when there is something to wait for first."""
        flow = self._flow_at_hand(before.namespace, before.flow_id, before.revision)
        if flow is None:
            return None
        step, batch = Step(before), []
        for pending in waiting:
            try:
                self._advancer.advance_now(flow, step, pending.event)
            except MustWait:
                return None
            batch.append(pending)
            if step.is_long:
                break
        return None if self._asks_caller(flow, step) else self._decision(before, step, batch, Called())

    def _settled(self, execution_id: str, box: Mailbox, batch: list[Pending], after: Execution) -> None:
        """A batch is decided upon: tell who waits for it, go on with what came meanwhile."""
        box.settled(batch)
        answer(batch, after)
        if box.pending and self._open:
            self._call(execution_id, box)
            return
        box.working = False
        if not box.pending:
            self._boxes.pop(execution_id, None)

    async def _work(self, execution_id: str, box: Mailbox) -> None:
        wait = 0.5
        while box.pending and self._open:
            batch = [box.pending.popleft() for _ in range(min(BATCH, len(box.pending)))]
            try:
                after = await self._decide(execution_id, batch)
            except asyncio.CancelledError:
                box.pending.extendleft(reversed(batch))
                raise
            except Superseded:  # another hand wrote meanwhile: decide again from what lies there
                self.memory.drop(execution_id)
                box.pending.extendleft(reversed(await self._undecided(execution_id, box, batch)))
            except StoreFailed as error:  # it may have been written all the same, and only the answer was lost
                self.memory.drop(execution_id)
                log.error("Execution %s can't be written (%s); trying again in %.1f s.", execution_id, error, wait)
                box.pending.extendleft(reversed(batch))
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_LIMIT)
            except NotFound as error:
                log.warning("%s", error)
                await self._drop(batch)
                box.settled(batch)
                answer(batch, error)
            except Exception as error:
                log.exception("Execution %s could not be decided upon; its rows stay for the next start.", execution_id)
                box.settled(batch)
                answer(batch, error if isinstance(error, EngineError) else EngineError(UNDECIDED))
            else:
                wait = 0.5
                box.settled(batch)
                answer(batch, after)
        box.working = False
        if not box.pending:
            self._boxes.pop(execution_id, None)

    async def _undecided(self, execution_id: str, box: Mailbox, batch: list[Pending]) -> list[Pending]:
        """What of a batch nobody else has decided upon."""
        numbers = [pending.posted.id for pending in batch if pending.posted is not None]
        if not numbers and self.superseded is None:
            return batch
        try:
            left = await self._database.read(lambda connection: inbox.still(connection, numbers))
            after = await self.current(execution_id)
            if self.superseded is not None:
                await self.superseded(after)
        except EngineError as error:
            log.warning("Execution %s can't be read: %s", execution_id, error)
            return batch
        gone = [pending for pending in batch if pending.posted is not None and pending.posted.id not in left]
        box.settled(gone)
        answer(gone, after)
        return [pending for pending in batch if pending.posted is None or pending.posted.id in left]

    async def _decide(self, execution_id: str, batch: list[Pending]) -> Execution:
        before = await self.current(execution_id)
        step, called = await self._advance_all(before, [pending.event for pending in batch])
        decision = self._decision(before, step, batch, called)
        await self._database.transact(lambda unit: self.write(unit, decision))
        return decision.after

    def _decision(self, before: Execution, step: Step, batch: list[Pending], called: Called) -> Decision:
        after, commands = step.execution, step.commands
        lines = [*(line for pending in batch for line in pending.lines), *step.lines]
        posted = [pending.posted for pending in batch if pending.posted is not None]
        events = tuple(pending.event for pending in batch)
        if after is not before:
            after = executions.next_version(after)
        drops = tuple(pending.drops for pending in batch if pending.drops is not None)
        announced = [
            stored(after.id, Announcement(command.state.value), after.version)
            for command in commands
            if isinstance(command, Announce) and self._listens_to(after, command.state)
        ]
        return Decision(
            before=before,
            after=after,
            events=events,
            commands=tuple(commands),
            posted=tuple(posted),
            lines=tuple(lines),
            drops=drops,
            announcements=tuple(announced),
            called=called,
            now=self._clock.now(),
        )

    def _committed(self, decision: Decision) -> None:
        execution = decision.after
        if decision.before.state is not execution.state:
            count_change(decision.before, execution, decision.now)
        self.memory.moved(execution.id)
        if execution.state.is_terminal or execution.state in (State.PAUSED, State.QUEUED):
            self.memory.drop(execution.id)  # a row is enough for what only waits
        else:
            self.memory.keep(execution)
        self._decided(decision)

    async def _advance_all(self, before: Execution, events: Sequence[Event]) -> tuple[Step, Called]:
        """What becomes of an execution because of some events."""
        step = Step(before)
        try:
            flow = await self._find_flow(before.namespace, before.flow_id, before.revision)
        except FlowInvalid as error:  # stored by another version of this program
            if not before.state.is_terminal:
                step.execution, step.commands = broken(before, error, events[0])
            return step, Called()
        for event in events:
            if step.is_long:
                await asyncio.sleep(0)
                step.began = time.monotonic()
            await self._advancer.advance(flow, step, event)
        return step, await self._called(flow, step)

    def _asks_caller(self, flow: Flow, step: Step) -> bool:
        """Whether the task that called an execution that ends may want something of it."""
        if step.execution.origin is None or not step.execution.origin.names_execution or flow.outputs:
            return False
        return any(isinstance(command, Announce) and command.state.is_terminal for command in step.commands)

    async def _called(self, flow: Flow, step: Step) -> Called:
        """What the task that called this execution wants of it, when it ends without outputs of its own."""
        if not self._asks_caller(flow, step):
            return Called()
        after = step.execution
        caller = await self._database.read(lambda connection: executions.caller_of(connection, after.id))
        if caller is None or not caller.outputs:
            return Called()
        wanted = Render(None, {"outputs": dict(caller.outputs)})
        answer = await self._renderer.answer(flow, after, wanted, self._clock.now())
        return Called(answer.values.get("outputs"), answer.error)

    async def _drop(self, batch: list[Pending]) -> None:
        """Events of an execution that is not there any more."""
        posted = [pending.posted for pending in batch if pending.posted is not None]
        try:
            if posted:
                await self._database.transact(lambda unit: inbox.drop(unit.connection, posted))
        except StoreFailed as error:
            log.warning("Events of an execution that is gone stay for the next start: %s", error)
