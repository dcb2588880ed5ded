"""Filling the concurrency slots from the rows."""

from engine.runtime.flows import Flows
from engine.runtime.slots import FlowKey, Slots
from engine.store import executions
from engine.store.database import Database, Unit


async def count_limited(database: Database, flows: Flows, slots: Slots, queueing: set[FlowKey]) -> None:
    """Count the executions of flows that have a limit now, in step with what is being written."""
    limited = {(flow.namespace, flow.id) for flow in flows.list() if flow.concurrency is not None}

    def work(unit: Unit, key: FlowKey) -> None:
        rows = [(row.id, row.state) for row in executions.open_rows(unit.connection, *key)]
        unit.after_commit(lambda: slots.load(key, rows))

    for key in slots.uncounted(limited | queueing):
        await database.transact(lambda unit, key=key: work(unit, key))  # type: ignore[misc]
