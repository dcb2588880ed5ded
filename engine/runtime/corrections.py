"""What people change about executions that have come to rest: their state, a task's state, their labels; or delete.

And operations on many executions: every one is looked at first, and one that does not fit refuses them all.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.core.events import TaskStateAsked
from engine.core.execution import Execution
from engine.core.executor import status_changed, task_state_changed
from engine.core.labels import SYSTEM
from engine.core.state import State
from engine.errors import BulkRefused, NotFound, Refused
from engine.plugin import Purged, Selection
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.flows import Flows
from engine.runtime.operations import Operations
from engine.runtime.records import TaskRecords
from engine.store import executions, records
from engine.store.database import Beside, Database, Unit
from engine.store.records import Standing

EVERYTHING = frozenset({"execution", "log", "metric", "storage"})


@dataclass(frozen=True, slots=True)
class Corrections:
    """Changes ended executions because somebody asked. `changed` is told of what no decision did."""

    database: Database
    flows: Flows
    creator: Creator
    decider: Decider
    keeper: TaskRecords
    changed: Callable[[Execution, Execution], None]

    async def change_status(self, execution_id: str, to: State, *, by: str, beside: Beside = None) -> Execution:
        """Give an ended execution another final state; Refused. `beside` is written in the same transaction."""
        before = await self.decider.current(execution_id)
        return await self._write(before, status_changed(before, to, self.creator.clock.now()), beside)

    async def change_task_state(self, execution_id: str, task_run_id: str, to: State, *, by: str) -> Execution:
        """Give a task run of an ended or paused execution another final state and go on from there.

        Refused, NotFound.
        """
        return await self.decider.decide(execution_id, await self.task_state(execution_id, task_run_id, to, by=by))

    async def task_state(self, execution_id: str, task_run_id: str, to: State, *, by: str) -> TaskStateAsked:
        """The same as an event to be posted, once it is clear that it will do; Refused, NotFound."""
        before = await self.decider.current(execution_id)
        flow = await self.flows.fetch(before.namespace, before.flow_id, before.revision)
        now = self.creator.clock.now()
        task_state_changed(flow, before, task_run_id, to, now)
        return TaskStateAsked(now, task_run_id, to, by)

    async def set_labels(
        self, execution_id: str, labels: Sequence[tuple[str, str]], *, by: str, beside: Beside = None
    ) -> Execution:
        """Add labels to an ended execution, or give those that are there another value; Refused."""
        before = await self.decider.current(execution_id)
        if not before.state.is_terminal:
            raise Refused("You can only change the labels of a terminated execution.", fix=f"It is {before.state}.")
        new = dict(labels)
        there = dict(reversed(before.labels))  # of equal keys the first counts
        _refuse_system(new, there)
        kept = tuple(pair for pair in before.labels if pair[0] not in new)
        return await self._write(before, replace(before, labels=(*kept, *new.items())), beside)

    async def delete(self, execution_id: str, *, parts: frozenset[str] = EVERYTHING, beside: Beside = None) -> Purged:
        """Delete an ended execution with its logs, metrics and files, or only some of these; Refused, NotFound."""
        execution = await self.decider.current(execution_id)
        if not execution.state.is_terminal:
            raise Refused(f"The execution is {execution.state}, so it can't be deleted.", fix="Kill it first.")
        gone = await self.keeper.purge_one(execution.namespace, execution.flow_id, execution_id, parts, beside)
        if "execution" in parts and not gone.executions:
            raise Refused("Something of the execution still runs or is still to be told.", fix="Try again in a moment.")
        return gone

    async def _write(self, before: Execution, changed: Execution, beside: Beside = None) -> Execution:
        now, sealer = self.creator.clock.now(), self.creator.sealer
        after = executions.next_version(changed)

        def work(unit: Unit) -> bool:
            saved = executions.save(unit.connection, before, after, now, sealer)
            if saved and beside is not None:
                beside(unit)
            return saved

        if not await self.database.transact(work):
            raise Refused("The execution changed meanwhile.", fix="Look at it again.")
        self.changed(before, after)
        return after


def _refuse_system(new: Mapping[str, str], there: Mapping[str, str]) -> None:
    for key, value in new.items():
        if key.startswith(SYSTEM) and there.get(key) != value:
            raise Refused(
                f"System labels can only be set by Kestra itself, offending label: {key}={value}",
                fix="Leave labels that begin with `system.` as they are.",
            )


Rule = Callable[[Standing], str | None]


def only(wanted: State) -> Rule:
    """Executions in one state."""
    return lambda standing: None if standing.state is wanted else f"execution not in state {wanted}"


def ended(standing: Standing) -> str | None:
    """Executions that have ended."""
    return None if standing.state.is_terminal else "execution not in a terminated state"


def open_(standing: Standing) -> str | None:
    """Executions that have not ended."""
    return "execution already finished" if standing.state.is_terminal else None


def going_on(standing: Standing) -> str | None:
    """Executions that have not ended, and those of which something is still to come."""
    return None if standing.goes_on else "execution already finished"


def any_(standing: Standing) -> str | None:
    """All there are."""
    return None


@dataclass(frozen=True, slots=True)
class Bulk:
    """Operations on many executions by their ids; each gives how many it was done to, or BulkRefused and nothing."""

    database: Database
    operations: Operations
    corrections: Corrections

    async def select(self, chosen: Selection) -> list[str]:
        """Ids of the executions that are meant, oldest first."""
        return await self.database.read(lambda c: records.ids(c, chosen))

    async def kill(self, ids: Sequence[str], *, by: str, reason: str = "") -> int:
        """Stop executions, and of those that have ended what is still to come."""
        return await self._each(ids, going_on, lambda one: self.operations.kill(one, by=by, reason=reason))

    async def pause(self, ids: Sequence[str], *, by: str) -> int:
        """Let nothing new start in executions that run."""
        return await self._each(ids, only(State.RUNNING), lambda one: self.operations.pause(one, by=by))

    async def resume(self, ids: Sequence[str], *, by: str) -> int:
        """Let paused executions go on; those that ask for something without a default are left as they are."""
        return await self._each(ids, only(State.PAUSED), lambda one: self.operations.answers.resume(one, {}, by=by))

    async def restart(self, ids: Sequence[str], *, by: str) -> int:
        """Run again what failed."""
        return await self._each(ids, only(State.FAILED), lambda one: self.operations.restart(one, by=by))

    async def replay(self, ids: Sequence[str], *, by: str, latest_revision: bool = False) -> int:
        """A new execution for each, of the revision it ran or of the newest there is."""
        return await self._each(
            ids, any_, lambda one: self.operations.replay(one, by=by, revision="newest" if latest_revision else None)
        )

    async def force_run(self, ids: Sequence[str], *, by: str) -> int:
        """Let executions begin or go on at once."""
        return await self._each(ids, open_, lambda one: self.operations.force_run(one, by=by))

    async def change_status(self, ids: Sequence[str], to: State, *, by: str) -> int:
        """Give ended executions another final state."""
        return await self._each(ids, ended, lambda one: self.corrections.change_status(one, to, by=by))

    async def set_labels(self, ids: Sequence[str], labels: Sequence[tuple[str, str]], *, by: str) -> int:
        """Add labels to ended executions."""
        return await self._each(ids, ended, lambda one: self.corrections.set_labels(one, labels, by=by))

    async def delete(self, ids: Sequence[str], *, parts: frozenset[str] = EVERYTHING) -> int:
        """Delete ended executions, or parts of them."""
        return await self._each(ids, ended, lambda one: self.corrections.delete(one, parts=parts))

    async def _each(self, ids: Sequence[str], rule: Rule, act: Callable[[str], Awaitable[Any]]) -> int:
        wanted = list(dict.fromkeys(ids))
        found = await self.database.read(lambda c: records.standings(c, wanted))
        said = {one: rule(found[one]) if one in found else "execution not found" for one in wanted}
        wrong = [(one, why) for one, why in said.items() if why is not None]
        if wrong:
            raise BulkRefused(wrong, len(wanted))
        done, refusals = 0, list[Refused | NotFound]()
        for one in wanted:
            try:
                await act(one)
            except (Refused, NotFound) as error:  # it moved meanwhile
                refusals.append(error)
            else:
                done += 1
        if refusals and not done:
            raise refusals[0]
        return done
