"""What every part of the desk works with: engine, settings, ids of buttons, flows and pauses made ready to show."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot import documents
from bot.approvals import answering
from bot.approvals.answering import Shape
from bot.approvals.eligibility import Eligibility
from bot.approvals.prices import NO_PRICES, Prices
from bot.cards import outline
from bot.cards.room_modes import below, mode_of, room_key
from bot.chat_settings import ChatSettings
from bot.commands.references import FlowName
from bot.conversation import Attachment, Field, Person, Platform, Room
from bot.explaining.section import ExplainSection
from bot.findings import Finding
from bot.forms import questions as forms
from bot.forms.values import Reader
from bot.links import ActionIds, Pages
from bot.people.identities import Unlinked
from bot.people.permissions import Permissions
from bot.people.standing import Standings
from bot.people.zones import Zones
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.flowable import PausingTask
from engine.core.inputs import Input, Resolved
from engine.core.state import State
from engine.errors import EngineError, FlowInvalid, NotFound
from engine.identifiers import new_id
from engine.runtime import Engine
from engine.store import chat_messages, chat_receipts, chat_rooms
from engine.store.pauses import PauseRow

MAX_TEXT_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Questions:
    """What a pause asks. `is_flow_gone`: the flow's revision can't be read any more.

    `on_yes` and `on_no` are asked with a yes and with a no, where that differs; `quick`: texts may stay empty.
    """

    inputs: tuple[Input, ...] = ()
    fields: tuple[Field, ...] = ()
    shape: Shape = answering.PLAIN
    is_flow_gone: bool = False
    quick: bool = True
    on_yes: tuple[Field, ...] | None = None
    on_no: tuple[Field, ...] | None = None

    def fields_for(self, action: str) -> tuple[Field, ...]:
        """What is asked of somebody who approves, rejects or answers."""
        asked = {"approve": self.on_yes, "reject": self.on_no}.get(action)
        return self.fields if asked is None else asked


class Office:
    """Shared by the desk's parts; nothing here is remembered between two questions but the key of the ids."""

    def __init__(
        self,
        engine: Engine,
        settings: ChatSettings,
        permissions: Permissions,
        ids: ActionIds,
        eligibility: Eligibility | None = None,
        explain: ExplainSection | None = None,
        prices: Prices = NO_PRICES,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.explain = explain
        self.permissions = permissions
        self.prices = prices
        self.eligibility = eligibility or Eligibility(engine, (), {}, Unlinked())
        self.standings = Standings(engine.database, engine.clock, self.eligibility.membership)
        self.zones = Zones(engine.database, self.eligibility.membership, engine.settings.timezone)
        self.ids = ids
        self.pages = Pages(settings.public_url)
        self.examine: Callable[[], Awaitable[list[Finding]]] = _nothing

    def now(self) -> datetime:
        """The time now."""
        return self.engine.clock.now()

    def new_id(self) -> str:
        """A new identifier."""
        return new_id(self.now())

    # Flows

    def flow_names(self) -> list[FlowName]:
        """Every flow that can be run."""
        return [FlowName(flow.namespace, flow.id) for flow in self.engine.flows.list() if not flow.disabled]

    async def flow_of(self, execution: Execution) -> Flow | None:
        """The revision of a flow that an execution runs; None when it is gone."""
        try:
            return await self.engine.flows.fetch(execution.namespace, execution.flow_id, execution.revision)
        except (NotFound, FlowInvalid):
            return None

    def explains(self, execution: Execution) -> bool:
        """Whether a run can be explained: it failed, and there is a model that may hear of its flow."""
        flow, section = f"{execution.namespace}/{execution.flow_id}", self.explain
        return execution.state is State.FAILED and section is not None and section.covers(flow)

    # Pauses

    async def questions(self, pause: PauseRow, execution: Execution) -> Questions:
        """What a pause asks, with defaults and choices rendered."""
        flow = await self.flow_of(execution)
        place = outline.find(flow, pause.task_id) if flow else None
        if place is None:
            return Questions(is_flow_gone=True)
        task, run = place.task, execution.task_runs.get(pause.task_run_id)
        if isinstance(task, PausingTask) and run is not None:
            task = task.asking(run.rendered)
        inputs: tuple[Input, ...] = tuple(getattr(task, "on_resume", None) or ())
        if not inputs:
            return Questions()
        resolved: Resolved = await self.engine.check_answers(pause.id, {})
        fields = forms.fields_of(inputs, resolved)
        made, quick = answering.shape_of(task, fields, quick=self.settings.quick_answer)
        on_yes = on_no = None
        if made.kind == "yes_no" and any(one.depends_on for one in inputs):
            on_yes = forms.fields_of(inputs, await self.engine.check_answers(pause.id, {made.key: True}))
            on_no = forms.fields_of(inputs, await self.engine.check_answers(pause.id, {made.key: False}))
            fields = _either(inputs, on_yes, on_no)
        return Questions(inputs, fields, made, False, quick, on_yes, on_no)

    # People and rooms

    def reader(self, person: Person) -> Reader:
        """Who types, with their zone; secrets may be typed on the page and in a terminal only."""
        return Reader(self.now(), zone_of(person.zone), person.platform in ("web", "cli"))

    async def names(self, ids: set[str]) -> Mapping[str, str]:
        """How people are called; an id nobody has heard from stands for itself."""
        known = await self.engine.database.read(lambda connection: chat_receipts.who(connection, ids))
        return {id_: known[id_].name if id_ in known else id_.partition(":")[2] or id_ for id_ in ids}

    async def rooms_of(self, execution: Execution, pause: PauseRow) -> tuple[Room, ...]:
        """Where a pause of a run is shown: the rooms of its policy, the room of the run's start, the default rooms."""
        if rooms := self.eligibility.rule(pause).rooms:
            return rooms
        start = await self.engine.database.read(lambda c: chat_messages.start_above(c, execution.id))
        if start is None and execution.origin is not None:
            own = self.scheduled_room(execution)
            flow = f"{execution.namespace}/{execution.flow_id}"
            return (await self._card_room(own, flow, execution.id),) if own else self.settings.rooms
        if start is None:
            return self.settings.rooms
        return (await self._card_room(documents.room(start.room), start.flow, start.execution_id),)

    def scheduled_room(self, execution: Execution) -> Room | None:
        """Where the schedule that started a run was added; None when it is a flow's own, or none."""
        if execution.origin is None:
            return None
        own = self.engine.schedules.own.find(execution.namespace, execution.flow_id, execution.origin.id)
        return documents.room(own.room) if own else None

    async def _card_room(self, room: Room, flow: str, execution_id: str) -> Room:
        """The room where a run's card is shown, or there the thread of the card, as the room wants it."""
        now = self.now()
        own, muted_until = await self.engine.database.read(lambda c: chat_rooms.of_flow(c, room_key(room), flow, now))
        in_thread = muted_until is None and mode_of(own, self.settings.card) == "thread"
        return below(room, execution_id) if in_thread else room

    async def render(self, execution: Execution, template: Any, task_run_id: str) -> Any:
        """A template of the flow rendered with the variables of one of an execution's tasks; None when it can't be."""
        try:
            return await self.engine.render(execution.id, template, task_run_id)
        except EngineError:
            return None


async def _nothing() -> list[Finding]:
    """Nobody can tell how this bot was set up."""
    return []


def _either(inputs: tuple[Input, ...], on_yes: tuple[Field, ...], on_no: tuple[Field, ...]) -> tuple[Field, ...]:
    """Everything asked with a yes or with a no; what only one of them asks may be left out until it is known which."""
    yes, no = ({field.id: field for field in fields} for fields in (on_yes, on_no))
    both = yes.keys() & no.keys()
    every = {**no, **yes}
    ordered = [every[one.id] for one in inputs if one.id in every]
    return tuple(field if field.id in both else replace(field, required=False) for field in ordered)


def zone_of(name: str | None) -> tzinfo:
    """A zone by its IANA name; UTC when it is unknown."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


async def read_text(file: Attachment) -> str:
    """The text of a file somebody sent along; ValueError says why it can't be used as text."""
    if file.size > MAX_TEXT_FILE:
        raise ValueError(f"{file.name} is larger than 1 MB")
    content = await asyncio.to_thread(Path(file.path).read_bytes)
    try:
        return content[: MAX_TEXT_FILE + 1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name} is not UTF-8 text") from error


def channel_of(text: str, room: Room) -> Room:
    """`#ops`, `<#C1|ops>` or `slack:#ops` as a room on the platform where it was typed, unless it names another."""
    names: dict[str, Platform] = {"slack": "slack", "discord": "discord", "web": "web"}
    platform, _, rest = text.partition(":")
    if rest and platform in names:
        return Room(names[platform], rest)
    channel = text.removeprefix("<#").removesuffix(">").split("|")[0] if text.startswith("<#") else text
    return Room(room.platform, channel, workspace=room.workspace)
