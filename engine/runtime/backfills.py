"""Backfills: a schedule makes up for its dates between two moments, one execution after another."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from engine.clock import Clock
from engine.core.backfills import Backfill
from engine.errors import Refused
from engine.identifiers import new_id
from engine.runtime.creation import Creator, check_labels
from engine.runtime.salvos import Entry
from engine.runtime.starts import Starts
from engine.store import triggers as rows
from engine.store.database import Beside, Database, Unit
from engine.store.triggers import TriggerState


@dataclass(frozen=True, slots=True)
class Backfills:
    """Begins, holds and ends backfills. `entry_of` finds a schedule (NotFound), `moved` is told of its new state."""

    database: Database
    creator: Creator
    starts: Starts
    clock: Clock
    entry_of: Callable[[str, str, str], Entry]
    next_date: Callable[[Entry, datetime], Awaitable[datetime | None]]
    moved: Callable[[TriggerState], None]

    async def start(
        self,
        namespace: str,
        flow_id: str,
        trigger_id: str,
        start: datetime,
        end: datetime | None = None,
        inputs: Mapping[str, Any] | None = None,
        labels: Sequence[tuple[str, str]] = (),
        *,
        beside: Callable[[Unit, Backfill], None] | None = None,
    ) -> Backfill:
        """Make up for the dates from `start` to `end` (now), one execution after another, the regular dates wait.

        `beside` is written in the same transaction. NotFound, Refused, InputInvalid.
        """
        entry = self.entry_of(namespace, flow_id, trigger_id)
        if entry.state.disabled:
            raise Refused(f"The trigger {entry.key} is switched off.", fix="Switch it on first.")
        check_labels(labels)
        end = end or self.clock.now()
        first = await self.next_date(entry, start.astimezone(UTC) - timedelta(microseconds=1))
        if first is None or first > end:
            raise Refused(f"{entry.key} has no date from {start} to {end}.", fix="Choose another start or end.")
        one = Backfill(new_id(self.clock.now()), start, end, first, dict(inputs or {}), tuple(labels))
        # Made once without being written: says now what will not do.
        await self.starts.at_date(entry.flow, entry.trigger, first, one.inputs, one.labels)

        def begun(there: Backfill | None) -> Backfill:
            if there is not None:
                raise Refused(f"A backfill of {entry.key} is under way.", fix="Let it end, or stop it first.")
            return one

        await self._set(entry, begun, None if beside is None else lambda unit: beside(unit, one))
        return one

    def of(self, namespace: str, flow_id: str, trigger_id: str) -> Backfill | None:
        """Where the backfill of a trigger stands, None when there is none; NotFound."""
        return self.read(self.entry_of(namespace, flow_id, trigger_id))

    async def change(
        self,
        namespace: str,
        flow_id: str,
        trigger_id: str,
        to: Literal["PAUSE", "CONTINUE", "STOP"],
        *,
        beside: Beside = None,
    ) -> None:
        """Hold a backfill (the regular dates go on meanwhile), let it go on, or give it up; NotFound, Refused."""
        entry = self.entry_of(namespace, flow_id, trigger_id)

        def changed(there: Backfill | None) -> Backfill | None:
            if there is None:
                raise Refused(f"There is no backfill of {entry.key}.", fix="It may have ended.")
            return None if to == "STOP" else replace(there, paused=to == "PAUSE")

        await self._set(entry, changed, beside)

    def read(self, entry: Entry) -> Backfill | None:
        """The backfill of a schedule, as far as is known here."""
        return self._opened(entry.key, entry.state.backfill)

    def _opened(self, key: str, text: str | None) -> Backfill | None:
        return None if text is None else Backfill.of(self.creator.sealer.loads(text, f"backfill:{key}"))

    def text(self, key: str, backfill: Backfill | None) -> str | None:
        """A backfill as it lies in the row; what is given to executions is encrypted."""
        return None if backfill is None else self.creator.sealer.dumps(backfill.document(), f"backfill:{key}")

    async def _set(
        self, entry: Entry, change: Callable[[Backfill | None], Backfill | None], beside: Beside = None
    ) -> None:
        """Change what the row says; a date that fires at the same moment comes before or after, never in between."""

        def work(unit: Unit) -> None:
            there = rows.held(unit.connection, entry.flow.namespace, entry.flow.id, entry.trigger.id) or entry.state
            text = self.text(entry.key, change(self._opened(entry.key, there.backfill)))
            state = replace(there, backfill=text, updated=self.clock.now())
            rows.save(unit.connection, state)
            if beside is not None:
                beside(unit)
            unit.after_commit(lambda: self.moved(state))

        await self.database.transact(work)
