"""Where triggers stand, and what they fired: UNIQUE per trigger and date, so that a date fires once."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, true, update

from engine.core.execution import Execution
from engine.core.state import State
from engine.sight import is_within
from engine.store.documents import dumps, loads
from engine.store.own_schedules import schedules
from engine.store.statements import insert_new, serial
from engine.store.statements import put as put_row
from engine.store.tables import EPOCH, flows, trigger_fires, trigger_memories, trigger_states, trigger_windows

NAMED = 500  # keys named in one statement


@dataclass(frozen=True, slots=True)
class TriggerState:
    """Where one trigger stands. `execution_id` is what it started last, while that is under way."""

    namespace: str
    flow_id: str
    trigger_id: str
    updated: datetime
    next_date: datetime | None = None
    last_date: datetime | None = None
    execution_id: str | None = None
    disabled: bool = False
    backfill: str | None = None
    definition: str | None = None  # what `next_date` was worked out from

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return trigger_key(self.namespace, self.flow_id, self.trigger_id)

    def having_started(self, made: Execution, stop_after: Collection[State]) -> "TriggerState":
        """The state once the trigger made an execution: its end is waited for; one that has come may switch it off."""
        if made.state.is_terminal:
            return replace(self, disabled=self.disabled or made.state in stop_after)
        return replace(self, execution_id=made.id)

    def has_turned_since(self, seen: "TriggerState", *, filling: bool) -> bool:
        """Whether what was prepared for a date when the trigger was as `seen` is to be dropped: it was switched off or
        edited since, or the backfill it belongs to was held or given up."""
        if filling:
            return self.disabled or self.backfill != seen.backfill
        return self.disabled or self.definition != seen.definition


def trigger_key(namespace: str, flow_id: str, trigger_id: str) -> str:
    """`namespace/flow/trigger`."""
    return f"{namespace}/{flow_id}/{trigger_id}"


def save(connection: Connection, state: TriggerState) -> None:
    """Write where a trigger stands."""
    put_row(connection, trigger_states, {name: getattr(state, name) for name in state.__slots__})


def save_dates(connection: Connection, states: Iterable[TriggerState]) -> None:
    """Write the next dates of some triggers; what else their rows say stays."""
    names = ("namespace", "flow_id", "trigger_id", "next_date", "definition", "updated")
    for state in states:
        put_row(connection, trigger_states, {name: getattr(state, name) for name in names})


def get(connection: Connection, namespace: str, flow_id: str, trigger_id: str) -> TriggerState | None:
    """Where a trigger stands."""
    row = trigger_states.c
    found = connection.execute(
        select(trigger_states).where(row.namespace == namespace, row.flow_id == flow_id, row.trigger_id == trigger_id)
    ).one_or_none()
    return None if found is None else TriggerState(**found._mapping)


def held(connection: Connection, namespace: str, flow_id: str, trigger_id: str) -> TriggerState | None:
    """The same for what is written because of it: until the commit nobody else moves the trigger."""
    row = trigger_states.c
    which = (row.namespace == namespace, row.flow_id == flow_id, row.trigger_id == trigger_id)
    found = connection.execute(select(trigger_states).where(*which).with_for_update()).one_or_none()
    return None if found is None else TriggerState(**found._mapping)


def all_states(connection: Connection) -> list[TriggerState]:
    """Every trigger that has a state."""
    return [TriggerState(**row._mapping) for row in connection.execute(select(trigger_states))]


def memory(connection: Connection, key: str) -> dict[str, Any]:
    """What a polling trigger has seen; empty before it first looked."""
    query = select(trigger_memories.c.doc).where(trigger_memories.c.trigger_key == key)
    doc = connection.execute(query).scalar()
    return {} if doc is None else dict(loads(doc))


def save_memory(connection: Connection, key: str, seen: Mapping[str, Any]) -> None:
    """Write what a polling trigger has seen."""
    put_row(connection, trigger_memories, {"trigger_key": key, "doc": dumps(seen)})


def waited_for(connection: Connection, executions: Collection[str]) -> set[str]:
    """Those of some executions that a trigger waits for."""
    row = trigger_states.c.execution_id
    found: set[str] = set(connection.execute(select(row).where(row.in_(executions))).scalars())
    return found


def claim_fire(
    connection: Connection, key: str, scheduled_at: datetime, execution_id: str | None, now: datetime
) -> bool:
    """Take one date of a trigger; False when it was taken before."""
    row = {"trigger_key": key, "scheduled_at": scheduled_at, "execution_id": execution_id, "fired_at": now}
    return insert_new(connection, trigger_fires, row)


class Taken(Exception):
    """Some trigger of many stands elsewhere than was believed."""


def claim_all(connection: Connection, claims: Sequence[tuple[str, datetime, str]], now: datetime) -> None:
    """Take one date of each of some triggers, as (key, date, execution); IntegrityError when one was taken before."""
    found = [
        {"trigger_key": key, "scheduled_at": date, "execution_id": execution_id, "fired_at": now}
        for key, date, execution_id in claims
    ]
    connection.execute(insert(trigger_fires), found)


def move_all(connection: Connection, moves: Sequence[tuple[TriggerState, TriggerState]]) -> None:
    """Write where some triggers stand now; Taken when one does not stand where it was believed to."""
    rows = [
        {
            "_namespace": after.namespace,
            "_flow_id": after.flow_id,
            "_trigger_id": after.trigger_id,
            "_next_date": before.next_date,
            "next_date": after.next_date,
            "last_date": after.last_date,
            "execution_id": after.execution_id,
            "updated": after.updated,
        }
        for before, after in moves
    ]
    if connection.execute(_move, rows).rowcount != len(rows):
        raise Taken


_move = (
    update(trigger_states)
    .where(
        trigger_states.c.namespace == bindparam("_namespace"),
        trigger_states.c.flow_id == bindparam("_flow_id"),
        trigger_states.c.trigger_id == bindparam("_trigger_id"),
        trigger_states.c.next_date == bindparam("_next_date"),
        trigger_states.c.execution_id.is_(None),
        trigger_states.c.disabled.is_(False),
        trigger_states.c.backfill.is_(None),
    )
    .values(
        next_date=bindparam("next_date"),
        last_date=bindparam("last_date"),
        execution_id=bindparam("execution_id"),
        updated=bindparam("updated"),
    )
)


def fires(connection: Connection, key: str) -> list[tuple[datetime, str | None]]:
    """(date, execution) of everything a trigger fired, oldest first."""
    row = trigger_fires.c
    query = select(row.scheduled_at, row.execution_id).where(row.trigger_key == key).order_by(row.scheduled_at)
    return [(found.scheduled_at, found.execution_id) for found in connection.execute(query)]


def released(
    connection: Connection, execution: Execution, now: datetime, *, disable: bool = False
) -> TriggerState | None:
    """An execution ended: the trigger that waited for it, free again (and disabled when `stopAfter` says so)."""
    if execution.origin is None:
        return None
    names = {"_namespace": execution.namespace, "_flow_id": execution.flow_id, "_trigger_id": execution.origin.id}
    row = {**names, "_execution_id": execution.id, "updated": now}
    found = connection.execute(_release_and_disable if disable else _release, row).one_or_none()
    return None if found is None else TriggerState(**found._mapping)


_release = (
    update(trigger_states)
    .where(
        trigger_states.c.namespace == bindparam("_namespace"),
        trigger_states.c.flow_id == bindparam("_flow_id"),
        trigger_states.c.trigger_id == bindparam("_trigger_id"),
        trigger_states.c.execution_id == bindparam("_execution_id"),
    )
    .values(execution_id=None, updated=bindparam("updated"))
    .returning(*trigger_states.c)
)
_release_and_disable = _release.values(disabled=True)


def passed_on(connection: Connection, execution_id: str, new_id: str) -> None:
    """An execution is replaced by another: triggers that waited for the one wait for the other."""
    row = trigger_states.c
    connection.execute(update(trigger_states).where(row.execution_id == execution_id).values(execution_id=new_id))


@dataclass(frozen=True, slots=True)
class Window:
    """Which conditions of a flow trigger have been met between two dates."""

    trigger_key: str
    window_id: str
    starts: datetime
    ends: datetime
    met: dict[str, Any]


def window(connection: Connection, key: str, window_id: str, *, to_write: bool = True) -> Window | None:
    """The present window of a flow trigger."""
    if to_write:
        serial(connection, f"window {key}")
    row = trigger_windows.c
    found = connection.execute(
        select(trigger_windows).where(row.trigger_key == key, row.window_id == window_id)
    ).one_or_none()
    return None if found is None else Window(key, window_id, found.starts, found.ends, loads(found.doc))


def save_window(connection: Connection, state: Window) -> None:
    """Write a window."""
    values = {
        "trigger_key": state.trigger_key,
        "window_id": state.window_id,
        "starts": state.starts,
        "ends": state.ends,
    }
    put_row(connection, trigger_windows, values | {"doc": dumps(state.met)})


def drop_window(connection: Connection, key: str, window_id: str) -> None:
    """Forget a window: the next match opens a new one."""
    row = trigger_windows.c
    connection.execute(delete(trigger_windows).where(row.trigger_key == key, row.window_id == window_id))


def namespaces(connection: Connection) -> set[str]:
    """Namespaces of triggers that have left something."""
    return {_named(key)[0] for key in _left(connection)}


def rest(connection: Connection, namespace: str, flow_id: str, now: datetime) -> None:
    """The flow of some triggers is gone: from now on counts how long they have not moved."""
    row = trigger_states.c
    whose = update(trigger_states).where(row.namespace == namespace, row.flow_id == flow_id)
    connection.execute(whose.values(updated=now))


def forget_fires(connection: Connection, namespace: str | None, before: datetime, *, below: bool) -> None:
    """Forget dates before a moment that were taken; no schedule comes back to them."""
    row = trigger_fires.c
    old = delete(trigger_fires).where(row.scheduled_at < before, _whose(row.trigger_key, namespace, below=below))
    connection.execute(old)


def forget(
    connection: Connection,
    is_there: Callable[[str, str, str], bool],
    before: datetime,
    namespace: str | None,
    *,
    below: bool,
) -> list[str]:
    """Forget where triggers stand, what they have seen, what they met and which dates they took, when neither they nor
    their flow have moved since before a moment and `is_there(namespace, flow, trigger)` says that no flow has them;
    their keys."""
    own = {(row.namespace, row.flow_id, row.id) for row in connection.execute(select(schedules))}
    changed = _changed(connection)
    gone = []
    for key, moved in _left(connection).items():
        space, flow_id, trigger_id = _named(key)
        if not is_within(space, namespace, below=below):
            continue
        last = max(moved, changed.get((space, flow_id), moved))
        if last < before and (space, flow_id, trigger_id) not in own and not is_there(space, flow_id, trigger_id):
            gone.append(key)
    for start in range(0, len(gone), NAMED):
        _drop(connection, gone[start : start + NAMED], before)
    return gone


def _left(connection: Connection) -> dict[str, datetime]:
    """Keys of triggers of which there is anything, and when that last moved; a window moves until it ends."""
    state, seen, met = trigger_states.c, trigger_memories.c, trigger_windows.c
    found = dict.fromkeys(connection.execute(select(seen.trigger_key)).scalars(), EPOCH)
    for key, ends in connection.execute(select(met.trigger_key, met.ends)):
        found[key] = max(ends, found.get(key, EPOCH))
    for row in connection.execute(select(state.namespace, state.flow_id, state.trigger_id, state.updated)):
        key = trigger_key(row.namespace, row.flow_id, row.trigger_id)
        found[key] = max(row.updated, found.get(key, EPOCH))
    return found


def _changed(connection: Connection) -> dict[tuple[str, str], datetime]:
    """When the newest revision of each flow was made."""
    row = flows.c
    query = select(row.namespace, row.id, func.max(row.created).label("made")).group_by(row.namespace, row.id)
    return {(found.namespace, found.id): found.made for found in connection.execute(query)}


def _drop(connection: Connection, keys: Sequence[str], before: datetime) -> None:
    """Drop all of some triggers; of one that moved meanwhile, for its flow has it again, nothing."""
    row, met = trigger_states.c, trigger_windows.c
    whose = row.namespace + "/" + row.flow_id + "/" + row.trigger_id
    connection.execute(delete(trigger_states).where(whose.in_(keys), row.updated < before))
    moved = select(whose).where(whose.in_(keys))
    connection.execute(delete(trigger_windows).where(met.trigger_key.in_(keys), met.ends < before))
    for table in (trigger_memories, trigger_fires):
        key = table.c.trigger_key
        connection.execute(delete(table).where(key.in_(keys), key.not_in(moved)))


def _named(key: str) -> tuple[str, str, str]:
    """Namespace, flow and trigger of a key."""
    namespace, flow_id, trigger_id = key.split("/", 2)
    return namespace, flow_id, trigger_id


def _whose(key: ColumnElement[str], namespace: str | None, *, below: bool) -> ColumnElement[bool]:
    """Keys of triggers of a namespace, and those below it."""
    if namespace is None:
        return true()
    own = key.startswith(f"{namespace}/", autoescape=True)
    return own | key.startswith(f"{namespace}.", autoescape=True) if below else own
