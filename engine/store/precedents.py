"""How runs of a flow went on from a question before: the latest times it was answered, whatever else is stored.

What is found for a question depends on nothing that came after it: whenever it is looked up, it is the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from engine.core.execution import Histories
from engine.store.documents import from_histories, loads
from engine.store.pauses import PauseRow
from engine.store.tables import executions, metrics, pauses, task_runs

AMONG = 100  # runs of the flow that are looked through, newest first
MAX_TIMES = 20
MAX_LEVELS = 3  # of flows that these runs called
MAX_CALLED = 1000
MAX_VALUES = 10_000  # recorded values, and
MAX_TASK_RUNS = 2000  # task runs that are read; times that don't fit are told by how long they took alone


@dataclass(frozen=True, slots=True)
class Stage:
    """The flow that a task run belonged to: that of the question, or one that was called."""

    namespace: str
    flow_id: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One value that a task recorded."""

    stage: Stage
    task_id: str
    name: str
    value: float
    at: datetime
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Worked:
    """The states of one task run, with their times."""

    stage: Stage
    task_id: str
    histories: Histories


@dataclass(frozen=True, slots=True)
class Precedent:
    """One time the question was answered. `pause_id`: which that was; `since`: when; `until`: when the run asked again,
    if it did. `recorded` and `worked` are of the whole run and all it called; None where there was too much of it."""

    pause_id: str
    revision: int
    answers: Mapping[str, Any]  # secrets masked
    histories: Histories  # of the run
    since: datetime
    until: datetime | None
    recorded: tuple[Recorded, ...] | None
    worked: tuple[Worked, ...] | None


def before(
    connection: Connection,
    pause: PauseRow,
    *,
    values: Collection[str],
    with_tasks: bool = True,
    known: Collection[str] = (),
) -> list[Precedent]:
    """The latest times that this question of its flow was answered before it was asked now, newest first; with the
    recorded values of these names. Of the pauses that are `known` nothing recorded is read."""
    row, waited, again = executions.c, pauses.c, pauses.alias().c
    runs = select(row.id).where(
        row.namespace == pause.namespace, row.flow_id == pause.flow_id, row.created <= pause.created
    )
    newest = runs.order_by(row.created.desc()).limit(AMONG)
    asked_again = select(func.min(again.created)).where(
        again.execution_id == waited.execution_id, again.created >= waited.decided_at, again.created <= pause.created
    )
    times = connection.execute(
        select(
            waited.id,
            waited.execution_id,
            waited.decided_at,
            waited.inputs,
            asked_again.scalar_subquery().label("until"),
        )
        .where(
            waited.execution_id.in_(newest),
            waited.task_id == pause.task_id,
            waited.state == "RESUMED",
            waited.decided_at <= pause.created,
            waited.id != pause.id,
        )
        .order_by(waited.decided_at.desc(), waited.id.desc())
        .limit(MAX_TIMES)
    ).all()
    family = _family(connection, {time.execution_id for time in times if time.id not in known})
    recorded = _recorded(connection, family, values) if values else None
    worked = _worked(connection, family) if with_tasks else None
    found = []
    docs = select(row.id, row.revision, row.doc).where(row.id.in_([time.execution_id for time in times]))
    known = {one.id: one for one in connection.execute(docs)} if times else {}
    for time in times:
        run = known[time.execution_id]
        found.append(
            Precedent(
                time.id,
                run.revision,
                loads(time.inputs) if time.inputs else {},
                from_histories(loads(run.doc)["histories"]),
                time.decided_at,
                time.until,
                () if recorded is None else recorded.get(run.id),
                () if worked is None else worked.get(run.id),
            )
        )
    return found


@dataclass(slots=True)
class _Family:
    """Runs and all they called: of each its stage, and the run that everything goes back to."""

    stages: dict[str, Stage]
    roots: dict[str, str]
    cut: set[str]  # runs that called more flows than are looked at

    def whole(self, covered: Collection[str]) -> set[str]:
        """The runs of which every member is among these."""
        return set(self.roots.values()) - self.cut - {root for one, root in self.roots.items() if one not in covered}


def _family(connection: Connection, ids: set[str]) -> _Family:
    row = executions.c
    about = select(row.id, row.caller_id, row.namespace, row.flow_id)
    family = _Family({}, {}, set())
    found = connection.execute(about.where(row.id.in_(ids))).all() if ids else []
    for _ in range(MAX_LEVELS + 1):
        for one in found:
            family.stages[one.id] = Stage(one.namespace, one.flow_id)
            family.roots[one.id] = one.id if one.id in ids else family.roots[one.caller_id]
        callers = [one.id for one in found]
        called = about.where(row.caller_id.in_(callers)).order_by(row.caller_id.desc(), row.id).limit(MAX_CALLED + 1)
        found = connection.execute(called).all() if callers else []
        if len(found) > MAX_CALLED:
            family.cut.update(family.roots[one] for one in callers if one <= found[-1].caller_id)
    family.cut.update(family.roots[one.caller_id] for one in found)  # deeper than is looked
    return family


def _recorded(connection: Connection, family: _Family, names: Collection[str]) -> dict[str, tuple[Recorded, ...]]:
    row = metrics.c
    query = select(metrics).where(row.execution_id.in_(family.stages), row.name.in_(names))
    found = connection.execute(query.order_by(row.execution_id.desc(), row.id).limit(MAX_VALUES + 1)).all()
    by_root: dict[str, list[Recorded]] = {root: [] for root in family.whole(_covered(family, found, MAX_VALUES))}
    for one in found:
        mine = by_root.get(family.roots[one.execution_id])
        if mine is not None:
            stage = family.stages[one.execution_id]
            mine.append(Recorded(stage, one.task_id, one.name, one.value, one.at, loads(one.tags)))
    return {root: tuple(mine) for root, mine in by_root.items()}


def _worked(connection: Connection, family: _Family) -> dict[str, tuple[Worked, ...]]:
    row = task_runs.c
    query = select(row.execution_id, row.task_id, row.doc).where(row.execution_id.in_(family.stages))
    newest = query.order_by(row.execution_id.desc(), row.position).limit(MAX_TASK_RUNS + 1)
    found = connection.execute(newest).all()
    by_root: dict[str, list[Worked]] = {root: [] for root in family.whole(_covered(family, found, MAX_TASK_RUNS))}
    for one in found:
        mine = by_root.get(family.roots[one.execution_id])
        if mine is not None:
            stage = family.stages[one.execution_id]
            mine.append(Worked(stage, one.task_id, from_histories(loads(one.doc)["h"])))
    return {root: tuple(mine) for root, mine in by_root.items()}


def _covered(family: _Family, rows: Sequence[Any], limit: int) -> set[str]:
    """The members whose rows are all there, of rows in falling order of the members' ids up to a limit."""
    if len(rows) <= limit:
        return set(family.stages)
    return {one for one in family.stages if one > rows[-1].execution_id}
