"""A flow without what is wrong in it, so that the rest of it is looked at in the same go."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache, reduce
from types import new_class
from typing import Any, Literal, cast

from pydantic import ConfigDict, ValidationError

from engine.core import flow_problems, flow_slips
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flowable import FlowableTask
from engine.core.inputs import FlowOutput, Input
from engine.core.property import marker
from engine.core.registry import Registry
from engine.core.task import Typed
from engine.core.yaml_text import Path, walk

GOES = 5  # a value is made open, left out, given again; at last something stands for its part
OPEN = "{{ '' }}"  # a value that only a run would tell
NOT_GIVEN = "not-given"
REFERRED = frozenset({"inputs", "variables", "labels", "onResume"})  # others may name what is in them
OLDER = frozenset({"old-property", "old-type"})  # is said beside what else is wrong there
NESTED = frozenset({"inputs", "properties", "columns"})  # inputs inside an input


class StandIns:
    """A registry in which something stands for every part that can't be read."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._classes: dict[str, type[Typed]] = {}

    def resolve(self, declaration: Any, kind: str = "task") -> type[Typed]:
        """Class for a declaration as read from YAML."""
        return self._classes.get(declaration["type"]) or self.registry.resolve(declaration, kind)

    def stand_for(self, part: dict[str, Any], cls: type[Typed]) -> None:
        """Let a class stand for one part of a flow."""
        part["type"] = name = f"{NOT_GIVEN}-{len(self._classes)}"
        self._classes[name] = cls

    def has(self, part: Mapping[str, Any]) -> bool:
        """Whether something stands for a part already."""
        return isinstance(part.get("type"), str) and part["type"] in self._classes


def mended(data: Mapping[str, Any], findings: Sequence[Finding], registry: Registry) -> Flow | None:
    """The flow that `data` would be if it were right: unknown types installed, unknown properties spelt right or left
    out, and in place of other values that will not do some that only a run would tell.

    None when that can't be: what is wrong holds tasks, or is what others refer to, so that whatever else is said might
    only follow from it.
    """
    left = deepcopy(dict(data))
    classes = StandIns(registry)
    context = {"registry": classes, "source": True}
    for go in range(GOES):
        if not all(_mend(one, left, classes, go) for one in findings):
            return None
        try:
            return Flow.model_validate(left, context=context, by_name=False, by_alias=True)
        except ValidationError as error:
            findings = flow_problems.translate(error, left, registry)
    return None


def apart(found: Sequence[Finding], findings: Sequence[Finding]) -> Iterator[Finding]:
    """Those of what is found in a mended flow that are not about what was mended."""
    wrong = {_path(one) for one in findings} - {()}
    for one in found:
        if one.code in OLDER or not any(one.path[:length] in wrong for length in range(1, len(one.path) + 1)):
            yield one


def _path(one: Finding) -> Path:
    return (*one.path, one.missing) if one.missing else one.path


def _mend(one: Finding, left: dict[str, Any], classes: StandIns, go: int) -> bool:
    """Change what a finding is about; False when that can't be done."""
    path = _path(one)
    if not path:
        return False
    owner, name = _at(left, path[:-1]) if flow_problems.is_there(left, path[:-1]) else None, path[-1]
    if owner is None or isinstance(owner, str) or (one.code == "unknown-property" and name not in owner):
        return True  # what stood there is mended already
    if one.code == "unknown-property":
        _spell(owner, str(name), flow_slips.MEANT.findall(one.suggestion))
    elif path in (("id",), ("namespace",)):
        owner[name] = NOT_GIVEN
    elif name == "id" or one.code in ("unknown-type", "wrong-place") or not _is_value(path, left, classes.registry):
        return _without(path, left, classes, go)
    elif go < GOES - 2 and (one.missing or go == 0) and _is_rendered(path, left, classes.registry):
        owner[name] = OPEN
    elif go < GOES - 2 and not one.missing:
        owner.pop(name, None)
    else:
        return _without(path, left, classes, go)
    return True


def _is_rendered(path: Path, left: Any, registry: Registry) -> bool:
    """Whether a property may be a template: whatever looks at its value then waits for the run."""
    cls = flow_problems.part_at(path[:-1], left, registry)
    fields = cls.model_fields.items() if cls is not None else ()
    field = next((one for name, one in fields if path[-1] in (name, one.alias)), None)
    if cls is None or field is None:
        return False
    return marker(field) is not None or issubclass(cls, FlowableTask)


def _is_value(path: Path, left: Any, registry: Registry) -> bool:
    """Whether something is a value of its part alone: no item of a list, no part, nothing that others may refer to."""
    value = _at(left, path) if flow_problems.is_there(left, path) else None
    if isinstance(path[-1], int) or path[-1] in REFERRED or path == ("tasks",) or _holds_tasks({"": value}):
        return False
    owner = flow_problems.part_at(path[:-1], left, registry)
    part = flow_problems.part_at(path, left, registry) if isinstance(value, Mapping) else None
    return not (owner and issubclass(owner, Input)) and not (part and issubclass(part, Typed | Input))


def _without(path: Path, left: dict[str, Any], classes: StandIns, go: int) -> bool:
    """Let something stand for the part that a path leads into."""
    for length in range(len(path), 1, -1):
        part = _at(left, path[:length]) if flow_problems.is_there(left, path[:length]) else None
        cls = flow_problems.part_at(path[:length], left, classes.registry) if isinstance(part, dict) else None
        if isinstance(part, dict) and cls is not None and issubclass(cls, Input | FlowOutput):
            return _open(part, path[length:])
        if isinstance(part, dict) and cls is not None and issubclass(cls, Typed):
            is_of_id = path[length:] == ("id",)
            return _any_id(part, cls, path, classes, go) if is_of_id else _stand_in(part, path[:length], left, classes)
    return False


def _open(part: dict[str, Any], inside: Path) -> bool:
    """Make an input or an output of the flow one that takes any value; its id is what others call it."""
    if inside[-1:] == ("id",) or not isinstance(part.get("id"), str) or not part.keys().isdisjoint(NESTED):
        return False
    kept = {"id": part["id"], "type": "JSON", "required": False} | ({"value": OPEN} if "value" in part else {})
    part.clear()
    part.update(kept)
    return True


def _any_id(part: dict[str, Any], cls: type[Typed], path: Path, classes: StandIns, go: int) -> bool:
    """Let a part have an id that is none, or one where it has none: but not where it stood under another name."""
    if not isinstance(part.get("id"), str):
        is_given, part["id"] = "id" in part, "-".join(map(str, (NOT_GIVEN, *path)))
        return is_given or go == 0
    if not classes.has(part):
        kind = None if cls.type_names() else str(part.get("type"))
        classes.stand_for(part, _made(cls.__name__, cls, kind))
    return True


def _stand_in(part: dict[str, Any], path: Path, left: Any, classes: StandIns) -> bool:
    if classes.has(part):
        return True
    kind, part["type"] = part.get("type"), NOT_GIVEN
    base = flow_problems.part_at(path, left, classes.registry)
    if _holds_tasks(part) or base is None or not issubclass(base, Typed):
        return False
    classes.stand_for(part, _made("NotInstalled", base, kind if isinstance(kind, str) else NOT_GIVEN))
    return True


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
def _made(name: str, base: type[Typed], kind: str | None) -> type[Typed]:
    """What a part of this kind is taken for that can't be read: it may have any property, none is looked at."""
    fields = base.model_fields
    kinds: Any = Literal[kind] if kind is not None else fields["type"].annotation
    body = {
        "__module__": __name__,
        "__annotations__": {"type": kinds} | ({"id": str} if "id" in fields and fields["id"].is_required() else {}),
        "model_config": ConfigDict(extra="ignore"),
    }
    made = cast("type[Typed]", new_class(name, (base,), exec_body=lambda names: names.update(body)))
    made.__abstractmethods__ = frozenset()  # it is looked at, never run
    return made
