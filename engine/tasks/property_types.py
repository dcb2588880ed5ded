"""Types of task properties, more forgiving than pydantic's own: what YAML and rendered templates really hold."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from engine.core.dates import parse_date, parse_datetime
from engine.core.json_text import any_json


def scalar_to_text(value: Any) -> Any:
    """Numbers and booleans as the text YAML was written with; everything else unchanged."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def document_from_text(value: Any) -> Any:
    """A list or map written as JSON text, parsed; blank text is nothing; everything else unchanged."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return any_json(value)
    except ValueError as error:
        reason = f": {error}" if value.lstrip()[0] in "[{" else ""
        raise ValueError(f"must be a list or a map, or JSON text of one{reason}") from error


def _list_from_text(value: Any) -> Any:
    if isinstance(value, str) and value.strip() and not value.lstrip().startswith("["):
        return [value]  # one element written without its brackets
    return document_from_text(value)


def _unset_when_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def moment_from_text(value: Any) -> Any:
    """A date and time as `now() | dateAdd(…)` prints it; without an offset in UTC, a day alone is its midnight."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date) or len(str(value).strip()) == len("2042-12-03"):
        day = value if isinstance(value, date) else parse_date(str(value))
        found = datetime.combine(day, datetime.min.time())
    else:
        found = parse_datetime(str(value), zoned=False)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


Text = Annotated[str, BeforeValidator(scalar_to_text)]
TextList = Annotated[list[Text], BeforeValidator(_list_from_text, json_schema_input_type=list[Text] | str)]
JsonMap = Annotated[dict[str, Any], BeforeValidator(document_from_text, json_schema_input_type=dict[str, Any] | str)]
JsonList = Annotated[list[Any], BeforeValidator(_list_from_text, json_schema_input_type=list[Any] | str)]
Moment = Annotated[datetime, BeforeValidator(moment_from_text)]
OptionalMoment = Annotated[datetime | None, BeforeValidator(moment_from_text)]
OptionalText = Annotated[Text | None, BeforeValidator(scalar_to_text)]
OptionalNumber = Annotated[float | None, BeforeValidator(_unset_when_blank)]
OptionalInteger = Annotated[int | None, BeforeValidator(_unset_when_blank)]


def is_true(text: object) -> bool:
    """Whether a rendered condition holds: everything but nothing, "", "0", "-0" and "false"."""
    return text is not None and scalar_to_text(text) not in ("", "0", "-0", "false")


def pairs(labels: Any) -> dict[str, str]:
    """Labels written as a map, a list of key and value, or JSON text of either; ValueError names what is wrong."""
    labels = document_from_text(labels)
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        return {str(key): _label(value) for key, value in labels.items()}
    if isinstance(labels, list) and all(isinstance(label, Mapping) and "key" in label for label in labels):
        return {str(label["key"]): _label(label.get("value", "")) for label in labels}
    raise ValueError("Labels are a map, or a list of `key` and `value`.")


def _label(value: Any) -> str:
    text = scalar_to_text(value)
    return text if isinstance(text, str) else json.dumps(text, separators=(",", ":"), ensure_ascii=False)
