"""What later tasks would be given if a pause were answered in a certain way. Nothing runs, nothing is called."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.core.flowable import PausingTask
from engine.core.property import has_template
from engine.errors import EngineError
from engine.files import FileStore, Scope
from engine.rendering import namespace_uri, texts
from engine.runtime.operations import Operations

MAX_TEXT = 256 * 1024
_OUTPUTS = re.compile(r"outputs(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*['\"]([^'\"]+)['\"]\s*\])")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value nobody can know yet: it needs the outputs of `tasks`, or what a function says when it is asked."""

    tasks: tuple[str, ...] = ()


async def foresee(
    operations: Operations, pause_id: str, given: Mapping[str, Any] | None, templates: Sequence[Any]
) -> list[Any]:
    """Each template rendered as if the pause had been answered with these values (None: nobody knows with which),
    secrets as stars; Unknown where that can't be told; NotFound."""
    row = await operations.pause_row(pause_id)
    inputs, execution, flow = await operations.asked(row)
    creator = replace(operations.creator, renderer=operations.creator.renderer.quiet)
    renderer = creator.renderer
    run = execution.task_runs.get(row.task_run_id)
    seen = renderer.variables(flow, execution, run)
    task = operations.flows.task(flow, row.task_id)
    outputs = dict(seen.get("outputs", {}))
    if given is not None and isinstance(task, PausingTask):
        resolved = await creator.check(inputs, given, flow, seen, scope=renderer.scope(execution))
        outputs[row.task_id] = task.answered(resolved.values, "", row.created.isoformat()) or {}
    services = renderer.services(execution.namespace, renderer.scope(execution))
    found: list[Any] = []
    for template in templates:
        unknown = _unknown(template, outputs)
        if unknown is not None:
            found.append(unknown)
            continue
        try:
            rendered = await renderer.value(template, {**seen, "outputs": outputs}, services)
            found.append(creator.masker.mask_value(rendered))
        except EngineError:
            found.append(Unknown())
    return found


def _unknown(template: Any, outputs: Mapping[str, Any]) -> Unknown | None:
    written = [text for text in texts(template) if has_template(text)]
    named = [pair[0] or pair[1] for text in written for pair in _OUTPUTS.findall(text)]
    missing = [name for name in named if name not in outputs]
    return Unknown(tuple(dict.fromkeys(missing))) if missing else None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file of a namespace as it is (None: it is not there) and as it would be."""

    path: str
    before: str | None
    after: str


async def file_changes(
    operations: Operations, pause_id: str, namespace: str, files: Mapping[str, Any]
) -> list[FileChange]:
    """What an upload of stored files into a namespace would change, as far as those are texts that exist now."""
    row = await operations.pause_row(pause_id)
    execution = await operations.decider.current(row.execution_id)
    renderer = operations.creator.renderer
    scope = renderer.scope(execution)

    def work() -> list[FileChange]:
        found = []
        for path, uri in files.items():
            after = _text(renderer.files, str(uri), scope)
            if after is not None:
                there = namespace_uri(namespace, path)
                found.append(FileChange(path.lstrip("/"), _text(renderer.files, there, Scope(namespace)), after))
        return found

    return await asyncio.to_thread(work)


def _text(files: FileStore, uri: str, scope: Scope) -> str | None:
    try:
        path = files.path(uri, scope)
        return path.read_text("utf-8") if path.stat().st_size <= MAX_TEXT else None
    except (EngineError, OSError, ValueError):
        return None
