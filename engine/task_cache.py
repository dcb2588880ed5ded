"""`taskCache`: what a task handed on lies in the KV store of its namespace, under what was asked of the task."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engine.core.task import Task
from engine.errors import EngineError, ExpressionFailed, StoreFailed
from engine.run_context import Outside, TaskContext
from engine.store.documents import dumps, plain

STORED_FILE = re.compile(r'kestra:///[^\s"\\]+')


@dataclass(frozen=True, slots=True)
class KeptOutputs:
    """Outputs of one task for one set of rendered properties; `key` names them in the KV store."""

    outside: Outside
    context: TaskContext
    key: str
    ttl: timedelta | None

    @property
    def _owner(self) -> str:
        return f"cache:{self.context.namespace}/{self.key}"

    async def read(self) -> Mapping[str, Any] | None:
        """`{"outputs": …}` as they were kept; None when there is nothing, or its files are gone."""
        sealer, namespace = self.outside.renderer.sealer, self.context.namespace
        try:
            text = await self.outside.kv.get(namespace, self.key)
            found = sealer.loads(str(text), self._owner)
            await asyncio.to_thread(self._look_for_files, str(text))
        except (EngineError, ValueError):  # none, expired, of a former key, changed by hand, without its files
            return None
        return found if isinstance(found, Mapping) and "outputs" in found else None

    async def write(self, outputs: Mapping[str, Any] | None) -> None:
        """Keep the outputs of a run that succeeded; a secret among them is encrypted."""
        text = self.outside.renderer.sealer.dumps({"outputs": outputs}, self._owner)
        seconds = None if self.ttl is None else self.ttl.total_seconds()
        said = f"taskCache of {self.context.flow_id}.{self.context.task_id}"
        try:
            await self.outside.kv.set(
                self.context.namespace, self.key, text, ttl=seconds, kind="STRING", description=said
            )
        except StoreFailed as error:
            self.context.log(f"The outputs are not kept for `taskCache`: {error}", "WARN")

    def _look_for_files(self, text: str) -> None:
        files = self.outside.files
        if files.is_remote:
            files.fetch(text)
        for uri in STORED_FILE.findall(text):
            files.path(uri)


async def kept_outputs(task: Task, context: TaskContext, outside: Outside) -> KeptOutputs | None:
    """Where the outputs of a task are kept for what it is asked now; None when it has no `taskCache`.

    `task` is as the flow has it: each template is evaluated once, whatever the worker does with its properties.
    """
    cache = task.task_cache
    if cache is None or not cache.enabled:
        return None
    written = task.model_dump(by_alias=True, exclude_unset=True, exclude={"run_if", "description"}, warnings=False)
    try:
        asked = await context.render(written)
    except ExpressionFailed as error:
        context.log(f"`taskCache` has no effect: {error.message}", "WARN")
        return None
    material = dumps(plain([asked, context.value]))
    mark = hashlib.sha256(material.encode()).hexdigest()[:40]
    return KeptOutputs(outside, context, f"cache_{context.flow_id}_{context.task_id}_{mark}", cache.ttl)
