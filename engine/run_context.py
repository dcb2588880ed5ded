"""The RunContext handed to a running task: log, metrics, files, KV, HTTP, chat and expressions of its own execution."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.state import State
from engine.core.task import Task
from engine.errors import NotFound
from engine.expressions import Guard, Services
from engine.files import FileStore, Scope, task_folder
from engine.key_values import KeyValueStore
from engine.logbook import LogBook
from engine.plugin import ChatPort, Executions, Files, Flows, KeyValues, Level, Records
from engine.rendering import Renderer
from engine.secrets import Masker
from engine.settings import Settings
from engine.store import executions
from engine.store.documents import plain
from engine.store.logs import LEVELS, LogLine
from engine.store.metrics import Metric
from engine.tallies import count_tokens

if TYPE_CHECKING:
    import httpx

HTTP_TIMEOUT = 30.0
UPSTREAM_WAIT = 600.0  # seconds; how long a message about another execution waits for its end


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Internal storage as one task run sees it."""

    store: FileStore
    scope: Scope
    folder: str
    flow_id: str

    async def put(self, source: Path | bytes, name: str) -> str:
        """Copy into storage under the current task run; the URI."""
        return await asyncio.to_thread(self.store.put, self.folder, source, name)

    async def read(self, uri: str) -> bytes:
        """The content; NotFound or Refused."""
        return await asyncio.to_thread(lambda: self.store.path(uri, self.scope).read_bytes())

    def path(self, uri: str) -> Path:
        """A local file to read from; NotFound or Refused."""
        return self.store.path(uri, self.scope)

    async def namespace_files(self, namespace: str | None = None) -> Mapping[str, Path]:
        """The files of a namespace (the own one): path below its folder → a local file to read from; Refused."""
        return await asyncio.to_thread(lambda: dict(self.store.namespace_files(namespace or self.scope.namespace)))

    async def put_namespace_file(self, namespace: str, path: str, source: Path | bytes) -> str:
        """Write a file of a namespace over what was there; its URI. Refused when the path leaves the namespace."""
        return await asyncio.to_thread(self.store.put_namespace_file, namespace, path, source)

    async def delete_namespace_file(self, namespace: str, path: str, *, tidy: bool = False) -> bool:
        """Whether there was one; with `tidy` folders left empty go too. Refused."""
        return await asyncio.to_thread(self.store.delete_namespace_file, namespace, path, tidy=tidy)

    async def namespaces(self) -> list[str]:
        """Namespaces that have files."""
        return await asyncio.to_thread(self.store.namespaces)

    async def purge_execution(self) -> list[str]:
        """Delete every file of the own execution; their URIs."""
        whose = (self.scope.namespace, self.flow_id, self.scope.execution_id)

        def work() -> list[str]:
            uris = self.store.execution_files(*whose)
            self.store.delete_execution(*whose)
            return uris

        return await asyncio.to_thread(work)

    async def delete(self, uri: str) -> None:
        """Remove a file of the own execution; NotFound or Refused."""
        await asyncio.to_thread(self.store.delete, uri, self.scope)


@dataclass(slots=True)
class Outside:
    """What every run context of a worker shares."""

    settings: Settings
    renderer: Renderer
    files: FileStore
    kv: KeyValueStore
    masker: Masker
    logbook: LogBook
    executions: Executions | None = None
    flows: Flows | None = None
    records: Records | None = None
    chat: ChatPort | None = None


class TaskContext:
    """The context of one attempt."""

    def __init__(
        self,
        outside: Outside,
        flow: Flow,
        execution: Execution,
        run: TaskRun,
        task: Task,
        attempt: int,
        *,
        working_dir: Path,
        shared: bool = False,
    ) -> None:
        self.namespace = execution.namespace
        self.flow_id = execution.flow_id
        self.execution_id = execution.id
        self.task_run_id = run.id
        self.task_id = task.id
        self.attempt = attempt
        self.time_limit: float | None = None
        self.settings = outside.settings
        self.kv: KeyValues = outside.kv
        self.storage = outside.files
        self.chat = outside.chat
        self.executions = outside.executions
        self.flows = outside.flows
        self.records = outside.records
        self._outside = outside
        self._execution = execution
        self._level = LEVELS.get((task.log_level or "TRACE").upper(), LEVELS["TRACE"])
        self._lines_left = outside.settings.limits.log_lines_per_task
        self._directory = working_dir
        self._shared = shared
        self._made = False
        self._http: httpx.AsyncClient | None = None
        self._flow = flow
        self._run = run

    @cached_property
    def files(self) -> Files:
        """Internal storage, as this task run sees it."""
        folder = task_folder(self.namespace, self.flow_id, self.execution_id, self.task_id, self.task_run_id)
        return RunFiles(self._outside.files, self._scope, folder, self.flow_id)

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """What expressions see."""
        seen = self._outside.renderer.variables(self._flow, self._execution, self._run)
        seen["workingDir"] = str(self._directory)
        return seen

    @cached_property
    def value(self) -> str | None:
        """The value of the loop this task run belongs to."""
        found: str | None = self.variables.get("taskrun", {}).get("value", self._run.value)
        return found

    @cached_property
    def services(self) -> Services:
        """What functions in expressions reach."""
        return self._outside.renderer.services(self.namespace, self._scope, self._warn, self._error_lines)

    @cached_property
    def _scope(self) -> Scope:
        return self._outside.renderer.scope(self._execution)

    @property
    def working_dir(self) -> Path:
        """A folder of its own, made on first use; shared by the children of a WorkingDirectory."""
        if not self._made:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._made = True
        return self._directory

    @property
    def http(self) -> "httpx.AsyncClient":
        """A client, made on first use and closed with the attempt."""
        if self._http is None:
            import httpx  # noqa: PLC0415 - heavy, and many a bot calls nobody

            self._http = httpx.AsyncClient(timeout=HTTP_TIMEOUT, follow_redirects=True)
        return self._http

    def log(self, message: str, level: Level = "INFO") -> None:
        """Write to the execution's log; secrets are masked."""
        if LEVELS[level] < self._level or self._lines_left < 0:
            return
        self._lines_left -= 1
        if self._lines_left < 0:
            limit = self.settings.limits.log_lines_per_task
            level, message = (
                "WARN",
                f"The task wrote more than {limit:,} lines (`limits.log_lines_per_task`); the rest is left out.",
            )
        self._outside.logbook.add(self._line(message, level))

    def metric(
        self, name: str, value: float, kind: Literal["counter", "timer", "gauge"] = "counter", **tags: str
    ) -> None:
        """Record a metric of this task run."""
        now = self._outside.renderer.clock.now()
        mask = self._outside.masker.mask
        tags = {mask(key): mask(str(tag)) for key, tag in tags.items()}
        made = Metric(self.execution_id, self.task_run_id, self.task_id, name, kind, float(value), now, tags)
        self._outside.logbook.add(made)
        count_tokens(name, value)

    async def render(self, template: Any, *, guard: Guard = "none", **extra: Any) -> Any:
        """Render text (or nested containers) with this task's variables and `extra`; ExpressionFailed."""
        seen = {**self.variables, **extra} if extra else self.variables
        return await self._outside.renderer.value(template, seen, self.services, guard=guard)

    async def evaluate(self, template: Any, **extra: Any) -> Any:
        """Like `render`, but text that is one whole expression gives its value with its type; ExpressionFailed."""
        seen = {**self.variables, **extra} if extra else self.variables
        return await self._outside.renderer.value(template, seen, self.services, typed=True)

    async def execution_map(self, execution_id: str | None = None) -> Mapping[str, Any]:
        """An execution as the Slack/Discord execution templates want it."""
        other = execution_id if execution_id and execution_id != self.execution_id else None
        execution = self._execution if other is None else await self._ended(other)
        now = self._outside.renderer.clock.now()
        return execution_map(execution, now, base=public_url(self.settings))

    def mask(self, secret: str) -> None:
        """Never show this text in a log, card or error."""
        self._outside.masker.add(secret)

    def hidden(self, text: str) -> str:
        """A text as it may go out to others: every secret in it is masked."""
        return self._outside.masker.mask(text)

    async def close(self) -> None:
        """Let go of what the attempt used."""
        if self._http is not None:
            await self._http.aclose()
        if self._made and not self._shared:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _ended(self, execution_id: str) -> Execution:
        """Another execution of the own namespace tree, once it has ended or ten minutes have passed."""
        renderer, wait = self._outside.renderer, 1.0
        until = time.monotonic() + UPSTREAM_WAIT
        while True:
            found = await renderer.database.read(lambda c: executions.load(c, execution_id, renderer.sealer))
            if found is None:
                raise NotFound(f"There is no execution {execution_id}.", fix="Give the id of an execution.")
            wanted = self.variables.get("trigger", {}).get("state")
            if found.state.is_terminal or found.state == wanted or time.monotonic() >= until:
                return found
            await asyncio.sleep(wait)
            wait = min(wait * 2, 15.0)

    def _warn(self, message: str) -> None:
        self.log(message, "WARN")

    def _line(self, message: str, level: Level) -> LogLine:
        now = self._outside.renderer.clock.now()
        text = self.hidden(message)
        return LogLine(now, level, self.task_id, self.task_run_id, self.attempt, text, execution_id=self.execution_id)

    def _error_lines(self) -> list[LogLine]:
        return [line for line in self._outside.logbook.waiting(self.execution_id) if line.level == "ERROR"]


def public_url(settings: Settings) -> str | None:
    """Where people reach the page, if the operator said so."""
    return settings.public_url.rstrip("/") if settings.public_url else None


def execution_map(execution: Execution, now: datetime, *, base: str | None) -> dict[str, Any]:
    """What messages about an execution say."""
    runs = list(execution.task_runs.values())
    failed = next((run for run in runs if run.state is State.FAILED), None)
    seconds = ((execution.ended or now) - execution.created).total_seconds()
    link = f"{base}/ui/executions/{execution.namespace}/{execution.flow_id}/{execution.id}" if base else None
    return {
        "duration": f"{int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{seconds % 60:06.3f}",
        "startDate": plain(execution.created),
        "link": link,
        "execution": execution_as_map(execution),
        "lastTask": task_run_as_map(runs[-1]) if runs else None,
        "firstFailed": False if failed is None else task_run_as_map(failed),
    }


def execution_as_map(execution: Execution) -> dict[str, Any]:
    """An execution in Kestra's JSON."""
    return {
        "id": execution.id,
        "namespace": execution.namespace,
        "flowId": execution.flow_id,
        "flowRevision": execution.revision,
        "state": {
            "current": execution.state.value,
            "startDate": plain(execution.created),
            "histories": [{"state": state.value, "date": plain(moment)} for state, moment in execution.histories],
        },
        "inputs": plain(execution.inputs),
        "outputs": plain(execution.outputs),
        "labels": [{"key": key, "value": value} for key, value in execution.labels],
        "taskRunList": [task_run_as_map(run) for run in execution.task_runs.values()],
    }


def task_run_as_map(run: TaskRun) -> dict[str, Any]:
    """A task run in Kestra's JSON."""
    return {
        "id": run.id,
        "taskId": run.task_id,
        "value": run.value,
        "state": {"current": run.state.value, "startDate": plain(run.histories[0][1])},
        "outputs": plain(run.outputs),
        "attempts": [{"state": {"current": attempt.state.value}} for attempt in run.attempts],
    }
