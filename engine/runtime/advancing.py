"""Advances an execution by an event: the pure core decides, what it wants rendered is rendered, and tasks without an
effect outside their answer run on the spot, so that their answer is on disk with the decision that started them."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from engine.aside import waits
from engine.core.bounds import DEFAULT, Bounds
from engine.core.commands import Command, Render, RunTask
from engine.core.events import Event, TaskEnded
from engine.core.execution import Execution
from engine.core.executor import advance
from engine.core.flow import Flow
from engine.core.inputs import secrets_of
from engine.core.state import State
from engine.expressions.allowance import TooLong, shortly
from engine.logbook import Note
from engine.rendering import Renderer
from engine.runtime.mailbox import broken

log = logging.getLogger(__name__)

SLICE = 0.02  # seconds of deciding before others get a turn
BEGINNING = datetime.min.replace(tzinfo=UTC)

Admission = Callable[[Flow, Execution, Event], Event]
AtOnce = Callable[[Flow, Execution, RunTask], tuple[TaskEnded, tuple[Note, ...]] | None]


class MustWait(Exception):
    """A decision needs something that is not in memory."""


@dataclass(slots=True)
class Step:
    """An execution on its way through some events: what it has become, what is to be done, what was logged."""

    execution: Execution
    commands: list[Command] = field(default_factory=list)
    lines: list[Note] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def is_long(self) -> bool:
        """Whether others should get a turn."""
        return time.monotonic() - self.began > SLICE


@dataclass(slots=True)
class Todo:
    """What has still to be decided upon in one step."""

    events: deque[Event]
    tasks: deque[RunTask] = field(default_factory=deque)
    now: datetime = BEGINNING


class Advancer:
    """Takes executions through the pure core. `at_once` runs a task on the spot, or gives None for the worker."""

    def __init__(self, renderer: Renderer, admit: Admission, bounds: Bounds = DEFAULT) -> None:
        self._renderer = renderer
        self._admit = admit
        self._bounds = bounds
        self.at_once: AtOnce = lambda flow, execution, command: None

    async def advance(self, flow: Flow, step: Step, event: Event) -> None:
        """One event, and everything that follows from it without waiting for a worker, a timer or a person."""
        todo = Todo(deque([self._admit(flow, step.execution, event)]))
        while (following := self._next(flow, step, todo)) is not None:
            for render in self._decided(flow, step, following, todo):
                todo.events.append(await self._renderer.answer(flow, step.execution, render, todo.now))

    def advance_now(self, flow: Flow, step: Step, event: Event) -> None:
        """The same as `advance`; MustWait when an expression may wait for a disk or a network."""
        todo = Todo(deque([self._admit(flow, step.execution, event)]))
        while (following := self._next(flow, step, todo)) is not None:
            for render in self._decided(flow, step, following, todo):
                if waits(render.sources):
                    raise MustWait
                answer = partial(self._renderer.answer_now, flow, step.execution, render, todo.now)
                try:
                    todo.events.append(shortly(answer))
                except TooLong:
                    raise MustWait from None

    def _next(self, flow: Flow, step: Step, todo: Todo) -> Event | None:
        """The next event; when there is none, a task is run that gives one."""
        while not todo.events and todo.tasks:
            command = todo.tasks.popleft()
            may = not step.is_long and _is_wanted(step.execution, command)
            done = self.at_once(flow, step.execution, command) if may else None
            if done is None:
                step.commands.append(command)
                continue
            todo.events.append(done[0])
            step.lines += done[1]
        return todo.events.popleft() if todo.events else None

    def _decided(self, flow: Flow, step: Step, event: Event, todo: Todo) -> list[Render]:
        """Let the core decide; what it wants rendered."""
        todo.now = max(todo.now, event.now)  # what follows from a task is not older than its end
        commands: Sequence[Command]
        before = step.execution
        try:
            step.execution, commands = advance(flow, step.execution, event, self._bounds)
        except Exception as error:
            log.exception("The executor broke on execution %s.", step.execution.id)
            step.execution, commands = broken(step.execution, error, event)
            todo.events.clear()
        if (given := step.execution.outputs) is not None and given is not before.outputs:
            for secret in secrets_of(flow.outputs, given):
                self._renderer.masker.add(secret)
        renders = []
        for command in commands:
            if isinstance(command, Render):
                renders.append(command)
            elif isinstance(command, RunTask):
                todo.tasks.append(command)
            else:
                step.commands.append(command)
        return renders


def _is_wanted(execution: Execution, command: RunTask) -> bool:
    """Whether nothing that was decided meanwhile stops the task."""
    run = execution.task_runs.get(command.task_run_id)
    stopping = execution.state.is_terminal or execution.state is State.KILLING
    return not stopping and run is not None and not run.state.is_terminal and run.state is not State.KILLING
