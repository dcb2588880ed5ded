"""What tasks may do to what the engine keeps: count, read and purge executions, logs and keys, switch triggers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.clock import Clock
from engine.core.execution import Execution
from engine.errors import NotFound
from engine.files import FileStore, slug
from engine.logbook import LogBook
from engine.plugin import Level, Purged, Selection, TriggerStanding
from engine.runtime.execution_json import execution_json
from engine.runtime.flows import Flows
from engine.runtime.schedules import Schedules
from engine.secrets import AtRest, Masker
from engine.sight import is_within
from engine.store import chat_audit, executions, records, triggers
from engine.store.chat_audit import Deed
from engine.store.database import Beside, Database, Unit

Tell = Callable[[Unit, Purged], None]
ANY = "*"
PAGE = 100  # executions read in one go
LINES = 5_000  # log lines read, or deleted, in one go: the writer serves others in between


def purge_deed(
    chosen: Selection, gone: Purged, now: datetime, *, person: str = "", name: str = "", platform: str, by: str = ""
) -> Deed:
    """What the record says of a purge: what was meant, and how much that was."""
    until = chosen.until.isoformat() if chosen.until else None
    details = {"before": until, "below": chosen.below, **asdict(gone), **({"by": by} if by else {})}
    return Deed(now, person, name, platform, "purge", chosen.namespace or ANY, details=details)


@dataclass(frozen=True, slots=True)
class TaskRecords:
    """`engine.plugin.Records` on the engine's database and files."""

    database: Database
    files: FileStore
    logbook: LogBook
    flows: Flows
    schedules: Schedules
    clock: Clock
    sealer: AtRest
    masker: Masker

    async def count(self, chosen: Selection) -> int:
        """How many executions are meant."""
        return await self.database.read(lambda c: records.count(c, chosen))

    async def executions(self, chosen: Selection) -> AsyncIterator[Mapping[str, Any]]:
        """The executions that are meant, newest first, as the API gives them: secrets as stars."""
        before: str | None = None
        while True:
            found = await self.database.read(
                lambda c, at=before: records.newest(c, chosen, self.sealer, at, PAGE)  # type: ignore[misc]
            )
            for one in found:
                yield self._told(one)
            if len(found) < PAGE:
                return
            before = found[-1].id

    async def execution(self, execution_id: str) -> Mapping[str, Any]:
        """One of them; NotFound."""
        found = await self.database.read(lambda c: executions.load(c, execution_id, self.sealer))
        if found is None:
            raise missing(execution_id)
        return self._told(found)

    def _told(self, execution: Execution) -> Mapping[str, Any]:
        return execution_json(execution, self.masker.mask)

    async def purge(self, chosen: Selection, parts: frozenset[str], batch: int, by: str) -> Purged:
        """Delete parts (`execution`, `log`, `metric`, `storage`) of executions that are meant and have ended; it is
        recorded `by` which flow."""

        def tell(unit: Unit, gone: Purged) -> None:
            if gone != Purged():
                deed = purge_deed(chosen, gone, self.clock.now(), platform="flow", by=by)
                chat_audit.record(unit.connection, deed)

        return await self.purge_telling(chosen, parts, batch, tell)

    async def purge_telling(self, chosen: Selection, parts: frozenset[str], batch: int, tell: Tell) -> Purged:
        """The same; `tell` hears in the transaction of each batch what goes with it."""
        if "log" in parts or "metric" in parts:
            await self.logbook.flush()
        total, after = Purged(), ""
        while True:
            found = await self.database.read(lambda c, at=after: records.ended(c, chosen, at, batch))  # type: ignore[misc]
            if not found:
                return total
            total += await self._purge_batch(found, parts, tell)
            after = found[-1].id

    async def delete(self, execution_id: str, parts: frozenset[str], by: str) -> Purged:
        """Delete parts of one execution that has ended, nothing while something of it is under way; it is recorded `by`
        which flow. NotFound."""
        owner = await self.database.read(lambda c: records.owner_of(c, execution_id))
        if owner is None:
            raise missing(execution_id)
        flow = f"{owner[0]}/{owner[1]}"
        deed = Deed(self.clock.now(), "", "", "flow", "delete", execution_id, execution_id, flow, {"by": by})
        return await self.purge_one(*owner, execution_id, parts, lambda unit: chat_audit.record(unit.connection, deed))

    async def purge_one(
        self,
        namespace: str,
        flow_id: str,
        execution_id: str,
        parts: frozenset[str],
        beside: Beside = None,
    ) -> Purged:
        """Delete parts of one execution that has ended; nothing while something of it is under way."""
        await self.logbook.flush()

        def tell(unit: Unit, gone: Purged) -> None:
            if beside is not None:
                beside(unit)

        return await self._purge_batch([records.Candidate(execution_id, namespace, flow_id)], parts, tell)

    async def _purge_batch(
        self,
        found: Sequence[records.Candidate],
        parts: frozenset[str],
        tell: Tell | None = None,
    ) -> Purged:
        """Rows go first, and only those of what still rests: of an execution that was taken up again meanwhile no file
        may go. A crash in between leaves files of nobody, which PurgeStorage finds."""
        rows, stored = parts - {"storage"}, "storage" in parts
        files = await asyncio.to_thread(lambda: {one.id: self._files_of(one) for one in found}) if stored else {}

        def work(unit: Unit) -> tuple[list[records.Candidate], Purged]:
            goes, total = list[records.Candidate](), Purged()
            for one in found:
                if records.holds_at_rest(unit.connection, one.id):
                    goes.append(one)
                    total += records.purge(unit.connection, one.id, rows) + Purged(files=files.get(one.id, 0))
            if tell is not None and rows and (total.executions or "execution" not in rows):
                tell(unit, total)
            return goes, total

        goes, total = await self.database.transact(work)
        for one in goes if stored else ():
            await asyncio.to_thread(self.files.delete_execution, one.namespace, one.flow_id, one.id)
        return total

    def _files_of(self, one: records.Candidate) -> int:
        return len(self.files.execution_files(one.namespace, one.flow_id, one.id))

    async def logs(
        self, execution_id: str, namespace: str, flow_id: str | None, tasks: Sequence[str], level: Level
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The log of an execution, line by line; NotFound when the namespace (or flow) has no such execution."""
        owner = await self.database.read(lambda c: records.owner_of(c, execution_id))
        if owner is None or owner[0] != namespace or flow_id not in (None, owner[1]):
            where = f"{namespace}.{flow_id}" if flow_id else namespace
            raise NotFound(
                f"There is no execution {execution_id} of {where}.",
                fix="Give `namespace` and `flowId` together with `executionId` for an execution of another flow.",
            )
        await self.logbook.flush()
        whose, after = {"namespace": owner[0], "flowId": owner[1], "executionId": execution_id}, 0
        while True:
            found = await self.database.read(
                lambda c, at=after: records.log_rows(c, execution_id, tasks, level, at, LINES)  # type: ignore[misc]
            )
            for _, line in found:
                yield {**whose, **line}
            if len(found) < LINES:
                return
            after = found[-1][0]

    async def purge_logs(self, chosen: Selection, levels: Sequence[Level]) -> int:
        """Delete log lines between two dates; how many."""
        await self.logbook.flush()
        total = 0
        while True:
            gone = await self.database.transact(lambda u: records.purge_logs(u.connection, chosen, levels, LINES))
            total += gone
            if gone < LINES:
                return total

    async def purge_metrics(self, chosen: Selection) -> int:
        """Delete metrics between two dates; how many."""
        await self.logbook.flush()
        total = 0
        while True:
            gone = await self.database.transact(lambda u: records.purge_metrics(u.connection, chosen, LINES))
            total += gone
            if gone < LINES:
                return total

    async def purge_files(self, chosen: Selection, *, asking: str, dry: bool) -> tuple[int, int, int]:
        """Delete files that executions wrote between two dates, unless `dry`; of those under way only of `asking`.

        How many executions were looked at, how many have such files, and how many files were deleted.
        """
        busy = await self.database.read(records.under_way) - {asking}
        return await asyncio.to_thread(purge_files, self.files, chosen, busy, dry)

    async def purge_keys(self, fits: Callable[[str, str], bool], *, expired_only: bool) -> int:
        """Delete pairs of the KV store for whose namespace and key `fits` says yes; how many."""
        now = self.clock.now()
        there = await self.database.read(records.keys)
        pairs = [
            (namespace, key)
            for namespace, key, expires in there
            if fits(namespace, key) and not (expired_only and (expires is None or expires > now))
        ]
        if not pairs:
            return 0
        return await self.database.transact(
            lambda unit: records.purge_keys(unit.connection, pairs, now, expired_only=expired_only)
        )

    async def triggers(
        self, namespace: str | None, flow_id: str | None = None, *, below: bool = False
    ) -> Sequence[TriggerStanding]:
        """The triggers of a flow, a namespace (with `below` of its child namespaces too) or of all."""
        states = {one.key: one for one in await self.database.read(triggers.all_states)}
        found, now = list[TriggerStanding](), self.clock.now()
        for flow in self.flows.list():
            if not is_within(flow.namespace, namespace, below=below) or flow_id not in (None, flow.id):
                continue
            for one in (*flow.triggers, *self.schedules.own.of(flow)):
                key = triggers.trigger_key(flow.namespace, flow.id, one.id)
                state = states.get(key) or triggers.TriggerState(flow.namespace, flow.id, one.id, now)
                found.append(
                    TriggerStanding(
                        flow.namespace,
                        flow.id,
                        one.id,
                        type(one).type_names()[0],
                        flow.disabled or one.disabled or state.disabled,
                        state.last_date,
                        state.next_date,
                        state.execution_id,
                        bool(state.backfill),
                    )
                )
        return found

    async def toggle(self, namespace: str, flow_id: str, trigger_id: str, *, enabled: bool) -> None:
        """Switch a trigger on or off; NotFound."""
        await self.schedules.toggle(namespace, flow_id, trigger_id, disabled=not enabled)


def missing(execution_id: str) -> NotFound:
    """What is told of an execution that is not there."""
    return NotFound(f"There is no execution {execution_id}.", fix="It may have been purged.")


def purge_files(files: FileStore, chosen: Selection, busy: Collection[str], dry: bool) -> tuple[int, int, int]:
    """Delete files of executions that are meant and not busy, then the folders they leave empty."""
    scanned = matched = deleted = 0
    for (namespace, flow, execution), folder in list(files.executions()):
        if (
            not is_within(namespace, chosen.namespace, below=chosen.below)
            or execution in busy
            or (chosen.flow_id and slug(chosen.flow_id) != flow)
        ):
            continue
        scanned += 1
        old = [path for path in folder.rglob("*") if path.is_file() and _is_between(path, chosen)]
        matched += bool(old)
        if dry:
            continue
        for path in old:
            path.unlink(missing_ok=True)
            deleted += 1
        for path in (*sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True), folder):
            if old and not any(path.iterdir()):
                path.rmdir()
    return scanned, matched, deleted


def _is_between(path: Path, chosen: Selection) -> bool:
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return (chosen.since is None or written >= chosen.since) and (chosen.until is None or written <= chosen.until)
