"""What tasks may do to flows, and the executions they start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from engine.core.execution import Execution
from engine.errors import Refused
from engine.plugin import DeployedFlow
from engine.runtime.flows import Flows, Known
from engine.runtime.operations import Operations
from engine.sight import is_within
from engine.store import chat_audit
from engine.store import events as inbox
from engine.store.chat_audit import Deed
from engine.store.database import Unit


@dataclass(frozen=True, slots=True)
class TaskFlows:
    """The flows there are, as tasks see and change them."""

    flows: Flows

    async def list(self, namespace: str | None, *, below: bool = False) -> Sequence[DeployedFlow]:
        """The flows of a namespace, with `below` of its child namespaces too; of all without one."""
        return sorted(
            (
                self._seen(known)
                for known in self.flows.deployed()
                if is_within(known.row.namespace, namespace, below=below)
            ),
            key=lambda flow: (flow.namespace, flow.id),
        )

    async def check(self, source: str) -> tuple[str, str]:
        """Namespace and id of the flow a text describes; FlowInvalid."""
        flow = await self.flows.check(source)
        return flow.namespace, flow.id

    async def deploy(self, source: str) -> DeployedFlow:
        """Keep a text as the newest revision; FlowInvalid, Refused when a file of a watched folder keeps the flow."""
        checked = await self.flows.check(source)
        self._refuse_watched(checked.namespace, checked.id)
        flow = await self.flows.deploy(source)
        return DeployedFlow(flow.namespace, flow.id, flow.revision, source)

    async def delete(self, namespace: str, flow_id: str) -> None:
        """Nothing new starts from it any more; NotFound, Refused when a file of a watched folder keeps it."""
        self._refuse_watched(namespace, flow_id)
        await self.flows.delete(namespace, flow_id)

    async def purge_revisions(
        self, fits: Callable[[str, str], bool], *, keep: int | None = None, before: datetime | None = None
    ) -> int:
        """Forget old revisions of flows for whose namespace and id `fits` says yes; how many. Newest ones, and those
        that executions under way run, stay."""
        return await self.flows.purge_revisions(fits, keep, before)

    def _seen(self, known: Known) -> DeployedFlow:
        row, flow = known.row, known.flow
        return DeployedFlow(
            row.namespace,
            row.id,
            row.revision,
            row.source,
            row.file if self.flows.is_watched(row.file) else "",
            (flow.description or "") if flow else "",
            [declared.model_dump(mode="json", by_alias=True, exclude_none=True) for declared in flow.inputs]
            if flow
            else (),
        )

    def _refuse_watched(self, namespace: str, flow_id: str) -> None:
        for known in self.flows.deployed():
            if (known.row.namespace, known.row.id) == (namespace, flow_id) and self.flows.is_watched(known.row.file):
                raise Refused(
                    f"The flow {namespace}.{flow_id} is kept by {known.row.file}.",
                    fix="Change or remove that file; the folder would bring its own version back.",
                )


class Create(Protocol):
    """`Engine.create`, as far as tasks may use it."""

    def __call__(
        self,
        namespace: str,
        flow_id: str,
        inputs: Mapping[str, Any],
        *,
        started_by: str,
        labels: Sequence[tuple[str, str]] = (),
        schedule_date: datetime | None = None,
        dedupe: str | None = None,
        local_files: bool = True,
    ) -> Awaitable[Execution]: ...


@dataclass(frozen=True, slots=True)
class TaskExecutions:
    """What tasks may do to other executions."""

    operations: Operations
    create: Create

    async def resume(self, execution_id: str, inputs: Mapping[str, Any], *, by: str) -> tuple[str, str]:
        """Answer the first pause of an execution; the namespace and the id of its flow. NotFound, Refused when nothing
        waits, InputInvalid."""
        resumed = await self.operations.answers.resume(execution_id, inputs, by=by, by_flow=True)
        return resumed.namespace, resumed.flow_id

    async def kill(self, execution_id: str, *, by: str, cascade: bool, dedupe: str) -> None:
        """Stop it and, with `cascade`, what it waits for, which is recorded; NotFound, Refused when it has ended,
        unless this key stopped it before."""
        execution, now = await self.operations.decider.current(execution_id), self.operations.creator.clock.now()
        flow = f"{execution.namespace}/{execution.flow_id}"
        deed = Deed(now, "", "", "flow", "kill", execution_id, execution_id, flow, {"by": by})

        def work(unit: Unit) -> bool:
            if inbox.knows(unit.connection, dedupe):
                return True
            killed = self.operations.kill_in(
                unit, execution_id, by=by, reason="", now=now, cascade=cascade, dedupe=dedupe
            )
            if killed:
                chat_audit.record(unit.connection, deed)
            return killed

        if not await self.operations.database.transact(work):
            raise Refused("Execution is already finished, can't kill it", fix=f"It ended as {execution.state}.")

    async def start(
        self,
        namespace: str,
        flow_id: str,
        inputs: Mapping[str, Any],
        *,
        by: str,
        labels: Sequence[tuple[str, str]] = (),
        schedule_date: datetime | None = None,
        dedupe: str | None = None,
    ) -> str:
        """Start a flow; the execution's id. NotFound, InputInvalid, Refused. A FILE input takes a URI only."""
        execution = await self.create(
            namespace,
            flow_id,
            inputs,
            started_by=by,
            labels=labels,
            schedule_date=schedule_date,
            dedupe=dedupe,
            local_files=False,
        )
        return execution.id
