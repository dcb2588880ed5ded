"""What an engine is made of, and who is told what: one place where its parts meet."""

from engine.clock import Clock
from engine.core.events import Started
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.registry import Registry
from engine.directories import run_directory
from engine.dispatch.inline import InlineDispatcher, Timers
from engine.files import FileStore
from engine.key_values import KeyValueStore
from engine.logbook import LogBook
from engine.rendering import Renderer
from engine.run_context import Outside
from engine.runtime.advancing import Advancer
from engine.runtime.carrying import Carrier, WorkerHome
from engine.runtime.changes import Changes
from engine.runtime.corrections import Bulk, Corrections
from engine.runtime.creation import Creator
from engine.runtime.deciding import Decider
from engine.runtime.decision import Decision, Writer
from engine.runtime.doorkeeper import Door
from engine.runtime.flow_triggers import FlowTriggers
from engine.runtime.flows import Flows
from engine.runtime.operations import Operations
from engine.runtime.records import TaskRecords
from engine.runtime.schedules import Schedules
from engine.runtime.slots import Slots
from engine.runtime.subflows import Subflows
from engine.runtime.task_flows import TaskFlows
from engine.runtime.webhooks import Webhooks
from engine.secrets import AtRest, Masker, Secrets, Vault
from engine.settings import Settings
from engine.store.database import Database
from engine.worker import Worker


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
        self.files = FileStore(settings.data / "files")
        self.kv = KeyValueStore(database, clock, self.vault, self.masker)
        self.renderer = Renderer(settings, clock, self.secrets, self.masker, self.kv, self.files, database, self.sealer)
        self.flows = Flows(database, registry, settings, clock)
        self.changes = Changes()
        self.logbook = LogBook(database)
        self.timers = Timers(clock)
        self.door = Door()
        self.slots = Slots()
        self._carrier = Carrier(clock, self.flows, self.timers, self.slots, self.changes, self.logbook)
        self.creator = Creator(
            settings,
            clock,
            self.renderer,
            self.files,
            self.masker,
            self.sealer,
            lambda execution, row: self.decider.begin(execution, Started(clock.now()), drops=row),
            lambda posted: self.decider.post_stored(posted),
            self._carrier.set_timer,
            self._first,
            lambda unit, decision: self.decider.begin_with(unit, decision),
        )
        self.schedules = Schedules(database, self.flows, self.creator, clock, self.timers, self.kv)
        writer = Writer(
            self.sealer,
            self.masker,
            self.door,
            self.schedules.stops,
            lambda posted: self.decider.post_stored(posted),
            self.schedules.released,
        )
        advancer = Advancer(self.renderer, self.slots.admit)
        self.decider = Decider(
            database,
            clock,
            self.renderer,
            self.sealer,
            self.flows.fetch,
            self.flows.at_hand,
            advancer,
            writer,
            self._carrier.decided,
            lambda execution, state: self._flow_triggers.listens_to(execution, state),
        )
        self.operations = Operations(database, self.flows, self.creator, self.decider, self.door)
        records = TaskRecords(database, self.files, self.logbook, self.schedules, clock)
        self.corrections = Corrections(database, self.flows, self.creator, self.decider, records, self.changes.publish)
        self.bulk = Bulk(database, self.operations, self.corrections)
        self._flow_triggers = FlowTriggers(
            database, self.flows, self.creator, self.decider.current, self.schedules.is_disabled
        )
        self.webhooks = Webhooks(database, self.flows, self.creator, self.schedules)
        self._outside = Outside(settings, self.renderer, self.files, self.kv, self.masker, self.logbook)
        self._outside.flows = TaskFlows(self.flows)
        self._outside.records = TaskRecords(database, self.files, self.logbook, self.schedules, clock)
        self._worker = Worker(
            WorkerHome(self.decider, self.flows), self._outside, settings.data / "work", run_directory
        )
        advancer.at_once = self._worker.at_once
        self.dispatcher = InlineDispatcher(self._worker.run, self._carrier.killed, settings.limits.workers)
        self._carrier.decider = self.decider
        self._carrier.dispatcher = self.dispatcher
        self._carrier.flow_triggers = self._flow_triggers
        self._carrier.operations = self.operations
        self._carrier.subflows = Subflows(database, self.flows, self.creator, self.decider.current)

    def _first(self, flow: Flow, execution: Execution) -> Decision | None:
        """The decision that a new execution can be written with; executions that are counted are made first."""
        if self.slots.limits(flow):
            return None
        return self.decider.first(flow, execution, Started(self.clock.now()))
