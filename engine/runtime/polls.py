"""Polling triggers: each looks again after its interval, and not while what it started last is under way."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from engine.core.execution import Origin
from engine.core.flow import Flow
from engine.dispatch.inline import Timers
from engine.errors import EngineError, StoreFailed, TaskFailed
from engine.key_values import KeyValueStore
from engine.plugin import Look, Outputs, PollingTrigger
from engine.runtime.flows import Flows
from engine.runtime.starts import Start, Starts
from engine.runtime.trigger_states import TriggerStates
from engine.store import triggers as rows
from engine.store.database import Database, Unit
from engine.store.documents import plain
from engine.store.triggers import TriggerState, trigger_key

log = logging.getLogger(__name__)
LONGEST = 600.0  # seconds one look may take


@dataclass(frozen=True, slots=True)
class Polled:
    """One polling trigger of a flow."""

    flow: Flow
    trigger: PollingTrigger
    definition: str

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return trigger_key(self.flow.namespace, self.flow.id, self.trigger.id)


class Polls:
    """Looks for polling triggers, and starts what they find."""

    def __init__(
        self,
        database: Database,
        flows: Flows,
        starts: Starts,
        states: TriggerStates,
        timers: Timers,
        kv: KeyValueStore,
    ) -> None:
        self._database = database
        self._flows = flows
        self._starts = starts
        self._creator = starts.creator
        self._clock = starts.creator.clock
        self._states = states
        self._timers = timers
        self._kv = kv
        self._polled: dict[str, Polled] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._is_open = False
        self._forget_jumps: Callable[[], None] = lambda: None

    @property
    def busy(self) -> int:
        """How many look right now."""
        return len(self._looking)

    async def start(self) -> None:
        """Look for all that are due, and go on."""
        self._is_open = True
        self._forget_jumps()
        self._forget_jumps = self._clock.on_jump(self._jumped)
        await self.refresh()

    async def stop(self) -> None:
        """Look no more."""
        self._is_open = False
        self._forget_jumps()
        for task in tuple(self._looking.values()):
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    async def refresh(self) -> None:
        """The flows changed: a new trigger, or one that says something else now, looks at once."""
        polled = {one.key: one for one in self._declared()}
        now = self._clock.now()
        fresh = []
        for one in polled.values():
            there = self._states.get(one.key)
            if there is None or there.definition != one.definition or there.next_date is None:
                there = there or TriggerState(one.flow.namespace, one.flow.id, one.trigger.id, now)
                fresh.append(replace(there, next_date=now, definition=one.definition, updated=now))
        await self._states.save_dates(fresh)
        for key in self._polled.keys() - polled.keys():
            self._timers.cancel(_timer(key))
        self._polled = polled
        for key in polled:
            self.look(key)

    def look(self, key: str) -> None:
        """Look now if it is time to, later if not."""
        one, state = self._polled.get(key), self._states.get(key)
        if one is None or state is None or not self._is_open or key in self._looking:
            return
        if state.disabled or state.next_date is None:
            return
        if state.execution_id is not None and not one.trigger.allow_concurrent:
            return  # its end looks again
        if timedelta(0) < state.next_date - self._clock.now() <= one.trigger.interval:  # more: the clock was set back
            self._timers.set(_timer(key), state.next_date, lambda: self.look(key))
            return
        task = asyncio.create_task(self._poll(one, state), name=f"poll {key}")
        self._looking[key] = task
        task.add_done_callback(lambda _: self._done(key))

    def _done(self, key: str) -> None:
        self._looking.pop(key, None)
        self.look(key)

    def _jumped(self) -> None:
        for key in self._polled:
            self.look(key)

    def _declared(self) -> Iterator[Polled]:
        for flow in self._flows.list():
            if flow.disabled:
                continue
            for trigger in flow.triggers:
                if isinstance(trigger, PollingTrigger) and not trigger.disabled:
                    text = trigger.model_dump_json(by_alias=True, warnings=False)
                    yield Polled(flow, trigger, sha256(text.encode()).hexdigest())

    async def _poll(self, one: Polled, seen: TriggerState) -> None:
        memory: Mapping[str, Any] | None = None
        try:
            start, memory = await self._found(one, seen)
        except EngineError as error:
            log.warning("The trigger %s could not look: %s", one.key, self._creator.masker.mask(str(error)))
            start = None
            if one.trigger.fail_on_trigger_error:
                start = self._starts.failed(one.flow, one.trigger, {}, error)
        except Exception:
            log.exception("The trigger %s broke.", one.key)
            start = None
        try:
            await self._written(one, seen, start, memory)
        except StoreFailed as error:
            log.error("The trigger %s can't be written (%s); it looks again.", one.key, error)
            await asyncio.sleep(1)

    async def _found(self, one: Polled, seen: TriggerState) -> tuple[Start | None, Mapping[str, Any] | None]:
        """The execution for what the trigger sees, None when it sees nothing or its conditions say no; and what it must
        remember, None when it does not. EngineError; where that may start an execution, what was seen does, FAILED."""
        memory = await self._database.read(lambda connection: rows.memory(connection, one.key))
        context = self._starts.context(one.flow, one.trigger, self._kv, memory, partial(self._remember, one, seen))
        try:
            async with asyncio.timeout(LONGEST):
                found = await one.trigger.poll(context)
        except TimeoutError as error:
            raise TaskFailed(f"It took longer than {LONGEST:g} s to look.", fix="Set timeouts in `options`.") from error
        finally:
            await context.close()
        known = plain(found.memory) if isinstance(found, Look) else None
        found = found.found if isinstance(found, Look) else found
        if found is None:
            return None, known
        variables: Mapping[str, Any] = plain(found.model_dump(by_alias=True) if isinstance(found, Outputs) else found)
        names = {"trigger": variables}
        try:
            if not await self._starts.holds(one.flow, one.trigger, names):
                return None, known
            return await self._starts.start(one.flow, one.trigger, variables, names), known
        except EngineError as error:
            if not one.trigger.fail_on_trigger_error:
                raise
            return self._starts.failed(one.flow, one.trigger, variables, error), known

    async def _remember(self, one: Polled, seen: TriggerState, memory: Mapping[str, Any]) -> None:
        """Write what a trigger must know at its next look, while it looks; TaskFailed when it stands no more as
        `seen`."""

        def work(unit: Unit) -> bool:
            there = rows.held(unit.connection, one.flow.namespace, one.flow.id, one.trigger.id) or seen
            if there.disabled or there.next_date != seen.next_date:
                return False
            rows.save_memory(unit.connection, one.key, plain(memory))
            return True

        if not await self._database.transact(work):
            raise TaskFailed("The trigger was switched off or edited, or another process looks for it.")

    async def _written(
        self, one: Polled, seen: TriggerState, start: Start | None, memory: Mapping[str, Any] | None
    ) -> None:
        """The next date, what was seen, and the execution if there is one, in one transaction. Nothing of it when the
        trigger was switched off, or another process looked, since it stood as `seen`: what is there is found again."""
        now = self._clock.now()

        def work(unit: Unit) -> TriggerState:
            there = rows.held(unit.connection, one.flow.namespace, one.flow.id, one.trigger.id)
            there = there or seen
            if there.disabled or there.next_date != seen.next_date:
                unit.after_commit(lambda: self._states.keep(there))
                return there
            state = replace(
                there, next_date=now + one.trigger.interval, last_date=now, definition=one.definition, updated=now
            )
            if start is not None:
                made = self._creator.create_in(
                    unit,
                    start.prepared,
                    started_by="trigger",
                    origin=Origin(one.trigger.id, one.trigger.type, start.variables),
                    labels=start.labels,
                    trigger_id=one.trigger.id,
                )
                state = state.having_started(made, one.trigger.stop_after)
            rows.save(unit.connection, state)
            if memory is not None:
                rows.save_memory(unit.connection, one.key, memory)
            unit.after_commit(lambda: self._states.keep(state))
            return state

        await self._database.transact(work)


def _timer(key: str) -> str:
    return f"poll:{key}"
