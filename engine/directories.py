"""Runs a WorkingDirectory: its tasks one after another in one folder, inside one job of a worker."""

import asyncio
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine.core.events import ChildRan
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.executor.attempts import next_try
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask, truthy
from engine.core.json_text import read_json
from engine.core.retries import Retry
from engine.core.state import State
from engine.core.task import Task
from engine.dispatch.inline import Job
from engine.errors import EngineError, ExpressionFailed, TaskFailed
from engine.files import slug
from engine.run_context import TaskContext
from engine.tasks.namespace_files import place_namespace_files
from engine.tasks.working_files import below, collect, glob, inside, place
from engine.worker import Ended, Worker

Snapshot = dict[str, tuple[int, int]]


@dataclass(slots=True)
class DirectoryRun:
    """One job of a WorkingDirectory."""

    worker: Worker
    job: Job
    flow: Flow
    run: TaskRun
    task: DirectoryTask
    folder: Path
    globs: tuple[str, ...] = ()
    warned: bool = False
    failed: bool = False
    seen: Snapshot = field(default_factory=dict)

    def now(self) -> datetime:
        """The engine's time."""
        return self.worker.outside.renderer.clock.now()

    async def tell(self, child: Task, state: State, attempt: int, ended: Ended | None = None) -> Execution:
        """Tell how a child got on; the execution then."""
        outputs, effects = (None, {}) if ended is None else (ended.outputs, ended.effects)
        event = ChildRan(self.now(), self.run.id, child.id, state, attempt, outputs, effects)
        return await self.worker.child(self.job, self.run, event)

    def child_run(self, execution: Execution, child: Task) -> TaskRun:
        """The task run of a child, once the executor has made it; RuntimeError-free because RUNNING was told first."""
        for run in reversed(list(execution.task_runs.values())):
            if run.parent_id == self.run.id and run.task_id == child.id:
                return run
        raise TaskFailed(f"The task {child.id!r} could not be started.", fix="The execution has probably been stopped.")


async def run_directory(
    worker: Worker, job: Job, flow: Flow, execution: Execution, run: TaskRun, task: DirectoryTask
) -> Ended:
    """Place files, run the children, collect files; how the directory ended."""
    if 0 < len(run.attempts) < job.attempt:  # the executor has not heard yet that another try began
        execution = without_children(execution, run)
    folder = worker.scratch / run.id
    directory = DirectoryRun(worker, job, flow, run, task, folder)
    context = TaskContext(worker.outside, flow, execution, run, task, job.attempt, working_dir=folder)
    try:
        async with asyncio.timeout(await _seconds(worker, flow, task, context)):
            return await _within(directory, execution, context)
    except TimeoutError:
        return Ended(State.FAILED, error="Timeout: the tasks of the directory took too long.")
    except EngineError as error:
        return Ended(State.FAILED, error=worker.outside.masker.mask(str(error)))
    finally:
        await context.close()


def without_children(execution: Execution, run: TaskRun) -> Execution:
    """The execution without what the try before left below the run of a directory."""
    kept, gone = [], {run.id}
    for one in execution.task_runs.values():  # parents come before their children
        if one.parent_id in gone:
            gone.add(one.id)
        else:
            kept.append(one)
    return replace(execution, task_runs=TaskRuns(kept))


async def _within(directory: DirectoryRun, execution: Execution, context: TaskContext) -> Ended:
    worker, task, folder = directory.worker, directory.task, directory.folder
    rendered = await worker.render(directory.flow, task, context)
    context.working_dir  # noqa: B018 - makes the folder
    directory.globs = tuple(_texts(getattr(rendered, "output_files", None)))
    await place_namespace_files(context, getattr(rendered, "namespace_files", None))
    files = getattr(rendered, "input_files", None)
    if files:
        await place(context, read_json(files) if isinstance(files, str) else files)
    cache = Cache.of(worker, directory, getattr(rendered, "cache", None))
    if cache is not None:
        await asyncio.to_thread(cache.restore, directory.now())
    directory.seen = await asyncio.to_thread(snapshot, folder)
    for child in getattr(task, "tasks", ()):
        if child.disabled:
            continue
        execution = await run_child(directory, execution, child)
        if directory.failed:
            break
    if directory.failed:
        return Ended(State.FAILED)
    outputs = {"outputFiles": await collect(context, directory.globs)} if directory.globs else {"outputFiles": {}}
    if cache is not None:
        await asyncio.to_thread(cache.save)
    return Ended(State.WARNING if directory.warned else State.SUCCESS, outputs)


async def run_child(directory: DirectoryRun, execution: Execution, child: Task) -> Execution:
    """Run one child with its retries; the execution then."""
    worker, flow = directory.worker, directory.flow
    earlier = [r for r in execution.task_runs.values() if r.parent_id == directory.run.id and r.task_id == child.id]
    run = earlier[-1] if earlier else None
    attempt = (len(run.attempts) if run else 0) + 1
    first = directory.now()
    while True:
        refusal = await _run_if(directory, execution, child, run) if child.run_if is not None else None
        if refusal is not None and refusal.state is State.SKIPPED:
            return await directory.tell(child, State.SKIPPED, attempt, refusal)
        execution = await directory.tell(child, State.RUNNING, attempt)
        run = directory.child_run(execution, child)
        ended = refusal or await worker.attempt(flow, execution, run, child, attempt, directory.folder, shared=True)
        ended = await attributed(directory, execution, run, child, ended)
        if ended.error:
            context = TaskContext(worker.outside, flow, execution, run, child, attempt, working_dir=directory.folder)
            context.log(ended.error, "ERROR")
        if ended.state is not State.FAILED or refusal is not None:
            break
        # The policy of the directory, or of the flow, is for the directory as a whole.
        at = _again(child.retry, attempt, first, directory.now(), run.id)
        if at is None:
            break
        await asyncio.sleep(max((at - directory.now()).total_seconds(), 0))
        attempt += 1
    execution = await directory.tell(child, ended.state, attempt, ended)
    if ended.state is State.FAILED and not child.allow_failure:
        directory.failed = True
    elif directory.child_run(execution, child).state is State.WARNING:
        directory.warned = True
    return execution


async def _run_if(directory: DirectoryRun, execution: Execution, child: Task, run: TaskRun | None) -> Ended | None:
    """SKIPPED or FAILED when `runIf` says so; None when the child runs. `run` is None before its first attempt."""
    worker, now = directory.worker, directory.now()
    ahead = TaskRun(directory.run.id, child.id, State.CREATED, ((State.CREATED, now),), directory.run.id)
    if run is not None:
        ahead = run.attempted(State.FAILED, now) if run.attempts and run.attempts[-1].ended is None else run
    context = TaskContext(worker.outside, directory.flow, execution, ahead, child, 1, working_dir=directory.folder)
    try:
        return None if truthy(await context.render(child.run_if)) else Ended(State.SKIPPED)
    except ExpressionFailed as error:
        return Ended(State.FAILED, error=str(error))


async def attributed(directory: DirectoryRun, execution: Execution, run: TaskRun, child: Task, ended: Ended) -> Ended:
    """The end of a child, with files it wrote that only the directory's `outputFiles` name among its own outputs."""
    after = await asyncio.to_thread(snapshot, directory.folder)
    changed = [name for name, stamp in after.items() if directory.seen.get(name) != stamp]
    directory.seen = after
    patterns = [glob(pattern) for pattern in directory.globs]
    wanted = [name for name in changed if any(pattern.fullmatch(name) for pattern in patterns)]
    if not wanted or ended.state is not State.SUCCESS:
        return ended
    worker = directory.worker
    context = TaskContext(worker.outside, directory.flow, execution, run, child, 1, working_dir=directory.folder)
    stored = {name: await context.files.put(directory.folder / name, Path(name).name) for name in wanted}
    own = (ended.outputs or {}).get("outputFiles")
    files = {**stored, **(own if isinstance(own, Mapping) else {})}
    return replace(ended, outputs={**(ended.outputs or {}), "outputFiles": files})


def snapshot(folder: Path) -> Snapshot:
    """Time and size of every file below a folder."""
    found: Snapshot = {}
    for path in below(folder):
        stat = path.stat()
        found[path.relative_to(folder).as_posix()] = (stat.st_mtime_ns, stat.st_size)
    return found


@dataclass(frozen=True, slots=True)
class Cache:
    """Files of a directory that the next run of the same task finds again."""

    archive: Path
    folder: Path
    patterns: tuple[str, ...]
    ttl: timedelta | None

    @classmethod
    def of(cls, worker: Worker, directory: DirectoryRun, declared: Any) -> "Cache | None":
        """The cache a WorkingDirectory declares."""
        patterns = tuple(getattr(declared, "patterns", ()))
        if not patterns:
            return None
        flow, value = directory.flow, directory.run.value
        inner = f"cache/{hashlib.sha256(value.encode()).hexdigest()[:16]}" if value else "cache"
        place = f"{flow.namespace.replace('.', '/')}/{slug(flow.id)}/{slug(directory.task.id)}/{inner}/cache.zip"
        return cls(worker.outside.files.root / place, directory.folder, patterns, declared.ttl)

    def restore(self, now: datetime) -> None:
        """Unpack what was saved, unless it is too old."""
        if not self.archive.is_file():
            return
        age = now.timestamp() - self.archive.stat().st_mtime
        if self.ttl is not None and age > self.ttl.total_seconds():
            self.archive.unlink()
            return
        with zipfile.ZipFile(self.archive) as packed:
            for name in packed.namelist():
                target = inside(self.folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(packed.read(name))

    def save(self) -> None:
        """Pack what the patterns match."""
        compiled = [glob(pattern) for pattern in self.patterns]
        names = [path.relative_to(self.folder).as_posix() for path in below(self.folder)]
        matching = [name for name in names if any(pattern.fullmatch(name) for pattern in compiled)]
        if not matching:
            return
        self.archive.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.archive.with_suffix(".new")
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in matching:
                packed.write(self.folder / name, name)
        fresh.replace(self.archive)


def _again(policy: Retry | None, attempt: int, first: datetime, now: datetime, seed: str) -> datetime | None:
    if policy is None or policy.behavior == "CREATE_NEW_EXECUTION":
        return None
    return next_try(policy, attempt, first, now, seed)


async def _seconds(worker: Worker, flow: Flow, task: Task, context: TaskContext) -> float | None:
    if task.timeout is None:
        return None
    rendered = await worker.render(flow, task, context)
    return None if rendered.timeout is None else rendered.timeout.total_seconds()


def _texts(value: Any) -> list[str]:
    """`outputFiles` and the like: a list, or JSON text of one, or one text."""
    if value is None:
        return []
    if isinstance(value, str):
        return [str(item) for item in read_json(value)] if value.strip().startswith("[") else [value]
    return [str(item) for item in value]
