"""What becomes of rows that a service gave: all, the first, a file of them, or only how many."""

from collections.abc import Sequence
from typing import Any

from engine.plugin import RunContext
from engine.tasks.rows import lines_of
from engine.tasks.sql_task import Fetched, FetchType


async def fetched(context: RunContext, rows: Sequence[dict[str, Any]], kind: FetchType) -> Fetched:
    """The rows as `rows`, `row` or `uri`, as asked for."""
    found = Fetched(size=len(rows))
    if kind == "FETCH":
        found.rows = list(rows)
    elif kind == "FETCH_ONE":
        found.row, found.size = (rows[0], 1) if rows else (None, 0)
    elif kind == "STORE":
        found.uri = await context.files.put("".join(lines_of(rows)).encode(), "rows.jsonl")
    context.metric("fetch.size", found.size)
    return found
