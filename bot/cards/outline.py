"""What a flow looks like from outside: which tasks lie in which, what comes before a step and what after it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from engine.core.flow import Flow
from engine.core.flowable import ItemsTask
from engine.core.json_text import read_json
from engine.core.task import Task
from engine.tasks.aliases import public_links
from engine.tasks.working_files import STORED_URI

_CHAT = ("slack", "discord")
_MESSAGE_FIELDS = ("content", "message_text", "messageText", "text", "payload")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task stands: in which list, at which index, inside which tasks (outermost first)."""

    task: Task
    siblings: tuple[Task, ...]
    index: int
    parents: tuple["Place", ...] = ()


def branches(task: Task) -> Iterator[tuple[str, tuple[Task, ...]]]:
    """The lists of tasks inside a task, by property: `then`, `else`, `tasks`, the cases of a Switch."""
    for name in type(task).model_fields:
        yield from _lists(name.rstrip("_"), getattr(task, name))


def _lists(name: str, value: Any) -> Iterator[tuple[str, tuple[Task, ...]]]:
    if isinstance(value, Task):
        yield name, (value,)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _lists(str(key), inner)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        # Dag wraps each task together with what it depends on.
        tasks = tuple(found for item in value if isinstance(found := getattr(item, "task", item), Task))
        if tasks:
            yield name, tasks


def _walk(tasks: tuple[Task, ...], parents: tuple[Place, ...]) -> Iterator[Place]:
    for index, task in enumerate(tasks):
        place = Place(task, tasks, index, parents)
        yield place
        for _, inner in branches(task):
            yield from _walk(inner, (*parents, place))


def secret_questions(flow: Flow) -> tuple[str, ...]:
    """The tasks that will ask whoever answers them for a secret that must be given."""
    return tuple(
        place.task.id
        for place in places(flow)
        if any(
            one.type == "SECRET" and one.required and one.defaults is None
            for one in getattr(place.task, "on_resume", None) or ()
        )
    )


def places(flow: Flow) -> Iterator[Place]:
    """Every task of a flow, outer before inner, in the order they are written."""
    for tasks in (flow.tasks, flow.errors, flow.finally_, flow.after_execution):
        yield from _walk(tasks, ())


def find(flow: Flow, task_id: str) -> Place | None:
    """Where a task stands; None when the flow has none of that name."""
    return next((place for place in places(flow) if place.task.id == task_id), None)


def in_loop(flow: Flow, task_id: str) -> bool:
    """Whether a step is in a Loop, so that what would end a run ends its round of the loop."""
    place = find(flow, task_id)
    return place is not None and any(isinstance(above.task, ItemsTask) for above in place.parents)


def continues_with(flow: Flow, task_id: str) -> str:
    """What runs after a step when it is answered with yes: `try_again → approved`; "" when nothing does."""
    place = find(flow, task_id)
    if place is None:
        return ""
    for here in (place, *reversed(place.parents)):
        if here.index + 1 < len(here.siblings):
            following = here.siblings[here.index + 1]
            return _described(following, task_id)
    return ""


def _described(task: Task, asked: str) -> str:
    condition = getattr(task, "condition", None)
    then = next((tasks for name, tasks in branches(task) if name == "then"), ())
    if then and isinstance(condition, str) and f"outputs.{asked}." in condition:
        return f"{task.id} \u2192 {then[0].id}"
    return task.id


def message_before(flow: Flow, task_id: str) -> Any:
    """The template (or nested templates) of the chat message sent just before a step; None when there is none."""
    place = find(flow, task_id)
    if place is None or place.index == 0:
        return None
    before = place.siblings[place.index - 1]
    if not any(chat in before.type.lower() for chat in _CHAT):
        return None
    for name in _MESSAGE_FIELDS:
        if value := getattr(before, name, None):
            return value
    return None


def message_text(message: Any) -> str:
    """The readable part of a rendered chat message: of a JSON payload its `text` or `content`."""
    rendered = message
    if isinstance(message, str) and message.lstrip().startswith("{"):
        try:
            rendered = read_json(message)
        except ValueError:
            return message
    if isinstance(rendered, Mapping):
        return next((str(rendered[name]) for name in ("text", "content") if rendered.get(name)), "")
    return "" if rendered is None else str(rendered)


def shown_text(text: str, public_url: str | None) -> str:
    """A message as a card shows it: links lead to the page's public address, stored files are called by their name."""

    def name(found: re.Match[str]) -> str:
        uri = found[0].rstrip(".,;:!?")
        return PurePosixPath(uri).name + found[0][len(uri) :]

    return STORED_URI.sub(name, public_links(text, public_url))
