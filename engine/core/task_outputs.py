"""What tasks hand on, as far as their classes and their declarations tell."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from re import findall
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.core.property import has_template
from engine.core.task import Task
from engine.expressions.access import has_method

GLOB = frozenset("*?[{:")  # what makes a name of files a pattern
SCRIPTS = ("script", "commands", "input_files")  # where a script says what it hands on: `Kestra.outputs({"total": 1})`
FETCHED = {"rows": "FETCH", "row": "FETCH_ONE", "uri": "STORE"}  # outputs of rows → the `fetchType` that gives them
ANSWERS = frozenset({"textOutput", "jsonOutput"})  # of a model
SAID = frozenset({"text", "response", "result", "answer", "completion", "output", "content", "message", "json"})
OF_ANY = "outputFiles"  # what every task may hand on that finds files in its folder, and those that hold such


class InStorage:
    """Marks an output that is the address of a file of internal storage."""


StoredUri = Annotated[str, InStorage()]


@lru_cache(maxsize=1024)
def models(cls: type[Task]) -> tuple[type[BaseModel], ...]:
    """What a task hands on; nothing when that is open. What may come inside a Result is what stands beside it."""
    given = getattr(getattr(cls, "run", None), "__annotations__", {}).get("return")
    returned = [one for one in (given, *get_args(given)) if isinstance(one, type) and one is not NoneType]
    found = tuple(one for one in returned if issubclass(one, BaseModel))
    said = [one for one in returned if not (hasattr(one, "holds_outputs") and any(of.model_fields for of in found))]
    is_open = len(found) < len(said) or any(one.model_config.get("extra") == "allow" for one in found)
    return () if is_open else found


@lru_cache(maxsize=1024)
def output_fields(cls: type[Task]) -> frozenset[str]:
    """Names of what a task hands on; empty when that is open."""
    return frozenset(name for one in models(cls) for name, _ in _fields(one))


def forms(cls: type[Task], keys: Sequence[str | None]) -> list[Any]:
    """The annotations of what a task hands on by these keys, None for one known only at run time; nothing when no
    output has them, or when it is not declared what has."""
    found: list[Any] = list(models(cls))
    for key in keys:
        found = [inner for one in found for inner in _inside(one, key)]
    return found


def _inside(form: Any, key: str | None) -> Iterator[Any]:
    for one in _members(form):
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield from (field.rebuild_annotation() for name, field in _fields(one) if name == key)
        elif get_origin(one) is list and key is None:
            yield get_args(one)[0]
        elif get_origin(one) is dict:
            yield get_args(one)[1]


def _members(form: Any) -> Iterator[Any]:
    """The members of a union, each without None; a form that is none by itself."""
    if get_origin(form) in (Union, UnionType):
        yield from (inner for one in get_args(form) if one is not NoneType for inner in _members(one))
    else:
        yield form


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    fields = model.model_fields.items()
    yield from ((field.serialization_alias or field.alias or name, field) for name, field in fields)


def is_stored(cls: type[Task], keys: Sequence[str | None]) -> bool:
    """Whether a task hands on the address of a stored file by these keys, be they behind the values of loops."""
    first = next((number for number, key in enumerate(keys) if key in (OF_ANY, *output_fields(cls))), None)
    if first is None:
        return False
    found = [one for form in forms(cls, keys[first:]) for one in _members(form)]
    declared = any(get_origin(one) is Annotated and isinstance(get_args(one)[1], InStorage) for one in found)
    return declared or (keys[first] == OF_ANY and len(keys) == first + 2)


@lru_cache(maxsize=1024)
def is_text(cls: type[Task], name: str, key: str) -> bool:
    """Whether an output is a text always, and the key one that a text does not have."""
    found = [one for form in forms(cls, [name]) for one in _members(form)]
    texts = [one for one in found if one is str or (get_origin(one) is Annotated and get_args(one)[0] is str)]
    return bool(texts) and len(texts) == len(found) == len(models(cls)) and not has_method(key)


def is_no_text(cls: type[Task], name: str) -> bool:
    """Whether an output is a map or a list always."""
    found = [one for form in forms(cls, [name]) for one in _members(form) if one is not type(None)]
    return bool(found) and all(get_origin(one) in (dict, list, tuple) or one in (dict, list, tuple) for one in found)


def hands_on_nothing(cls: type[Task]) -> bool:
    """Whether a task never has outputs."""
    given = getattr(getattr(cls, "run", None), "__annotations__", {})
    return "return" in given and given["return"] in (None, "None")


def may_hand_on_file(task: Task, file: str) -> bool:
    """Whether a task that takes `outputFiles` may find a file of that name."""
    declared = getattr(task, "output_files", None) or []
    if getattr(task, "output_directory", True) or not isinstance(declared, list | tuple) or has_template(declared):
        return True
    return any(file == str(one).removeprefix("./") or not GLOB.isdisjoint(str(one)) for one in declared)


def kept(name: str, fields: Collection[str], task: Task) -> list[str]:
    """Outputs by name of a task that has a map of them: `values.total` of an OutputValues, `vars.total` of a script."""
    given = ((one, getattr(task, one, None)) for one in fields)
    written = [f"{one}.{name}" for one, values in given if isinstance(values, Mapping) and name in values]
    said = "".join(str(getattr(task, one, "")) for one in SCRIPTS) if "vars" in fields else ""
    return written or ([f"vars.{name}"] if any(f"{quote}{name}{quote}" in said for quote in "'\"") else [])


def listed(name: str, cls: type[Task]) -> list[str]:
    """Outputs by name of a task that runs several queries, and has a list of what each hands on: `outputs[0].uri`."""
    many = any(get_origin(one) is list for form in forms(cls, ("outputs",)) for one in _members(form))
    return [f"outputs[0].{name}"] if many and forms(cls, ("outputs", None, name)) else []


def unfetched(task: Task, wanted: str) -> tuple[str, str] | None:
    """Why a task hands on no `rows`, `row` or `uri`: what becomes of its rows, and what to write for them."""
    flags = [getattr(task, one, None) for one in ("fetch", "fetch_one", "store")]  # of older flows
    asked = (kind for kind, flag in zip(("FETCH", "FETCH_ONE", "STORE"), flags, strict=True) if flag)
    kind = next(asked, getattr(task, "fetch_type", None))
    if kind not in (*FETCHED.values(), "NONE") or kind == FETCHED.get(wanted, kind) or has_template(flags):
        return None
    other = next((one for one, by in FETCHED.items() if by == kind), None)
    instead = f", or read `outputs.{task.id}.{other}`" if other else ""
    return str(kind), f"Write `fetchType: {FETCHED[wanted]}`{instead}."


def meant(name: str, known: Collection[str], task: Task | None = None) -> list[str]:
    """The names that one may stand for, the likeliest first.

    Those of the same words (`outputText` means `textOutput`, however like another it looks), one much like it, or those
    with a word more (`text`).
    """
    if task is not None and (inside := _inside_others(name, known, type(task))):
        return inside
    if set(known) >= ANSWERS and name in SAID:
        wanted = getattr(getattr(getattr(task, "configuration", None), "response_format", None), "type", "TEXT")
        return ["jsonOutput" if wanted == "JSON" else "textOutput"]
    words = _words(name)
    same = [one for one in known if _words(one) == words]
    longer = sorted(one for one in known if set(words) < set(_words(one)))
    shorter = sorted(one for one in known if set(_words(one)) < set(words))
    return same or get_close_matches(name, known, n=1) or longer or shorter


def _inside_others(name: str, known: Collection[str], cls: type[Task]) -> list[str]:
    """Where a name stands inside of other outputs: `rows` as `outputs[0].rows` of several queries."""
    return [
        f"{one}[0].{name}"
        for one in sorted(known)
        for form in forms(cls, [one, None])
        if isinstance(form, type) and issubclass(form, BaseModel) and name in dict(_fields(form))
    ]


def _words(name: str) -> list[str]:
    return sorted(word.lower() for word in findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name))
