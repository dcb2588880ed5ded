"""What a crash forgets: mailboxes, decisions under way, timers, jobs, slots. The shell around the core, step by step.

Each step is a thing the real process does between two moments at which it may die. `ready` holds what can be done now,
`later` what waits for a time. The same calls as in `engine.runtime` (deciding, carrying, subflows), without the disk.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from engine.core import commands as c
from engine.core import events as e
from engine.core.execution import Execution, Origin
from engine.core.executor import advance, check_restart, retried
from engine.core.flow import Flow
from engine.core.inputs import resolve
from engine.core.state import State
from engine.errors import EngineError
from engine.runtime.decision import Decision
from engine.runtime.slots import Slots
from engine.store.commands import Stored, run_key, stored, timer_key
from engine.store.events import Posted
from engine.store.executions import Caller, next_version
from tests.simulate.chat import Chat

if TYPE_CHECKING:
    from tests.simulate.world import World

Step = Callable[[], None]


@dataclass(slots=True)
class Pending:
    event: e.Event
    posted: Posted | None = None
    drops: str | None = None


@dataclass(slots=True)
class Box:
    pending: deque[Pending] = field(default_factory=deque)
    seen: set[int] = field(default_factory=set)
    working: bool = False


class Process:
    """One life of the bot."""

    slots_kind: type[Slots] = Slots
    chat_kind: type[Chat] = Chat

    def __init__(self, world: "World") -> None:
        self.world = world
        self.store = world.store
        self.ready: dict[str, Step] = {}
        self.later: dict[str, tuple[datetime, Step]] = {}
        self.boxes: dict[str, Box] = {}
        self.effects: deque[Step] = deque()
        self.jobs: dict[str, bool] = {}  # key of an attempt → whether it has begun
        limits = {key: flow.concurrency.limit for key, flow in world.flows.items() if flow.concurrency}
        self.slots = self.slots_kind(lambda *key: limits.get(key))
        self.chat = self.chat_kind(world, self)

    # --- starting
    def recover(self) -> None:
        """Take up every row, as `Engine._recover`."""
        for key, flow in self.world.flows.items():
            if flow.concurrency is not None:
                rows = [
                    (one.id, one.state.value)
                    for one in self.store.executions.values()
                    if (one.namespace, one.flow_id) == key and not one.state.is_terminal
                ]
                self.slots.load(key, rows)
        for posted in list(self.store.inbox.values()):
            self.post_stored(posted)
        for _, row in sorted(self.store.outbox.items()):
            self.take_up(row)
        for execution_id in self.slots.first_waiting():
            self.post(execution_id, e.Started(self.world.now))
        self.chat.recover()

    # --- deciding
    def post(self, execution_id: str, event: e.Event, drops: str | None = None) -> None:
        """Decide soon upon something nobody else remembers."""
        self._put(execution_id, Pending(event, None, drops))

    def post_stored(self, posted: Posted) -> None:
        """Decide soon upon an event of the inbox."""
        box = self.boxes.setdefault(posted.execution_id, Box())
        if posted.id in box.seen:
            return
        box.seen.add(posted.id)
        self._put(posted.execution_id, Pending(posted.event, posted))

    def _put(self, execution_id: str, pending: Pending) -> None:
        box = self.boxes.setdefault(execution_id, Box())
        box.pending.append(pending)
        self.world.happened(execution_id, pending.event)
        if not box.working:
            box.working = True
            self.ready[f"decide {execution_id}"] = lambda: self._decide(execution_id, box)

    def _decide(self, execution_id: str, box: Box) -> None:
        batch = list(box.pending)
        box.pending.clear()
        before = self.store.executions[execution_id]
        flow = self.world.flow(before)
        after, commands = before, list[c.Command]()
        for pending in batch:
            after, asked = self.advanced(flow, after, pending.event)
            commands += asked
        if after is not before:
            after = next_version(after)
        decision = Decision(
            before,
            after,
            tuple(pending.event for pending in batch),
            tuple(commands),
            tuple(pending.posted for pending in batch if pending.posted is not None),
            (),
            self.world.now,
            tuple(pending.drops for pending in batch if pending.drops is not None),
        )
        self.ready[f"commit {execution_id}"] = lambda: self._commit(decision, box, batch)

    def advanced(self, flow: Flow, execution: Execution, event: e.Event) -> tuple[Execution, list[c.Command]]:
        """One event, and the answers to whatever has to be rendered on the way."""
        kept: list[c.Command] = []
        waiting: deque[e.Event] = deque([self.slots.admit(flow, execution, event)])
        while waiting:
            step = waiting.popleft()
            execution, commands = advance(flow, execution, step)
            for command in commands:
                if isinstance(command, c.Render):
                    waiting.append(self.world.rendered(flow, execution, command, event.now))
                else:
                    kept.append(command)
        return execution, kept

    def _commit(self, decision: Decision, box: Box, batch: list[Pending]) -> None:
        execution_id = decision.after.id
        if self.store.executions[execution_id].version != decision.before.version:
            box.pending.extendleft(reversed(batch))
            self.ready[f"decide {execution_id}"] = lambda: self._decide(execution_id, box)
            return
        told = list(self.store.write(decision))
        self.world.laws.committed(decision)
        for posted in told:
            self.effect(lambda posted=posted: self.post_stored(posted))  # type: ignore[misc]
        self.effect(lambda: self.decided(decision))
        self.effect(lambda: self._settled(execution_id, box, batch))

    def effect(self, step: Step) -> None:
        """What follows once a transaction is on disk, in order."""
        self.effects.append(step)
        self.ready.setdefault("deliver", self._deliver)

    def _deliver(self) -> None:
        self.effects.popleft()()
        if self.effects:
            self.ready["deliver"] = self._deliver

    def _settled(self, execution_id: str, box: Box, batch: list[Pending]) -> None:
        box.seen.difference_update(pending.posted.id for pending in batch if pending.posted is not None)
        if box.pending:
            self.ready[f"decide {execution_id}"] = lambda: self._decide(execution_id, box)
        else:
            box.working = False

    # --- carrying out
    def decided(self, decision: Decision) -> None:
        """A decision is on disk: do what follows from it."""
        execution = decision.after
        for command in decision.commands:
            match command:
                case c.RunTask(run_id, attempt):
                    self.offer(execution.id, run_id, attempt)
                case c.StopTask(run_id):
                    self.withdraw(execution.id, run_id)
                case c.SetTimer():
                    self.set_timer(execution.id, command)
                case c.CancelTimer(key):
                    self.later.pop(f"fire {timer_key(execution.id, key)}", None)
                case c.StartSubflow() | c.CreateRetry():
                    self.take_up(stored(execution.id, command, execution.version))
        following = self.slots.committed(execution)
        if following is not None:
            self.post(following, e.Started(self.world.now))
        self.chat.look_at(execution.id)

    def take_up(self, row: Stored) -> None:
        """Do what a row of the outbox asks for."""
        match row.command:
            case c.RunTask(run_id, attempt):
                self.offer(row.execution_id, run_id, attempt)
            case c.SetTimer() as command:
                self.set_timer(row.execution_id, command)
            case c.StartSubflow() as command:
                self.ready[f"carry {row.id}"] = lambda: self._prepare(row, command)
            case c.CreateRetry(at):
                self.later[f"carry {row.id}"] = (at, lambda: self._retry(row))

    def set_timer(self, execution_id: str, timer: c.SetTimer) -> None:
        """Post an event at a time."""
        key = timer_key(execution_id, timer.key)

        def fire() -> None:
            if timer.key == "start":
                self.post(execution_id, e.Started(self.world.now), drops=key)
            elif timer.key.startswith("pause:"):
                self._expire(execution_id, timer)
            else:
                self.post(execution_id, e.TimerFired(self.world.now, timer.key))

        self.later[f"fire {key}"] = (timer.at, fire)

    def _expire(self, execution_id: str, timer: c.SetTimer) -> None:
        """A deadline decides a pause as a person does: whoever closes its row first."""
        if timer_key(execution_id, timer.key) not in self.store.outbox:
            return  # cancelled meanwhile
        run_id = timer.key.split(":")[1]
        waiting = [pause for pause in self.store.waiting(execution_id) if pause.task_run_id == run_id]
        if not waiting or waiting[0].deadline is None or waiting[0].deadline > timer.at:
            return  # somebody answered, or asked anew
        self.store.close(waiting[0], "EXPIRED", self.world.now)
        posted = self.store.post(execution_id, e.TimerFired(self.world.now, timer.key))
        if posted is not None:
            self.effect(lambda: self.post_stored(posted))

    # --- work
    def offer(self, execution_id: str, run_id: str, attempt: int) -> None:
        """Run an attempt; one that waits or runs already is not taken twice."""
        key = run_key(run_id, attempt)
        if key in self.jobs:
            return
        self.jobs[key] = False
        self.ready[f"begin {key}"] = lambda: self._begin(execution_id, run_id, attempt, key)

    def _begin(self, execution_id: str, run_id: str, attempt: int, key: str) -> None:
        execution = self.store.executions[execution_id]
        run = execution.task_runs.get(run_id)
        if run is None or run.state.is_terminal or State.KILLING in (execution.state, run.state):
            self.job_ended(execution_id, key, self.world.killed(run_id, attempt))
            return
        self.jobs[key] = True
        self.world.work.begin(self, execution, run, attempt, key)

    def job_ended(self, execution_id: str, key: str, event: e.TaskEnded) -> None:
        """A worker tells how an attempt ended."""
        self.jobs.pop(key, None)
        self.post(execution_id, event)

    def withdraw(self, execution_id: str, run_id: str) -> None:
        """Take back or interrupt what runs for a task run."""
        for key in [key for key in self.jobs if key.startswith(f"run:{run_id}:")]:
            self.ready.pop(f"begin {key}", None)
            self.later.pop(f"end {key}", None)
            attempt = int(key.rpartition(":")[2])
            self.job_ended(execution_id, key, self.world.killed(run_id, attempt))

    # --- other executions
    def _prepare(self, row: Stored, command: c.StartSubflow) -> None:
        if row.id not in self.store.outbox:
            return
        if command.restarts is not None and self._restarted(row, command, command.restarts):
            return
        flow = self.world.flows.get((command.namespace, command.flow_id))
        error = "Unable to find the flow" if flow is None else None
        values: dict[str, object] = {}
        if flow is not None:
            resolved = resolve(flow.inputs, command.inputs, self.world.render_input)
            values = dict(resolved.values)
            error = str(resolved.problems) if resolved.problems else None
        self.ready[f"store {row.id}"] = lambda: self._create(row, command, flow, values, error)

    def _create(
        self, row: Stored, command: c.StartSubflow, flow: Flow | None, values: dict[str, object], error: str | None
    ) -> None:
        if self.store.outbox.pop(row.id, None) is None:
            return
        child_id = None
        if flow is not None and error is None:
            parent = self.store.executions[row.execution_id]
            origin = Origin(command.task_run_id, command.origin_type, {"executionId": parent.id})
            name = self.world.name_of_child(parent, command)
            child = self.world.new_execution(flow, values, name, origin, command.labels)
            caller = Caller(parent.id, command.task_run_id, command.wait, command.iteration, command.outputs)
            begun = self.store.create(child, self.world.now, caller)
            child_id = child.id
            self.world.laws.child_made(row.id, child.id)
            self.effect(lambda: self.post(child.id, e.Started(self.world.now), drops=begun.id))
        self._tell(row, command, child_id, error)

    def _restarted(self, row: Stored, command: c.StartSubflow, child_id: str) -> bool:
        child = self.store.executions[child_id]
        caller = self.store.callers.get(child_id)
        try:
            check_restart(child)
        except EngineError:
            return False
        if not child.state.is_terminal or caller is None:
            return False
        if (caller.execution_id, caller.task_run_id) != (row.execution_id, command.task_run_id):
            return False
        del self.store.outbox[row.id]
        posted = self.store.post(child_id, e.RestartAsked(self.world.now, f"execution:{row.execution_id}"))
        if posted is not None:
            self.effect(lambda: self.post_stored(posted))
        self._tell(row, command, child_id, None)
        return True

    def _tell(self, row: Stored, command: c.StartSubflow, child_id: str | None, error: str | None) -> None:
        event = e.SubflowCreated(
            self.world.now, command.task_run_id, child_id, error, command.iteration, command.attempt
        )
        posted = self.store.post(row.execution_id, event, row.id)
        if posted is not None:
            self.effect(lambda: self.post_stored(posted))

    def _retry(self, row: Stored) -> None:
        if self.store.outbox.pop(row.id, None) is None:
            return
        old = self.store.executions[row.execution_id]
        new_id = self.world.new_id(f"{self.world.names[old.id]}~")
        new = retried(old, new_id, self.world.now)
        caller = self.store.callers.get(old.id)
        begun = self.store.create(new, self.world.now, caller)
        if caller is not None and caller.waits:
            now, number = self.world.now, caller.iteration
            told = e.SubflowCreated(now, caller.task_run_id, new.id, iteration=number, replaces=old.id)
            if (posted := self.store.post(caller.execution_id, told)) is not None:
                self.effect(lambda: self.post_stored(posted))
        self.effect(lambda: self.post(new.id, e.Started(self.world.now), drops=begun.id))
