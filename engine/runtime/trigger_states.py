"""Where triggers stand, as last written: one copy for schedules and polls."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from engine.clock import Clock
from engine.core.triggers import Scheduled
from engine.store import executions
from engine.store import triggers as rows
from engine.store.database import Beside, Database, Unit
from engine.store.triggers import TriggerState


class TriggerStates:
    """States of triggers by `namespace/flow/trigger`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._states: dict[str, TriggerState] = {}

    def __iter__(self) -> Iterator[TriggerState]:
        return iter(tuple(self._states.values()))

    def get(self, key: str) -> TriggerState | None:
        """Where a trigger stands, None when it never did anything."""
        return self._states.get(key)

    def is_disabled(self, key: str) -> bool:
        """Whether somebody switched a trigger off (`stopAfter`, Toggle), whatever its flow says."""
        state = self._states.get(key)
        return state is not None and state.disabled

    async def load(self) -> None:
        """Read every state, and free triggers that wait for executions which are not there any more."""
        self._states = {state.key: state for state in await self._database.read(rows.all_states)}
        for state in self:
            if state.execution_id is not None:
                found = await self._database.read(
                    lambda c, e=state.execution_id: executions.state_of(c, e)  # type: ignore[misc]
                )
                if found is None:
                    await self.write(state, lambda there: replace(there, execution_id=None), self.keep)

    async def outdated(self) -> list[TriggerState]:
        """The rows of triggers that wait for an execution only by what is remembered of them: of its end nobody told
        us, or before we were told of its beginning."""
        waiting = {state.execution_id: state for state in self if state.execution_id is not None}
        if not waiting:
            return []
        still = await self._database.read(lambda c: rows.waited_for(c, list(waiting)))
        found = []
        for key, seen in waiting.items():
            if key not in still:
                row = await self._database.read(lambda c, s=seen: rows.get(c, s.namespace, s.flow_id, s.trigger_id))  # type: ignore[misc]
                if row is not None and self.get(seen.key) is seen:
                    found.append(row)
        return found

    def keep(self, state: TriggerState) -> None:
        """A state was written. There may be many, each written often: its names are held once."""
        there = self._states.get(state.key)
        if there is not None:
            same = there.definition == state.definition
            state = replace(
                state,
                namespace=there.namespace,
                flow_id=there.flow_id,
                trigger_id=there.trigger_id,
                definition=there.definition if same else state.definition,
            )
        self._states[state.key] = state

    def forget(self, keys: Iterable[str]) -> None:
        """The rows of some triggers are gone."""
        for key in keys:
            self._states.pop(key, None)

    async def save_dates(self, states: Iterable[TriggerState]) -> None:
        """Write the next dates of some triggers; what else their rows say stays."""
        changed = [state for state in states if state != self._states.get(state.key)]
        if not changed:
            return

        def work(unit: Unit) -> None:
            rows.save_dates(unit.connection, changed)
            unit.after_commit(kept)

        def kept() -> None:
            for state in changed:
                there = self._states.get(state.key, state)
                self.keep(replace(there, next_date=state.next_date, definition=state.definition, updated=state.updated))

        await self._database.transact(work)
        await asyncio.sleep(0)

    async def write(
        self,
        state: TriggerState,
        change: Callable[[TriggerState], TriggerState],
        told: Callable[[TriggerState], None],
        *,
        beside: Beside = None,
    ) -> None:
        """Change where a trigger stands, from what its row says (`state` when there is none). `told` hears of it in
        the order in which rows were written: who only heard after waiting may know less than those before."""

        def work(unit: Unit) -> None:
            there = rows.held(unit.connection, state.namespace, state.flow_id, state.trigger_id) or state
            changed = replace(change(there), updated=self._clock.now())
            rows.save(unit.connection, changed)
            if beside is not None:
                beside(unit)
            unit.after_commit(lambda: told(changed))

        await self._database.transact(work)


def definition_of(trigger: Scheduled) -> str:
    """What of a trigger decides its dates, as text: a trigger whose text is another starts anew."""
    return trigger.model_dump_json(include={"cron", "with_seconds", "timezone", "dates", "conditions", "when"})
