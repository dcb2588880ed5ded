"""Evaluates expressions for executions: what they see, what functions may reach, off the event loop when they wait."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from engine import expressions
from engine.aside import aside
from engine.clock import Clock
from engine.core.commands import Render
from engine.core.events import Rendered
from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.json_text import read_json
from engine.core.property import has_template
from engine.core.variables import variables as variables_of
from engine.errors import EngineError, ExpressionFailed, NotFound, Refused
from engine.expressions import Guard, Services, render
from engine.expressions.execution_functions import field_of
from engine.expressions.limits import MAX_TEXT
from engine.failure import Failure
from engine.files import SCHEME, FileStore, Scope
from engine.key_values import KeyValueStore
from engine.secrets import AtRest, Masker, Secrets
from engine.settings import Settings
from engine.store import executions, logs
from engine.store.database import Database
from engine.store.documents import plain

REFUSED = Services().http  # for who only looks
NAMESPACES = 1000  # whose services are kept at hand
CALLERS = 64  # how far up the chain of calling executions files may be read


@dataclass(frozen=True, slots=True)
class Calls:
    """`http()`; what it needs is loaded with the first call."""

    settings: Settings
    warn: Callable[[str], None]
    mask: Callable[[str], str]

    def __call__(self, uri: str, **given: Any) -> Any:
        """The body of the answer; ExpressionFailed, without a secret in it."""
        from engine.http_function import HttpFunction  # noqa: PLC0415

        return HttpFunction(self.settings, self.warn, self.mask)(uri, **given)


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders with the variables and services of an execution. Without `calls`, http() is refused."""

    settings: Settings
    clock: Clock
    secrets: Secrets
    masker: Masker
    kv: KeyValueStore
    files: FileStore
    database: Database
    sealer: AtRest
    envs: Mapping[str, str] = field(default_factory=lambda: environment())
    calls: bool = True
    _of_namespace: dict[tuple[str, bool], Services] = field(default_factory=dict, compare=False, repr=False)

    @property
    def quiet(self) -> Self:
        """The same, for looking only: nothing outside is called."""
        return replace(self, calls=False)

    @property
    def zone(self) -> tzinfo:
        """The time zone of the server."""
        return ZoneInfo(self.settings.timezone)

    @property
    def surroundings(self) -> dict[str, Any]:
        """What expressions see of the installation: `kestra.url` is where people reach the page, if it is known."""
        url = self.settings.public_url
        return {"kestra": {"url": url.rstrip("/")} if url else {}}

    def services(
        self,
        namespace: str,
        scope: Scope | None = None,
        warn: Callable[[str], None] | None = None,
        own_errors: Callable[[], list[logs.LogLine]] | None = None,
    ) -> Services:
        """What functions reach for a flow of this namespace."""
        if scope is None and warn is None and own_errors is None:
            known = self._of_namespace.get((namespace, self.calls))
            if known is None:
                if len(self._of_namespace) > NAMESPACES:
                    self._of_namespace.clear()
                known = self._services(namespace, Scope(namespace), _ignore, None)
                self._of_namespace[namespace, self.calls] = known
            return known
        return self._services(namespace, scope or Scope(namespace), warn or _ignore, own_errors)

    def _services(
        self,
        namespace: str,
        scope: Scope,
        warn: Callable[[str], None],
        own_errors: Callable[[], list[logs.LogLine]] | None,
    ) -> Services:
        reach = Reach(self, namespace, scope, own_errors)
        return Services(
            now=self.clock.now,
            zone=self.zone,
            secret=reach.secret,
            kv=reach.kv,
            read=reach.read,
            file_size=reach.file_size,
            file_exists=reach.file_exists,
            error_logs=reach.error_logs,
            http=Calls(self.settings, warn, self.masker.mask) if self.calls else REFUSED,
            random_port=free_port,
            warn=warn,
            mask=self.masker.mask,
            hide=self.masker.follow,
        )

    def variables(self, flow: Flow, execution: Execution, run: TaskRun | None) -> dict[str, Any]:
        """What an expression sees."""
        names = variables_of(flow, execution, run, envs=self.envs, globals_=self.settings.variables)
        failure = Failure(execution.task_runs, lambda task_run_id: self._error_of(execution.id, task_run_id))
        return {"error": failure, **names, **self.surroundings}

    def _error_of(self, execution_id: str, task_run_id: str) -> str:
        """What a task run said last as an error."""
        asked: Any = {"task_run_id": task_run_id, "level": "ERROR", "limit": 1, "last": True}
        return "".join(line.message for line in self.database.read_now(lambda c: logs.find(c, execution_id, **asked)))

    def scope(self, execution: Execution) -> Scope:
        """Which files an execution may read."""
        caller = (execution.origin.variables if execution.origin else {}).get("executionId")
        own = execution.id

        def is_called(other: str) -> bool:
            def chain(connection: Any) -> bool:
                return _is_above(connection, own, other) or _is_above(connection, other, own)

            return self.database.read_now(chain)

        return Scope(execution.namespace, own, frozenset({caller} if isinstance(caller, str) else ()), is_called)

    async def answer(self, flow: Flow, execution: Execution, command: Render, now: datetime) -> Rendered:
        """What the expressions of a `Render` command return; its `error` says which could not be rendered."""
        return await aside(command.sources, lambda: self.answer_now(flow, execution, command, now))

    def answer_now(self, flow: Flow, execution: Execution, command: Render, now: datetime) -> Rendered:
        """The same in the calling thread, which may wait for a disk or a network."""
        run = execution.task_runs.get(command.task_run_id or "")
        seen = self.variables(flow, execution, run) | dict(command.extra)
        services = self.services(flow.namespace, self.scope(execution))

        modes = command.modes
        try:
            values = {
                key: plain(value_of(v, modes.get(key, "text"), seen, services)) for key, v in command.sources.items()
            }
        except EngineError as error:
            return Rendered(now, command.task_run_id, error=str(error))
        return Rendered(now, command.task_run_id, values)

    async def value(
        self, value: Any, seen: Mapping[str, Any], services: Services, *, typed: bool = False, guard: Guard = "none"
    ) -> Any:
        """One value rendered; ExpressionFailed."""

        def work() -> Any:
            if typed:
                return value_of(value, "typed", seen, services)
            return render(value, seen, services, guard=guard)

        return await aside(value, work)


@dataclass(frozen=True, slots=True)
class Reach:
    """The functions that reach outside, for one namespace."""

    renderer: Renderer
    namespace: str
    scope: Scope
    own_errors: Callable[[], list[logs.LogLine]] | None

    def secret(self, key: str, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> str:
        """`secret('KEY')`: the text, or one field of a secret that holds JSON."""
        text = self.renderer.secrets.get(key)
        if not subkey:
            return text
        part = field_of(text, subkey)
        if part is None:
            raise ExpressionFailed(f"Cannot find secret sub-key '{subkey}' in the secret '{key}'.")
        self.renderer.masker.add(part)
        return part

    def kv(self, key: str, namespace: str | None = None, error_on_missing: bool = True) -> Any:
        """`kv('key')`: the value; without a namespace the parents of the flow's are searched too."""
        namespaces = [namespace] if namespace else list(ancestors(self.namespace))
        for candidate in namespaces:
            try:
                return self.renderer.kv.get_now(candidate, key)
            except NotFound:
                continue
        if not error_on_missing:
            return None
        raise ExpressionFailed(
            f"The key '{key}' does not exist in the namespace '{namespaces[0]}'.",
            fix=f"Set it with `parley kv set {namespaces[0]} {key} VALUE`, or from chat with `/flow kv set`.",
        )

    def read(self, path: str, namespace: str | None = None, version: Any = None) -> str:
        """`read(uri)`: the text of a file."""
        file = self._file(path, namespace)
        try:
            if file.stat().st_size > MAX_TEXT:
                raise ExpressionFailed(f"{path} has more than {MAX_TEXT:,} bytes.", fix="Work on it in a task.")
            return file.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ExpressionFailed(f"{path} is not UTF-8 text.") from error
        except OSError as error:
            raise ExpressionFailed(f"{path} can't be read: {error.strerror}.") from error

    def file_size(self, path: str, namespace: str | None = None) -> int:
        """`fileSize(uri)`: bytes."""
        return int(self._file(path, namespace).stat().st_size)

    def file_exists(self, path: str, namespace: str | None = None) -> bool:
        """`fileExists(uri)`."""
        try:
            self.renderer.files.path(path, self._scope(path, namespace))
        except NotFound:
            return False
        except Refused as error:
            raise ExpressionFailed(error.message, fix=error.fix) from error
        return True

    def error_logs(self) -> list[dict[str, Any]]:
        """`errorLogs()`: the execution's lines of level ERROR."""
        execution_id = self.scope.execution_id
        lines = self.renderer.database.read_now(lambda c: logs.find(c, execution_id, level="ERROR", limit=100))
        lines += self.own_errors() if self.own_errors is not None else []
        return [
            {
                "timestamp": plain(line.at),
                "level": line.level,
                "message": line.message,
                "taskId": line.task_id,
                "taskRunId": line.task_run_id,
                "attemptNumber": line.attempt,
                "executionId": execution_id,
                "namespace": self.namespace,
            }
            for line in lines
        ]

    def _scope(self, path: str, namespace: str | None) -> Scope:
        """Whose files a path means; a URI of storage says itself where it lies."""
        return self.scope if not namespace or path.startswith(SCHEME) else Scope(namespace)

    def _file(self, path: str, namespace: str | None) -> Path:
        try:
            return self.renderer.files.path(path, self._scope(path, namespace))
        except (NotFound, Refused) as error:
            raise ExpressionFailed(error.message, fix=error.fix) from error


def _is_above(connection: Any, upper: str, lower: str) -> bool:
    at = lower
    for _ in range(CALLERS):
        caller = executions.caller_of(connection, at)
        if caller is None:
            return False
        at = caller.execution_id
        if at == upper:
            return True
    return False


def _ignore(_message: str) -> None:
    return None


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def value_of(value: Any, mode: str, seen: Mapping[str, Any], services: Services) -> Any:
    """A source of a `Render` command in its mode."""
    match mode:
        case "typed":
            return typed_value(value, seen, services)
        case "list":
            return list_value(value, seen, services)
        case "each":
            return {key: _value_or_error(one, seen, services) for key, one in value.items()}
    return render(value, seen, services)


def _value_or_error(value: Any, seen: Mapping[str, Any], services: Services) -> dict[str, Any]:
    try:
        return {"value": render(value, seen, services)}
    except EngineError as error:
        return {"error": str(error)}


def typed_value(value: Any, seen: Mapping[str, Any], services: Services) -> Any:
    """The value with every text that is one whole expression replaced by what that gives, with its type."""
    if isinstance(value, str):
        return expressions.evaluate(value, seen, services) if has_template(value) else value
    if isinstance(value, Mapping):
        return {str(render(k, seen, services)): typed_value(v, seen, services) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [typed_value(item, seen, services) for item in value]
    return value


def list_value(value: Any, seen: Mapping[str, Any], services: Services) -> Any:
    """A list: text is rendered and read as JSON, elements of a list are rendered one by one."""
    if not isinstance(value, str):
        return render(list(value) if isinstance(value, tuple) else value, seen, services)
    rendered = typed_value(value, seen, services)
    if isinstance(rendered, str):
        try:
            rendered = read_json(rendered)
        except ValueError as error:
            shown = services.mask(rendered)
            shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
            raise ExpressionFailed(f"Expected a JSON list, but the expression gave `{shown}`.") from error
    return rendered


def ancestors(namespace: str) -> Iterator[str]:
    """A namespace, then its parents."""
    while namespace:
        yield namespace
        namespace = namespace.rpartition(".")[0]


def environment() -> dict[str, str]:
    """What expressions see as `envs`: variables of the process named ENV_… or KESTRA_…, lower case, without secrets."""
    found: dict[str, str] = {}
    for prefix in ("KESTRA_", "ENV_"):
        found |= {k.removeprefix(prefix).lower(): v for k, v in os.environ.items() if k.startswith(prefix)}
    return found
