"""What tasks may touch when the driver runs them: a folder, files, keys and lines of log, all in memory."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.execution import Execution, TaskRun
from engine.core.property import has_template
from engine.errors import NotFound
from engine.expressions import Services, evaluate, render

if TYPE_CHECKING:
    from tests.core.driver import Driver


class Memory:
    """What a running task may touch: a folder, files by URI, keys by name, and lines of log."""

    def __init__(self, driver: "Driver", execution: Execution, run: TaskRun, folder: Path) -> None:
        self.driver, self.execution, self.run_ = driver, execution, run
        self.namespace, self.flow_id = execution.namespace, execution.flow_id
        self.execution_id, self.task_run_id, self.task_id = execution.id, run.id, run.task_id
        self.attempt, self.value = len(run.attempts), run.value
        self.working_dir = folder
        self.chat = self.executions = self.http = self.settings = None
        self.kv = self.files = self

    @property
    def variables(self) -> Mapping[str, Any]:
        return self.driver.variables(self.execution.id, self.run_.id)

    def log(self, message: str, level: str = "INFO") -> None:
        self.driver.logs.append((self.execution_id, self.task_id, level, message))

    def metric(self, *_: Any, **__: Any) -> None: ...

    def mask(self, _: str) -> None: ...

    async def render(self, template: Any, *, guard: Any = "none", **extra: Any) -> Any:
        return render(template, {**self.variables, **extra}, self.driver.services, guard)

    async def evaluate(self, template: Any, **extra: Any) -> Any:
        return typed(template, {**self.variables, **extra}, self.driver.services)

    async def get(self, namespace: str, key: str) -> Any:
        if (namespace, key) not in self.driver.kv:
            raise NotFound(f"No value found for key '{key}' in namespace '{namespace}'")
        return self.driver.kv[namespace, key]

    async def put(self, source: Path | bytes, name: str) -> str:
        uri = f"kestra:///{self.execution_id}/{self.task_run_id}/{name}"
        self.driver.files[uri] = source if isinstance(source, bytes) else source.read_bytes()
        return uri

    async def read(self, uri: str) -> bytes:
        return self.driver.files[uri]

    def path(self, uri: str) -> Path:
        target = self.working_dir / uri.rpartition("/")[2]
        target.write_bytes(self.driver.files[uri])
        return target


def typed(value: Any, seen: Mapping[str, Any], services: Services) -> Any:
    if isinstance(value, str):
        return evaluate(value, seen, services) if has_template(value) else value
    if isinstance(value, Mapping):
        return {key: typed(item, seen, services) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [typed(item, seen, services) for item in value]
    return value


def finished(coroutine: Any) -> Any:
    """The result of a coroutine."""
    return asyncio.run(coroutine)
