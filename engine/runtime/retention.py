"""Deletes old executions that have ended: when somebody says so, and every day as `retention` says."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from engine.clock import Clock, wait_until
from engine.core.durations import parse as parse_duration
from engine.errors import EngineError
from engine.plugin import Purged, Selection
from engine.runtime.flows import Flows
from engine.runtime.notary import Notary
from engine.runtime.records import ANY, TaskRecords, purge_deed
from engine.store import chat_audit, kv, records, triggers
from engine.store import events as inbox
from engine.store.database import Database, Unit

log = logging.getLogger(__name__)

EVERYTHING = frozenset({"execution", "log", "metric", "storage"})
BATCH = 100  # executions deleted in one go: the writer serves others in between
FIRST, EVERY = timedelta(minutes=1), timedelta(days=1)
BACK_BY = timedelta(days=1)  # a flow that a sync or an edit took away has come back by then
GONE_FOR_GOOD = timedelta(days=30)  # after which a trigger is forgotten that no flow has, where no rule says when


def kept_for(namespace: str, rules: Mapping[str, str]) -> timedelta | None:
    """How long executions of a namespace are kept: its own rule, that of the nearest parent, `*`; None: for good."""
    parts = namespace.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    found = next((rules[name] for name in (*names, ANY) if name in rules), None)
    return None if found is None else parse_duration(found)


class Retention:
    """Purges, and leaves a signed line in the audit trail for each batch that it deletes, in the same transaction."""

    def __init__(
        self,
        database: Database,
        kept: TaskRecords,
        clock: Clock,
        rules: Mapping[str, str],
        flows: Flows,
        notary: Notary,
    ) -> None:
        self._database = database
        self._records = kept
        self._clock = clock
        self._rules = rules
        self._flows = flows
        self._notary = notary
        self._daily: asyncio.Task[None] | None = None
        self.falls_to_us: Callable[[], bool] = lambda: True  # of processes on one database one applies the rules

    async def count(self, chosen: Selection) -> int:
        """How many executions a purge would delete."""
        number, after = 0, ""
        while found := await self._database.read(lambda c, at=after: records.ended(c, chosen, at, BATCH)):  # type: ignore[misc]
            number, after = number + len(found), found[-1].id
        return number

    async def purge(
        self, chosen: Selection, *, person: str = "", name: str = "", platform: str = "retention"
    ) -> Purged:
        """Delete ended executions that are meant, with logs, metrics, files and cards; whatever waits or runs stays."""
        until = chosen.until

        def tell(unit: Unit, gone: Purged) -> None:
            now = self._clock.now()
            deed = purge_deed(chosen, gone, now, person=person, name=name, platform=platform)
            chat_audit.record(unit.connection, deed)
            self._notary.seal_in(unit, "purge")

        await self._notary.ready()
        gone = await self._records.purge_telling(chosen, EVERYTHING, BATCH, tell)
        if until is not None:
            await self._database.transact(
                lambda unit: triggers.forget_fires(unit.connection, chosen.namespace, until, below=chosen.below)
            )
            await self._forget_triggers(chosen.namespace, min(until, self._clock.now() - BACK_BY), below=chosen.below)
        if gone.executions:
            log.info("Purged %d executions of %s made before %s.", gone.executions, chosen.namespace or ANY, until)
        return gone

    async def _forget_triggers(self, namespace: str | None, before: datetime, *, below: bool = False) -> None:
        """Forget what is left of triggers that no flow has had since before a moment."""

        def work(unit: Unit) -> None:
            gone = triggers.forget(unit.connection, self._flows.has_trigger, before, namespace, below=below)
            unit.after_commit(lambda: self._records.schedules.forget(gone))

        await self._database.transact(work)

    async def tidy(self) -> None:
        """Forget keys of events and pairs of the KV store that have served their time."""
        now = self._clock.now()
        await self._database.transact(
            lambda unit: (inbox.forget(unit.connection, now), kv.purge_expired(unit.connection, now))
        )

    async def apply(self) -> Purged:
        """Delete what has been kept for as long as the rules say."""
        total, now = Purged(), self._clock.now()
        known = {*await self._database.read(records.namespaces), *await self._database.read(triggers.namespaces)}
        for namespace in sorted(known):
            age = kept_for(namespace, self._rules)
            if age is not None:
                total += await self.purge(Selection(namespace, until=now - age))
            else:
                await self._forget_triggers(namespace, now - GONE_FOR_GOOD)
        return total

    def start(self) -> None:
        """Apply the rules soon, and every day, and tidy up."""
        if self._daily is None:
            self._daily = asyncio.create_task(self._keep_applying(), name="retention")

    async def stop(self) -> None:
        """End that."""
        if self._daily is not None:
            self._daily.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._daily
            self._daily = None

    async def _keep_applying(self) -> None:
        tidied = self._clock.now()  # at the start
        due = tidied + FIRST
        while True:
            while not await wait_until(self._clock, due, asyncio.Event()):
                pass
            if not self.falls_to_us():
                due = self._clock.now() + FIRST
                continue
            try:
                await self.apply()
                if self._clock.now() >= tidied + EVERY:
                    await self.tidy()
                    tidied = self._clock.now()
            except EngineError as error:
                log.error("Old executions could not be purged (%s); trying again tomorrow.", error)
            due = self._clock.now() + EVERY
