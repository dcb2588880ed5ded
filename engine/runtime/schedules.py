"""Schedules: which date of which trigger is due, and the execution for it, once.

Where a trigger stands is a row: its next date and the execution it waits for. A date is taken (UNIQUE), its execution
created and the row moved on in one transaction. A date that came while the last execution was under way waits for it.
While a backfill runs the regular dates wait: it is told apart in the row, so that the next date is as it was before.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from engine.clock import Clock
from engine.core.backfills import Backfill
from engine.core.execution import Origin
from engine.core.flow import Flow
from engine.core.triggers import Scheduled
from engine.dispatch.inline import Timers
from engine.errors import EngineError, ExpressionFailed, NotFound, StoreFailed
from engine.key_values import KeyValueStore
from engine.runtime.backfills import Backfills
from engine.runtime.creation import Creator
from engine.runtime.flows import Flows
from engine.runtime.own_schedules import Occurrences, OwnSchedules
from engine.runtime.salvos import SALVO, Entry, Salvos, may_join
from engine.runtime.starts import Starts, hurried
from engine.runtime.trigger_states import TriggerStates, definition_of
from engine.runtime.watches import Watches
from engine.scheduler import Scheduler
from engine.store import triggers as rows
from engine.store.database import Beside, Database, Unit
from engine.store.triggers import TriggerState, trigger_key
from engine.tallies import FIRE_LATENESS

log = logging.getLogger(__name__)

EARLY = timedelta(seconds=1)  # an alarm may ring that much before its date
GATHER = 0.01  # seconds in which dates that come are gathered
BURST = 8  # dates that come in one moment from which on more are taken to come: all that are due are looked at
PIECE = 1000  # dates that are looked at in one turn of the loop


class Schedules:
    """Starts executions at the dates of triggers. `undecided` tells how many executions are being decided upon."""

    def __init__(
        self,
        database: Database,
        flows: Flows,
        creator: Creator,
        clock: Clock,
        timers: Timers,
        kv: KeyValueStore,
        undecided: Callable[[], int],
    ) -> None:
        self._database = database
        self._flows = flows
        self._creator = creator
        self._clock = clock
        self.starts = Starts(creator)
        self._entries: dict[str, Entry] = {}
        self._states = TriggerStates(database, clock)
        self._watches = Watches(database, flows, self.starts, self._states, timers, kv)
        self.backfills = Backfills(database, creator, self.starts, clock, self._entry_of, self._next, self._moved)
        self.own = OwnSchedules(database, flows.registry)
        self.occurrences = Occurrences(database, clock, lambda: self._entries, self._next, self._moved)
        self._scheduler = Scheduler(clock, self._due)
        self._salvos = Salvos(database, self.starts, clock, self._keep, undecided)
        self._called: list[str] = []  # keys whose dates came in the last moments
        self._looking: dict[str, bool] = {}  # key → look again when done
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False  # whether this process is the one that fires
        self._is_known = False
        self._refreshing = asyncio.Lock()

    async def start(self, *, leads: bool = True) -> None:
        """Take up the dates that passed while nothing ran, as each trigger says, and watch for the next; who does not
        lead only knows where they stand."""
        self._is_known, self._is_open = True, leads
        await self._states.load()
        await self.own.load()
        await self._refresh(recovering=True)
        if leads:
            self._scheduler.start()
            await self._watches.start()

    async def told(self, namespace: str, flow_id: str, trigger_id: str) -> None:
        """Another process moved a trigger."""
        state = await self._database.read(lambda c: rows.get(c, namespace, flow_id, trigger_id))
        if self._is_known and await self.own.heard(trigger_id):
            await self._refresh()
        if state is None or not self._is_known:
            return
        entry = self._entries.get(state.key)
        if entry is not None and entry.state.disabled and not state.disabled:  # switched on: not for what was missed
            state = replace(state, next_date=await self._next(entry, self._clock.now()))
        self.released(state)

    async def catch_up(self) -> None:
        """Go on with triggers that others have released without our knowing."""
        for state in await self._states.outdated():
            self.released(state)

    async def stop(self) -> None:
        """Start nothing more, and forget where schedules stand."""
        self._is_known = self._is_open = False
        self._entries = {}
        self._scheduler.stop()
        await self._salvos.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watches.stop()

    async def refresh(self) -> None:
        """The flows changed: what they say holds when this returns."""
        if self._is_known:
            await self._refresh()
        if self._is_open:
            await self._watches.refresh()

    def is_disabled(self, key: str) -> bool:
        """Whether somebody switched a trigger off (`stopAfter`, Toggle), whatever its flow says."""
        return self._states.is_disabled(key)

    def released(self, state: TriggerState) -> None:
        """The execution a trigger waited for has ended."""
        self._keep(state)
        self._look(state.key)
        self._watches.look(state.key)

    def forget(self, keys: Iterable[str]) -> None:
        """What was kept of triggers that no flow has any more is gone."""
        self._states.forget(keys)

    async def toggle(
        self, namespace: str, flow_id: str, trigger_id: str, *, disabled: bool, beside: Beside = None
    ) -> None:
        """Switch a trigger off or on, with the caller's writes (`beside`) in the same transaction; NotFound."""
        now, key = self._clock.now(), trigger_key(namespace, flow_id, trigger_id)
        flow, entry = self._flows.get(namespace, flow_id), self._entries.get(key)
        declared = any(trigger.id == trigger_id for trigger in flow.triggers)
        if not declared and self.own.find(namespace, flow_id, trigger_id) is None:
            raise NotFound(f"The flow {namespace}.{flow_id} has no trigger {trigger_id!r}.")
        following = await self._next(entry, now) if entry is not None and not disabled else None

        def toggled(there: TriggerState) -> TriggerState:
            if entry is not None and there.disabled and not disabled:  # not for what was missed
                there = replace(there, next_date=following)
            return replace(there, disabled=disabled)

        state = TriggerState(namespace, flow_id, trigger_id, now)
        await self._states.write(state, toggled, self.released, beside=beside)

    def _entry_of(self, namespace: str, flow_id: str, trigger_id: str) -> Entry:
        entry = self._entries.get(trigger_key(namespace, flow_id, trigger_id))
        if entry is None:
            raise NotFound(
                f"The flow {namespace}.{flow_id} has no schedule {trigger_id!r} that is in force.",
                fix="Check the names, and that neither flow nor trigger is `disabled`.",
            )
        return entry

    @property
    def busy(self) -> int:
        """How many schedules are being looked at."""
        return len(self._tasks) + len(self._called) + self._watches.busy

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
        if self._is_open:
            await self._states.save_dates(changed)
            for state in changed:  # and what else became of it meanwhile
                entries[state.key].state = self._states.get(state.key) or state
        self._entries = entries
        self._scheduler.sync({key: entry.next_after for key, entry in entries.items()})
        self._due(list(entries))
        self._expect(entries.values())

    def _declared(self) -> Iterator[tuple[Flow, Scheduled]]:
        for flow in self._flows.list():
            if not flow.disabled:
                for trigger in (*flow.triggers, *self.own.of(flow)):
                    if isinstance(trigger, Scheduled) and not trigger.disabled:
                        yield flow, trigger

    async def _entry(self, flow: Flow, trigger: Scheduled, now: datetime, *, recovering: bool) -> Entry:
        key = trigger_key(flow.namespace, flow.id, trigger.id)
        definition = definition_of(trigger)
        state = self._states.get(key) or TriggerState(flow.namespace, flow.id, trigger.id, now)
        entry = Entry(flow, trigger, state, self._creator.renderer.zone)
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
        previous = await self._search(entry, entry.trigger.previous_date, now + timedelta(microseconds=1))
        return date if previous is None else max(previous, date)

    # Firing

    def _due(self, keys: list[str]) -> None:
        """Dates have come; what comes within a moment is looked at together."""
        if not self._called:
            asyncio.get_running_loop().call_later(GATHER, self._swept)
        self._called += keys

    def _swept(self) -> None:
        """Alarms ring one after another: when some have, those that are still to ring are not waited for."""
        if len(self._called) >= BURST:
            now = self._clock.now()
            self._called += [key for key, entry in self._entries.items() if entry.is_due(now)]
        self._gathered()

    def _gathered(self) -> None:
        """Fire what came: many together, in pieces that leave others a turn of the loop."""
        keys, self._called = self._called[:PIECE], self._called[PIECE:]
        if self._called:
            asyncio.get_running_loop().call_soon(self._gathered)
        until = self._clock.now() + EARLY
        together: list[str] = []
        alone: list[str] = []
        for key in dict.fromkeys(keys):
            entry = self._entries.get(key)
            joins = self._is_open and entry is not None and key not in self._looking and may_join(entry, until)
            (together if joins else alone).append(key)
        if len(together) < SALVO:
            together, alone = [], [*together, *alone]
        for key in together:
            self._looking[key] = False
        if together:
            self._spawn(self._fire_together([self._entries[key] for key in together]))
        for key in alone:
            self._look(key)

    async def _fire_together(self, entries: list[Entry]) -> None:
        """Many dates at once; those that could not be taken like that are looked at one by one."""
        left = await self._salvos.fire(entries)
        for entry in entries:
            again = self._looking.pop(entry.key, False)
            if again or entry.key in left:
                self._look(entry.key)
        await self._salvos.begin()

    def _expect(self, entries: Iterable[Entry]) -> None:
        if self._is_open and len(self._entries) >= SALVO:
            self._salvos.expect(entries)

    def _look(self, key: str) -> None:
        entry = self._entries.get(key)
        if not self._is_open or entry is None:
            return
        if key in self._looking:
            self._looking[key] = True
            return
        if entry.state.backfill is None and not entry.is_due(self._clock.now() + EARLY):
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
            backfill = self.backfills.read(entry)
            filling = backfill is not None and not backfill.paused
            date = backfill.current if backfill is not None and filling else state.next_date
            if state.disabled or date is None or date > now + EARLY:
                return
            if state.execution_id is not None and (filling or not entry.trigger.allow_concurrent):
                return  # its end looks again
            following = await self._next(entry, date)
            if not filling and entry.is_late(date, now):
                await self._states.write(state, partial(replace, next_date=following), self._keep)
                continue
            await self._fire(entry, state, date, following, backfill if filling else None)

    async def _fire(
        self, entry: Entry, seen: TriggerState, date: datetime, following: datetime | None, backfill: Backfill | None
    ) -> None:
        """The execution for one date, unless the date was taken before or the trigger is not as `seen` any more."""
        given = (backfill.inputs, backfill.labels) if backfill is not None else ({}, ())
        start = await self.starts.at_date_or_failed(entry.flow, entry.trigger, date, *given)
        trigger, now = entry.trigger, self._clock.now()
        key = entry.key if backfill is None else f"{entry.key}#{backfill.id}"
        moved: dict[str, Any] = {"next_date": following, "last_date": date}
        if backfill is not None:
            moved = {"backfill": self.backfills.text(entry.key, backfill.moved(following))}

        def work(unit: Unit) -> TriggerState:
            there = rows.held(unit.connection, entry.flow.namespace, entry.flow.id, trigger.id) or seen
            if there.has_turned_since(seen, filling=backfill is not None):
                unit.after_commit(lambda: self._keep(there))
                return there
            state = replace(there, updated=now, definition=seen.definition, **moved)
            if rows.claim_fire(unit.connection, key, date, start.prepared.id, now):
                made = self._creator.create_in(
                    unit,
                    start.prepared,
                    started_by="schedule",
                    origin=Origin(trigger.id, trigger.type, start.variables),
                    labels=start.labels,
                    trigger_id=trigger.id,
                )
                state = state.having_started(made, trigger.stop_after)
            rows.save(unit.connection, state)
            unit.after_commit(lambda: self._keep(state))
            return state

        await self._database.transact(work)

    async def _next(self, entry: Entry, after: datetime) -> datetime | None:
        return await self._search(entry, entry.trigger.next_date, after)

    async def _search(self, entry: Entry, search: Callable[..., datetime | None], start: datetime) -> datetime | None:
        local = start.astimezone(entry.trigger.zone(self._creator.renderer.zone))
        one = self.starts.render_for(entry.flow)
        try:
            if entry.trigger.conditions or entry.trigger.when is not None:
                return await asyncio.to_thread(search, local, hurried(one))
            return search(local, one)
        except ExpressionFailed as error:
            log.warning("The schedule %s can't tell its dates: %s", entry.key, error)
            return None

    def _keep(self, state: TriggerState) -> None:
        self._states.keep(state)
        entry = self._entries.get(state.key)
        if entry is not None:
            if state.last_date is not None and state.last_date != entry.state.last_date:
                FIRE_LATENESS.observe(max(0.0, (self._clock.now() - state.last_date).total_seconds()))
            entry.state = self._states.get(state.key) or state
            self._expect([entry])

    def _moved(self, state: TriggerState) -> None:
        self._keep(state)
        self._look(state.key)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
