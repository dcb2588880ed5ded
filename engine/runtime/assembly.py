"""What an engine is made of, and who is told what: one place where its parts meet."""

from typing import TYPE_CHECKING

from engine.clock import Clock
from engine.core.bounds import Bounds
from engine.core.events import Started
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.registry import Registry
from engine.core.worker_groups import served_by
from engine.directories import run_directory
from engine.dispatch.inline import Dispatcher, InlineDispatcher, Timers
from engine.file_settings import open_files
from engine.key_values import KeyValueStore
from engine.logbook import LogBook
from engine.rendering import Renderer
from engine.run_context import Outside
from engine.runtime.advancing import Advancer
from engine.runtime.answers import Answers
from engine.runtime.carrying import Carrier, killed
from engine.runtime.changes import Changes
from engine.runtime.corrections import Bulk, Corrections
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.decision import Decision, Writer
from engine.runtime.doorkeeper import Door
from engine.runtime.flow_triggers import FlowTriggers
from engine.runtime.flows import Flows
from engine.runtime.homes import SharedHome, WorkerHome
from engine.runtime.notary import Notary
from engine.runtime.operations import Operations
from engine.runtime.places import Places
from engine.runtime.records import TaskRecords
from engine.runtime.retention import Retention
from engine.runtime.schedules import Schedules
from engine.runtime.slots import Slots
from engine.runtime.subflows import Subflows
from engine.runtime.task_flows import TaskFlows
from engine.runtime.tracing import open_tracing
from engine.runtime.webhooks import Webhooks
from engine.secrets import AtRest, Masker, Secrets, Vault
from engine.settings import Settings
from engine.store.database import Database
from engine.store.members import queue_of
from engine.store.postgres import PostgresDatabase
from engine.worker import Worker

if TYPE_CHECKING:  # heavy, and only for who shares a database
    from engine.runtime.cluster import Cluster


class Assembly:
    """The parts of an engine, put together; nothing runs yet."""

    def __init__(self, settings: Settings, database: Database, registry: Registry, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.registry = registry
        self.clock = clock
        self.masker = Masker()
        self.secrets = Secrets(settings, self.masker)
        self.vault = Vault.of(settings)
        self.sealer = AtRest(self.vault, self.masker)
        self.notary = Notary(settings, database, clock)
        self.files = open_files(settings)
        self.kv = KeyValueStore(database, clock, self.vault, self.masker)
        self.renderer = Renderer(settings, clock, self.secrets, self.masker, self.kv, self.files, database, self.sealer)
        self.flows = Flows(database, registry, settings if settings.has_flows else settings.without_flows(), clock)
        self.changes = Changes()
        self.logbook = LogBook(database)
        self.timers = Timers(clock)
        self.door = Door()
        self.slots = Slots(self.flows.limit_of)
        self.tracing = open_tracing(settings.tracing, self.masker.mask)
        self._carrier = Carrier(clock, self.flows, self.timers, self.slots, self.changes, self.logbook)
        self.creator = Creator(
            settings,
            clock,
            self.renderer,
            self.files,
            self.masker,
            self.sealer,
            lambda found, row, made: self.decider.begin(found, Started(clock.now()), drops=row, made=made),
            lambda posted: self.decider.post_stored(posted),
            self._carrier.set_timer,
            self._first,
            lambda unit, decision: self.decider.begin_with(unit, decision),
            lambda execution, state: self._flow_triggers.listens_to(execution, state),
            lambda row: self._carrier.take_up(row),
        )
        self.schedules = Schedules(
            database, self.flows, self.creator, clock, self.timers, self.kv, lambda: self.decider.busy
        )
        writer = Writer(
            self.sealer,
            self.masker,
            self.door,
            self.flows.stops_trigger,
            lambda posted: self.decider.post_stored(posted),
            self.schedules.released,
            lambda unit, execution, command: self.dispatcher.store(unit, execution, command),
            lambda unit, decision: None if self._carrier.places is None else self._carrier.places.check(unit, decision),
        )
        limits = settings.limits
        advancer = Advancer(self.renderer, self.slots.admit, Bounds(limits.foreach_values, limits.loop_iterations))
        self.decider = Decider(
            database,
            clock,
            self.renderer,
            self.sealer,
            self.flows.fetch,
            self.flows.at_hand,
            advancer,
            writer,
            self._decided,
            lambda execution, state: self._flow_triggers.listens_to(execution, state),
        )
        self.answers = Answers(database, self.flows, self.creator, self.decider, self.door)
        self.operations = Operations(database, self.flows, self.creator, self.decider, self.answers)
        records = TaskRecords(
            database, self.files, self.logbook, self.flows, self.schedules, clock, self.sealer, self.masker
        )
        self.schedules.starts.records = records
        self.retention = Retention(database, records, clock, settings.retention, self.flows, self.notary)
        self.corrections = Corrections(database, self.flows, self.creator, self.decider, records, self.changes.publish)
        self.bulk = Bulk(database, self.operations, self.corrections)
        self._flow_triggers = FlowTriggers(
            database, self.flows, self.creator, self.decider.current, self.schedules.is_disabled
        )
        self.webhooks = Webhooks(database, self.flows, self.creator, self.schedules)
        self._outside = Outside(settings, self.renderer, self.files, self.kv, self.masker, self.logbook)
        self._outside.flows = TaskFlows(self.flows)
        self._outside.records = records
        self.cluster: Cluster | None = None
        shared = SharedHome(self.decider, self.flows, database, clock, self.sealer, self._owns)
        self._carrier.home = shared if isinstance(database, PostgresDatabase) else WorkerHome(self.decider, self.flows)
        self._worker = Worker(self._carrier.home, self._outside, settings.data / "work", run_directory)
        advancer.at_once = self._worker.at_once
        alone = InlineDispatcher(self._worker.run, self._carrier.killed, limits.workers, limits.workers_per_flow)
        self._carrier.decider = self.decider
        self._carrier.flow_triggers = self._flow_triggers
        self._carrier.answers = self.answers
        self._carrier.subflows = Subflows(database, self.flows, self.creator, self.decider.current)
        self.dispatcher: Dispatcher = self._join(database, shared) if isinstance(database, PostgresDatabase) else alone
        self._carrier.dispatcher = self.dispatcher

    def _owns(self, execution_id: str) -> bool:
        return self.cluster is None or self.cluster.owns(execution_id)

    def _join(self, database: PostgresDatabase, home: SharedHome) -> Dispatcher:
        """Be one of several processes on a database; what runs tasks then."""
        from engine.dispatch.procrastinate import ProcrastinateDispatcher  # noqa: PLC0415 - only there
        from engine.runtime.cluster import Cluster, Parts  # noqa: PLC0415 - as above

        settings = self.settings
        queues = tuple(queue_of(group) for group in served_by(settings.worker_groups) or (None,))
        if settings.role not in ("all", "worker"):
            queues = ()
        dispatcher = ProcrastinateDispatcher(
            database,
            self._worker.run,
            self._carrier.end_killed,
            lambda unit, job: home.end_in(unit, job.execution_id, killed(job, self.clock.now())),
            settings.limits.workers,
            settings.limits.workers_per_flow,
            queues,
            settings.heartbeat,
        )
        places = Places(database, self.flows, self.slots, self.clock, self.decider.post)
        parts = Parts(
            database,
            self.clock,
            self.sealer,
            self.flows,
            self.decider,
            self._carrier,
            self.changes,
            self.schedules,
            dispatcher,
            places,
            self.logbook,
        )
        self.cluster = Cluster(parts, settings.role, queues, settings.heartbeat)
        presence, memory = self.cluster.presence, self.decider.memory
        self.decider.owns = memory.owns = self._owns
        memory.hears = lambda: presence.hears
        self.decider.superseded = lambda execution: places.recount(execution.namespace, execution.flow_id)
        self._carrier.places = places
        self._carrier.alarm = self.cluster.wake
        return dispatcher

    def _decided(self, decision: Decision) -> None:
        """A decision is on disk."""
        self._carrier.decided(decision)
        self.tracing.decided(decision)

    def _first(self, flow: Flow, execution: Execution) -> Decision | None:
        """The decision that a new execution can be written with; executions that are counted are made first."""
        if self.slots.limits(flow) or not self._owns(execution.id):
            return None
        return self.decider.first(flow, execution, Started(self.clock.now()))
