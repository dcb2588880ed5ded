"""Makes executions: types what was given, checks what the flow demands, writes the first row."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from engine.aside import in_a_thread, is_long, promptly, waits
from engine.clock import Clock
from engine.core import commands
from engine.core.commands import SetTimer
from engine.core.execution import Execution, Origin, TaskRuns
from engine.core.flow import Flow
from engine.core.flowable import truthy
from engine.core.inputs import ArrayInput, FileInput, Input, Resolved, nest, resolve
from engine.core.inputs.declaration import excerpt
from engine.core.labels import SYSTEM, read_labels
from engine.core.state import State
from engine.core.triggers import Trigger
from engine.core.variables import inputs_with_defaults, labels_map
from engine.errors import EngineError, ExpressionFailed, InputInvalid, InputProblem, Refused
from engine.expressions import Services, render
from engine.files import FileStore, Scope, execution_folder
from engine.identifiers import new_id
from engine.rendering import Renderer, typed_value
from engine.runtime.decision import Decision
from engine.secrets import AtRest, Masker
from engine.settings import Settings
from engine.store import commands as outbox
from engine.store import executions, logs
from engine.store.commands import Announcement, Stored, stored
from engine.store.database import Database, Unit
from engine.store.documents import plain
from engine.store.events import Posted
from engine.store.executions import Caller
from engine.store.logs import LogLine

CORRELATION = "system.correlationId"
START = commands.START
LOCAL = "file://"
SEVERITY = {"BLOCK_EXECUTION": 0, "FAIL_EXECUTION": 1, "CREATE_EXECUTION": 2}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything about an execution that takes time to find out, so that writing it takes none."""

    id: str
    flow: Flow
    inputs: Mapping[str, Any]
    failed_check: str | None = None  # the execution is created, but as FAILED


@dataclass(frozen=True, slots=True)
class Creator:
    """Makes executions. `begun`, `posted`, `timer` and `announced` are told after the commit.

    `begun`: an execution was made whose turn is now; the row of the outbox that says so goes when it starts. Who still
    knows it gives it as it was made. `listens_to`: whether a Flow trigger may care that an execution reached a state;
    `announced`: one that was made FAILED did.
    """

    settings: Settings
    clock: Clock
    renderer: Renderer
    files: FileStore
    masker: Masker
    sealer: AtRest
    begun: Callable[[str, str, Execution | None], None]
    posted: Callable[[Posted], None]
    timer: Callable[[str, SetTimer], None]
    first: Callable[[Flow, Execution], Decision | None]
    begin_with: Callable[[Unit, Decision], None]
    listens_to: Callable[[Execution, State], bool]
    announced: Callable[[Stored], None]

    async def check(
        self,
        inputs: Sequence[Input],
        given: Mapping[str, Any],
        flow: Flow,
        seen: Mapping[str, Any] | None = None,
        scope: Scope | None = None,
    ) -> Resolved:
        """What came of given values: all problems at once, options, what is asked for at all."""
        if not inputs:
            return resolve((), {}, lambda text, extra, typed: text)
        variables = dict(seen) if seen is not None else self.variables(flow)
        services = self.renderer.services(flow.namespace, scope)

        def work() -> Resolved:
            return resolve(
                inputs, given, lambda text, extra, typed: _one(text, {**variables, **extra}, services, typed)
            )

        return await (in_a_thread(work) if may_wait(inputs) or is_long(given) else promptly(work))

    async def check_for(self, trigger: Trigger, flow: Flow, given: Mapping[str, Any]) -> Resolved:
        """The same for what a trigger gives. One that gives nothing may start a flow that asks for more."""
        resolved = await self.check(flow.inputs, given, flow)
        return resolved if given or trigger.needs_inputs else replace(resolved, problems=())

    def variables(self, flow: Flow) -> dict[str, Any]:
        """What expressions see before there is an execution."""
        return {
            "envs": self.renderer.envs,
            "globals": self.settings.variables,
            **self.renderer.surroundings,
            "flow": {"id": flow.id, "namespace": flow.namespace, "revision": flow.revision, "tenantId": "main"},
            "vars": flow.variables,
            "labels": labels_map(flow.labels),
            "inputs": inputs_with_defaults(flow, {}),
        }

    async def prepare(
        self, flow: Flow, resolved: Resolved, *, local_files: bool = True, execution_id: str | None = None
    ) -> Prepared:
        """Inputs stored, secrets known, checks evaluated; InputInvalid, Refused (with the check's message)."""
        if flow.disabled:
            raise Refused(
                f"Cannot execute a disabled flow: {flow.namespace}.{flow.id}.", fix="Enable it in its file first."
            )
        if resolved.problems:
            raise InputInvalid(resolved.problems)
        execution_id = execution_id or new_id(self.clock.now())
        folder = f"{execution_folder(flow.namespace, flow.id, execution_id)}/inputs"
        values = await self.kept(flow.inputs, resolved, folder, local_files=local_files)
        failed = await self._failed_check(flow, values)
        return Prepared(execution_id, flow, values, failed)

    def failed(self, flow: Flow, trigger: Trigger, error: EngineError) -> Prepared:
        """A FAILED execution that says why a trigger started no other."""
        reason = f"The trigger {trigger.id!r} could not start the flow: {error}"
        return Prepared(new_id(self.clock.now()), flow, {}, reason)

    async def kept(
        self, inputs: Sequence[Input], resolved: Resolved, folder: str, *, local_files: bool = True
    ) -> dict[str, Any]:
        """Typed values as an execution keeps them: plain JSON, files in storage, secrets masked from now on."""
        flat = dict(resolved.flat)
        for declared in inputs:
            value = flat.get(declared.id)
            if isinstance(declared, FileInput) and isinstance(value, str):
                flat[declared.id] = await self._stored(declared, value, folder, local_files=local_files)
            elif isinstance(declared, ArrayInput) and declared.item_type == "FILE" and isinstance(value, list):
                flat[declared.id] = [
                    await self._stored(declared, one, folder, local_files=local_files) if isinstance(one, str) else one
                    for one in value
                ]
        for name in resolved.secrets:
            if isinstance(flat[name], str):
                self.masker.add(flat[name])
        nested = nest(flat)
        values: dict[str, Any] = await asyncio.to_thread(plain, nested) if is_long(nested) else plain(nested)
        return values

    async def _stored(self, declared: FileInput | ArrayInput, value: str, folder: str, *, local_files: bool) -> str:
        """The URI of one file, copied into storage when it lies on this machine."""
        named = declared.defaults if isinstance(declared.defaults, list | tuple) else (declared.defaults,)
        if value.startswith(LOCAL) and value in named:  # the author of the flow names it, nobody else
            value, local_files = unquote(value.removeprefix(LOCAL)), True
        elif value.startswith(LOCAL):
            raise _not_stored(
                declared, f"Invalid input for `{declared.id}`, only its default may be a file of this machine.", value
            )
        elif "://" in value:
            return value
        path = Path(value)
        if not local_files:
            raise _not_stored(declared, f"Invalid input for `{declared.id}`, it must be a file's URI.", value)
        if not await asyncio.to_thread(_is_file, path):
            raise _not_stored(declared, f"Can't upload file: {path.name}", value)
        extension = declared.extension if isinstance(declared, FileInput) and not path.suffix else None
        name = path.name + (extension or "")
        return await asyncio.to_thread(self.files.put, f"{folder}/{declared.id}", path, name)

    async def _failed_check(self, flow: Flow, inputs: Mapping[str, Any]) -> str | None:
        """Refused when a check blocks; the message of one that lets the execution be created as FAILED."""
        failing = await self.failing_checks(flow, inputs)
        if not failing:
            return None
        worst = min(failing, key=lambda check: SEVERITY.get(check.behavior, 0))
        if worst.behavior == "BLOCK_EXECUTION":
            raise Refused(worst.message, fix="Change the inputs and try again.")
        return worst.message if worst.behavior == "FAIL_EXECUTION" else None

    async def failing_checks(self, flow: Flow, inputs: Mapping[str, Any]) -> list["FailedCheck"]:
        """The checks of a flow that these inputs do not pass."""
        if not flow.checks:
            return []
        seen = self.variables(flow) | {"inputs": inputs}
        services = self.renderer.services(flow.namespace)
        failing = []
        for declared in flow.checks:
            try:
                if truthy(await self.renderer.value(declared.condition, seen, services)):
                    continue
                message = str(await self.renderer.value(declared.message, seen, services))
            except ExpressionFailed as error:
                message = f"A check of the flow can't be evaluated: {error.message}"
            failing.append(FailedCheck(message, declared.behavior, declared.style))
        return failing

    async def create(
        self,
        database: Database,
        prepared: Prepared,
        *,
        started_by: str,
        origin: Origin | None = None,
        labels: Sequence[tuple[str, str]] = (),
        schedule_date: datetime | None = None,
        dedupe: str | None = None,
        trigger_id: str | None = None,
    ) -> Execution:
        """Write an execution together with whatever it comes to without waiting, in one transaction; as it was made.
        With a dedupe key that was used before, the one it made."""
        now = self.clock.now()
        execution = self.built(prepared, now, started_by, origin, labels, schedule_date)
        is_due = schedule_date is None and prepared.failed_check is None
        first = self.first(prepared.flow, execution) if is_due else None

        def work(unit: Unit) -> Execution:
            if first is None:
                return self._create(unit, execution, prepared, now, None, trigger_id, dedupe)
            if not executions.create(unit.batch, first.after, now, self.sealer, trigger=trigger_id, dedupe=dedupe):
                return self._made_before(unit, dedupe)
            self.begin_with(unit, first)
            return execution

        return await database.transact(work)

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
        caller: Caller | None = None,
        trigger_id: str | None = None,
    ) -> Execution:
        """Write an execution inside somebody's transaction; with a dedupe key that was used before, the one it made."""
        now = self.clock.now()
        execution = self.built(prepared, now, started_by, origin, labels, schedule_date)
        return self._create(unit, execution, prepared, now, caller, trigger_id, dedupe)

    def _create(
        self,
        unit: Unit,
        execution: Execution,
        prepared: Prepared,
        now: datetime,
        caller: Caller | None,
        trigger_id: str | None,
        dedupe: str | None,
    ) -> Execution:
        if not executions.create(
            unit.batch, execution, now, self.sealer, caller=caller, trigger=trigger_id, dedupe=dedupe
        ):
            return self._made_before(unit, dedupe)
        if prepared.failed_check is not None:
            line = LogLine(
                now, "ERROR", None, None, None, self.masker.mask(prepared.failed_check), execution_id=execution.id
            )
            logs.write(unit.batch, [line])
            self._announce(unit, execution)
        else:
            self.begin_in(unit, execution, now)
        return execution

    def _announce(self, unit: Unit, execution: Execution) -> None:
        """Let Flow triggers hear of an execution that was made FAILED."""
        if self.listens_to(execution, execution.state):
            row = stored(execution.id, Announcement(execution.state.value), 0)
            outbox.put(unit.batch, [row], self.sealer)
            unit.after_commit(lambda: self.announced(row))

    def create_waiting(
        self, unit: Unit, prepared: Prepared, origin: Origin, labels: Sequence[tuple[str, str]]
    ) -> tuple[Execution, str]:
        """Write an execution that a schedule starts; the caller tells `begun` of it, with the row, after the commit."""
        now = self.clock.now()
        execution = self.built(prepared, now, "schedule", origin, labels)
        executions.create(unit.batch, execution, now, self.sealer, trigger=origin.id)
        row = stored(execution.id, SetTimer(START, now), 0)
        outbox.put(unit.batch, [row], self.sealer)
        return execution, row.id

    def _made_before(self, unit: Unit, dedupe: str | None) -> Execution:
        there = executions.by_dedupe(unit.connection, dedupe or "", self.sealer)
        assert there is not None  # noqa: S101 - the UNIQUE rule said so
        return there

    def begin_in(self, unit: Unit, execution: Execution, now: datetime) -> None:
        """Post the start of a new execution, at once or at its schedule date."""
        timer = SetTimer(START, max(execution.schedule_date or now, now))
        row = stored(execution.id, timer, 0)
        outbox.put(unit.batch, [row], self.sealer)
        if timer.at > now:
            unit.after_commit(lambda: self.timer(execution.id, timer))
        else:
            unit.after_commit(lambda: self.begun(execution.id, row.id, execution))

    def built(
        self,
        prepared: Prepared,
        now: datetime,
        started_by: str,
        origin: Origin | None = None,
        labels: Sequence[tuple[str, str]] = (),
        schedule_date: datetime | None = None,
    ) -> Execution:
        """The execution before anything ran."""
        flow = prepared.flow
        own = [pair for pair in read_labels(flow.labels) if not pair[0].startswith(SYSTEM)]
        every = [*own, *labels]
        if not any(key == CORRELATION for key, _ in every):
            every.append((CORRELATION, prepared.id))
        execution = Execution(
            id=prepared.id,
            namespace=flow.namespace,
            flow_id=flow.id,
            revision=flow.revision,
            state=State.CREATED,
            histories=((State.CREATED, now),),
            task_runs=TaskRuns(),
            inputs=prepared.inputs,
            labels=tuple(every),
            origin=origin,
            original_id=prepared.id,
            started_by=started_by,
            schedule_date=schedule_date,
        )
        return execution.moved(State.FAILED, now) if prepared.failed_check is not None else execution


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check of a flow that did not pass."""

    message: str
    behavior: str
    style: str


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no file can have such a name
        return False


def _not_stored(declared: Input, problem: str, value: str) -> InputInvalid:
    return InputInvalid((InputProblem(declared.id, excerpt(problem), excerpt(value)),))


def check_labels(labels: Sequence[tuple[str, str]]) -> None:
    """Refused when a caller passes labels that only the system sets."""
    for key, value in labels:
        if key.startswith(SYSTEM) and key != CORRELATION:
            raise Refused(
                f"System labels can only be set by Kestra itself, offending label: {key}={value}",
                fix="Use a name that does not begin with `system.`.",
            )


def may_wait(inputs: Iterable[Input]) -> bool:
    """Whether checking values for some inputs may take long, or wait for a disk or a network."""
    return any(one.may_take_time or waits(_plain_parts(one)) for one in inputs)


def _plain_parts(declared: Input) -> Any:
    """What of an input may hold templates."""
    group = [one.defaults for one in declared.outer if isinstance(one.defaults, str)]
    conditions = [one.condition for one in declared.asked_when]
    return [declared.defaults, getattr(declared, "expression", None), *conditions, *group]


def _one(text: str, seen: Mapping[str, Any], services: Services, typed: bool) -> Any:
    return typed_value(text, seen, services) if typed else render(text, seen, services)
