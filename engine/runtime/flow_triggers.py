"""Flow triggers: executions that start because executions of other flows reached a state."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from engine.aside import in_a_thread, promptly, waits
from engine.core.conditions import ConditionContext, Upstream
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.inputs import RenderFn
from engine.core.state import State
from engine.core.variables import labels_map
from engine.errors import EngineError, FlowInvalid, NotFound, Refused
from engine.expressions import render
from engine.rendering import typed_value
from engine.runtime.creation import CORRELATION, Creator, Prepared
from engine.runtime.flows import Flows
from engine.runtime.trigger_labels import labels_of_trigger
from engine.store import commands as outbox
from engine.store import triggers as rows
from engine.store.commands import Announcement, Stored
from engine.store.database import Database, Unit
from engine.store.documents import plain
from engine.store.triggers import trigger_key
from engine.tasks.core.trigger.flow import Flow as FlowTrigger

log = logging.getLogger(__name__)


Pairs = tuple[tuple[str, str], ...]
# Beside the parts that were met a window keeps which executions met them, under this and their id.
EXECUTION = "execution:"


class Moved(Exception):
    """A window is not any more as it was read."""


@dataclass(frozen=True, slots=True)
class Match:
    """A trigger that an execution concerns; `render` sees what the execution saw, `met` are the parts it meets."""

    flow: Flow
    trigger: FlowTrigger
    execution: Execution
    render: RenderFn
    met: Mapping[str, frozenset[str]]

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return trigger_key(self.flow.namespace, self.flow.id, self.trigger.id)


@dataclass(frozen=True, slots=True)
class Moving:
    """A window as it was read and as it is to be; one that closes is forgotten."""

    before: rows.Window | None
    after: rows.Window
    closes: bool


@dataclass(frozen=True, slots=True)
class Start:
    """What becomes of a match, ready to be written; without `prepared` only its windows move."""

    match: Match
    windows: tuple[Moving, ...]
    prepared: Prepared | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    labels: Pairs = ()


class FlowTriggers:
    """Looks at announced changes of state and starts what they trigger."""

    def __init__(
        self,
        database: Database,
        flows: Flows,
        creator: Creator,
        current: Callable[[str], Awaitable[Execution]],
        is_disabled: Callable[[str], bool],
    ) -> None:
        self._database = database
        self._flows = flows
        self._creator = creator
        self._current = current
        self._is_disabled = is_disabled
        self._states: frozenset[State] = frozenset()
        self._waiting: dict[tuple[str, str, int, str], bool] = {}  # whether asking a trigger may take its time

    def refresh(self) -> None:
        """The flows changed: which states does anybody listen to?"""
        states: set[State] = set()
        for _, trigger in self._listeners():
            states |= set(trigger.states)
            parts = [*trigger.depends_on, *(trigger.preconditions.flows if trigger.preconditions else ())]
            for part in parts:
                states |= set(part.states or ())
        self._states = frozenset(states)
        self._waiting.clear()

    def listens_to(self, execution: Execution, state: State) -> bool:
        """Whether some trigger may care that an execution reached a state."""
        return state in self._states

    async def handle(self, row: Stored) -> None:
        """Start what one announced change triggers; the announcement goes in the same transaction."""
        announced = row.command
        assert isinstance(announced, Announcement)  # noqa: S101 - the caller looked
        try:
            execution = replace(await self._current(row.execution_id), state=State(announced.state))
            concerned = [one async for one in self._concerned(execution)]
        except (NotFound, FlowInvalid) as error:  # nor would it be there, or be read, later
            log.warning("No trigger can look at execution %s: %s", row.execution_id, error)
            concerned = []
        while True:
            starts = [await self._start(one) for one in concerned]
            try:
                await self._database.transact(partial(self._write, row=row, starts=starts))
            except Moved:  # another execution was counted meanwhile: look again at what is still missing
                continue
            return

    def _write(self, unit: Unit, row: Stored, starts: Sequence[Start]) -> None:
        if not outbox.take(unit.connection, row.id):
            return
        for start in starts:
            trigger = start.match.trigger
            for window in start.windows:
                there = rows.window(unit.connection, window.after.trigger_key, window.after.window_id)
                if there != window.before:
                    raise Moved
                if window.closes:
                    rows.drop_window(unit.connection, window.after.trigger_key, window.after.window_id)
                else:
                    rows.save_window(unit.connection, window.after)
            if start.prepared is not None:
                self._creator.create_in(
                    unit,
                    start.prepared,
                    started_by="trigger",
                    origin=Origin(trigger.id, trigger.type, start.told),
                    labels=start.labels,
                    dedupe=f"{row.id}:{start.match.key}",
                    trigger_id=trigger.id,
                )

    def _listeners(self) -> Iterator[tuple[Flow, FlowTrigger]]:
        for flow in self._flows.list():
            if flow.disabled:
                continue
            for trigger in flow.triggers:
                if isinstance(trigger, FlowTrigger) and not trigger.disabled:
                    yield flow, trigger

    async def _concerned(self, execution: Execution) -> AsyncIterator[Match]:
        """The triggers that care for an execution, and which of their parts it meets."""
        source = await self._flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        seen = self._creator.renderer.variables(source, execution, None)
        services = self._creator.renderer.services(execution.namespace)

        def one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
            names = {**seen, **extra}
            return typed_value(text, names, services) if typed else render(text, names, services)

        context = ConditionContext(one, {"trigger": told_of(execution)})
        upstream = Upstream.of(execution)
        for flow, trigger in self._listeners():
            key = trigger_key(flow.namespace, flow.id, trigger.id)
            if (flow.namespace, flow.id) == (execution.namespace, execution.flow_id) or self._is_disabled(key):
                continue

            def met(trigger: FlowTrigger = trigger) -> Mapping[str, frozenset[str]] | None:
                if not trigger.looks_at(upstream, context):
                    return None
                found = trigger.met(upstream, context) if trigger.needed() else {}
                return None if trigger.needed() and not any(found.values()) else found

            try:
                found = await (in_a_thread(met) if self._waits(flow, trigger) else promptly(met))
            except EngineError as error:
                log.warning("The trigger %s could not look at %s: %s", key, execution.id, error)
                continue
            if found is not None:
                yield Match(flow, trigger, execution, one, found)

    async def _start(self, match: Match) -> Start:
        """What becomes of a match: windows that move, and the new execution when every group of parts is met."""
        now = self._creator.clock.now()
        zoned = now.astimezone(self._creator.renderer.zone)
        windows, complete = [], True
        for group in match.trigger.needed():
            starts, ends = group.window.bounds(zoned)
            query = partial(rows.window, key=match.key, window_id=group.key, to_write=False)
            there = await self._database.read(query)
            met = {part: at for part, at in (there.met if there else {}).items() if at >= starts.timestamp()}
            if starts < ends:
                parts = (*match.met.get(group.key, ()), f"{EXECUTION}{match.execution.id}")
                met |= dict.fromkeys(parts, now.timestamp())
            complete = complete and group.enough(frozenset(met))
            windows.append(Moving(there, rows.Window(match.key, group.key, starts, ends, met), group.reset))
        if not complete:
            return Start(match, tuple(replace(one, closes=False) for one in windows))
        moving = tuple(windows)
        try:
            return await self._complete(match, moving)
        except EngineError as error:
            log.warning("The trigger %s could not start its flow: %s", match.key, error)
            if isinstance(error, Refused) or was_never_begun(match.execution):
                return Start(match, moving)
            prepared = self._creator.failed(match.flow, match.trigger, error)
            return Start(match, moving, prepared, told_of(match.execution), _correlation(match.execution))

    async def _complete(self, match: Match, windows: tuple["Moving", ...]) -> Start:
        """The new execution, told of every execution that met a part; EngineError."""
        ids = {part.removeprefix(EXECUTION) for one in windows for part in one.after.met if part.startswith(EXECUTION)}
        others = [await self._output_of(one) for one in sorted(ids - {match.execution.id})]
        told = told_of(match.execution, [one for one in others if one is not None])
        trigger, one = match.trigger, match.render

        def work() -> tuple[dict[str, Any], Pairs]:
            def rendered_one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
                return one(text, {"trigger": told, **extra}, typed)

            labels = labels_of_trigger(trigger.labels, lambda text: str(rendered_one(text, {}, False)))
            return rendered(trigger.inputs, rendered_one), labels

        given, labels = await (in_a_thread(work) if self._waits(match.flow, trigger) else promptly(work))
        resolved = await self._creator.check_for(match.trigger, match.flow, given)
        prepared = await self._creator.prepare(match.flow, resolved, local_files=False)
        return Start(match, windows, prepared, told, (*labels, *_correlation(match.execution)))

    async def _output_of(self, execution_id: str) -> Execution | None:
        try:
            return await self._current(execution_id)
        except NotFound:  # it was deleted since
            return None

    def _waits(self, flow: Flow, trigger: FlowTrigger) -> bool:
        key = (flow.namespace, flow.id, flow.revision, trigger.id)
        if key not in self._waiting:
            self._waiting[key] = waits(trigger.model_dump(exclude_unset=True, warnings=False))
        return self._waiting[key]


def was_never_begun(execution: Execution) -> bool:
    """Whether a Flow trigger could only make it FAILED: were two such flows to hear of each other, they never ended."""
    origin = execution.origin
    return origin is not None and origin.type in FlowTrigger.type_names() and not execution.task_runs


def _correlation(execution: Execution) -> Pairs:
    return tuple(label for label in execution.labels if label[0] == CORRELATION)[:1]


def told_of(execution: Execution, others: Sequence[Execution] = ()) -> dict[str, Any]:
    """What the new execution sees as `trigger`; `others` met parts of it before, and their outputs are there too."""
    runs = list(execution.task_runs.values())
    told: dict[str, Any] = {
        "executionId": execution.id,
        "namespace": execution.namespace,
        "flowId": execution.flow_id,
        "flowRevision": execution.revision,
        "state": execution.state.value,
        "executionLabels": labels_map(label for label in execution.labels if label[0] != CORRELATION),
        "startDate": plain(execution.created),
        "endDate": plain(execution.ended),
        "firstFailedTaskId": next((run.task_id for run in runs if run.state is State.FAILED), None),
        "lastTaskId": runs[-1].task_id if runs else None,
    }
    given = [(one.flow_id, plain(one.outputs)) for one in (*others, execution) if one.outputs is not None]
    if given:
        every = {name: value for _, outputs in given for name, value in outputs.items()}
        told["outputs"] = {**every, **dict(given)}
    return told


def rendered(inputs: Mapping[str, Any], one: Callable[[str, Mapping[str, Any], bool], Any]) -> dict[str, Any]:
    """A trigger's inputs with their templates rendered; ExpressionFailed."""

    def value(item: Any) -> Any:
        if isinstance(item, str):
            return one(item, {}, False)
        if isinstance(item, Mapping):
            return {key: value(inner) for key, inner in item.items()}
        return [value(inner) for inner in item] if isinstance(item, list | tuple) else item

    return {key: value(item) for key, item in inputs.items()}
