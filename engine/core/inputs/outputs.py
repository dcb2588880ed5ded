"""What an execution hands to whoever started it, typed as inputs are."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator

from engine.core.inputs.by_type import of_type, plain_types
from engine.core.inputs.declaration import InputRefused
from engine.core.task import Part
from engine.errors import InputInvalid, InputProblem


def _known_types(schema: dict[str, Any]) -> None:
    schema["enum"] = plain_types()


class FlowOutput(Part):
    """One value an execution hands to whoever started it."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][.a-zA-Z0-9_-]*$")
    type: str = Field(default="STRING", json_schema_extra=_known_types)
    item_type: str = Field(default="STRING", json_schema_extra=_known_types)
    value: Any = None
    description: str | None = None
    display_name: str | None = None
    required: bool = True

    @field_validator("type", "item_type")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in plain_types():
            raise ValueError(f"there is no output type {kind!r}; use one of {', '.join(plain_types())}")
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


def _typed(output: FlowOutput, value: Any) -> Any:
    if value is None:
        if output.required:
            raise InputRefused("missing required output")
        return None
    properties = {"itemType": output.item_type} if output.type in ("ARRAY", "MULTISELECT") else {}
    return of_type(output.type, **properties).coerce(value)
