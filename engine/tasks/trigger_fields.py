"""What a trigger's own properties say once they are rendered: it does that itself, there is no execution yet."""

from typing import TypeVar

from pydantic import ValidationError

from engine.core.triggers import Trigger
from engine.plugin import Part, RunContext, TaskFailed

P = TypeVar("P", bound=Part)


async def fields_of(trigger: Trigger, kind: type[P], context: RunContext) -> P:
    """Those properties of a trigger that `kind` has, rendered; TaskFailed when one is not what it should be."""
    names = set(kind.model_fields) & trigger.model_fields_set
    given = trigger.model_dump(include=names, by_alias=True, exclude_unset=True, warnings=False)
    try:
        return kind.model_validate(await context.render(given), context={"rendered": True})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise TaskFailed(f"`{where}` of the trigger {trigger.id!r}: {first['msg']}.") from error
