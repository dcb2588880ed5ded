"""What people do to executions: answer, kill, pause, restart, replay."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

from engine.core.commands import SetTimer
from engine.core.events import Event, ForceAsked, KillAsked, PauseAsked, RestartAsked, Resumed, TimerFired
from engine.core.execution import Execution, TaskRuns
from engine.core.executor import check_restart, replayed
from engine.core.executor.replays import restarted_as
from engine.core.flow import Flow
from engine.core.flowable import PausingTask
from engine.core.inputs import Input, Resolved
from engine.core.state import State
from engine.errors import InputInvalid, NotFound, Refused
from engine.files import execution_folder
from engine.identifiers import new_id
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.doorkeeper import Door, Outcome
from engine.runtime.flows import Flows
from engine.secrets import Masker
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store import executions, pauses
from engine.store.commands import timer_key
from engine.store.database import Beside, Database, Unit
from engine.store.documents import plain
from engine.store.pauses import PauseRow

Revision = int | Literal["newest"] | None


@dataclass(frozen=True, slots=True)
class Operations:
    """Changes executions because somebody asked."""

    database: Database
    flows: Flows
    creator: Creator
    decider: Decider
    door: Door = field(default_factory=Door)

    async def pause_row(self, pause_id: str) -> PauseRow:
        """One pause; NotFound."""
        row = await self.database.read(lambda c: pauses.get(c, pause_id))
        if row is None:
            raise NotFound(f"There is no pause {pause_id}.", fix="Its execution may have been purged.")
        return row

    async def check_answers(self, pause_id: str, given: Mapping[str, Any]) -> Resolved:
        """What came of the values given to a pause: all problems at once."""
        row = await self.pause_row(pause_id)
        return await self._answers(row, given)

    async def resume(
        self,
        execution_id: str,
        inputs: Mapping[str, Any],
        *,
        by: str,
        task_run_id: str | None = None,
        dedupe: str | None = None,
        by_flow: bool = False,
        local_files: bool = False,
    ) -> Execution:
        """Answer a pause, the first that waits unless a task run is named; InputInvalid, Refused when none waits or the
        doorkeeper does not let the answer in, who is not asked about a flow that answers (`by_flow`). Without
        `local_files` a FILE must be a URI."""
        execution, rows = await asyncio.gather(
            self.decider.current(execution_id),
            self.database.read(lambda c: pauses.find(c, execution_id=execution_id, task_run_id=task_run_id, limit=1)),
        )
        if not rows:
            if execution.held and task_run_id is None:
                return await self.decider.decide(execution_id, Resumed(self._now(), None, by=by))
            raise Refused(
                f"Execution '{execution_id}' is not paused, can't resume it",
                fix="Somebody may have answered already; look at its card or page.",
            )
        resolved = await self._answers(rows[0], inputs)
        if resolved.problems:
            raise InputInvalid(resolved.problems)
        keeper = None if by_flow else self.door.keeper
        admission = await keeper.admit(rows[0], execution, resolved, by) if keeper else None
        values = await self._kept(rows[0], resolved, local_files=local_files)
        done: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        now = self._now()

        def work(unit: Unit) -> Outcome:
            outcome = admission.cast(unit, now) if admission else "decided"
            if outcome != "decided":
                return outcome
            won = self._resume_in(unit, rows[0].id, values, by, now, dedupe, done, resolved.secrets)
            return "decided" if won else "late"

        outcome = await self.database.transact(work, urgent=True)
        if outcome == "counted":
            return await self.decider.current(execution_id)
        if outcome == "late":
            row = await self.pause_row(rows[0].id)
            raise Refused(
                f"This was answered already by {row.decided_by or 'its deadline'}.", fix="The first answer counts."
            )
        return await done

    def resume_in(self, unit: Unit, pause_id: str, resolved: Resolved, *, by: str, now: datetime) -> bool:
        """Answer a pause inside somebody's transaction; False when someone was faster."""
        for name in resolved.secrets:
            if isinstance(resolved.flat[name], str):
                self.creator.masker.add(resolved.flat[name])
        return self._resume_in(unit, pause_id, plain(resolved.values), by, now, None, None, resolved.secrets)

    def _resume_in(
        self,
        unit: Unit,
        pause_id: str,
        values: Mapping[str, Any],
        by: str,
        now: datetime,
        dedupe: str | None,
        done: asyncio.Future[Execution] | None,
        secrets: frozenset[str],
    ) -> bool:
        shown = self.creator.masker.mask_value(hidden(values, secrets))
        row = pauses.decide(unit.connection, pause_id, "RESUMED", by=by, now=now, inputs=shown)
        if row is None:
            return False
        event = Resumed(now, row.task_run_id, values, by)
        key = f"resume:{pause_id}" if dedupe is None else dedupe
        posted = inbox.post(unit.connection, row.execution_id, event, now, self.creator.sealer, key)
        if posted is None:
            return False
        unit.after_commit(lambda: self.decider.post_stored(posted, done))
        return True

    async def expire(self, execution_id: str, timer: SetTimer) -> None:
        """The deadline of a pause has come: it decides as a person does, unless somebody was faster."""
        now, task_run_id = self._now(), timer.key.split(":")[1]

        def work(unit: Unit) -> None:
            if not outbox.is_there(unit.connection, timer_key(execution_id, timer.key)):
                return  # cancelled: a pause that was asked anew, even at the same moment, has a timer of its own
            if not pauses.expire(unit.connection, execution_id, task_run_id, timer.at, now):
                return
            posted = inbox.post(unit.connection, execution_id, TimerFired(now, timer.key), now, self.creator.sealer)
            if posted is not None:
                unit.after_commit(lambda: self.decider.post_stored(posted))

        await self.database.transact(work)

    async def begin_anew(self, pause_id: str, beside: Beside | None = None) -> bool:
        """The time to answer begins now, for nobody could see the question before; False when it has no end. What only
        waits, and asks nothing, goes on when it would have."""
        row = await self.pause_row(pause_id)
        if row.state != "WAITING" or row.deadline is None:
            return False
        asked, execution, flow = await self.asked(row)
        run, task = execution.task_runs.get(row.task_run_id), self.flows.task(flow, row.task_id)
        if run is None or not isinstance(task, PausingTask) or (row.deadline_behavior == "RESUME" and not asked):
            return False
        length = task.terms(run.rendered).deadline
        if length is None:
            return False
        until, sealer = self._now() + length, self.creator.sealer

        def work(unit: Unit) -> bool:
            found = outbox.timers(unit.connection, sealer, row.execution_id, f"pause:{row.task_run_id}:")
            if not found or not pauses.postpone(unit.connection, pause_id, until):
                return False
            for one in found:
                if isinstance(one.command, SetTimer):
                    timer = SetTimer(one.command.key, until)
                    outbox.put(unit.connection, [outbox.stored(row.execution_id, timer, 0)], sealer)
                    unit.after_commit(partial(self.creator.timer, row.execution_id, timer))
            if beside is not None:
                beside(unit)
            return True

        return await self.database.transact(work)

    def kill_in(
        self, unit: Unit, execution_id: str, *, by: str, reason: str, now: datetime, pause_id: str | None = None
    ) -> bool:
        """Kill inside somebody's transaction, or end a pause that outlived its execution; False when the pause was
        decided, or the execution had ended, before."""
        if pause_id is None:
            state = executions.state_of(unit.connection, execution_id)
            if state is None or state.is_terminal:
                return False
        elif pauses.decide(unit.connection, pause_id, "KILLED", by=by, now=now) is None:
            return False
        event = KillAsked(now, by, reason)
        posted = inbox.post(unit.connection, execution_id, event, now, self.creator.sealer)
        if posted is not None:
            unit.after_commit(lambda: self.decider.post_stored(posted))
        return True

    async def kill(self, execution_id: str, *, by: str, reason: str = "", cascade: bool = True) -> Execution:
        """Stop an execution and, unless told otherwise, what it waits for; Refused when it has ended."""
        execution = await self.decider.current(execution_id)
        if execution.state.is_terminal:
            raise Refused("Execution is already finished, can't kill it", fix=f"It ended as {execution.state}.")
        return await self.decider.decide(execution_id, KillAsked(self._now(), by, reason, cascade))

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
            return await self.resume(execution_id, {}, by=by)
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

    async def asked(self, row: PauseRow) -> tuple[tuple[Input, ...], Execution, Flow]:
        """What a pause asks, with its execution and flow."""
        execution = await self.decider.current(row.execution_id)
        flow = await self.flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        task = self.flows.task(flow, row.task_id)
        return tuple(getattr(task, "on_resume", None) or ()), execution, flow

    async def _answers(self, row: PauseRow, given: Mapping[str, Any]) -> Resolved:
        inputs, execution, flow = await self.asked(row)
        run = execution.task_runs.get(row.task_run_id)
        seen = self.creator.renderer.variables(flow, execution, run)
        return await self.creator.check(inputs, given, flow, seen, scope=self.creator.renderer.scope(execution))

    async def _kept(self, row: PauseRow, resolved: Resolved, *, local_files: bool) -> Mapping[str, Any]:
        inputs, execution, _ = await self.asked(row)
        folder = f"{execution_folder(execution.namespace, execution.flow_id, execution.id)}/inputs"
        return await self.creator.kept(inputs, resolved, folder, local_files=local_files)

    def _now(self) -> datetime:
        return self.creator.clock.now()


def hidden(values: Mapping[str, Any], secrets: frozenset[str], path: str = "") -> dict[str, Any]:
    """Values with those of secret inputs as stars."""
    shown: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{path}{key}"
        if name in secrets:
            shown[key] = "******"
        else:
            shown[key] = hidden(value, secrets, f"{name}.") if isinstance(value, Mapping) else value
    return shown


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
