"""Runs attempts of tasks: renders their properties, runs them within their time, and says how they ended."""

import asyncio
import logging
import shutil
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from structlog.contextvars import bind_contextvars

from engine.aside import in_a_thread, promptly, waits
from engine.core.commands import RunTask
from engine.core.durations import to_iso
from engine.core.events import ChildRan, Event, TaskEnded, TaskStarted
from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask, TimedTask
from engine.core.property import has_template
from engine.core.state import State
from engine.core.task import Task
from engine.dispatch.inline import Job
from engine.errors import EngineError, NotFound, TaskFailed
from engine.expressions import render
from engine.logbook import LogBook, Note
from engine.plugin import Outputs, Result, RunnableTask
from engine.run_context import Outside, TaskContext
from engine.store.documents import dumps, plain
from engine.task_cache import kept_outputs

log = logging.getLogger(__name__)

KNOWN = 2_000  # tasks of which it is remembered how they are rendered

STARTED_AFTER = 0.05  # seconds; an attempt that ends sooner is told in one commit, start and end


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended."""

    state: State
    outputs: Mapping[str, Any] | None = None
    effects: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


class Home(Protocol):
    """Where a worker finds what to run and tells what came of it."""

    async def current(self, execution_id: str, version: int = 0) -> Execution:
        """The execution as it was last written, at least in a version."""

    async def flow(self, execution: Execution) -> Flow:
        """Its flow, in its revision."""

    def task(self, flow: Flow, task_id: str) -> Task:
        """A task of the flow."""

    async def tell(self, execution_id: str, event: Event, lines: tuple[Note, ...] = ()) -> Execution:
        """Decide upon an event; the execution once that is on disk."""

    async def end(self, execution_id: str, event: Event, lines: tuple[Note, ...]) -> None:
        """An attempt ended; kept when this returns."""

    def mention(self, execution_id: str, event: Event, lines: tuple[Note, ...] = ()) -> None:
        """The same without waiting."""


Answer = Outputs | Mapping[str, Any] | Result | None
Directory = Callable[["Worker", Job, Flow, Execution, TaskRun, DirectoryTask], Awaitable[Ended]]


class Worker:
    """Runs jobs. A job that is cancelled says nothing: whoever cancelled it does."""

    def __init__(self, home: Home, outside: Outside, scratch: Path, run_directory: Directory) -> None:
        self.home = home
        self.outside = outside
        self.scratch = scratch
        self._run_directory = run_directory
        self._waiting: dict[tuple[str, str, int, str], bool] = {}  # whether rendering a task may wait for a disk
        self._ready: dict[tuple[str, str, int, str], Task] = {}  # tasks without a template, rendered once and for all

    async def run(self, job: Job) -> None:
        """One attempt from start to end, told to the engine."""
        bind_contextvars(execution_id=job.execution_id, task_run_id=job.task_run_id)
        clock = self.outside.renderer.clock
        started = clock.now()
        mention = asyncio.get_running_loop().call_later(
            STARTED_AFTER, self.home.mention, job.execution_id, TaskStarted(started, job.task_run_id, job.attempt)
        )
        try:
            ended = await self._run(job)
        finally:
            mention.cancel()
        event = TaskEnded(
            clock.now(), job.task_run_id, job.attempt, ended.state, started, ended.outputs, ended.effects, ended.error
        )
        await self.home.end(job.execution_id, event, self.outside.logbook.take(job.execution_id))

    async def _run(self, job: Job) -> Ended:
        try:
            execution = await self.home.current(job.execution_id, job.version)
            run = execution.task_runs.get(job.task_run_id)
            if run is None or run.state.is_terminal or State.KILLING in (execution.state, run.state):
                return Ended(State.KILLED)
            flow = await self.home.flow(execution)
            task = self.home.task(flow, run.task_id)
        except NotFound as error:
            return Ended(State.FAILED, error=str(error))
        if isinstance(task, DirectoryTask):
            self.home.mention(job.execution_id, TaskStarted(self.outside.renderer.clock.now(), run.id, job.attempt))
            return await self._run_directory(self, job, flow, execution, run, task)
        return await self.attempt(flow, execution, run, task, job.attempt, self.scratch / run.id)

    def at_once(self, flow: Flow, execution: Execution, command: RunTask) -> tuple[TaskEnded, tuple[Note, ...]] | None:
        """How an attempt of a pure task ended, and what it logged; None when it has to wait for something after all,
        or is no pure task. Nothing came of it then."""
        run = execution.task_runs[command.task_run_id]
        task = self.home.task(flow, run.task_id)
        if (
            not (isinstance(task, RunnableTask) and task.is_pure)
            or task.timeout
            or task.task_cache
            or command.worker_group
        ):
            return None
        if self._renders_late(flow, task):  # begun here and given up, its calls would be made a second time
            return None
        clock, book = self.outside.renderer.clock, LogBook(self.outside.renderer.database)
        context = TaskContext(
            replace(self.outside, logbook=book),
            flow,
            execution,
            run,
            task,
            command.attempt,
            working_dir=self.scratch / run.id,
        )
        started = clock.now()
        attempt = self._guarded(flow, task, context)
        try:
            attempt.send(None)
        except StopIteration as done:
            ended: Ended = done.value
        else:
            attempt.close()
            return None
        error = None if ended.error is None else self.outside.masker.mask(ended.error)
        event = TaskEnded(
            clock.now(), run.id, command.attempt, ended.state, started, ended.outputs, ended.effects, error
        )
        return event, book.take(execution.id)

    async def clear(self) -> None:
        """Remove what attempts left that were interrupted by the end of the process; before anything runs."""
        await asyncio.to_thread(shutil.rmtree, self.scratch, ignore_errors=True)

    async def attempt(
        self,
        flow: Flow,
        execution: Execution,
        run: TaskRun,
        task: Task,
        attempt: int,
        folder: Path,
        *,
        shared: bool = False,
    ) -> Ended:
        """Run a task once. What goes wrong is in the answer; only CancelledError is raised."""
        context = TaskContext(self.outside, flow, execution, run, task, attempt, working_dir=folder, shared=shared)
        try:
            ended = await self._guarded(flow, task, context)
        finally:
            await context.close()
        if ended.error is not None:
            ended = replace(ended, error=self.outside.masker.mask(ended.error))
        return ended

    async def _guarded(self, flow: Flow, task: Task, context: TaskContext) -> Ended:
        try:
            rendered = await self.render(flow, task, context)
            if self.outside.files.is_remote:
                named = str(rendered.model_dump(warnings=False))
                await asyncio.to_thread(self.outside.files.fetch, named)
            if isinstance(rendered, TimedTask):  # in a WorkingDirectory; elsewhere a timer holds it
                length = rendered.wait({}).total_seconds()
                return await self._timed(rendered, lambda: asyncio.sleep(length), context)
            if not isinstance(rendered, RunnableTask):
                raise TaskFailed(f"`{task.type}` is no task that a worker runs.", fix="Report this; the flow is fine.")
            kept = await kept_outputs(task, context, self.outside)
            if kept is None:
                return await self._timed(rendered, lambda: rendered.run(context), context)
            if (found := await kept.read()) is not None:
                context.log(f"The task did not run: `taskCache` has what it gave for the same properties ({kept.key}).")
                return Ended(State.SUCCESS, found["outputs"])
            ended = await self._timed(rendered, lambda: rendered.run(context), context)
            if ended.state is State.SUCCESS and not ended.effects:
                await kept.write(ended.outputs)
            return ended
        except TaskFailed as error:
            outputs = None if error.outputs is None else self._outputs(error.outputs, context)
            return Ended(State.FAILED, outputs, error=str(error))
        except EngineError as error:
            return Ended(State.FAILED, error=str(error))
        except Exception as error:
            log.exception("Task %s of execution %s broke.", task.id, context.execution_id)
            context.log("".join(traceback.format_exception(error)), "TRACE")
            return Ended(State.FAILED, error=plain_sentence(task, error))

    async def render(self, flow: Flow, task: Task, context: TaskContext) -> Task:
        """The task with every Property rendered and typed; TaskFailed, ExpressionFailed."""
        late = self._renders_late(flow, task)
        ready = self._ready.get((flow.namespace, flow.id, flow.revision, task.id))
        if ready is not None:
            return ready
        seen, services = context.variables, context.services

        def work() -> Task:
            return task.rendered(lambda value, guard: render(value, seen, services, guard=guard))

        return await (in_a_thread(work) if late else promptly(work))

    def _renders_late(self, flow: Flow, task: Task) -> bool:
        """Whether what a task says may wait for a disk or a network when it is rendered."""
        key = (flow.namespace, flow.id, flow.revision, task.id)
        if key not in self._waiting:
            if len(self._waiting) >= KNOWN:
                self._waiting.clear()
                self._ready.clear()
            written = task.model_dump(by_alias=True, exclude_unset=True, warnings=False)
            self._waiting[key] = waits(written)
            if not has_template(written):
                self._ready[key] = task.rendered(lambda value, guard: value)
        return self._waiting[key]

    async def _timed(self, task: Task, run: Callable[[], Awaitable[Answer]], context: TaskContext) -> Ended:
        if task.timeout is None:
            return self._well_ended(await run(), context)
        context.time_limit = task.timeout.total_seconds()
        try:
            async with asyncio.timeout(context.time_limit) as limit:
                result = await run()
        except TimeoutError:
            if not limit.expired():
                raise
            context.log(f"The attempt was interrupted: it ran into its timeout of {to_iso(task.timeout)}.", "WARN")
            return Ended(State.FAILED, error=f"Timeout after {to_iso(task.timeout)}.")
        return self._well_ended(result, context)

    def _well_ended(self, result: Answer, context: TaskContext) -> Ended:
        if isinstance(result, Result):
            outputs = self._outputs(result.outputs, context)
            return Ended(result.state, outputs, plain(result.effects))
        return Ended(State.SUCCESS, self._outputs(result, context))

    def _outputs(self, given: Outputs | Mapping[str, Any] | None, context: TaskContext) -> Mapping[str, Any] | None:
        """Outputs as plain JSON; TaskFailed when there is too much of it."""
        if given is None:
            return None
        try:
            values = plain(given.model_dump(by_alias=True) if isinstance(given, Outputs) else given)
            size = len(dumps(values))
        except TypeError as error:
            raise TaskFailed(f"An output of the task can't be kept: {error}.") from error
        limit = self.outside.settings.limits.output_bytes
        if size > limit:
            raise TaskFailed(
                f"The outputs of the task are too large: {size:,} bytes, {limit:,} are allowed.",
                fix="Write large data to a file (`outputFiles`, or a storage task) and hand on its URI. "
                "The limit is `limits.output_bytes`.",
            )
        return dict(values)

    async def child(self, job: Job, run: TaskRun, event: ChildRan) -> Execution:
        """Tell how a child of a WorkingDirectory got on; the execution then."""
        return await self.home.tell(job.execution_id, event, self.outside.logbook.take(job.execution_id))


def plain_sentence(task: Task, error: Exception) -> str:
    """What to say of an exception that no task should let out."""
    said = str(error).strip().splitlines()
    if isinstance(error, ValidationError):  # whose first line says how many there are
        first = error.errors(include_url=False, include_input=False)[0]
        said = [f"`{'.'.join(map(str, first['loc']))}` of {error.title}: {first['msg']}"]
    detail = f": {said[0][:300]}" if said else ""
    return f"The task broke with {type(error).__name__}{detail}. Its log at level TRACE has the details."
