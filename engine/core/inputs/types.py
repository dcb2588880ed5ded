"""The input types, one class each."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from math import isfinite
from typing import Any, Literal, TypeVar, get_args

from pydantic import AliasChoices, Field, field_validator, model_validator

from engine.core import durations, yaml_text
from engine.core.dates import parse_date, parse_datetime, parse_time
from engine.core.inputs import ion_text
from engine.core.inputs.bounded import BoundedInput, Limits
from engine.core.inputs.by_type import INPUT_TYPES, nearest, of_type, plain_types
from engine.core.inputs.declaration import Input, InputRefused, excerpt, from_json, kept, spell, unreadable
from engine.core.inputs.texts import EmailInput, FileInput, SecretInput, StringInput, UriInput
from engine.core.json_text import bounded
from engine.core.task import Part
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
        if not isfinite(number := float(text)):
            raise unreadable("FLOAT", value, "it is too large")
        return number


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
    json_schema: str | None = Field(
        default=None, description="A JSON Schema (draft 2020-12), as JSON text, that the value must fit."
    )

    @property
    def may_take_time(self) -> bool:
        return bool(self.json_schema)

    @field_validator("json_schema", mode="before")
    @classmethod
    def _is_text(cls, schema: Any) -> Any:
        return json.dumps(schema) if isinstance(schema, dict | bool) else schema

    @field_validator("json_schema")
    @classmethod
    def _is_a_schema(cls, schema: str | None) -> str | None:
        if schema and schema.strip():
            from engine.core.inputs import json_schema  # noqa: PLC0415  its library takes long to import

            json_schema.checked(schema)
        return schema

    def coerce(self, value: Any) -> Any:
        return from_json("JSON", value) if isinstance(value, str) else kept("JSON", value)

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        if self.json_schema and self.json_schema.strip():
            from engine.core.inputs import json_schema  # noqa: PLC0415  its library takes long to import

            json_schema.check(self.json_schema, value)


class IonInput(Input):
    """Amazon Ion, of which JSON is a part."""

    type: Literal["ION"]

    @property
    def may_take_time(self) -> bool:
        return True

    def coerce(self, value: Any) -> Any:
        if not isinstance(value, str):
            return kept("ION", value)
        try:
            return bounded(ion_text.read(value), exact=True)
        except ValueError as error:
            raise unreadable("ION", value, str(error)) from error


class YamlInput(Input):
    """Any YAML document."""

    type: Literal["YAML"]

    def coerce(self, value: Any) -> Any:
        if not isinstance(value, str):
            return kept("YAML", value)
        try:
            return bounded(yaml_text.plain(yaml_text.read(value)), exact=True)
        except FlowInvalid as error:
            raise unreadable("YAML", value, error.message) from error
        except ValueError as error:
            raise unreadable("YAML", value, str(error)) from error


class ValueOption(Part):
    """One of the values to choose from, and what it is called."""

    value: str
    label: str = ""


class _ChoiceInput(Input):
    values: tuple[str | ValueOption, ...] = ()
    expression: str | None = Field(default=None, description="A {{ template }} that gives the list of values.")
    allow_custom_value: bool = False
    auto_select_first: bool = False

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, values: Any) -> Any:
        if not isinstance(values, list | tuple):
            return () if values is None else values
        return [one if isinstance(one, Mapping | ValueOption) else spell(one) for one in values]

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(one.value if isinstance(one, ValueOption) else one for one in self.values)

    @property
    def labels(self) -> dict[str, str]:
        return {one.value: one.label for one in self.values if isinstance(one, ValueOption) and one.label}


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
        known = self.choices if options is None else options
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
    values: tuple[str | ValueOption, ...] = Field(default=(), validation_alias=AliasChoices("values", "options"))
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
        known = self.choices if options is None else options
        if not self.allow_custom_value and not {spell(one) for one in value} <= set(known):
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
        if kind not in plain_types():
            raise ValueError(f"there is no input type {kind!r} for items. {nearest(kind)}")
        return kind

    def coerce(self, value: Any) -> list[Any]:
        return _elements("ARRAY", self.item_type, value)


def parsed(kind: str, value: Any, parse: Callable[[str], T], wanted: type[T]) -> T:
    """A value that is one already, or the text of one."""
    if type(value) is wanted and not isinstance(value, datetime):
        return value
    try:
        return parse(spell(value))
    except ValueError as error:
        raise unreadable(kind, value, str(error)) from error


def _elements(kind: str, item_type: str, value: Any) -> list[Any]:
    items = from_json(kind, value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise unreadable(kind, value, "it is not a list")
    item = of_type(item_type)
    typed = []
    for one in items:
        try:
            typed.append(item.coerce(one) if one is not None else None)
        except InputRefused as error:
            raise InputRefused(f"Unable to parse array element as `{item_type}` on `{excerpt(one)}`") from error
    return typed


def _not_among(values: tuple[str, ...]) -> InputRefused:
    return InputRefused(f"it must match the values `[{excerpt(', '.join(values))}]`")


INPUT_TYPES.update(
    (name, cls)
    for cls in (
        StringInput, SelectInput, EnumInput, MultiselectInput, IntInput, FloatInput, BooleanInput, DateTimeInput,
        DateInput, TimeInput, DurationInput, FileInput, JsonInput, YamlInput, IonInput, UriInput, SecretInput,
        ArrayInput, EmailInput,
    )
    for name in get_args(cls.model_fields["type"].annotation)
)  # fmt: skip
