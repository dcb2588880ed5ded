"""What later tasks would be given, and which files they would change, if a pause were answered in a certain way.
Nothing runs, nothing is called."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.aside import in_a_thread, texts
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.flowable import PausingTask
from engine.core.property import Guard, has_template
from engine.core.task import Task
from engine.errors import EngineError
from engine.expressions import Services, render
from engine.files import task_folder
from engine.plugin import Changes, Content, RunnableTask, Settings
from engine.run_context import RunFiles
from engine.runtime.answers import Answers
from engine.runtime.creation import Creator
from engine.runtime.task_flows import TaskFlows
from engine.sight import SeenFiles, SeenFlows

_OUTPUTS = re.compile(r"(?<![\w.])outputs(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*['\"]([^'\"]+)['\"]\s*\])")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value nobody can know yet: it needs the outputs of `tasks`, or what a function says when it is asked."""

    tasks: tuple[str, ...] = ()


class NotYet(Exception):
    """A property of a task can't be known yet."""

    def __init__(self, why: Unknown) -> None:
        super().__init__()
        self.why = why


@dataclass(frozen=True, slots=True)
class Answered:
    """An execution as it would go on from a pause that was answered."""

    creator: Creator
    flow: Flow
    execution: Execution
    seen: Mapping[str, Any]
    services: Services

    @classmethod
    async def of(cls, answers: Answers, pause_id: str, given: Mapping[str, Any] | None) -> "Answered":
        """With these values (None: nobody knows with which); NotFound."""
        row = await answers.pause_row(pause_id)
        inputs, execution, flow = await answers.asked(row)
        creator = replace(answers.creator, renderer=answers.creator.renderer.quiet)
        renderer = creator.renderer
        run = execution.task_runs.get(row.task_run_id)
        seen = renderer.variables(flow, execution, run)
        task = answers.flows.task(flow, row.task_id)
        outputs = dict(seen.get("outputs", {}))
        if given is not None and isinstance(task, PausingTask):
            resolved = await creator.check(inputs, given, flow, seen, scope=renderer.scope(execution))
            outputs[row.task_id] = task.answered(resolved.values, "", row.created.isoformat()) or {}
        services = renderer.services(execution.namespace, renderer.scope(execution))
        return cls(creator, flow, execution, {**seen, "outputs": outputs}, services)

    def unknown(self, template: Any) -> Unknown | None:
        """What a template needs that is not there yet."""
        missing = [name for name in needed(template) if name not in self.seen["outputs"]]
        return Unknown(tuple(missing)) if missing else None


def needed(template: Any) -> tuple[str, ...]:
    """The tasks whose outputs a template, or one inside it, reads."""
    written = [text for text in texts(template) if has_template(text)]
    return tuple(dict.fromkeys(pair[0] or pair[1] for text in written for pair in _OUTPUTS.findall(text)))


async def foresee(
    answers: Answers, pause_id: str, given: Mapping[str, Any] | None, templates: Sequence[Any]
) -> list[Any]:
    """Each template rendered as if the pause had been answered with these values (None: nobody knows with which),
    secrets as stars; Unknown where that can't be told; NotFound."""
    after = await Answered.of(answers, pause_id, given)
    found: list[Any] = []
    for template in templates:
        unknown = after.unknown(template)
        if unknown is not None:
            found.append(unknown)
            continue
        try:
            rendered = await after.creator.renderer.value(template, after.seen, after.services)
            found.append(after.creator.masker.mask_value(rendered))
        except EngineError:
            found.append(Unknown())
    return found


@dataclass(frozen=True, slots=True)
class Ahead:
    """A task that is asked which files it would change. `is_shared`: it runs in a folder that others fill."""

    task: Task
    is_shared: bool = False

    @property
    def tells(self) -> bool:
        """Whether it changes files and can say which."""
        return isinstance(self.task, RunnableTask) and self.task.tells_changes()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Which files a task would change. `unknown`: nobody can tell yet; `problem`: why it would fail."""

    task_id: str
    changes: tuple[Changes, ...] = ()
    unknown: Unknown | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Looking:
    """What a task sees that is only asked."""

    namespace: str
    flow_id: str
    settings: Settings
    variables: Mapping[str, Any]
    files: SeenFiles
    flows: SeenFlows


async def file_changes(
    answers: Answers, pause_id: str, given: Mapping[str, Any] | None, tasks: Sequence[Ahead]
) -> list[Foreseen]:
    """Which files each of the tasks would change that says so, secrets as stars; NotFound."""
    asked = [one for one in tasks if one.tells]
    if not asked:
        return []
    after = await Answered.of(answers, pause_id, given)
    mask = after.creator.masker.mask
    found = []
    for one in asked:
        try:
            found.append(Foreseen(one.task.id, await _changes(answers, after, one)))
        except NotYet as error:
            found.append(Foreseen(one.task.id, unknown=error.why))
        except EngineError as error:
            found.append(Foreseen(one.task.id, problem=mask(str(error))))
    return found


async def _changes(answers: Answers, after: Answered, ahead: Ahead) -> tuple[Changes, ...]:
    creator, execution = after.creator, after.execution
    store, settings = creator.renderer.files, creator.settings
    rendered = await _rendered(after, ahead.task)
    if not isinstance(rendered, RunnableTask):
        return ()
    if store.is_remote:
        await asyncio.to_thread(store.fetch, str(rendered.model_dump(warnings=False)))
    folder = task_folder(execution.namespace, execution.flow_id, execution.id, ahead.task.id, "ahead")
    files = RunFiles(store, creator.renderer.scope(execution), folder, execution.flow_id)
    flows = TaskFlows(answers.flows)
    sight = Looking(execution.namespace, execution.flow_id, settings, after.seen, files, flows)
    found = await rendered.changes(sight, is_shared=ahead.is_shared)
    return tuple([_masked(one, creator.masker.mask) for one in found])


async def _rendered(after: Answered, task: Task) -> Task:
    """The task with what it tells changes by rendered; NotYet where that can't be known."""
    asked = task.model_copy()
    if isinstance(task, RunnableTask):
        asked.model_fields_set.difference_update(task.untold)

    def known(value: Any, guard: Guard) -> Any:
        if (unknown := after.unknown(value)) is not None:
            raise NotYet(unknown)
        try:
            return render(value, after.seen, after.services, guard=guard)
        except EngineError as error:
            raise NotYet(Unknown()) from error

    return await in_a_thread(lambda: asked.rendered(known))


def _masked(changes: Changes, mask: Any) -> Changes:
    def content(held: Content | None) -> Content | None:
        return held if held is None or held.text is None else replace(held, text=mask(held.text))

    files = [
        replace(one, path=mask(one.path), before=content(one.before), after=content(one.after)) for one in changes.files
    ]
    return replace(changes, place=mask(changes.place), files=files, note=mask(changes.note))
