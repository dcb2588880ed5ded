"""What happened to an execution. Values in; `advance` decides what follows.

Events that come from outside a decision are durable: they are stored in the inbox with a dedupe key before anybody
acts on them. `Rendered` is not: it answers a `Render` command inside the same decision.
Every event carries `now`, the only clock the core knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.core.state import State


@dataclass(frozen=True, slots=True)
class Started:
    """The execution was created, or its turn in the queue or its schedule date has come."""

    now: datetime


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The flow's `concurrency.limit` is used up: `running` others are under way.

    Sent instead of `Started`, which follows when the execution's turn has come (behaviour QUEUE).
    """

    now: datetime
    running: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the expressions of one `Render` command returned; `error` is set instead when one of them failed."""

    now: datetime
    task_run_id: str | None
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A worker began attempt number `attempt` (1, 2 …)."""

    now: datetime
    task_run_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A worker ended attempt number `attempt`. `state` is SUCCESS, WARNING, FAILED or KILLED, before any allowance.

    `effects` are what execution tasks ask of the executor itself, by name: {"labels": {...}}, {"variables": {...}},
    {"unset": [...]}, {"exit": "FAILED"}.
    """

    now: datetime
    task_run_id: str
    attempt: int
    state: State
    started: datetime
    outputs: Mapping[str, Any] | None = None
    effects: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ChildRan:
    """Inside a WorkingDirectory job, the child `task_id` moved to `state` (RUNNING first, then its end)."""

    now: datetime
    parent_id: str
    task_id: str
    state: State
    attempt: int = 1
    outputs: Mapping[str, Any] | None = None
    effects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by `SetTimer` came due."""

    now: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """Somebody answered a pause (`inputs` are typed already), or lets a held execution go on (`task_run_id` None)."""

    now: datetime
    task_run_id: str | None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


@dataclass(frozen=True, slots=True)
class Overruled:
    """What becomes of a pause nobody answers was decided outside its flow: this behaviour, or None to wait on."""

    now: datetime
    task_run_id: str
    behavior: str | None


@dataclass(frozen=True, slots=True)
class SubflowCreated:
    """The child execution asked for by `StartSubflow` exists (or could not be made: `error`)."""

    now: datetime
    task_run_id: str
    execution_id: str | None
    error: str | None = None
    iteration: int | None = None  # of the StartSubflow it answers
    attempt: int | None = None  # of the StartSubflow it answers; None: told by an older version
    replaces: str | None = None  # the execution whose place it takes, which is RETRIED


@dataclass(frozen=True, slots=True)
class SubflowEnded:
    """A child execution reached a terminal state. `outputs` are its flow outputs."""

    now: datetime
    task_run_id: str
    execution_id: str
    state: State
    outputs: Mapping[str, Any] | None = None
    error: str | None = None
    iteration: int | None = None  # of the StartSubflow it answers
    reason: str | None = None  # the last error it logged, for the caller's own log


@dataclass(frozen=True, slots=True)
class KillAsked:
    """Somebody wants the execution to stop now, and without `cascade` nothing but it."""

    now: datetime
    by: str = ""
    reason: str = ""
    cascade: bool = True


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """Somebody wants nothing new to start until resumed."""

    now: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """Somebody wants the failed or paused task runs of an ended execution to run again."""

    now: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class ForceAsked:
    """Somebody wants the execution to begin now, whatever its schedule date or the flow's limit."""

    now: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class TaskStateAsked:
    """Somebody gives a task run another ended state; the execution goes on from there."""

    now: datetime
    task_run_id: str
    state: State
    by: str = ""


Event = (
    Started
    | LimitReached
    | Rendered
    | TaskStarted
    | TaskEnded
    | ChildRan
    | TimerFired
    | Resumed
    | Overruled
    | SubflowCreated
    | SubflowEnded
    | KillAsked
    | PauseAsked
    | RestartAsked
    | ForceAsked
    | TaskStateAsked
)
