"""What a task may use; tasks import from here and from nowhere else in the engine.

A task that does work derives from RunnableTask and has `run`. A task that decides which tasks run next derives from
`engine.core.flowable.FlowableTask` and stays pure.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, Field

from engine.core.durations import Duration
from engine.core.property import Instead, JsonText, LateProperty, LateShellText, Property, ShellText, Unserved
from engine.core.state import State
from engine.core.task import Part, Task, Typed
from engine.core.task_outputs import StoredUri
from engine.core.triggers import Trigger
from engine.errors import TaskFailed
from engine.expressions import Guard
from engine.records import Level, Purged, Records, Selection, TriggerStanding
from engine.settings import Settings
from engine.sight import Changes, Content, DeployedFlow, FileChange, SeenFiles, SeenFlows, Sight

if TYPE_CHECKING:  # loaded by the first task that calls somebody
    import httpx

__all__ = [
    "Changes",
    "ChatPort",
    "ChatPost",
    "Content",
    "DeployedFlow",
    "Executions",
    "FileChange",
    "Files",
    "Flows",
    "Instead",
    "JsonText",
    "KeyValues",
    "LateProperty",
    "LateShellText",
    "Level",
    "Message",
    "Outputs",
    "Part",
    "PollingTrigger",
    "Property",
    "Purged",
    "RealtimeTrigger",
    "Records",
    "Result",
    "RunContext",
    "RunnableTask",
    "Selection",
    "Settings",
    "ShellText",
    "Sight",
    "StoredUri",
    "TaskFailed",
    "TriggerStanding",
    "Typed",
    "Unserved",
]


class Outputs(BaseModel):
    """Base of what a task hands to later tasks as `outputs.<task id>`; field names appear as written (use aliases)."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outputs with more to say: a state other than SUCCESS, or effects on the execution itself
    ({"labels": …}, {"variables": …}, {"unset": […]}, {"exit": "FAILED"})."""

    holds_outputs: ClassVar[bool] = True
    outputs: Outputs | Mapping[str, Any] | None = None
    state: State = State.SUCCESS
    effects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatPost:
    """A message for a channel through the bot's own connection. `body` is in the platform's own JSON when `raw`."""

    platform: Literal["slack", "discord", "web"]
    channel: str
    text: str = ""
    body: Mapping[str, Any] | None = None
    thread: str | None = None
    files: Sequence[str] = ()  # internal storage URIs
    username: str | None = None
    nonce: str = ""  # the same nonce again is the same message


class ChatPort(Protocol):
    """The bot's own connections, as tasks see them."""

    async def post(self, post: ChatPost) -> str:
        """Post and return the platform's message id; TaskFailed says what to do when the channel can't be reached."""

    async def call(self, platform: Literal["slack"], method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        """Do something else there as the bot, in the platform's own words; what it answers, a refusal too. TaskFailed
        when the bot is not connected to it, or it can't be reached."""

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        """(platform, channel) from which an execution was started, if a person started it in chat."""


class KeyValues(Protocol):
    """The KV store of namespaces."""

    async def get(self, namespace: str, key: str) -> Any:
        """The value, typed; NotFound when missing or expired."""

    async def set(
        self,
        namespace: str,
        key: str,
        value: Any,
        *,
        ttl: float | None = None,
        overwrite: bool = True,
        kind: str | None = None,
        description: str | None = None,
    ) -> None:
        """Store a value for `ttl` seconds or for good; Refused when it exists and `overwrite` is false."""

    async def update(self, namespace: str, key: str, change: Callable[[Any], Any], *, must_exist: bool = False) -> None:
        """Store what `change` (pure) makes of the value, None when there is none; how long it lives stays. NotFound."""

    async def delete(self, namespace: str, key: str) -> bool:
        """Whether there was one."""

    async def keys(self, namespace: str, prefix: str = "") -> list[str]:
        """Keys that have not expired."""


class Files(SeenFiles, Protocol):
    """Internal storage: `kestra:///…` URIs; readable are files of the own execution, its parents and its namespace."""

    async def put(self, source: Path | bytes, name: str) -> str:
        """Copy into storage under the current task run; the URI."""

    async def read(self, uri: str) -> bytes:
        """The content; NotFound or Refused."""

    async def delete(self, uri: str) -> None:
        """Remove a file; NotFound or Refused."""

    async def put_namespace_file(self, namespace: str, path: str, source: Path | bytes) -> str:
        """Write a file of a namespace over what was there; its URI. Refused when the path leaves the namespace."""

    async def delete_namespace_file(self, namespace: str, path: str, *, tidy: bool = False) -> bool:
        """Whether there was one; with `tidy` folders left empty go too. Refused."""

    async def purge_execution(self) -> list[str]:
        """Delete every file of the own execution; their URIs."""


class Executions(Protocol):
    """What a task may ask of other executions."""

    async def resume(self, execution_id: str, inputs: Mapping[str, Any], *, by: str) -> tuple[str, str]:
        """Answer its first pause; the namespace and the id of its flow. NotFound, Refused when nothing waits,
        InputInvalid."""

    async def kill(self, execution_id: str, *, by: str, cascade: bool, dedupe: str) -> None:
        """Stop it and, with `cascade`, what it waits for; NotFound, Refused when it has ended, unless this key stopped
        it before."""

    async def start(
        self,
        namespace: str,
        flow_id: str,
        inputs: Mapping[str, Any],
        *,
        by: str,
        labels: Sequence[tuple[str, str]] = (),
        schedule_date: datetime | None = None,
        dedupe: str | None = None,
    ) -> str:
        """Start a flow; the execution's id. NotFound, InputInvalid, Refused. A FILE input takes a URI only."""


class Flows(SeenFlows, Protocol):
    """The flows there are, and the way to change them."""

    async def deploy(self, source: str) -> DeployedFlow:
        """Keep a text as the newest revision; FlowInvalid, Refused when a file of a watched folder keeps the flow."""

    async def delete(self, namespace: str, flow_id: str) -> None:
        """Nothing new starts from it any more; NotFound, Refused when a file of a watched folder keeps it."""

    async def purge_revisions(
        self, fits: Callable[[str, str], bool], *, keep: int | None = None, before: datetime | None = None
    ) -> int:
        """Forget old revisions of flows for whose namespace and id `fits` says yes; how many. Newest ones, and those
        that executions under way run, stay."""


class RunContext(Protocol):
    """Everything outside the process that a running task may touch."""

    namespace: str
    flow_id: str
    execution_id: str
    task_run_id: str
    task_id: str
    attempt: int
    time_limit: float | None  # seconds the attempt may take, where its task says so
    settings: Settings
    kv: KeyValues
    chat: ChatPort | None
    executions: Executions | None
    flows: Flows | None
    records: Records | None

    @property
    def value(self) -> str | None:
        """The value of the loop this task run belongs to."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """What expressions see."""

    @property
    def files(self) -> Files:
        """Internal storage, as this task run sees it."""

    @property
    def http(self) -> "httpx.AsyncClient":
        """A client, made on first use and closed with the attempt."""

    @property
    def working_dir(self) -> Path:
        """A folder of its own, made on first use; shared by the children of a WorkingDirectory."""

    def log(self, message: str, level: Level = "INFO") -> None:
        """Write to the execution's log; secrets are masked."""

    def metric(
        self, name: str, value: float, kind: Literal["counter", "timer", "gauge"] = "counter", **tags: str
    ) -> None:
        """Record a metric of this task run."""

    async def render(self, template: Any, *, guard: Guard = "none", **extra: Any) -> Any:
        """Render text (or nested containers) with this task's variables and `extra`; ExpressionFailed."""

    async def evaluate(self, template: Any, **extra: Any) -> Any:
        """Like `render`, but text that is one whole expression gives its value with its type; ExpressionFailed."""

    async def execution_map(self, execution_id: str | None = None) -> Mapping[str, Any]:
        """An execution as the Slack/Discord execution templates want it."""

    def mask(self, secret: str) -> None:
        """Never show this text in a log, card or error."""

    def hidden(self, text: str) -> str:
        """A text as it may go out to others: every secret in it is masked."""


class PollContext(RunContext, Protocol):
    """Everything outside the process that a looking trigger may touch."""

    memory: Mapping[str, Any]  # what it said it saw when it last looked; empty at first

    async def remember(self, memory: Mapping[str, Any]) -> None:
        """Write at once what to know at the next look, if this one comes to no end: before something is done that can't
        be done twice. TaskFailed where nothing may be done: the trigger was switched off, or another process looks."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a trigger sees that remembers: what is new (None: nothing), and all it must know at the next look. Both are
    kept at once, so that nothing is missed or counted twice, whenever the process dies."""

    found: Outputs | Mapping[str, Any] | None
    memory: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a trigger took away from where it lay, as messages of a queue. `taking`, which yielded it, goes on when the
    execution is written, and only then says that nothing need come again; it is closed where that can't be."""

    found: Outputs
    taking: AsyncGenerator[Outputs, None]


class RunnableTask(Task, ABC):
    """A task that does work."""

    is_pure: ClassVar[bool] = False
    """Whether it only computes. Outputs and log lines are all that comes of it, so it may run again, and inside the
    transaction that starts it."""

    untold: ClassVar[frozenset[str]] = frozenset()
    """Properties that `changes` does without."""

    async def changes(self, sight: Sight, *, is_shared: bool) -> Sequence[Changes]:
        """Which files `run` would change, as far as what is at hand tells; TaskFailed where it can't work.

        Nothing is done and nobody is called: people look at this before they decide. Every Property that is not
        `untold` is rendered. `is_shared`: it would run in a folder that other tasks have filled by then.
        """
        return ()

    @classmethod
    def tells_changes(cls) -> bool:
        """Whether it is a task that changes files, and says which."""
        return cls.changes is not RunnableTask.changes

    @abstractmethod
    async def run(self, context: RunContext) -> Outputs | Mapping[str, Any] | Result | None:
        """Do the work with every Property already rendered; raise TaskFailed to fail."""


class PollingTrigger(Trigger, ABC):
    """A trigger that looks at something again and again; what it finds starts an execution."""

    interval: Duration = Field(
        default=timedelta(seconds=60), ge=timedelta(seconds=1), description="The wait between two looks."
    )

    @abstractmethod
    async def poll(self, context: PollContext) -> Outputs | Mapping[str, Any] | Look | Taken | None:
        """What is there now, as `trigger.*` of a new execution; None when there is nothing. TaskFailed.

        Nothing is rendered yet; the context belongs to no execution, and is open until what was found is written.
        """


@dataclass(frozen=True, slots=True)
class Message:
    """What a realtime trigger heard, as `trigger.*` of its execution. The same `key` again is the same message, however
    often it comes; one without a key starts an execution each time. What can't be read has a `problem`, and becomes a
    FAILED execution."""

    variables: Outputs | Mapping[str, Any]
    key: str | None = None
    problem: TaskFailed | None = None


class RealtimeTrigger(Trigger, ABC):
    """A trigger that listens for as long as its flow is there; each message starts an execution."""

    @abstractmethod
    def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        """Messages as they come, a few at once. TaskFailed when there is nobody to hear.

        Who asks for more has committed the executions of those before: only then are they acknowledged. Nothing is
        rendered yet; the context belongs to no execution.
        """
