"""Schedules outside the files of flows, and single dates of any schedule: looked ahead at, and skipped."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from engine.clock import Clock
from engine.core.flow import Flow
from engine.core.registry import Registry
from engine.core.triggers import Scheduled
from engine.errors import EngineError, Refused
from engine.runtime.salvos import Entry
from engine.store import own_schedules as own
from engine.store import triggers as rows
from engine.store.database import Database, Unit
from engine.store.own_schedules import OwnSchedule
from engine.store.triggers import TriggerState, trigger_key

log = logging.getLogger(__name__)

PREFIX = "chat-"


@dataclass(slots=True)
class OwnSchedules:
    """What people added. `registry` makes triggers of what is written down."""

    database: Database
    registry: Registry
    _known: dict[str, tuple[OwnSchedule, Scheduled]] = field(default_factory=dict)

    async def load(self) -> None:
        """Read all of them."""
        known: dict[str, tuple[OwnSchedule, Scheduled]] = {}
        for one in await self.database.read(own.every):
            key = trigger_key(one.namespace, one.flow_id, one.id)
            try:
                known[key] = self._known.get(key) or (one, self.trigger(one))
            except (EngineError, ValueError) as error:
                log.error("The schedule %s can't be read: %s", key, error)
        self._known = known

    async def heard(self, trigger_id: str) -> bool:
        """Another process moved a trigger: whether it is one of these, which are read again then."""
        if is_own := trigger_id.startswith(PREFIX):
            await self.load()
        return is_own

    def trigger(self, one: OwnSchedule) -> Scheduled:
        """The trigger that a schedule is; EngineError, ValueError."""
        made = self.registry.resolve(one.trigger).model_validate(dict(one.trigger), context={"registry": self.registry})
        if not isinstance(made, Scheduled):
            raise TypeError(f"{one.id} is no schedule")
        return made

    def of(self, flow: Flow) -> tuple[Scheduled, ...]:
        """The schedules of a flow."""
        wanted = (flow.namespace, flow.id)
        return tuple(made for one, made in self._known.values() if (one.namespace, one.flow_id) == wanted)

    def any_of(self, namespace: str, flow_id: str) -> bool:
        """Whether a flow has any."""
        return any((one.namespace, one.flow_id) == (namespace, flow_id) for one, _ in self._known.values())

    def find(self, namespace: str, flow_id: str, id_: str) -> OwnSchedule | None:
        """One of them; None when it is none."""
        known = self._known.get(trigger_key(namespace, flow_id, id_))
        return known[0] if known else None

    def add_in(self, unit: Unit, one: OwnSchedule) -> bool:
        """Write one down with the caller's other writes; False when it is there already. Then refresh."""
        made, key = self.trigger(one), trigger_key(one.namespace, one.flow_id, one.id)
        if not own.add(unit.connection, one):
            return False
        rows.save(unit.connection, TriggerState(one.namespace, one.flow_id, one.id, one.created))  # others hear of it
        unit.after_commit(lambda: self._known.update({key: (one, made)}))
        return True

    def remove_in(self, unit: Unit, one: OwnSchedule, now: datetime) -> bool:
        """Forget one; False when somebody was faster. Then refresh."""
        if not own.remove(unit.connection, one.namespace, one.flow_id, one.id):
            return False
        rows.save(unit.connection, TriggerState(one.namespace, one.flow_id, one.id, now, disabled=True))
        unit.after_commit(lambda: self._forget(one))
        return True

    def _forget(self, one: OwnSchedule) -> None:
        self._known.pop(trigger_key(one.namespace, one.flow_id, one.id), None)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Single dates of schedules. `entries` finds all that are in force."""

    database: Database
    clock: Clock
    entries: Callable[[], dict[str, Entry]]
    next_date: Callable[[Entry, datetime], Awaitable[datetime | None]]
    moved: Callable[[TriggerState], None]

    def standing(self) -> list[Entry]:
        """Every schedule in force, the next to come first."""
        latest = datetime.max.replace(tzinfo=self.clock.now().tzinfo)
        return sorted(self.entries().values(), key=lambda entry: (entry.state.next_date or latest, entry.key))

    async def of_trigger(self, flow: Flow, trigger: Scheduled, count: int = 5) -> list[datetime]:
        """The next dates of a schedule that is not in force yet."""
        now = self.clock.now()
        state = TriggerState(flow.namespace, flow.id, trigger.id, now)
        return await self._ahead(Entry(flow, trigger, state, UTC), now, count, frozenset())

    async def upcoming(self, entry: Entry, count: int = 5) -> list[datetime]:
        """The next dates that will start something."""
        now = self.clock.now()
        taken = await self.database.read(lambda c: own.taken(c, entry.key, now))
        return await self._ahead(entry, now, count, frozenset(taken))

    async def _ahead(self, entry: Entry, after: datetime, count: int, taken: frozenset[datetime]) -> list[datetime]:
        found: list[datetime] = []
        date = await self.next_date(entry, after)
        while date is not None and len(found) < count:
            if date.astimezone(UTC) not in taken:  # in a zone, an hour that comes twice equals nothing
                found.append(date)
            date = await self.next_date(entry, date)
        return found

    async def skip(self, entry: Entry, date: datetime) -> None:
        """Let one date pass without an execution; Refused when it is none, or taken already."""
        now = self.clock.now()
        await self.database.transact(await self.skipping(entry, date, now))

    async def skipping(self, entry: Entry, date: datetime, now: datetime) -> Callable[[Unit], None]:
        """The same as a piece of the caller's transaction."""
        following = await self.next_date(entry, date)

        def work(unit: Unit) -> None:
            if not rows.claim_fire(unit.connection, entry.key, date, None, now):
                raise Refused(f"The date {date} of {entry.key} has started something, or is skipped already.")
            flow = entry.flow
            there = rows.held(unit.connection, flow.namespace, flow.id, entry.trigger.id) or entry.state
            if there.next_date == date:
                there = replace(there, next_date=following, definition=entry.state.definition, updated=now)
                rows.save(unit.connection, there)
                unit.after_commit(lambda: self.moved(there))

        return work
