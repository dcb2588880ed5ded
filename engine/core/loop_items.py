"""Items of a Loop: what it goes through, and what its tasks see of the one they run for."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.core.execution import TaskRun
from engine.core.executor.iterations import ended_as, left_by
from engine.core.executor.plans import Place
from engine.core.flowable import ItemsTask, compact
from engine.core.json_text import read_json
from engine.core.outputs import paths_of

STORAGE = "kestra://"


def items_of(values: Any, lines: str | None = None) -> list[list[str | None]]:
    """[value, key] of each item of a list, a map, JSON text of either, or the lines of a file; ValueError."""
    if lines is not None:
        return [[line, None] for line in lines.splitlines() if line.strip()]
    if isinstance(values, str):
        try:
            values = read_json(values)
        except ValueError as error:
            found = compact(values)[:200]
            raise ValueError(f"The values are no list, map or file but {found}: write JSON text of one.") from error
    if isinstance(values, Mapping):
        return [[compact(value), str(key)] for key, value in values.items()]
    if not isinstance(values, list | tuple):
        raise ValueError(f"The values are no list, map or file but {compact(values)[:200]}: write JSON text of one.")
    nulls = sum(value is None for value in values)
    if nulls:
        raise ValueError(f"Found '{nulls}' null values on Loop, with values={compact(list(values))[:1000]}")
    return [[compact(value), None] for value in values]


def item_variables(runs: Mapping[str, TaskRun], places: Mapping[str, Place], run: TaskRun) -> dict[str, Any] | None:
    """The `item` variable of a task run, with those of the loops around it; None outside of loops."""
    found = []
    for below, loop in _loops(runs, places, run):
        items, index = loop.rendered.get("items", ()), int(below.value or 0)
        value, key = items[index] if index < len(items) else (None, None)
        found.append({"index": index, "value": value, **({} if key is None else {"key": key})})
    if not found:
        return None
    innermost, *parents = found
    return {**innermost, "parents": parents, **({"parent": parents[0]} if parents else {})}


def ended_iteration(runs: Mapping[str, TaskRun], places: Mapping[str, Place], run: TaskRun) -> dict[str, Any] | None:
    """The state and the outputs of the iteration at whose end a run stands, and whether it was left before its tasks
    were through; None for any other run."""
    loop = runs.get(run.parent_id or "")
    task = places[loop.task_id].task if loop is not None and loop.task_id in places else None
    if loop is None or not isinstance(task, ItemsTask):
        return None
    collector = task.collector(loop)
    if run.task_id not in (collector, task.closing.id if task.closing is not None else None):
        return None
    paths = paths_of(runs)
    path = paths.of_run[run.id]
    steps = [step.id for _, tasks in task.lists() for step in tasks]
    known = {one.id: one for step in steps for found in paths.runs.get((step, path), ()) if (one := runs.get(found))}
    beside = [one for one in known.values() if one.parent_id == run.parent_id and one.id != run.id]
    outputs = next((one.outputs for one in beside if one.task_id == collector), None)
    return {"state": ended_as(beside).value, "outputs": outputs or {}, "left": left_by(beside) is not None}


class OwnOutputs(Mapping[str, Any]):
    """`outputs` inside of a Loop: of the tasks of the loop those of the same iteration, under their plain names."""

    __slots__ = ("_every", "_paths")

    def __init__(self, every: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]) -> None:
        self._every, self._paths = every, paths

    def __getitem__(self, key: str) -> Any:
        found = self._every[key]
        for step in self._paths.get(key, ()):
            found = found[step]
        return found

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._every if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


def index_carrier(runs: Mapping[str, TaskRun], places: Mapping[str, Place], run: TaskRun) -> TaskRun | None:
    """The run, this one or one above it, whose value is the index in the innermost Loop; None outside of loops."""
    return next((below for below, _ in _loops(runs, places, run)), None)


def own_outputs(
    every: Mapping[str, Any], runs: Mapping[str, TaskRun], places: Mapping[str, Place], run: TaskRun
) -> Mapping[str, Any]:
    """The outputs a task run sees: inside of loops those of its own iterations."""
    paths: dict[str, tuple[str, ...]] = {}
    for below, loop in reversed(list(_loops(runs, places, run))):
        path = _path(runs, below)
        for task_id, place in places.items():
            if any(above.task.id == loop.task_id for above in place.above):
                paths[task_id] = path
    return OwnOutputs(every, paths) if paths else every


def _loops(runs: Mapping[str, TaskRun], places: Mapping[str, Place], run: TaskRun) -> Iterator[tuple[TaskRun, TaskRun]]:
    """(run that carries the index, run of the loop) of each Loop around a run, the innermost first."""
    below, above = run, runs.get(run.parent_id or "")
    while above is not None:
        place = places.get(above.task_id)
        if place is not None and isinstance(place.task, ItemsTask) and below.value is not None:
            yield below, above
        below, above = above, runs.get(above.parent_id or "")


def _path(runs: Mapping[str, TaskRun], run: TaskRun) -> tuple[str, ...]:
    path: list[str] = []
    at: TaskRun | None = run
    while at is not None:
        if at.value is not None:
            path.insert(0, at.value)
        at = runs.get(at.parent_id or "")
    return tuple(path)
