"""pydantic's errors about a flow → findings in plain sentences, with "did you mean"."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial, reduce
from typing import Any, get_args
from unicodedata import normalize

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails

from engine.core import durations, flow_slips, foreign_names, list_items, untyped_parts
from engine.core.finding import Breach, Finding
from engine.core.flow import Flow
from engine.core.flow_slips import LIKE, MEANT, SPELT
from engine.core.inputs import INPUT_TYPES, Input
from engine.core.list_items import Items
from engine.core.plugin_defaults import BLOCKS
from engine.core.property import Instead, has_template
from engine.core.registry import Registry
from engine.core.sentences import expectation, sentence
from engine.core.task import Task, Typed
from engine.core.triggers import Trigger
from engine.core.yaml_text import Path, walk
from engine.errors import EngineError, UnknownTaskType

CHOICE = re.compile(r"'([^']*)'")
NEIGHBOURS = re.compile(r"It is a property of `")
LISTS = frozenset({"tasks", "then"})
FEW = 12  # properties that a sentence may list
NO_NAME = re.compile(r"[^a-zA-Z0-9._-]+")
KINDS = {"tasks": "task", "conditions": "condition", "triggers": "trigger", "taskRunner": "task runner"}
JAVA_NAME = re.compile(r"[a-z][\w-]*(\.[\w-]+){2,}\.[A-Z]\w*")  # a type of a plugin, not of a schema or an input


def translate(error: ValidationError, document: Any, registry: Registry, root: type[BaseModel] = Flow) -> list[Finding]:
    """One finding for each place where the document does not fit the models."""
    places: dict[Path, list[ErrorDetails]] = {}
    tagged: set[Path] = set()
    for details in error.errors():
        path, was_tagged = _place(details, document)
        places.setdefault(path, []).append(details)
        if was_tagged:
            tagged.add(path)
    found = [
        _finding(path, errors, document, registry, root)
        for path, errors in places.items()
        if not (_is_vague(path, errors, tagged) and any(_is_inside(other, path) for other in places))
    ]
    misspelt = {(*one.path[:-1], name) for one in found for name in MEANT.findall(one.suggestion)}
    mistaken = {one.path[:-1] for one in found if NEIGHBOURS.match(one.suggestion)}
    found = [
        one
        for one in found
        if not one.missing or (one.path not in mistaken and (*one.path, one.missing) not in misspelt)
    ]
    found = flow_slips.of_outputs(flow_slips.of_dashes(found, document), document)
    found = flow_slips.of_graphs(found, document)
    found = flow_slips.of_levels(found, document, partial(_has, document, registry, root))
    found = flow_slips.of_missing(flow_slips.of_ids(found, document), document)
    found = [
        one if one.code != "unknown-property" or one.suggestion else _listed(one, document, registry, root)
        for one in found
    ]
    return [*found, *_inside_unknown(found, document, registry)]


def _has(document: Any, registry: Registry, root: type[BaseModel], path: Path, name: str) -> bool:
    cls = part_at(path, document, registry, root)
    return cls is not None and name in properties(cls)


def misnamed(error: ValidationError, at: Path, document: Any, registry: Registry) -> list[Finding]:
    """Of what is wrong with the value at a path, names that its parts don't have, and those that they lack."""
    named = []
    for details in error.errors():
        loc = (*at, *details["loc"][1:])
        owner = loc[:-1]
        if (
            details["loc"][:1] != at[-1:]
            or len(loc) == len(at)
            or details["type"] not in ("extra_forbidden", "missing")
        ):
            continue
        if is_there(document, owner) and not any(map(has_template, _mapping_at(owner, document))):
            named.append(InitErrorDetails(type=details["type"], loc=loc, input=details["input"]))
    return translate(ValidationError.from_exception_data("Flow", named), document, registry) if named else []


def is_there(document: Any, path: Path) -> bool:
    """Whether a document has something at a path."""
    try:
        reduce(lambda value, step: value[step], path, document)
    except (LookupError, TypeError):
        return False
    return True


def _inside_unknown(found: Sequence[Finding], document: Any, registry: Registry) -> Iterator[Finding]:
    """Types that are not installed either, inside parts of a type that is not: nothing read those parts."""
    for one in found:
        if one.code != "unknown-type" or one.path[-1:] != ("type",):
            continue
        outer = reduce(lambda value, step: value[step], one.path[:-1], document)
        for path, value in walk(outer, one.path[:-1]):
            kind = value.get("type") if isinstance(value, Mapping) and value is not outer else None
            if "assets" in path:  # an asset may be of any type: it is no part that does something
                continue
            if isinstance(kind, str) and JAVA_NAME.fullmatch(kind) and registry.find(kind) is None:
                inside = next((step for step in reversed(path) if isinstance(step, str)), "")
                error = registry.unknown(kind, KINDS.get(inside, ""))
                yield Finding((*path, "type"), error.message, one.code, suggestion=error.fix)


def properties(cls: type[BaseModel]) -> list[str]:
    """Names of a part's properties as a flow writes them."""
    names = []
    for name, field in cls.model_fields.items():
        if isinstance(field.validation_alias, AliasChoices):
            names += [choice for choice in field.validation_alias.choices if isinstance(choice, str) and choice != name]
        names.append(field.alias or name)
    return list(dict.fromkeys(names))


def part_at(path: Path, document: Any, registry: Registry, root: type[BaseModel] = Flow) -> type[BaseModel] | None:
    """The class that the mapping at a path is read as, as far as it can be told."""
    candidates: list[type[BaseModel]] = [root]
    value = document
    for step in path:
        value = value[step]
        if isinstance(step, str):
            field = next((f for cls in candidates for n, f in cls.model_fields.items() if step in (f.alias, n)), None)
            if field is not None:
                candidates = list(_models(field.annotation))
        kind = value.get("type") if isinstance(value, Mapping) else None
        if isinstance(kind, str):
            if any(issubclass(cls, Input) for cls in candidates):
                candidates = [INPUT_TYPES[kind]] if kind in INPUT_TYPES else candidates
            elif any(issubclass(cls, Typed) for cls in candidates):
                found = registry.find(kind)
                candidates = [found] if found else candidates
    return candidates[0] if candidates else None


def _items(path: Path, document: Any, registry: Registry, root: type[BaseModel]) -> Items:
    """What the items of the list are that belongs at a path."""
    if path[-2:-1] == ("cases",):
        return Items(frozenset(("id", "type")), ("id", "type"))
    if path[-1:] and path[-1] in BLOCKS:
        return Items(frozenset(("type", "values", "forced", "ref")), ("type", "values"))
    owner = part_at(path[:-1], document, registry, root)
    fields = owner.model_fields.items() if owner is not None and path else ()
    annotation = next((field.annotation for name, field in fields if path[-1] in (field.alias, name)), None)
    cls = part_at(path, document, registry, root) if any(_models(annotation)) else None
    known, needed = (properties(cls), sorted(_needed(cls), key=list_items.rank)) if cls else ((), ())
    rendered = list_items.rendered(path, properties(owner) if owner is not None else ())
    return Items(frozenset(known), tuple(needed), list_items.are_texts(annotation), rendered)


def _is_vague(path: Path, errors: Sequence[ErrorDetails], tagged: Collection[Path]) -> bool:
    """Whether an error may only repeat one deeper inside: another member of a union, a list whose items fail."""
    return path in tagged or all(error["type"] == "too_short" for error in errors)


def _is_inside(path: Path, outer: Path) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _place(details: ErrorDetails, document: Any) -> tuple[Path, bool]:
    """The part of pydantic's location that exists in the document, and whether other steps were left out of it."""
    path: list[str | int] = []
    value = document
    skipped = False
    loc = details["loc"][:-1] if details["type"] == "missing" else details["loc"]
    for step in loc:
        if isinstance(value, Mapping) and step in value:
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            skipped = True
            continue
        path.append(step)
    if details["type"] == "missing":
        return (*path, f"\0{details['loc'][-1]}"), skipped
    return tuple(path), skipped


def _finding(
    path: Path, errors: Sequence[ErrorDetails], document: Any, registry: Registry, root: type[BaseModel]
) -> Finding:
    first = errors[0]
    if first["type"] == "missing":
        name = str(path[-1])[1:]
        advice = "Below it, indented, stand the tasks that it runs." if len(path) > 1 and name in LISTS else ""
        advice = advice or foreign_names.LACKING.get(name, "")
        return Finding(path[:-1], f"`{name}` is missing.", "missing", suggestion=advice, missing=name)
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        if path[-1:] != (name,):  # it came only with an older form, and is nowhere in the document
            return Finding(path, f"Unknown property `{name}`.", "invalid")
        return _unknown(path, document, registry, root)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, EngineError):
        is_type = isinstance(cause, UnknownTaskType)
        code = "unknown-type" if is_type else "invalid"
        return Finding((*path, "type") if is_type else path, cause.message, code, suggestion=cause.fix)
    if first["type"] in ("wrong_kind", "unknown_input"):
        said = f"{_name(path)} {first['ctx']['said']}."
        code = "wrong-place" if first["type"] == "wrong_kind" else "unknown-type"
        return Finding((*path, "type"), said, code, suggestion=first["ctx"].get("advice", ""))
    if isinstance(cause, Breach):
        return Finding((*path, *cause.at), str(cause), "invalid", suggestion=cause.fix)
    if isinstance(cause, Exception):
        said = str(cause)
        advice = foreign_names.inside(path, first["input"]) if said.startswith("must be a list or a map") else ""
        return Finding(
            path, f"{_name(path)} {said}." if said.startswith("must be ") else said, "invalid", "error", advice
        )
    expected = [found for found in map(expectation, errors) if found]
    if first["type"].startswith(("list", "tuple")) and isinstance(first["input"], Mapping):
        advice = list_items.of_mapping(first["input"], path, _items(path, document, registry, root))
        return Finding(path, f"{_name(path)} should be a list, but is a mapping.", "type", suggestion=advice)
    if first["type"].startswith(("list", "tuple")):
        advice = list_items.of_value(first["input"], _items(path, document, registry, root))
    elif first["type"] in ("type_missing", "not_typed"):
        advice = untyped_parts.advice(first["input"], path, registry)
    else:
        advice = _advice(first, path)
    if len(expected) == len(errors) > 1:
        shown = sentence(first).rpartition(", but is ")[2]
        said = f"should be {' or '.join(dict.fromkeys(expected))}, but is {shown}"
        return Finding(path, f"{_name(path)} {said}.", "type", suggestion=advice)
    said = " or ".join(dict.fromkeys(sentence(one) for one in errors))
    message = f"{_name(path)} {said}{'' if said.endswith(('.', '?')) else '.'}"
    return Finding(path, message, "type" if expected else "invalid", suggestion=advice)


def _advice(error: ErrorDetails, path: Path) -> str:
    """What to write instead, where that can be told from what is there."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("literal_error", "enum") and isinstance(given, str):
        near = foreign_names.choice(given, CHOICE.findall(str(context["expected"])))
        return f"Did you mean `{near}`?" if near else ""
    if kind.startswith(("dict", "mapping", "model")):
        if isinstance(given, list):
            return foreign_names.OF_LISTS.get(str(path[-1]), "Write `name: value` in each line, without `- `.")
        if path and isinstance(path[-1], int):
            return untyped_parts.of_item(given, path)
        return foreign_names.inside(path, given)
    if kind == "string_type" and isinstance(given, list) and len(given) == 1:
        return f"Write `{given[0]}`, which is no list." if isinstance(given[0], str) and "\n" not in given[0] else ""
    if kind == "string_type" and isinstance(given, list):
        return "Write `|` behind its name, and the text in the lines below it, without `- `."
    if kind == "string_type" and isinstance(given, Mapping) and len(given) == 1 and isinstance(path[-1], int):
        return "A `: ` inside a text makes a mapping of it: put the text in quotes."
    if kind.startswith("bool") and has_template(given):
        return f"Templates are not rendered here{'; use `runIf`' if path[-1] == 'disabled' else ''}."
    if kind == "time_delta_parsing" and isinstance(given, str) and (meant := durations.meant(given)):
        return f"Write `{meant}`."
    if kind == "string_pattern_mismatch" and isinstance(given, str):
        if has_template(given):
            return f"Templates are not rendered in {'an' if path[-1] == 'id' else 'a'} `{path[-1]}`: write plain text."
        plain = normalize("NFKD", given.replace("ß", "ss")).encode("ascii", "ignore").decode() or given
        mended = NO_NAME.sub("-", plain.strip()).strip("-._")
        mended = mended if re.search(context["pattern"], mended) else mended.lower()
        mended = mended if re.search(context["pattern"], mended) else mended.replace(".", "-")
        return f"Write for example `{mended}`." if mended and re.search(context["pattern"], mended) else ""
    return ""


def _unknown(path: Path, document: Any, registry: Registry, root: type[BaseModel]) -> Finding:
    key = str(path[-1])
    cls = part_at(path[:-1], document, registry, root)
    said = next(
        (words[key] for base, words in foreign_names.ABSENT.items() if cls and issubclass(cls, base) and key in words),
        "",
    )
    if cls is Flow and key.startswith("x-"):
        said = "A flow has no properties of its own making: what anchors need stands under `variables`."
    elif key.lower() in ("elseif", "elif") and cls is not None and cls.__name__ == "If":
        said = "Put another If into `else`."
    elif key == "interval" and cls is not None and cls.__name__.lower() == "realtimetrigger":
        said = "It hears each message as it comes: leave `interval` out."
    if said and key not in (properties(cls) if cls else ()):
        return Finding(path, f"Unknown property `{key}`.", "unknown-property", suggestion=said)
    known = properties(cls) if cls else []
    lowered = {name.lower(): name for name in known}
    written = _mapping_at(path[:-1], document)
    near = lowered.get(to_camel(key).lower())
    if near is None:
        others = foreign_names.PROPERTIES.get(key.lower(), "").split()
        near = next(
            (lowered[other.lower()] for other in others if other.lower() in lowered and other not in written), None
        )
    if near is None and (inner := _deeper(key, lowered)):
        return Finding(path, f"Unknown property `{key}`.", "unknown-property", suggestion=inner)
    if near == key and cls is not None:
        given = next((name for name in _names_of(key, cls) if name != key and name in written), near)
        said = f"`{key}` is another name of `{given}`, which is given already."
        return Finding(path, said, "unknown-property", suggestion=f"Leave `{key}` out.")
    if near is None:
        others = [low for low, name in lowered.items() if name not in written]
        close = get_close_matches(key.lower(), others, n=2, cutoff=LIKE)
        # Else `script` would be meant for `description`, and `outfile` for `logToFile`.
        close = [one for one in close if one not in ("description", "logtofile") or key[0].lower() == one[0]]
        if not get_close_matches(key.lower(), close, cutoff=SPELT) and (other := _neighbour(written, cls, registry)):
            advice = f"It is a property of `{other}`."
            return Finding(path, f"Unknown property `{key}`.", "unknown-property", suggestion=advice)
        near = lowered[close[0]] if close else None
    advice = foreign_names.HOW.get((key.lower(), near or "")) or (f"Did you mean `{near}`?" if near else "")
    return Finding(path, f"Unknown property `{key}`.", "unknown-property", suggestion=advice)


def _deeper(key: str, lowered: Mapping[str, str]) -> str:
    """What to write for a property that stands below another one of its part."""
    for other in foreign_names.PROPERTIES.get(key.lower(), "").split():
        outer, found, inner = other.partition(".")
        if found and outer.lower() in lowered:
            below = f"Write `{inner}` below `{lowered[outer.lower()]}`, indented."
            return foreign_names.HOW.get((key.lower(), inner), below)
    return ""


def _listed(one: Finding, document: Any, registry: Registry, root: type[BaseModel]) -> Finding:
    """An unknown property with those that its part has, but for what every task has, if they are few."""
    if one.code != "unknown-property" or one.suggestion:
        return one
    cls = part_at(one.path[:-1], document, registry, root)
    if cls is None:
        return one
    shared = next((base for base in (Task, Trigger) if issubclass(cls, base)), None)
    kept = [field for name, field in cls.model_fields.items() if shared is None or name not in shared.model_fields]
    known = {str(name) for field in kept if (name := _today(field))}
    if not known or len(known) >= FEW:
        return one
    return replace(one, suggestion=f"Known here: {', '.join(f'`{name}`' for name in sorted(known))}.")


def _today(field: FieldInfo) -> str | None:
    """What a property is called now, None for one that flows should no longer use."""
    if any(isinstance(mark, Instead) for mark in field.metadata):
        return None
    choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
    return next((one for one in choices if isinstance(one, str)), field.alias)


def _names_of(key: str, cls: type[BaseModel]) -> list[str]:
    """All names of the property that has this one."""
    for name, field in cls.model_fields.items():
        choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
        if key in choices:
            return [field.alias or name, *(one for one in choices if isinstance(one, str))]
    return []


def _neighbour(written: Mapping[str, Any], cls: type[BaseModel] | None, registry: Registry) -> str:
    """A task that stands beside one and is what was written: `Script`, when `Commands` is given only a `script`."""
    if cls is None or not issubclass(cls, Task) or not cls.type_names() or written.keys() >= _needed(cls):
        return ""
    package = cls.type_names()[0].rpartition(".")[0]
    fit = set()
    for name in registry.names():
        other = registry.find(name) if name.rpartition(".")[0] == package else None
        if other is not None and issubclass(other, Task) and _needed(other) <= written.keys() <= set(properties(other)):
            fit.add(other.type_names()[0])
    return fit.pop() if len(fit) == 1 else ""  # of several, as for `tasks` alone, none is meant more than the others


def _needed(cls: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in cls.model_fields.items() if field.is_required()}


def _mapping_at(path: Path, document: Any) -> Mapping[str, Any]:
    for step in path:
        try:
            document = document[step]
        except (LookupError, TypeError):
            return {}
    return document if isinstance(document, Mapping) else {}


def _name(path: Path) -> str:
    if not path:
        return "The flow"
    if isinstance(path[-1], int):
        names = [step for step in path if isinstance(step, str)]
        return f"Item {path[-1] + 1} of `{names[-1]}`" if names else f"Item {path[-1] + 1}"
    return f"`{path[-1]}`"
