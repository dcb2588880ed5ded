"""What tasks hand on, as far as their classes and their declarations tell."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import lru_cache
from re import findall
from types import NoneType
from typing import get_args

from pydantic import BaseModel

from engine.core.property import has_template
from engine.core.task import Task
from engine.expressions.access import has_method

GLOB = frozenset("*?[{:")  # what makes a name of files a pattern


@lru_cache(maxsize=1024)
def output_fields(cls: type[Task]) -> frozenset[str]:
    """Names of what a task hands on; empty when that is open."""
    given = getattr(getattr(cls, "run", None), "__annotations__", {}).get("return")
    returned = [one for one in (given, *get_args(given)) if isinstance(one, type) and one is not type(None)]
    models = [one for one in returned if issubclass(one, BaseModel)]
    if not models or len(models) < len(returned):
        return frozenset()
    if any(one.model_config.get("extra") == "allow" for one in models):
        return frozenset()
    fields = (pair for one in models for pair in one.model_fields.items())
    return frozenset(field.serialization_alias or field.alias or name for name, field in fields)


@lru_cache(maxsize=1024)
def is_text(cls: type[Task], name: str, key: str) -> bool:
    """Whether an output is a text always, and the key one that a text does not have."""
    given = getattr(getattr(cls, "run", None), "__annotations__", {}).get("return")
    if not (isinstance(given, type) and issubclass(given, BaseModel)) or has_method(key):
        return False
    fields = given.model_fields.items()
    found = (field for one, field in fields if name == (field.serialization_alias or field.alias or one))
    return any(field.annotation is str or set(get_args(field.annotation)) == {str, NoneType} for field in found)


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
    """Outputs by name of a task that is given a map of them: `values.total` of an OutputValues."""
    given = ((one, getattr(task, one, None)) for one in fields)
    return [f"{one}.{name}" for one, values in given if isinstance(values, Mapping) and name in values]


def meant(name: str, known: Collection[str]) -> list[str]:
    """The names that one may stand for, the likeliest first.

    Those of the same words (`outputText` means `textOutput`, however like another it looks), one much like it, or those
    with a word more (`text`).
    """
    words = _words(name)
    same = [one for one in known if _words(one) == words]
    longer = sorted(one for one in known if set(words) < set(_words(one)))
    return same or get_close_matches(name, known, n=1) or longer


def _words(name: str) -> list[str]:
    return sorted(word.lower() for word in findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name))
