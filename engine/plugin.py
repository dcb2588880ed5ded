"""What a task may use; tasks import from here and from nowhere else in the engine.

A task that does work derives from RunnableTask and has `run`. A task that decides which tasks run next derives from
`engine.core.flowable.FlowableTask` and stays pure.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx
from pydantic import BaseModel

from engine.core.property import JsonText, LateProperty, LateShellText, Property, ShellText
from engine.core.state import State
from engine.core.task import Part, Task, Typed
from engine.errors import TaskFailed
from engine.settings import Settings

__all__ = [
    "ChatPost",
    "ChatPort",
    "Executions",
    "Files",
    "KeyValues",
    "Level",
    "JsonText",
    "LateProperty",
    "LateShellText",
    "Outputs",
    "Part",
    "Property",
    "Result",
    "RunContext",
    "RunnableTask",
    "Settings",
    "ShellText",
    "TaskFailed",
    "Typed",
]

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]


class Outputs(BaseModel):
    """Base of what a task hands to later tasks as `outputs.<task id>`; field names appear as written (use aliases)."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outputs with more to say: a state other than SUCCESS, or effects on the execution itself
    ({"labels": …}, {"variables": …}, {"unset": […]}, {"exit": "FAILED"})."""

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

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        """(platform, channel) from which an execution was started, if a person started it in chat."""


class KeyValues(Protocol):
    """The KV store of namespaces."""

    async def get(self, namespace: str, key: str) -> Any:
        """The value, typed; NotFound when missing or expired."""

    async def set(
        self, namespace: str, key: str, value: Any, *, ttl: float | None = None, overwrite: bool = True, kind: str | None = None
    ) -> None:
        """Store a value for `ttl` seconds or for good; Refused when it exists and `overwrite` is false."""

    async def delete(self, namespace: str, key: str) -> bool:
        """Whether there was one."""

    async def keys(self, namespace: str, prefix: str = "") -> list[str]:
        """Keys that have not expired."""


class Files(Protocol):
    """Internal storage: `kestra:///…` URIs. Only files of the own execution, its parents and the own namespace are readable."""

    async def put(self, source: Path | bytes, name: str) -> str:
        """Copy into storage under the current task run; the URI."""

    async def read(self, uri: str) -> bytes:
        """The content; NotFound or Refused."""

    def path(self, uri: str) -> Path:
        """A local file to read from; NotFound or Refused."""

    async def namespace_files(self) -> Mapping[str, Path]:
        """The files of the own namespace: path below its folder → a local file to read from."""


class Executions(Protocol):
    """What a task may ask of other executions."""

    async def resume(self, execution_id: str, inputs: Mapping[str, Any], *, by: str) -> None:
        """Answer its first pause; NotFound, Refused when nothing waits, InputInvalid."""


class RunContext(Protocol):
    """Everything outside the process that a running task may touch."""

    namespace: str
    flow_id: str
    execution_id: str
    task_run_id: str
    task_id: str
    attempt: int
    value: str | None
    settings: Settings
    kv: KeyValues
    files: Files
    chat: ChatPort | None
    executions: Executions | None
    variables: Mapping[str, Any]  # what expressions see

    @property
    def http(self) -> httpx.AsyncClient:
        """A client, made on first use and closed with the attempt."""

    @property
    def working_dir(self) -> Path:
        """A folder of its own, made on first use; shared by the children of a WorkingDirectory."""

    def log(self, message: str, level: Level = "INFO") -> None:
        """Write to the execution's log; secrets are masked."""

    def metric(self, name: str, value: float, kind: Literal["counter", "timer", "gauge"] = "counter", **tags: str) -> None:
        """Record a metric of this task run."""

    async def render(self, template: Any, *, guard: Literal["none", "json", "shell"] = "none", **extra: Any) -> Any:
        """Render text (or nested containers) with this task's variables and `extra`; ExpressionFailed."""

    async def evaluate(self, template: Any, **extra: Any) -> Any:
        """Like `render`, but text that is one whole expression gives its value with its type; ExpressionFailed."""

    async def execution_map(self, execution_id: str | None = None) -> Mapping[str, Any]:
        """An execution as the Slack/Discord execution templates want it (plugins.md 1.10 `executionMap`)."""

    def mask(self, secret: str) -> None:
        """Never show this text in a log, card or error."""


class RunnableTask(Task, ABC):
    """A task that does work."""

    @abstractmethod
    async def run(self, context: RunContext) -> Outputs | Mapping[str, Any] | Result | None:
        """Do the work with every Property already rendered; raise TaskFailed to fail."""
