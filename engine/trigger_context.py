"""The RunContext handed to a polling trigger: it belongs to a flow, but to no execution."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Literal

from engine.core.flow import Flow
from engine.core.triggers import Trigger
from engine.errors import NotFound
from engine.expressions import Guard, Services
from engine.files import FileStore, Scope, slug
from engine.identifiers import new_id
from engine.plugin import ChatPort, Executions, Files, Flows, KeyValues, Level, Records
from engine.rendering import Renderer
from engine.run_context import HTTP_TIMEOUT, RunFiles
from engine.secrets import Masker
from engine.settings import Settings

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)
LEVELS = {"TRACE": logging.DEBUG, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING}


def trigger_folder(flow: Flow, trigger_id: str) -> str:
    """Where files lie that a trigger made before there was an execution."""
    return f"{flow.namespace.replace('.', '/')}/{slug(flow.id)}/trigger/{slug(trigger_id)}"


class TriggerContext:
    """The context of one look of a polling trigger."""

    def __init__(
        self,
        flow: Flow,
        trigger: Trigger,
        variables: Mapping[str, Any],
        *,
        settings: Settings,
        renderer: Renderer,
        files: FileStore,
        masker: Masker,
        kv: KeyValues,
        memory: Mapping[str, Any],
        remember: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None,
        records: Records | None = None,
    ) -> None:
        self.namespace = flow.namespace
        self.flow_id = flow.id
        self.execution_id = ""
        self.task_run_id = new_id(renderer.clock.now())
        self.task_id = trigger.id
        self.attempt = 1
        self.value: str | None = None
        self.time_limit: float | None = None
        self.settings = settings
        self.kv = kv
        self.memory = memory
        self._remember = remember
        self.chat: ChatPort | None = None
        self.executions: Executions | None = None
        self.records = records
        self.flows: Flows | None = None
        self.variables: Mapping[str, Any] = {**variables, "trigger": {"id": trigger.id, "type": trigger.type}}
        self.files: Files = RunFiles(files, Scope(flow.namespace), trigger_folder(flow, trigger.id), flow.id)
        self._renderer = renderer
        self._masker = masker
        self._services: Services = renderer.services(flow.namespace, None, lambda message: self.log(message, "WARN"))
        self._http: httpx.AsyncClient | None = None
        self._folder: Path | None = None

    @property
    def http(self) -> "httpx.AsyncClient":
        """A client, made on first use and closed after the look."""
        if self._http is None:
            import httpx  # noqa: PLC0415 - heavy, and many a bot calls nobody

            self._http = httpx.AsyncClient(timeout=HTTP_TIMEOUT, follow_redirects=True)
        return self._http

    @property
    def working_dir(self) -> Path:
        """A folder of its own, made on first use and removed after the look."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="parley-trigger-"))
        return self._folder

    def log(self, message: str, level: Level = "INFO") -> None:
        """Write to the bot's own log: there is no execution yet; secrets are masked."""
        where = f"{self.namespace}/{self.flow_id}/{self.task_id}"
        log.log(LEVELS.get(level, logging.ERROR), "%s: %s", where, self._masker.mask(message))

    def metric(
        self, name: str, value: float, kind: Literal["counter", "timer", "gauge"] = "counter", **tags: str
    ) -> None:
        """Nothing: metrics belong to task runs."""

    async def render(self, template: Any, *, guard: Guard = "none", **extra: Any) -> Any:
        """Render text (or nested containers) with what the flow sees and `extra`; ExpressionFailed."""
        return await self._renderer.value(template, {**self.variables, **extra}, self._services, guard=guard)

    async def evaluate(self, template: Any, **extra: Any) -> Any:
        """Like `render`, but text that is one whole expression gives its value with its type; ExpressionFailed."""
        return await self._renderer.value(template, {**self.variables, **extra}, self._services, typed=True)

    async def execution_map(self, execution_id: str | None = None) -> Mapping[str, Any]:
        """NotFound: a trigger looks before there is an execution."""
        raise NotFound("A trigger belongs to no execution.", fix="Use this task inside the flow.")

    async def remember(self, memory: Mapping[str, Any]) -> None:
        """Write at once what to know at the next look; TaskFailed. Of who listens nothing is remembered."""
        if self._remember is not None:
            await self._remember(memory)

    def mask(self, secret: str) -> None:
        """Never show this text in a log, card or error."""
        self._masker.add(secret)

    def hidden(self, text: str) -> str:
        """A text as it may go out to others: every secret in it is masked."""
        return self._masker.mask(text)

    async def close(self) -> None:
        """Let go of what the look used."""
        if self._http is not None:
            await self._http.aclose()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
