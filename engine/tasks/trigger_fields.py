"""What a trigger's own properties say once they are rendered: it does that itself, there is no execution yet."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from engine.core.task import Task
from engine.core.triggers import Trigger
from engine.plugin import Part, PollingTrigger, RunContext, TaskFailed
from engine.tasks import catalogue

P = TypeVar("P", bound=Part)
T = TypeVar("T", bound=Task)
R = TypeVar("R", bound=Part)


async def fields_of(trigger: Trigger, kind: type[P], context: RunContext) -> P:
    """Those properties of a trigger that `kind` has, rendered; TaskFailed when one is not what it should be."""
    return await _read(trigger, kind, kind.model_fields, context, {})


async def task_of(trigger: Trigger, kind: type[T], context: RunContext) -> T:
    """The task that does once what a trigger does again and again, its properties rendered; TaskFailed as above."""
    names = set(kind.model_fields) - set(PollingTrigger.model_fields)
    return await _read(trigger, kind, names, context, {"id": trigger.id, "type": kind.type_names()[0]})


async def _read(
    trigger: Trigger, kind: type[R], names: Collection[str], context: RunContext, more: Mapping[str, str]
) -> R:
    asked = trigger.model_fields_set.intersection(names)
    given: dict[str, Any] = trigger.model_dump(include=asked, by_alias=True, exclude_unset=True, warnings=False)
    try:
        asked_for = {**await context.render(given), **more}
        read = kind.model_validate(asked_for, context={"rendered": True, "registry": catalogue()})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise TaskFailed(f"`{where}` of the trigger {trigger.id!r}: {first['msg']}.") from error
    return read.served()
