"""What the page shows, as HTML. Pure: the conversation's values in, text out; whatever came from outside is escaped."""

import hashlib
import json
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from bot.commands.references import short
from bot.conversation import Form
from bot.forms.values import files_in
from bot.web.body import MAX_BODY
from engine.core.json_text import read_json

if TYPE_CHECKING:  # loaded with the first page that shows such text
    from markdown_it import MarkdownIt

HERE = Path(__file__).parent
INLINE_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

MARKS = {
    "CREATED": "○", "QUEUED": "○", "RUNNING": "◐", "RESTARTED": "◐", "KILLING": "◐", "PAUSED": "⏸\ufe0e",
    "RETRYING": "↻",
    "SUCCESS": "✔", "WARNING": "▲", "FAILED": "✖", "KILLED": "■", "CANCELLED": "■", "SKIPPED": "–", "RETRIED": "↻",
}  # fmt: skip
INPUT_TYPES = {
    "INT": "number", "FLOAT": "number", "DATE": "date", "TIME": "time", "EMAIL": "email", "SECRET": "password",
}  # fmt: skip


@cache
def _markdown() -> "MarkdownIt":
    """For text of people and flows: no raw HTML, no images from elsewhere."""
    from markdown_it import MarkdownIt  # noqa: PLC0415

    return MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image").enable("strikethrough")


@cache
def _document() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def markdown(text: object) -> Markup:
    """CommonMark to HTML; HTML in the text shows as text."""
    return Markup(_markdown().render(str(text)))  # noqa: S704 - the renderer escapes, raw HTML is off


def inline(text: object) -> Markup:
    """One line of CommonMark to HTML."""
    return Markup(_markdown().renderInline(str(text)))  # noqa: S704 - as above


def document(text: str) -> Markup:
    """A page of our own documentation to HTML."""
    return Markup(_document().render(text))  # noqa: S704 - our own files


def file_url(uri: str) -> str:
    """Where the page serves a file of internal storage."""
    return "/files/" + uri.removeprefix("kestra:///")


def media_type(name: str) -> str:
    """Media type by file name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def duration_text(span: timedelta) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = max(span.total_seconds(), 0.0)  # a clock that was set back makes an end earlier than its beginning
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def as_texts(value: object) -> list[str]:
    """A MULTISELECT's value as texts."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    text = str(value)
    if text.startswith("["):
        try:
            return [str(item) for item in read_json(text)]
        except ValueError:
            return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def joined(value: object) -> str:
    """A value as it stands in a text field."""
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def truthy(value: object) -> bool:
    """Whether a BOOLEAN field's text means yes."""
    last = value[-1] if isinstance(value, (list, tuple)) and value else value
    return str(last).lower() in ("true", "yes", "on", "1")


def value_html(value: Any) -> Markup:
    """An input or output: storage files as links or pictures, structures as JSON."""
    if isinstance(value, str) and value.startswith("kestra:///"):
        name = value.rsplit("/", 1)[-1]
        link = Markup('<a href="{0}">{1}</a>').format(file_url(value), name)
        if media_type(name) in INLINE_IMAGES:
            return Markup('<a class="picture" href="{0}"><img src="{0}" alt="{1}"></a>').format(file_url(value), name)
        return link
    if isinstance(value, (dict, list, tuple)):
        return Markup("<code>{0}</code>").format(json.dumps(value, ensure_ascii=False, default=str))
    return Markup("{0}").format("" if value is None else str(value))


def _took(run: Any, now: datetime) -> str:
    return duration_text((run.ended or now) - run.created)


def _trigger_text(trigger: Any) -> str:
    cron = getattr(trigger, "cron", None)
    return f"runs on schedule {cron}" if cron else f"started by {type(trigger).__name__}"


environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILTERS: dict[str, Callable[..., object]] = {
    "markdown": markdown,
    "inline": inline,
    "document": document,
    "file_url": file_url,
    "kind": lambda value: type(value).__name__,
    "mark": lambda state: MARKS.get(str(state), "·"),
    "texts": as_texts,
    "joined": joined,
    "truthy": truthy,
    "file_names": lambda value: [file.name for file in files_in(value)],
    "input_type": lambda name: INPUT_TYPES.get(name, "text"),
    "value_html": value_html,
    "took": _took,
    "shape": lambda form: shape(form),
    "short": lambda run: short(run.id),
    "trigger_text": _trigger_text,
}
environment.filters |= _FILTERS
environment.globals["max_upload"] = MAX_BODY // (1024 * 1024)


def shape(form: Form) -> str:
    """A fingerprint of a form's fields: what was sent from a page of another shape must not be read with this form."""
    told = json.dumps([(field.id, field.type) for field in form.fields])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def page(template: str, **names: Any) -> str:
    """A whole page."""
    return environment.get_template(template).render(**names)


def part(macro: str, *arguments: Any, **names: Any) -> str:
    """One macro of parts.html, for what is sent to an open page."""
    module: Any = environment.get_template("parts.html").module
    return str(getattr(module, macro)(*arguments, **names))


def timeline(runs: Sequence[Any], now: datetime, limit: int = 500) -> tuple[list[dict[str, Any]], int]:
    """Rows of the timeline (offsets in percent of the whole run) and how many task runs were left out."""
    if not runs:
        return [], 0
    begin = min(run.histories[0][1] for run in runs)
    end = max([now if not run.state.is_terminal else run.histories[-1][1] for run in runs])
    whole = max((end - begin).total_seconds(), 0.001)
    depth: dict[str, int] = {}
    rows = []
    for run in runs:
        depth[run.id] = depth.get(run.parent_id or "", -1) + 1
    for run in _ordered(runs)[:limit]:
        first = run.histories[0][1]
        last = run.histories[-1][1] if run.state.is_terminal else now
        rows.append(
            {
                "label": run.task_id,
                "value": run.value,
                "state": str(run.state),
                "depth": depth[run.id],
                "start": round((first - begin).total_seconds() / whole * 100, 2),
                "width": max(round((last - first).total_seconds() / whole * 100, 2), 0.3),
                "took": duration_text(last - first),
                "attempts": len(run.attempts),
            }
        )
    return rows, max(len(runs) - limit, 0)


def _ordered(runs: Sequence[Any]) -> list[Any]:
    """Children right after their parents, each level in order of creation."""
    children: dict[str | None, list[Any]] = {}
    known = {run.id for run in runs}
    for run in runs:
        children.setdefault(run.parent_id if run.parent_id in known else None, []).append(run)
    out: list[Any] = []
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        run = waiting.pop()
        out.append(run)
        waiting += reversed(children.get(run.id, []))
    return out


def pretty(value: Mapping[str, Any]) -> str:
    """A task's outputs as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
