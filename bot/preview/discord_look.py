"""Discord's component JSON as HTML that looks like Discord."""

import html
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
_CODE = re.compile(r"```(?:\w*\n)?(.+?)```|`([^`\n]+)`", re.DOTALL)
_TIME = re.compile(r"&lt;t:(\d+)(?::(\w))?&gt;")
_AGO = re.compile(r"<t:(\d+):R>")
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_ADDRESS = re.compile(r"&lt;(https?://[^\s<>]+?)&gt;")
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
STYLE = (Path(__file__).parent / "discord.css").read_text(encoding="utf-8")


def counted_from(now: datetime, payload: Json) -> Json:
    """The payload with what Discord counts from the present counted from `now`."""
    counted: Json = json.loads(_AGO.sub(lambda found: _distance(int(found[1]) - now.timestamp()), json.dumps(payload)))
    return counted


def _distance(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(seconds) >= size), (1, "second"))
    count = round(abs(seconds) / size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return "now" if count == 0 else f"in {words}" if seconds > 0 else f"{words} ago"


def message(payload: Json, name: str = "Parley") -> str:
    """A message as HTML."""
    inside = f'<div class="text">{markdown(str(payload["content"]))}</div>' if payload.get("content") else ""
    inside += "".join(_component(component) for component in payload.get("components") or ())
    head = f'<span class="name">{html.escape(name)}</span><span class="app">APP</span><span class="when">14:02</span>'
    return f'<div class="discord"><div class="face">P</div><div><div>{head}</div>{inside}</div></div>'


def modal(payload: Json) -> str:
    """A modal as HTML."""
    inside = "".join(_component(component) for component in payload.get("components") or ())
    title = html.escape(str(payload.get("title") or ""))
    buttons = '<div class="foot"><span class="button quiet">Cancel</span><span class="button s1">Submit</span></div>'
    head = f'<div class="title"><h2>{title}</h2><span class="close">✕</span></div>'
    return f'<div class="discord window">{head}{inside}{buttons}</div>'


def markdown(text: str) -> str:
    """Discord's Markdown."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        block, inline = found.groups()
        kept.append(f"<pre>{block}</pre>" if block else f"<code>{inline}</code>")
        return f"\0{len(kept) - 1}\0"

    safe = _CODE.sub(keep, html.escape(text.replace("\0", ""), quote=False))
    safe = re.sub(r"\\(&(?:amp|lt|gt);|[!-/:-@\[-`{-~])", _escaped, safe)
    safe = _TIME.sub(_time, safe)
    safe = _ADDRESS.sub(lambda m: f'<a href="{html.escape(m[1], quote=True)}">{m[1]}</a>', safe)
    safe = _LINK.sub(lambda m: f'<a href="{html.escape(m[2], quote=True)}">{m[1]}</a>', safe)
    safe = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", safe)
    safe = re.sub(r"(?<![\w*])[*_]([^*_\n]+)[*_](?![\w*])", r"<i>\1</i>", safe)
    lines = [_line(line) for line in safe.split("\n")]
    return re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], "".join(lines))


def _escaped(found: re.Match[str]) -> str:
    return f"&#{ord(html.unescape(found[1]))};"


def _time(found: re.Match[str]) -> str:
    """A moment, which Discord draws in the reader's zone."""
    return datetime.fromtimestamp(int(found[1]), UTC).strftime("%d %b %Y %H:%M")


def _line(line: str) -> str:
    for mark, tag in (("### ", "h3"), ("## ", "h2"), ("# ", "h1"), ("-# ", "small")):
        if line.startswith(mark):
            end = "<br>" if tag == "small" else ""
            return f"<{tag}>{line[len(mark) :]}</{tag}>{end}"
    return f"{line}<br>"


def _component(component: Json) -> str:
    draw = _KINDS.get(int(component.get("type") or 0))
    return draw(component) if draw else ""


def _inside(component: Json) -> str:
    return "".join(_component(child) for child in component.get("components") or ())


def _container(component: Json) -> str:
    accent = component.get("accent_color")
    style = f' style="--accent:#{int(accent):06x}"' if accent is not None else ""
    return f'<div class="container"{style}>{_inside(component)}</div>'


def _button(component: Json) -> str:
    label = html.escape(str(component.get("label") or ""))
    return f'<span class="button s{int(component.get("style") or 2)}">{label}</span>'


def _label(component: Json) -> str:
    about = component.get("description")
    inner = _component(component.get("component") or {})
    small = f"<small>{html.escape(str(about))}</small>" if about else ""
    must = ' <b class="must">*</b>' if (component.get("component") or {}).get("required", True) else ""
    return f'<label dir="auto">{html.escape(str(component.get("label") or ""))}{must}</label>{small}{inner}'


def _choices(component: Json) -> str:
    empty, full = ("☐", "☑") if int(component["type"]) in (22, 23) else ("◯", "◉")
    return "".join(
        f'<div class="choice">{full if option.get("default") else empty} {html.escape(str(option.get("label")))}</div>'
        for option in component.get("options") or ()
    )


def _box(component: Json) -> str:
    chosen = ", ".join(str(option["label"]) for option in component.get("options") or () if option.get("default"))
    given = component.get("value") or chosen
    hint = component.get("placeholder") or ("Make a selection" if component["type"] == 3 else " ")
    kind = "box menu" if component["type"] == 3 else "box tall" if component.get("style") == 2 else "box"
    shown = html.escape(str(given or hint)).replace("\n", "<br>")
    return f'<div class="{kind}{" given" if given else ""}" dir="auto">{shown}</div>'


def _gallery(component: Json) -> str:
    return "".join(
        f'<img src="{html.escape(str(item["media"]["url"]), quote=True)}" alt="">' for item in component["items"]
    )


def _section(component: Json) -> str:
    return f'<div class="section"><div>{_inside(component)}</div>{_component(component.get("accessory") or {})}</div>'


_KINDS: dict[int, Callable[[Json], str]] = {
    1: lambda component: f'<div class="row">{_inside(component)}</div>',
    2: _button,
    3: _box,
    4: _box,
    9: _section,
    10: lambda component: f'<div class="text">{markdown(str(component.get("content") or ""))}</div>',
    11: lambda component: f'<img src="{html.escape(str(component["media"]["url"]), quote=True)}" alt="" width="80">',
    12: _gallery,
    13: lambda component: f'<div class="box">📎 {html.escape(str(component["file"]["url"]))}</div>',
    14: lambda _: "<hr>",
    17: _container,
    18: _label,
    19: lambda _: '<div class="box">📎 Choose a file</div>',
    21: _choices,
    22: _choices,
    23: lambda component: f"<div>☐ {html.escape(str(component.get('label') or ''))}</div>",
}
