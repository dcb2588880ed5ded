"""What a process on a shared database takes of what waits: of one flow no more than its share.

The flows that have theirs are passed over where the job is claimed, so what a process may not run stays in the database
for others. Nothing is kept of who has what: it is what runs here, and ends with the process.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

log = logging.getLogger(__name__)

KNOWN_SECONDS = 1.0  # how long it is believed that nothing else waits; what is offered again is not announced
REST = 10  # times as long as a look took nobody looks again, though a job is new: thousands may wait

_take_of_others = """
WITH candidate AS (
    SELECT id FROM procrastinate_jobs
    WHERE status = 'todo' AND queue_name = ANY(%(queues)s::varchar[])
    AND (scheduled_at IS NULL OR scheduled_at <= now())
    AND NOT coalesce(args->>'flow', '') = ANY(%(full)s::text[])
    ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE procrastinate_jobs job SET status = 'doing', worker_id = %(worker_id)s
FROM candidate WHERE job.id = candidate.id
RETURNING job.id, job.status, job.task_name, job.priority, job.lock, job.queueing_lock, job.args, job.scheduled_at,
    job.queue_name, job.attempts, job.worker_id
"""


def flow_of(job: Job) -> str:
    """The flow that a job belongs to."""
    return str(job.task_kwargs.get("flow", ""))


@dataclass(frozen=True, slots=True)
class Nothing:
    """What a look said that found no job but those of some flows."""

    flows: set[str]
    announced: int  # jobs until then
    believed: float  # until when, as long as no job is new
    surely: float  # until when in any case


class Shares(JobManager):
    """Gives out jobs, none of a flow of which `share` are `taken` here."""

    def __init__(self, connector: Any, share: int, taken: Callable[[], Counter[str]]) -> None:
        super().__init__(connector)
        self._share = share
        self._taken = taken
        self._announced = 0
        self._nothing: Nothing | None = None

    def announced(self) -> float:
        """A job is new; the seconds until it is looked for."""
        self._announced += 1
        return 0.0 if self._nothing is None else max(0.0, self._nothing.surely - time.monotonic())

    def full(self) -> set[str]:
        """The flows that have their share."""
        return {flow for flow, number in self._taken().items() if number >= self._share}

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job, which is the caller's now; None when there is none that it may have."""
        while full := self.full():
            if not self._is_known(full):
                announced, began = self._announced, time.monotonic()
                rows = await self.connector.execute_query_all_async(
                    _take_of_others, queues=list(queues or ()), worker_id=worker_id, full=sorted(full)
                )
                if rows:
                    return Job.from_row(rows[0])
                now = time.monotonic()
                self._nothing = Nothing(full, announced, now + KNOWN_SECONDS, now + REST * (now - began))
            if full <= self.full():  # nothing ended while we asked
                return None
        return await super().fetch_job(queues, worker_id)

    def _is_known(self, full: set[str]) -> bool:
        """Whether nothing waits besides: a look goes past everything that waits, so it is not made at every end."""
        last = self._nothing
        if last is None or not last.flows <= full:
            return False
        return time.monotonic() < (last.believed if last.announced == self._announced else last.surely)


class Shift(Worker):
    """A Procrastinate worker until its connection is lost. It then waits for what it runs, which may take hours: `over`
    says that it takes no more. `untold` hears of a job whose end could not be told."""

    def __init__(self, over: asyncio.Event, shares: Shares, untold: Callable[[Job], None], **given: Any) -> None:
        super().__init__(**given)
        self.over = over
        self.shares = shares
        self.untold = untold
        self.registered = asyncio.Event()

    async def _run_loop(self) -> None:
        self.registered.set()
        await super()._run_loop()  # type: ignore[no-untyped-call]

    async def _shutdown(self, side_tasks: list[asyncio.Task[Any]]) -> None:
        self.over.set()
        await super()._shutdown(side_tasks)

    @property
    def flows(self) -> list[str]:
        """The flow of each job that it runs."""
        return [flow_of(context.job) for task, context in self._running_jobs.items() if not task.done()]

    async def _handle_notification(self, *, channel: str, notification: Any) -> None:
        await super()._handle_notification(channel=channel, notification=notification)
        if rest := self.shares.announced():
            asyncio.get_running_loop().call_later(rest, self._new_job_event.set)

    async def _process_job(self, context: Any) -> None:
        try:
            await super()._process_job(context)
        except ConnectorException as error:
            run = context.job.task_kwargs.get("run")
            log.warning("That task run %s is done can't be told (%s); it is offered again.", run, error.__cause__)
            self.untold(context.job)
        finally:
            if flow_of(context.job) in self.shares.full():  # another of the same flow may have waited for this
                self._new_job_event.set()
