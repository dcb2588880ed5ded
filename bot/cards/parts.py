"""What cards have in common: tones, times, values and files as people read them; the menu. Pure."""

import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.conversation import Action, Card, Fact, FileRef, Person, Tone
from bot.links import ActionIds
from bot.texts import code, plain, shorten
from engine.core.execution import Execution
from engine.core.state import State

TONES: dict[State, Tone] = {
    State.SUCCESS: "success",
    State.WARNING: "warning",
    State.FAILED: "danger",
    State.KILLED: "danger",
    State.CANCELLED: "danger",
    State.PAUSED: "paused",
    State.KILLING: "warning",
    State.CREATED: "info",
    State.QUEUED: "info",
}
STATE_WORDS: dict[State, str] = {
    State.CREATED: "starting",
    State.QUEUED: "waiting for its turn",
    State.RUNNING: "running",
    State.RESTARTED: "starting again",
    State.PAUSED: "waiting for an answer",
    State.KILLING: "being stopped",
    State.RETRYING: "trying again",
    State.SUCCESS: "done",
    State.WARNING: "done with warnings",
    State.FAILED: "failed",
    State.KILLED: "stopped",
    State.CANCELLED: "cancelled",
    State.SKIPPED: "skipped",
    State.RETRIED: "replaced by a retry",
}
PLATFORMS = {"slack": "Slack", "discord": "Discord", "web": "the web page", "cli": "the command line", "": "the engine"}
MAX_VALUE = 300
MAX_FILES = 4
ELAPSED = "Elapsed"
READY = "Done around"


def tone(state: State) -> Tone:
    """The colour of a state."""
    return TONES.get(state, "running")


def due(execution: Execution) -> datetime | None:
    """The date of its schedule that a run stands for; None for one that nobody scheduled."""
    date = execution.origin.variables.get("date") if execution.origin is not None else None
    try:
        found = datetime.fromisoformat(str(date))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def elapsed(seconds: float) -> str:
    """A duration as people say it: `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`."""
    seconds = max(seconds, 0.0)  # a clock that was set back makes an end earlier than its beginning
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s" if whole else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def utc(when: datetime) -> str:
    """A time for readers whose zone is not known."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def local(when: datetime, zone: str | None) -> str:
    """A time on the reader's own clock, where their zone is known: `2026-03-31 14:00 BST`."""
    try:
        place = ZoneInfo(zone) if zone else UTC
    except (ZoneInfoNotFoundError, ValueError):
        place = UTC
    return when.astimezone(place).strftime("%Y-%m-%d %H:%M %Z")


def for_reader(when: datetime, person: Person) -> str:
    """A time for somebody: in UTC where their platform draws it in their zone, else on their own clock."""
    return utc(when) if person.platform in ("slack", "discord") else local(when, person.zone)


def time_fact(label: str, when: datetime) -> Fact:
    """A labelled time; platforms draw it in the reader's zone."""
    return Fact(label, utc(when), at=when)


def value_text(value: Any, limit: int = MAX_VALUE) -> str:
    """A value of a flow as Markdown: text literally, numbers as they are, anything nested as JSON in code marks."""
    if isinstance(value, str):
        return plain(value, limit) or "\u2013"
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    return code(json.dumps(value, ensure_ascii=False, default=str), limit)


def uris(value: Any, depth: int = 6) -> Iterator[str]:
    """Internal storage URIs anywhere inside a value, in order."""
    if isinstance(value, str):
        if value.startswith("kestra:///") and len(value) < 2000 and "\n" not in value:
            yield value
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from uris(inner, depth - 1)
    elif depth and isinstance(value, Sequence) and not isinstance(value, bytes):
        for inner in value:
            yield from uris(inner, depth - 1)


def files(value: Any, *, images_only: bool, limit: int = MAX_FILES) -> tuple[FileRef, ...]:
    """Files named in a value, each once."""
    found: list[FileRef] = []
    for uri in dict.fromkeys(uris(value)):
        name = uri.rsplit("/", 1)[-1]
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if media_type.startswith("image/") or not images_only:
            found.append(FileRef(uri, name, media_type, alt=name))
    return tuple(found[:limit])


def output_facts(outputs: Mapping[str, Any] | None, limit: int = 6) -> tuple[Fact, ...]:
    """The results of a run; what is beyond the limit is counted."""
    if not outputs:
        return ()
    shown = [Fact(shorten(key, 60), value_text(value), short=False) for key, value in list(outputs.items())[:limit]]
    if len(outputs) > limit:
        shown.append(Fact("More", f"{len(outputs) - limit} further outputs"))
    return tuple(shown)


def menu(ids: ActionIds, pending: int, *, name: str = "") -> Card:
    """What the command without words shows."""
    waiting = f"Pending ({pending})" if pending else "Pending"
    actions: tuple[Action, ...] = (
        ids.button("ls", "flows", "Run\u2026"),
        ids.button("ls", "pending", waiting),
        ids.button("ls", "runs", "My runs"),
        ids.button("ls", "help", "Help"),
    )
    hello = f"Hello {plain(name, 60)}. " if name else ""
    body = hello + "Start a flow, answer what waits for you, or look at your runs."
    return Card(
        "menu", "menu", "info", "Parley", body=body, actions=actions, fallback="Parley: run, pending, runs, help"
    )


def rounds(execution: Execution, task_run_id: str) -> list[str]:
    """The values of the loops that a task run is in, the outermost first."""
    values: list[str] = []
    run = execution.task_runs.get(task_run_id)
    while run is not None:
        above = execution.task_runs.get(run.parent_id or "")
        items = above.rendered.get("items") if above is not None else None  # of a Loop, whose runs carry numbers
        if items and run.value is not None:
            values.insert(0, items[int(run.value)][0])
        elif run.value is not None and (above is None or (above.value, above.iteration) != (run.value, run.iteration)):
            values.insert(0, run.value)
        run = above
    return values


def in_round(label: str, values: Sequence[str]) -> str:
    """What a question is about, with the values it is asked for: of several rounds each has a card of its own."""
    return f"{label} for {' / '.join(code(value, 40) for value in values)}" if values else label
