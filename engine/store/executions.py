"""Rows of executions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from engine.core.execution import Execution
from engine.core.state import State
from engine.store import outputs, tables, task_runs
from engine.store.documents import Sealer, dumps, execution_document, execution_from, loads
from engine.store.statements import insert_new
from engine.store.tables import commands, events, executions, logs, metrics, pauses

OPEN = tuple(state.value for state in State if not state.is_terminal)

_save = (
    update(executions)
    .where(executions.c.id == bindparam("key"), executions.c.version == bindparam("expected"))
    .values(state=bindparam("state"), version=bindparam("version"), updated=bindparam("updated"), doc=bindparam("doc"))
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The execution whose Subflow task made another. `outputs`: templates for what it wants of one without outputs."""

    execution_id: str
    task_run_id: str
    waits: bool = True
    iteration: int | None = None
    outputs: Mapping[str, Any] | None = None


def create(
    connection: Connection,
    execution: Execution,
    now: datetime,
    sealer: Sealer,
    *,
    caller: Caller | None = None,
    trigger: str | None = None,
    dedupe: str | None = None,
) -> bool:
    """Insert a new execution; False when one with the same dedupe key is there already (then nothing is written)."""
    values = {"in": execution.inputs, "out": execution.outputs}
    text, large = outputs.place(execution_document(execution), values, execution.id, execution.id, sealer)
    row = {
        "id": execution.id,
        "namespace": execution.namespace,
        "flow_id": execution.flow_id,
        "revision": execution.revision,
        "state": execution.state.value,
        "version": execution.version,
        "started_by": execution.started_by,
        "caller_id": caller and caller.execution_id,
        "caller": caller and dumps({name: getattr(caller, name) for name in caller.__slots__}),
        "trigger_id": trigger,
        "dedupe": dedupe,
        "created": execution.created,
        "updated": now,
        "doc": text,
    }
    if dedupe is not None:
        if not insert_new(connection, executions, row):
            return False
    else:
        connection.execute(insert(executions), row)
    outputs.save(connection, large)
    task_runs.save(connection, execution.id, {}, execution.task_runs, sealer)
    return True


def save(connection: Connection, before: Execution, after: Execution, now: datetime, sealer: Sealer) -> bool:
    """Write a decided execution over the version it was decided from; False when that is not what lies there."""
    values = {"in": after.inputs, "out": after.outputs}
    text, large = outputs.place(execution_document(after), values, after.id, after.id, sealer)
    moved = connection.execute(
        _save,
        {
            "key": after.id,
            "expected": before.version,
            "version": after.version,
            "state": after.state.value,
            "updated": now,
            "doc": text,
        },
    )
    if moved.rowcount != 1:
        return False
    if after.inputs is not before.inputs or after.outputs is not before.outputs:
        outputs.save(connection, large)
    task_runs.save(connection, after.id, before.task_runs, after.task_runs, sealer)
    return True


def load(connection: Connection, execution_id: str, sealer: Sealer) -> Execution | None:
    """One execution with its task runs."""
    found = _built(
        connection, connection.execute(select(executions).where(executions.c.id == execution_id)).all(), sealer
    )
    return found[0] if found else None


def by_dedupe(connection: Connection, dedupe: str, sealer: Sealer) -> Execution | None:
    """The execution that was created with this dedupe key."""
    found = _built(
        connection, connection.execute(select(executions).where(executions.c.dedupe == dedupe)).all(), sealer
    )
    return found[0] if found else None


def find(
    connection: Connection,
    sealer: Sealer,
    *,
    namespace: str | None = None,
    flow_id: str | None = None,
    states: Collection[State] | None = None,
    started_by: str | None = None,
    caller_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    before: str | None = None,
    oldest_first: bool = False,
) -> list[Execution]:
    """Executions that fit, newest first; `before` is the id after which the last page ended."""
    query = select(executions)
    for column, value in (
        ("namespace", namespace),
        ("flow_id", flow_id),
        ("started_by", started_by),
        ("caller_id", caller_id),
    ):
        if value is not None:
            query = query.where(executions.c[column] == value)
    if states is not None:
        query = query.where(executions.c.state.in_([state.value for state in states]))
    if since is not None:
        query = query.where(executions.c.created >= since)
    if until is not None:
        query = query.where(executions.c.created <= until)
    if before is not None:
        query = query.where(executions.c.id < before)
    order = executions.c.id.asc() if oldest_first else executions.c.id.desc()
    return _built(connection, connection.execute(query.order_by(order).limit(limit)).all(), sealer)


def _built(connection: Connection, rows: Sequence[Row[Any]], sealer: Sealer) -> list[Execution]:
    ids = [row.id for row in rows]
    if not ids:
        return []
    large = outputs.of_executions(connection, ids, sealer)
    runs = task_runs.of_executions(connection, ids, large, sealer)
    built = []
    for row in rows:
        doc = sealer.loads(row.doc, row.id)
        inputs = doc["in"] if "in" in doc else large.get(f"{row.id}#in", {})
        given = doc["out"] if "out" in doc else large.get(f"{row.id}#out")
        built.append(execution_from(row, doc, runs[row.id], inputs, given))
    return built


def caller_of(connection: Connection, execution_id: str) -> Caller | None:
    """Who made this one by a Subflow task, if that is how it came to be."""
    text = connection.execute(select(executions.c.caller).where(executions.c.id == execution_id)).scalar_one_or_none()
    return None if text is None else Caller(**loads(text))


def trigger_of(connection: Connection, execution_id: str) -> str | None:
    """The id of the trigger that made this execution, if one did."""
    found: str | None = connection.execute(
        select(executions.c.trigger_id).where(executions.c.id == execution_id)
    ).scalar_one_or_none()
    return found


def state_of(connection: Connection, execution_id: str) -> State | None:
    """The state of an execution; None when there is none."""
    found = connection.execute(select(executions.c.state).where(executions.c.id == execution_id)).scalar_one_or_none()
    return None if found is None else State(found)


def open_rows(connection: Connection) -> Sequence[Any]:
    """(id, namespace, flow_id, state) of every execution that has not ended, oldest first."""
    columns = (executions.c.id, executions.c.namespace, executions.c.flow_id, executions.c.state)
    return connection.execute(select(*columns).where(executions.c.state.in_(OPEN)).order_by(executions.c.id)).all()


def count(
    connection: Connection,
    *,
    namespace: str | None = None,
    flow_id: str | None = None,
    states: Collection[State] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """How many executions fit."""
    query = select(func.count()).select_from(executions)
    if namespace is not None:
        query = query.where(executions.c.namespace == namespace)
    if flow_id is not None:
        query = query.where(executions.c.flow_id == flow_id)
    if states is not None:
        query = query.where(executions.c.state.in_([state.value for state in states]))
    if since is not None:
        query = query.where(executions.c.created >= since)
    if until is not None:
        query = query.where(executions.c.created <= until)
    return connection.execute(query).scalar_one()


def purge(connection: Connection, execution_id: str) -> bool:
    """Delete an ended execution with everything that belongs to it; False when it is still under way or unknown."""
    state = state_of(connection, execution_id)
    if state is None or not state.is_terminal:
        return False
    for table in (tables.task_runs, tables.outputs, events, commands, pauses, logs, metrics):
        connection.execute(delete(table).where(table.c.execution_id == execution_id))
    connection.execute(delete(executions).where(executions.c.id == execution_id))
    return True


def next_version(execution: Execution) -> Execution:
    """The execution as it is written: one version on."""
    return replace(execution, version=execution.version + 1)
