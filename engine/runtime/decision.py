"""What one decision writes: the new state of an execution and everything that follows from it, in one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.core.commands import (
    Announce,
    CancelRetry,
    CancelTimer,
    ClosePause,
    Command,
    CreateRetry,
    OpenPause,
    RunTask,
    SetTimer,
    StartSubflow,
    StopSubflow,
    WriteLog,
)
from engine.core.events import Event, KillAsked, Overruled, SubflowEnded, TaskEnded, TimerFired
from engine.core.execution import Execution
from engine.core.state import State
from engine.identifiers import new_id
from engine.logbook import Note, write_notes
from engine.runtime.doorkeeper import Door
from engine.secrets import AtRest, Masker
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store import executions, logs, pauses, triggers
from engine.store.batches import Superseded
from engine.store.commands import Stored, retry_key, run_key, stored, timer_key
from engine.store.database import Unit
from engine.store.events import Posted
from engine.store.logs import LogLine
from engine.store.pauses import PauseRow


@dataclass(frozen=True, slots=True)
class Called:
    """What the calling task wants of an execution that has no outputs of its own."""

    outputs: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A step of one execution: what happened, what it became, what is to be done."""

    before: Execution
    after: Execution
    events: tuple[Event, ...]
    commands: tuple[Command, ...]
    posted: tuple[Posted, ...]
    lines: tuple[Note, ...]
    now: datetime
    drops: tuple[str, ...] = ()  # rows of the outbox that the events settle
    announcements: tuple[Stored, ...] = ()  # changes of state that flow triggers have to look at
    called: Called = Called()


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes decisions. `posted` and `released` are told after the commit what woke up because of them."""

    sealer: AtRest
    masker: Masker
    door: Door
    stops_trigger: Callable[[Execution], bool]
    posted: Callable[[Posted], None]
    released: Callable[[triggers.TriggerState], None]
    dispatch: Callable[[Unit, Execution, RunTask], bool]  # whether an attempt that is asked for is kept elsewhere
    check: Callable[[Unit, "Decision"], None] = lambda unit, decision: None  # Superseded when it can't be

    def write(self, unit: Unit, decision: Decision) -> None:
        """Everything of a decision; Superseded when the execution is not the one it was decided from."""
        self.check(unit, decision)
        before, after = decision.before, decision.after
        if not executions.save(unit.batch, before, after, decision.now, self.sealer):
            raise Superseded(after.id)
        self.write_rest(unit, decision)

    def write_rest(self, unit: Unit, decision: Decision) -> None:
        """Everything of a decision but the execution itself."""
        batch, after, now = unit.batch, decision.after, decision.now
        inbox.consume(batch, decision.posted)
        rows = self._rows(unit, decision)
        outbox.drop(batch, [key for key, row in rows.items() if row is None])
        outbox.put(batch, [row for row in rows.values() if row is not None], self.sealer)
        self._pauses(unit, decision)
        said = (self._line(after, c, now) for c in decision.commands if isinstance(c, WriteLog))
        write_notes(unit, sorted([*decision.lines, *said], key=lambda note: note.at))

    def _rows(self, unit: Unit, decision: Decision) -> Mapping[str, Stored | None]:
        """Rows of the outbox to put, and (None) to drop; of the same row the last word counts."""
        after, now = decision.after, decision.now
        rows: dict[str, Stored | None] = dict.fromkeys(decision.drops)
        rows |= {row.id: row for row in decision.announcements}
        for event in decision.events:
            if isinstance(event, TaskEnded):
                rows[run_key(event.task_run_id, event.attempt)] = None
            elif isinstance(event, TimerFired):
                rows[timer_key(after.id, event.key)] = None
        for command in decision.commands:
            match command:
                case RunTask() if self.dispatch(unit, after, command):
                    continue
                case RunTask() | SetTimer() | StartSubflow() | CreateRetry():
                    row = stored(after.id, command, after.version)
                    rows[row.id] = row
                case CancelTimer(key):
                    rows[timer_key(after.id, key)] = None
                case StopSubflow(execution_id):
                    kill = KillAsked(now, by=f"execution:{after.id}", reason="Its parent was killed.")
                    self._post(unit, execution_id, kill, now, f"kill:{execution_id}:{after.id}:{after.version}")
                case CancelRetry(by, reason):
                    if rows.pop(retry_key(after.id, after.version), None) is None:  # else it was asked for just now
                        self._cancel_retry(unit, after.id, KillAsked(now, by, reason))
                case Announce(state) if state.is_terminal:
                    self._ended(unit, decision, state)
        return rows

    def _cancel_retry(self, unit: Unit, execution_id: str, kill: KillAsked) -> None:
        """No execution takes the place of one, or the one that has taken it is killed, and what took that one's."""
        if outbox.take_retry(unit.connection, execution_id):
            return
        following = outbox.replacement_of(unit.connection, execution_id)
        if following is not None:
            self._post(unit, following, kill, kill.now, f"kill:{following}:{execution_id}")

    def _pauses(self, unit: Unit, decision: Decision) -> None:
        """Open and close pauses. What is closed again in the same decision is not opened: a batch inserts last."""
        opened: dict[str, OpenPause] = {}
        for command in decision.commands:
            if isinstance(command, OpenPause):
                opened[command.task_run_id] = command
            elif isinstance(command, ClosePause):
                opened.pop(command.task_run_id, None)
                key, state = command.task_run_id, command.reason
                pauses.close_of_task_run(unit.batch, decision.after.id, key, state, decision.now)
        for command in opened.values():
            self._open(unit, decision, command)

    def _open(self, unit: Unit, decision: Decision, command: OpenPause) -> None:
        run = decision.after.task_runs.get(command.task_run_id)
        if run is None:
            return
        execution, now = decision.after, decision.now
        deadline, behavior = command.deadline, command.deadline_behavior
        keeper = self.door.keeper
        ending = keeper.ending(execution.namespace, execution.flow_id, run.task_id) if keeper and deadline else None
        if ending is not None:
            deadline, behavior = (deadline, ending.behavior) if ending.behavior else (None, behavior)
            self._post(unit, execution.id, Overruled(now, run.id, ending.behavior), now, f"overruled:{run.id}:{now}")
        row = PauseRow(
            id=new_id(decision.now),
            execution_id=execution.id,
            task_run_id=run.id,
            task_id=run.task_id,
            namespace=execution.namespace,
            flow_id=execution.flow_id,
            state="WAITING",
            created=decision.now,
            deadline=deadline,
            deadline_behavior=behavior,
        )
        pauses.open_pause(unit.batch, row)

    def _ended(self, unit: Unit, decision: Decision, state: State) -> None:
        """Tell whoever waits for this execution: the task run that called it, the trigger that started it."""
        after, now = decision.after, decision.now
        if after.origin is None or state is State.RETRIED:  # the execution that replaces a RETRIED one will tell
            return
        # Who made an execution, and for which trigger, was written before it began: no row of this group changes it.
        caller = executions.caller_of(unit.batch.bare, after.id) if after.origin.names_execution else None
        if caller is not None and caller.waits:
            outputs = decision.called.outputs if after.outputs is None else after.outputs
            ended = SubflowEnded(
                now,
                caller.task_run_id,
                after.id,
                state,
                outputs,
                decision.called.error,
                iteration=caller.iteration,
                reason=self._reason(unit, decision) if state is State.FAILED else None,
            )
            self._post(unit, caller.execution_id, ended, now, f"subflow-ended:{after.id}:{after.version}")
        disable = self.stops_trigger(after)
        trigger = triggers.released(unit.batch.bare, after, now, disable=disable)
        if trigger is not None:
            unit.after_commit(lambda: self.released(trigger))

    def _reason(self, unit: Unit, decision: Decision) -> str | None:
        """The last error of the task that failed first, not of what handled it; else the last of the decision.

        Whoever reads the caller's log need not look further.
        """
        after = decision.after
        failed = next((r.id for r in after.task_runs.values() if r.state is State.FAILED and r.attempts), None)
        said: list[tuple[str | None, str]] = [
            (one.task_run_id, one.message)
            for one in (*decision.lines, *decision.commands)
            if isinstance(one, LogLine | WriteLog) and one.level == "ERROR"
        ]
        own = [message for run, message in said if run == failed]
        if failed is not None and not own:
            lines = logs.find(unit.batch.bare, after.id, task_run_id=failed, level="ERROR", limit=1, last=True)
            own = [line.message for line in lines]
        chosen = own or [message for _, message in said]
        return self.masker.mask(chosen[-1]) if chosen else None

    def _post(self, unit: Unit, execution_id: str, event: Event, now: datetime, dedupe: str) -> None:
        posted = inbox.post(unit.connection, execution_id, event, now, self.sealer, dedupe)
        if posted is not None:
            unit.after_commit(lambda: self.posted(posted))

    def _line(self, execution: Execution, command: WriteLog, now: datetime) -> LogLine:
        run = execution.task_runs.get(command.task_run_id or "")
        message = self.masker.mask(command.message)
        task = run.task_id if run is not None else None
        at, made = command.at or now, command.attempt
        return LogLine(at, command.level, task, command.task_run_id, made, message, execution_id=execution.id)
