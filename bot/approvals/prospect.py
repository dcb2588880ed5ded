"""What happens if a pause is answered with yes: the next tasks, with what they would be given. Pure.

A task's values are named as in its flow; what can't be known before it runs is shown as it is written there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import Any

from bot.cards.outline import Place, branches, find
from bot.cards.parts import value_text
from bot.conversation import Enclosure, Fact
from bot.texts import code, listed, plain, shorten
from engine.core.durations import to_iso
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask, FlowableTask, PausingTask, truthy
from engine.core.task import Part, Task
from engine.runtime.foresight import Ahead, Unknown
from engine.tasks.core.flow.branching import If, Switch

Fork = tuple[str, str]  # a task and the property that decides whether, or what of it, runs

MAX_TASKS = 4
MAX_VALUES = 3
MAX_VALUE = 160
MAX_AHEAD = 12
MAX_FORKS = 60
MAX_WALK = 200  # tasks that are counted
MAX_NAMES = 6
IN_ANY_CASE = frozenset({"Sequential", "Parallel", "Dag", "AllowFailure", "WorkingDirectory"})
SIDE_BY_SIDE = frozenset({"Parallel", "EachParallel"})
ROUNDS = frozenset({"ForEach", "EachSequential", "EachParallel", "Loop", "LoopUntil"})
ON_TROUBLE = frozenset({"errors", "finally"})
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
    """A task that follows, and the properties worth showing: (name in the flow, what is written there). `note` says on
    what it depends, in Markdown; `is_shared`: it runs in a folder that others fill."""

    task: Task
    written: tuple[tuple[str, Any], ...]
    note: str = ""
    is_shared: bool = False


def forks(flow: Flow, task_id: str) -> dict[Fork, Any]:
    """The templates that say which tasks run after a yes, but those about how the run ended."""
    place = find(flow, task_id)
    every = (one for task in _after(place) for one in _within(task)) if place else ()
    found = ((fork, template) for task in every for fork, template in _forks(task))
    told = ((fork, template) for fork, template in found if "execution.state" not in str(template))
    return dict(islice(told, MAX_FORKS))


def _forks(task: Task) -> Iterator[tuple[Fork, Any]]:
    if task.run_if is not None:
        yield (task.id, "runIf"), task.run_if
    if isinstance(task, If):
        yield (task.id, "condition"), task.condition
    elif isinstance(task, Switch):
        yield (task.id, "value"), task.value


def _within(task: Task) -> Iterator[Task]:
    yield task
    for _, tasks in branches(task):
        for one in tasks:
            yield from _within(one)


def following(flow: Flow, task_id: str, limit: int = MAX_TASKS, known: Mapping[Fork, Any] | None = None) -> list[Next]:
    """The tasks that run after a pause was answered with yes, in order, up to the next question. `known` is what
    `forks` came to; None: nobody asked, and a condition on the answer is taken to lead to `then` with yes."""
    place = find(flow, task_id)
    if place is None:
        return []
    found: list[Next] = []
    outer = place.parents[0] if place.parents else place
    closing = (*flow.finally_, *flow.after_execution) if outer.siblings is flow.tasks else ()
    for one in chain(_steps(_after(place), task_id, known), _steps(closing, task_id, {})):
        found.append(one)
        if isinstance(one.task, PausingTask) or len(found) >= limit:
            break
    return found


def ahead(flow: Flow, task_id: str, known: Mapping[Fork, Any] | None = None) -> list[Ahead]:
    """The tasks that run in any case after a yes, up to the next question, also those inside others, that tell which
    files they change."""
    found = [Ahead(one.task, one.is_shared) for one in following(flow, task_id, MAX_WALK, known)]
    return [one for one in found if one.tells][:MAX_AHEAD]


def _after(place: Place) -> Iterator[Task]:
    """The tasks behind a place, from the inside out. What stands beside it in a Parallel is under way already; a loop
    around it may begin its next round."""
    own: Task = place.task
    for name in AFTER_YES:
        yield from getattr(own, name, ())
    for here in (place, *reversed(place.parents)):
        around = here.parents[-1].task if here.parents else None
        if _kind(around) not in SIDE_BY_SIDE:
            yield from here.siblings[here.index + 1 :]
        if around is not None and _kind(around) in ROUNDS:
            yield around


def _kind(task: Task | None) -> str:
    return task.type.rpartition(".")[2] if task is not None else ""


def _steps(
    tasks: Iterable[Task], asked: str, known: Mapping[Fork, Any] | None, *, is_shared: bool = False
) -> Iterator[Next]:
    for task in tasks:
        if task.disabled:
            continue
        note, shared = "", is_shared or isinstance(task, DirectoryTask)
        if task.run_if is not None:
            runs = (known or {}).get((task.id, "runIf"), Unknown())
            if not isinstance(runs, Unknown) and not truthy(runs):
                continue
            note = f"only if {code(task.run_if, MAX_VALUE)}" if isinstance(runs, Unknown) else ""
        inner = None if note else _chosen(task, asked, known)
        if inner is None:
            again = any(one.id == asked for one in _within(task))
            said = [note, "its next round, where one is left" if again else _inside(task)]
            yield Next(task, _written(task), " \u00b7 ".join(part for part in said if part), is_shared)
        else:
            yield from _steps(inner, asked, known, is_shared=shared)


def _chosen(task: Task, asked: str, known: Mapping[Fork, Any] | None) -> Sequence[Task] | None:
    """The tasks inside one that run when it does; None where that can't be told, or there are none inside."""
    if any(one.id == asked for one in _within(task)):
        return None  # the loop around the question
    if _kind(task) in IN_ANY_CASE:
        return [one for name, tasks in branches(task) if name == "tasks" for one in tasks]
    if isinstance(task, If):
        value = (known or {}).get((task.id, "condition"), Unknown())
        if not isinstance(value, Unknown):
            return task.then if truthy(value) else task.else_
        return task.then if known is None and task.then and f"outputs.{asked}." in str(task.condition) else None
    if isinstance(task, Switch):
        value = (known or {}).get((task.id, "value"), Unknown())
        return None if isinstance(value, Unknown) else task.cases.get(str(value), task.defaults)
    return None


def _inside(task: Task) -> str:
    """What a task that decides only when it runs leads to: `then: a, b; else: c`."""
    if not isinstance(task, FlowableTask) or isinstance(task, PausingTask):
        return ""
    lists = [(name, tasks) for name, tasks in branches(task) if name not in ON_TROUBLE]
    said = [f"{plain(name, 40)}: {listed((one.id for one in tasks), MAX_VALUES)}" for name, tasks in lists]
    return "; ".join(said[:MAX_TASKS]) + ("; \u2026" if len(said) > MAX_TASKS else "")


def _written(task: Task) -> tuple[tuple[str, Any], ...]:
    if isinstance(task, PausingTask):
        return ()
    if isinstance(task, FlowableTask):
        return tuple((name, value) for name, (value, _) in islice(task.wanted().items(), MAX_VALUES))
    shown = []
    for name, field in type(task).model_fields.items():
        value = getattr(task, name)
        if name in Task.model_fields or name not in task.model_fields_set or value is None or _holds_task(value):
            continue
        said = to_iso(value) if isinstance(value, timedelta) else _as_data(value)
        shown.append((not field.is_required(), field.alias or name, said))
    return tuple((name, value) for _, name, value in sorted(shown, key=lambda one: one[0])[:MAX_VALUES])


def _as_data(value: Any) -> Any:
    """Parts of a task, as a runner is, the way the flow writes them."""
    if isinstance(value, Part):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, Mapping):
        return {name: _as_data(item) for name, item in value.items()}
    return [_as_data(item) for item in value] if isinstance(value, list | tuple) else value


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
        parts += [step.note] if step.note else []
        lines.append(Fact(f"Then {shorten(step.task.id, 50)}", " \u00b7 ".join(parts), short=False))
    return tuple(lines)


def rest(steps: Sequence[Next]) -> tuple[Fact, ...]:
    """A line for the tasks that no line of their own tells of; or that there are none at all."""
    if not steps:
        return (Fact("Then", "nothing more runs", short=False),)
    if len(steps) <= MAX_TASKS:
        return ()
    more = steps[MAX_TASKS:]
    count = f"at least {len(more)}" if len(steps) >= MAX_WALK else str(len(more))
    last = f" up to the question {code(more[-1].task.id)}" if isinstance(more[-1].task, PausingTask) else ""
    return (Fact("Then", f"{count} more{last}: {listed((one.task.id for one in more), MAX_NAMES)}", short=False),)


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
