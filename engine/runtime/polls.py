"""Polling triggers: each looks again after its interval, and not while what it started last is under way."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
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
from engine.plugin import Look, Outputs, PollingTrigger, Taken
from engine.runtime.flows import Flows
from engine.runtime.listening import ended
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


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look came to: the execution to start, what to remember, and what goes on once both are written."""

    start: Start | None = None
    memory: Mapping[str, Any] | None = None
    taking: AsyncGenerator[Outputs, None] | None = None


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
        await ended(self._looking.values())

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

    async def _poll(self, one: Polled, state: TriggerState) -> None:
        async with AsyncExitStack() as held:
            seen = Seen()
            try:
                seen = await self._found(one, state, held)
            except EngineError as error:
                log.warning("The trigger %s could not look: %s", one.key, self._said(error))
                if one.trigger.fail_on_trigger_error:
                    seen = Seen(self._starts.failed(one.flow, one.trigger, {}, error))
            except Exception:
                log.exception("The trigger %s broke.", one.key)
            try:
                if await self._written(one, state, seen.start, seen.memory) and seen.taking is not None:
                    await self._confirm(one, seen.taking)
            except StoreFailed as error:
                log.error("The trigger %s can't be written (%s); it looks again.", one.key, error)
                await asyncio.sleep(1)

    async def _confirm(self, one: Polled, taking: AsyncGenerator[Outputs, None]) -> None:
        """Let a trigger say where it took from that it has what it took."""
        try:
            async with asyncio.timeout(LONGEST):
                await anext(taking, None)
        except (EngineError, TimeoutError) as error:
            log.warning(
                "What the trigger %s took may come again, for it could not be confirmed: %s", one.key, self._said(error)
            )
        except Exception:
            log.exception("What the trigger %s took may come again, for it could not be confirmed.", one.key)

    async def _found(self, one: Polled, state: TriggerState, held: AsyncExitStack) -> Seen:
        """What the trigger sees. `held`: what is open until that is written. EngineError; where that may start an
        execution, or would be found again and again, what was seen does, FAILED."""
        memory = await self._database.read(lambda connection: rows.memory(connection, one.key))
        context = self._starts.context(one.flow, one.trigger, self._kv, memory, partial(self._remember, one, state))
        held.push_async_callback(context.close)
        try:
            async with asyncio.timeout(LONGEST):
                found = await one.trigger.poll(context)
        except TimeoutError as error:
            raise TaskFailed(f"It took longer than {LONGEST:g} s to look.", fix="Set timeouts in `options`.") from error
        seen, stays = Seen(), True
        if isinstance(found, Look):
            seen, found, stays = Seen(memory=plain(found.memory)), found.found, False
        elif isinstance(found, Taken):
            held.push_async_callback(self._let_go, one, found.taking)
            seen, found, stays = Seen(taking=found.taking), found.found, False
        if found is None:
            return seen
        variables: Mapping[str, Any] = plain(found.model_dump(by_alias=True) if isinstance(found, Outputs) else found)
        names = {"trigger": variables}
        try:
            if not await self._starts.holds(one.flow, one.trigger, names):
                return seen
            return replace(seen, start=await self._starts.start(one.flow, one.trigger, variables, names))
        except EngineError as error:
            if isinstance(error, StoreFailed) or (stays and not one.trigger.fail_on_trigger_error):
                raise
            return replace(seen, start=self._starts.failed(one.flow, one.trigger, variables, error))

    async def _let_go(self, one: Polled, taking: AsyncGenerator[Outputs, None]) -> None:
        """Close what a trigger took by."""
        try:
            async with asyncio.timeout(LONGEST):
                await taking.aclose()
        except (EngineError, TimeoutError) as error:
            log.warning("The trigger %s could not let go of what it took: %s", one.key, self._said(error))
        except Exception:
            log.exception("The trigger %s could not let go of what it took.", one.key)

    def _said(self, error: Exception) -> str:
        return self._creator.masker.mask(str(error) or type(error).__name__)

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
    ) -> bool:
        """The next date, what was seen, and the execution if there is one, in one transaction. False, and nothing of
        it, when the trigger was taken away or switched off, or another process looked, since it stood as `seen`: what
        is there is found again."""
        if one.key not in self._polled:
            return False
        now = self._clock.now()

        def work(unit: Unit) -> bool:
            there = rows.held(unit.connection, one.flow.namespace, one.flow.id, one.trigger.id)
            there = there or seen
            if there.disabled or there.next_date != seen.next_date:
                unit.after_commit(lambda: self._states.keep(there))
                return False
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
            return True

        return await self._database.transact(work)


def _timer(key: str) -> str:
    return f"poll:{key}"
