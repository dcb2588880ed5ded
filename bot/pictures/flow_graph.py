"""A flow's tasks as a picture: one below the other, branches side by side, boxes around what belongs together. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.cards.outline import branches
from bot.pictures import svg
from engine.core.flow import Flow
from engine.core.task import Task

MARGIN, GAP, PAD = 20.0, 22.0, 14.0
BOX_WIDTH, BOX_HEIGHT, LABEL = 220.0, 46.0, 24.0
MAX_TASKS = 120  # drawn; the rest of a list is counted
MAX_ACROSS = 6  # branches side by side
MAX_DEPTH = 6
_ASKS = (".Pause", ".Approval", ".HumanTask")
_ARROW = "#8896a4"
_SECTIONS = (("errors", "when something fails", "#c2413b"), ("finally_", "finally", "#5f6f7f"),
             ("after_execution", "after the run", "#5f6f7f"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """A piece of the picture with its size; arrows meet it in the middle of its upper and lower side."""

    width: float
    height: float
    parts: tuple[str, ...]

    def at(self, x: float, y: float) -> str:
        """The piece moved to a place."""
        return f'<g transform="translate({x:.1f} {y:.1f})">{"".join(self.parts)}</g>'


@dataclass(slots=True)
class _Budget:
    left: int = MAX_TASKS


def flow_graph(flow: Flow) -> str:
    """All of a flow, with what starts it above and what it does about failures below."""
    budget = _Budget()
    pieces = [_sequence(flow.tasks, budget, 0)]
    for name, title, colour in _SECTIONS:
        if tasks := getattr(flow, name):
            pieces.append(_frame(title, (_sequence(tasks, budget, 1),), colour, dashed=True))
    starts = svg.fit(_starts(flow), 12, max(BOX_WIDTH, *(piece.width for piece in pieces)))
    width = max(*(piece.width for piece in pieces), svg.measure(flow.id, 19), svg.measure(starts, 12), 320.0)
    parts = [
        _MARKER,
        svg.text(MARGIN, 32, svg.fit(flow.id, 19, width), 19, bold=True),
        svg.text(MARGIN, 51, starts, 12, fill=svg.QUIET),
    ]
    y = 72.0
    for piece in pieces:
        parts.append(piece.at(MARGIN + (width - piece.width) / 2, y))
        y += piece.height + GAP
    return svg.document(width + 2 * MARGIN, y - GAP + MARGIN, parts, f"The flow {flow.namespace}/{flow.id}")


_MARKER = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{_ARROW}"/></marker></defs>'
)


def _starts(flow: Flow) -> str:
    kinds = [f"{trigger.id} ({trigger.type.rpartition('.')[2]})" for trigger in flow.triggers]
    return f"{flow.namespace} \u00b7 {'starts by ' + ', '.join(kinds) if kinds else 'starts when somebody runs it'}"


def _sequence(tasks: Sequence[Task], budget: _Budget, depth: int) -> Drawn:
    """One below the other, with arrows."""
    pieces: list[Drawn] = []
    for number, task in enumerate(tasks):
        if budget.left <= 0:
            pieces.append(_note(f"{len(tasks) - number} more"))
            break
        pieces.append(_task(task, budget, depth))
    return _below(pieces)


def _below(pieces: Sequence[Drawn]) -> Drawn:
    width = max((piece.width for piece in pieces), default=BOX_WIDTH)
    parts: list[str] = []
    y = 0.0
    for number, piece in enumerate(pieces):
        if number:
            parts.append(svg.line(width / 2, y - GAP + 1, width / 2, y - 1, _ARROW, marker_end="url(#arrow)"))
        parts.append(piece.at((width - piece.width) / 2, y))
        y += piece.height + GAP
    return Drawn(width, max(y - GAP, BOX_HEIGHT), tuple(parts))


def _task(task: Task, budget: _Budget, depth: int) -> Drawn:
    budget.left -= 1
    inner = [(name, tasks) for name, tasks in branches(task) if tasks]
    if not inner or budget.left <= 0 or depth >= MAX_DEPTH:
        return _box(task, sum(len(tasks) for _, tasks in inner))
    kind = task.type.rpartition(".")[2]
    if task.type.endswith(".Dag"):
        return _frame(f"{task.id} \u00b7 {kind}", (_levels(task, budget, depth + 1),), "#3a6ea5")
    if task.type.endswith(".Parallel") and len(inner) == 1:
        inner = [("", (one,)) for one in inner[0][1]]
    shown = inner[:MAX_ACROSS]
    columns = [
        _labelled(name if len(inner) > 1 or name != "tasks" else "", _sequence(tasks, budget, depth + 1))
        for name, tasks in shown
    ]
    if more := len(inner) - len(shown):
        columns.append(_note(f"{more} more"))
    colour = "#7a55a8" if task.type.endswith(_ASKS) else "#3a6ea5"
    return _frame(f"{task.id} \u00b7 {kind}", columns, colour)


def _levels(dag: Task, budget: _Budget, depth: int) -> Drawn:
    """The tasks of a Dag: those that wait for nothing in the first row, those that wait for them in the next."""
    entries = getattr(dag, "tasks", ())
    needs = {entry.task.id: set(entry.depends_on) for entry in entries}
    rows: list[Drawn] = []
    placed: set[str] = set()
    while left := [entry.task for entry in entries if entry.task.id not in placed]:
        ready = [task for task in left if not (needs[task.id] & needs.keys()) - placed] or left
        placed |= {task.id for task in ready}
        shown = [_task(task, budget, depth) for task in ready[:MAX_ACROSS]]
        if more := len(ready) - len(shown):
            shown.append(_note(f"{more} more"))
        rows.append(_beside(shown))
    return _below(rows)


def _beside(pieces: Sequence[Drawn]) -> Drawn:
    parts, x = [], 0.0
    for piece in pieces:
        parts.append(piece.at(x, 0))
        x += piece.width + GAP
    return Drawn(x - GAP, max(piece.height for piece in pieces), tuple(parts))


def _box(task: Task, hidden: int) -> Drawn:
    """A single task."""
    asks = task.type.endswith(_ASKS)
    fill, edge = ("#f1ebf8", "#7a55a8") if asks else (svg.PAPER, "#9fb3c8")
    kind = task.type.rpartition(".")[2] + (f" \u00b7 {hidden} tasks inside" if hidden else "")
    more = {"stroke_dasharray": "4 3"} if task.disabled else {}
    return Drawn(
        BOX_WIDTH,
        BOX_HEIGHT,
        (
            svg.rect(0.5, 0.5, BOX_WIDTH - 1, BOX_HEIGHT - 1, fill, radius=7, stroke=edge, **more),
            svg.text(BOX_WIDTH / 2, 20, svg.fit(task.id, 13, BOX_WIDTH - 20), 13, anchor="middle", bold=True),
            svg.text(BOX_WIDTH / 2, 36, svg.fit(kind, 11, BOX_WIDTH - 20), 11, fill=svg.QUIET, anchor="middle"),
        ),
    )


def _note(said: str) -> Drawn:
    return Drawn(90, LABEL, (svg.text(45, 16, said, 12, fill=svg.QUIET, anchor="middle"),))


def _labelled(name: str, piece: Drawn) -> Drawn:
    """A branch with its name above it."""
    if not name:
        return piece
    label = svg.text(piece.width / 2, 12, svg.fit(name, 12, piece.width), 12, fill=svg.QUIET, anchor="middle")
    return Drawn(piece.width, piece.height + LABEL, (label, piece.at(0, LABEL - 4)))


def _frame(title: str, columns: Sequence[Drawn], colour: str, *, dashed: bool = False) -> Drawn:
    """A box with a title around what stands side by side in it."""
    inside = _beside(columns)
    width, height = inside.width + 2 * PAD, inside.height + LABEL + 2 * PAD
    more = {"stroke_dasharray": "5 4"} if dashed else {}
    parts = (
        svg.rect(0.5, 0.5, width - 1, height - 1, colour, radius=9, fill_opacity="0.05", stroke=colour, **more),
        svg.text(PAD, 20, svg.fit(title, 12, width - 2 * PAD), 12, fill=colour, bold=True),
        inside.at(PAD, LABEL + PAD),
    )
    return Drawn(width, height, parts)
