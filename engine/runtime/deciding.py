"""Decides about executions, one event after the other for each, all of them side by side.

Per execution: take what has happened, let the pure core decide, answer what it wants rendered, and keep the new state
together with everything that follows from it in one transaction. Only after that is anything carried out.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from engine.clock import Clock
from engine.core.commands import Announce, Command, Render, StopTask, WriteLog
from engine.core.events import Event
from engine.core.execution import Execution, TaskRuns
from engine.core.executor import advance
from engine.core.flow import Flow
from engine.core.state import State
from engine.errors import EngineError, FlowInvalid, NotFound, StoreFailed
from engine.logbook import Note
from engine.rendering import Renderer
from engine.runtime.decision import Called, Decision, Superseded
from engine.secrets import AtRest
from engine.store import events as inbox
from engine.store import executions
from engine.store.commands import Announcement, stored
from engine.store.database import Database, Unit
from engine.store.events import Posted

log = logging.getLogger(__name__)

BATCH = 64  # events in one decision
SLICE = 0.02  # seconds of deciding before others get a turn
CACHED = 2000  # executions kept in memory between two events
UNDECIDED = "The engine could not decide what comes next; its log has the details."
RETRY_LIMIT = 30.0  # seconds between two attempts to write at most


@dataclass(slots=True)
class Pending:
    """Something that happened and is not decided upon yet."""

    event: Event
    posted: Posted | None = None
    lines: tuple[Note, ...] = ()
    done: asyncio.Future[Execution] | None = None
    drops: str | None = None  # a row of the outbox that this event settles


@dataclass(slots=True)
class Mailbox:
    """What waits for one execution."""

    pending: deque[Pending] = field(default_factory=deque)
    seen: set[int] = field(default_factory=set)  # inbox rows that are in `pending`
    working: bool = False


Admission = Callable[[Flow, Execution, Event], Event]


class Decider:
    """Turns events into new states of executions."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        renderer: Renderer,
        sealer: AtRest,
        find_flow: Callable[[str, str, int], Awaitable[Flow]],
        admit: Admission,
        write: Callable[[Unit, Decision], None],
        decided: Callable[[Decision], None],
        listens_to: Callable[[Execution, State], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._renderer = renderer
        self._sealer = sealer
        self._find_flow = find_flow
        self._admit = admit
        self._write = write
        self._decided = decided
        self._listens_to = listens_to
        self._boxes: dict[str, Mailbox] = {}
        self._cache: OrderedDict[str, Execution] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = True

    @property
    def busy(self) -> int:
        """How many executions have something undecided."""
        return len(self._boxes)

    def post(self, execution_id: str, event: Event, *, lines: Sequence[Note] = (), drops: str | None = None) -> None:
        """Something happened; it is decided upon soon. A row of outbox or inbox must stand for it until then."""
        self._put(execution_id, Pending(event, None, tuple(lines), drops=drops))

    def post_stored(self, posted: Posted, done: asyncio.Future[Execution] | None = None) -> None:
        """An event of the inbox became durable; `done` is told what became of the execution."""
        self._put(posted.execution_id, Pending(posted.event, posted, done=done))

    async def decide(self, execution_id: str, event: Event, *, lines: Sequence[Note] = ()) -> Execution:
        """Post an event and wait until what follows from it is on disk; the execution then."""
        done: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        self._put(execution_id, Pending(event, None, tuple(lines), done))
        return await done

    async def current(self, execution_id: str) -> Execution:
        """The execution as it was last written; NotFound."""
        cached = self._cache.get(execution_id)
        if cached is not None:
            self._cache.move_to_end(execution_id)
            return cached
        found = await self._database.read(lambda connection: executions.load(connection, execution_id, self._sealer))
        if found is None:
            raise NotFound(f"There is no execution {execution_id}.", fix="It may have been purged.")
        return found

    async def stop(self) -> None:
        """Decide no more; what is undecided is in the inbox or will be done again."""
        self._open = False
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _put(self, execution_id: str, pending: Pending) -> None:
        box = self._boxes.setdefault(execution_id, Mailbox())
        if pending.posted is not None:
            if pending.posted.id in box.seen:
                return
            box.seen.add(pending.posted.id)
        if not self._open:  # its row waits for the next start; whoever waits for an answer must not
            _answer([pending], StoreFailed("The engine is stopping.", fix="Try again when it is back."))
            return
        box.pending.append(pending)
        if not box.working:
            box.working = True
            task = asyncio.create_task(self._work(execution_id, box), name=f"decide {execution_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, execution_id: str, box: Mailbox) -> None:
        wait = 0.5
        while box.pending and self._open:
            batch = [box.pending.popleft() for _ in range(min(BATCH, len(box.pending)))]
            try:
                after = await self._decide(execution_id, batch)
            except Superseded:  # another hand wrote meanwhile: decide again from what lies there
                self._cache.pop(execution_id, None)
                box.pending.extendleft(reversed(batch))
            except StoreFailed as error:
                log.error("Execution %s can't be written (%s); trying again in %.1f s.", execution_id, error, wait)
                box.pending.extendleft(reversed(batch))
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_LIMIT)
            except NotFound as error:
                log.warning("%s", error)
                await self._drop(batch)
                _answer(batch, error)
            except Exception as error:
                log.exception("Execution %s could not be decided upon; its rows stay for the next start.", execution_id)
                _answer(batch, error if isinstance(error, EngineError) else EngineError(UNDECIDED))
            else:
                wait = 0.5
                box.seen.difference_update(p.posted.id for p in batch if p.posted is not None)
                _answer(batch, after)
        box.working = False
        if not box.pending:
            self._boxes.pop(execution_id, None)

    async def _decide(self, execution_id: str, batch: list[Pending]) -> Execution:
        before = await self.current(execution_id)
        after, commands, called = await self._advance_all(before, [pending.event for pending in batch])
        lines = [line for pending in batch for line in pending.lines]
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
        decision = Decision(
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
        if decision.is_empty:
            return before
        await self._database.transact(lambda unit: self._written(unit, decision))
        return after

    def _written(self, unit: Unit, decision: Decision) -> None:
        self._write(unit, decision)
        unit.after_commit(lambda: self._committed(decision))

    def _committed(self, decision: Decision) -> None:
        execution = decision.after
        if execution.state.is_terminal or execution.state in (State.PAUSED, State.QUEUED):
            self._cache.pop(execution.id, None)  # a row is enough for what only waits
        else:
            self._cache[execution.id] = execution
            self._cache.move_to_end(execution.id)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        self._decided(decision)

    async def _advance_all(self, before: Execution, events: Sequence[Event]) -> tuple[Execution, list[Command], Called]:
        """What becomes of an execution because of some events."""
        try:
            flow = await self._find_flow(before.namespace, before.flow_id, before.revision)
        except FlowInvalid as error:  # stored by another version of this program
            return (
                (*broken(before, error, events[0]), Called())
                if not before.state.is_terminal
                else (before, [], Called())
            )
        after, commands, started = before, list[Command](), time.monotonic()
        for event in events:
            if time.monotonic() - started > SLICE:
                await asyncio.sleep(0)
                started = time.monotonic()
            after, following = await self._advance(flow, after, event)
            commands += following
        return after, commands, await self._called(flow, after, commands)

    async def _advance(self, flow: Flow, execution: Execution, event: Event) -> tuple[Execution, list[Command]]:
        """One event, and the answers to whatever has to be rendered on the way."""
        kept: list[Command] = []
        waiting: deque[Event] = deque([self._admit(flow, execution, event)])
        while waiting:
            try:
                execution, commands = advance(flow, execution, waiting.popleft())
            except Exception as error:
                log.exception("The executor broke on execution %s.", execution.id)
                return broken(execution, error, event)
            for command in commands:
                if isinstance(command, Render):
                    waiting.append(await self._renderer.answer(flow, execution, command, event.now))
                else:
                    kept.append(command)
        return execution, kept

    async def _called(self, flow: Flow, after: Execution, commands: Sequence[Command]) -> Called:
        """What the task that called this execution wants of it, when it ends without outputs of its own."""
        ends = any(isinstance(command, Announce) and command.state.is_terminal for command in commands)
        if not ends or after.origin is None or flow.outputs:
            return Called()
        caller = await self._database.read(lambda connection: executions.caller_of(connection, after.id))
        if caller is None or not caller.outputs:
            return Called()
        wanted = Render(None, {"outputs": dict(caller.outputs)})
        answer = await self._renderer.answer(flow, after, wanted, self._clock.now())
        return Called(answer.values.get("outputs"), answer.error)

    async def _drop(self, batch: list[Pending]) -> None:
        """Events of an execution that is not there any more."""
        posted = [pending.posted for pending in batch if pending.posted is not None]
        if posted:
            await self._database.transact(lambda unit: inbox.consume(unit.connection, posted))


def broken(execution: Execution, error: Exception, event: Event) -> tuple[Execution, list[Command]]:
    """The execution, failed because the engine itself could not decide."""
    now = event.now
    reason = str(error) if isinstance(error, EngineError) else UNDECIDED
    runs = TaskRuns(
        run if run.state.is_terminal else run.moved(State.FAILED, now) for run in execution.task_runs.values()
    )
    failed = replace(execution.moved(State.FAILED, now), task_runs=runs)
    stops = [StopTask(key) for key, run in execution.task_runs.items() if run.state.is_running]
    return failed, [WriteLog("ERROR", reason), *stops, Announce(State.FAILED)]


def _answer(batch: list[Pending], result: Execution | EngineError) -> None:
    for pending in batch:
        if pending.done is not None and not pending.done.done():
            if isinstance(result, EngineError):
                pending.done.set_exception(result)
            else:
                pending.done.set_result(result)
