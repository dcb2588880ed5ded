"""Block Kit as HTML that looks like Slack."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_MARKS = {"<": "\1", ">": "\2"}  # what opens and closes something of Slack's own; in data they are entities
_LINK = re.compile("\1(https?://[^|\2]+|mailto:[^|\2]+)\\|([^\2]+?)\2")
_ADDRESS = re.compile("\1(https?://[^|\\s\2]+?)\2")
_MENTION = re.compile("\1@(\\w+)\2")
_MENUS = frozenset(
    {"static_select", "external_select", "multi_static_select", "multi_external_select", "datepicker", "timepicker",
     "datetimepicker"}
)  # fmt: skip
_EMPTY = {
    "static_select": "Select an option", "external_select": "Select an option", "datepicker": "Select a date",
    "multi_static_select": "Select options", "multi_external_select": "Select options", "timepicker": "Select a time",
    "datetimepicker": "Select a date and time", "file_input": "📎 Upload a file",
}  # fmt: skip
_DATA = re.compile("\1!date\\^0+\\^\\{_\\}\\|([^\\n]*?)\2")  # what Slack can't draw as a date it shows as it is
_DATE = re.compile("\1!date\\^(\\d+)\\^[^|]*\\|([^\2]+?)\2")
STYLE = (Path(__file__).parent / "slack.css").read_text(encoding="utf-8")


def message(payload: Json, name: str = "Parley") -> str:
    """A message (`blocks`, or `attachments` with a colour bar) as HTML."""
    inside = "".join(_block(block) for block in payload.get("blocks") or ())
    for attachment in payload.get("attachments") or ():
        colour = html.escape(str(attachment.get("color") or "#ddd"), quote=True)
        blocks = "".join(_block(block) for block in attachment.get("blocks") or ())
        inside += (
            f'<div class="bar" style="--bar:{colour}">{blocks or _mrkdwn(str(attachment.get("text") or ""))}</div>'
        )
    if not inside:
        inside = f'<div class="block">{_mrkdwn(str(payload.get("text") or ""))}</div>'
    head = f'<span class="name">{html.escape(name)}</span><span class="app">APP</span><span class="when">14:02</span>'
    return f'<div class="slack"><div class="face">P</div><div><div>{head}</div>{inside}</div></div>'


def modal(view: Json) -> str:
    """A modal view as HTML."""
    title, submit = _plain(view.get("title")), _plain(view.get("submit"))
    inside = "".join(_block(block) for block in view.get("blocks") or ())
    button = f'<span class="button primary">{submit}</span>' if submit else ""
    close = _plain(view.get("close")) or "Cancel"
    head = f'<div class="title"><span class="face">P</span><h3>{title}</h3><span class="close">✕</span></div>'
    foot = f'<div class="foot"><span class="button">{close}</span>{button}</div>'
    return f'<div class="slack window">{head}<div class="inside">{inside}</div>{foot}</div>'


def _block(block: Json) -> str:
    kind = str(block.get("type"))
    draw = _BLOCKS.get(kind)
    return f'<div class="block">{draw(block)}</div>' if draw else f'<div class="block hint">[{html.escape(kind)}]</div>'


def _section(block: Json) -> str:
    out = _text(block.get("text")) if block.get("text") else ""
    if block.get("fields"):
        out += '<div class="fields">' + "".join(f"<div>{_text(field)}</div>" for field in block["fields"]) + "</div>"
    return out + (_element(block["accessory"]) if block.get("accessory") else "")


def _image(block: Json) -> str:
    source = str(block.get("image_url") or "")
    alt = html.escape(str(block.get("alt_text") or ""), quote=True)
    return f'<img src="{html.escape(source, quote=True)}" alt="{alt}">'


def _input(block: Json) -> str:
    hint = f'<div class="hint">{_plain(block.get("hint"))}</div>' if block.get("hint") else ""
    optional = " <span class=hint>(optional)</span>" if block.get("optional") else ""
    return f"<label dir=auto>{_plain(block.get('label'))}{optional}</label>{_element(block['element'])}{hint}"


def _element(element: Json) -> str:
    kind = str(element.get("type"))
    if kind == "button":
        style = html.escape(str(element.get("style") or ""))
        return f'<span class="button {style}">{_plain(element.get("text"))}</span>'
    if kind == "image":
        return _image(element)
    if kind in ("radio_buttons", "checkboxes"):
        empty, full = ("◯", "◉") if kind == "radio_buttons" else ("☐", "☑")
        chosen = [element.get("initial_option"), *(element.get("initial_options") or ())]
        return "".join(
            f'<div class="choice">{full if option in chosen else empty} {_plain(option.get("text"))}</div>'
            for option in _options(element)
        )
    if kind == "mrkdwn" or kind == "plain_text":
        return _text(element)
    shown = _given(element)
    given = html.escape(shown).replace("\n", "<br>") or _plain(element.get("placeholder"))
    look = "box menu" if kind in _MENUS else "box tall" if element.get("multiline") else "box"
    return f'<div class="{look}{" given" if shown else ""}" dir="auto">{given or _EMPTY.get(kind, "&nbsp;")}</div>'


def _given(element: Json) -> str:
    """What stands in an element beforehand."""
    chosen = [element.get("initial_option"), *(element.get("initial_options") or ())]
    labels = [str(option["text"]["text"]) for option in chosen if option]
    if (epoch := element.get("initial_date_time")) is not None:
        return datetime.fromtimestamp(int(epoch), UTC).strftime("%d %b %Y %H:%M")
    for key in ("initial_value", "initial_date", "initial_time"):
        if element.get(key):
            return str(element[key])
    return ", ".join(labels)


def _options(element: Json) -> Sequence[Json]:
    found: Sequence[Json] = element.get("options") or ()
    return found


def _text(value: Any) -> str:
    if not value:
        return ""
    return _mrkdwn(str(value.get("text") or "")) if value.get("type") == "mrkdwn" else _plain(value)


def _plain(value: Any) -> str:
    return html.escape(str((value or {}).get("text") or "")).replace("\n", "<br>")


def _quoted(escaped: str) -> str:
    return escaped.replace('"', "&quot;")


def _mrkdwn(text: str) -> str:
    """Slack's own markup; `&amp; &lt; &gt;` are already entities in it."""
    bare = re.sub("[\0-\2]", "", text)
    safe = html.escape(html.unescape(re.sub("[<>]", lambda found: _MARKS[found[0]], bare)), quote=False)
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        block, inline = found.groups()
        kept.append(f"<pre>{block.strip()}</pre>" if block else f"<code>{inline}</code>")
        return f"\0{len(kept) - 1}\0"

    def as_it_is(found: re.Match[str]) -> str:
        kept.append(found[1])
        return f"\0{len(kept) - 1}\0"

    safe = _CODE.sub(keep, _DATA.sub(as_it_is, safe))
    safe = _DATE.sub(lambda m: datetime.fromtimestamp(int(m[1]), UTC).strftime("%d %b %Y %H:%M"), safe)
    safe = _LINK.sub(lambda m: f'<a href="{_quoted(m[1])}">{m[2]}</a>', safe)
    safe = _ADDRESS.sub(lambda m: f'<a href="{_quoted(m[1])}">{m[1]}</a>', safe)
    safe = re.sub(r"(?<!\w)\*(?=\S)([^*\n]+)(?<=\S)\*(?!\w)", r"<b>\1</b>", safe)
    safe = re.sub(r"(?<!\w)_(?=\S)([^_\n]+)(?<=\S)_(?!\w)", r"<i>\1</i>", safe)
    safe = re.sub(r"(?<!\w)~(?=\S)([^~\n]+)(?<=\S)~(?!\w)", r"<s>\1</s>", safe)
    safe = _MENTION.sub(r"<b>@\1</b>", safe).replace("\n", "<br>")
    safe = re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], safe)
    return safe.replace("\1", "&lt;").replace("\2", "&gt;")


def _joined(block: Json) -> str:
    return "".join(_element(element) for element in block.get("elements") or ())


_BLOCKS: dict[str, Callable[[Json], str]] = {
    "header": lambda block: f"<h3>{_plain(block.get('text'))}</h3>",
    "section": _section,
    "context": lambda block: f'<div class="context">{_joined(block)}</div>',
    "actions": _joined,
    "image": _image,
    "divider": lambda _: "<hr>",
    "input": _input,
}
