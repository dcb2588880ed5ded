"""What lies in a real store, as the tables the laws look at."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.secrets import AtRest, Masker, Vault
from engine.settings import Settings
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store import executions, pauses
from engine.store.chat_tables import audit
from tests.simulate.clock import SimulatedClock
from tests.simulate.store import Store

KEY = "k" * 43 + "="
SEALER = AtRest(Vault.of(Settings(encryption_key=KEY)), Masker())
DECISIONS = ("approve", "reject", "answer", "choose", "kill")


class Seen:
    """As much of a world as the laws ask for when the bot is a real one."""

    def __init__(self, flows: Mapping[tuple[str, str], Flow], clock: SimulatedClock) -> None:
        self.flows = flows
        self.clock = clock
        self.store = Store()
        self.heard: dict[int, str] = {}
        self.life = 0

    @property
    def now(self) -> datetime:
        """The simulated time."""
        return self.clock.now()

    def flow(self, execution: Execution) -> Flow:
        """The flow of an execution."""
        return self.flows[execution.namespace, execution.flow_id]


def seen(connection: Connection) -> Store:
    """Every row."""
    store = Store()
    for execution in executions.find(connection, SEALER, limit=10_000, oldest_first=True):
        store.executions[execution.id] = execution
        caller = executions.caller_of(connection, execution.id)
        if caller is not None:
            store.callers[execution.id] = caller
    store.inbox = {posted.id: posted for posted in inbox.waiting(connection, SEALER)}
    store.outbox = {row.id: row for row in outbox.waiting(connection, SEALER)}
    store.pauses = {row.id: row for row in pauses.find(connection, state=None, limit=10_000)}
    rows: Any = connection.execute(select(audit).where(audit.c.action.in_(DECISIONS)))
    store.audit = [(row.entity, row.person, row.action) for row in rows if row.entity in store.pauses]
    return store
