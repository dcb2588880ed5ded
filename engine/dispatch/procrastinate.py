"""Carries out attempts on several machines: each is a Procrastinate job, stored by the transaction that decided it.

Whoever runs jobs says every few seconds that it lives; what a worker had when it went silent is offered again. So an
attempt runs at least once, and its end is recorded once, because the core ignores a second end.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import procrastinate
from procrastinate.jobs import DeleteJobCondition
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text

from engine.core.commands import RunTask
from engine.core.execution import Execution
from engine.dispatch.inline import Job
from engine.store import parts
from engine.store.batches import Row
from engine.store.postgres import PostgresDatabase, plain_address
from engine.store.signals import CHANNEL
from engine.store.statements import serial
from engine.store.writing import Unit

log = logging.getLogger(__name__)

TASK = "parley.run"
DEFAULT = "default"
SILENT_BEATS = 3  # heartbeats a worker may miss
POLL_SECONDS = 2.0  # how long a job waits at most when its notification is lost
AGAIN_SECONDS = 1
CONNECT_SECONDS = 10.0  # to reach the database, before it is tried again
CONNECTIONS = 6
BOUNDS = (16, 64, 256)  # jobs of one decision, from which on they let others pass


def queue_of(group: str | None) -> str:
    """The queue of a worker group; None: of tasks that any worker runs."""
    return DEFAULT if group is None else f"group:{group}"


def group_of(queue: str) -> str | None:
    """The worker group of a queue."""
    return queue.removeprefix("group:") if queue != DEFAULT else None


def priority(before: int) -> int:
    """Of a job with so many before it in one fan-out: the farther back, the longer others may pass."""
    return -sum(before >= bound for bound in BOUNDS)


class Again(BaseRetryStrategy):
    """What was interrupted is offered again at once; what broke, because nothing could be written, a moment later."""

    def get_retry_decision(self, *, exception: BaseException, job: Any) -> RetryDecision:
        """Always again: only an end that is recorded is an end."""
        interrupted = isinstance(exception, asyncio.CancelledError)
        return RetryDecision(retry_in={"seconds": 0 if interrupted else AGAIN_SECONDS})


class Deferral:
    """Stores the jobs of a group of units in one statement, on the group's own connection."""

    rank = 3
    each = False

    def __init__(self) -> None:
        self._app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Store jobs; how many."""
        raw = connection.connection.driver_connection
        jobs: dict[tuple[str, int], list[Row]] = {}
        before: Counter[str] = Counter()
        for row in rows:
            arguments = row["args"]
            jobs.setdefault((row["queue"], priority(before[arguments["execution"]])), []).append(arguments)
            before[arguments["execution"]] += 1
        for (queue, urgency), every in jobs.items():
            self._app.configure_task(TASK, queue=queue, priority=urgency, connection=raw).batch_defer(*every)
        return len(rows)


class ProcrastinateDispatcher:
    """Stores jobs for whoever runs them, and runs those of some queues (none: only stores)."""

    def __init__(
        self,
        database: PostgresDatabase,
        run: Callable[[Job], Coroutine[Any, Any, None]],
        killed: Callable[[Job], None],
        workers: int,
        queues: Sequence[str],
        heartbeat: float,
    ) -> None:
        self._database = database
        self._run = run
        self._tell_killed = killed
        self._workers = workers
        self._queues = tuple(queues)
        self._heartbeat = heartbeat
        self._deferral = Deferral()
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._killed: set[tuple[str, int]] = set()
        self._task: asyncio.Task[None] | None = None
        self._app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=plain_address(database.address), min_size=1, max_size=CONNECTIONS, timeout=CONNECT_SECONDS
            )
        )
        self._app.task(name=TASK, retry=Again())(self._perform)
        for name in ("procrastinate", "psycopg.pool"):
            logging.getLogger(name).setLevel(logging.CRITICAL if name == "procrastinate" else logging.ERROR)

    @property
    def under_way(self) -> int:
        """How many jobs run in this process."""
        return len(self._running)

    @property
    def busy(self) -> int:
        """How many jobs run or wait, on all machines; asks the database."""
        number: int = self._database.read_now(lambda c: c.execute(_unfinished).scalar_one())
        return number

    async def install(self) -> None:
        """Make the tables of jobs, or bring them up to date."""
        await self._database.transact(_install)

    def start(self) -> None:
        """Begin to run jobs."""
        self._task = asyncio.create_task(self._work(), name="jobs")

    def store(self, unit: Unit, execution: Execution, command: RunTask) -> bool:
        """Ask for an attempt, in the transaction of the decision."""
        arguments = {
            "execution": execution.id,
            "run": command.task_run_id,
            "attempt": command.attempt,
            "version": execution.version,
        }
        unit.batch.add(self._deferral, [{"queue": queue_of(command.worker_group), "args": arguments}])
        return True

    def offer(self, job: Job) -> None:
        """Nothing: the job was stored with its decision."""

    def withdraw(self, task_run_id: str) -> list[Job]:
        """Take back what waits for a task run, and interrupt what runs, here or elsewhere."""

        def work(unit: Unit) -> None:
            gone = unit.connection.execute(_take_back, {"run": task_run_id}).scalars().all()
            unit.connection.execute(_tell, {"line": f"stop {task_run_id}"})
            for arguments in gone:
                job = _job(**arguments)
                unit.after_commit(lambda job=job: self._tell_killed(job))  # type: ignore[misc]

        def told(error: BaseException | None) -> None:
            if error is not None:
                log.warning("Task run %s could not be stopped yet (%s); its worker will see.", task_run_id, error)

        self._database.submit(work, told)
        self.interrupt(task_run_id)
        return []

    def interrupt(self, task_run_id: str) -> None:
        """Stop what runs here for a task run, because its execution is killed."""
        for key, task in tuple(self._running.items()):
            if key[0] == task_run_id:
                self._killed.add(key)
                task.cancel()

    def running(self) -> set[str]:
        """The task runs that are at work in this process."""
        return {task_run_id for task_run_id, _ in self._running}

    async def sweep(self) -> int:
        """Offer again what silent workers had; how many jobs. One process at a time does this."""
        stalled = await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=SILENT_BEATS * self._heartbeat)
        number = 0
        for job in stalled:
            try:
                await self._app.job_manager.retry_job(job)
            except procrastinate.exceptions.ConnectorException as error:
                log.debug("A job ended just now: %s", error)
                continue
            log.warning("The worker of task run %s is silent; it runs again.", job.task_kwargs.get("run"))
            number += 1
        return number

    async def unserved(self, served: Sequence[str], limit: int = 100) -> list[tuple[str | None, Job]]:
        """Jobs that have waited a moment, and nobody who lives takes them: (worker group, job)."""
        asked = {"served": list(served), "limit": limit}
        found = await self._database.read(lambda c: c.execute(_unserved, asked).all())
        return [(group_of(row.queue_name), _job(**row.args)) for row in found]

    async def stop(self, grace: float) -> None:
        """Begin nothing more; give what runs `grace` seconds, then interrupt it: it is offered again at once."""
        if self._task is None:
            return
        self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=grace)
        if late:
            for task in tuple(self._running.values()):
                task.cancel()
            await asyncio.wait(late, timeout=5)

    async def _work(self) -> None:
        """Run jobs, again when the connection to the database was lost."""
        wait = 0.5
        while True:
            try:
                await self._app.open_async()
                if not self._queues:
                    await asyncio.Event().wait()
                await self._app.run_worker_async(
                    queues=list(self._queues),
                    concurrency=self._workers,
                    install_signal_handlers=False,
                    delete_jobs=DeleteJobCondition.SUCCESSFUL,
                    fetch_job_polling_interval=POLL_SECONDS,
                    update_heartbeat_interval=self._heartbeat,
                    stalled_worker_timeout=SILENT_BEATS * self._heartbeat,
                )
            except Exception as error:  # noqa: BLE001 - whatever it was, jobs must be run again
                log.warning("No jobs can be taken (%s); trying again.", str(error).strip() or type(error).__name__)
            finally:  # also a pool that never came up: its tasks would outlive us, and it would pass for an open one
                await self._app.close_async()
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)

    async def _perform(self, execution: str, run: str, attempt: int, version: int = 0) -> None:
        job = _job(execution, run, attempt, version)
        key = (run, attempt)
        there = self._running.get(key)
        if there is not None:  # we were thought silent, and got our own job again
            await asyncio.wait([there])
            return
        task = asyncio.create_task(self._run(job), name=f"job {run}")
        self._running[key] = task
        try:
            await task
        except asyncio.CancelledError:
            if key not in self._killed:
                raise
            self._tell_killed(job)
        finally:
            self._killed.discard(key)
            del self._running[key]


_take_back = text("DELETE FROM procrastinate_jobs WHERE status = 'todo' AND args->>'run' = :run RETURNING args")
_unfinished = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
_tell = text(f"SELECT pg_notify('{CHANNEL}', :line)")
_unserved = text(
    "SELECT j.queue_name, j.args FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id "
    "WHERE j.status = 'todo' AND e.type = 'deferred' AND e.at < now() - interval '3 seconds' "
    "AND NOT j.queue_name = ANY(:served) ORDER BY j.id LIMIT :limit"
)


def _job(execution: str, run: str, attempt: int, version: int = 0) -> Job:
    return Job(execution, run, attempt, execution, version)


def _install(unit: Unit) -> None:
    """The tables as this Procrastinate wants them: made whole the first time, migrated step by step later."""
    connection = unit.connection
    serial(connection, "procrastinate schema")
    cursor = connection.connection.cursor()
    steps = sorted(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    found = parts.get(connection, "procrastinate")
    try:
        if found is None:
            if connection.execute(text("SELECT to_regclass('procrastinate_jobs')")).scalar() is None:
                cursor.execute(SchemaManager.get_schema())
            connection.exec_driver_sql(
                "CREATE INDEX IF NOT EXISTS parley_job_by_run ON procrastinate_jobs ((args->>'run'))"
            )
        else:
            for name in steps:
                if name > found:
                    cursor.execute((Path(SchemaManager.get_migrations_path()) / name).read_text("utf-8"))
    finally:
        cursor.close()
    if found is None or found < steps[-1]:
        parts.put(connection, "procrastinate", steps[-1])
