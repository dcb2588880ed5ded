"""Engine: the only door to everything that happens."""

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from engine.clock import Clock, SharedClock, SystemClock
from engine.core.events import Started
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.inputs import Resolved
from engine.core.registry import Registry
from engine.core.state import State
from engine.plugin import ChatPort
from engine.runtime.assembly import Assembly
from engine.runtime.changes import Change, Until
from engine.runtime.counting import count_limited
from engine.runtime.creation import FailedCheck, Prepared, check_labels
from engine.runtime.foresight import Ahead, Foreseen, file_changes, foresee
from engine.runtime.key_check import check_key
from engine.runtime.opening import open_database
from engine.runtime.operations import masked
from engine.runtime.task_flows import TaskExecutions
from engine.settings import Settings
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store import executions, logs, metrics, pauses
from engine.store.database import Database, Unit
from engine.store.logs import LogLine
from engine.store.metrics import Metric
from engine.store.pauses import PauseRow
from engine.store.postgres import PostgresDatabase
from engine.tasks import catalogue

log = logging.getLogger(__name__)


class Engine(Assembly):
    """Deploys flows, runs executions, answers questions about both. `open`, `start`, …, `stop`."""

    def __init__(self, settings: Settings, database: Database, registry: Registry, clock: Clock) -> None:
        super().__init__(settings, database, registry, clock)
        self._outside.executions = TaskExecutions(self.operations, self.create)

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        registry: Registry | None = None,
        clock: Clock | None = None,
        chat: ChatPort | None = None,
    ) -> "Engine":
        """The engine on its database, nothing running yet; StoreFailed, SettingInvalid."""
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = await open_database(settings)
        try:
            is_shared = isinstance(database, PostgresDatabase)
            clock = clock or (SharedClock() if is_shared else SystemClock())
            engine = cls(settings, database, registry or catalogue(), clock)
        except BaseException:
            await database.close()
            raise
        engine.chat = chat
        return engine

    @property
    def chat(self) -> ChatPort | None:
        """The bot's connections, as tasks see them."""
        return self._outside.chat

    @chat.setter
    def chat(self, chat: ChatPort | None) -> None:
        self._outside.chat = chat

    @property
    def is_busy(self) -> bool:
        """Whether anything is going on or waits for a worker; timers and pauses do not count."""
        if self.decider.busy or self.dispatcher.busy or self._carrier.busy or self.schedules.busy:
            return True
        return self.cluster is not None and self.cluster.busy

    @property
    def starting(self) -> int:
        """How much of what executions ask for besides tasks is not done yet: other executions, most of all."""
        return self._carrier.busy

    @property
    def is_connected(self) -> bool:
        """Whether this process is one of those on its database; a process alone always is."""
        return self.cluster is None or self.cluster.presence.hears

    async def start(self, *, watch: bool = True, schedules: bool = True) -> None:
        """Read the flows, go on with what was under way when the process ended, keep the schedules if asked."""
        await check_key(self.database, self.vault, shared=self.cluster is not None)
        await self.notary.open()
        if self.cluster is not None:
            await self.cluster.join()
        await self.flows.start(watch=watch)
        self.flows.on_change(self._flows_changed)
        self._flow_triggers.refresh()
        await self._worker.clear()
        self.logbook.start()
        self.timers.start()
        await self._tidy()
        if schedules:
            self.notary.start()
            self.retention.start()
        if self.cluster is not None:
            cluster = self.cluster
            self.retention.falls_to_us = lambda: cluster.leads
            await self.cluster.start(schedules=schedules)
            return
        await self._recover()
        self.dispatcher.start()
        if schedules:
            await self.schedules.start()

    async def stop(self, grace: float = 10) -> None:
        """Begin nothing more, give what runs `grace` seconds, let go of the database; what is open goes on later."""
        await self.retention.stop()
        if self.cluster is not None:
            await self.cluster.stop()
        for part in (self.schedules, self.flows, self.timers):
            await part.stop()
        await self.dispatcher.stop(grace)
        for rest in (self._carrier, self.decider, self.logbook):
            await rest.stop()
        await self.notary.stop()
        await self.tracing.stop()
        if self.cluster is not None:
            await self.cluster.leave()
        await self.database.close()

    async def _tidy(self) -> None:
        """Forget what has served its time."""
        await self.retention.tidy()
        if self.settings.encryption_key and "," in self.settings.encryption_key:
            await self.kv.rotate()

    async def _recover(self) -> None:
        """Take up every row of the inbox and the outbox."""
        await count_limited(self.database, self.flows, self.slots, await self.database.read(executions.queueing))
        for posted in await self.database.read(lambda c: inbox.waiting(c, self.sealer)):
            self.decider.post_stored(posted)
        flows = await self.database.read(outbox.flows)
        for row in await self.database.read(lambda c: outbox.waiting(c, self.sealer)):
            self._carrier.take_up(row, flows.get(row.execution_id))
        self._let_start()

    def _let_start(self) -> None:
        """Let those start that wait for their turn and have a place."""
        for execution_id in self.slots.first_waiting():
            self.decider.post(execution_id, Started(self.clock.now()))

    async def _flows_changed(self) -> None:
        await count_limited(self.database, self.flows, self.slots, set())
        if self.cluster is None:  # elsewhere who leads looks again and again
            self._let_start()
        self._flow_triggers.refresh()
        await self.schedules.refresh()

    async def deploy(self, source: str, *, file: str = "", line: int = 1) -> Flow:
        """Keep a flow's text as a new revision, only if it changed; FlowInvalid says what is wrong."""
        return await self.flows.deploy(source, file=file, line=line)

    async def check_inputs(self, flow: Flow, given: Mapping[str, Any]) -> Resolved:
        """What came of given values, for forms: all problems, options, what is asked for at all."""
        return await self.creator.check(flow.inputs, given, flow)

    async def failing_checks(self, flow: Flow, inputs: Mapping[str, Any]) -> list[FailedCheck]:
        """The `checks` of a flow that typed inputs do not pass."""
        return await self.creator.failing_checks(flow, inputs)

    async def create(
        self,
        namespace: str,
        flow_id: str,
        inputs: Mapping[str, Any],
        *,
        started_by: str,
        origin: Origin | None = None,
        labels: Sequence[tuple[str, str]] = (),
        revision: int | None = None,
        schedule_date: datetime | None = None,
        dedupe: str | None = None,
        trigger_id: str | None = None,
        local_files: bool = True,
    ) -> Execution:
        """Start an execution; NotFound, InputInvalid, Refused. The same dedupe key again gives the same execution."""
        flow = self.flows.get(namespace, flow_id, revision)
        check_labels(labels)
        prepared = await self.prepare(flow, await self.check_inputs(flow, inputs), local_files=local_files)
        return await self.creator.create(
            self.database,
            prepared,
            started_by=started_by,
            origin=origin,
            labels=labels,
            schedule_date=schedule_date,
            dedupe=dedupe,
            trigger_id=trigger_id,
        )

    async def prepare(self, flow: Flow, resolved: Resolved, *, local_files: bool = True) -> Prepared:
        """Everything `create_in` needs; InputInvalid, Refused. Without `local_files` a FILE input must be a URI."""
        return await self.creator.prepare(flow, resolved, local_files=local_files)

    def create_in(
        self,
        unit: Unit,
        prepared: Prepared,
        *,
        started_by: str,
        origin: Origin | None = None,
        labels: Sequence[tuple[str, str]] = (),
        schedule_date: datetime | None = None,
        dedupe: str | None = None,
    ) -> Execution:
        """Start an execution inside somebody's transaction."""
        return self.creator.create_in(
            unit,
            prepared,
            started_by=started_by,
            origin=origin,
            labels=labels,
            schedule_date=schedule_date,
            dedupe=dedupe,
        )

    async def execution(self, execution_id: str) -> Execution:
        """An execution, secrets as stars; NotFound."""
        return masked(await self.decider.current(execution_id), self.masker)

    async def executions(
        self,
        *,
        namespace: str | None = None,
        flow_id: str | None = None,
        states: Collection[State] | None = None,
        started_by: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Execution]:
        """Executions that fit, newest first; `before` is the last id of the page before."""
        found = await self.database.read(
            lambda c: executions.find(
                c,
                self.sealer,
                namespace=namespace,
                flow_id=flow_id,
                states=states,
                started_by=started_by,
                limit=limit,
                before=before,
            )
        )
        return [masked(execution, self.masker) for execution in found]

    async def render(self, execution_id: str, template: Any, task_run_id: str | None = None) -> Any:
        """A template of the flow rendered with an execution's variables; ExpressionFailed, NotFound."""
        return await self.operations.render(execution_id, template, task_run_id)

    async def resume(
        self,
        execution_id: str,
        inputs: Mapping[str, Any],
        *,
        by: str,
        task_run_id: str | None = None,
        dedupe: str | None = None,
        local_files: bool = False,
    ) -> Execution:
        """Answer a pause; InputInvalid, Refused when nothing waits, NotFound. Without `local_files` a FILE must be a
        URI."""
        return await self.answers.resume(
            execution_id, inputs, by=by, task_run_id=task_run_id, dedupe=dedupe, local_files=local_files
        )

    async def check_answers(self, pause_id: str, given: Mapping[str, Any]) -> Resolved:
        """What came of the values given to a pause: all problems at once; NotFound."""
        return await self.answers.check(pause_id, given)

    async def foresee(self, pause_id: str, given: Mapping[str, Any] | None, templates: Sequence[Any]) -> list[Any]:
        """Templates of later tasks as if a pause were answered so, secrets as stars; Unknown for what nobody knows."""
        return await foresee(self.answers, pause_id, given, templates)

    async def file_changes(
        self, pause_id: str, given: Mapping[str, Any] | None, tasks: Sequence[Ahead]
    ) -> list[Foreseen]:
        """Which files later tasks would change if a pause were answered so, as far as that can be told."""
        return await file_changes(self.answers, pause_id, given, tasks)

    def kill_in(
        self, unit: Unit, execution_id: str, *, by: str, reason: str, now: datetime, pause_id: str | None = None
    ) -> bool:
        """Kill inside somebody's transaction, or end a pause that outlived it; False when it was too late."""
        return self.operations.kill_in(unit, execution_id, by=by, reason=reason, now=now, pause_id=pause_id)

    async def kill(self, execution_id: str, *, by: str, reason: str = "") -> Execution:
        """Stop an execution and what it started; Refused when it has ended, NotFound."""
        return await self.operations.kill(execution_id, by=by, reason=reason)

    async def restart(self, execution_id: str, *, by: str, revision: int | None = None) -> Execution:
        """Run what failed again; with a revision in a new execution. Refused, NotFound."""
        return await self.operations.restart(execution_id, by=by, revision=revision)

    async def replay(
        self, execution_id: str, *, from_task_run: str | None = None, by: str, revision: int | None = None
    ) -> Execution:
        """A new execution that repeats an old one; NotFound."""
        return await self.operations.replay(execution_id, from_task_run=from_task_run, by=by, revision=revision)

    async def pause(self, execution_id: str, *, by: str) -> Execution:
        """Let nothing new start until it is resumed; Refused unless it runs."""
        return await self.operations.pause(execution_id, by=by)

    async def change_status(self, execution_id: str, to: State, *, by: str) -> Execution:
        """Give an ended execution another final state; Refused."""
        return await self.corrections.change_status(execution_id, to, by=by)

    async def pause_row(self, pause_id: str) -> PauseRow:
        """One pause; NotFound."""
        return await self.answers.pause_row(pause_id)

    async def pauses(
        self, *, execution_id: str | None = None, state: str | None = "WAITING", limit: int = 100
    ) -> list[PauseRow]:
        """Pauses that fit, oldest first."""
        return await self.database.read(lambda c: pauses.find(c, execution_id=execution_id, state=state, limit=limit))

    async def logs(
        self,
        execution_id: str,
        *,
        task_id: str | None = None,
        level: str | None = None,
        limit: int = 1000,
        after: int = 0,
        last: bool = False,
    ) -> list[LogLine]:
        """Log lines from a level up, after the line with id `after`; of too many the first, or with `last` the last."""
        await self.logbook.flush()
        return await self.database.read(
            lambda c: logs.find(c, execution_id, task_id=task_id, level=level, limit=limit, after=after, last=last)
        )

    async def metrics(self, execution_id: str) -> list[Metric]:
        """What tasks of an execution measured."""
        await self.logbook.flush()
        return await self.database.read(lambda c: metrics.find(c, execution_id))

    async def wait(
        self,
        execution_id: str,
        *,
        until: Until = "ended",
        timeout: float | None = None,  # noqa: ASYNC109 - the end of the wait is part of the question
    ) -> Execution:
        """The execution once it has ended (or paused; `settled`: nothing of it runs); NotFound, TimeoutError."""
        found = await self.changes.wait(execution_id, until, timeout, self.decider.current)
        return masked(found, self.masker)

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Every change from now on, the latest of each execution; a slow reader holds nobody up."""
        return self.changes.subscribe()
