"""The input types, one class each."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AliasChoices,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.core import durations, yaml_text
from engine.core.dates import parse_date, parse_datetime, parse_time
from engine.core.inputs.bounded import BoundedInput, Limits
from engine.core.inputs.declaration import Input, InputRefused, spell, unreadable
from engine.core.inputs.texts import EmailInput, FileInput, SecretInput, StringInput, UriInput
from engine.errors import FlowInvalid

T = TypeVar("T")

_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)


class BooleanInput(Input):
    """`true`, or anything else for false."""

    type: Literal["BOOLEAN", "BOOL"]

    def coerce(self, value: Any) -> bool:
        return value if isinstance(value, bool) else spell(value).strip().lower() == "true"


class IntInput(BoundedInput[int]):
    """A whole number."""

    type: Literal["INT"]
    limits = Limits("min", "max", "it must be more than", "it must be less than")
    min: int | None = None
    max: int | None = None

    def coerce(self, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        text = spell(value).strip()
        if not _INT.fullmatch(text):
            raise unreadable("INT", value, "it is not a whole number")
        return int(text)


class FloatInput(BoundedInput[float]):
    """A number."""

    type: Literal["FLOAT"]
    limits = Limits("min", "max", "it must be more than", "it must be less than")
    min: float | None = None
    max: float | None = None

    def coerce(self, value: Any) -> float:
        text = spell(value).strip()
        if isinstance(value, bool) or not _FLOAT.fullmatch(text):
            raise unreadable("FLOAT", value, "it is not a number")
        return float(text)


class DateTimeInput(BoundedInput[datetime]):
    """A moment, with its time zone."""

    type: Literal["DATETIME"]
    limits = Limits("after", "before", "it must be after", "it must be before")
    after: str | None = None
    before: str | None = None

    def coerce(self, value: Any) -> datetime:
        return parsed("DATETIME", value, lambda text: parse_datetime(text).astimezone(UTC), datetime)


class DateInput(BoundedInput[date]):
    """A day."""

    type: Literal["DATE"]
    limits = Limits("after", "before", "it must be after", "it must be before")
    after: str | None = None
    before: str | None = None

    def coerce(self, value: Any) -> date:
        return parsed("DATE", value, parse_date, date)


class TimeInput(BoundedInput[time]):
    """A time of day."""

    type: Literal["TIME"]
    limits = Limits("after", "before", "it must be after", "it must be before")
    after: str | None = None
    before: str | None = None

    def coerce(self, value: Any) -> time:
        return parsed("TIME", value, parse_time, time)


class DurationInput(BoundedInput[timedelta]):
    """A length of time such as `PT5M`."""

    type: Literal["DURATION"]
    limits = Limits("min", "max", "It must be more than", "It must be less than")
    min: str | None = None
    max: str | None = None

    def coerce(self, value: Any) -> timedelta:
        return parsed("DURATION", value, durations.parse, timedelta)


class JsonInput(Input):
    """Any JSON document."""

    type: Literal["JSON"]

    def coerce(self, value: Any) -> Any:
        return _from_json("JSON", value) if isinstance(value, str) else value


class YamlInput(Input):
    """Any YAML document."""

    type: Literal["YAML"]

    def coerce(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return yaml_text.plain(yaml_text.read(value))
        except FlowInvalid as error:
            raise unreadable("YAML", value, error.message) from error


class _ChoiceInput(Input):
    values: tuple[str, ...] = ()
    expression: str | None = Field(default=None, description="A {{ template }} that gives the list of values.")
    allow_custom_value: bool = False
    auto_select_first: bool = False

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:
        return [spell(one) for one in values] if isinstance(values, list | tuple) else () if values is None else values

    @property
    def choices(self) -> tuple[str, ...]:
        return self.values


class SelectInput(_ChoiceInput):
    """One of a list."""

    type: Literal["SELECT"]
    is_radio: bool = False

    @property
    def accepts_blank(self) -> bool:
        return self.allow_custom_value

    def coerce(self, value: Any) -> str:
        return spell(value)

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        known = self.values if options is None else options
        if self.required and not self.allow_custom_value and value not in known:
            raise _not_among(known)


class EnumInput(Input):
    """One of a list, as older flows write it."""

    type: Literal["ENUM"]
    values: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        return self.values

    def coerce(self, value: Any) -> str:
        return spell(value)

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        if self.required and value not in self.values:
            raise _not_among(self.values)


class MultiselectInput(_ChoiceInput):
    """Any of a list."""

    type: Literal["MULTISELECT"]
    values: tuple[str, ...] = Field(default=(), validation_alias=AliasChoices("values", "options"))
    item_type: str = "STRING"

    @model_validator(mode="before")
    @classmethod
    def _one_list(cls, declared: Any) -> Any:
        if isinstance(declared, Mapping) and declared.get("values") and declared.get("options"):
            raise ValueError("you can't define both `values` and `options`")
        return declared

    def coerce(self, value: Any) -> list[Any]:
        return _elements(self.type, self.item_type, value)

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        known = self.values if options is None else options
        if not self.allow_custom_value and any(spell(one) not in known for one in value):
            raise _not_among(known)


class ArrayInput(Input):
    """A list whose items have one type."""

    type: Literal["ARRAY"]
    item_type: str

    @field_validator("item_type")
    @classmethod
    def _plain_items(cls, kind: str) -> str:
        if kind == "ARRAY":
            raise ValueError("`itemType` cannot be `ARRAY`")
        if kind not in INPUT_TYPES:
            raise ValueError(f"there is no input type {kind!r}. {_nearest(kind)}")
        return kind

    def coerce(self, value: Any) -> list[Any]:
        return _elements("ARRAY", self.item_type, value)


INPUT_TYPES: dict[str, type[Input]] = {
    name: cls
    for cls in (
        StringInput, SelectInput, EnumInput, MultiselectInput, IntInput, FloatInput, BooleanInput, DateTimeInput,
        DateInput, TimeInput, DurationInput, FileInput, JsonInput, YamlInput, UriInput, SecretInput, ArrayInput,
        EmailInput,
    )
    for name in get_args(cls.model_fields["type"].annotation)
}  # fmt: skip

# What other tools call a type → its name here.
ELSEWHERE = {
    "NUMBER": "FLOAT",
    "INTEGER": "INT",
    "LONG": "INT",
    "DOUBLE": "FLOAT",
    "DECIMAL": "FLOAT",
    "TEXT": "STRING",
    "TEXTAREA": "STRING",
    "STR": "STRING",
    "OBJECT": "JSON",
    "MAP": "JSON",
    "DICT": "JSON",
    "LIST": "ARRAY",
    "TIMESTAMP": "DATETIME",
    "PASSWORD": "SECRET",
    "CHECKBOX": "BOOLEAN",
    "DROPDOWN": "SELECT",
    "CHOICE": "SELECT",
    "RADIO": "SELECT",
    "URL": "URI",
    "UPLOAD": "FILE",
}


def of_type(kind: str, **properties: Any) -> Input:
    """An input of a type with nothing else set; ValueError when there is no such type."""
    if kind not in INPUT_TYPES:
        raise ValueError(f"there is no input type {kind!r}; use one of {', '.join(INPUT_TYPES)}")
    return INPUT_TYPES[kind].model_validate({"id": "value", "type": kind, **properties})


def parsed(kind: str, value: Any, parse: Callable[[str], T], wanted: type[T]) -> T:
    """A value that is one already, or the text of one."""
    if type(value) is wanted and not isinstance(value, datetime):
        return value
    try:
        return parse(spell(value))
    except ValueError as error:
        raise unreadable(kind, value, str(error)) from error


def _from_json(kind: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise unreadable(kind, text, str(error)) from error


def _elements(kind: str, item_type: str, value: Any) -> list[Any]:
    items = _from_json(kind, value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise unreadable(kind, value, "it is not a list")
    item = of_type(item_type)
    typed = []
    for one in items:
        try:
            typed.append(item.coerce(one) if one is not None else None)
        except InputRefused as error:
            raise InputRefused(f"Unable to parse array element as `{item_type}` on `{spell(one)}`") from error
    return typed


def _not_among(values: tuple[str, ...]) -> InputRefused:
    return InputRefused(f"it must match the values `[{', '.join(values)}]`")


def _nearest(kind: str) -> str:
    """What to write instead of a type there is not."""
    wanted = kind.upper()
    near = get_close_matches(wanted, INPUT_TYPES, n=1, cutoff=0.7)
    meant = ELSEWHERE.get(wanted) or (near[0] if near else None)
    return f"Did you mean `{meant}`?" if meant else f"Use one of {', '.join(INPUT_TYPES)}."


class _ByInputType:
    """Choose the input class by `type`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, info: ValidationInfo) -> Input:
            if isinstance(value, Input):
                return value
            if not isinstance(value, Mapping):
                raise PydanticCustomError(
                    "not_typed", "{said}", {"said": "should be an input: a mapping with `id` and `type`"}
                )
            kind = value.get("type")
            if not isinstance(kind, str):
                raise PydanticCustomError("type_missing", "{said}", {"said": "is an input without its `type`"})
            if kind not in INPUT_TYPES:
                said = {"said": f"has the type `{kind}`, which inputs don't have", "advice": _nearest(kind)}
                raise PydanticCustomError("unknown_input", "{said}. {advice}", said)
            by_name = not (info.context or {}).get("source", False)
            return INPUT_TYPES[kind].model_validate(value, context=info.context, by_name=by_name)

        def dump(part: Input) -> dict[str, Any]:
            return part.model_dump(by_alias=True, exclude_unset=True, warnings=False)

        serialize = core_schema.plain_serializer_function_ser_schema(dump)
        return core_schema.with_info_plain_validator_function(validate, serialization=serialize)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"allOf": [{"$ref": "#/$defs/AnyInput"}]}


AnyInput = Annotated[Input, _ByInputType()]
