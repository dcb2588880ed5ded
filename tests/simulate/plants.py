"""Bugs, planted on purpose: each must be caught, or the simulation proves nothing.

They live in the simulator's shell, or take the place of one function of the core while a world is played; the product
has none of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from engine.core import commands as c
from engine.core import events as e
from engine.core.executor import settling
from engine.core.state import State
from engine.runtime.decision import Decision
from engine.runtime.slots import Slots
from engine.store.commands import Stored
from engine.store.events import Posted
from engine.store.pauses import PauseRow
from tests.simulate.chat import Chat
from tests.simulate.process import Box, Pending, Process
from tests.simulate.store import Card, Store
from tests.simulate.world import World


class NoReceipts(Chat):
    """What a platform delivers twice is done twice."""

    def hear(self, number: int, copy: int) -> None:
        deed = self.world.deeds[number]
        known = self.store.receipts.pop(f"{self.world.platform(deed)}:{number}", None)
        if known is not None:
            self.running.discard(known.key)
        self.store.dedupes.discard(known.key if known else "")
        super().hear(number, copy)


class NoDedupe(Process):
    chat_kind = NoReceipts


class Eager(Process):
    """Commands are carried out before the decision is on disk."""

    def _commit(self, decision: Decision, box: Box, batch: list[Pending]) -> None:
        self.decided(decision)
        self.ready[f"late commit {decision.after.id}"] = lambda: super(Eager, self)._commit(decision, box, batch)


class ForgetsTimers(Process):
    """A restart does not set the timers again."""

    def take_up(self, row: Stored) -> None:
        if not isinstance(row.command, c.SetTimer) or row.command.key == "start":
            super().take_up(row)


class ForgetsWork(Process):
    """A restart does not run again what was under way."""

    def take_up(self, row: Stored) -> None:
        if not (isinstance(row.command, c.RunTask) and self.world.recovering):
            super().take_up(row)


class ForgetsEvents(Process):
    """A restart does not read the inbox."""

    def post_stored(self, posted: Posted) -> None:
        if not self.world.recovering:
            super().post_stored(posted)


class Relabels(Process):
    """The end of an earlier attempt counts for the attempt that is under way."""

    def _put(self, execution_id: str, pending: Pending) -> None:
        event = pending.event
        if isinstance(event, e.TaskEnded) and event.state is not State.KILLED:
            run = self.store.executions[execution_id].task_runs.get(event.task_run_id)
            if run is not None and len(run.attempts) > event.attempt:
                pending = replace(pending, event=replace(event, attempt=len(run.attempts)))
        super()._put(execution_id, pending)


class ChildTwice(Process):
    """The row that asks for a child goes after the child was made, in a transaction of its own."""

    def _create(self, row: Stored, *rest: Any) -> None:
        super()._create(row, *rest)
        self.store.outbox[row.id] = row
        self.ready[f"drop {row.id}"] = lambda: self.store.outbox.pop(row.id, None)


class Leaky(Slots):
    """An execution that is killed keeps its place."""

    def committed(self, execution: Any) -> str | None:
        return None if execution.state is State.KILLED else super().committed(execution)


class SlotLeak(Process):
    slots_kind = Leaky


class WrongPause(Process):
    """An answer goes to the pause that waits longest."""

    def _put(self, execution_id: str, pending: Pending) -> None:
        event = pending.event
        if isinstance(event, e.Resumed) and event.task_run_id is not None:
            runs = self.store.executions[execution_id].task_runs.values()
            paused = [run for run in runs if run.state is State.PAUSED]
            first = min(paused, key=lambda run: run.histories[-1][1], default=None)
            if first is not None:
                pending = replace(pending, event=replace(event, task_run_id=first.id))
        super()._put(execution_id, pending)


class ChildrenGoOn(Process):
    """A kill does not reach the executions that were called."""

    def advanced(self, *given: Any) -> Any:
        execution, commands = super().advanced(*given)
        return execution, [one for one in commands if not isinstance(one, c.StopSubflow)]


class TwoDeciders(Store):
    """Who comes second overrules who came first."""

    def decide(self, pause_id: str, *given: Any, **more: Any) -> PauseRow | None:
        self.pauses[pause_id] = replace(self.pauses[pause_id], state="WAITING")
        self.dedupes.discard(f"resume:{pause_id}")
        return super().decide(pause_id, *given, **more)


class AnswersAnything(Chat):
    """The state of a pause is not looked at when a button is pressed."""

    def _refuse(self, pause: PauseRow, *given: Any) -> str | None:
        return super()._refuse(replace(pause, state="WAITING", deadline=None), *given)


class DecidesTwice(Process):
    chat_kind = AnswersAnything


class KeepsTimers(Store):
    """A timer that is not wanted any more stays in the outbox."""

    def write(self, decision: Decision) -> Iterator[Posted]:
        kept = {key: row for key, row in self.outbox.items() if isinstance(row.command, c.SetTimer)}
        cancelled = {command.key for command in decision.commands if isinstance(command, c.CancelTimer)}
        yield from super().write(decision)
        for key, row in kept.items():
            if isinstance(row.command, c.SetTimer) and row.command.key in cancelled:
                self.outbox.setdefault(key, row)


class StaleCards(Chat):
    """A card that was drawn is not drawn again."""

    def _draw(self, card: Card) -> None:
        if not card.shows:
            super()._draw(card)
        else:
            card.shown = card.wanted


class Stale(Process):
    chat_kind = StaleCards


@contextmanager
def nothing_after_a_kill() -> Iterator[None]:
    """What runs after the end is skipped when the end was a kill."""
    original = settling.grow

    def grow(d: Any, parent: Any, lane: Any, body: Any) -> None:
        if not (parent is None and d.execution.state is State.KILLED):
            original(d, parent, lane, body)

    settling.grow = grow
    try:
        yield
    finally:
        settling.grow = original


@contextmanager
def nothing() -> Iterator[None]:
    """The core as it is."""
    yield


@dataclass(frozen=True)
class Plant:
    """A bug: a process, a store or a patched core. `seed` catches it."""

    seed: int
    process: type[Process] = Process
    store: type[Store] = Store
    core: Callable[[], Any] = nothing

    def world(self) -> type[World]:
        """A world with this bug in it."""
        return type("PlantedWorld", (World,), {"process_kind": self.process, "store_kind": self.store})


PLANTS = {
    "no-dedupe": Plant(0, process=NoDedupe),
    "command-before-commit": Plant(0, process=Eager),
    "lost-timer": Plant(12, process=ForgetsTimers),
    "restart-forgets-work": Plant(0, process=ForgetsWork),
    "restart-forgets-events": Plant(12, process=ForgetsEvents),
    "late-end-overwrites": Plant(52, process=Relabels),
    "child-twice": Plant(13, process=ChildTwice),
    "slot-leak": Plant(177, process=SlotLeak),
    "wrong-pause": Plant(65, process=WrongPause),
    "kill-spares-children": Plant(14, process=ChildrenGoOn),
    "two-decisions": Plant(1, process=DecidesTwice, store=TwoDeciders),
    "timer-never-cancelled": Plant(1, store=KeepsTimers),
    "stale-cards": Plant(0, process=Stale),
    "nothing-after-a-kill": Plant(0, core=nothing_after_a_kill),
}
