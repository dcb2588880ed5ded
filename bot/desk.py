"""The desk: where commands, clicks and forms of every platform arrive. Each counts once and gets an answer."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot import clicks, documents
from bot.approvals.decisions import Decisions
from bot.approvals.eligibility import Eligibility
from bot.approvals.ladder import Ladder
from bot.approvals.policy import ApprovalRule
from bot.approvals.prices import NO_PRICES, Prices
from bot.asking import Asking, Parts
from bot.audit import trail
from bot.cards.announcer import Announcer
from bot.cards.drawing import Drawing
from bot.cards.log_drawing import log_card
from bot.cards.outbox import Lane, Outbox
from bot.cards.pacing import Pace
from bot.chat_settings import ChatSettings
from bot.commands import aliases, collecting, completing
from bot.commands import verbs as slash_commands
from bot.commands.references import Unresolved, rank
from bot.commands.starts import Starts
from bot.conversation import (
    Attachment,
    Card,
    Click,
    Command,
    FieldErrors,
    Form,
    Notice,
    Option,
    Person,
    Reply,
    Room,
    Submission,
)
from bot.deliveries import Deliveries, Event, receipt_key
from bot.explaining.explainer import Explaining
from bot.explaining.section import ExplainSection
from bot.findings import Finding
from bot.forms.drafts import PREFIX, Draft, Drafts, may_fill, merged
from bot.frontend import FrontEnd, Unreachable
from bot.links import ActionIds
from bot.office import Office
from bot.people.accounts import Linked
from bot.people.identities import Identities
from bot.people.permissions import Asked, ByRole, Everybody, Permissions
from bot.people.roles import WORDS, Deed, Role
from bot.people.standing import UNSURE
from bot.texts import Answer, answer, plain
from bot.tidying import tidy
from engine.core.execution import Execution
from engine.errors import EngineError, NotFound
from engine.runtime import Engine
from engine.store import chat_audit, chat_messages, chat_receipts
from engine.store.chat_messages import DECISION, Message
from engine.store.database import Unit

log = logging.getLogger(__name__)

Do = Callable[[Parts, Asking], Awaitable[Reply | FieldErrors]]


class FrontDesk:
    """Implements `bot.frontend.Desk` over the engine."""

    def __init__(
        self,
        engine: Engine,
        front_ends: Sequence[FrontEnd],
        settings: ChatSettings | None = None,
        *,
        permissions: Permissions | None = None,
        roles: Sequence[Role] = (),
        approvals: Sequence[ApprovalRule] = (),
        prices: Prices = NO_PRICES,
        identities: Identities | None = None,
        paces: Mapping[str, Pace] | None = None,
        examine: Callable[[], Awaitable[list[Finding]]] | None = None,
        explain: ExplainSection | None = None,
    ) -> None:
        self.engine = engine
        self.front_ends = {front_end.platform: front_end for front_end in front_ends}
        # The key of the ids is read from the database when the desk starts; until then nothing is drawn.
        who = Eligibility(engine, approvals, self.front_ends, identities or Linked(engine.database), roles)
        self.permissions = permissions or (ByRole(roles, who.membership) if roles else Everybody(who.membership))
        ids = ActionIds(secrets.token_bytes(32))
        self.office = Office(engine, settings or ChatSettings(), self.permissions, ids, who, explain, prices)
        if examine is not None:
            self.office.examine = examine
        drawing = Drawing(self.office)
        given = paces or {}

        def lane(end: FrontEnd) -> Lane:
            pace = given.get(end.platform) or Pace(end.platform)
            keep, draw, late = engine.database, self._draw, self._held_up
            return Lane(end, keep, engine.clock, draw, pace, late, lambda run: self.office.ids("pa", run))

        self.outbox = Outbox([lane(end) for end in front_ends])
        self.ladder = Ladder(self.office, drawing, self.outbox.wake)
        self.announcer = Announcer(self.office, self.outbox.wake, self.ladder.look)
        drafts = Drafts(self.office)
        starts = Starts(self.office, drafts, self.outbox.wake)
        decisions = Decisions(self.office, drafts, drawing, self.outbox.wake)
        engine.door.keeper = decisions
        self.explaining = Explaining(self.office, self.outbox.wake, alone=engine.cluster is None)
        self.parts = Parts(self.office, drafts, starts, decisions, drawing, self.ladder, self.explaining)
        self.deliveries = Deliveries(self.office, self.front_ends, self._storable, self._handle, self.outbox.wake)
        self._prepared = False
        self._tidying: asyncio.Task[None] | None = None

    # Life

    async def start(self) -> None:
        """Show what is wanted, and carry on what was cut off. Start it once the engine and the front ends run; what
        arrives before is answered all the same."""
        await self.prepare()
        self.outbox.start()
        await self.announcer.start()
        await self.ladder.start()
        self.explaining.start()
        self._tidying = asyncio.create_task(tidy(self.engine.database, self.office.now), name="desk clean-up")
        self.deliveries.do_later(self.deliveries.carry_on())

    async def prepare(self) -> None:
        """Read what every process on the database has in common; whatever comes first does it."""
        if self._prepared:
            return
        fresh = secrets.token_hex(32)
        key = await self.engine.database.transact(lambda unit: chat_receipts.instance_key(unit.connection, fresh))
        self.office.ids = ActionIds(bytes.fromhex(key))
        self._prepared = True

    async def stop(self) -> None:
        """Answer no more; what is left is in the store."""
        await self.announcer.stop()
        await self.ladder.stop()
        await self.explaining.stop()
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        await self.deliveries.stop()
        await self.outbox.stop()

    def describe(self) -> str:
        """Who may do what, for the start-up log."""
        return f"{self.permissions.describe()} {self.office.eligibility.describe()}"

    # What arrives

    async def command(self, command: Command) -> Reply:
        """A typed command."""
        reply = await self._once("command", command)
        return reply if isinstance(reply, Reply) else Reply(reply.form)

    async def click(self, click: Click) -> Reply:
        """A pressed button."""
        reply = await self._once("click", click)
        return reply if isinstance(reply, Reply) else Reply(reply.form)

    async def submit(self, submission: Submission) -> Reply | FieldErrors:
        """A filled form, or a page of one."""
        return await self._once("submission", submission)

    async def form(self, form_id: str) -> Form | None:
        """A form again, with what is kept of it."""
        return await self.parts.drafts.redrawn(form_id)

    async def revise(self, form_id: str, values: Mapping[str, Any], person: Person) -> Form | None:
        """A form after an answer on which others depend, with what is asked by now; None when it is gone."""
        draft = await self.parts.drafts.find(form_id)
        if draft is None or not await may_fill(self.office, draft, person):
            return None
        draft = merged(draft, await self.parts.drafts.readable(draft, values))
        reader = self.office.reader(await self.office.zones.placed(person))
        draft = await self.parts.drafts.reconsidered(draft, reader)
        return await self.parts.drafts.form(draft) if await self.parts.drafts.keep_on(draft) else None

    async def keep(self, form_id: str, values: Mapping[str, Any], person: Person) -> None:
        """What stands in a form that is not sent yet; its questions stay as they are drawn."""
        draft = await self.parts.drafts.find(form_id)
        if draft is not None and await may_fill(self.office, draft, person):
            await self.parts.drafts.keep_on(merged(draft, values))

    async def form_of(self, form_id: str, person: Person) -> Form | None:
        """The same, unless it is somebody else's."""
        draft = await self.parts.drafts.find(form_id)
        if draft is None:
            return None
        if not await may_fill(self.office, draft, person):
            await self.tell_on(person, draft.form_id, "a form", draft.person, draft.flow)
            return None
        return await self.form(form_id)

    async def tell_on(self, person: Person, entity: str, what: str, owner: str, flow: str = "") -> None:
        """Record that somebody opened what was for another person, and was refused."""
        details = {"text": f"opened {what} that is somebody else's", "owner": owner}
        deed = chat_audit.Deed(
            self.office.now(), person.id, person.name, person.platform, "refused", entity, "", flow, details
        )
        await self.engine.database.transact(lambda unit: chat_audit.record(unit.connection, deed))

    async def options(self, form_id: str, field_id: str, typed: str, limit: int) -> tuple[Option, ...]:
        """Choices of a field that fit what was typed."""
        form = await self.form(form_id)
        field = next((asked for asked in form.fields if asked.id == field_id), None) if form else None
        if field is None:
            return ()
        by_value = {option.value: option for option in field.options}
        return tuple(by_value[value] for value in rank(typed, by_value)[:limit])

    async def complete(self, argument: str, typed: str, person_id: str, room: Room, limit: int) -> tuple[Option, ...]:
        """Choices for an argument while it is typed."""
        person = Person(person_id, person_id, room.platform)
        if await self.office.standings.refuse(person, room, fresh=False) is not None:
            return ()
        return await completing.choices(self.parts, argument, typed, person, room, limit)

    async def pause_cards(self, execution_id: str) -> list[Card]:
        """The cards of every pause of a run, for the page that shows it."""
        await self.prepare()
        return await self.parts.drawing.pauses_of(execution_id, may_type_secrets=True)

    async def refuse(self, deed: Deed, person: Person, flow: str) -> Answer | None:
        """Why somebody of the page or the API may not do something with a flow (`flow` as in `Asked`). What they may
        see is told by what is remembered of groups: a page asks it of many flows."""
        denied = await self.permissions.refuse(Asked(deed, person, Room("web", ""), flow), fresh=deed != "see")
        if denied is not None and deed != "see":  # who looks around changes nothing
            await self._denied(person, WORDS[deed], denied, flow=flow)
        return denied

    async def accounts(self, person: Person) -> Collection[str]:
        """Every account of somebody."""
        try:
            return (await self.office.eligibility.identities.of(person.id)).accounts
        except Unreachable:  # whose they are can't be told now: only their own
            return (person.id,)

    async def sees(self, person: Person, flow: str) -> bool:
        """Whether somebody may see what the page's room tells of a flow."""
        return not flow or await self.refuse("see", person, flow) is None

    async def may(self, deed: Deed, person: Person, run: Execution) -> bool:
        """Whether somebody of the page may do something to a run, by what is remembered of groups: for its buttons."""
        flow, inputs = f"{run.namespace}/{run.flow_id}", run.inputs if deed == "run" else None
        asked = Asked(deed, person, Room("web", ""), flow, "", run.id, run.started_by, inputs)
        return await self.permissions.refuse(asked, fresh=False) is None

    async def operate(self, person: Person, do: Do, what: str = "change", entity: str = "") -> Reply | FieldErrors:
        """What a program asks for through the API, which has no room; `what`, of which run, is said when it may not."""
        await self.prepare()
        try:
            reply = await do(self.parts, Asking(person, Room("web", ""), f"api:{self.office.new_id()}"))
        except (Unresolved, EngineError) as refusal:
            why = refusal.answer if isinstance(refusal, Unresolved) else Answer("", refusal.message)
            await self._denied(person, what, why, entity=entity)
            raise
        if isinstance(reply, Reply) and isinstance(said := reply.body, Notice) and said.code:
            await self._denied(person, what, Answer(said.code, said.text), entity=entity)
        return reply

    async def _denied(self, person: Person, what: str, why: Answer, *, flow: str = "", entity: str = "") -> None:
        deed = trail.denied(person, what, flow, why, self.office.now(), entity)
        await self.engine.database.transact(lambda unit: chat_audit.record(unit.connection, deed))

    async def storable(self, text: str, room: Room, person: Person) -> str:
        """A command as it may be shown and kept: without secrets, also when an alias stands for it."""
        mention, given = text.partition(" ")[0], text.partition(" ")[2]
        is_named = mention.lower() in ("/flow", "@parley")
        typed = given if is_named else text
        whole = await aliases.expanded(self.parts, room, person.id, typed, slash_commands.VERBS)
        kept = slash_commands.storable(self.parts, whole)
        shown = typed if kept == whole else kept
        return f"{mention} {shown}".strip() if is_named else shown

    @property
    def is_open(self) -> bool:
        """Whether no roles are set."""
        return isinstance(self.permissions, Everybody)

    # What is done about it

    async def _once(self, kind: str, event: Event) -> Reply | FieldErrors:
        await self.prepare()
        return await self.deliveries.once(kind, event)

    async def _handle(self, event: Event) -> Reply | FieldErrors:
        if (barred := await self.office.standings.refuse(event.person, event.room)) is not None:
            return await self._barred(event, barred)
        event = replace(event, person=await self.office.zones.placed(event.person))
        match event:
            case Command():
                asking = self._asking(event, event.attachments)
                is_command = event.text.partition(" ")[0].lower() in slash_commands.VERBS
                if event.is_message and (taken := await collecting.take(self.parts, asking, event.text, is_command)):
                    return taken
                return await slash_commands.perform(self.parts, asking, event.text)
            case Click():
                return await clicks.press(self.parts, self._asking(event), event.action_id)
            case Submission():
                return await self._submit(event)

    async def _barred(self, event: Event, why: Answer) -> Reply:
        """The refusal of an account that is gone, or of which nobody can tell; then what was typed is kept."""
        if not isinstance(event, Submission) or why.code != UNSURE:
            return Reply(why.notice())
        await self.keep(event.form_id, event.values, event.person)
        again = self.office.ids.button("cn", event.form_id.removeprefix(PREFIX), "Continue")
        return Reply(why.notice(again))

    def _asking(self, event: Event, attachments: tuple[Attachment, ...] = ()) -> Asking:
        message = None if isinstance(event, Command) else event.message
        seen = event.seen if isinstance(event, Click) else ""
        return Asking(event.person, event.room, receipt_key(event), attachments, message, seen, event.answer_url)

    async def _storable(self, event: Event) -> dict[str, Any]:
        """A delivery as it may be written down: without what was typed for secrets."""
        document: dict[str, Any] = documents.dump(event)
        is_spoken = isinstance(event, Command) and event.is_message
        if isinstance(event, Command) and not (is_spoken and await collecting.waits(self.parts, self._asking(event))):
            whole = await aliases.expanded(self.parts, event.room, event.person.id, event.text, slash_commands.VERBS)
            document["text"] = slash_commands.storable(self.parts, whole)
        if isinstance(event, Submission):
            draft = await self.parts.drafts.find(event.form_id)
            known = set(draft.every_id).difference(draft.secrets) if draft else set()
            document["values"] = {name: value for name, value in document["values"].items() if name in known}
        return document

    async def _submit(self, submission: Submission) -> Reply | FieldErrors:
        draft = await self.parts.drafts.find(submission.form_id)
        if draft is None:
            return Reply(answer("gone-form", command="`/flow`").notice())
        person = submission.person
        if not await may_fill(self.office, draft, person):
            return Reply(answer("not-yours", who="somebody else", command="`/flow`").notice())
        try:
            values = await self.parts.drafts.readable(draft, submission.values)
            return await self._filled(merged(draft, values, submission.full), submission)
        except NotFound as error:
            return Reply(answer("refused", why=plain(f"{error.message} {error.fix}".strip(), 900)).notice())

    async def _filled(self, draft: Draft, submission: Submission) -> Reply | FieldErrors:
        if not submission.last:
            page = submission.page + 1
            draft = replace(draft, page=page)
        if not await self.parts.drafts.keep_on(draft):
            return Reply(answer("gone-form", command="`/flow`").notice())
        if not submission.last:
            return Reply(await self.parts.drafts.form(draft))
        if draft.full and submission.room.platform != "web":
            return await collecting.question(self.parts, draft)
        typed = {**draft.raw, **{name: submission.values.get(name) for name in draft.secrets}}
        return await self.parts.send(self._asking(submission), draft, typed)

    # For the outbox

    async def _held_up(self, message: Message) -> None:
        """The time to answer a question does not run while nobody can see it."""
        if message.kind != "pause":
            return
        now = self.office.now()

        def shown_anew(unit: Unit) -> None:
            chat_messages.touch(unit.connection, entity=message.entity, urgency=DECISION, now=now)
            unit.after_commit(self.outbox.wake)

        shown = await self.engine.database.read(lambda c: chat_messages.showing(c, entity=message.entity))
        if any(one.message is not None and one.id != message.id for one in shown):
            return
        try:
            await self.engine.answers.begin_anew(message.entity, shown_anew)
        except EngineError as error:
            log.warning("The time to answer pause %s runs although nobody saw it: %s", message.entity, error)

    async def _draw(self, message: Message) -> tuple[Card, bool]:
        drawing = self.parts.drawing
        if message.kind == "run":
            return await drawing.run(message.entity, message.desired)
        if message.kind == "log":
            return await log_card(self.office, message.execution_id, message.desired)
        return await drawing.pause(message.entity, message.desired)
