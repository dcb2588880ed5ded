"""WorkingDirectory: tasks that share one folder."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.core.durations import Duration
from engine.core.finding import Breach
from engine.core.flowable import DirectoryTask, TimedTask
from engine.core.property import Property
from engine.core.task import AnyTask, Part
from engine.plugin import RunnableTask
from engine.tasks.core.execution import Exit, Kill
from engine.tasks.namespace_files import NamespaceFiles


class Cache(Part):
    """Files that are kept from one execution to the next."""

    patterns: tuple[str, ...] = Field(min_length=1)
    ttl: Duration | None = Field(default=None, description="How old they may get; for good, if left out.")


class WorkingDirectory(DirectoryTask):
    """Run tasks one after another on one worker, in one folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: folder
type: io.kestra.plugin.core.flow.WorkingDirectory
outputFiles: ["*.txt"]
tasks:
  - id: write
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - echo hello > hello.txt
""",
    )
    type: Literal[
        "io.kestra.plugin.core.flow.WorkingDirectory",
        "io.kestra.plugin.core.flow.Worker",
        "io.kestra.core.tasks.flows.WorkingDirectory",
        "io.kestra.core.tasks.flows.Worker",
    ]
    tasks: tuple[AnyTask, ...] = ()
    input_files: Property[dict[str, Any]] | str | None = None
    output_files: Property[list[str]] | None = None
    namespace_files: Property[NamespaceFiles | bool | None] = None
    cache: Cache | None = None

    @model_validator(mode="after")
    def _only_work(self) -> "WorkingDirectory":
        if not self.tasks:
            raise ValueError("The 'tasks' property cannot be empty")
        for task in self.tasks:
            # What ends the execution is no work for the worker that runs the directory.
            if not isinstance(task, RunnableTask | TimedTask) or isinstance(task, Exit | Kill):
                said = "Only runnable tasks are allowed as children of a WorkingDirectory task"
                advice = f"Put `{task.id}`, of the type {type(task).__name__}, before it or behind it."
                raise Breach(said, ("tasks",), advice)
        if any(task.worker_group is not None or task.worker_selector is not None for task in self.tasks):
            raise ValueError("Cannot set a Worker Group in any WorkingDirectory sub-tasks, set it at the top level")
        return self
