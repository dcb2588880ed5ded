"""Property[T]: a field that holds a T or, until it is rendered, a {{ template }}.

While a flow is parsed a value with a template anywhere in it passes unread; everything else is checked as T at once.
Before a task runs, the worker renders the marked fields and validates again, so in `run` every field is its type.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from engine.core import durations
from engine.core.json_text import read_json

T = TypeVar("T")
Guard = Literal["none", "json", "shell"]
TEMPLATE = r"\{\{|\{%"
_A_TEMPLATE = {"type": "string", "pattern": TEMPLATE}


class PropertyMarker:
    """Lets templates through while a flow is parsed; demands T once values are rendered.

    `guard` keeps rendered values inside their quotes: `json` for text that must be JSON, `shell` for commands. What is
    to be JSON may be written as YAML: as a mapping or a list.
    """

    def __init__(self, guard: Guard = "none", *, late: bool = False) -> None:
        self.guard = guard
        self.late = late  # rendered by the task itself while it runs, exactly once; never before

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        is_duration = source is timedelta or set(get_args(source)) == {timedelta, NoneType}

        def validate(value: Any, strict: core_schema.ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
            is_rendered = (info.context or {}).get("rendered", False)
            if (self.late or not is_rendered) and has_template(value):
                return value
            if is_duration:
                return strict(durations.of_field(value))
            if self.guard == "json" and isinstance(value, dict | list):
                value = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
            try:
                return strict(value)
            except ValidationError:
                for reading in _other_readings(value, is_rendered):
                    try:
                        return strict(reading)
                    except ValidationError:
                        continue
                raise

        return core_schema.with_info_wrap_validator_function(validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        concrete = handler(schema)
        if self.guard == "json":
            return {"anyOf": [concrete, {"type": "object"}, {"type": "array"}]}
        if concrete == {"type": "string"}:
            return concrete
        return {"anyOf": [_with_templates(concrete), _A_TEMPLATE]}


@dataclass(frozen=True, slots=True)
class Instead:
    """Marks a property that flows should no longer use; it works, and validation names what took its place.

    `name` is a property of the same part, with dots for one further inside, with its value when only one will do; ""
    when nothing takes its place. `how` says what else changes, when the value can't stay as it is.
    """

    name: str
    how: str = ""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "deprecated": True}


@dataclass(frozen=True, slots=True)
class Unserved:
    """Marks a property that nothing here serves: validation tells so, and a task that gives it fails before it acts."""

    why: str
    fix: str


Property = Annotated[T, PropertyMarker()]
JsonText = Annotated[T, PropertyMarker("json")]
ShellText = Annotated[T, PropertyMarker("shell")]
LateProperty = Annotated[T, PropertyMarker(late=True)]
LateShellText = Annotated[T, PropertyMarker("shell", late=True)]


def marker(field: FieldInfo) -> PropertyMarker | None:
    """The marker of a field declared as Property, JsonText or ShellText, also inside `| None` or a list."""
    return next(_markers(field.metadata, field.annotation), None)


def has_template(value: Any) -> bool:
    """Whether a {{ template }} or {% tag %} stands anywhere inside a value."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(has_template(key) or has_template(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(has_template(item) for item in value)
    return False


def _markers(metadata: Any, annotation: Any) -> Iterator[PropertyMarker]:
    yield from (found for found in metadata if isinstance(found, PropertyMarker))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return
    for inner in get_args(annotation):
        yield from _markers(getattr(inner, "__metadata__", ()), inner)


def _with_templates(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in which a template may stand for a part in a list or a map."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_with_templates(one) for one in schema["anyOf"]]}
    parts = {key: schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)}
    opened = {key: {"anyOf": [one, _A_TEMPLATE]} for key, one in parts.items() if "$ref" in one}
    return {**schema, **opened}


def _other_readings(value: Any, is_rendered: bool) -> Iterator[Any]:
    """What a value that is no T may have meant: JSON or a duration in rendered text, text for a scalar."""
    if isinstance(value, str):
        if is_rendered and value.lstrip()[:1] in tuple('[{"-0123456789tfn'):
            with suppress(ValueError):
                yield read_json(value)
        try:
            yield durations.parse(value)
        except ValueError:
            return
    else:
        yield _as_texts(value)


def _as_texts(value: Any) -> Any:
    """`true` in a map of texts, such as environment variables, stands for the text `true`."""
    if isinstance(value, dict):
        return {key: _as_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_texts(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value
