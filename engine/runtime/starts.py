"""What a trigger starts: its inputs and labels rendered, its conditions asked, the execution prepared."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from engine.aside import aside
from engine.core.conditions import ConditionContext
from engine.core.flow import Flow
from engine.core.inputs import RenderFn
from engine.core.labels import read_labels
from engine.core.triggers import Scheduled, Trigger
from engine.errors import EngineError, ExpressionFailed
from engine.expressions import render as render_text
from engine.key_values import KeyValueStore
from engine.plugin import Records
from engine.rendering import typed_value
from engine.runtime.creation import Creator, Prepared
from engine.runtime.flow_triggers import rendered
from engine.runtime.trigger_labels import labels_of_trigger
from engine.trigger_context import TriggerContext

Pairs = tuple[tuple[str, str], ...]
SEARCH_SECONDS = 5.0  # that the conditions of a schedule may take to find one of its dates


def hurried(render: RenderFn, clock: Callable[[], float] = monotonic) -> RenderFn:
    """Renders the conditions of a schedule for a search among its dates: ExpressionFailed once all of them together
    have taken too long. The date that is asked about then is looked at when it comes."""
    until: float | None = None

    def one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
        nonlocal until
        until = until or clock() + SEARCH_SECONDS
        if clock() > until:
            raise ExpressionFailed("The conditions take too long to look for dates far ahead.")
        return render(text, extra, typed)

    return one


@dataclass(frozen=True, slots=True)
class Start:
    """Everything `create_in` needs for the execution of a trigger."""

    prepared: Prepared
    variables: Mapping[str, Any]
    labels: Pairs = ()


@dataclass(slots=True)
class Starts:
    """Prepares executions for triggers. `records`: what the engine keeps, for those that look at it."""

    creator: Creator
    records: Records | None = None

    def context(
        self,
        flow: Flow,
        trigger: Trigger,
        kv: KeyValueStore,
        memory: Mapping[str, Any] | None = None,
        remember: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None,
    ) -> TriggerContext:
        """What a trigger may touch while it looks or listens, what it remembers, and how it writes that; to be
        closed."""
        creator = self.creator
        return TriggerContext(
            flow,
            trigger,
            creator.variables(flow),
            settings=creator.settings,
            renderer=creator.renderer,
            files=creator.files,
            masker=creator.masker,
            kv=kv,
            memory=memory or {},
            remember=remember,
            records=self.records,
        )

    def render_for(self, flow: Flow, *, calls: bool = False) -> RenderFn:
        """Renders for a trigger of a flow, before there is an execution.

        Without `calls` http() is refused, as for the conditions of a schedule: they are asked for many dates ahead.
        """
        seen = self.creator.variables(flow)
        renderer = self.creator.renderer if calls else self.creator.renderer.quiet
        services = renderer.services(flow.namespace)

        def one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
            names = {**seen, **extra}
            return typed_value(text, names, services) if typed else render_text(text, names, services)

        return one

    async def holds(self, flow: Flow, trigger: Trigger, names: Mapping[str, Any]) -> bool:
        """Whether the trigger's conditions are met; ExpressionFailed."""
        context = ConditionContext(self._render_with(flow, names), names)
        asked = trigger.model_dump(include={"conditions", "when"}, exclude_unset=True, warnings=False)
        return await aside(asked, lambda: trigger.holds(context))

    async def start(
        self,
        flow: Flow,
        trigger: Trigger,
        variables: Mapping[str, Any],
        names: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        labels: Sequence[tuple[str, str]] = (),
        *,
        execution_id: str | None = None,
    ) -> Start:
        """The execution for what happened: the trigger's inputs and labels, then those given; EngineError."""
        one = self._render_with(flow, names)

        def work() -> tuple[dict[str, Any], Pairs]:
            return rendered(trigger.inputs, one), labels_of_trigger(
                trigger.labels, lambda text: str(one(text, {}, False))
            )

        given, own = await aside([trigger.inputs, dict(read_labels(trigger.labels))], work)
        resolved = await self.creator.check_for(trigger, flow, {**given, **(inputs or {})})
        prepared = await self.creator.prepare(flow, resolved, local_files=False, execution_id=execution_id)
        return Start(prepared, variables, (*own, *labels))

    async def at_date(
        self,
        flow: Flow,
        trigger: Scheduled,
        date: datetime,
        inputs: Mapping[str, Any] | None = None,
        labels: Sequence[tuple[str, str]] = (),
    ) -> Start:
        """The execution for a date of a schedule; EngineError."""
        one = self.render_for(flow)
        local = date.astimezone(trigger.zone(self.creator.renderer.zone))

        def ask() -> Mapping[str, Any]:
            trigger.holds_at(local, one)
            return trigger.variables_at(local, hurried(one))

        variables = await asyncio.to_thread(ask)
        names = {"trigger": variables, "schedule": variables}
        return await self.start(flow, trigger, variables, names, inputs, labels)

    async def at_date_or_failed(
        self,
        flow: Flow,
        trigger: Scheduled,
        date: datetime,
        inputs: Mapping[str, Any] | None = None,
        labels: Sequence[tuple[str, str]] = (),
    ) -> Start:
        """The same; one that can't be made becomes a FAILED execution that says why."""
        try:
            return await self.at_date(flow, trigger, date, inputs, labels)
        except EngineError as error:
            return self.failed(flow, trigger, {"date": date.isoformat(timespec="seconds")}, error)

    def failed(self, flow: Flow, trigger: Trigger, variables: Mapping[str, Any], error: EngineError) -> Start:
        """A FAILED execution that says why there is no other."""
        return Start(self.creator.failed(flow, trigger, error), variables)

    def _render_with(self, flow: Flow, names: Mapping[str, Any]) -> RenderFn:
        one = self.render_for(flow, calls=True)

        def render_one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
            return one(text, {**names, **extra}, typed)

        return render_one
