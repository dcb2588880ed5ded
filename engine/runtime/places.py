"""Concurrency limits where several processes decide: the rows are counted in the transaction that takes a place."""

import logging
from collections.abc import Callable

from engine.clock import Clock
from engine.core.events import Event, ForceAsked, Started
from engine.core.execution import Execution
from engine.core.state import State
from engine.runtime.decision import Decision
from engine.runtime.flows import Flows
from engine.runtime.slots import FlowKey, Slots
from engine.store import executions
from engine.store.batches import Superseded
from engine.store.database import Database, Unit
from engine.store.statements import serial

log = logging.getLogger(__name__)

WAITS = (State.CREATED, State.QUEUED)


class Places:
    """What each process remembers of the places of a flow may be old; this keeps it honest."""

    def __init__(
        self, database: Database, flows: Flows, slots: Slots, clock: Clock, post: Callable[[str, Event], None]
    ) -> None:
        self._database = database
        self._flows = flows
        self._slots = slots
        self._clock = clock
        self._post = post

    def check(self, unit: Unit, decision: Decision) -> None:
        """Superseded when an execution wants to start, and others have taken the last place meanwhile."""
        before, after = decision.before, decision.after
        limit = self._limit(after)
        if limit is None or before.state not in WAITS or after.state in WAITS or after.state.is_terminal:
            return
        if any(isinstance(event, ForceAsked) for event in decision.events):  # whatever the limit says
            return
        serial(unit.connection, f"places {after.namespace} {after.flow_id}")
        taken = executions.running(unit.connection, after.namespace, after.flow_id) - {after.id}
        if len(taken) >= limit:
            raise Superseded(after.id)

    def is_free(self, decision: Decision) -> bool:
        """Whether a place of a limited flow was given back."""
        return decision.after.state.is_terminal and self._limit(decision.after) is not None

    async def recount(self, namespace: str, flow_id: str) -> None:
        """Count the executions of a flow as they lie there."""
        key: FlowKey = (namespace, flow_id)
        found = await self._database.read(lambda c: executions.open_rows(c, *key))
        self._slots.reload(key, [(row.id, row.state) for row in found])

    async def offer(self, namespace: str, flow_id: str) -> None:
        """Let the next start, as many as there are free places."""
        await self.recount(namespace, flow_id)
        for execution_id in self._slots.following(namespace, flow_id):
            self._post(execution_id, Started(self._clock.now()))

    async def offer_all(self) -> None:
        """The same for every flow of which an execution waits."""
        for key in await self._database.read(executions.queueing):
            await self.offer(*key)

    def _limit(self, execution: Execution) -> int | None:
        """As `Slots.admit` sees it."""
        flow = self._flows.at_hand(execution.namespace, execution.flow_id, execution.revision)
        if flow is None or flow.concurrency is None:
            return None
        return self._flows.limit_of(execution.namespace, execution.flow_id)
