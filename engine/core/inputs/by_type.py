"""The input types by name, and the field in which a flow writes an input: the class is chosen by its `type`."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.core.inputs.declaration import Input

INPUT_TYPES: dict[str, type[Input]] = {}  # filled by the modules of the types
PARTS = ("FORM", "OBJECT", "TABLE")  # made of other inputs: no item of a list has such a type

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
    "GROUP": "FORM",
    "RECORD": "OBJECT",
    "ROWS": "TABLE",
}


def plain_types() -> list[str]:
    """Names of the types that need nothing but their name."""
    return [name for name in INPUT_TYPES if name not in PARTS]


def of_type(kind: str, **properties: Any) -> Input:
    """An input of a type with nothing else set; ValueError when there is no such type."""
    if kind not in INPUT_TYPES or kind in PARTS:
        raise ValueError(f"there is no input type {kind!r}; use one of {', '.join(plain_types())}")
    return INPUT_TYPES[kind].model_validate({"id": "value", "type": kind, **properties})


def nearest(kind: str) -> str:
    """What to write instead of a type there is not."""
    wanted = kind.upper()
    near = get_close_matches(wanted, INPUT_TYPES, n=1, cutoff=0.7)
    meant = ELSEWHERE.get(wanted) or (near[0] if near else None)
    return f"Did you mean `{meant}`?" if meant else f"Use one of {', '.join(INPUT_TYPES)}."


def _unknown(kind: str, written: Mapping[str, Any]) -> PydanticCustomError:
    if kind != "REUSABLE_INPUTS":
        said = {"said": f"has the type `{kind}`, which inputs don't have", "advice": nearest(kind)}
        return PydanticCustomError("unknown_input", "{said}. {advice}", said)
    said = {
        "said": "has the type `REUSABLE_INPUTS`, which reads a block that only Kestra's Enterprise Edition keeps",
        "advice": f"Write the inputs of the block `{written.get('ref', '…')}` here: as `inputs` of an input of the "
        f"type `FORM` with the id `{written.get('id', '…')}`, their values have the same names.",
    }
    return PydanticCustomError("unknown_input", "{said}. {advice}", said)


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
                raise _unknown(kind, value)
            by_name = not (info.context or {}).get("source", False)
            return INPUT_TYPES[kind].model_validate(value, context=info.context, by_name=by_name)

        def dump(part: Input) -> dict[str, Any]:
            return part.model_dump(by_alias=True, exclude_unset=True, warnings=False)

        serialize = core_schema.plain_serializer_function_ser_schema(dump)
        return core_schema.with_info_plain_validator_function(validate, serialization=serialize)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"allOf": [{"$ref": "#/$defs/AnyInput"}]}


AnyInput = Annotated[Input, _ByInputType()]
