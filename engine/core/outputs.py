"""The shape of `outputs` and `tasks`: by task id, then by the values of the loops around it, outermost first.

Both are read one key at a time: a task in a loop of ten thousand values pays for what it asks, not for all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

from engine.core.execution import TaskRun, TaskRuns

Path = tuple[str, ...]
Leaf = Callable[[list[TaskRun]], Mapping[str, Any] | None]

_lock = Lock()


class Paths:
    """Which task run stands at which path. Only ever grows; runs that are gone are skipped by whoever looks them up."""

    def __init__(self) -> None:
        self.covered = 0
        self.tasks: dict[str, None] = {}
        self.runs: dict[tuple[str, Path], list[str]] = {}
        self.keys: dict[tuple[str, Path], dict[str, None]] = {}
        self.of_run: dict[str, Path] = {}

    def add(self, run: TaskRun) -> None:
        """Note where a run stands; its parent is known already."""
        path = self.of_run.get(run.parent_id or "", ())
        if run.value is not None:
            path = (*path, run.value)
        self.of_run[run.id] = path
        self.tasks[run.task_id] = None
        self.runs.setdefault((run.task_id, path), []).append(run.id)
        for depth, key in enumerate(path):
            self.keys.setdefault((run.task_id, path[:depth]), {})[key] = None


def paths_of(runs: Mapping[str, TaskRun]) -> Paths:
    """Where the runs stand; for versions of one execution the work is done once for each run."""
    if not isinstance(runs, TaskRuns):
        paths = Paths()
        for run in runs.values():
            paths.add(run)
        return paths
    with _lock:
        known = runs.lineage.derived.get("paths")
        paths = known if isinstance(known, Paths) else Paths()
        runs.lineage.derived["paths"] = paths
        if paths.covered < runs.size:
            for run in runs.in_order(after=paths.covered):
                paths.add(run)
            paths.covered = runs.size
        return paths


class Node(Mapping[str, Any]):
    """What all runs of one task gave below a path of loop values."""

    __slots__ = ("_leaf", "_path", "_paths", "_runs", "_task")

    def __init__(self, runs: Mapping[str, TaskRun], paths: Paths, leaf: Leaf, task: str, path: Path) -> None:
        self._runs, self._paths, self._leaf, self._task, self._path = runs, paths, leaf, task, path

    def __getitem__(self, key: str) -> Any:
        path = (*self._path, key)
        if (self._task, path) not in self._paths.runs and (self._task, path) not in self._paths.keys:
            raise KeyError(key)
        found = _at(self._runs, self._paths, self._leaf, self._task, path)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (key for key in list(self._paths.keys.get((self._task, self._path), ())) if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class ByTask(Mapping[str, Any]):
    """What the runs of an execution gave, by task id."""

    __slots__ = ("_leaf", "_paths", "_runs")

    def __init__(self, runs: Mapping[str, TaskRun], leaf: Leaf) -> None:
        self._runs, self._leaf = runs, leaf
        self._paths = paths_of(runs)

    def __getitem__(self, key: str) -> Any:
        found = _at(self._runs, self._paths, self._leaf, key, ()) if key in self._paths.tasks else None
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (key for key in list(self._paths.tasks) if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


def outputs_of(runs: Mapping[str, TaskRun]) -> Mapping[str, Any]:
    """The `outputs` variable."""
    return ByTask(runs, _outputs)


def states_of(runs: Mapping[str, TaskRun]) -> Mapping[str, Any]:
    """The `tasks` variable: `tasks.t.state`, in loops `tasks.t.<value>.state`."""
    return ByTask(runs, _state)


def settled(value: Any) -> Any:
    """A copy made of plain dicts, for those who keep or encode it."""
    if isinstance(value, Node | ByTask):
        return {key: settled(inner) for key, inner in value.items()}
    return value


def _outputs(runs: list[TaskRun]) -> Mapping[str, Any] | None:
    given = [run.outputs for run in runs if run.outputs]
    if len(given) < 2:
        return given[0] if given else None
    result: Mapping[str, Any] = {}
    for outputs in given:
        result = joined(result, outputs)
    return result


def _state(runs: list[TaskRun]) -> Mapping[str, Any] | None:
    return {"state": runs[-1].state.value} if runs else None


def _at(runs: Mapping[str, TaskRun], paths: Paths, leaf: Leaf, task: str, path: Path) -> Any:
    found = [runs.get(run_id) for run_id in tuple(paths.runs.get((task, path), ()))]
    own = leaf([run for run in found if run is not None])
    if (task, path) not in paths.keys:
        return own
    node = Node(runs, paths, leaf, task, path)
    if own is None:
        return node if node else None
    return joined(own, settled(node))


def joined(base: Mapping[str, Any], over: Mapping[str, Any], *, once: bool = False) -> dict[str, Any]:
    """Two maps laid over each other, maps inside them too; lists of both are joined, a null gives way.

    With `once` an item that a list has already is not added to it.
    """
    result = dict(base)
    for key, value in over.items():
        there = result.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            result[key] = joined(there, value, once=once)
        elif isinstance(there, list) and isinstance(value, list):
            result[key] = [*there, *(item for item in value if not (once and item in there))]
        elif value is not None or key not in result:
            result[key] = value
    return result
