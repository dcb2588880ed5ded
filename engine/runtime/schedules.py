"""Schedules: which date of which trigger is due, and the execution for it, once.

Where a trigger stands is a row: its next date and the execution it waits for. A date is taken (UNIQUE), its execution
created and the row moved on in one transaction. A date that came while the last execution was under way waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from engine.clock import Clock
from engine.core.durations import parse as parse_duration
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.inputs import RenderFn
from engine.core.labels import read_labels
from engine.core.triggers import Scheduled
from engine.errors import EngineError, ExpressionFailed, NotFound, StoreFailed
from engine.expressions import render
from engine.identifiers import new_id
from engine.rendering import typed_value
from engine.runtime.creation import Creator, Prepared
from engine.runtime.flow_triggers import rendered
from engine.runtime.flows import Flows
from engine.scheduler import NextAfter, Scheduler
from engine.store import executions
from engine.store import triggers as rows
from engine.store.database import Database, Unit
from engine.store.triggers import TriggerState, trigger_key

log = logging.getLogger(__name__)

EARLY = timedelta(seconds=1)  # an alarm may ring that much before its date


@dataclass(slots=True)
class Entry:
    """One schedule of a flow, and where it stands."""

    flow: Flow
    trigger: Scheduled
    state: TriggerState
    next_after: NextAfter

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return self.state.key


class Schedules:
    """Starts executions at the dates of triggers."""

    def __init__(self, database: Database, flows: Flows, creator: Creator, clock: Clock) -> None:
        self._database = database
        self._flows = flows
        self._creator = creator
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._states: dict[str, TriggerState] = {}
        self._scheduler = Scheduler(clock, self._due)
        self._looking: dict[str, bool] = {}  # key → look again when done
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._refreshing = asyncio.Lock()

    async def start(self) -> None:
        """Take up the dates that passed while nothing ran, as each trigger says, and watch for the next."""
        self._is_open = True
        self._states = {state.key: state for state in await self._database.read(rows.all_states)}
        await self._release_ended()
        await self._refresh(recovering=True)
        self._scheduler.start()

    async def stop(self) -> None:
        """Start nothing more."""
        self._is_open = False
        self._scheduler.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """The flows changed: what they say holds when this returns."""
        if self._is_open:
            await self._refresh()

    def is_disabled(self, key: str) -> bool:
        """Whether somebody switched a trigger off (`stopAfter`, Toggle), whatever its flow says."""
        state = self._states.get(key)
        return state is not None and state.disabled

    def stops(self, execution: Execution) -> bool:
        """Whether the end of an execution switches off the trigger that started it (`stopAfter`)."""
        if execution.origin is None:
            return False
        try:
            flow = self._flows.get(execution.namespace, execution.flow_id)
        except EngineError:
            return False
        trigger = next((one for one in flow.triggers if one.id == execution.origin.id), None)
        return trigger is not None and execution.state in trigger.stop_after

    def released(self, state: TriggerState) -> None:
        """The execution a trigger waited for has ended."""
        self._keep(state)
        self._look(state.key)

    async def toggle(self, namespace: str, flow_id: str, trigger_id: str, *, disabled: bool) -> None:
        """Switch a trigger off or on; NotFound."""
        flow = self._flows.get(namespace, flow_id)
        if all(trigger.id != trigger_id for trigger in flow.triggers):
            raise NotFound(f"The flow {namespace}.{flow_id} has no trigger {trigger_id!r}.")
        now = self._clock.now()

        def work(unit: Unit) -> TriggerState:
            found = rows.get(unit.connection, namespace, flow_id, trigger_id)
            state = replace(found or TriggerState(namespace, flow_id, trigger_id, now), disabled=disabled, updated=now)
            rows.save(unit.connection, state)
            return state

        state = await self._database.transact(work)
        self._states[state.key] = state
        entry = self._entries.get(state.key)
        if entry is not None and not disabled:
            state = replace(state, next_date=await self._next(entry, now))
        self._keep(state)

    @property
    def busy(self) -> int:
        """How many schedules are being looked at."""
        return len(self._tasks)

    def next_dates(self) -> dict[str, datetime]:
        """The next date of every trigger that has one, by `namespace/flow/trigger`."""
        return {
            key: e.state.next_date for key, e in self._entries.items() if e.state.next_date and not e.state.disabled
        }

    # Keeping up with the flows

    async def _refresh(self, *, recovering: bool = False) -> None:
        async with self._refreshing:
            await self._take_in(recovering=recovering)

    async def _take_in(self, *, recovering: bool) -> None:
        now = self._clock.now()
        entries: dict[str, Entry] = {}
        changed: list[TriggerState] = []
        for flow, trigger in list(self._declared()):
            key = trigger_key(flow.namespace, flow.id, trigger.id)
            before = self._entries.get(key)
            if before is not None and (before.trigger is trigger or before.trigger == trigger):
                before.flow = flow
                entries[key] = before
                continue
            entry = await self._entry(flow, trigger, now, recovering=recovering)
            if entry.state != self._states.get(key):
                changed.append(entry.state)
            entries[key] = entry
            await asyncio.sleep(0)  # working out dates takes its time: others get their turn
        if changed:
            await self._database.transact(lambda unit: rows.save_all(unit.connection, changed))
            self._states |= {state.key: state for state in changed}
        self._entries = entries
        self._scheduler.sync({key: entry.next_after for key, entry in entries.items()})
        for key in entries:
            self._look(key)

    def _declared(self) -> Iterator[tuple[Flow, Scheduled]]:
        for flow in self._flows.list():
            if not flow.disabled:
                for trigger in flow.triggers:
                    if isinstance(trigger, Scheduled) and not trigger.disabled:
                        yield flow, trigger

    async def _entry(self, flow: Flow, trigger: Scheduled, now: datetime, *, recovering: bool) -> Entry:
        key = trigger_key(flow.namespace, flow.id, trigger.id)
        definition = definition_of(trigger)
        state = self._states.get(key) or TriggerState(flow.namespace, flow.id, trigger.id, now)
        zone = self._creator.renderer.zone
        entry = Entry(flow, trigger, state, lambda after: trigger.tick(after.astimezone(zone)))
        known = state.definition == definition and state.next_date is not None
        date = state.next_date if known else await self._next(entry, now)
        if known and date is not None and date <= now:
            date = await self._recovered(entry, date, now, recovering=recovering)
        if not known or date != state.next_date:
            entry.state = replace(state, next_date=date, definition=definition, updated=now)
        return entry

    async def _recovered(self, entry: Entry, date: datetime, now: datetime, *, recovering: bool) -> datetime | None:
        """The date to go on with when some passed while nothing ran."""
        mode = entry.trigger.recover_missed_schedules or "ALL"
        if not recovering or mode == "ALL":
            return date
        if mode == "NONE":
            return await self._next(entry, now)
        previous = await self._previous(entry, now + timedelta(microseconds=1))
        return date if previous is None else max(previous, date)

    async def _release_ended(self) -> None:
        """Executions that triggers wait for but that are not there any more."""
        now = self._clock.now()
        for state in tuple(self._states.values()):
            if state.execution_id is None:
                continue
            execution_id = state.execution_id
            found = await self._database.read(lambda c, e=execution_id: executions.state_of(c, e))  # type: ignore[misc]
            if found is None:
                gone = replace(state, execution_id=None, updated=now)
                await self._database.transact(lambda unit, s=gone: rows.save(unit.connection, s))  # type: ignore[misc]
                self._states[state.key] = gone

    # Firing

    def _due(self, keys: list[str]) -> None:
        for key in keys:
            self._look(key)

    def _look(self, key: str) -> None:
        if not self._is_open or key not in self._entries:
            return
        if key in self._looking:
            self._looking[key] = True
            return
        self._looking[key] = False
        self._spawn(self._look_until_done(key))

    async def _look_until_done(self, key: str) -> None:
        try:
            while True:
                self._looking[key] = False
                try:
                    await self._fire_due(key)
                except StoreFailed as error:
                    log.error("The schedule %s can't be written (%s); trying again.", key, error)
                    await asyncio.sleep(1)
                    continue
                except EngineError as error:
                    log.error("The schedule %s could not fire: %s", key, error)
                if not self._looking[key]:
                    return
        finally:
            self._looking.pop(key, None)

    async def _fire_due(self, key: str) -> None:
        while (entry := self._entries.get(key)) is not None and self._is_open:
            state, now = entry.state, self._clock.now()
            date = state.next_date
            if state.disabled or date is None or date > now + EARLY:
                return
            if state.execution_id is not None and not entry.trigger.allow_concurrent:
                return  # its end looks again
            following = await self._next(entry, date)
            if self._is_late(entry.trigger, date, now):
                moved = replace(state, next_date=following, updated=now)
                await self._database.transact(lambda unit, s=moved: rows.save(unit.connection, s))  # type: ignore[misc]
                self._keep(moved)
                continue
            await self._fire(entry, date, following)

    def _is_late(self, trigger: Scheduled, date: datetime, now: datetime) -> bool:
        limit = trigger.late_maximum_delay
        if isinstance(limit, str):
            limit = parse_duration(limit)
        return limit is not None and now - date > limit

    async def _fire(self, entry: Entry, date: datetime, following: datetime | None) -> None:
        """The execution for one date, unless the date was taken before."""
        prepared, variables, labels = await self.prepared(entry.flow, entry.trigger, date)
        trigger, now = entry.trigger, self._clock.now()

        def work(unit: Unit) -> TriggerState:
            there = rows.get(unit.connection, entry.flow.namespace, entry.flow.id, trigger.id) or entry.state
            state = replace(there, next_date=following, last_date=date, updated=now, definition=entry.state.definition)
            if rows.claim_fire(unit.connection, entry.key, date, prepared.id, now):
                made = self._creator.create_in(
                    unit,
                    prepared,
                    started_by="schedule",
                    origin=Origin(trigger.id, trigger.type, variables),
                    labels=labels,
                    trigger_id=trigger.id,
                )
                ended = made.state.is_terminal
                state = replace(state, execution_id=state.execution_id if ended else made.id)
            rows.save(unit.connection, state)
            unit.after_commit(lambda: self._keep(state))
            return state

        await self._database.transact(work)

    async def prepared(
        self, flow: Flow, trigger: Scheduled, date: datetime
    ) -> tuple[Prepared, Mapping[str, Any], tuple[tuple[str, str], ...]]:
        """What the execution for a date needs; one that can't be made becomes a FAILED execution that says why."""
        variables: Mapping[str, Any] = {"date": date.isoformat(timespec="seconds")}
        try:
            one = self.render_for(flow)
            local = date.astimezone(trigger.zone(self._creator.renderer.zone))
            variables = await asyncio.to_thread(trigger.variables_at, local, one)
            trigger.holds_at(local, one)
            names = {"trigger": variables, "schedule": variables}

            def render_one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
                return one(text, {**names, **extra}, typed)

            given = rendered(trigger.inputs, render_one)
            labels = tuple((key, str(render_one(value, {}, False))) for key, value in read_labels(trigger.labels))
            resolved = await self._creator.check(flow.inputs, given, flow)
            return await self._creator.prepare(flow, resolved, local_files=False), variables, labels
        except EngineError as error:
            reason = f"The trigger {trigger.id!r} could not start the flow: {error}"
            return Prepared(new_id(self._clock.now()), flow, {}, reason), variables, ()

    def render_for(self, flow: Flow) -> RenderFn:
        """Renders for a trigger of a flow, before there is an execution."""
        seen = self._creator.variables(flow)
        services = self._creator.renderer.services(flow.namespace)

        def one(text: str, extra: Mapping[str, Any], typed: bool) -> Any:
            names = {**seen, **extra}
            return typed_value(text, names, services) if typed else render(text, names, services)

        return one

    async def _next(self, entry: Entry, after: datetime) -> datetime | None:
        return await self._search(entry, entry.trigger.next_date, after)

    async def _previous(self, entry: Entry, before: datetime) -> datetime | None:
        return await self._search(entry, entry.trigger.previous_date, before)

    async def _search(self, entry: Entry, search: Callable[..., datetime | None], start: datetime) -> datetime | None:
        local = start.astimezone(entry.trigger.zone(self._creator.renderer.zone))
        one = self.render_for(entry.flow)
        try:
            if entry.trigger.conditions or entry.trigger.when is not None:
                return await asyncio.to_thread(search, local, one)
            return search(local, one)
        except ExpressionFailed as error:
            log.warning("The schedule %s can't tell its dates: %s", entry.key, error)
            return None

    def _keep(self, state: TriggerState) -> None:
        self._states[state.key] = state
        entry = self._entries.get(state.key)
        if entry is not None:
            entry.state = state

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def definition_of(trigger: Scheduled) -> str:
    """What of a trigger decides its dates, as text: a trigger whose text is another starts anew."""
    return trigger.model_dump_json(include={"cron", "with_seconds", "timezone", "dates", "conditions", "when"})
