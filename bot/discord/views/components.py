"""Discord's components as plain JSON, one function each, and what did not fit into a message."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bot.cards.graphemes import clean, cut, is_blank, line, shorten, size
from bot.conversation import Action, FileRef, Tone
from bot.discord import ids, limits

Json = dict[str, Any]

COMPONENTS_V2 = 1 << 15
EPHEMERAL = 1 << 6
NO_PINGS: Json = {"parse": []}
DETAILS = "details.md"  # the attachment that carries what did not fit

COLOURS: dict[Tone, int] = {
    "info": 0x5865F2,
    "running": 0x3498DB,
    "success": 0x2ECC71,
    "warning": 0xF1C40F,
    "danger": 0xE74C3C,
    "paused": 0xE67E22,
}
_STYLES = {"primary": 1, "neutral": 2, "danger": 4}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_EMPTY_LABEL = "Open"


@dataclass(frozen=True, slots=True)
class Overflow:
    """One part that did not fit: `part` names it, `text` is the whole of it. With a `file` it is sent under that name,
    else in one file with others."""

    part: str
    text: str
    file: str = ""


class Rendered(NamedTuple):
    """What to send, and what of the view it does not hold. `payload["attachments"]` names the files to send along."""

    payload: Json
    overflow: tuple[Overflow, ...] = ()


def text(content: str) -> Json:
    """A paragraph of Markdown."""
    return {"type": 10, "content": content}


def separator() -> Json:
    """A line between parts."""
    return {"type": 14, "divider": True, "spacing": 1}


def section(contents: Sequence[str], accessory: Json) -> Json:
    """Texts with a button or a picture beside them."""
    return {"type": 9, "components": [text(content) for content in contents], "accessory": accessory}


def _media(name: str, description: str) -> Json:
    media: Json = {"media": {"url": f"attachment://{name}"}}
    if not is_blank(description):
        media["description"] = shorten(line(description), limits.MEDIA_DESCRIPTION)
    return media


def thumbnail(name: str, description: str) -> Json:
    """A small picture."""
    return {"type": 11, **_media(name, description)}


def gallery(pictures: Iterable[tuple[str, str]]) -> Json:
    """Pictures at full width: attachment names with their descriptions."""
    return {"type": 12, "items": [_media(name, description) for name, description in pictures]}


def file(name: str) -> Json:
    """An attachment to download."""
    return {"type": 13, "file": {"url": f"attachment://{name}"}}


def row(*components: Json) -> Json:
    """Buttons side by side, or one menu."""
    return {"type": 1, "components": list(components)}


def container(tone: Tone, components: Sequence[Json]) -> Json:
    """A card with a coloured edge."""
    return {"type": 17, "accent_color": COLOURS[tone], "components": list(components)}


def message(components: Sequence[Json], attachments: Sequence[str] = ()) -> Json:
    """A message of components that pings nobody."""
    payload: Json = {"flags": COMPONENTS_V2, "components": list(components), "allowed_mentions": NO_PINGS}
    if attachments:
        payload["attachments"] = [{"id": str(index), "filename": name} for index, name in enumerate(attachments)]
    return payload


def plain_button(custom_id: str, label: str, style: int = 2) -> Json:
    """A button of our own."""
    return {"type": 2, "style": style, "custom_id": custom_id, "label": label}


def is_link(url: str) -> bool:
    """Whether Discord takes it for a link button."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    printable = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and size(url) <= limits.BUTTON_URL and printable


def label_of(action: Action, limit: int = limits.BUTTON_LABEL) -> str:
    """What stands on the button."""
    label = line(action.label)
    return shorten(label, limit) if not is_blank(label) else _EMPTY_LABEL


def button(action: Action) -> Json | None:
    """The button of an action; None when Discord would refuse it."""
    if action.url is not None:
        link = action.url.strip()
        return {"type": 2, "style": 5, "label": label_of(action), "url": link} if is_link(link) else None
    # A form asks by itself, so only other actions are asked back.
    asks = action.confirm is not None and not action.opens_form
    custom_id = ids.write("sure", action.id) if asks and ids.fits("sure", action.id) else action.id
    if not custom_id or size(custom_id) > limits.CUSTOM_ID or clean(custom_id) != custom_id:
        return None
    return plain_button(custom_id, label_of(action), _STYLES.get(action.style, 2))


def _identity(component: Json) -> str:
    return str(component.get("custom_id") or component.get("url"))


def controls(actions: Sequence[Action], buttons: int = limits.CARD_BUTTONS) -> tuple[list[Json], list[Overflow]]:
    """Rows of buttons and, behind them, one menu for what is more than `buttons`; what fits neither is overflow."""
    shown: dict[str, Json] = {}
    menu: dict[str, Json] = {}
    lost: list[Overflow] = []
    for action in actions:
        component = button(action)
        if component is None or _identity(component) in shown or _identity(component) in menu:
            lost.append(_lost(action))
        else:
            if size(line(action.label)) > limits.BUTTON_LABEL:
                lost.append(_lost(action))
            if len(shown) < buttons:
                shown[_identity(component)] = component
            elif len(menu) < limits.SELECT_OPTIONS and action.url is None:
                menu[_identity(component)] = {
                    "label": label_of(action, limits.OPTION_LABEL),
                    "value": component["custom_id"],
                }
            else:
                lost.append(_lost(action))
    every = list(shown.values())
    rows = [row(*every[at : at + limits.ROW_BUTTONS]) for at in range(0, len(every), limits.ROW_BUTTONS)]
    if menu:
        select = {"type": 3, "custom_id": ids.write("more", 0), "placeholder": "More…", "options": list(menu.values())}
        rows.append(row(select))
    return rows, lost


def _lost(action: Action) -> Overflow:
    return Overflow("action", f"{clean(action.label)}: {clean(action.url)}" if action.url else clean(action.label))


def count(component: Json) -> int:
    """How many components Discord counts in it."""
    nested = component.get("components", [])
    return 1 + sum(count(child) for child in nested) + (1 if "accessory" in component else 0)


def attachment_names(
    files: Sequence[FileRef], room: int, taken: Iterable[str] = ()
) -> tuple[dict[int, str], list[Overflow]]:
    """Names under which files can be sent, by their index; files too many or too large are overflow."""
    names: dict[int, str] = {}
    lost: list[Overflow] = []
    total = 0
    for index, ref in enumerate(files):
        if len(names) >= room or ref.size > limits.FILE_BYTES or total + ref.size > limits.UPLOAD_BYTES:
            lost.append(Overflow("file", f"{line(ref.name)} ({ref.size} bytes)"))
            continue
        total += ref.size
        names[index] = _unique(safe_name(ref.name), {*names.values(), *taken, DETAILS})
    return names, lost


def safe_name(name: str) -> str:
    """A file name that Discord keeps as it is."""
    stem, dot, extension = _NOT_IN_NAMES.sub("_", name.rsplit("/", 1)[-1]).strip("._").rpartition(".")
    if not dot:
        stem, extension = extension, ""
    stem = stem[: limits.FILE_NAME - 12].strip("._") or "file"
    return f"{stem}.{extension[:10]}" if extension else stem


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    return next(
        candidate
        for number in range(2, len(taken) + 3)
        if (candidate := f"{stem[: limits.FILE_NAME - 16]}-{number}{dot}{extension}") not in taken
    )


def details(overflow: Sequence[Overflow]) -> bytes:
    """The attachment that carries the overflow, whole, up to Discord's size of a file."""
    whole = "\n\n".join(f"## {item.part}\n\n{item.text}" for item in overflow if not item.file) + "\n"
    return file_of(whole)


def file_of(text: str) -> bytes:
    """A text as an attachment, up to Discord's size of a file."""
    return cut(text, limits.FILE_BYTES // 4)[0].encode(errors="replace")
