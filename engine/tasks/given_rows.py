"""Rows that a task is given: the URI of a file of rows, a list, one map, or JSON text of either."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from engine.core.json_text import any_json
from engine.plugin import RunContext, TaskFailed
from engine.tasks.rows import values_of
from engine.tasks.working_files import STORAGE


async def rows(context: RunContext, given: Any, name: str = "from") -> list[Any]:
    """The rows; TaskFailed when what is given is none of these."""
    if isinstance(given, str):
        text = given.strip()
        if text.startswith(STORAGE):
            path = context.files.path(text)
            return await asyncio.to_thread(lambda: list(values_of(path)))
        if text[:1] not in ("[", "{"):
            return [given]
        try:
            given = any_json(text)
        except ValueError as error:
            raise TaskFailed(f"`{name}` is not JSON: {error}.", fix="Give a file's URI, a list or a map.") from error
    if isinstance(given, Sequence):
        found: list[Any] = []
        for one in given:
            is_file = isinstance(one, str) and one.strip().startswith(STORAGE)
            found += await rows(context, one, name) if is_file else [one]
        return found
    return [given]


def text_of(value: Any) -> str:
    """A value as the text of a message: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
