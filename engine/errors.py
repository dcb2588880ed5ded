"""Every error the engine raises, for the person who wrote the flow or pressed the button.

EngineError              `message` says what happened, `fix` what to do
├─ FlowInvalid           the YAML does not describe a flow; `problems` says where
│  └─ UnknownTaskType
├─ ExpressionFailed      a {{ template }} could not be parsed or rendered
│  └─ NameMissing        … because a name or key is not there; `??` and `default` catch this one only
├─ InputInvalid          what was typed does not fit the inputs; `problems` has one row an input
├─ TaskFailed            a task ran and reported failure; may carry outputs
├─ NotFound              no such flow, execution, pause, file or key
├─ Refused               the operation does not fit the state it met (already decided, already ended, disabled …)
│  └─ BulkRefused        … of some of many executions; nothing was done to any
├─ SettingInvalid        a setting, token or file of the operator is wrong
└─ StoreFailed           the database cannot be opened, is newer than this program, or refuses a write
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.whole_text import writable


class EngineError(Exception):
    """Base of all errors: `message` says in a sentence what happened, `fix` what to do ("" when there is nothing)."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        message, fix = writable(message), writable(fix)  # they are shown, whatever they quote
        stop = "." if fix and message[-1:].isalnum() else ""  # some of Kestra's sentences end without one
        super().__init__(f"{message}{stop} {fix}".strip())
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a flow file. `line` and `column` count from 1, 0: unknown; `path` is `tasks[0].then[1]`."""

    path: str
    message: str
    severity: str = "error"  # error | warning | hint
    line: int = 0
    column: int = 0
    code: str = "invalid"
    suggestion: str = ""
    file: str = ""


class FlowInvalid(EngineError):
    """The YAML does not describe a flow."""

    def __init__(self, message: str, *, fix: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, fix=fix)
        self.problems = tuple(problems)


class UnknownTaskType(FlowInvalid, ValueError):  # ValueError: pydantic then adds where in the flow
    """A `type` is not installed."""

    def __init__(self, name: str, nearest: Sequence[str] = (), fix: str = "", kind: str = "task") -> None:
        hint = f"Did you mean {nearest[0]!r}?" if nearest else "Run `parley plugins` to list them."
        if len(nearest) > 1:
            hint += f" Also near: {', '.join(map(repr, nearest[1:]))}."
        super().__init__(f"No {f'{kind} ' if kind else ''}type {name!r} is installed.", fix=fix or hint)
        self.name = name
        self.nearest = tuple(nearest)


class ExpressionFailed(EngineError):
    """A {{ template }} could not be parsed or rendered. `line` and `column` count from 1 inside the template."""

    def __init__(self, message: str, *, fix: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message, fix=fix)
        self.line = line
        self.column = column


class NameMissing(ExpressionFailed):
    """A name, key or index is not there."""


@dataclass(frozen=True, slots=True)
class InputProblem:
    """Why one input was refused. `message` is Kestra's sentence; `value` is what was given, as text."""

    input: str
    message: str
    value: str | None = None


class InputInvalid(EngineError):
    """What was given does not fit the declared inputs."""

    def __init__(self, problems: Sequence[InputProblem]) -> None:
        super().__init__("; ".join(f"{p.input}: {p.message}" for p in problems))
        self.problems = tuple(problems)


class TaskFailed(EngineError):
    """A task ran and reported failure; `outputs` are kept on the task run all the same."""

    def __init__(self, message: str, *, fix: str = "", outputs: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, fix=fix)
        self.outputs = outputs


class NotFound(EngineError):
    """No such flow, execution, pause, file or key."""


class Refused(EngineError):
    """The operation does not fit the state it met."""


class BulkRefused(Refused):
    """An operation on many executions fits some of them not; nothing was done. `problems`: (execution, why)."""

    def __init__(self, problems: Sequence[tuple[str, str]], asked: int) -> None:
        told = "; ".join(f"{execution}: {why}" for execution, why in problems[:5])
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        fix = "Leave these out and ask again."
        super().__init__(f"Nothing was done, {len(problems)} of {asked} do not fit: {told}{more}.", fix=fix)
        self.problems = tuple(problems)


class SettingInvalid(EngineError):
    """A setting, token or file of the operator is wrong."""


class StoreFailed(EngineError):
    """The database cannot be opened, is newer than this program, or refuses a write."""
