"""Carries out attempts on several machines: each is a Procrastinate job, stored by the transaction that decided it.

Whoever runs jobs says every few seconds that it lives; what a worker had when it went silent is offered again. So an
attempt runs at least once, and its end is recorded once, because the core ignores a second end.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import procrastinate
from procrastinate.jobs import DeleteJobCondition
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, TextClause, text

from engine.core.commands import RunTask
from engine.core.execution import Execution
from engine.dispatch.inline import Job
from engine.dispatch.shares import Shares, Shift
from engine.errors import StoreFailed
from engine.store import parts
from engine.store.batches import Row
from engine.store.members import group_of, queue_of
from engine.store.postgres import PostgresDatabase, plain_address
from engine.store.signals import CHANNEL
from engine.store.statements import serial
from engine.store.writing import Unit

log = logging.getLogger(__name__)

TASK = "parley.run"
SILENT_BEATS = 3  # heartbeats a worker may miss
POLL_SECONDS = 2.0  # how long a job waits at most when its notification is lost
AGAIN_SECONDS = 1  # before what broke is offered again
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # whatever our clock shows: it is the server's that a job waits for
CONNECT_SECONDS = 10.0  # to reach the database, before it is tried again
STEADY_SECONDS = 60.0  # after which a lost connection is the first again
CONNECTIONS = 6
BOUNDS = (16, 64, 256)  # jobs of one decision, from which on they let others pass


def priority(before: int) -> int:
    """Of a job with so many before it in one fan-out: the farther back, the longer others may pass."""
    return -sum(before >= bound for bound in BOUNDS)


class Again(BaseRetryStrategy):
    """What was interrupted, or broke because nothing could be written, is offered again at once."""

    def get_retry_decision(self, *, exception: BaseException, job: Any) -> RetryDecision:
        """Always again: only an end that is recorded is an end."""
        return RetryDecision(retry_at=LONG_AGO)


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
        killed: Callable[[Job], Coroutine[Any, Any, None]],
        killed_in: Callable[[Unit, Job], None],
        workers: int,
        share: int,
        queues: Sequence[str],
        heartbeat: float,
    ) -> None:
        self._database = database
        self._run = run
        self._tell_killed = killed
        self._tell_killed_in = killed_in
        self._workers = workers
        self._share = share
        self._shifts = set[Shift]()
        self._queues = tuple(queues)
        self._heartbeat = heartbeat
        self._deferral = Deferral()
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._untold: set[asyncio.Task[None]] = set()
        self._killed: set[tuple[str, int]] = set()
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(workers)  # also when two shifts overlap
        self._app = self._new_app()
        for name in ("procrastinate", "psycopg.pool"):
            logging.getLogger(name).setLevel(logging.CRITICAL if name == "procrastinate" else logging.ERROR)

    def _new_app(self) -> procrastinate.App:
        app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=plain_address(self._database.address),
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_SECONDS,
            )
        )
        app.task(name=TASK, retry=Again())(self._perform)
        return app

    @property
    def under_way(self) -> int:
        """How many jobs run in this process."""
        return len(self._running)

    @property
    def busy(self) -> int:
        """How many jobs run or wait, on all machines; asks the database."""
        return self._number(_unfinished)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker, on whichever machine; asks the database."""
        return self._number(_todo)

    def _number(self, asked: TextClause) -> int:
        number: int = self._database.read_now(lambda c: c.execute(asked).scalar_one())
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
            "flow": f"{execution.namespace}/{execution.flow_id}",
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
            for arguments in gone:  # with the job goes what would have it run again: its end must be there instead
                self._tell_killed_in(unit, _job(**arguments))

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
                await self._app.job_manager.retry_job(job, retry_at=LONG_AGO)
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
        for untold in tuple(self._untold):
            untold.cancel()

    async def _work(self) -> None:
        """Run jobs. When the connection is lost a new shift begins, beside what the one before still runs."""
        wait, shifts = 0.5, set[asyncio.Task[None]]()
        try:
            while True:
                began, over = time.monotonic(), asyncio.Event()
                self._app = self._new_app()
                shift = asyncio.create_task(self._shift(self._app, over), name="shift")
                shifts.add(shift)
                shift.add_done_callback(shifts.discard)
                told = asyncio.create_task(over.wait())
                await asyncio.wait([shift, told], return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                wait = 0.5 if time.monotonic() - began > STEADY_SECONDS else min(wait * 2, 5.0)
                await asyncio.sleep(wait)
        finally:
            for shift in shifts:
                shift.cancel()
            await asyncio.gather(*shifts, return_exceptions=True)

    async def _shift(self, app: procrastinate.App, over: asyncio.Event) -> None:
        try:
            await app.open_async()
            if not self._queues:
                await asyncio.Event().wait()
            shares = Shares(app.connector, self._share, self._taken)
            app.job_manager = shares
            worker = Shift(
                over,
                shares,
                self._give_up,
                app=app,
                queues=list(self._queues),
                concurrency=self._workers,
                install_signal_handlers=False,
                delete_jobs=DeleteJobCondition.SUCCESSFUL,
                fetch_job_polling_interval=POLL_SECONDS,
                update_heartbeat_interval=self._heartbeat,
                stalled_worker_timeout=SILENT_BEATS * self._heartbeat,
            )
            adopting = asyncio.create_task(self._adopt(worker))
            self._shifts.add(worker)
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            finally:
                self._shifts.discard(worker)
                adopting.cancel()
        except Exception as error:  # noqa: BLE001 - whatever it was, jobs must be run again
            log.warning("No jobs can be taken (%s); trying again.", str(error).strip() or type(error).__name__)
        finally:  # also a pool that never came up: its tasks would outlive us, and it would pass for an open one
            await app.close_async()

    def _taken(self) -> Counter[str]:
        """How many jobs of each flow are here, in whichever shift they began."""
        return Counter(flow for shift in self._shifts for flow in shift.flows)

    async def _adopt(self, worker: Shift) -> None:
        """What runs here belongs to the new shift, so that nobody thinks its worker silent."""
        await worker.registered.wait()
        given = {"worker": worker.worker_id, "runs": sorted(self.running())}
        try:
            if given["runs"]:
                await self._database.transact(lambda unit: unit.connection.execute(_taken_over, given).rowcount)
        except StoreFailed as error:
            log.debug("What runs here is offered again: %s", error)

    def _give_up(self, job: procrastinate.jobs.Job) -> None:
        """Nobody has a job any more whose end could not be told: its worker lives on, and would pass for running it."""
        task = asyncio.create_task(self._until_nobodys(job), name=f"give up {job.id}")
        self._untold.add(task)
        task.add_done_callback(self._untold.discard)

    async def _until_nobodys(self, job: procrastinate.jobs.Job) -> None:
        while job.task_kwargs.get("run") not in self.running():  # then it was offered to us again
            given = {"job": job.id, "workers": [worker.worker_id for worker in self._shifts if worker.worker_id]}

            def work(unit: Unit, given: dict[str, Any] = given) -> None:
                unit.connection.execute(_nobodys, given)

            try:
                await self._database.transact(work)
            except StoreFailed as error:
                log.debug("Job %s can't be given up yet: %s", job.id, error)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def _perform(self, **arguments: Any) -> None:
        job = _job(**arguments)
        run, attempt = job.task_run_id, job.attempt
        key = (run, attempt)
        there = self._running.get(key)
        if there is not None:  # we were thought silent, and got our own job again
            await asyncio.wait([there])
            there.result()  # what did not end well is not done with for being offered twice
            return
        task = asyncio.create_task(self._in_its_turn(job), name=f"job {run}")
        self._running[key] = task
        try:
            await task
        except asyncio.CancelledError:
            if key not in self._killed:
                raise
            await self._tell_killed(job)
        except Exception:
            await asyncio.sleep(AGAIN_SECONDS)
            raise
        finally:
            self._killed.discard(key)
            del self._running[key]

    async def _in_its_turn(self, job: Job) -> None:
        async with self._room:
            await self._run(job)


_take_back = text("DELETE FROM procrastinate_jobs WHERE status = 'todo' AND args->>'run' = :run RETURNING args")
_taken_over = text(
    "UPDATE procrastinate_jobs SET worker_id = :worker WHERE status = 'doing' AND args->>'run' = ANY(:runs)"
)
_nobodys = text(
    "UPDATE procrastinate_jobs SET worker_id = NULL WHERE id = :job AND status = 'doing' AND worker_id = ANY(:workers)"
)
_unfinished = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
_todo = text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")
_tell = text(f"SELECT pg_notify('{CHANNEL}', :line)")
_unserved = text(
    "SELECT j.queue_name, j.args FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id "
    "WHERE j.status = 'todo' AND e.type = 'deferred' AND e.at < now() - interval '3 seconds' "
    "AND NOT j.queue_name = ANY(:served) ORDER BY j.id LIMIT :limit"
)


def _job(execution: str, run: str, attempt: int, version: int = 0, flow: str = "", **later: Any) -> Job:
    """A job by its arguments, of which newer processes may give more."""
    return Job(execution, run, attempt, flow or execution, version)


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
