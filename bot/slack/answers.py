"""What came back from a form: Slack's state of a view made into raw values by field id. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.conversation import Field, Form
from bot.slack.elements import CUSTOM, block_name, choice_of, shape_of

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as Slack names it; it still has to be fetched."""

    id: str
    name: str
    media_type: str
    size: int
    url: str


def sent_file(file: Mapping[str, Any]) -> SentFile:
    """A file object of Slack's."""
    url = file.get("url_private_download") or file.get("url_private") or ""
    name = str(file.get("name") or file.get("title") or file.get("id") or "file")
    media = str(file.get("mimetype") or "application/octet-stream")
    return SentFile(str(file.get("id", "")), name, media, int(file.get("size") or 0), str(url))


def values_of(form: Form, state: Mapping[str, Any], hidden: frozenset[int] = frozenset()) -> Values:
    """Raw values by field id: texts, lists of texts, bools, and `SentFile`s. What was not asked or chosen is absent;
    a text field left empty is "" (but absent when its long value was not shown: then it stays as it is)."""
    found: Values = {}
    shape = shape_of(form)
    for index, field in enumerate(form.fields):
        name = block_name(index, shape)
        block = state.get(name)
        if not isinstance(block, Mapping):
            continue
        value = _read(field, next(iter(block.values()), None))
        other = _text_of(state.get(name + CUSTOM))
        if other:
            value = _merge(field, value, other)
        if value is None or (index in hidden and value in ("", [])):
            continue
        found[field.id] = value
    return found


def _text_of(block: Any) -> str:
    if not isinstance(block, Mapping):
        return ""
    inner = next(iter(block.values()), None)
    return str(inner.get("value") or "").strip() if isinstance(inner, Mapping) else ""


def _merge(field: Field, value: Any, other: str) -> Any:
    if field.type != "MULTISELECT":
        return other  # typed by hand beats the menu
    chosen = list(value) if isinstance(value, list) else []
    return [*chosen, *(item for item in _lines(other) if item not in chosen)]


def _lines(text: str) -> list[str]:
    if text.startswith("["):
        try:
            read = json.loads(text)
        except ValueError:
            read = None
        if isinstance(read, list):
            return [item if isinstance(item, str) else json.dumps(item) for item in read]
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _read(field: Field, element: Any) -> Any:
    if not isinstance(element, Mapping):
        return None
    match element.get("type"):
        case "checkboxes" if field.type == "BOOLEAN":
            return bool(element.get("selected_options"))
        case "radio_buttons" | "static_select" | "external_select":
            return _chosen(field, element.get("selected_option"))
        case "checkboxes" | "multi_static_select" | "multi_external_select":
            return [choice_of(str(one["value"]), field.options) for one in element.get("selected_options") or ()]
        case "datepicker":
            return element.get("selected_date")
        case "timepicker":
            return element.get("selected_time")
        case "datetimepicker":
            return _moment(element.get("selected_date_time"))
        case "file_input":
            files = [sent_file(file) for file in element.get("files") or ()]
            return (files if field.several else files[0]) if files else None
        case _:
            return _typed(field, element.get("value"))


def _chosen(field: Field, option: Any) -> Any:
    if not isinstance(option, Mapping):
        return None
    wire = str(option["value"])
    return wire == "true" if field.type == "BOOLEAN" else choice_of(wire, field.options)


def _moment(epoch: Any) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(int(epoch), UTC).isoformat().replace("+00:00", "Z")


def _typed(field: Field, text: Any) -> Any:
    if text is None:
        return ""
    if field.type == "ARRAY" and not str(text).lstrip().startswith("["):
        return [item for item in str(text).splitlines() if item.strip()]
    if field.type == "MULTISELECT":
        return _lines(str(text))
    return str(text)
