"""The card of a run: steps, state, results, and when it failed what failed and what to do. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.cards.forecast import WORTH_TELLING, Usual, ready_at
from bot.cards.parts import ELAPSED, READY, STATE_WORDS, elapsed, files, output_facts, time_fact, tone
from bot.commands.references import short
from bot.conversation import Action, Card, Confirm, Fact, Step
from bot.links import ActionIds, Pages
from bot.texts import code, fenced, plain, shorten
from engine.core.execution import Execution, TaskRun, begun
from engine.core.executor import is_broken_off
from engine.core.flow import Flow
from engine.core.state import State

MAX_STEPS = 24
MAX_DEPTH = 3
MAX_ERROR = 700
EXCERPT = 8  # lines of the log on the card of a failed run
MAX_EXCERPT_LINE, MAX_EXCERPT = 200, 1000
NOTHING_KNOWN = Usual()


@dataclass(frozen=True, slots=True)
class RunView:
    """All a run card shows. `flow` is None when its file is gone; `errors` are (task id, message), latest last."""

    execution: Execution
    flow: Flow | None
    starter: str
    now: datetime
    errors: tuple[tuple[str, str], ...] = ()
    waits_at: tuple[str, ...] = ()  # task ids of open pauses
    version: int = 0
    usual: Usual = NOTHING_KNOWN
    excerpt: tuple[str, ...] = ()  # the last lines of the log, for a run that failed
    is_explained: bool = False  # whether a model can be asked why it failed


def run_card(view: RunView, ids: ActionIds, pages: Pages) -> Card:
    """A run as it stands."""
    execution = view.execution
    word = "paused" if execution.held else STATE_WORDS[execution.state]
    label = short(execution.id)
    title = f"{execution.flow_id}: {word}"
    return Card(
        "run",
        execution.id,
        tone(execution.state),
        title,
        subtitle=f"{code(execution.namespace)} \u00b7 run {code(label)}",
        body=_body(view),
        facts=_facts(view),
        steps=steps(view.flow, execution, view.usual),
        files=files(execution.outputs, images_only=False) if execution.state.is_terminal else (),
        actions=_actions(view, ids, pages),
        version=view.version,
        fallback=f"{execution.flow_id} {label}: {word}",
    )


def _body(view: RunView) -> str:
    execution = view.execution
    if "ahead" in execution.rendered and execution.state in (State.QUEUED, State.FAILED, State.CANCELLED):
        return _not_begun(view, execution.rendered["ahead"])
    if execution.state is State.FAILED:
        if not view.errors:
            return "The run failed. Press **Log** to see why."
        task_id, message = view.errors[-1]
        where = f"**{plain(task_id)}** failed: " if task_id else ""
        go_on = "**Retry from here** to go on, or " if is_broken_off(execution) else ""
        again = f"Put it right, then press {go_on}**Replay** to start over."
        said, excerpt = f"{where}{plain(message, MAX_ERROR)}", _excerpt(view)
        return f"{said}\n{excerpt}\n{again}" if excerpt else f"{said}\n\n{again}"
    if execution.state is State.WARNING and view.errors:
        task_id, message = view.errors[-1]
        return f"Warning from **{plain(task_id)}**: {plain(message, MAX_ERROR)}"
    if execution.state is State.CANCELLED and view.errors:
        task_id, message = view.errors[-1]
        return f"{f'**{plain(task_id)}**: ' if task_id else ''}{plain(message, MAX_ERROR)}"
    if execution.held:
        return f"Somebody paused it: nothing new starts until `/flow resume {short(execution.id)}`."
    if execution.state is State.PAUSED and view.waits_at:
        return f"Waits for an answer at {', '.join(f'**{plain(task)}**' for task in view.waits_at)}."
    return ""


def _not_begun(view: RunView, ahead: int) -> str:
    """What `concurrency` of the flow made of a run that came while others were under way."""
    others = "Another run was under way" if ahead == 1 else f"{ahead} other runs were under way"
    limit = view.flow.concurrency if view.flow is not None else None
    allows = f", and the flow's `concurrency` allows {limit.limit} at a time" if limit is not None else ""
    if view.execution.state is State.QUEUED:
        return f"{others} when it came{allows}. It begins by itself when its turn comes."
    return f"{others}{allows}: nothing of it ran. When there is room, press **Replay**."


def _excerpt(view: RunView) -> str:
    """The end of the log, when it says more than the error."""
    lines = [shorten(line, MAX_EXCERPT_LINE) for line in view.excerpt[-EXCERPT:]]
    while lines and sum(len(line) + 1 for line in lines) > MAX_EXCERPT:
        del lines[0]
    return fenced(lines) if len(lines) > 1 else ""


def _facts(view: RunView) -> tuple[Fact, ...]:
    execution = view.execution
    end = execution.ended or view.now
    facts = [
        Fact("Started by", plain(view.starter, 80)),
        time_fact("Started", execution.begun),
        Fact("Took" if execution.ended else ELAPSED, elapsed((end - execution.begun).total_seconds())),
    ]
    if (ready := ready_at(execution, view.usual, view.now)) is not None:
        facts.append(time_fact(READY, ready))
    elif view.usual.whole is not None and view.usual.whole >= WORTH_TELLING and not execution.state.is_terminal:
        facts.append(Fact("Usually takes", elapsed(view.usual.whole)))
    if execution.state.is_terminal:
        facts += output_facts(execution.outputs)
    return tuple(facts)


def _actions(view: RunView, ids: ActionIds, pages: Pages) -> tuple[Action, ...]:
    execution = view.execution
    actions = [ids.button("lg", execution.id, "Log")]
    if view.is_explained:
        actions.append(ids.button("ex", execution.id, "Explain"))
    if execution.state.is_terminal:
        if execution.state is State.FAILED and is_broken_off(execution):
            actions.append(replace(ids.button("rs", execution.id, "Retry from here"), style="primary"))
        actions.append(ids.button("rp", execution.id, "Replay"))
        if execution.state is State.FAILED and view.flow is not None and view.flow.inputs:
            actions.append(ids.button("ed", execution.id, "Edit inputs\u2026"))
        if execution.state is State.FAILED:
            actions.append(ids.button("mu", execution.id, "Mute\u2026"))
    elif execution.state is not State.KILLING:
        sure = Confirm("Stop this run?", "What runs is interrupted; nothing after it runs.", "Stop it", "Let it run")
        actions.append(replace(ids.button("kl", execution.id, "Stop"), style="danger", confirm=sure))
    if page := pages.execution(execution.namespace, execution.flow_id, execution.id):
        actions.append(Action("", "Open", "link", url=page))
    return tuple(actions)


def steps(flow: Flow | None, execution: Execution, usual: Usual = NOTHING_KNOWN) -> tuple[Step, ...]:
    """Task runs as lines, in order of creation, then the top-level tasks still to come. The values of a loop are
    counted in one line; of too many lines the finished ones are folded first."""
    children: dict[str | None, list[TaskRun]] = {}
    for run in execution.task_runs.values():
        children.setdefault(run.parent_id if run.parent_id in execution.task_runs else None, []).append(run)
    lines = [line for run in children.get(None, []) for line in _lines(run, children, 0, usual)]
    if flow is not None and not execution.state.is_terminal:
        begun = {run.task_id for run in execution.task_runs.values()}
        lines += [
            Step("CREATED", plain(task.id, 80)) for task in flow.tasks if task.id not in begun and not task.disabled
        ]
    return _folded(lines)


def _lines(run: TaskRun, children: Mapping[str | None, list[TaskRun]], depth: int, usual: Usual) -> list[Step]:
    inner = children.get(run.id, [])
    looped = [child for child in inner if child.value is not None and child.value != run.value]
    own = Step(str(run.state), _label(run), _note(run, looped, usual), depth)
    if depth >= MAX_DEPTH:
        return [own]
    shown = [child for child in looped if child.state is State.FAILED][:3] if looped else inner
    return [own, *(line for child in shown for line in _lines(child, children, depth + 1, usual))]


def _label(run: TaskRun) -> str:
    return plain(run.task_id, 80) + (f" {code(run.value, 40)}" if run.value is not None else "")


def _note(run: TaskRun, looped: list[TaskRun], usual: Usual) -> str:
    notes: list[str] = []
    if looped:
        notes.append(_counted(run, looped))
    elif run.iteration:
        notes.append(f"round {run.iteration}")
    if len(run.attempts) > 1:
        notes.append(f"attempt {len(run.attempts)}")
    if run.state.is_terminal and len(run.histories) > 1:
        seconds = (run.histories[-1][1] - begun(run.histories)).total_seconds()
        if seconds >= 1:
            notes.append(elapsed(seconds))
    elif run.state is State.RUNNING and (seconds := usual.tasks.get(run.task_id, 0)) >= WORTH_TELLING:
        notes.append(f"usually {elapsed(seconds)}")
    return " \u00b7 ".join(notes)


def _counted(run: TaskRun, looped: list[TaskRun]) -> str:
    by_value: dict[str | None, list[TaskRun]] = {}
    for child in looped:
        by_value.setdefault(child.value, []).append(child)
    states = Counter(_together(group) for group in by_value.values())
    values = run.rendered.get("values")
    total = max(len(values) if isinstance(values, list | tuple) else 0, len(by_value))
    done = sum(count for state, count in states.items() if state.is_terminal)
    parts = [f"{done} of {total} done"]
    if failed := states[State.FAILED]:
        parts.append(f"{failed} failed")
    if running := states[State.RUNNING]:
        parts.append(f"{running} running")
    return " \u00b7 ".join(parts)


def _together(group: list[TaskRun]) -> State:
    states = {run.state for run in group}
    for state in (State.FAILED, State.KILLED, State.PAUSED):
        if state in states:
            return state
    return State.RUNNING if any(not state.is_terminal for state in states) else State.SUCCESS


def _folded(lines: list[Step]) -> tuple[Step, ...]:
    if len(lines) <= MAX_STEPS:
        return tuple(lines)
    surplus = len(lines) - MAX_STEPS + 1
    quiet = [number for number, line in enumerate(lines) if line.state in ("SUCCESS", "SKIPPED", "CREATED")]
    loud = [number for number in range(len(lines)) if number not in quiet]
    dropped = {*[*quiet, *loud][:surplus]}  # what went well first, then what is longest ago
    kept = [line for number, line in enumerate(lines) if number not in dropped]
    return (Step("SKIPPED", f"{len(dropped)} more steps", "not shown"), *kept)
