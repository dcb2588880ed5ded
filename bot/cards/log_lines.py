"""Log lines as people read them. Pure."""

from collections.abc import Iterable

from engine.store.logs import LogLine


def written(lines: Iterable[LogLine]) -> tuple[str, ...]:
    """One text a line: time, level, task and what was said."""
    return tuple(
        f"{entry.at:%H:%M:%S} {entry.level:<5} {entry.task_id or '-'}: {part}"
        for entry in lines
        for part in entry.message.splitlines() or [""]
    )
