"""The one task that simulated workers run: how long an attempt takes and how it ends stands in the flow."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from zlib import crc32

from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.registry import Registry
from engine.core.state import State
from engine.errors import TaskFailed
from engine.plugin import Result, RunContext, RunnableTask
from engine.tasks import _third_party, places, renamed
from tests.simulate.clock import after

Ending = Literal["SUCCESS", "WARNING", "FAILED"]


class Work(RunnableTask):
    """Takes `seconds`, then ends as `ends` says: which of them depends on the attempt and the value it runs for."""

    type: Literal["tests.simulate.Work"]
    seconds: float = 1.0
    ends: tuple[Ending, ...] = ("SUCCESS",)
    exit: str | None = None
    lines: int | None = None  # hands on the URI of a file with so many lines

    def ending(self, path: str, attempt: int) -> State:
        """How an attempt ends: always the same for the same attempt of the same run."""
        values = crc32(path.encode()) if "[" in path else 0
        return State(self.ends[(values + attempt - 1) % len(self.ends)])

    def given(self, path: str, attempt: int, state: State) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Outputs and effects of an attempt."""
        outputs = {"value": crc32(f"{path}:{attempt}".encode()) % 10}
        effects = {"exit": self.exit} if self.exit is not None and state is not State.FAILED else {}
        return outputs, effects

    async def run(self, context: RunContext) -> Result:
        path = path_of(context._execution, context._run)  # type: ignore[attr-defined]
        attempt = context.attempt
        length = after(length_of(f"{context.flow_id} {path}", attempt, self.seconds))
        await asyncio.sleep(length.total_seconds())
        state = self.ending(path, attempt)
        outputs, effects = self.given(path, attempt, state)
        if state is State.FAILED:
            raise TaskFailed("It was to fail.")
        if self.lines is not None:
            text = "".join(f"{number}\n" for number in range(self.lines))
            outputs = {**outputs, "uri": await context.files.put(text.encode(), "lines.txt")}
        return Result(outputs=outputs, state=state, effects=effects)


def length_of(path: str, attempt: int, seconds: float) -> float:
    """Seconds an attempt takes: no two things in a run happen at the same time unless one causes the other."""
    return seconds * (1 + crc32(f"{path}:{attempt}".encode()) / 2**33)


def path_of(execution: Execution, run: TaskRun | None) -> str:
    """Where a task run stands, the same in every run of the same flow: `loop@2/each/task[b]`."""
    steps: list[str] = []
    while run is not None:
        value = "" if run.value is None else f"[{run.value}]"
        number = "" if run.iteration is None or run.value is not None else f"@{run.iteration}"
        steps.append(f"{run.task_id}{value}{number}")
        run = execution.task_runs.get(run.parent_id) if run.parent_id else None
    return "/".join(reversed(steps))


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Everything installed, and Work."""
    return Registry([Work], places=places(), rename=renamed, plugins=_third_party)


def flow_of(document: Mapping[str, Any]) -> Flow:
    """A flow from its document, as reading its text would give it."""
    context = {"registry": registry(), "source": True}
    return Flow.model_validate(document, context=context, by_name=False, by_alias=True)
