"""Rows of executions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from engine.core.execution import Execution, TaskRuns, altered
from engine.core.state import State
from engine.store import outputs, tables, task_runs
from engine.store.batches import Batch, Statement, Target, write
from engine.store.batches import Row as Values
from engine.store.documents import Sealer, dumps, execution_document, execution_from, loads
from engine.store.statements import insert_new
from engine.store.tables import commands, events, executions, instant, logs, metrics, pauses

WAITING_STATES = (State.CREATED.value, State.QUEUED.value)
OPEN = tuple(state.value for state in State if not state.is_terminal)

_save = Statement(
    update(executions)
    .where(executions.c.id == bindparam("key"), executions.c.version == bindparam("expected"))
    .values(
        state=bindparam("new_state"),
        version=bindparam("new_version"),
        updated=bindparam("now"),
        doc=bindparam("new_doc"),
    ),
    each=True,
)


class Standing:
    """Executions of which nothing is written must lie there in a version, and stay so until the commit."""

    rank = 0
    each = True

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """How many of them do."""
        row = executions.c
        asked = select(row.id, row.version).where(row.id.in_([one["key"] for one in rows]))
        there = {one.id: one.version for one in connection.execute(asked.order_by(row.id).with_for_update(read=True))}
        return sum(there.get(one["key"]) == one["expected"] for one in rows)


_standing = Standing()
_one = select(executions).where(executions.c.id == bindparam("key"))
_insert = Statement(insert(executions), columns=[column.name for column in executions.columns])


@dataclass(frozen=True, slots=True)
class Caller:
    """The execution whose Subflow task made another. `outputs`: templates for what it wants of one without outputs."""

    execution_id: str
    task_run_id: str
    waits: bool = True
    iteration: int | None = None
    outputs: Mapping[str, Any] | None = None


def create(
    target: Target,
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
        "created": instant(execution.created),
        "updated": instant(now),
        "doc": text,
    }
    if dedupe is not None:
        connection = target.connection if isinstance(target, Batch) else target
        if not insert_new(connection, executions, row | {"created": execution.created, "updated": now}):
            return False
    else:
        write(target, _insert, [row])
    outputs.save(target, large)
    task_runs.save(target, execution.id, {}, execution.task_runs, sealer)
    return True


def save(target: Target, before: Execution, after: Execution, now: datetime, sealer: Sealer) -> bool:
    """Write a decided execution over the version it was decided from; False when that is not what lies there.

    In a batch nobody knows that yet: the batch raises Superseded when it is written. A decision to change nothing must
    rest on what lies there as well: from an older version an answer would look as if nobody had asked.
    """
    if after is before:
        return write(target, _standing, [{"key": before.id, "expected": before.version}])
    values = {"in": after.inputs, "out": after.outputs}
    text, large = outputs.place(execution_document(after), values, after.id, after.id, sealer)
    row = {
        "key": after.id,
        "expected": before.version,
        "new_version": after.version,
        "new_state": after.state.value,
        "now": instant(now),
        "new_doc": text,
    }
    if not write(target, _save, [row]):
        return False
    if after.inputs is not before.inputs or after.outputs is not before.outputs:
        outputs.save(target, large)
    task_runs.save(target, after.id, before.task_runs, after.task_runs, sealer)
    return True


def load(connection: Connection, execution_id: str, sealer: Sealer) -> Execution | None:
    """One execution with its task runs."""
    row = connection.execute(_one, {"key": execution_id}).one_or_none()
    if row is None:
        return None
    large = outputs.of_execution(connection, execution_id, sealer)
    return _whole(row, large, task_runs.of_execution(connection, execution_id, large, sealer), sealer)


def by_dedupe(connection: Connection, dedupe: str, sealer: Sealer) -> Execution | None:
    """The execution that was created with this dedupe key."""
    found = built(connection, connection.execute(select(executions).where(executions.c.dedupe == dedupe)).all(), sealer)
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
    return built(connection, connection.execute(query.order_by(order).limit(limit)).all(), sealer)


def built(connection: Connection, rows: Sequence[Row[Any]], sealer: Sealer) -> list[Execution]:
    """The executions of some rows, with their task runs."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    large = outputs.of_executions(connection, ids, sealer)
    runs = task_runs.of_executions(connection, ids, large, sealer)
    return [_whole(row, large, runs[row.id], sealer) for row in rows]


def _whole(row: Row[Any], large: Mapping[str, Any], runs: TaskRuns, sealer: Sealer) -> Execution:
    doc = sealer.loads(row.doc, row.id)
    inputs = doc["in"] if "in" in doc else large.get(f"{row.id}#in", {})
    given = doc["out"] if "out" in doc else large.get(f"{row.id}#out")
    return execution_from(row, doc, runs, inputs, given)


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


def open_rows(connection: Connection, namespace: str, flow_id: str) -> Sequence[Any]:
    """(id, state) of every execution of a flow that has not ended, oldest first."""
    row = executions.c
    of_flow = (row.namespace == namespace, row.flow_id == flow_id, row.state.in_(OPEN))
    return connection.execute(select(row.id, row.state).where(*of_flow).order_by(row.id)).all()


def running(connection: Connection, namespace: str, flow_id: str) -> set[str]:
    """Executions of a flow that have started and not ended."""
    return {row.id for row in open_rows(connection, namespace, flow_id) if row.state not in WAITING_STATES}


def queueing(connection: Connection) -> set[tuple[str, str]]:
    """(namespace, id) of every flow of which an execution waits for its turn."""
    row = executions.c
    found = connection.execute(select(row.namespace, row.flow_id).where(row.state == State.QUEUED.value).distinct())
    return {(namespace, flow_id) for namespace, flow_id in found}


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
    return altered(execution, version=execution.version + 1)
