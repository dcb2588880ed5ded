"""The task runs of an execution along its time, as a picture. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from bot.cards.parts import STATE_WORDS, elapsed, utc
from bot.commands.references import short
from bot.pictures import svg
from engine.core.execution import Execution, TaskRun
from engine.core.state import State

WIDTH, MARGIN, ROW, BAR = 960.0, 20.0, 24.0, 14.0
NAMES = 290.0  # the column of the tasks' names
TRACK = MARGIN + NAMES + 16
TRACK_WIDTH = WIDTH - MARGIN - TRACK
HEAD, AXIS = 58.0, 26.0
MAX_ROWS = 80
MAX_DEPTH = 6
LEAST = 3.0  # a bar is never thinner
COLOURS: dict[State, str] = {
    State.SUCCESS: "#2e8b62",
    State.WARNING: "#b97a12",
    State.FAILED: "#c2413b",
    State.KILLED: "#c2413b",
    State.CANCELLED: "#c2413b",
    State.SKIPPED: "#9aa8b5",
    State.RETRIED: "#9aa8b5",
    State.PAUSED: "#7a55a8",
}
RUNNING, WAITING = "#3a6ea5", "#dbe2e9"
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_WAITS = frozenset({State.CREATED, State.QUEUED, State.RETRYING})


def says_more(execution: Execution) -> bool:
    """Whether a picture tells what lines of text don't: several tasks, and one that took its time."""
    runs = execution.task_runs.values()
    return len(runs) >= 4 and (execution.histories[-1][1] - execution.created).total_seconds() >= 1


def timeline(execution: Execution, now: datetime) -> str:
    """Each task run as a bar, in order of creation, children below their parents; waits are pale, pauses hatched."""
    begin, end = execution.created, execution.ended or now
    whole = max((end - begin).total_seconds(), 0.05)
    ordered = list(_ordered(list(execution.task_runs.values())))
    shown = ordered[:MAX_ROWS]
    bottom = HEAD + AXIS + len(shown) * ROW
    parts = [_HATCH, *_head(execution, whole), *_axis(whole, bottom)]
    for number, (run, depth) in enumerate(shown):
        parts += _row(run, depth, HEAD + AXIS + number * ROW, begin, end, whole)
    if not shown:
        parts.append(svg.text(MARGIN, bottom + 16, "No task has started.", fill=svg.QUIET))
        bottom += ROW
    if more := len(ordered) - len(shown):
        parts.append(svg.text(MARGIN, bottom + 17, f"{more} further task runs are not shown", 12, fill=svg.QUIET))
        bottom += ROW
    return svg.document(WIDTH, bottom + MARGIN, parts, f"Timeline of {execution.flow_id} {short(execution.id)}")


_HATCH = (
    '<defs><pattern id="pause" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="6" height="6" fill="#e6ddf1"/><rect width="2.5" height="6" fill="{COLOURS[State.PAUSED]}"/>'
    "</pattern></defs>"
)


def _head(execution: Execution, whole: float) -> list[str]:
    state = svg.fit(STATE_WORDS[execution.state], 13, 200)
    pill = svg.measure(state, 13) + 20
    colour = COLOURS.get(execution.state, RUNNING)
    title = svg.fit(execution.flow_id, 19, WIDTH - 2 * MARGIN - pill - 30)
    about = f"run {short(execution.id)} \u00b7 {utc(execution.created)} \u00b7 {elapsed(whole)}"
    return [
        svg.text(MARGIN, 32, title, 19, bold=True),
        svg.text(MARGIN, 51, about, 12, fill=svg.QUIET),
        svg.rect(WIDTH - MARGIN - pill, 16, pill, 24, colour, radius=12),
        svg.text(WIDTH - MARGIN - pill / 2, 32.5, state, 13, fill=svg.PAPER, anchor="middle", bold=True),
    ]


def _axis(whole: float, bottom: float) -> Iterator[str]:
    step = next((one for one in _STEPS if whole / one <= 6), None) or 86400 * max(1, round(whole / 86400 / 5))
    for number in range(int(whole / step) + 1):
        x = TRACK + number * step / whole * TRACK_WIDTH
        yield svg.line(x, HEAD + AXIS - 6, x, bottom)
        label = "0" if number == 0 else _tick(number * step)
        anchor = "end" if x > WIDTH - MARGIN - 24 else "middle" if number else "start"
        yield svg.text(x, HEAD + AXIS - 10, label, 11, fill=svg.QUIET, anchor=anchor)


def _tick(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds:.1f} s"
    return " ".join(part for part in _units(round(seconds)) if part)


def _units(seconds: int) -> Iterator[str]:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    for count, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")):
        yield f"{count} {unit}" if count else ""


def _row(run: TaskRun, depth: int, y: float, begin: datetime, end: datetime, whole: float) -> Iterator[str]:
    indent = min(depth, MAX_DEPTH) * 14
    room = NAMES - indent
    value = svg.fit(run.value, 11, room * 0.45) if run.value is not None else ""
    used = svg.measure(value, 11) + 8 if value else 0
    name = svg.fit(run.task_id, 13, room - used)
    yield svg.line(MARGIN, y + ROW, WIDTH - MARGIN, y + ROW, svg.GROUND)
    yield svg.text(MARGIN + indent, y + 16.5, name, 13)
    if value:
        yield svg.text(MARGIN + NAMES, y + 16.5, value, 11, fill=svg.QUIET, anchor="end")

    def at(moment: datetime) -> float:
        return TRACK + min(max((moment - begin).total_seconds() / whole, 0), 1) * TRACK_WIDTH

    last = run.histories[-1][1] if run.state.is_terminal else end
    first, top = at(run.histories[0][1]), y + (ROW - BAR) / 2
    colour = COLOURS.get(run.state, RUNNING)
    spans = list(pairwise([*run.histories, (run.state, last)]))
    for (state, since), (_, until) in spans:
        if state.is_terminal or until <= since:
            continue
        fill = "url(#pause)" if state is State.PAUSED else WAITING if state in _WAITS else colour
        yield svg.rect(at(since), top, max(at(until) - at(since), 0.5), BAR, fill, radius=1.5)
    right = at(last)
    if right - first < LEAST:
        right = min(first + LEAST, TRACK + TRACK_WIDTH)
        yield svg.rect(right - LEAST, top, LEAST, BAR, colour, radius=1.5)
    took = elapsed((last - run.histories[0][1]).total_seconds())
    note = took + (f" \u00b7 {len(run.attempts)} tries" if len(run.attempts) > 1 else "")
    beside = right + 6 + svg.measure(note, 11) <= WIDTH - MARGIN
    if beside:
        yield svg.text(right + 6, y + 16, note, 11, fill=svg.QUIET)
    elif first - TRACK > svg.measure(note, 11) + 6:
        yield svg.text(first - 6, y + 16, note, 11, fill=svg.QUIET, anchor="end")
    else:
        yield svg.text(right - 6, y + 16, note, 11, fill=svg.PAPER, anchor="end")


def _ordered(runs: Sequence[TaskRun]) -> Iterator[tuple[TaskRun, int]]:
    """Children right after their parents, with their depth."""
    known = {run.id for run in runs}
    children: dict[str | None, list[TaskRun]] = {}
    for run in runs:
        children.setdefault(run.parent_id if run.parent_id in known else None, []).append(run)
    waiting = [(run, 0) for run in reversed(children.get(None, []))]
    while waiting:
        run, depth = waiting.pop()
        yield run, depth
        waiting += [(child, depth + 1) for child in reversed(children.get(run.id, []))]
