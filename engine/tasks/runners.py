"""Task runners: where a script's command runs. What they share; each runner is a type of its own."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from engine.core.task import ByType
from engine.plugin import RunContext, Typed

Stream = Literal["stdout", "stderr"]
Hear = Callable[[bytes, Stream], None]
WORK = ".parley"  # our own folder inside the working directory; never an output
PATIENCE = 3  # times as long as its output took is a script's output left alone, if it took longer than …
QUICK = 0.001  # seconds


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run in a folder. `hear` gets its output as it comes, on the event loop."""

    command: Sequence[str]
    folder: Path
    env: Mapping[str, str]
    hear: Hear
    image: str | None = None
    volumes: Sequence[str] = ()  # the task's own, beside those the operator allows flows


async def pass_on(hear: Hear, block: bytes, stream: Stream, *, waits: bool = True) -> None:
    """Hand on what a command wrote. One that writes faster than it can be heard beside everything else `waits`: whoever
    reads its output goes on when this returns."""
    began = time.perf_counter()
    hear(block, stream)
    took = time.perf_counter() - began
    await asyncio.sleep(PATIENCE * took if waits and took > QUICK else 0)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; `details` is the `taskRunner` output."""

    exit_code: int
    details: Mapping[str, Any] = field(default_factory=dict)


class Runner(Typed, ABC):
    """Runs a job; whatever it started is gone when it returns or is cancelled."""

    noun = "a task runner"
    stands_in = "`taskRunner` of a script"
    is_local: ClassVar[bool] = False  # on this machine, with its interpreters

    @abstractmethod
    async def execute(self, job: Job, context: RunContext) -> Ended:
        """Run to the end; TaskFailed when the command could not even be started."""


AnyRunner = Annotated[Runner, ByType("AnyTyped", "a task runner", lambda: Runner)]


def own_file(context: RunContext, kind: str, suffix: str = "") -> Path:
    """Where a task run keeps what is no output, such as `.parley/rows-<task run>.jsonl`; the folder is made."""
    path = context.working_dir / WORK / f"{kind}-{context.task_run_id}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
