"""What Slack refuses, as a table of its own: nothing here is shared with the renderer. Lengths are UTF-16 units."""

import json
import re
from datetime import date
from typing import Any


class SlackRefuses(Exception):
    """A payload Slack would not take: its error name, and where."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error = error
        self.detail = detail


def length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _no(where: str, what: str) -> SlackRefuses:
    return SlackRefuses("invalid_blocks", f"{where}: {what}")


def _keys(thing: Any, where: str, must: set[str], may: set[str]) -> None:
    if not isinstance(thing, dict):
        raise _no(where, f"must be an object, not {thing!r:.40}")
    if missing := must - thing.keys():
        raise _no(where, f"missing {sorted(missing)}")
    if extra := thing.keys() - must - may:
        raise _no(where, f"unknown {sorted(extra)}")


def _str(value: Any, where: str, most: int, least: int = 1) -> str:
    if not isinstance(value, str):
        raise _no(where, "must be a string")
    if not least <= length(value) <= most:
        raise _no(where, f"{length(value)} characters, allowed are {least} to {most}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _no(where, "a lone surrogate") from None
    return value


def _text(obj: Any, where: str, most: int, *, plain: bool) -> None:
    kind = obj.get("type") if isinstance(obj, dict) else None
    if kind == "plain_text":
        _keys(obj, where, {"type", "text"}, {"emoji"})
    elif kind == "mrkdwn" and not plain:
        _keys(obj, where, {"type", "text"}, {"verbatim"})
        _markup(obj["text"], where)
    else:
        raise _no(where, f"text object of type {kind!r}")
    if not _str(obj["text"], where, most).strip():
        raise _no(where, "blank text")


_TOKEN = re.compile(r"<(?:https?://|mailto:|[@#!])[^<>]*>")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")


def _markup(text: str, where: str) -> None:
    """Not a rule of Slack's but of good manners: every `<`, `>` and `&` is either markup or an entity."""
    if _ENTITY.search(text):
        raise _no(where, f"an unescaped & in {text!r:.60}")
    rest = _TOKEN.sub("", text)
    rest = re.sub(r"(?m)^> ?", "", rest)
    if "<" in rest or ">" in rest:
        raise _no(where, f"unescaped markup in {text!r:.60}")


def _confirm(obj: Any, where: str) -> None:
    _keys(obj, where, {"title", "text", "confirm", "deny"}, {"style"})
    _text(obj["title"], f"{where}.title", 100, plain=True)
    _text(obj["text"], f"{where}.text", 300, plain=False)
    _text(obj["confirm"], f"{where}.confirm", 30, plain=True)
    _text(obj["deny"], f"{where}.deny", 30, plain=True)


def check_option(obj: Any, where: str) -> None:
    _keys(obj, where, {"text", "value"}, {"description"})
    _text(obj["text"], f"{where}.text", 75, plain=True)
    _str(obj["value"], f"{where}.value", 150)
    if "description" in obj:
        _text(obj["description"], f"{where}.description", 75, plain=True)


def _options(element: dict[str, Any], where: str, most: int) -> None:
    options = element["options"]
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        raise _no(where, f"{len(options)} options, allowed are 1 to {most}")
    for number, option in enumerate(options):
        check_option(option, f"{where}.options[{number}]")
    values = [option["value"] for option in options]
    if len(set(values)) != len(values):
        raise _no(where, "two options with one value")
    if "initial_option" in element and element["initial_option"] not in options:
        raise _no(where, "initial_option is not one of the options")
    if "initial_options" in element:
        initial = element["initial_options"]
        if not initial or any(one not in options for one in initial):
            raise _no(where, "initial_options are not options")


def _button(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "text", "action_id"}, {"value", "url", "style", "confirm", "accessibility_label"})
    _text(element["text"], f"{where}.text", 75, plain=True)
    if "value" in element:
        _str(element["value"], f"{where}.value", 2000)
    if "url" in element:
        _str(element["url"], f"{where}.url", 3000)
        if not re.match(r"https?://", element["url"]):
            raise _no(where, "a url that is none")
    if element.get("style", "primary") not in ("primary", "danger"):
        raise _no(where, f"style {element['style']!r}")
    if "confirm" in element:
        _confirm(element["confirm"], f"{where}.confirm")


def _plain_input(element: dict[str, Any], where: str) -> None:
    may = {"initial_value", "multiline", "min_length", "max_length", "placeholder", "focus_on_load"}
    _keys(element, where, {"type", "action_id"}, may)
    if "initial_value" in element:
        _str(element["initial_value"], f"{where}.initial_value", 3000)


def _email(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id"}, {"initial_value", "placeholder", "focus_on_load"})
    if "initial_value" in element:
        _str(element["initial_value"], where, 3000)


def _url_input(element: dict[str, Any], where: str) -> None:
    _email(element, where)
    if not re.match(r"https?://", element.get("initial_value", "https://")):
        raise _no(where, "initial_value is no URL")


def _number(element: dict[str, Any], where: str) -> None:
    _keys(
        element,
        where,
        {"type", "action_id", "is_decimal_allowed"},
        {"initial_value", "min_value", "max_value", "placeholder"},
    )
    found = {}
    for key in ("initial_value", "min_value", "max_value"):
        if key in element:
            if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", _str(element[key], where, 50)):
                raise _no(where, f"{key} {element[key]!r} is no number")
            if "." in element[key] and not element["is_decimal_allowed"]:
                raise _no(where, f"{key} {element[key]!r} is no whole number")
            found[key] = float(element[key])
    value = found.get("initial_value")
    if value is not None and not found.get("min_value", value) <= value <= found.get("max_value", value):
        raise _no(where, "initial_value out of bounds")


def _datepicker(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id"}, {"initial_date", "placeholder", "confirm"})
    if "initial_date" in element:
        try:
            date.fromisoformat(element["initial_date"])
        except ValueError:
            raise _no(where, f"initial_date {element['initial_date']!r}") from None
        if len(element["initial_date"]) != 10:
            raise _no(where, "initial_date needs ten characters")


def _time(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id"}, {"initial_time", "placeholder", "timezone"})
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", element.get("initial_time", "00:00")):
        raise _no(where, f"initial_time {element['initial_time']!r}")


def _datetime(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id"}, {"initial_date_time", "confirm"})
    value = element.get("initial_date_time", 1_700_000_000)
    if not isinstance(value, int) or len(str(value)) != 10:
        raise _no(where, f"initial_date_time {value!r}")


def _file(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id"}, {"filetypes", "max_files"})
    types = element.get("filetypes", ["txt"])
    if not types or any(not isinstance(one, str) or one.startswith(".") or not one for one in types):
        raise _no(where, f"filetypes {types!r}")
    if not 1 <= element.get("max_files", 1) <= 10:
        raise _no(where, "max_files")


def _radio(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id", "options"}, {"initial_option", "confirm"})
    _options(element, where, 10)


def _checkboxes(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id", "options"}, {"initial_options", "confirm"})
    _options(element, where, 10)


def _select(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id", "options"}, {"initial_option", "placeholder", "confirm"})
    _options(element, where, 100)


def _multi(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id", "options"}, {"initial_options", "placeholder", "max_selected_items"})
    _options(element, where, 100)


def _external(element: dict[str, Any], where: str) -> None:
    _keys(element, where, {"type", "action_id"}, {"initial_option", "min_query_length", "placeholder", "confirm"})
    if "initial_option" in element:
        check_option(element["initial_option"], f"{where}.initial_option")


def _multi_external(element: dict[str, Any], where: str) -> None:
    _keys(
        element,
        where,
        {"type", "action_id"},
        {"initial_options", "min_query_length", "placeholder", "max_selected_items"},
    )
    initial = element.get("initial_options", [None])
    if not 1 <= len(initial) <= 100:
        raise _no(where, "initial_options")
    for one in element.get("initial_options", []):
        check_option(one, f"{where}.initial_options")


ELEMENTS = {
    "button": _button,
    "plain_text_input": _plain_input,
    "email_text_input": _email,
    "url_text_input": _url_input,
    "number_input": _number,
    "datepicker": _datepicker,
    "timepicker": _time,
    "datetimepicker": _datetime,
    "file_input": _file,
    "radio_buttons": _radio,
    "checkboxes": _checkboxes,
    "static_select": _select,
    "multi_static_select": _multi,
    "external_select": _external,
    "multi_external_select": _multi_external,
}
_TYPED = {"plain_text_input", "email_text_input", "url_text_input", "number_input", "file_input"}


def _element(element: Any, where: str, *, in_input: bool) -> None:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in ELEMENTS:
        raise _no(where, f"element of type {kind!r}")
    if in_input == (kind == "button") or (not in_input and kind in _TYPED):
        raise _no(where, f"a {kind} does not stand there")
    _str(element.get("action_id", "x"), f"{where}.action_id", 255)
    if "placeholder" in element:
        _text(element["placeholder"], f"{where}.placeholder", 150, plain=True)
    ELEMENTS[kind](element, where)


def _section(block: dict[str, Any], where: str) -> None:
    _keys(block, where, {"type"}, {"block_id", "text", "fields", "accessory", "expand"})
    if "text" not in block and "fields" not in block:
        raise _no(where, "neither text nor fields")
    if "text" in block:
        _text(block["text"], f"{where}.text", 3000, plain=False)
    if "fields" in block:
        if not 1 <= len(block["fields"]) <= 10:
            raise _no(where, f"{len(block['fields'])} fields")
        for number, one in enumerate(block["fields"]):
            _text(one, f"{where}.fields[{number}]", 2000, plain=False)
    if "accessory" in block:
        _element(block["accessory"], f"{where}.accessory", in_input=False)


def _input(block: dict[str, Any], where: str) -> None:
    _keys(block, where, {"type", "label", "element"}, {"block_id", "hint", "optional", "dispatch_action"})
    _text(block["label"], f"{where}.label", 2000, plain=True)
    if "hint" in block:
        _text(block["hint"], f"{where}.hint", 2000, plain=True)
    _element(block["element"], f"{where}.element", in_input=True)


def _header(block: dict[str, Any], where: str) -> None:
    _keys(block, where, {"type", "text"}, {"block_id"})
    _text(block["text"], f"{where}.text", 150, plain=True)


def _context(block: dict[str, Any], where: str) -> None:
    _keys(block, where, {"type", "elements"}, {"block_id"})
    if not 1 <= len(block["elements"]) <= 10:
        raise _no(where, "context elements")
    for one in block["elements"]:
        _text(one, f"{where}.elements", 2000, plain=False)


def _actions(block: dict[str, Any], where: str) -> None:
    _keys(block, where, {"type", "elements"}, {"block_id"})
    elements = block["elements"]
    if not 1 <= len(elements) <= 25:
        raise _no(where, f"{len(elements)} elements")
    for one in elements:
        _element(one, where, in_input=False)
    ids = [one["action_id"] for one in elements]
    if len(set(ids)) != len(ids):
        raise _no(where, "one action_id twice")


def _divider(block: dict[str, Any], where: str) -> None:
    _keys(block, where, {"type"}, {"block_id"})


BLOCKS = {"section": _section, "header": _header, "context": _context, "actions": _actions, "divider": _divider}


def check_blocks(blocks: Any, most: int, *, modal: bool) -> None:
    """Refuse blocks that Slack refuses."""
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= most:
        raise _no("blocks", f"{len(blocks)} blocks, allowed are 1 to {most}")
    names: set[str] = set()
    known = BLOCKS | ({"input": _input} if modal else {})
    for number, block in enumerate(blocks):
        where = f"blocks[{number}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in known:
            raise _no(where, f"block of type {kind!r}")
        name = block.get("block_id", f"\0{number}")
        _str(name, f"{where}.block_id", 255)
        if name in names:
            raise _no(where, f"block_id {name!r} twice")
        names.add(name)
        known[kind](block, where)


def _count(value: Any) -> int:
    if isinstance(value, str):
        return length(value)
    if isinstance(value, dict):
        return sum(_count(inner) for inner in value.values())
    return sum(_count(inner) for inner in value) if isinstance(value, list) else 0


def check_message(message: dict[str, Any]) -> None:
    """Refuse a message that Slack refuses."""
    text = message.get("text")
    blocks = message.get("blocks")
    if not text and not blocks and not message.get("attachments"):
        raise SlackRefuses("no_text", "neither text nor blocks")
    if text is not None and length(text) > 40_000:
        raise SlackRefuses("msg_too_long", f"{length(text)} characters")
    if text:
        _markup(text, "text")
    if blocks is not None:
        check_blocks(blocks, 50, modal=False)
        if _count(blocks) > 13_000:
            raise SlackRefuses("msg_blocks_too_long", f"{_count(blocks)} characters")


def check_view(view: Any) -> None:
    """Refuse a modal or home tab that Slack refuses."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        raise SlackRefuses("invalid_arguments", "no view")
    if len(json.dumps(view)) > 250_000:
        raise SlackRefuses("view_too_large", f"{len(json.dumps(view))} bytes")
    may = {"private_metadata", "callback_id", "clear_on_close", "notify_on_close", "external_id", "submit", "close"}
    is_modal = view["type"] == "modal"
    _keys(view, "view", {"type", "blocks"} | ({"title"} if is_modal else set()), may)
    check_blocks(view["blocks"], 100, modal=is_modal)
    for key in ("title", "submit", "close"):
        if key in view:
            _text(view[key], f"view.{key}", 24, plain=True)
    if any(block["type"] == "input" for block in view["blocks"]) and "submit" not in view:
        raise _no("view", "inputs without submit")
    _str(view.get("private_metadata", "x"), "view.private_metadata", 3000, 0)
    _str(view.get("callback_id", "x"), "view.callback_id", 255)
