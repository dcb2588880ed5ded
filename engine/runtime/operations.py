"""What people do to executions: kill, pause, restart, replay."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from engine.core.events import Event, ForceAsked, KillAsked, PauseAsked, RestartAsked
from engine.core.execution import Execution, TaskRuns
from engine.core.executor import check_restart, replayed
from engine.core.executor.replays import restarted_as
from engine.core.state import State
from engine.errors import Refused
from engine.identifiers import new_id
from engine.runtime.answers import Answers
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.flows import Flows
from engine.secrets import Masker
from engine.store import events as inbox
from engine.store import executions, pauses, records
from engine.store.database import Beside, Database, Unit

Revision = int | Literal["newest"] | None


@dataclass(frozen=True, slots=True)
class Operations:
    """Changes executions because somebody asked."""

    database: Database
    flows: Flows
    creator: Creator
    decider: Decider
    answers: Answers

    def kill_in(
        self,
        unit: Unit,
        execution_id: str,
        *,
        by: str,
        reason: str,
        now: datetime,
        pause_id: str | None = None,
        cascade: bool = True,
        dedupe: str | None = None,
    ) -> bool:
        """Kill inside somebody's transaction, or end a pause that outlived its execution; False when the pause was
        decided, or the execution had ended before, and nothing of it was to come any more."""
        if pause_id is None:
            standing = records.standings(unit.connection, [execution_id]).get(execution_id)
            if standing is None or not standing.goes_on:
                return False
        elif pauses.decide(unit.connection, pause_id, "KILLED", by=by, now=now) is None:
            return False
        event = KillAsked(now, by, reason, cascade)
        posted = inbox.post(unit.connection, execution_id, event, now, self.creator.sealer, dedupe)
        if posted is not None:
            unit.after_commit(lambda: self.decider.post_stored(posted))
        return True

    async def kill(self, execution_id: str, *, by: str, reason: str = "", cascade: bool = True) -> Execution:
        """Stop an execution and, unless told otherwise, what it waits for; of one that has ended, what runs after its
        end or is to take its place. Refused when nothing does."""
        execution = await self.decider.current(execution_id)
        if not await self.goes_on(execution):
            raise Refused("Execution is already finished, can't kill it", fix=f"It ended as {execution.state}.")
        return await self.decider.decide(execution_id, KillAsked(self._now(), by, reason, cascade))

    async def goes_on(self, execution: Execution) -> bool:
        """Whether something of an execution is still to come: it has not ended, or what runs after its end has not, or
        another is to take its place."""
        if execution.goes_on or execution.state is not State.RETRIED:
            return execution.goes_on
        found = await self.database.read(lambda c: records.standings(c, [execution.id]))
        return execution.id in found and found[execution.id].goes_on

    async def pause(self, execution_id: str, *, by: str) -> Execution:
        """Let nothing new start until it is resumed; Refused unless it runs."""
        execution = await self.decider.current(execution_id)
        if execution.state is not State.RUNNING:
            raise Refused("The execution is not running", fix=f"It is {execution.state}.")
        return await self.decider.decide(execution_id, PauseAsked(self._now(), by))

    async def force_run(self, execution_id: str, *, by: str) -> Execution:
        """Let an execution begin now, whatever its date or its flow's limit; one that is paused goes on.

        Refused when it has ended, InputInvalid when a pause asks for something that has no default.
        """
        execution = await self.decider.current(execution_id)
        if execution.state.is_terminal:
            raise Refused("Execution is already finished, can't force it to run", fix=f"It ended as {execution.state}.")
        if execution.state is State.PAUSED:
            return await self.answers.resume(execution_id, {}, by=by)
        return await self.decider.decide(execution_id, ForceAsked(self._now(), by))

    async def restart(
        self, execution_id: str, *, by: str, revision: int | None = None, dedupe: str | None = None
    ) -> Execution:
        """Run what failed again: the same execution, or a new one when a revision is named; Refused.

        With a dedupe key that was used before: what that restart made, and nothing more happens.
        """
        if dedupe is not None and (there := await self._restarted_before(execution_id, dedupe)) is not None:
            return there
        execution = await self.decider.current(execution_id)
        check_restart(execution)
        now = self._now()
        if revision is not None:
            flow = await self.flows.fetch(execution.namespace, execution.flow_id, revision)
            return await self._insert(restarted_as(flow, execution, new_id(now), now, by=by), now, dedupe)
        if dedupe is None:
            return await self.decider.decide(execution_id, RestartAsked(now, by))
        done: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        if await self.database.transact(
            lambda unit: self.restart_in(unit, execution_id, by=by, now=now, dedupe=dedupe, done=done)
        ):
            return await done
        return await self.decider.current(execution_id)

    def restart_in(
        self,
        unit: Unit,
        execution_id: str,
        *,
        by: str,
        now: datetime,
        dedupe: str,
        done: asyncio.Future[Execution] | None = None,
    ) -> bool:
        """Restart inside somebody's transaction what `check_restart` lets pass; False when the key was used before."""
        posted = inbox.post(unit.connection, execution_id, RestartAsked(now, by), now, self.creator.sealer, dedupe)
        if posted is not None:
            unit.after_commit(lambda: self.decider.post_stored(posted, done))
        return posted is not None

    async def ask(self, execution_id: str, event: Event, *, dedupe: str, beside: Beside = None) -> bool:
        """Something is asked of an execution, once for each key, with the caller's writes (`beside`) in the same
        transaction; what follows is on disk when this returns. False, and nothing written, when the key was used."""
        done: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        now = self._now()

        def work(unit: Unit) -> bool:
            posted = inbox.post(unit.connection, execution_id, event, now, self.creator.sealer, dedupe)
            if posted is None:
                return False
            if beside is not None:
                beside(unit)
            unit.after_commit(lambda: self.decider.post_stored(posted, done))
            return True

        is_new = await self.database.transact(work)
        if is_new:
            await done
        return is_new

    async def check_restart(self, execution_id: str) -> None:
        """Refused when there is nothing to restart; NotFound."""
        check_restart(await self.decider.current(execution_id))

    async def _restarted_before(self, execution_id: str, dedupe: str) -> Execution | None:
        sealer = self.creator.sealer
        made = await self.database.read(lambda c: executions.by_dedupe(c, dedupe, sealer))
        if made is not None:
            return made
        is_known = await self.database.read(lambda c: inbox.knows(c, dedupe))
        return await self.decider.current(execution_id) if is_known else None

    async def replay(
        self,
        execution_id: str,
        *,
        from_task_run: str | None = None,
        by: str,
        revision: Revision = None,
        dedupe: str | None = None,
    ) -> Execution:
        """A new execution that repeats an old one, from its start or from a task run; NotFound.

        The same dedupe key again gives the same execution.
        """
        fresh = await self.replay_of(execution_id, from_task_run=from_task_run, by=by, revision=revision)
        return await self._insert(fresh, self._now(), dedupe)

    async def replay_of(
        self, execution_id: str, *, from_task_run: str | None = None, by: str, revision: Revision = None
    ) -> Execution:
        """The execution a replay makes, for `insert_in`; nothing is written yet. NotFound.

        It is of the revision that ran, of one that is named, or of the newest.
        """
        execution = await self.decider.current(execution_id)
        namespace, flow_id = execution.namespace, execution.flow_id
        newest = self.flows.get(namespace, flow_id).revision if revision == "newest" else revision
        flow = await self.flows.fetch(namespace, flow_id, newest or execution.revision)
        now = self._now()
        return replayed(flow, execution, new_id(now), now, from_task_run=from_task_run, by=by)

    def insert_in(self, unit: Unit, execution: Execution, now: datetime, dedupe: str | None = None) -> Execution:
        """Write an execution made of an old one, inside somebody's transaction; or give the one the key made before."""
        if not executions.create(unit.connection, execution, now, self.creator.sealer, dedupe=dedupe):
            there = executions.by_dedupe(unit.connection, dedupe or "", self.creator.sealer)
            assert there is not None  # noqa: S101 - the UNIQUE rule said so
            return there
        self.creator.begin_in(unit, execution, now)
        return execution

    async def render(self, execution_id: str, template: Any, task_run_id: str | None) -> Any:
        """A template rendered with an execution's variables, secrets as stars; http() is refused. ExpressionFailed."""
        execution = await self.decider.current(execution_id)
        flow = await self.flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        renderer = self.creator.renderer.quiet
        seen = renderer.variables(flow, execution, execution.task_runs.get(task_run_id or ""))
        services = renderer.services(execution.namespace, renderer.scope(execution))
        return self.creator.masker.mask_value(await renderer.value(template, seen, services))

    async def _insert(self, execution: Execution, now: datetime, dedupe: str | None = None) -> Execution:
        return await self.database.transact(lambda unit: self.insert_in(unit, execution, now, dedupe))

    def _now(self) -> datetime:
        return self.creator.clock.now()


def masked(execution: Execution, masker: Masker) -> Execution:
    """The execution as people may see it: secrets as stars."""
    if not masker.knows_any:
        return execution
    mask = masker.mask_value
    runs = [
        replace(run, outputs=mask(run.outputs), rendered=mask(run.rendered)) for run in execution.task_runs.values()
    ]
    return replace(
        execution,
        inputs=mask(execution.inputs),
        outputs=mask(execution.outputs),
        variables=mask(execution.variables),
        task_runs=TaskRuns(runs),
    )
