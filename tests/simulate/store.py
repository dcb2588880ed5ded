"""What survives a crash: rows as the real store keeps them, each transaction one call."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engine.core import commands as c
from engine.core import events as e
from engine.core.execution import Execution, TaskRuns
from engine.core.state import State
from engine.runtime.decision import Decision
from engine.store.commands import Stored, run_key, stored, timer_key
from engine.store.events import Posted
from engine.store.executions import Caller
from engine.store.pauses import PauseRow, PauseState


@dataclass(slots=True)
class Card:
    """A message that shows a pause: what it ought to show (`wanted`) and what it shows."""

    id: str
    pause_id: str
    wanted: int = 1
    shown: int = 0
    shows: str = ""


@dataclass(slots=True)
class Receipt:
    """A delivery from a platform, its answer once there is one."""

    key: str
    deed: int
    answer: str | None = None


@dataclass
class Store:
    """Tables. Methods are transactions, or parts of one."""

    executions: dict[str, Execution] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    made_for: dict[str, str] = field(default_factory=dict)  # child execution → row of the outbox that asked for it
    inbox: dict[int, Posted] = field(default_factory=dict)
    dedupes: set[str] = field(default_factory=set)
    outbox: dict[str, Stored] = field(default_factory=dict)
    pauses: dict[str, PauseRow] = field(default_factory=dict)
    cards: dict[str, Card] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    audit: list[tuple[str, str, str]] = field(default_factory=list)  # (pause, who, what)
    numbers: int = 0
    open_cards: set[str] = field(default_factory=set)

    # --- inbox
    def post(self, execution_id: str, event: e.Event, dedupe: str | None = None) -> Posted | None:
        """Store an event; None when one with the same dedupe key was stored before."""
        if dedupe is not None:
            if dedupe in self.dedupes:
                return None
            self.dedupes.add(dedupe)
        self.numbers += 1
        posted = Posted(self.numbers, execution_id, event, keep=dedupe is not None)
        self.inbox[posted.id] = posted
        return posted

    # --- executions
    def create(self, execution: Execution, now: datetime, caller: Caller | None = None) -> Stored:
        """A new execution and the row that starts it."""
        self.executions[execution.id] = execution
        if caller is not None:
            self.callers[execution.id] = caller
        row = stored(execution.id, c.SetTimer("start", max(execution.schedule_date or now, now)), 0)
        self.outbox[row.id] = row
        return row

    def write(self, decision: Decision) -> Iterator[Posted]:
        """Everything of a decision; gives the events that others are told by it. As `Writer` of the engine does."""
        after = decision.after
        self.executions[after.id] = after
        for posted in decision.posted:
            self.inbox.pop(posted.id, None)
        gone = list(decision.drops)
        for event in decision.events:
            if isinstance(event, e.TaskEnded):
                gone.append(run_key(event.task_run_id, event.attempt))
            elif isinstance(event, e.TimerFired):
                gone.append(timer_key(after.id, event.key))
        for key in gone:
            self.outbox.pop(key, None)
        for command in decision.commands:
            yield from self._follow(decision, command)

    def _follow(self, decision: Decision, command: c.Command) -> Iterator[Posted]:
        after, now = decision.after, decision.now
        match command:
            case c.RunTask() | c.SetTimer() | c.StartSubflow() | c.CreateRetry():
                row = stored(after.id, command, after.version)
                self.outbox[row.id] = row
            case c.CancelTimer(key):
                self.outbox.pop(timer_key(after.id, key), None)
            case c.OpenPause():
                self._open(decision, command)
            case c.ClosePause(task_run_id, reason):
                for pause in self.waiting(after.id):
                    if pause.task_run_id == task_run_id:
                        self.close(pause, reason, now)
            case c.StopSubflow(execution_id):
                kill = e.KillAsked(now, by=f"execution:{after.id}")
                if told := self.post(execution_id, kill, f"kill:{execution_id}:{after.id}:{after.version}"):
                    yield told
            case c.CancelRetry():
                yield from self._cancel_retry(after.id, now)
            case c.Announce(state) if state.is_terminal and state is not State.RETRIED:
                yield from self._ended(after, state, now)

    def _cancel_retry(self, execution_id: str, now: datetime) -> Iterator[Posted]:
        there = [key for key in self.outbox if key.startswith(f"retry:{execution_id}:")]
        for key in there:
            del self.outbox[key]
        following = [one.id for one in self.executions.values() if one.parent_id == execution_id]
        if not there and following:
            kill = e.KillAsked(now, by=f"execution:{execution_id}")
            if told := self.post(following[-1], kill, f"kill:{following[-1]}:{execution_id}"):
                yield told

    def _open(self, decision: Decision, command: c.OpenPause) -> None:
        after = decision.after
        run = after.task_runs.get(command.task_run_id)
        if run is None or any(pause.task_run_id == run.id for pause in self.waiting(after.id)):
            return
        id_ = f"P{len(self.pauses) + 1:03}"
        self.pauses[id_] = PauseRow(
            id_, after.id, run.id, run.task_id, after.namespace, after.flow_id, "WAITING", decision.now,
            command.deadline, command.deadline_behavior,
        )  # fmt: skip

    def _ended(self, after: Execution, state: State, now: datetime) -> Iterator[Posted]:
        caller = self.callers.get(after.id)
        if caller is None or not caller.waits:
            return
        event = e.SubflowEnded(now, caller.task_run_id, after.id, state, after.outputs, iteration=caller.iteration)
        if told := self.post(caller.execution_id, event, f"subflow-ended:{after.id}:{after.version}"):
            yield told

    # --- pauses
    def waiting(self, execution_id: str | None = None) -> list[PauseRow]:
        """Pauses nobody has decided."""
        return [
            pause
            for pause in self.pauses.values()
            if pause.state == "WAITING" and execution_id in (None, pause.execution_id)
        ]

    def decide(
        self, pause_id: str, state: PauseState, by: str, now: datetime, inputs: Mapping[str, Any] | None = None
    ) -> PauseRow | None:
        """Close a waiting pause once; None when someone was faster."""
        pause = self.pauses[pause_id]
        if pause.state != "WAITING":
            return None
        decided = replace(pause, state=state, decided_by=by, decided_at=now, inputs=inputs)
        self.pauses[pause_id] = decided
        return decided

    def close(self, pause: PauseRow, reason: PauseState, now: datetime) -> None:
        """A pause is over by other means than an answer."""
        self.pauses[pause.id] = replace(pause, state=reason, decided_at=now)

    # --- chat
    def touch(self, pause_id: str) -> None:
        """The card of a pause is not what it ought to be any more."""
        for card in self.cards.values():
            if card.pause_id == pause_id:
                card.wanted += 1

    # --- a new life
    def reloaded(self) -> None:
        """What a process reads after a crash shares nothing with what the last one remembered."""
        for execution in self.executions.values():
            if not execution.state.is_terminal or any(not r.state.is_terminal for r in execution.task_runs.values()):
                object.__setattr__(execution, "task_runs", TaskRuns(execution.task_runs.values()))
