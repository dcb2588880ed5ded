"""Names of files that a flow picks by a regular expression, which is read as in Java and may not run for long."""

from collections.abc import Collection

from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.plugin import TaskFailed

AT_ONCE = 10_000  # names that are looked at together: a bucket may hold millions


def fitting(names: Collection[str], pattern: str | None, field: str) -> Collection[str]:
    """Those that it fits from end to end, all without one; TaskFailed when it is none or takes too long. Called in a
    thread, as it may wait for a process."""
    if not pattern:
        return names
    there, found = list(names), set[str]()
    try:
        for start in range(0, len(there) or 1, AT_ONCE):
            found |= regexes.fitting(there[start : start + AT_ONCE], pattern)
    except ExpressionFailed as error:
        raise TaskFailed(f"`{field}`: {error.message}", fix=error.fix) from error
    return found
