"""Large values, apart from the documents that change often."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from engine.store.documents import Sealer
from engine.store.tables import outputs

INLINE = 1024  # characters of JSON that stay inside the document

_delete = delete(outputs).where(outputs.c.id == bindparam("key"))


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


def save(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Write large values over what was there."""
    if rows:
        connection.execute(_delete, [{"key": row["id"]} for row in rows])
        connection.execute(insert(outputs), rows)


def drop(connection: Connection, owners: Iterable[str]) -> None:
    """Forget the large outputs of task runs."""
    keys = [{"key": f"{owner}#o"} for owner in owners]
    if keys:
        connection.execute(_delete, keys)


def of_executions(connection: Connection, ids: list[str], sealer: Sealer) -> dict[str, Any]:
    """All large values of some executions, by owner and name."""
    found = connection.execute(select(outputs).where(outputs.c.execution_id.in_(ids)))
    return {row.id: sealer.loads(row.doc, row.execution_id) for row in found}
