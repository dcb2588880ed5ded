"""The element Slack offers for each type of field, and what it can show beforehand. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from bot.cards.graphemes import line, shorten, size
from bot.conversation import Attachment, Field, Form, Option
from bot.slack import limits
from bot.slack.blocks import Block, Overflow, label, plain
from bot.slack.mrkdwn import plain_line

Choice = Literal["radio", "menu", "search", "checkboxes", "multi_menu", "multi_search", "text"]
CUSTOM = ":custom"  # the text field beside a choice that takes other values too
CHOSEN = frozenset(
    {"radio_buttons", "static_select", "external_select", "checkboxes", "multi_static_select", "multi_external_select",
     "datepicker", "timepicker", "datetimepicker"}
)  # fmt: skip
_HASHED = "ref:"
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:00(\.0+)?)?", re.ASCII)
_LONG_TEXT = 150

HINTS: Mapping[str, str] = {
    "DURATION": "For example PT1H30M or 1h30m.",
    "JSON": "JSON.",
    "YAML": "YAML.",
    "ION": "Ion, or JSON.",
    "ARRAY": "One per line, or a JSON array.",
    "TABLE": "One row per line, with commas, below a line of column names; or JSON.",
}


def field_name(index: int) -> str:
    """A field's id on the wire: by position, since input ids may be long."""
    return f"f:{index}"


def shape_of(form: Form) -> str:
    """A fingerprint of a form's fields: a view of another shape must not be read with this form."""
    shape = json.dumps([form.edition, *((field.id, field.type) for field in form.fields)])
    return hashlib.sha256(shape.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def block_name(index: int, shape: str) -> str:
    """A field's block: Slack's client keeps what was typed when a view is updated, wherever block and action ids stay
    the same; a form of other fields must not inherit it."""
    return f"{field_name(index)}:{shape}"


def kept(form: Form, field: Field) -> Any:
    """What a field shows beforehand: what was typed earlier, else the default."""
    return form.values.get(field.id, field.default)


def wire_value(value: str) -> str:
    """A choice as an option's value: itself, or a fingerprint when it is empty or too long."""
    if 0 < size(value) <= limits.OPTION_VALUE and not value.startswith(_HASHED):
        return value
    return _HASHED + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def choice_of(wire: str, options: Iterable[Option]) -> str:
    """The value an option stood for."""
    if not wire.startswith(_HASHED):
        return wire
    return next((option.value for option in options if wire_value(option.value) == wire), wire)


def unique(options: Iterable[Option]) -> list[Option]:
    """Options without repeats: Slack refuses those."""
    return list({option.value: option for option in options}.values())


def option_object(option: Option) -> Block:
    """One choice."""
    text = line(option.label) or line(option.value) or "(empty)"
    drawn: Block = {"text": plain(shorten(text, limits.OPTION)), "value": wire_value(option.value)}
    if option.help.strip():
        drawn["description"] = plain(label(plain_line(option.help), limits.OPTION))
    return drawn


def cut_options(options: Sequence[Option]) -> str:
    """The full text of choices that had to be shortened, one a line."""
    long = [
        f"• {line(option.label)}" + (f" – {option.help}" if option.help else "")
        for option in options
        if _is_long(line(option.label)) or (option.help and _is_long(plain_line(option.help)))
    ]
    return "\n".join(long)


def _is_long(text: str) -> bool:
    return len(text) > limits.OPTION // 2 and size(text) > limits.OPTION


def choice(field: Field) -> Choice:
    """How the choices of a field are offered."""
    count = len(unique(field.options))
    if field.type == "MULTISELECT":
        if not count and field.allow_custom:
            return "text"
        if count > limits.OPTIONS or not count:
            return "multi_search"
        return "checkboxes" if count <= limits.CHECKBOXES else "multi_menu"
    if not count and field.allow_custom:
        return "text"
    if count > limits.OPTIONS or not count:
        return "search"
    return "radio" if count <= (limits.RADIOS_ASKED if field.radio else limits.RADIOS) else "menu"


_TYPES: Mapping[Choice, str] = {
    "radio": "radio_buttons",
    "menu": "static_select",
    "search": "external_select",
    "checkboxes": "checkboxes",
    "multi_menu": "multi_static_select",
    "multi_search": "multi_external_select",
}


def _choices(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    how = choice(field)
    options = unique(field.options)
    element: Block = {"type": _TYPES[how], "action_id": name}
    if how in ("search", "multi_search"):
        element["min_query_length"] = 0
    else:
        element["options"] = [option_object(option) for option in options]
    wanted = _texts(before)
    found = [option_object(option) for option in options if option.value in wanted]
    if how in ("search", "multi_search") and not options:
        found = [option_object(Option(value, value)) for value in wanted]
    if not found:
        return element, not wanted or field.allow_custom
    if field.type == "MULTISELECT":
        element["initial_options"] = found[: limits.OPTIONS]
        return element, len(found) <= limits.OPTIONS
    element["initial_option"] = found[0]
    return element, True


def _texts(before: Any) -> list[str]:
    if before is None or before == "":
        return []
    if isinstance(before, list | tuple):
        return [str(item) for item in before]
    text = str(before)
    if text.startswith("["):
        try:
            read = json.loads(text)
        except ValueError:
            return [text]
        return [str(item) for item in read] if isinstance(read, list) else [text]
    return [text]


def custom_text(field: Field, before: Any) -> str:
    """What the text field beside a choice shows: values that are no choices."""
    known = {option.value for option in field.options}
    return "\n".join(text for text in _texts(before) if text not in known)


def as_text(field: Field, before: Any) -> str:
    """A value as it stands in a text field."""
    if before is None or isinstance(before, Attachment):
        return ""
    if isinstance(before, bool):
        return "true" if before else "false"
    if isinstance(before, list | tuple):
        items = [str(item) for item in before]
        if any("\n" in item or item.startswith("[") or not item.strip() for item in items):
            return json.dumps(items, ensure_ascii=False)
        return "\n".join(items)
    return str(before)


def _text(
    field: Field, name: str, before: Any, *, multiline: bool, kind: str = "plain_text_input"
) -> tuple[Block, bool]:
    text = as_text(field, before)
    element: Block = {"type": kind, "action_id": name}
    if kind == "plain_text_input":
        element["multiline"] = multiline or "\n" in text or size(text) > _LONG_TEXT
    if not text:
        return element, True
    if size(text) > limits.INPUT_TEXT:
        return element, False
    element["initial_value"] = text
    return element, True


def _number(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    given = [text for text in (as_text(field, before), field.minimum, field.maximum) if text]
    if not all(_NUMBER.fullmatch(text) for text in given) or (
        field.type == "INT" and any("." in text for text in given)
    ):
        return _text(field, name, before, multiline=False)  # 1e9, or a bound with more digits than Slack reads
    element: Block = {"type": "number_input", "action_id": name, "is_decimal_allowed": field.type == "FLOAT"}
    if text := as_text(field, before):
        element["initial_value"] = text
    if field.minimum and (not text or float(text) >= float(field.minimum)):
        element["min_value"] = field.minimum
    if field.maximum and (not text or float(text) <= float(field.maximum)):
        element["max_value"] = field.maximum
    return element, True


def _boolean(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    if before is None or before == "":
        options = [{"text": plain("Yes"), "value": "true"}, {"text": plain("No"), "value": "false"}]
        return {"type": "radio_buttons", "action_id": name, "options": options}, True
    tick = {"text": plain("Yes"), "value": "true"}
    element: Block = {"type": "checkboxes", "action_id": name, "options": [tick]}
    if str(before).strip().lower() in ("true", "yes", "on", "1"):
        element["initial_options"] = [tick]
    return element, True


def is_tick(form: Form, field: Field) -> bool:
    """Whether a BOOLEAN is one box to tick, for which nothing ticked means no."""
    return field.type == "BOOLEAN" and kept(form, field) not in (None, "")


def _date(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    text = as_text(field, before)
    if not text:
        return {"type": "datepicker", "action_id": name}, True
    try:
        datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return _text(field, name, before, multiline=False)
    if not _DATE.fullmatch(text):
        return _text(field, name, before, multiline=False)
    return {"type": "datepicker", "action_id": name, "initial_date": text}, True


def _time(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    text = as_text(field, before)
    if not text:
        return {"type": "timepicker", "action_id": name}, True
    if not _TIME.fullmatch(text):
        return _text(field, name, before, multiline=False)  # seconds, or words: a picker would lose them
    return {"type": "timepicker", "action_id": name, "initial_time": text[:5]}, True


def _datetime(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    text = as_text(field, before)
    element: Block = {"type": "datetimepicker", "action_id": name}
    if not text:
        return element, True
    try:
        moment = datetime.fromisoformat(text)
        epoch = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return _text(field, name, before, multiline=False)
    if not 1_000_000_000 <= epoch <= 9_999_999_999 or moment.second or moment.microsecond:
        return _text(field, name, before, multiline=False)  # Slack takes ten digits and draws no seconds
    return {**element, "initial_date_time": epoch}, True


def _file(field: Field, name: str) -> Block:
    element: Block = {"type": "file_input", "action_id": name, "max_files": limits.FILES if field.several else 1}
    types = [ending.lstrip(".").lower() for ending in field.extensions if ending.lstrip(".")]
    if types:
        element["filetypes"] = types
    return element


def element(field: Field, name: str, before: Any) -> tuple[Block, bool]:
    """A field's element, and whether what it should show beforehand could be shown."""
    match field.type:
        case "SELECT" | "MULTISELECT" if choice(field) != "text":
            return _choices(field, name, before)
        case "INT" | "FLOAT":
            return _number(field, name, before)
        case "BOOLEAN":
            return _boolean(field, name, before)
        case "DATE":
            return _date(field, name, before)
        case "TIME":
            return _time(field, name, before)
        case "DATETIME":
            return _datetime(field, name, before)
        case "FILE":
            return _file(field, name), True
        case "EMAIL":
            return _text(field, name, before, multiline=False, kind="email_text_input")
        case "URI":
            text = as_text(field, before)
            is_web = text.startswith(("https://", "http://"))
            kind = "url_text_input" if is_web else "plain_text_input"  # any scheme is a URI; Slack's own takes http
            return _text(field, name, before, multiline=False, kind=kind)
        case "JSON" | "YAML" | "ION" | "ARRAY" | "TABLE":
            return _text(field, name, before, multiline=True)
        case _:
            return _text(field, name, before, multiline=field.multiline or field.type == "MULTISELECT")


def lost_default(field: Field, before: Any) -> Overflow:
    """A default that is too long to be shown in its field."""
    return Overflow(f"Default of {shorten(line(field.label or field.id), 60)}", as_text(field, before), is_data=True)
