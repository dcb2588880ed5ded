"""What waits for an execution until it is decided upon, and who waits for the answer."""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace

from engine.core.commands import Announce, Command, StopTask, WriteLog
from engine.core.events import Event
from engine.core.execution import Execution, TaskRuns
from engine.core.state import State
from engine.errors import EngineError, StoreFailed
from engine.logbook import Note
from engine.store.events import Posted

UNDECIDED = "The engine could not decide what comes next; its log has the details."


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
    seen: dict[int, Pending] = field(default_factory=dict)  # by the number of their inbox row: waiting or being decided
    working: bool = False

    def knows(self, pending: Pending) -> bool:
        """Whether a row of the inbox is here already; who waits for its answer gets that one's."""
        if pending.posted is None:
            return False
        there = self.seen.setdefault(pending.posted.id, pending)
        if there is pending:
            return False
        if there.done is None:
            there.done = pending.done
        return True

    def settled(self, batch: list[Pending]) -> None:
        """These are decided upon."""
        for pending in batch:
            if pending.posted is not None:
                self.seen.pop(pending.posted.id, None)


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


def stopping() -> StoreFailed:
    """What is said to who waits for a decision that this process does not come to any more."""
    return StoreFailed("The engine is stopping.", fix="Try again when it is back.")


def answer(batch: list[Pending], result: Execution | EngineError) -> None:
    """Tell everybody who waits for these events what came of them."""
    for pending in batch:
        if pending.done is not None and not pending.done.done():
            if isinstance(result, EngineError):
                pending.done.set_exception(result)
            else:
                pending.done.set_result(result)
