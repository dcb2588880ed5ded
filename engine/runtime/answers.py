"""Answers to pauses: what a pause asks, what came of what was given, and the answer that counts, which is the first."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from engine.core.commands import SetTimer
from engine.core.events import Resumed, TimerFired
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.flowable import PausingTask
from engine.core.inputs import Input, Resolved
from engine.errors import FlowInvalid, InputInvalid, NotFound, Refused
from engine.files import execution_folder
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.decision import Decision
from engine.runtime.doorkeeper import Door, Outcome
from engine.runtime.flows import Flows
from engine.store import chat_audit, pauses
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store.batches import Superseded
from engine.store.chat_audit import Deed
from engine.store.commands import timer_key
from engine.store.database import Beside, Database, Unit
from engine.store.documents import plain
from engine.store.pauses import PauseRow

R = TypeVar("R")
Give = Callable[[Unit], bool]  # answers in somebody's transaction; False when someone was faster


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers pauses because somebody asked, or because their time is over."""

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

    async def check(self, pause_id: str, given: Mapping[str, Any]) -> Resolved:
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
        execution, rows = await self.decider.memory.current_with(
            execution_id,
            lambda c: pauses.find(c, execution_id=execution_id, task_run_id=task_run_id, limit=1),
        )
        if not rows:
            if execution.held and task_run_id is None:
                return await self.decider.decide(execution_id, Resumed(self._now(), None, by=by))
            raise Refused(
                f"Execution '{execution_id}' is not paused, can't resume it",
                fix="Somebody may have answered already; look at its card or page.",
            )
        row = rows[0]
        resolved = await self._answers(row, inputs)
        if resolved.problems:
            raise InputInvalid(resolved.problems)
        keeper = None if by_flow else self.door.keeper
        admission = await keeper.admit(row, execution, resolved, by) if keeper else None
        answer = self._answer(
            row, await self._kept(row, resolved, local_files=local_files), resolved, by, self._now(), dedupe
        )
        done: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()

        def work(unit: Unit, give: Give) -> Outcome:
            outcome = admission.cast(unit, answer.event.now) if admission else "decided"
            if outcome == "decided" and not give(unit):
                return "late"
            if by_flow:
                _record(unit, row, "answer by a flow", {"by": by}, answer.event.now)
            return outcome

        outcome = await self._transact(answer, work, done)
        if outcome == "counted":
            return await self.decider.current(execution_id)
        if outcome == "late":
            row = await self.pause_row(row.id)
            raise Refused(
                f"This was answered already by {row.decided_by or 'its deadline'}.", fix="The first answer counts."
            )
        return await done

    async def transact(
        self, row: PauseRow, resolved: Resolved, work: Callable[[Unit, Give], R], *, by: str, now: datetime
    ) -> R:
        """Run `work(unit, give)` in one transaction, before whatever else waits to be written; `give(unit)` answers the
        pause in it, False when someone was faster. What the answer comes to is carried out after the commit."""
        for name in resolved.secrets:
            if isinstance(resolved.flat[name], str):
                self.creator.masker.add(resolved.flat[name])
        return await self._transact(self._answer(row, plain(resolved.values), resolved, by, now), work, None)

    async def _transact(
        self, answer: "Answer", work: Callable[[Unit, Give], R], done: asyncio.Future[Execution] | None
    ) -> R:
        """`done` is told what became of the execution.

        Where nothing has to be waited for, what the answer comes to is known before, and written with it.
        """

        def with_(decision: Decision | None) -> Callable[[Unit], R]:
            return lambda unit: work(unit, lambda unit: self._give(unit, answer, done, decision))

        reserved = self.decider.reserve(answer.execution_id, answer.event)
        try:
            return await self.database.transact(with_(reserved), urgent=True)
        except Superseded:  # another hand wrote meanwhile: what follows is decided from what lies there
            return await self.database.transact(with_(None), urgent=True)
        finally:
            if reserved is not None:
                self.decider.release(reserved)

    def _answer(
        self,
        row: PauseRow,
        values: Mapping[str, Any],
        resolved: Resolved,
        by: str,
        now: datetime,
        dedupe: str | None = None,
    ) -> "Answer":
        event = Resumed(now, row.task_run_id, values, by)
        shown = self.creator.masker.mask_value(hidden(values, resolved.secrets))
        return Answer(row.id, row.execution_id, event, shown, dedupe or f"resume:{row.id}")

    def _give(
        self, unit: Unit, answer: "Answer", done: asyncio.Future[Execution] | None, decision: Decision | None
    ) -> bool:
        event, known = answer.event, decision is not None
        connection, sealer = unit.connection, self.creator.sealer
        if not pauses.decide(connection, answer.pause_id, "RESUMED", by=event.by, now=event.now, inputs=answer.shown):
            return False
        posted = inbox.post(connection, answer.execution_id, event, event.now, sealer, answer.dedupe, consumed=known)
        if posted is None:
            return False
        if decision is None:
            unit.after_commit(lambda: self.decider.post_stored(posted, done))
            return True
        self.decider.write(unit, decision)
        if done is not None:
            unit.after_commit(lambda: done.set_result(decision.after))
        return True

    async def expire(self, execution_id: str, timer: SetTimer) -> None:
        """The deadline of a pause has come: it decides as a person does, unless somebody was faster."""
        now, task_run_id = self._now(), timer.key.split(":")[1]
        question = await self._question(execution_id, task_run_id)

        def work(unit: Unit) -> None:
            if not outbox.is_there(unit.connection, timer_key(execution_id, timer.key)):
                return  # cancelled: a pause that was asked anew, even at the same moment, has a timer of its own
            if not pauses.expire(unit.connection, execution_id, task_run_id, timer.at, now):
                return
            if question is not None:
                row, said = question
                _record(unit, row, "expire", {"then": row.deadline_behavior, "by": said}, now)
            posted = inbox.post(unit.connection, execution_id, TimerFired(now, timer.key), now, self.creator.sealer)
            if posted is not None:
                unit.after_commit(lambda: self.decider.post_stored(posted))

        await self.database.transact(work)

    async def _question(self, execution_id: str, task_run_id: str) -> tuple[PauseRow, str] | None:
        """The question that a task run asks, and whether the policy or the flow says what silence means; None when it
        only waits."""
        rows = await self.database.read(
            lambda c: pauses.find(c, execution_id=execution_id, task_run_id=task_run_id, limit=1)
        )
        for row in rows:
            if self.door.keeper and self.door.keeper.ending(row.namespace, row.flow_id, row.task_id):
                return row, "policy"
            try:
                asks = row.deadline_behavior != "RESUME" or bool((await self.asked(row))[0])
            except (NotFound, FlowInvalid):  # its flow is gone, or can't be read: nobody can tell any more
                asks = True
            return (row, "flow") if asks else None
        return None

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

    async def asked(self, row: PauseRow) -> tuple[tuple[Input, ...], Execution, Flow]:
        """What a pause asks, with its execution and flow."""
        execution = await self.decider.current(row.execution_id)
        flow = await self.flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        task, run = self.flows.task(flow, row.task_id), execution.task_runs.get(row.task_run_id)
        if isinstance(task, PausingTask) and run is not None:
            task = task.asking(run.rendered)
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


def _record(unit: Unit, row: PauseRow, action: str, details: Mapping[str, Any], now: datetime) -> None:
    """That a question ended without a person: it is in the record of deeds like what people decide."""
    flow = f"{row.namespace}/{row.flow_id}"
    chat_audit.record(unit.connection, Deed(now, "", "", "", action, row.id, row.execution_id, flow, details))


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody answers to a pause. `shown`: what people may see of it."""

    pause_id: str
    execution_id: str
    event: Resumed
    shown: Mapping[str, Any]
    dedupe: str


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
