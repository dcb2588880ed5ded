"""What happens if a pause is answered with yes: the next tasks, with what they would be given. Pure.

A task's values are named as in its flow; what can't be known before it runs is shown as it is written there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.cards.outline import Place, branches, find
from bot.cards.parts import value_text
from bot.conversation import Enclosure, Fact
from bot.texts import code, listed, shorten
from engine.core.durations import to_iso
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask, FlowableTask, PausingTask
from engine.core.task import Task
from engine.runtime.foresight import Ahead, Unknown

MAX_TASKS = 4
MAX_VALUES = 3
MAX_VALUE = 160
MAX_AHEAD = 12
IN_ANY_CASE = frozenset({"Sequential", "Parallel", "Dag", "AllowFailure", "WorkingDirectory"})
AFTER_YES = ("on_approve", "tasks")  # lists of a pausing task itself that run once it is answered with yes


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be known before somebody decides."""

    steps: tuple[Fact, ...] = ()
    changes: tuple[str, ...] = ()  # files that would change, in words and as a diff in a block of code
    enclosed: tuple[Enclosure, ...] = ()  # the whole diff, where `changes` has a part of it
    last_time: str = ""
    takes: tuple[Fact, ...] = ()  # what it takes and costs


NOTHING = Outlook()


@dataclass(frozen=True, slots=True)
class Next:
    """A task that follows, and the properties worth showing: (name in the flow, what is written there)."""

    task: Task
    written: tuple[tuple[str, Any], ...]


def following(flow: Flow, task_id: str, limit: int = MAX_TASKS) -> list[Next]:
    """The tasks that run after a pause was answered with yes, in order, up to the next question."""
    place = find(flow, task_id)
    if place is None:
        return []
    found: list[Next] = []
    for task in _after(place):
        found += [Next(one, _written(one)) for one in _opened(task, task_id)]
        if isinstance(task, PausingTask) or len(found) >= limit:
            break
    return found[:limit]


def ahead(flow: Flow, task_id: str) -> list[Ahead]:
    """The tasks that run in any case after a yes, up to the next question, also those inside others, that tell which
    files they change."""
    place = find(flow, task_id)
    found: list[Ahead] = []
    for task in _after(place) if place else ():
        for one in _opened(task, task_id):
            found += _inner(one, is_shared=False)
        if isinstance(task, PausingTask):
            break
    return [one for one in found if one.tells][:MAX_AHEAD]


def _inner(task: Task, *, is_shared: bool) -> Iterator[Ahead]:
    yield Ahead(task, is_shared)
    if task.type.rpartition(".")[2] in IN_ANY_CASE:
        for name, tasks in branches(task):
            for one in tasks if name == "tasks" else ():
                if not one.disabled:
                    yield from _inner(one, is_shared=is_shared or isinstance(task, DirectoryTask))


def _after(place: Place) -> Iterator[Task]:
    own: Task = place.task
    for name in AFTER_YES:
        yield from getattr(own, name, ())
    for here in (place, *reversed(place.parents)):
        yield from (task for task in here.siblings[here.index + 1 :] if not task.disabled)


def _opened(task: Task, asked: str) -> list[Task]:
    """A condition on the answer is looked through: what it leads to with yes."""
    condition = getattr(task, "condition", None)
    if isinstance(condition, str) and f"outputs.{asked}." in condition:
        then = next((tasks for name, tasks in branches(task) if name == "then"), ())
        if then:
            return [inner for inner in then if not inner.disabled]
    return [task]


def _written(task: Task) -> tuple[tuple[str, Any], ...]:
    if isinstance(task, FlowableTask):
        return ()
    shown = []
    for name, field in type(task).model_fields.items():
        value = getattr(task, name)
        if name in Task.model_fields or value is None or value == field.default or _holds_task(value):
            continue
        said = to_iso(value) if isinstance(value, timedelta) else value
        shown.append((not field.is_required(), field.alias or name, said))
    return tuple((name, value) for _, name, value in sorted(shown, key=lambda one: one[0])[:MAX_VALUES])


def _holds_task(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_task(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_task(item) for item in value)
    return isinstance(value, Task)


def facts(steps: Sequence[Next], values: Sequence[Any]) -> tuple[Fact, ...]:
    """A line a task; `values` are what `foresee` gave for everything written, in order."""
    told = iter(values)
    lines = []
    for step in steps:
        parts = [code(step.task.type.rpartition("plugin.")[2].removeprefix("core."), 60)]
        parts += [f"{name}: {_value(next(told, Unknown()), written)}" for name, written in step.written]
        lines.append(Fact(f"Then {shorten(step.task.id, 50)}", " \u00b7 ".join(parts), short=False))
    return tuple(lines)


def stated(value: Any, template: str, *, runs: bool = True) -> str:
    """What the policy says a yes costs, as data; "" where it says nothing. `runs`: it was asked of a run."""
    if runs and isinstance(value, Unknown) and not value.tasks:
        return f"{code(template, MAX_VALUE)} (this run has no value for it)"
    said = _value(value, template)
    return "" if said == "\u2013" else said


def _value(value: Any, written: Any) -> str:
    if not isinstance(value, Unknown):
        return value_text(value, MAX_VALUE)
    said = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False, default=str)
    text = code(said, MAX_VALUE)
    return f"{text} (known after {listed(value.tasks, 2)})" if value.tasks else f"{text} (known when it runs)"


def templates(steps: Sequence[Next]) -> list[Any]:
    """Everything written, in the order of `facts`."""
    return [written for step in steps for _, written in step.written]
