"""Realtime triggers: each listens in a task of its own, and every message it hears starts an execution.

A message is acknowledged after the transaction that holds its execution: what is heard when the process dies comes
again. Its key is the execution's dedupe key: what comes again after the commit starts nothing.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from engine.core.execution import Origin
from engine.core.flow import Flow
from engine.errors import EngineError, StoreFailed
from engine.key_values import KeyValueStore
from engine.plugin import Message, Outputs, RealtimeTrigger
from engine.runtime.flows import Flows
from engine.runtime.starts import Start, Starts
from engine.runtime.trigger_states import TriggerStates
from engine.store import triggers as rows
from engine.store.database import Database, Unit
from engine.store.documents import plain
from engine.store.triggers import TriggerState, trigger_key

log = logging.getLogger(__name__)
AGAIN = 1.0  # seconds until it is told once more to end: some libraries lose that word while they connect
SHORTEST, LONGEST = 1.0, 60.0  # seconds before it listens again after it could not


@dataclass(frozen=True, slots=True)
class Listened:
    """One realtime trigger of a flow."""

    flow: Flow
    trigger: RealtimeTrigger

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return trigger_key(self.flow.namespace, self.flow.id, self.trigger.id)


class Listening:
    """Keeps realtime triggers listening, and starts what they hear."""

    def __init__(
        self, database: Database, flows: Flows, starts: Starts, states: TriggerStates, kv: KeyValueStore
    ) -> None:
        self._database = database
        self._flows = flows
        self._starts = starts
        self._creator = starts.creator
        self._states = states
        self._kv = kv
        self._declared: dict[str, Listened] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._in_hand = 0
        self._is_open = False

    @property
    def busy(self) -> int:
        """How many have messages in hand."""
        return self._in_hand

    async def start(self) -> None:
        """Listen from now on."""
        self._is_open = True
        await self.refresh()

    async def stop(self) -> None:
        """Listen no more."""
        self._is_open = False
        await self._end(tuple(self._tasks))

    async def refresh(self) -> None:
        """The flows changed: a trigger that is new, or whose flow is another now, listens anew."""
        before, self._declared = self._declared, {one.key: one for one in self._all()}
        await self._end([key for key in self._tasks if before.get(key) != self._declared.get(key)])
        for key in self._declared:
            self.look(key)

    def look(self, key: str) -> None:
        """Listen if it may, and stop if it may not."""
        state, task = self._states.get(key), self._tasks.get(key)
        if state is not None and state.disabled:
            if task is not None:
                task.cancel()
            return
        if not self._is_open or key not in self._declared or task is not None:
            return
        task = asyncio.create_task(self._listen(self._declared[key]), name=f"listen {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._done(key))

    def _done(self, key: str) -> None:
        del self._tasks[key]
        self.look(key)  # the flow may be another now, or the trigger switched on again

    async def _end(self, keys: Sequence[str]) -> None:
        await ended(self._tasks[key] for key in keys)

    def _all(self) -> Iterator[Listened]:
        for flow in self._flows.list():
            if not flow.disabled:
                for trigger in flow.triggers:
                    if isinstance(trigger, RealtimeTrigger) and not trigger.disabled:
                        yield Listened(flow, trigger)

    async def _listen(self, one: Listened) -> None:
        wait, told = SHORTEST, ""
        while True:
            context = self._starts.context(one.flow, one.trigger, self._kv)
            try:
                async with aclosing(one.trigger.listen(context)) as batches:
                    async for messages in batches:
                        wait, told = SHORTEST, ""
                        await self._take(one, messages)
                reason: Exception = EngineError("The connection has ended.")
            except Exception as error:
                if not isinstance(error, EngineError):
                    log.exception("The trigger %s broke.", one.key)
                reason = error
            finally:
                await context.close()
            said = self._creator.masker.mask(str(reason))
            if said != told and isinstance(reason, EngineError):
                log.warning("The trigger %s can't listen, and tries again: %s", one.key, said)
                if one.trigger.fail_on_trigger_error:
                    await self._write(one, [(self._starts.failed(one.flow, one.trigger, {}, reason), None)])
            told = said
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST)

    async def _take(self, one: Listened, messages: Sequence[Message]) -> None:
        """The executions of some messages, committed when this returns."""
        self._in_hand += 1
        try:
            made = [(await self._started(one, message), message.key) for message in messages]
            await self._write(one, [(start, key) for start, key in made if start is not None])
        finally:
            self._in_hand -= 1

    async def _started(self, one: Listened, message: Message) -> Start | None:
        """The execution for a message, None when the conditions say no; one that can't be made is FAILED."""
        found = message.variables
        variables: Mapping[str, Any] = {}
        try:
            variables = plain(found.model_dump(by_alias=True) if isinstance(found, Outputs) else found)
            names = {"trigger": variables}
            if message.problem is not None:
                raise message.problem
            if not await self._starts.holds(one.flow, one.trigger, names):
                return None
            return await self._starts.start(one.flow, one.trigger, variables, names)
        except EngineError as error:
            return self._starts.failed(one.flow, one.trigger, variables, error)

    async def _write(self, one: Listened, starts: Sequence[tuple[Start, str | None]]) -> None:
        """All of them in one transaction, tried until it is there. One that a check made FAILED may switch the trigger
        off (`stopAfter`), but what came again after its execution had been made may not."""
        flow, trigger, now = one.flow, one.trigger, self._creator.clock.now()

        def work(unit: Unit) -> None:
            there = rows.held(unit.connection, flow.namespace, flow.id, trigger.id)
            state = replace(there or TriggerState(flow.namespace, flow.id, trigger.id, now), last_date=now, updated=now)
            for start, key in starts:
                made = self._creator.create_in(
                    unit,
                    start.prepared,
                    started_by="trigger",
                    origin=Origin(trigger.id, trigger.type, start.variables),
                    labels=start.labels,
                    dedupe=None if key is None else f"{one.key}#{key}",
                    trigger_id=trigger.id,
                )
                is_new = made.id == start.prepared.id
                state = state.having_started(made, trigger.stop_after if is_new else ())
            rows.save(unit.connection, state)
            unit.after_commit(lambda: self._states.keep(state))

        while starts:
            try:
                await self._database.transact(work)
                if self._states.is_disabled(one.key):
                    asyncio.get_running_loop().call_soon(self.look, one.key)  # once these messages are acknowledged
                return
            except StoreFailed as error:
                log.error("What the trigger %s heard can't be written (%s); trying again.", one.key, error)
                await asyncio.sleep(1)


async def ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: one may hang in closing what it held."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)
