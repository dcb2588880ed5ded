"""Inputs made of other inputs. What stands in a FORM or an OBJECT is asked for, given and checked one by one."""

import csv
import io
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from engine.core.inputs.by_type import INPUT_TYPES, AnyInput
from engine.core.inputs.declaration import DependsOn, Input, InputRefused, Inside, from_json, spell, unreadable
from engine.core.property import has_template
from engine.core.task import Part
from engine.core.yaml_text import Path

FIELD_TYPES = (
    "STRING", "INT", "FLOAT", "BOOL", "BOOLEAN", "DATE", "DATETIME", "TIME", "DURATION", "EMAIL", "URI", "SELECT",
    "MULTISELECT",
)  # fmt: skip
NOT_IN_FIELDS = {"defaults": "defaults", "prefill": "prefill", "depends_on": "dependsOn", "expression": "expression"}


class GroupInput(Input):
    """An input that is asked for as the inputs inside it."""

    key: ClassVar[str]  # the property in which they stand

    @property
    @abstractmethod
    def members(self) -> tuple[Input, ...]:
        """The inputs inside."""

    def coerce(self, value: Any) -> Any:
        return mapping(self.type, value)


class FormInput(GroupInput):
    """Inputs that belong together, under a heading: `inputs.<form>.<input>`."""

    key = "inputs"
    type: Literal["FORM"]
    inputs: tuple[AnyInput, ...] = Field(min_length=1)

    @field_validator("inputs")
    @classmethod
    def _is_no_form_in_a_form(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        for one in inputs:
            if isinstance(one, FormInput):
                raise ValueError(f"a FORM can't hold another FORM, as `{one.id}` is: put the two beside each other")
        return inputs

    @property
    def members(self) -> tuple[Input, ...]:
        return self.inputs


class ObjectInput(GroupInput):
    """A value with named properties, each an input of its own: `inputs.<object>.<property>`."""

    key = "properties"
    type: Literal["OBJECT"]
    properties: tuple[AnyInput, ...]

    @field_validator("properties")
    @classmethod
    def _are_fields(cls, fields: tuple[Input, ...]) -> tuple[Input, ...]:
        return _fields("properties", fields)

    @field_validator("defaults", "prefill")
    @classmethod
    def _is_amapping(cls, value: Any) -> Any:
        if value is None or (isinstance(value, str) and has_template(value)):
            return value
        return mapping("OBJECT", value)

    @property
    def members(self) -> tuple[Input, ...]:
        return self.properties

    def coerce(self, value: Any) -> Any:
        return _record(self.properties, mapping("OBJECT", value))


class Rows(Part):
    """How many rows a table has."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=1)


class TableInput(Input):
    """A list of rows, each with a value for the columns: `inputs.<table>[0].<column>`."""

    type: Literal["TABLE"]
    columns: tuple[AnyInput, ...]
    rows: Rows | None = None

    @field_validator("columns")
    @classmethod
    def _are_fields(cls, fields: tuple[Input, ...]) -> tuple[Input, ...]:
        return _fields("columns", fields)

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> "TableInput":
        rows = self.rows
        if rows is not None and rows.min is not None and rows.max is not None and rows.min > rows.max:
            raise ValueError(f"`rows` leaves no number of rows: at least {rows.min} and at most {rows.max}")
        return self

    @property
    def may_take_time(self) -> bool:
        return any(one.may_take_time for one in self.columns)

    def coerce(self, value: Any) -> list[dict[str, Any]]:
        rows = _rows([one.id for one in self.columns], value) if isinstance(value, str) else value
        if not isinstance(rows, list | tuple):
            raise unreadable("TABLE", value, "it is not a list of rows")
        typed = []
        for number, row in enumerate(rows, 1):
            try:
                typed.append(_record(self.columns, mapping("OBJECT", row)))
            except InputRefused as refusal:
                raise InputRefused(f"row {number}: {refusal}") from refusal
        return typed

    def as_lines(self, rows: Any) -> str:
        """Rows as somebody would type them: lines with commas, the first with the names of the columns."""
        if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
            return spell(rows)
        names = [one.id for one in self.columns]
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow("" if row.get(name) is None else spell(row[name]) for name in names)
        return lines.getvalue().rstrip("\n")

    def check(self, value: Any, options: tuple[str, ...] | None = None) -> None:
        low, high = (self.rows.min, self.rows.max) if self.rows else (None, None)
        if low is not None and len(value) < low:
            raise InputRefused(f"it must have at least `{low}` rows")
        if high is not None and len(value) > high:
            raise InputRefused(f"it must have at most `{high}` rows")


def expanded(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    """The inputs that are asked for: those inside a FORM or OBJECT in its stead, their ids beginning with its id."""
    if not any(isinstance(one, GroupInput) for one in inputs):
        return inputs
    return tuple(leaf for index, one in enumerate(inputs) for leaf in _leaves(one, (index,), ()))


Inputs = Annotated[tuple[AnyInput, ...], AfterValidator(expanded)]


def _leaves(one: Input, place: Path, outer: tuple[Input, ...]) -> Iterator[Input]:
    if isinstance(one, GroupInput):
        for index, member in enumerate(one.members):
            yield from _leaves(member, (*place, one.key, index), (*outer, one))
        return
    if not outer:
        yield one.placed(Inside(place))
        return
    last = outer[-1]
    changes: dict[str, Any] = {"id": ".".join(part.id for part in (*outer, one))}
    conditions = [part.depends_on for part in (*outer, one) if part.depends_on is not None]
    if conditions:
        needs = tuple(dict.fromkeys(name for condition in conditions for name in condition.inputs))
        changes["depends_on"] = DependsOn(inputs=needs, condition=conditions[-1].condition)
    if isinstance(last, ObjectInput):
        for name in ("defaults", "prefill"):
            value = getattr(last, name)
            changes[name] = value.get(one.id) if isinstance(value, Mapping) else None
        changes["required"] = one.required and last.required
    yield one.model_copy(update=changes).placed(Inside(place, outer, one))


def _fields(name: str, fields: tuple[Input, ...]) -> tuple[Input, ...]:
    """The properties of an OBJECT or columns of a TABLE; ValueError names the first that can't be one."""
    if not fields:
        raise ValueError(f"`{name}` must declare at least one field")
    seen: set[str] = set()
    for one in fields:
        if one.id in seen:
            raise ValueError(f"`{name}` declares the id `{one.id}` more than once")
        seen.add(one.id)
        if "." in one.id:
            raise ValueError(f"field `{one.id}` id cannot contain a dot")
        if one.type not in FIELD_TYPES:
            kinds = ", ".join(FIELD_TYPES)
            raise ValueError(f"field `{one.id}` cannot be of type {one.type}; it may be one of {kinds}")
        for attribute, written in NOT_IN_FIELDS.items():
            if getattr(one, attribute, None) is not None:
                raise ValueError(f"field `{one.id}` cannot declare `{written}`")
    return fields


def mapping(kind: str, value: Any) -> Mapping[str, Any]:
    """A value that has names for its parts, or the JSON text of one; InputRefused."""
    found = from_json(kind, value) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise unreadable(kind, value, "it is not a mapping of names to values")
    return found


def _record(fields: Iterable[Input], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one object or row, typed and checked; names that are not declared are left out."""
    typed: dict[str, Any] = {}
    for one in fields:
        value = given.get(one.id)
        if value is None or (value == "" and not one.accepts_blank):
            if one.required:
                raise InputRefused(f"`{one.id}` is missing")
            typed[one.id] = None
            continue
        try:
            typed[one.id] = one.coerce(value)
            one.check(typed[one.id])
        except InputRefused as refusal:
            raise InputRefused(f"`{one.id}`: {refusal}") from refusal
    return typed


def _rows(columns: Sequence[str], text: str) -> list[Any]:
    """Rows as they are typed: a JSON list, a JSON object a line, or lines with commas under the names of the columns.
    Lines without those names hold the columns in their order."""
    text = text.strip()
    if text.startswith(("[", "{")):
        if text.startswith("["):
            return list(from_json("TABLE", text))
        return [from_json("TABLE", line) for line in text.splitlines() if line.strip()]
    try:
        lines = [cells for cells in csv.reader(_written_lines(text), skipinitialspace=True) if cells]
    except csv.Error as error:
        raise unreadable("TABLE", text, str(error)) from error
    if lines and set(named := [cell.strip() for cell in lines[0]]) <= set(columns):
        columns, lines = named, lines[1:]
    for number, cells in enumerate(lines, 1):
        if len(cells) > len(columns):
            said = f"row {number} has {len(cells)} values, and there are {len(columns)} columns"
            raise unreadable("TABLE", text, said)
    return [dict(zip(columns, (cell.strip() for cell in cells), strict=False)) for cells in lines]


def _written_lines(text: str) -> Iterator[str]:
    """Lines of a text; blank ones only where they stand inside quotes."""
    is_quoted = False
    for line in text.splitlines(keepends=True):
        if is_quoted or line.strip():
            yield line
        is_quoted ^= line.count('"') % 2 == 1


INPUT_TYPES.update({"OBJECT": ObjectInput, "TABLE": TableInput, "FORM": FormInput})
