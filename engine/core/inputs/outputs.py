"""What an execution hands to whoever started it, typed as inputs are."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from engine.core.inputs.by_type import INPUT_TYPES, PARTS, nearest, of_type, plain_types
from engine.core.inputs.declaration import InputRefused, from_json, unreadable
from engine.core.inputs.groups import mapping
from engine.core.task import Part
from engine.errors import InputInvalid, InputProblem


def _known_types(schema: dict[str, Any]) -> None:
    schema["enum"] = list(INPUT_TYPES)


def _plain_types(schema: dict[str, Any]) -> None:
    schema["enum"] = plain_types()


class FlowOutput(Part):
    """One value an execution hands to whoever started it."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][.a-zA-Z0-9_-]*$")
    type: str = Field(default="STRING", json_schema_extra=_known_types)
    item_type: str = Field(default="STRING", json_schema_extra=_plain_types)
    value: Any = None
    description: str | None = None
    display_name: str | None = None
    required: bool = True

    @field_validator("type", "item_type")
    @classmethod
    def _known(cls, kind: str, info: ValidationInfo) -> str:
        known = list(INPUT_TYPES) if info.field_name == "type" else plain_types()
        if kind not in known:
            raise ValueError(f"there is no output type {kind!r}. {nearest(kind)}")
        return kind


def coerce_outputs(outputs: Iterable[FlowOutput], rendered: Mapping[str, Any]) -> dict[str, Any]:
    """The rendered values as their types; InputInvalid names all that don't fit."""
    typed: dict[str, Any] = {}
    problems = []
    for output in outputs:
        value = rendered.get(output.id)
        try:
            typed[output.id] = _typed(output, value)
        except InputRefused as refusal:
            kind = of_type("SECRET") if output.type == "SECRET" else of_type("STRING")
            shown = kind.show(value)
            problems.append(
                InputProblem(output.id, f"Invalid output for `{output.id}`, {refusal}, but received `{shown}`", shown)
            )
    if problems:
        raise InputInvalid(problems)
    return typed


def secrets_of(outputs: Iterable[FlowOutput], typed: Mapping[str, Any]) -> list[str]:
    """The values that nobody may see: those of the outputs that are a SECRET."""
    hidden = (typed.get(output.id) for output in outputs if output.type == "SECRET")
    return [value for value in hidden if isinstance(value, str) and value]


def _typed(output: FlowOutput, value: Any) -> Any:
    if value is None:
        if output.required:
            raise InputRefused("missing required output")
        return None
    if output.type in PARTS:
        return _rows(value) if output.type == "TABLE" else dict(mapping(output.type, value))
    properties = {"itemType": output.item_type} if output.type in ("ARRAY", "MULTISELECT") else {}
    return of_type(output.type, **properties).coerce(value)


def _rows(value: Any) -> list[dict[str, Any]]:
    """A list of mappings, or the JSON text of one; an output declares no columns to which other text could belong."""
    found = from_json("TABLE", value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise unreadable("TABLE", value, "it is not a list of rows")
    return [dict(mapping("OBJECT", row)) for row in found]
