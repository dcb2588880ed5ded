"""Executions that executions start: subflows, and the one that replaces a failed one."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.core.commands import StartSubflow
from engine.core.events import Event, RestartAsked, SubflowCreated, SubflowEnded
from engine.core.execution import Execution, Origin
from engine.core.executor import check_restart, retried
from engine.core.flow import Flow
from engine.errors import EngineError, InputInvalid, NotFound, Refused
from engine.identifiers import new_id
from engine.runtime.creation import Creator, Prepared
from engine.runtime.flows import Flows
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store import executions, triggers
from engine.store.commands import Stored
from engine.store.database import Database, Unit
from engine.store.executions import Caller

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subflows:
    """Carries out StartSubflow and CreateRetry, each once: its row goes with the commit that writes the execution."""

    database: Database
    flows: Flows
    creator: Creator
    current: Callable[[str], Awaitable[Execution]]

    async def start(self, row: Stored) -> None:
        """Create the execution a task asked for, or tell why it can't be."""
        command = row.command
        assert isinstance(command, StartSubflow)  # noqa: S101 - the caller looked
        if command.restarts is not None and await self._restarted(row, command, command.restarts):
            return
        try:
            parent = await self.current(row.execution_id)
            prepared = await self._prepared(parent, command)
        except InputInvalid as error:
            await self._refuse(row, command, f"Invalid inputs for flow {command.namespace}.{command.flow_id}: {error}")
        except EngineError as error:
            await self._refuse(row, command, str(error))
        else:
            await self._create(row, command, parent, prepared)

    async def _restarted(self, row: Stored, command: StartSubflow, execution_id: str) -> bool:
        """Restart the execution that an earlier attempt of the same task run asked for; False when that can't be."""
        try:
            there = await self.current(execution_id)
            check_restart(there)
        except EngineError:
            return False
        if (there.namespace, there.flow_id) != (command.namespace, command.flow_id) or not there.state.is_terminal:
            return False

        def work(unit: Unit) -> bool:
            caller = executions.caller_of(unit.connection, execution_id)
            if caller is None or (caller.execution_id, caller.task_run_id) != (row.execution_id, command.task_run_id):
                return False
            if outbox.take(unit.connection, row.id):
                now = self.creator.clock.now()
                self._post(unit, execution_id, RestartAsked(now, f"execution:{row.execution_id}"))
                self._tell(unit, row, command, execution_id, None)
            return True

        return await self.database.transact(work)

    async def retry(self, row: Stored) -> None:
        """Create the execution that replaces a RETRIED one."""
        old = await self.current(row.execution_id)
        now = self.creator.clock.now()
        new = retried(old, new_id(now), now)

        def work(unit: Unit) -> None:
            if not outbox.take(unit.connection, row.id):
                return
            caller = executions.caller_of(unit.connection, old.id)
            trigger = executions.trigger_of(unit.connection, old.id)
            sealer = self.creator.sealer
            executions.create(unit.connection, new, now, sealer, caller=caller, trigger=trigger, dedupe=row.id)
            triggers.passed_on(unit.connection, old.id, new.id)
            self.creator.begin_in(unit, new, now)
            if caller is not None and caller.waits:
                told = SubflowCreated(now, caller.task_run_id, new.id, iteration=caller.iteration, replaces=old.id)
                self._post(unit, caller.execution_id, told)

        await self.database.transact(work)

    async def _prepared(self, parent: Execution, command: StartSubflow) -> Prepared:
        flow = self._flow(command)
        await self._check_depth(parent)
        resolved = await self.creator.check(flow.inputs, command.inputs, flow)
        return await self.creator.prepare(flow, resolved, local_files=False)

    def _flow(self, command: StartSubflow) -> Flow:
        try:
            return self.flows.get(command.namespace, command.flow_id, command.revision)
        except NotFound as error:
            message = (
                f"Unable to find flow '{command.namespace}'.'{command.flow_id}' with revision '{command.revision or 0}'"
            )
            raise NotFound(message, fix=error.fix) from error

    async def _check_depth(self, parent: Execution) -> None:
        limit = self.creator.settings.limits.subflow_depth

        def depth(connection: Any) -> int:
            at, steps = parent.id, 1
            while steps <= limit:
                caller = executions.caller_of(connection, at)
                if caller is None:
                    break
                at, steps = caller.execution_id, steps + 1
            return steps

        if await self.database.read(depth) > limit:
            fix = "Does a flow call itself without an end? If not, raise `limits.subflow_depth`."
            raise Refused(f"Subflows are nested more than {limit} deep.", fix=fix)

    async def _create(self, row: Stored, command: StartSubflow, parent: Execution, prepared: Prepared) -> None:
        run = parent.task_runs.get(command.task_run_id)
        origin = Origin(
            id=run.task_id if run is not None else command.task_run_id,
            type=command.origin_type,
            variables={
                "executionId": parent.id,
                "namespace": parent.namespace,
                "flowId": parent.flow_id,
                "flowRevision": parent.revision,
            },
        )
        caller = Caller(parent.id, command.task_run_id, command.wait, command.iteration, command.outputs)

        def work(unit: Unit) -> None:
            if not outbox.take(unit.connection, row.id):
                return  # carried out before a crash
            execution = self.creator.create_in(
                unit,
                prepared,
                started_by=f"execution:{parent.id}",
                origin=origin,
                labels=command.labels,
                schedule_date=command.schedule_date,
                caller=caller,
            )
            self._tell(unit, row, command, execution.id, None)
            if prepared.failed_check is not None and command.wait:  # it has ended without ever being decided upon
                self._tell_end(unit, row, command, execution, self.creator.masker.mask(prepared.failed_check))

        await self.database.transact(work)

    async def _refuse(self, row: Stored, command: StartSubflow, error: str) -> None:
        def work(unit: Unit) -> None:
            if outbox.take(unit.connection, row.id):
                self._tell(unit, row, command, None, self.creator.masker.mask(error))

        await self.database.transact(work)

    def _tell(
        self, unit: Unit, row: Stored, command: StartSubflow, execution_id: str | None, error: str | None
    ) -> None:
        now = self.creator.clock.now()
        event = SubflowCreated(
            now, command.task_run_id, execution_id, error, iteration=command.iteration, attempt=command.attempt
        )
        self._post(unit, row.execution_id, event, row.id)

    def _tell_end(self, unit: Unit, row: Stored, command: StartSubflow, execution: Execution, reason: str) -> None:
        now, run_id = self.creator.clock.now(), command.task_run_id
        event = SubflowEnded(now, run_id, execution.id, execution.state, iteration=command.iteration, reason=reason)
        self._post(unit, row.execution_id, event, f"subflow-ended:{execution.id}:0")

    def _post(self, unit: Unit, execution_id: str, event: Event, dedupe: str | None = None) -> None:
        posted = inbox.post(unit.connection, execution_id, event, event.now, self.creator.sealer, dedupe)
        if posted is not None:
            unit.after_commit(lambda: self.creator.posted(posted))
