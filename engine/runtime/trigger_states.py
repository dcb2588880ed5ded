"""Where triggers stand, as last written: one copy for schedules and polls."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace

from engine.clock import Clock
from engine.core.triggers import Scheduled
from engine.errors import NotFound
from engine.runtime.flows import Flows
from engine.store import executions
from engine.store import triggers as rows
from engine.store.database import Beside, Database, Unit
from engine.store.triggers import TriggerState


class TriggerStates:
    """States of triggers by `namespace/flow/trigger`."""

    def __init__(self, database: Database, flows: Flows, clock: Clock) -> None:
        self._database = database
        self._flows = flows
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
        gone = []
        for state in self:
            if state.execution_id is not None:
                found = await self._database.read(
                    lambda c, e=state.execution_id: executions.state_of(c, e)  # type: ignore[misc]
                )
                if found is None:
                    gone.append(replace(state, execution_id=None, updated=self._clock.now()))
        await self.save(gone)

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
        """A state was written."""
        self._states[state.key] = state

    async def save(self, states: Iterable[TriggerState]) -> None:
        """Write some states."""
        changed = [state for state in states if state != self._states.get(state.key)]
        if changed:
            await self._database.transact(lambda unit: rows.save_all(unit.connection, changed))
            self._states |= {state.key: state for state in changed}
            await asyncio.sleep(0)

    async def toggle(
        self,
        namespace: str,
        flow_id: str,
        trigger_id: str,
        *,
        disabled: bool,
        own: bool = False,
        beside: Beside = None,
    ) -> TriggerState:
        """Switch a trigger off or on; NotFound when its flow does not have it, unless it is an `own` one."""
        flow = self._flows.get(namespace, flow_id)
        if not own and all(trigger.id != trigger_id for trigger in flow.triggers):
            raise NotFound(f"The flow {namespace}.{flow_id} has no trigger {trigger_id!r}.")
        now = self._clock.now()

        def work(unit: Unit) -> TriggerState:
            found = rows.get(unit.connection, namespace, flow_id, trigger_id)
            state = replace(found or TriggerState(namespace, flow_id, trigger_id, now), disabled=disabled, updated=now)
            rows.save(unit.connection, state)
            if beside is not None:
                beside(unit)
            return state

        state = await self._database.transact(work)
        self.keep(state)
        return state


def definition_of(trigger: Scheduled) -> str:
    """What of a trigger decides its dates, as text: a trigger whose text is another starts anew."""
    return trigger.model_dump_json(include={"cron", "with_seconds", "timezone", "dates", "conditions", "when"})
