"""What Discord refuses, written down a second time and by hand: a judge over requests that shares nothing with the bot.

`problems(method, path, body)` gives one sentence for each thing Discord would answer with 50035. Lengths are in UTF-16
units, the strictest way to count.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

V2 = 32768
_MESSAGE_PATHS = re.compile(r"/channels/\d+/messages(/\d+)?$|/webhooks/\d+/[^/]+(/messages/(@original|\d+))?$")
_CALLBACK = re.compile(r"/interactions/\d+/[^/]+/callback$")
_COMMANDS = re.compile(r"/applications/\d+(/guilds/\d+)?/commands$")
_COMMAND_NAME = re.compile(r"^[-_'\w]{1,32}$")
_FILE_NAME = re.compile(r"^[A-Za-z0-9._-]{1,255}$")


def length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def problems(method: str, path: str, body: Any) -> list[str]:
    """Everything wrong with a request; [] when Discord would take it."""
    if _COMMANDS.search(path) and method == "PUT":
        return [problem for command in body for problem in _command(command)]
    if _CALLBACK.search(path):
        return list(_callback(body))
    if _MESSAGE_PATHS.search(path):
        return list(_message(body, editing=method == "PATCH"))
    return []


def _text(where: str, value: Any, least: int, most: int) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where}: is no text"
        return
    if not least <= length(value) <= most:
        yield f"{where}: {length(value)} characters, must be {least} to {most}"
    if least and not any(visible(character) for character in value):
        yield f"{where}: is blank"
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        yield f"{where}: holds half a surrogate pair"


def visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) != "Cc"


def _callback(body: Any) -> Iterator[str]:
    kind, data = body.get("type"), body.get("data") or {}
    if kind in (4, 7):
        yield from _message(data, editing=kind == 7)
    elif kind == 9:
        yield from _modal(data)
    elif kind == 8:
        if len(data.get("choices", [])) > 25:
            yield "choices: more than 25"
        for choice in data.get("choices", []):
            yield from _text("choice name", choice["name"], 1, 100)
            yield from _text("choice value", choice["value"], 1, 100)
    elif kind not in (5, 6):
        yield f"callback: kind {kind} is not ours"


def _message(body: Any, *, editing: bool) -> Iterator[str]:
    flags = body.get("flags") or 0
    components = body.get("components") or []
    mentions = body.get("allowed_mentions")
    if mentions is None or mentions.get("parse"):
        yield "allowed_mentions: text from outside could ping everybody"
    if "nonce" in body and not 1 <= len(str(body["nonce"])) <= 25:
        yield "nonce: more than 25 characters"
    yield from _attachments(body, editing=editing)
    if not flags & V2:
        if not components and not body.get("embeds") and not body.get("attachments"):
            yield from _text("content", body.get("content"), 1, 2000)
        return
    if body.get("content") or body.get("embeds"):
        yield "components v2: no content or embeds beside them"
    every = [each for component in components for each in walk(component)]
    if not 1 <= len(every) <= 40:
        yield f"components: {len(every)}, must be 1 to 40"
    total = sum(length(each.get("content", "")) for each in every if each["type"] == 10)
    if total > 4000:
        yield f"text displays: {total} characters together, must be 4000 at most"
    yield from _unique("custom_id", [each["custom_id"] for each in every if "custom_id" in each])
    for each in every:
        yield from _component(each)


def _attachments(body: Any, *, editing: bool) -> Iterator[str]:
    listed = body.get("attachments") or []
    names = [item["filename"] for item in listed if "filename" in item]
    if len(listed) > 10:
        yield f"attachments: {len(listed)}, must be 10 at most"
    yield from _unique("attachment name", names)
    for name in names:
        if not _FILE_NAME.match(name):
            yield f"attachment {name!r}: Discord would rename it"
    keeps = editing and any("filename" not in item for item in listed)
    used = re.findall(r"'attachment://([^']*)'", repr(body.get("components") or []))
    for name in used:
        if name not in names and not keeps:
            yield f"attachment://{name}: no such file is sent"
    if (body.get("flags") or 0) & V2:
        for name in names:
            if name not in used:
                yield f"attachment {name}: nothing shows it"


def _unique(what: str, values: list[str]) -> Iterator[str]:
    for value in {value for value in values if values.count(value) > 1}:
        yield f"{what} {value!r}: is there twice"


def walk(component: Any) -> Iterator[Any]:
    """A component and everything in it."""
    yield component
    for child in component.get("components") or []:
        yield from walk(child)
    for key in ("accessory", "component"):
        if component.get(key):
            yield from walk(component[key])


_IN_CONTAINER = {1, 9, 10, 12, 13, 14}


def _component(each: Any) -> Iterator[str]:
    check = _CHECKS.get(each["type"])
    if check is None:
        yield f"component {each['type']}: not for messages"
    else:
        yield from check(each)


def _row(each: Any) -> Iterator[str]:
    kinds = [child["type"] for child in each["components"]]
    if kinds != [3] and not (set(kinds) == {2} and len(kinds) <= 5):
        yield f"row: {kinds}, must be one menu or up to 5 buttons"


def _section(each: Any) -> Iterator[str]:
    if not 1 <= len(each["components"]) <= 3 or each["accessory"]["type"] not in (2, 11):
        yield "section: wrong parts"


def _gallery(each: Any) -> Iterator[str]:
    if not 1 <= len(each["items"]) <= 10:
        yield "gallery: must have 1 to 10 items"
    for item in each["items"]:
        yield from _media(item)


def _file(each: Any) -> Iterator[str]:
    if not each["file"]["url"].startswith("attachment://"):
        yield "file: only attachments"


def _container(each: Any) -> Iterator[str]:
    if not each["components"] or any(child["type"] not in _IN_CONTAINER for child in each["components"]):
        yield "container: empty, or with a part that can't be in one"
    if not 0 <= each.get("accent_color", 0) <= 0xFFFFFF:
        yield "container: no such colour"


def _media(item: Any) -> Iterator[str]:
    if "description" in item:
        yield from _text("media description", item["description"], 1, 1024)


def _button(each: Any) -> Iterator[str]:
    yield from _text("button label", each.get("label"), 1, 80)
    if each["style"] == 5:
        yield from _text("button url", each.get("url"), 1, 512)
        if not re.match(r"^https?://[^\s/]+", each.get("url", "")) or "custom_id" in each:
            yield "link button: wrong address, or an id"
    else:
        yield from _text("button id", each.get("custom_id"), 1, 100)
        if each["style"] not in (1, 2, 3, 4) or "url" in each:
            yield "button: wrong style, or an address"


def _display(each: Any) -> Iterator[str]:
    yield from _text("text display", each.get("content"), 1, 4000)


def _options(each: Any, least: int, most: int) -> Iterator[str]:
    options = each.get("options") or []
    if not least <= len(options) <= most:
        yield f"options: {len(options)}, must be {least} to {most}"
    for option in options:
        yield from _text("option label", option["label"], 1, 100)
        yield from _text("option value", option["value"], 1, 100)
        if "description" in option:
            yield from _text("option description", option["description"], 1, 100)
    yield from _unique("option value", [option["value"] for option in options])


def _bounds(each: Any, most: int) -> Iterator[str]:
    low, high = each.get("min_values", 1), each.get("max_values", 1)
    chosen = sum(bool(option.get("default")) for option in each.get("options") or [])
    if not 0 <= low <= high <= most or high < 1:
        yield f"values: {low} to {high} of {most}"
    if chosen > high:
        yield f"values: {chosen} chosen, {high} allowed"
    if each.get("required") is False and low > 0:
        yield "values: not required, yet at least one"


def _select(each: Any) -> Iterator[str]:
    yield from _text("menu id", each.get("custom_id"), 1, 100)
    yield from _options(each, 1, 25)
    yield from _bounds(each, len(each.get("options") or []))
    if "placeholder" in each:
        yield from _text("menu placeholder", each["placeholder"], 0, 150)


_CHECKS = {
    1: _row, 2: _button, 3: _select, 9: _section, 10: _display, 11: _media, 12: _gallery, 13: _file,
    14: lambda each: iter(()), 17: _container,
}  # fmt: skip


def _modal(data: Any) -> Iterator[str]:
    yield from _text("modal title", data.get("title"), 1, 45)
    yield from _text("modal id", data.get("custom_id"), 1, 100)
    parts = data.get("components") or []
    if not 1 <= len(parts) <= 5:
        yield f"modal: {len(parts)} components, must be 1 to 5"
    yield from _unique("custom_id", [part["component"]["custom_id"] for part in parts if part["type"] == 18])
    for part in parts:
        if part["type"] == 10:
            yield from _text("modal text", part.get("content"), 1, 4000)
        elif part["type"] == 18:
            yield from _text("modal label", part.get("label"), 1, 45)
            if "description" in part:
                yield from _text("modal description", part["description"], 1, 100)
            yield from _control(part["component"])
        else:
            yield f"modal: component {part['type']} can't be there"


def _control(each: Any) -> Iterator[str]:
    yield from _text("field id", each.get("custom_id"), 1, 100)
    match each["type"]:
        case 3:
            yield from _options(each, 1, 25)
            yield from _bounds(each, len(each["options"]))
        case 4:
            if "value" in each:
                yield from _text("text value", each["value"], 0, 4000)
            if "placeholder" in each:
                yield from _text("text placeholder", each["placeholder"], 0, 100)
            if each["style"] not in (1, 2):
                yield "text: no such style"
            if each["style"] == 1 and "\n" in each.get("value", ""):
                yield "text: lines in a field of one line"
        case 19:
            yield from _bounds(each, 10)
        case 21:
            yield from _options(each, 2, 10)
            if sum(bool(option.get("default")) for option in each["options"]) > 1:
                yield "radio: two defaults"
        case 22:
            yield from _options(each, 1, 10)
            yield from _bounds(each, len(each["options"]))
        case other:
            yield f"field: component {other} can't be in a label"


def _command(command: Any, depth: int = 0) -> Iterator[str]:
    name, description = command.get("name", ""), command.get("description", "")
    if depth == 0 and command.get("type", 1) in (2, 3):  # a menu of people or of messages
        yield from _text("name of a menu", name, 1, 32)
        if description or command.get("options"):
            yield f"{name}: a menu has neither description nor options"
        return
    if not _COMMAND_NAME.match(name) or name != name.lower():
        yield f"command name {name!r}: lower case letters, digits, - and _ only"
    yield from _text(f"description of {name}", description, 1, 100)
    options = command.get("options") or []
    if len(options) > 25:
        yield f"{name}: {len(options)} options, must be 25 at most"
    yield from _unique("option", [option["name"] for option in options])
    required = [bool(option.get("required")) for option in options]
    if required != sorted(required, reverse=True):
        yield f"{name}: required options must come first"
    for option in options:
        yield from _command(option, depth + 1)
        for choice in option.get("choices") or []:
            yield from _text("choice", choice["name"], 1, 100)
    if depth == 0 and _weight(command) > 8000:
        yield f"{name}: {_weight(command)} characters in all, must be 8000 at most"


def _weight(command: Any) -> int:
    own = len(command.get("name", "")) + len(command.get("description", ""))
    own += sum(len(choice["name"]) + len(str(choice["value"])) for choice in command.get("choices") or [])
    return own + sum(_weight(option) for option in command.get("options") or [])
