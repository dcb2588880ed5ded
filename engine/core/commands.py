"""What is to be done in the world because of a decision. Whoever carries one out posts an event when it is done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.core.state import State

START = "start"  # key of the timer of an execution that begins later


@dataclass(frozen=True, slots=True)
class Render:
    """Evaluate expressions with the variables of a task run (None: of the execution). Answered by `Rendered` at once,
    inside the decision.

    `sources` maps a key to a template or to a nested value holding templates. Modes: `text` gives text (containers are
    rendered inside), `typed` gives the value itself, `list` gives a list (text is parsed as JSON), `inputs` gives a
    mapping whose FILE values stay URIs, `each` gives for every entry of a mapping `{"value": …}`, or `{"error": text}`
    for one that can't be rendered. `extra` adds names to the variables, over those of the same name.
    """

    task_run_id: str | None
    sources: Mapping[str, Any]
    modes: Mapping[str, Literal["text", "typed", "list", "each"]] = field(default_factory=dict)  # default: text
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunTask:
    """Run attempt number `attempt` of a runnable task (or a whole WorkingDirectory) on a worker."""

    task_run_id: str
    attempt: int
    worker_group: str | None = None


@dataclass(frozen=True, slots=True)
class StopTask:
    """Interrupt a running attempt; the worker answers with `TaskEnded` KILLED."""

    task_run_id: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Post `TimerFired(key)` at a time. Setting the same key again moves it."""

    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget a timer."""

    key: str


@dataclass(frozen=True, slots=True)
class OpenPause:
    """A task run waits for a person: make the row that cards, inboxes and approvals are drawn from."""

    task_run_id: str
    deadline: datetime | None = None
    deadline_behavior: str = "RESUME"


@dataclass(frozen=True, slots=True)
class ClosePause:
    """A pause is over by other means than an answer: deadline (EXPIRED), kill (KILLED), restart (SUPERSEDED)."""

    task_run_id: str
    reason: Literal["RESUMED", "EXPIRED", "KILLED", "SUPERSEDED"]


@dataclass(frozen=True, slots=True)
class StartSubflow:
    """Create a child execution; answered by `SubflowCreated`, and by `SubflowEnded` when `wait`.

    `labels` are all but the child flow's own. `attempt` and `iteration` (number of the batch, from 1) make the command
    unique; `iteration` comes back in both events. `outputs`: templates for the child's outputs when its flow has none.
    `restarts`: the execution an earlier attempt asked for; if it can be restarted, that is done instead.
    """

    task_run_id: str
    namespace: str
    flow_id: str
    revision: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[tuple[str, str], ...] = ()
    wait: bool = True
    origin_type: str = "Subflow"
    schedule_date: datetime | None = None
    items: str | None = None  # ForEachItem: URI of the batch
    attempt: int = 1
    iteration: int | None = None
    outputs: Mapping[str, Any] | None = None
    restarts: str | None = None


@dataclass(frozen=True, slots=True)
class StopSubflow:
    """Kill a child execution."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class CreateRetry:
    """Create the execution that replaces this one at a time (retry behaviour CREATE_NEW_EXECUTION)."""

    at: datetime


@dataclass(frozen=True, slots=True)
class CancelRetry:
    """Create no execution in the place of this one; kill what has taken its place already."""

    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WriteLog:
    """Add a line to the execution's log. Levels: TRACE DEBUG INFO WARN ERROR."""

    level: str
    message: str
    task_run_id: str | None = None
    at: datetime | None = field(default=None, compare=False)  # when it was decided, and during which attempt
    attempt: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Announce:
    """The execution changed state: wake parents, flow triggers, the concurrency queue, cards and waiting callers."""

    state: State


Command = (
    Render
    | RunTask
    | StopTask
    | SetTimer
    | CancelTimer
    | OpenPause
    | ClosePause
    | StartSubflow
    | StopSubflow
    | CreateRetry
    | CancelRetry
    | WriteLog
    | Announce
)
