"""Server-sent events: a stream of lines → events."""

import json
from collections.abc import AsyncIterator
from typing import Any

Event = dict[str, Any]


async def events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """`data` (JSON when it is any, else text), `id`, `name`, `comment` and `retry` (seconds) of each event.

    A block without data is none; the last one counts although no blank line follows.
    """
    event, data, last_id = _nothing(), list[str](), None
    async for line in _with_end(lines):
        if not line:
            if data:
                yield {**event, "data": _value("\n".join(data)), "id": last_id}
            event, data = _nothing(), []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            event["comment"] = value
        elif field == "data":
            data.append(value)
        elif field == "event":
            event["name"] = value
        elif field == "id" and "\0" not in value:
            last_id = value
        elif field == "retry" and value.isascii() and value.isdecimal():
            event["retry"] = int(value) / 1000


async def _with_end(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield line
    yield ""


def _nothing() -> Event:
    return {"data": None, "id": None, "name": None, "comment": None, "retry": None}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
