"""What people change about executions that have come to rest: their state, a task's state, their labels; or delete."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core.events import TaskStateAsked
from engine.core.execution import Execution
from engine.core.executor import status_changed, task_state_changed
from engine.core.labels import SYSTEM
from engine.core.state import State
from engine.errors import Refused
from engine.plugin import Purged
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.flows import Flows
from engine.runtime.records import TaskRecords
from engine.store import executions
from engine.store.database import Database

EVERYTHING = frozenset({"execution", "log", "metric", "storage"})


@dataclass(frozen=True, slots=True)
class Corrections:
    """Changes ended executions because somebody asked. `changed` is told of what no decision did."""

    database: Database
    flows: Flows
    creator: Creator
    decider: Decider
    records: TaskRecords
    changed: Callable[[Execution, Execution], None]

    async def change_status(self, execution_id: str, to: State, *, by: str) -> Execution:
        """Give an ended execution another final state; Refused."""
        before = await self.decider.current(execution_id)
        return await self._write(before, status_changed(before, to, self.creator.clock.now()))

    async def change_task_state(self, execution_id: str, task_run_id: str, to: State, *, by: str) -> Execution:
        """Give a task run of an ended or paused execution another final state and go on from there.

        Refused, NotFound.
        """
        before = await self.decider.current(execution_id)
        flow = await self.flows.fetch(before.namespace, before.flow_id, before.revision)
        now = self.creator.clock.now()
        task_state_changed(flow, before, task_run_id, to, now)  # says now what will not do
        return await self.decider.decide(execution_id, TaskStateAsked(now, task_run_id, to, by))

    async def set_labels(self, execution_id: str, labels: Sequence[tuple[str, str]], *, by: str) -> Execution:
        """Add labels to an ended execution, or give those that are there another value; Refused."""
        before = await self.decider.current(execution_id)
        if not before.state.is_terminal:
            raise Refused("You can only change the labels of a terminated execution.", fix=f"It is {before.state}.")
        new = dict(labels)
        there = dict(reversed(before.labels))  # of equal keys the first counts
        _refuse_system(new, there)
        kept = tuple(pair for pair in before.labels if pair[0] not in new)
        return await self._write(before, replace(before, labels=(*kept, *new.items())))

    async def delete(self, execution_id: str, *, parts: frozenset[str] = EVERYTHING) -> Purged:
        """Delete an ended execution with its logs, metrics and files, or only some of these; Refused, NotFound."""
        execution = await self.decider.current(execution_id)
        if not execution.state.is_terminal:
            raise Refused(f"The execution is {execution.state}, so it can't be deleted.", fix="Kill it first.")
        gone = await self.records.purge_one(execution.namespace, execution.flow_id, execution_id, parts)
        if "execution" in parts and not gone.executions:
            raise Refused("Something of the execution still runs or is still to be told.", fix="Try again in a moment.")
        return gone

    async def _write(self, before: Execution, changed: Execution) -> Execution:
        now, sealer = self.creator.clock.now(), self.creator.sealer
        after = executions.next_version(changed)
        if not await self.database.transact(lambda unit: executions.save(unit.connection, before, after, now, sealer)):
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
