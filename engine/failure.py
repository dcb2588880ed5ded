"""What failed in an execution, as expressions see it."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from engine.core.execution import TaskRun
from engine.core.state import State


def failed_task(runs: Mapping[str, TaskRun]) -> TaskRun | None:
    """The task run that failed by itself: the last that has none inside it that failed."""
    failed = [run for run in runs.values() if run.state is State.FAILED]
    above = {run.parent_id for run in failed}
    return next((run for run in reversed(failed) if run.id not in above), None)


class Failure(Mapping[str, str]):
    """The `error` variable: `taskId`, `message`, `stackTrace`. Empty while nothing has failed.

    Nothing is looked up before somebody asks, as every text is rendered with this at hand: `message_of` gives what a
    task run said last as an error.
    """

    def __init__(self, runs: Mapping[str, TaskRun], message_of: Callable[[str], str]) -> None:
        self._runs = runs
        self._message_of = message_of

    @cached_property
    def _parts(self) -> dict[str, str]:
        run = failed_task(self._runs)
        if run is None:
            return {}
        return {"taskId": run.task_id, "message": self._message_of(run.id), "stackTrace": ""}

    def __getitem__(self, name: str) -> str:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
