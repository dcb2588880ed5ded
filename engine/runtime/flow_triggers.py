"""Flow triggers: executions that start because executions of other flows reached a state."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.core.conditions import ConditionContext, Upstream
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.labels import read_labels
from engine.core.state import State
from engine.core.variables import labels_map
from engine.errors import EngineError
from engine.expressions import render
from engine.rendering import in_a_thread, typed_value, waits
from engine.runtime.creation import CORRELATION, Creator, Prepared
from engine.runtime.flows import Flows
from engine.store import commands as outbox
from engine.store import triggers as rows
from engine.store.commands import Announcement, Stored
from engine.store.database import Database, Unit
from engine.store.documents import plain
from engine.store.triggers import trigger_key
from engine.tasks.core.trigger.flow import Flow as FlowTrigger

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Match:
    """A trigger that an execution concerns, with everything its own execution needs."""

    flow: Flow
    trigger: FlowTrigger
    prepared: Prepared
    variables: Mapping[str, Any]
    labels: tuple[tuple[str, str], ...]
    met: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return trigger_key(self.flow.namespace, self.flow.id, self.trigger.id)


@dataclass(frozen=True, slots=True)
class Scope:
    """An execution as triggers look at it: what conditions and expressions see, and what a new execution is told."""

    upstream: Upstream
    context: ConditionContext
    told: Mapping[str, Any]


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
        execution = replace(await self._current(row.execution_id), state=State(announced.state))
        matches = [match async for match in self._matches(execution)]

        def work(unit: Unit) -> None:
            if not outbox.take(unit.connection, row.id):
                return
            for match in matches:
                if self._is_complete(unit, match):
                    self._creator.create_in(
                        unit,
                        match.prepared,
                        started_by="trigger",
                        origin=Origin(match.trigger.id, match.trigger.type, match.variables),
                        labels=match.labels,
                        dedupe=f"{row.id}:{match.key}",
                        trigger_id=match.trigger.id,
                    )

        await self._database.transact(work)

    def _listeners(self) -> Iterator[tuple[Flow, FlowTrigger]]:
        for flow in self._flows.list():
            if flow.disabled:
                continue
            for trigger in flow.triggers:
                if isinstance(trigger, FlowTrigger) and not trigger.disabled:
                    yield flow, trigger

    async def _matches(self, execution: Execution) -> Any:
        upstream = Upstream.of(execution)
        source = await self._flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        told = told_of(execution)
        seen = self._creator.renderer.variables(source, execution, None) | {"trigger": told}
        services = self._creator.renderer.services(execution.namespace)

        def one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
            names = {**seen, **extra}
            return typed_value(text, names, services) if typed else render(text, names, services)

        scope = Scope(upstream, ConditionContext(one, {"trigger": told}), told)
        for flow, trigger in self._listeners():
            key = trigger_key(flow.namespace, flow.id, trigger.id)
            if (flow.namespace, flow.id) == (execution.namespace, execution.flow_id) or self._is_disabled(key):
                continue
            try:
                match = await self._match(flow, trigger, scope)
                if match is not None:
                    yield match
            except EngineError as error:
                log.warning("The trigger %s could not start its flow: %s", key, error)

    async def _match(self, flow: Flow, trigger: FlowTrigger, scope: Scope) -> Match | None:
        """What a trigger starts because of an execution, None when it does not care for it; EngineError."""
        one = scope.context.render

        def work() -> tuple[Mapping[str, frozenset[str]], dict[str, Any], tuple[tuple[str, str], ...]] | None:
            if not trigger.looks_at(scope.upstream, scope.context):
                return None
            met = trigger.met(scope.upstream, scope.context) if trigger.needed() else {}
            if trigger.needed() and not any(met.values()):
                return None
            labels = tuple((key, str(one(value, {}, False))) for key, value in read_labels(trigger.labels))
            return met, rendered(trigger.inputs, one), labels

        found = await in_a_thread(work) if self._waits(flow, trigger) else work()
        if found is None:
            return None
        met, given, labels = found
        resolved = await self._creator.check(flow.inputs, given, flow)
        prepared = await self._creator.prepare(flow, resolved, local_files=False)
        return Match(flow, trigger, prepared, scope.told, labels, met)

    def _waits(self, flow: Flow, trigger: FlowTrigger) -> bool:
        key = (flow.namespace, flow.id, flow.revision, trigger.id)
        if key not in self._waiting:
            self._waiting[key] = waits(trigger.model_dump(exclude_unset=True, warnings=False))
        return self._waiting[key]

    def _is_complete(self, unit: Unit, match: Match) -> bool:
        """Whether every group of parts is met within its window; runs in the transaction."""
        now = self._creator.clock.now()
        groups = match.trigger.needed()
        complete = True
        for group in groups:
            zone = self._creator.renderer.zone
            starts, ends = group.window.bounds(now.astimezone(zone))
            there = rows.window(unit.connection, match.key, group.key)
            known = there.met if there is not None else {}
            met = {part: at for part, at in known.items() if at >= plain_time(starts)}
            if starts < ends:
                met |= {part: plain_time(now) for part in match.met.get(group.key, ())}
            rows.save_window(unit.connection, rows.Window(match.key, group.key, starts, ends, met))
            complete = complete and group.enough(frozenset(met))
        if complete:
            for group in groups:
                if group.reset:
                    rows.drop_window(unit.connection, match.key, group.key)
        return complete


def plain_time(moment: Any) -> float:
    """Seconds since 1970, for comparing."""
    return float(moment.timestamp())


def told_of(execution: Execution) -> dict[str, Any]:
    """What the new execution sees as `trigger`."""
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
    if execution.outputs is not None:
        told["outputs"] = {**plain(execution.outputs), execution.flow_id: plain(execution.outputs)}
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
