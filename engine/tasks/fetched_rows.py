"""What becomes of rows that a service gave: all, the first, a file of them, or only how many."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Annotated, Any, Literal

from engine.plugin import Instead, Outputs, Part, Property, RunContext, StoredUri
from engine.tasks.rows import lines_of

FetchType = Literal["STORE", "FETCH", "FETCH_ONE", "NONE"]


class Fetched(Outputs):
    """What a statement gave: `rows`, `row` or a file of rows, as asked for, and how many."""

    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    uri: StoredUri | None = None
    size: int = 0


class FetchFields(Part):
    """What becomes of the rows, also as older flows say it."""

    fetch_type: Property[FetchType] = "NONE"
    fetch: Annotated[Property[bool], Instead("fetchType: FETCH")] = False
    fetch_one: Annotated[Property[bool], Instead("fetchType: FETCH_ONE")] = False
    store: Annotated[Property[bool], Instead("fetchType: STORE")] = False

    @property
    def fetching(self) -> FetchType:
        """What becomes of the rows."""
        if self.fetch:
            return "FETCH"
        if self.fetch_one:
            return "FETCH_ONE"
        return "STORE" if self.store else self.fetch_type


async def fetched(context: RunContext, rows: Sequence[dict[str, Any]], kind: FetchType) -> Fetched:
    """The rows as `rows`, `row` or `uri`, as asked for."""
    found = Fetched(size=len(rows))
    if kind == "FETCH":
        found.rows = list(rows)
    elif kind == "FETCH_ONE":
        found.row, found.size = (rows[0], 1) if rows else (None, 0)
    elif kind == "STORE":
        found.uri = await filed(context, rows, "rows.jsonl")
    context.metric("fetch.size", found.size)
    return found


async def filed(context: RunContext, rows: Iterable[Any], name: str) -> str:
    """The URI of a file of rows, which are written out beside everything else."""
    text = await asyncio.to_thread(lambda: "".join(lines_of(rows)).encode())
    return await context.files.put(text, name)


async def stored(context: RunContext, rows: AsyncIterable[Any], name: str) -> tuple[str, int]:
    """The URI of a file of rows written as they come, and how many."""
    count, file = 0, context.working_dir / f".{name}-{context.task_run_id}-{context.attempt}"
    try:
        with file.open("w", encoding="utf-8") as lines:
            async for row in rows:
                lines.writelines(lines_of((row,)))
                count += 1
        return await context.files.put(file, name), count
    finally:
        file.unlink(missing_ok=True)
