"""The flows there are: revisions in the store, the newest of each in memory, folders that are watched."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from engine.clock import Clock
from engine.core.execution import Execution
from engine.core.executor import plan_of
from engine.core.flow import Flow
from engine.core.flow_source import load, older_names
from engine.core.flow_texts import FlowText
from engine.core.registry import Registry
from engine.core.task import Task
from engine.errors import EngineError, FlowInvalid, NotFound, Refused
from engine.runtime.flow_folders import FlowFolders, FoundFile, twin
from engine.settings import Settings
from engine.store import flows as rows
from engine.store.database import Beside, Database, Unit
from engine.store.flows import FlowRow

log = logging.getLogger(__name__)

OLD_REVISIONS = 500  # parsed flows of former revisions kept in memory
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """The newest revision of a flow. `flow` is None while its stored text can't be read by this program."""

    row: FlowRow
    flow: Flow | None
    problem: FlowInvalid | None = None


class Flows:
    """Finds flows, keeps new revisions, watches folders."""

    def __init__(self, database: Database, registry: Registry, settings: Settings, clock: Clock) -> None:
        self._database = database
        self.registry = registry
        self._settings = settings
        self._clock = clock
        self._known: dict[Key, Known] = {}
        self._old: OrderedDict[tuple[str, str, int], Flow] = OrderedDict()
        self._folders = FlowFolders(settings.flows, self._parse)
        self._watcher: asyncio.Task[None] | None = None
        self._changed: list[Callable[[], Awaitable[None]]] = []
        self._writing = asyncio.Lock()  # what is known follows what is written, in the same order

    def on_change(self, told: Callable[[], Awaitable[None]]) -> None:
        """Await after flows were added, changed or removed, before whoever changed them is answered."""
        self._changed.append(told)

    def list(self) -> list[Flow]:
        """The newest revision of every flow that is there and can be read."""
        return [known.flow for known in self._known.values() if known.flow is not None and not known.row.deleted]

    def get(self, namespace: str, flow_id: str, revision: int | None = None) -> Flow:
        """A flow, the newest revision unless one is named; NotFound with the nearest names."""
        known = self._known.get((namespace, flow_id))
        if known is None or (revision is None and known.row.deleted):
            raise self._missing(namespace, flow_id)
        if revision is None or revision == known.row.revision:
            if known.flow is None:
                raise Refused(
                    f"Cannot execute an invalid flow: {known.problem}", fix="Deploy a version that can be read."
                )
            return known.flow
        old = self._old.get((namespace, flow_id, revision))
        if old is None:
            row = self._database.read_now(lambda c: rows.revision(c, namespace, flow_id, revision))
            old = self._parsed_old(row, namespace, flow_id, revision)
        return old

    def stops_trigger(self, execution: Execution) -> bool:
        """Whether the end of an execution switches off the trigger that started it (`stopAfter`)."""
        if execution.origin is None:
            return False
        try:
            flow = self.get(execution.namespace, execution.flow_id)
        except EngineError:
            return False
        trigger = next((one for one in flow.triggers if one.id == execution.origin.id), None)
        return trigger is not None and execution.state in trigger.stop_after

    def at_hand(self, namespace: str, flow_id: str, revision: int) -> Flow | None:
        """One revision of a flow, if it is in memory."""
        known = self._known.get((namespace, flow_id))
        if known is not None and known.flow is not None and known.row.revision == revision:
            return known.flow
        return self._old.get((namespace, flow_id, revision))

    def limit_of(self, namespace: str, flow_id: str) -> int | None:
        """How many executions of a flow may be under way at once, as it stands now; None for any number."""
        known = self._known.get((namespace, flow_id))
        flow = known.flow if known is not None else None
        return None if flow is None or flow.concurrency is None else flow.concurrency.limit

    async def fetch(self, namespace: str, flow_id: str, revision: int) -> Flow:
        """One revision of a flow, also of one that was removed since; NotFound."""
        old = self.at_hand(namespace, flow_id, revision)
        if old is None:
            row = await self._database.read(lambda c: rows.revision(c, namespace, flow_id, revision))
            old = self._parsed_old(row, namespace, flow_id, revision)
        return old

    def deployed(self) -> Sequence[Known]:
        """The newest revision of every flow that is there, also of those that cannot be read."""
        return tuple(known for known in self._known.values() if not known.row.deleted)

    def is_watched(self, file: str) -> bool:
        """Whether a file of a watched folder is there and keeps a flow."""
        return self._folders.is_watched(file)

    async def check(self, source: str) -> Flow:
        """The flow a text describes, nothing kept; FlowInvalid."""
        return await asyncio.to_thread(self._parse, FlowText(source), "")

    def exists(self, namespace: str, flow_id: str) -> bool:
        """Whether there is such a flow."""
        known = self._known.get((namespace, flow_id))
        return known is not None and not known.row.deleted

    def has_trigger(self, namespace: str, flow_id: str, trigger_id: str) -> bool:
        """Whether a flow that is there has such a trigger; it may, when its text can't be read by this program."""
        known = self._known.get((namespace, flow_id))
        if known is None or known.row.deleted:
            return False
        return known.flow is None or any(trigger.id == trigger_id for trigger in known.flow.triggers)

    def source(self, namespace: str, flow_id: str) -> str:
        """The text of the newest revision; NotFound."""
        known = self._known.get((namespace, flow_id))
        if known is None:
            raise self._missing(namespace, flow_id)
        return known.row.source

    def problems(self) -> dict[str, FlowInvalid]:
        """What is wrong with files of the folders; their last good revision goes on."""
        return self._folders.problems()

    def task(self, flow: Flow, task_id: str) -> Task:
        """A task of a flow by its id, however deep; NotFound."""
        place = plan_of(flow).places.get(task_id)
        if place is None:
            raise NotFound(f"The flow {flow.namespace}.{flow.id} has no task {task_id!r} in revision {flow.revision}.")
        return place.task

    async def deploy(self, source: str, *, file: str = "", line: int = 1, beside: Beside = None) -> Flow:
        """Keep a flow's text, which begins on a line of its file, as a new revision, unless it is the newest already;
        FlowInvalid says what is wrong."""
        flow = await asyncio.to_thread(self._parse, FlowText(source, line), file)
        kept = await self._keep(flow, source, file, beside)
        await self._tell()
        return kept

    async def revisions(self, namespace: str, flow_id: str) -> Sequence[FlowRow]:
        """Every text a flow had, oldest first; NotFound."""
        found = await self._database.read(lambda c: rows.history(c, namespace, flow_id))
        if not found:
            raise self._missing(namespace, flow_id)
        return found

    async def restore(self, namespace: str, flow_id: str, revision: int, *, beside: Beside = None) -> Flow:
        """Make the text of an old revision the newest again, in the flow's file if it has one; NotFound, Refused.

        `beside` is written in the same transaction as the revision. FlowInvalid when this program can't read that text
        any more.
        """
        there = await self.revisions(namespace, flow_id)
        old = next((row for row in there if row.revision == revision), None)
        if old is None:
            numbers = f"{there[0].revision} to {there[-1].revision}"
            raise NotFound(f"There is no revision {revision} of flow {namespace}.{flow_id}.", fix=f"It has {numbers}.")
        file, text = there[-1].file, old.source
        if self.is_watched(file):
            await self.check(text)
            text = await self._folders.write(file, namespace, flow_id, text)
        return await self.deploy(text, file=file, beside=beside)

    async def delete(self, namespace: str, flow_id: str) -> None:
        """Nothing new starts from a flow any more; its history is kept. NotFound."""
        if not await self._remove(namespace, flow_id):
            raise self._missing(namespace, flow_id)
        await self._tell()

    async def _remove(self, namespace: str, flow_id: str) -> bool:
        now = self._clock.now()
        async with self._writing:
            is_gone = await self._database.transact(lambda unit: rows.delete(unit.connection, namespace, flow_id, now))
            await self._reload(namespace, flow_id)
        return is_gone

    async def purge_revisions(self, fits: Callable[[str, str], bool], keep: int | None, before: datetime | None) -> int:
        """Forget old revisions of flows, but never the newest nor what executions under way run; how many."""
        names = [key for key in self._known if fits(*key)]
        gone = 0
        for namespace, flow_id in names:
            gone += await self._database.transact(
                lambda unit, n=namespace, f=flow_id: rows.purge_revisions(unit.connection, n, f, keep, before)  # type: ignore[misc]
            )
            for key in [key for key in self._old if key[:2] == (namespace, flow_id)]:
                del self._old[key]
        return gone

    async def heard(self, namespace: str, flow_id: str) -> None:
        """Another process kept a new revision of a flow, or removed one."""
        async with self._writing:
            await self._reload(namespace, flow_id)
        await self._tell()

    async def catch_up(self) -> None:
        """Take in what other processes kept while nobody could tell us."""
        changed = False
        async with self._writing:
            for row in await self._database.read(rows.all_latest):
                known = self._known.get((row.namespace, row.id))
                if known is None or (known.row.revision, known.row.deleted) != (row.revision, row.deleted):
                    self._known[(row.namespace, row.id)] = await asyncio.to_thread(self._known_of, row)
                    changed = True
        if changed:
            await self._tell()

    async def start(self, *, watch: bool = True, interval: float = 1.0) -> None:
        """Read what the store has, then the folders; with `watch`, look at the folders again and again."""
        stored = await self._database.read(rows.all_latest)
        for row in stored:
            self._known[(row.namespace, row.id)] = await asyncio.to_thread(self._known_of, row)
        await self.look()
        if watch:
            self._watcher = asyncio.create_task(self._watch(interval), name="flow folders")

    async def stop(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None

    async def look(self) -> bool:
        """Take in what changed in the folders since last time; whether anything did."""
        files = await self._folders.look()
        if files is None:
            return False
        try:
            for found in files:
                await self._take_in(found)
            lost = [known.row for known in self.deployed() if self._is_lost(known)]
            for row in lost:
                log.info("%s holds flow %s.%s no more: it starts nothing new.", row.file, row.namespace, row.id)
                await self._remove(row.namespace, row.id)
        except EngineError:  # the database was away: what these files say must not be lost by that
            self._folders.again(files)
            raise
        if files or lost:
            await self._tell()
        return bool(files or lost)

    async def _take_in(self, found: FoundFile) -> None:
        problem, file = found.problem, str(found.path)
        for flow, source in found.flows:
            known = self._known.get((flow.namespace, flow.id))
            other = "" if known is None or known.row.deleted or known.row.file == file else known.row.file
            if self._folders.keeps(other, (flow.namespace, flow.id)):
                problem = problem or twin(flow, other, found.path)
            else:
                await self._keep(flow, source, file)
        self._folders.tell(found.path, problem)

    def _is_lost(self, known: Known) -> bool:
        return self._folders.has_lost(known.row.file, (known.row.namespace, known.row.id))

    async def _watch(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            try:
                await self.look()
            except Exception:
                log.exception("The flow folders could not be read; looking again soon.")

    def _parse(self, text: FlowText, file: str) -> Flow:
        return load(text.placed, self.registry, file=file, globals_defaults=self._settings.plugin_defaults)

    async def _keep(self, flow: Flow, source: str, file: str, beside: Beside = None) -> Flow:
        now = self._clock.now()

        def work(unit: Unit) -> int:
            kept = rows.deploy(unit.connection, flow.namespace, flow.id, source, file, now)
            if beside is not None:
                beside(unit)
            return kept

        async with self._writing:
            revision = await self._database.transact(work)
            before = self._known.get((flow.namespace, flow.id))
            kept = flow.model_copy(update={"revision": revision})
            row = FlowRow(flow.namespace, flow.id, revision, source, file, False, now)
            self._known[(flow.namespace, flow.id)] = Known(row, kept)
        if (before is None or before.row.revision != revision) and (
            older := await asyncio.to_thread(older_names, source, self.registry)
        ):
            names = ", ".join(older[:10]) + (f" and {len(older) - 10} more" if len(older) > 10 else "")
            log.warning("The flow %s.%s uses older names, which still work: %s.", flow.namespace, flow.id, names)
        return kept

    async def _reload(self, namespace: str, flow_id: str) -> None:
        row = await self._database.read(lambda c: rows.latest(c, namespace, flow_id))
        if row is not None:
            self._known[(namespace, flow_id)] = self._known_of(row)

    def _known_of(self, row: FlowRow) -> Known:
        try:
            flow = self._parse(FlowText(row.source), row.file).model_copy(update={"revision": row.revision})
        except FlowInvalid as error:
            return Known(row, None, error)
        return Known(row, flow)

    def _parsed_old(self, row: FlowRow | None, namespace: str, flow_id: str, revision: int) -> Flow:
        if row is None:
            raise NotFound(f"There is no revision {revision} of flow {namespace}.{flow_id}.")
        flow = self._parse(FlowText(row.source), row.file).model_copy(update={"revision": revision})
        self._old[(namespace, flow_id, revision)] = flow
        while len(self._old) > OLD_REVISIONS:
            self._old.popitem(last=False)
        return flow

    def _missing(self, namespace: str, flow_id: str) -> NotFound:
        names = [f"{key[0]}.{key[1]}" for key, known in self._known.items() if not known.row.deleted]
        near = get_close_matches(f"{namespace}.{flow_id}", names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "The list of flows shows what there is."
        return NotFound(f"There is no flow {namespace}.{flow_id}.", fix=hint)

    async def _tell(self) -> None:
        for told in self._changed:
            await told()
