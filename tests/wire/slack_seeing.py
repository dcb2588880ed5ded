"""What a Slack message does to those who see it: whom it pings, where it links, what it says."""

import re
from typing import Any

_PING = re.compile(r"<!(?:here|channel|everyone|subteam)[^>]*>|<@[^>]*>")
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
        return message
    if isinstance(message, dict):
        order = ("title", "text", "fields", "blocks", "label", "hint", "element", "options", "accessory", "elements")
        parts = [shown(message[key]) for key in order if key in message]
        parts += [shown(message[key]) for key in ("description", "initial_value", "submit", "url") if key in message]
        return "\n".join(part for part in parts if part)
    return "\n".join(shown(inner) for inner in message) if isinstance(message, list) else ""
