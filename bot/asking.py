"""Somebody asks something: who, where, with which delivery; and what the words for flows, runs and pauses stand for."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import documents
from bot.approvals.decisions import Decisions, Wanted
from bot.approvals.ladder import Ladder
from bot.cards.drawing import Drawing
from bot.cards.parts import rounds
from bot.commands.references import FlowName, Unresolved, find_flow, find_run, short
from bot.commands.starts import Starts
from bot.conversation import Attachment, Card, FieldErrors, MessageRef, Notice, Person, Reply, Room
from bot.explaining.explainer import Explaining
from bot.forms.drafts import PREFIX, Draft, Drafts, may_fill
from bot.office import Office
from bot.texts import answer, code, listed
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.errors import EngineError, NotFound
from engine.store import chat_messages, chat_receipts, executions
from engine.store.pauses import PauseRow

STARTS = 2000  # runs started in chat that are looked through for a short id
RECENT = 200  # and runs of any kind
WAITING = 1000
ULID = 26


@dataclass(frozen=True, slots=True)
class Asking:
    """One command. `receipt` is the key under which its answer is stored."""

    person: Person
    room: Room
    receipt: str
    attachments: tuple[Attachment, ...] = ()
    message: MessageRef | None = None  # the one that was pressed
    seen: str = ""  # what a page showed beside it
    answer_url: str | None = None  # where an answer can still be sent later


@dataclass(frozen=True, slots=True)
class Parts:
    """What commands work with."""

    office: Office
    drafts: Drafts
    starts: Starts
    decisions: Decisions
    drawing: Drawing
    ladder: Ladder
    explaining: Explaining

    def flow(self, text: str) -> Flow:
        """The flow a word names; Unresolved E02, E03."""
        found = find_flow(text, self.office.flow_names())
        flow: Flow = self.office.engine.flows.get(found.namespace, found.id)
        return flow

    async def answered(self, receipt: str) -> Reply | FieldErrors | None:
        """The answer a delivery, or a part of one, got already."""
        known = await self.office.engine.database.read(lambda c: chat_receipts.find(c, receipt))
        return documents.load_reply(known.answer) if known is not None and known.answer is not None else None

    async def shown(self, asking: Asking, draft_id: str, purpose: str, command: str) -> Draft:
        """What somebody was shown before the button they pressed; Unresolved when it is gone, or somebody else's."""
        draft = await self.drafts.find(f"{PREFIX}{draft_id}")
        if draft is None or draft.purpose != purpose:
            raise Unresolved(answer("gone-form", command=command))
        if not await may_fill(self.office, draft, asking.person):
            raise Unresolved(answer("not-yours", who="somebody else", command=command))
        return draft

    async def own_draft(self, asking: Asking, draft_id: str) -> Draft:
        """The form a button is about; Unresolved when it is gone, or somebody else's."""
        draft = await self.drafts.find(f"{PREFIX}{draft_id}")
        if draft is None:
            raise Unresolved(answer("gone-form", command="`/flow`"))
        if not await may_fill(self.office, draft, asking.person):
            raise Unresolved(answer("not-yours", who="somebody else", command="`/flow`"))
        return draft

    async def send(self, asking: Asking, draft: Draft, typed: Mapping[str, Any]) -> Reply | FieldErrors:
        """A form that is filled: its flow starts, or its pause is answered; else what is still wrong or asked."""
        if draft.purpose == "run":
            return await self.starts.submit(draft, typed, asking.person, asking.room, asking.receipt)
        wanted = Wanted(draft.target, draft.purpose, asking.person, asking.room, asking.receipt, draft=draft)
        return await self.with_card(asking, draft.target, await self.decisions.answer(wanted, typed))

    async def with_card(self, asking: Asking, pause_id: str, reply: Reply | FieldErrors) -> Reply | FieldErrors:
        """What is answered to a press or a form, with the card that it came from, as decided."""
        if asking.message is None or not isinstance(reply, Reply) or not isinstance(reply.body, Notice):
            return reply
        return replace(reply, card=await self._decided_card(pause_id, asking.message))

    async def _decided_card(self, pause_id: str, message: MessageRef) -> Card | None:
        """The card a press or its form came from in its last state, to be drawn over it by the answer itself, which no
        rate holds up. Only the last: an earlier one could come after what the outbox draws meanwhile. Cards with files
        are the outbox's."""
        engine = self.office.engine
        try:
            pause = await engine.pause_row(pause_id)
            if pause.state == "WAITING":
                return None
            shown = await engine.database.read(lambda c: chat_messages.showing(c, entity=pause_id))
            if all((one.message or {}).get("message") != message.message for one in shown):
                return None
            card = await self.drawing.pause_of(pause)
        except EngineError:
            return None
        return None if card.files else card

    async def made_by(self, receipt: str) -> str | None:
        """The run that a delivery made."""
        engine = self.office.engine
        sealer = engine.operations.creator.sealer
        found = await engine.database.read(lambda c: executions.by_dedupe(c, f"chat:{receipt}", sealer))
        return found.id if found else None

    async def used(self, person_id: str) -> Counter[str]:
        """How often a person started which flow lately."""
        starts = await self.office.engine.database.read(lambda c: chat_messages.starts_by(c, person_id, limit=100))
        return Counter(start.flow for start in starts)

    async def my_runs(self, asking: Asking, limit: int, *, here: bool = False) -> list[chat_messages.Start]:
        """What the person started, newest first."""
        place = documents.place(asking.room) if here else None
        person = asking.person.id
        return await self.office.engine.database.read(
            lambda c: chat_messages.starts_by(c, person, place=place, limit=limit)
        )

    async def execution(self, text: str, asking: Asking) -> Execution:
        """The run a word names: `last`, `#short`, an id; nothing means the last one here. Unresolved."""
        engine = self.office.engine
        if text.lower() in ("", "last"):
            mine = await self.my_runs(asking, 1, here=True) or await self.my_runs(asking, 1)
            if not mine:
                raise Unresolved(answer("no-runs"))
            return await engine.execution(mine[0].execution_id)
        if len(text.removeprefix("#")) == ULID:
            try:
                return await engine.execution(text.removeprefix("#").upper())
            except NotFound as error:
                raise Unresolved(answer("no-run", x=code(text), closest="")) from error
        started = await engine.database.read(lambda c: chat_messages.recent_starts(c, STARTS))
        try:
            return await engine.execution(find_run(text, [start.execution_id for start in started]))
        except Unresolved:
            found = await engine.executions(limit=RECENT)  # those that nobody started in chat
            every = dict.fromkeys([*(start.execution_id for start in started), *(run.id for run in found)])
            return await engine.execution(find_run(text, list(every)))

    async def pause(self, text: str, asking: Asking) -> PauseRow:
        """The pause a word names: its own id, or the run that waits; decided ones are found too. Unresolved."""
        engine = self.office.engine
        waiting = await engine.pauses(limit=WAITING)
        if not text:
            if len(waiting) == 1:
                return waiting[0]
            raise Unresolved(answer("no-pause", x="Nothing" if not waiting else "More than one run waits, and no name"))
        by_id = {pause.id: pause for pause in waiting}
        try:
            return by_id[find_run(text, list(by_id))]
        except Unresolved:
            pass
        if len(text.removeprefix("#")) == ULID:
            try:
                return await engine.pause_row(text.removeprefix("#").upper())
            except NotFound:
                pass
        try:
            execution = await self.execution(text, asking)
        except Unresolved:
            if of_flow := [short(pause.execution_id) for pause in waiting if pause.flow_id == text]:
                raise Unresolved(answer("flow-waits", flow=code(text), list=listed(of_flow))) from None
            raise
        own = [pause for pause in waiting if pause.execution_id == execution.id]
        if len(own) > 1:
            hide = engine.masker.mask
            tasks = (hide(" ".join((one.task_id, *rounds(execution, one.task_run_id)))) for one in own)
            names = listed(f"{short(one.id)} {task}" for one, task in zip(own, tasks, strict=True))
            raise Unresolved(answer("many-pauses", x=code(short(execution.id)), n=len(own), list=names))
        ended = own or await engine.pauses(execution_id=execution.id, state=None)
        if not ended:
            raise Unresolved(answer("no-pause", x=code(text)))
        return ended[-1]


def name_of(flow: Flow) -> FlowName:
    """A flow's full name."""
    return FlowName(flow.namespace, flow.id)
