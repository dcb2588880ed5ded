"""Which tasks of a flow have run where a template is rendered."""

import re
from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import Any

from engine.core import flow_validation
from engine.core.flow import Flow
from engine.core.task import Task
from engine.core.yaml_text import Path

MAIN = "tasks"
_RESULT = re.compile(
    r"\s*\{\{\s*(?P<not>not\s+)?outputs\.(?P<name>\w+)\.evaluationResult(?:\s*==\s*(?P<value>true|false))?\s*\}\}\s*"
)
HANDLERS = ("errors", "finally", "afterExecution")  # in the order in which they run
BRANCHING = {"If": ("then", "else"), "Switch": ("cases", "defaults")}
BY_VALUE = ("ForEach", "EachSequential", "EachParallel")
AT_ONCE = ("Parallel", "EachParallel")
REPEATING = ("LoopUntil", "Loop")  # what stands beside their tasks is rendered after them
HOLDER = "HoldsTasks"  # what a task is taken for whose type can't be read: in which order it runs its tasks is open
SILENT = ("Sequential", "Parallel", "Dag", "AllowFailure", "WorkingDirectory")  # have no outputs meanwhile


class Standing(Enum):
    """How a task stands to a place."""

    DONE = "has run"
    MAYBE = "may have run"
    SELF = "is the task itself"
    LATER = "runs later"
    ELSEWHERE = "is in another branch"
    BESIDE = "runs at the same time"


class Scope:
    """The tree of a flow's tasks, asked how one stands to another."""

    def __init__(self, flow: Flow) -> None:
        self.tasks: dict[Path, Task] = dict(flow_validation.tasks(flow))

    @cached_property
    def places(self) -> Mapping[str, Path]:
        """Where each task stands, by id."""
        return {task.id: path for path, task in self.tasks.items()}

    def around(self, path: Path) -> list[Path]:
        """The tasks that hold a place, the outermost first."""
        return [path[:length] for length in range(2, len(path) + 1) if path[:length] in self.tasks]

    def kind(self, path: Path) -> str:
        """The last part of a task's type."""
        return type(self.tasks[path]).__name__

    def loops_of(self, task: Path) -> list[Path]:
        """The loops over values that a task runs in, outermost first: its outputs lie by all of their values."""
        return [one for one in self.around(task)[:-1] if self.kind(one) in BY_VALUE and task[len(one)] == MAIN]

    def value_at(self, place: Path, loop: Path) -> str:
        """How a template reads the value that a loop around it runs for: `taskrun.value` in a task that the loop itself
        holds, `parent.taskrun.value` or `parents[1].taskrun.value` deeper in; "" where that can't be said.

        A task in an If has no value of its own (Kestra's FlowableUtils.resolveTasks gives it none), and `parents`
        leaves out what has neither a value nor outputs."""
        holders = self.around(place)
        inside = holders[holders.index(loop) + 1 :] if loop in holders else []
        if not inside or inside[0][len(loop)] != MAIN:
            return ""
        entries = 0
        for above, holder in pairwise(inside[:-1]):
            has_value = self.kind(above) in BY_VALUE and holder[len(above)] == MAIN
            if not has_value and self.kind(holder) not in (*BRANCHING, *BY_VALUE, *SILENT):
                return ""
            entries += has_value or self.kind(holder) in BRANCHING
        if len(inside) == 1:
            return "taskrun.value"
        return f"parents[{entries}].taskrun.value" if entries else "parent.taskrun.value"

    def standing(self, task: Path, place: Path) -> Standing:
        """How a task stands to a place: what its outputs are when a template there is rendered."""
        holders = self.around(place)
        own = holders[-1] if holders else ()
        if task == own:
            return Standing.DONE if _holds_tasks(self.tasks[task]) else Standing.SELF
        if task in holders:
            return Standing.DONE
        if own and task[: len(own)] == own:
            repeats = self.kind(own) in REPEATING
            return self._certain(task, own, place) if repeats else Standing.LATER
        shared: Path = max((one for one in self.around(task) if one in holders), key=len, default=())
        return self._apart(task, place, shared)

    def _apart(self, task: Path, place: Path, shared: Path) -> Standing:
        """Both stand in different parts below `shared`."""
        ours, theirs = task[len(shared) :], place[len(shared) :]
        kind = self.kind(shared) if shared else ""
        if kind in BRANCHING and ours[0] in BRANCHING[kind] and theirs[0] in BRANCHING[kind]:
            width = 2 if ours[0] == "cases" else 1
            if ours[:width] != theirs[:width]:
                return Standing.ELSEWHERE
        if not shared and theirs[0] == "outputs":
            return Standing.MAYBE if ours[0] in HANDLERS else self._certain(task, shared, place)
        if _turn(ours[0]) != _turn(theirs[0]):
            return Standing.MAYBE if _turn(ours[0]) < _turn(theirs[0]) else Standing.LATER
        if ours[0] == MAIN and kind in AT_ONCE:
            return Standing.BESIDE
        if ours[0] == MAIN and kind == "Dag":
            known = self._waits_for(shared, self._member(shared, theirs), self._member(shared, ours))
            return self._certain(task, shared, place) if known else Standing.BESIDE
        width = next((n for n, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), 0)
        mine, other = ours[width], theirs[width]
        if isinstance(mine, int) and isinstance(other, int) and mine > other:
            return Standing.LATER
        return self._certain(task, shared, place)

    def _certain(self, task: Path, shared: Path, place: Path) -> Standing:
        """DONE, unless a condition below `shared` that the place does not share decides whether the task runs."""
        conditions = self._conditions(task, shared)
        return Standing.DONE if conditions <= self._conditions(place, ()) else Standing.MAYBE

    def _conditions(self, place: Path, below: Path) -> set[tuple[str, str]]:
        """What decides whether a place is reached: a text, and the answer it must give."""
        found = set()
        for holder in self.around(place):
            if len(holder) <= len(below):
                continue
            task = self.tasks[holder]
            if task.disabled:
                found.add((task.id, "disabled"))
            if task.run_if is not None:
                found.add((str(task.run_if), "true"))
                found |= self._taken(str(task.run_if))
            rest = place[len(holder) :]
            if not rest:
                continue
            branches = BRANCHING.get(self.kind(holder), ())
            if rest[0] in branches:
                decided = getattr(task, "condition", None) or getattr(task, "value", None)
                found.add((str(decided), ".".join(str(step) for step in rest[: 2 if rest[0] == "cases" else 1])))
            elif rest[0] in HANDLERS:
                found.add((task.id, str(rest[0])))
        return found

    def _taken(self, run_if: str) -> set[tuple[str, str]]:
        """The branch of an If that was taken when a `runIf` that asks for its result says yes."""
        asked = _RESULT.fullmatch(run_if)
        path = self.places.get(asked["name"]) if asked else None
        if asked is None or path is None or self.kind(path) != "If" or (asked["not"] and asked["value"]):
            return set()
        branch = "else" if asked["not"] or asked["value"] == "false" else "then"
        return {(str(getattr(self.tasks[path], "condition", None)), branch)}

    def _member(self, graph: Path, rest: Path) -> str:
        found = self.tasks.get((*graph, *rest[:3]))
        return found.id if found is not None else ""

    def _waits_for(self, graph: Path, one: str, other: str) -> bool:
        """Whether a task of a graph starts only when another has ended."""
        entries: Any = getattr(self.tasks[graph], "tasks", ())
        needs = {entry.task.id: tuple(entry.depends_on) for entry in entries}
        todo, seen = list(needs.get(one, ())), set()
        while todo:
            name = todo.pop()
            if name == other:
                return True
            if name not in seen:
                seen.add(name)
                todo += needs.get(name, ())
        return False


def _turn(section: str | int) -> int:
    return HANDLERS.index(section) + 1 if isinstance(section, str) and section in HANDLERS else 0


def _holds_tasks(task: Task) -> bool:
    return any(hasattr(task, name) for name in ("tasks", "then", "cases")) or hasattr(task, "on_resume")
