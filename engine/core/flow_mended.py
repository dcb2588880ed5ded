"""A flow without what nobody here knows, so that the rest of it is looked at in the same go."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache, reduce
from types import new_class
from typing import Any, Literal, cast

from pydantic import ConfigDict, ValidationError

from engine.core import flow_problems, flow_slips
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.registry import Registry
from engine.core.task import Typed
from engine.core.yaml_text import Path, walk

MENDED = frozenset({"unknown-type", "unknown-property", "type"})
INSIDE = frozenset({"tasks", "triggers", "errors", "finally", "afterExecution"})


class StandIns:
    """A registry in which something stands for every type that is not installed."""

    def __init__(self, registry: Registry, classes: Mapping[str, type[Typed]]) -> None:
        self._registry = registry
        self._classes = classes

    def resolve(self, declaration: Any, kind: str = "task") -> type[Typed]:
        """Class for a declaration as read from YAML."""
        return self._classes.get(declaration["type"]) or self._registry.resolve(declaration, kind)


def mended(data: Mapping[str, Any], findings: Sequence[Finding], registry: Registry) -> Flow | None:
    """The flow that `data` would be with its unknown types installed, its unknown properties spelt right or left out,
    and without values that are none of their type; None when more than that is wrong, or when something holds tasks
    that others may refer to."""
    if not {one.code for one in findings} <= MENDED or not all(_may_go(one, data) for one in findings):
        return None
    classes: dict[str, type[Typed]] = {}
    left = deepcopy(dict(data))
    for one in findings:
        owner = _at(data, one.path[:-1])
        if one.code == "unknown-property":
            _spell(_at(left, one.path[:-1]), str(one.path[-1]), flow_slips.MEANT.findall(one.suggestion))
            continue
        if one.code == "type":
            owned = _at(left, one.path[:-1])
            if isinstance(owned, dict):
                owned.pop(one.path[-1], None)
            continue
        base = flow_problems.part_at(one.path[:-1], data, registry)
        if _holds_tasks(owner):
            return None
        if base is not None and issubclass(base, Typed):
            classes[owner["type"]] = _stand_in(owner["type"], base)
    context = {"registry": StandIns(registry, classes), "source": True}
    try:
        return Flow.model_validate(left, context=context, by_name=False, by_alias=True)
    except ValidationError:
        return None


def _may_go(one: Finding, data: Any) -> bool:
    """Whether a value of the wrong type is one that nothing else in the flow refers to."""
    if one.code != "type":
        return True
    return one.path[0] in INSIDE and isinstance(one.path[-1], str) and not _holds_tasks({"": _at(data, one.path)})


def _spell(owner: dict[str, Any], name: str, meant: Sequence[str]) -> None:
    """Call a property what it is probably meant to be called, where that is still free."""
    value = owner.pop(name)
    if meant:
        owner.setdefault(meant[0], value)


def _holds_tasks(part: Mapping[str, Any]) -> bool:
    return any(
        isinstance(value, Mapping) and "id" in value and "type" in value
        for path, value in walk(part)
        if value is not part and "assets" not in path
    )


def _at(document: Any, path: Path) -> Any:
    return reduce(lambda value, step: value[step], path, document)


@lru_cache(maxsize=256)
def _stand_in(name: str, base: type[Typed]) -> type[Typed]:
    """What a part of this kind is taken for whose type is not installed: it may have any property."""
    body = {
        "__module__": __name__,
        "__annotations__": {"type": Literal[name]},
        "model_config": ConfigDict(extra="allow"),
    }
    made = cast("type[Typed]", new_class("NotInstalled", (base,), exec_body=lambda names: names.update(body)))
    made.__abstractmethods__ = frozenset()  # it is looked at, never run
    return made
