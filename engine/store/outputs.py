"""Large values, apart from the documents that change often."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from engine.store.batches import Statement, Target, write
from engine.store.documents import Sealer
from engine.store.tables import outputs

INLINE = 1024  # characters of JSON that stay inside the document

_delete = Statement(delete(outputs).where(outputs.c.id == bindparam("key")))
_all = select(outputs).where(outputs.c.execution_id == bindparam("key"))
_insert = Statement(insert(outputs), columns=("id", "execution_id", "doc"))


def place(
    document: Mapping[str, Any], values: Mapping[str, Any], owner: str, execution_id: str, sealer: Sealer
) -> tuple[str, list[dict[str, Any]]]:
    """JSON text of a document with its small values inside, and rows for the large ones (`owner#name`)."""
    text = sealer.dumps(document, execution_id)
    rows = []
    for name, value in values.items():
        if value is None:
            continue
        json = sealer.dumps(value, execution_id)
        if len(json) <= INLINE:
            text = f'{text[:-1]},"{name}":{json}}}'
        else:
            rows.append({"id": f"{owner}#{name}", "execution_id": execution_id, "doc": json})
    return text, rows


def save(target: Target, rows: list[dict[str, Any]]) -> None:
    """Write large values over what was there."""
    if rows:
        write(target, _delete, [{"key": row["id"]} for row in rows])
        write(target, _insert, rows)


def drop(target: Target, owners: Iterable[str]) -> None:
    """Forget the large outputs of task runs."""
    write(target, _delete, [{"key": f"{owner}#o"} for owner in owners])


def of_execution(connection: Connection, execution_id: str, sealer: Sealer) -> dict[str, Any]:
    """All large values of one execution, by owner and name."""
    return {row.id: sealer.loads(row.doc, row.execution_id) for row in connection.execute(_all, {"key": execution_id})}


def of_executions(connection: Connection, ids: list[str], sealer: Sealer) -> dict[str, Any]:
    """All large values of some executions, by owner and name."""
    found = connection.execute(select(outputs).where(outputs.c.execution_id.in_(ids)))
    return {row.id: sealer.loads(row.doc, row.execution_id) for row in found}
