"""What a Slack message does to those who see it: whom it pings, where it links, what it says."""

import re
from dataclasses import dataclass
from typing import Any

_PING = re.compile(r"<!(?:here|channel|everyone|subteam)[^>]*>|<@[^>]*>")
_KEPT = re.compile(r"<!date\^0+\^\{_\}\|([^<>]*)>")
_WORD = re.compile(r"@(?:here|channel|everyone)\b", re.IGNORECASE)


def pings(message: Any, *, verbatim: bool = False) -> list[str]:
    """Whom a message would notify, read as generously as any of Slack's paths may."""
    if isinstance(message, str):
        return _PING.findall(message) + ([] if verbatim else _WORD.findall(message))
    if isinstance(message, dict):
        if message.get("type") == "plain_text":
            return []
        if message.get("type") == "mrkdwn":
            return pings(message.get("text", ""), verbatim=bool(message.get("verbatim")))
        return [
            found for key in ("text", "blocks", "fields", "elements", "accessory") for found in pings(message.get(key))
        ]
    return [found for inner in message for found in pings(inner)] if isinstance(message, list) else []


def links(message: Any) -> list[tuple[str, str]]:
    """(address, label) of every link drawn in a message."""
    if isinstance(message, str):
        found = re.findall(r"<((?:https?|mailto):[^<>|]*)(?:\|([^<>]*))?>", message)
        return [(address, label or address) for address, label in found]
    if isinstance(message, dict):
        if message.get("type") == "plain_text":
            return []
        return [found for inner in message.values() for found in links(inner)]
    return [found for inner in message for found in links(inner)] if isinstance(message, list) else []


def shown(message: Any) -> str:
    """Every text a reader sees, joined: for assertions."""
    if isinstance(message, str):
        return _KEPT.sub(r"\1", message)
    if isinstance(message, dict):
        order = ("title", "text", "fields", "blocks", "label", "hint", "element", "options", "accessory", "elements")
        parts = [shown(message[key]) for key in order if key in message]
        parts += [shown(message[key]) for key in ("description", "initial_value", "submit", "url") if key in message]
        return "\n".join(part for part in parts if part)
    return "\n".join(shown(inner) for inner in message) if isinstance(message, list) else ""


_TOKEN = re.compile(r"```(?P<block>.+?)```|[`\uff40](?P<code>[^`\uff40\n]+)[`\uff40]|<(?P<angle>[^<>\n]*)>", re.DOTALL)
_EDGE = r"(?<![A-Za-z0-9]){0}(?=\S)[^\n]*?(?<=\S){0}(?![A-Za-z0-9])"  # from the edge of a word to the edge of one
_LOOKS = {
    "bold": _EDGE.format(r"[*\uff0a]"),
    "italic": _EDGE.format(r"[_\uff3f]"),
    "struck": _EDGE.format(r"~"),
    "tick": r"[`\uff40]",
    "emoji": r"(?<!\d):[\w+'-]{1,100}:|:(?!\d+:)[\w+'-]{1,100}:",
    "quote": r"(?m:^)\s*(?:>|&gt;|\uff1e)",
    "everybody": r"@(?:here|channel|everyone)\b",
}
_ATOM = "\ufffc"  # stands for what is no mark any more


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader sees, and the names of everything that is no plain text."""

    text: str
    looks: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()


def read(mrkdwn: str) -> Reading:
    """A verbatim text as Slack shows it, read as generously as any of its clients may. Slack has no escape but for
    `& < >`; the fallback of a date whose format names nothing is shown as it is, and takes no entities."""
    atoms: list[str] = []
    looks: list[str] = []
    links: list[tuple[str, str]] = []

    def atom(found: re.Match[str]) -> str:
        angle = found["angle"]
        if angle is None:
            looks.append("code")
            atoms.append(found["block"] or found["code"])
            return _ATOM
        target, _, label = angle.partition("|")
        if re.fullmatch(r"!date\^\d+\^\{_\}", target) and label and "&" not in label:
            atoms.append(label.replace("&", "&amp;"))
        elif re.match(r"https?://|mailto:", target):
            links.append((_plain(target), _plain(label or target)))
            atoms.append(label or target)
        else:
            looks.append("mention")
            atoms.append(angle)
        return _ATOM

    bare = _TOKEN.sub(atom, mrkdwn.replace(_ATOM, "?"))
    looks += [name for name, pattern in _LOOKS.items() if re.search(pattern, bare)]
    told = iter(atoms)
    whole = "".join(next(told) if sign == _ATOM else sign for sign in bare)
    return Reading(_plain(whole), tuple(looks), tuple(links))


def _plain(text: str) -> str:
    return re.sub("[\u2060\u00ad]", "", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
