"""The simulated world: a scene, a store, one process after another, and time. One step at a time."""

from datetime import UTC, datetime
from typing import Any

import yaml

from engine.core import commands as c
from engine.core import events as e
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.inputs import resolve
from engine.core.state import State
from engine.core.variables import variables
from engine.errors import EngineError, ExpressionFailed
from engine.expressions import Services, evaluate, render
from engine.store.pauses import PauseRow
from tests.core.memory import typed
from tests.simulate.chat import questions
from tests.simulate.clock import START, SimulatedClock, after
from tests.simulate.invariants import Broken, Laws
from tests.simulate.process import Process, Step
from tests.simulate.scenes import PEOPLE, Deed, Scene
from tests.simulate.store import Store
from tests.simulate.work import flow_of, path_of
from tests.simulate.workers import Workers

REPEATABLE = (e.TaskStarted, e.TaskEnded, e.TimerFired, e.SubflowCreated, e.SubflowEnded, e.Started)
MOST_STEPS = 20_000


class World:
    """What a scene becomes. `step` does one thing; `finish` does what is left, in order, until all is at rest."""

    process_kind: type[Process] = Process
    store_kind: type[Store] = Store

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.clock = SimulatedClock()
        self.services = Services(now=self.clock.now, zone=UTC)
        self.flows: dict[tuple[str, str], Flow] = {}
        for document in scene.flows:
            flow = flow_of(document)
            self.flows[flow.namespace, flow.id] = flow
        self.store = self.store_kind()
        self.names: dict[str, str] = {}
        self.used: dict[str, int] = {}
        self.deeds: dict[int, Deed] = dict(enumerate(scene.deeds))
        self.outside: dict[str, tuple[datetime, Step]] = {}
        self.past: list[tuple[str, e.Event, tuple[int, int]]] = []  # with the turn they belong to
        self.meant: dict[int, str | None] = {}
        self.heard: dict[int, str] = {}
        self.life = 0
        self.recovering = False
        self.steps = 0
        self.fields: dict[str, Any] = {}
        self.laws = Laws(self)
        self.work = Workers(self)
        self.process = self.process_kind(self)
        self.process.recover()
        for number, start in enumerate(scene.starts):
            at = START + after(start.at)
            self.outside[f"start {number}"] = (at, lambda number=number: self._start(number))  # type: ignore[misc]
        for number, deed in self.deeds.items():
            self._schedule(number, deed)

    @property
    def now(self) -> datetime:
        """The simulated time."""
        return self.clock.now()

    # --- names and facts
    def flow(self, execution: Execution) -> Flow:
        """The flow of an execution."""
        return self.flows[execution.namespace, execution.flow_id]

    def new_id(self, name: str) -> str:
        """An id for an execution that is called by a name, which does not depend on the order things happen in."""
        count = self.used[name] = self.used.get(name, 0) + 1
        id_ = f"X{len(self.names) + 1:03}"
        self.names[id_] = name if count == 1 else f"{name}#{count}"
        return id_

    def name_of_child(self, parent: Execution, command: c.StartSubflow) -> str:
        """What a child execution is called."""
        run = parent.task_runs.get(command.task_run_id)
        path = path_of(parent, run) if run is not None else command.task_run_id
        return f"{self.names[parent.id]}>{path}:{command.attempt}.{command.iteration or 0}"

    def new_execution(
        self, flow: Flow, inputs: Any, name: str, origin: Origin | None = None, labels: Any = ()
    ) -> Execution:
        """An execution before anything ran."""
        id_ = self.new_id(name)
        return Execution(
            id_, flow.namespace, flow.id, flow.revision, State.CREATED, ((State.CREATED, self.now),),
            inputs=inputs, labels=tuple(labels), origin=origin, original_id=id_,
        )  # fmt: skip

    def happened(self, execution_id: str, event: e.Event) -> None:
        """Something was told to the process: it may be told again."""
        if isinstance(event, REPEATABLE):
            self.past.append((execution_id, event, self._turn(execution_id, event)))

    def _turn(self, execution_id: str, event: e.Event) -> tuple[int, int]:
        """How often an execution was restarted, and which attempt of the task run an event is about is under way."""
        execution = self.store.executions[execution_id]
        run = execution.task_runs.get(getattr(event, "task_run_id", ""))
        return execution.attempt_number, len(run.attempts) if run is not None else 0

    def killed(self, run_id: str, attempt: int) -> e.TaskEnded:
        """An attempt that was interrupted."""
        self.laws.reported(run_id, attempt, State.KILLED)
        return e.TaskEnded(self.now, run_id, attempt, State.KILLED, self.now)

    # --- expressions
    def rendered(self, flow: Flow, execution: Execution, command: c.Render, now: datetime) -> e.Rendered:
        """What the expressions of a command return."""
        run = execution.task_runs.get(command.task_run_id or "")
        seen = {**variables(flow, execution, run), **command.extra}
        values: dict[str, Any] = {}
        try:
            for key, source in command.sources.items():
                values[key] = self._one(source, command.modes.get(key, "text"), seen)
        except EngineError as error:
            return e.Rendered(now, command.task_run_id, error=str(error))
        return e.Rendered(now, command.task_run_id, values)

    def _one(self, source: Any, mode: str, seen: dict[str, Any]) -> Any:
        if mode == "text":
            return render(source, seen, self.services)
        if mode == "typed" or not isinstance(source, str):
            return typed(source, seen, self.services)
        shown = render(source, seen, self.services)
        try:
            return yaml.safe_load(shown) if shown.strip().startswith("[") else shown
        except yaml.YAMLError as error:
            raise ExpressionFailed(str(error)) from error

    def render_input(self, text: str, extra: Any, as_typed: bool) -> Any:
        """Expressions in defaults of inputs."""
        return (evaluate if as_typed else render)(text, extra, self.services)

    # --- people
    def _schedule(self, number: int, deed: Deed) -> None:
        for copy in range(deed.copies):
            at = START + after(deed.at + copy * deed.late)
            self.outside[f"deed {number}.{copy}"] = (at, lambda copy=copy: self._do(number, copy))  # type: ignore[misc]

    def _do(self, number: int, copy: int) -> None:
        deed = self.deeds[number]
        if number not in self.meant:  # people mean what they see when they do it
            self.meant[number] = self._chosen(deed)
        if self.meant[number] is None:
            return
        self.heard[number] = f"{self.platform(deed)}:{number}"
        self.process.chat.hear(number, copy)

    def _chosen(self, deed: Deed) -> str | None:
        if deed.what in ("approve", "reject", "killed by card"):
            ids = sorted(self.store.pauses, key=lambda id_: (self._place(self.store.pauses[id_]), id_))
        else:
            ids = sorted(self.store.executions, key=lambda id_: self.names[id_])
        return ids[deed.which % len(ids)] if ids else None

    def _place(self, pause: PauseRow) -> tuple[bool, str, str]:
        execution = self.store.executions[pause.execution_id]
        run = execution.task_runs.get(pause.task_run_id)
        return pause.state != "WAITING", self.names[execution.id], path_of(execution, run)

    def platform(self, deed: Deed) -> str:
        """Where somebody does something."""
        return PEOPLE[deed.who][2]

    def pause_meant(self, number: int) -> PauseRow | None:
        """The pause a deed is about."""
        return self.store.pauses.get(self.meant[number] or "")

    def execution_meant(self, number: int) -> Execution:
        """The execution a deed is about."""
        return self.store.executions[self.meant[number] or ""]

    def questions(self, execution: Execution, pause: PauseRow) -> Any:
        """Fields and inputs of a pause."""
        key = f"{execution.flow_id}/{pause.task_id}"
        if key not in self.fields:
            self.fields[key] = questions(execution, pause, self)
        return self.fields[key]

    def _start(self, number: int) -> None:
        flow = next(iter(self.flows.values()))
        given = {"n": self.scene.starts[number].n}
        values = resolve(flow.inputs, given, self.render_input).values
        execution = self.new_execution(flow, values, f"start{number}")
        row = self.store.create(execution, self.now)
        self.process.effect(lambda: self.process.post(execution.id, e.Started(self.now), drops=row.id))

    # --- steps
    def waiting(self) -> dict[str, tuple[datetime, Step]]:
        """What waits for a time, in the process and outside."""
        return {**self.process.later, **self.outside}

    def earliest(self) -> str | None:
        """What comes first of all that waits for a time."""
        first: tuple[datetime, str] | None = None
        for table in (self.process.later, self.outside):
            for label, (at, _) in table.items():
                if first is None or (at, label) < first:
                    first = (at, label)
        return first[1] if first else None

    def can(self, label: str) -> bool:
        """Whether a step is possible now."""
        if label == "crash" or label.startswith("again "):
            return True
        return label in self.process.ready or label in self.process.later or label in self.outside

    def step(self, label: str) -> None:
        """Do one thing."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Broken("it comes to rest", f"{MOST_STEPS} steps were not enough")
        if label == "crash":
            self.crash()
        elif label.startswith("again "):
            self._again(int(label[6:]))
        elif label in self.process.ready:
            self.process.ready.pop(label)()
        else:
            table = self.process.later if label in self.process.later else self.outside
            at, step = table.pop(label)
            self.clock.move_to(at)
            step()

    def _again(self, number: int) -> None:
        """Tell something again. Word of a child is in the inbox until it is heard: never again in another attempt."""
        if number >= len(self.past):
            return
        execution_id, event, turn = self.past[number]
        is_word = isinstance(event, e.SubflowCreated | e.SubflowEnded)
        if not is_word or turn == self._turn(execution_id, event):
            self.process.post(execution_id, event)

    def crash(self) -> None:
        """The process dies and starts again: what it remembered is gone, what is on disk stays."""
        self.life += 1
        self.store.reloaded()
        self.process = self.process_kind(self)
        self.recovering = True
        self.process.recover()
        self.recovering = False

    def next_in_order(self) -> str | None:
        """The step that a calm world takes: what can be done now, first come first served; else what is due first."""
        ready = self.process.ready
        return next(iter(ready)) if ready else self.earliest()

    def finish(self) -> None:
        """Everything that is left, in order; people answer what still waits."""
        while True:
            while (label := self.next_in_order()) is not None:
                self.step(label)
            if not self._closed():
                self.laws.resting()
                return

    def _closed(self) -> bool:
        """The last thing somebody has to do, if anything waits for a person."""
        held = sorted((self.names[one.id], one.id) for one in self.store.executions.values() if one.held)
        waiting = sorted((self._place(pause), pause.id) for pause in self.store.waiting())
        number = len(self.deeds)
        at = (self.now - START).total_seconds() + 1
        live = [id_ for _, id_ in held if not self.store.executions[id_].state.is_terminal]
        if live:
            self.deeds[number] = Deed(at, 0, "release")
            self.meant[number] = live[0]
        elif waiting:
            self.deeds[number] = Deed(at, 0, "approve" if number % 3 else "reject")
            self.meant[number] = waiting[0][1]
        else:
            return False
        if number > len(self.scene.deeds) + 300:
            raise Broken("it comes to rest", "people are asked again and again")
        self._schedule(number, self.deeds[number])
        return True
