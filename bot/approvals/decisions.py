"""The one path on which a pause is decided, whoever decides, from wherever: button, form, command or page.

Receipt (by the desk) → pause → who → values → one transaction: compare-and-set of the pause, audit, stale cards, the
answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bot import documents
from bot.approvals import answering
from bot.approvals.answering import Ask, Kill, Plan, Resume, Secure
from bot.approvals.ballot_box import BallotBox
from bot.approvals.lateness import Lateness
from bot.approvals.silence import ending
from bot.approvals.votes import Tally, ballot, meter
from bot.audit import trail
from bot.cards.drawing import Drawing, platform_of
from bot.cards.pause_cards import evidence
from bot.commands.references import short
from bot.conversation import Action, Attachment, Field, FieldErrors, Form, MessageRef, Notice, Person, Reply, Room
from bot.forms import filling
from bot.forms import questions as forms
from bot.forms.drafts import Draft, Drafts
from bot.forms.values import files_in
from bot.forms.values import shown as shown_value
from bot.office import Office, Questions
from bot.people import page_links
from bot.people.permissions import Asked
from bot.texts import Answer, answer, bare, code
from engine.core.execution import Execution
from engine.core.inputs import Resolved
from engine.errors import NotFound, Refused
from engine.files import execution_folder
from engine.runtime.answers import Give
from engine.runtime.doorkeeper import Ending
from engine.store import chat_audit, chat_drafts, chat_evidence, chat_receipts, chat_votes
from engine.store.database import Unit
from engine.store.pauses import PauseRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to decide. `given` is typed already; `draft` is the form it came from."""

    pause_id: str
    action: str  # approve | reject | answer | choose | kill
    person: Person
    room: Room
    receipt: str
    given: Mapping[str, Any] = field(default_factory=dict)
    choice: int = -1
    reason: str = ""
    draft: Draft | None = None
    message: MessageRef | None = None  # the card that was pressed
    seen: str = ""  # evidence of what stood before whoever decides


@dataclass(frozen=True, slots=True)
class Case:
    """A pause with everything that is needed to decide it."""

    pause: PauseRow
    execution: Execution
    questions: Questions

    @property
    def flow(self) -> str:
        """The flow's full name."""
        return f"{self.pause.namespace}/{self.pause.flow_id}"


class Decisions:
    """Decides pauses."""

    def __init__(self, office: Office, drafts: Drafts, drawing: Drawing, wake: Any) -> None:
        self.office = office
        self.drafts = drafts
        self.wake = wake
        self.late = Lateness(office)
        self.drawing = drawing

    async def decide(self, wanted: Wanted) -> Reply | FieldErrors:
        """Carry a decision out, or say why not; asks for what is missing with a form."""
        try:
            case = await self.case(wanted.pause_id)
        except NotFound:
            return _say(answer("gone-pause"))
        if refusal := await self.refuse(case, wanted.person, wanted.room):
            return Reply(refusal)
        wanted = replace(wanted, seen=wanted.seen or await self._seen(case, wanted))
        asked = case.questions
        if asked.is_flow_gone and wanted.action not in ("kill", "reject"):
            instead = "The run can only be cancelled."
            return _say(answer("gone-flow", flow=code(case.flow), instead=instead))
        plan: Plan = Kill() if asked.is_flow_gone else self._plan(case, wanted)
        match plan:
            case Secure():
                return Reply(await self._secure(case, wanted))
            case Ask():
                return Reply(await self._ask(case, wanted, plan))
            case Resume(given):
                stored = await self._stored(case, given)
                resolved = await self.office.engine.check_answers(case.pause.id, stored)
                if resolved.problems:
                    return await self._refused(case, wanted, given, resolved)
                return await self._commit(case, wanted, given, resolved)
            case Kill():
                return await self._commit(case, wanted, {}, None)

    async def answer(self, wanted: Wanted, typed: Mapping[str, Any]) -> Reply | FieldErrors:
        """Decide with what was typed into a form, `wanted.draft`; the next form when the answers ask for more."""
        draft = wanted.draft
        assert draft is not None  # noqa: S101 - the caller's promise
        try:
            case = await self.case(wanted.pause_id)
        except NotFound:
            return _say(answer("gone-pause"))
        if case.pause.state != "WAITING" or case.questions.is_flow_gone:
            return await self.decide(wanted)
        reader = self.office.reader(wanted.person)
        read = await filling.read(self.drafts.asking(draft, case.questions), typed, reader)
        if read.errors:
            return await self.drafts.refuse(draft, read.errors)
        unseen = read.unseen_by(reader)
        if unseen and draft.purpose == "answer":
            return Reply(await self._more(case, draft, unseen, wanted.person, wanted.receipt))
        return await self.decide(replace(wanted, given={**draft.fixed, **read.given}, seen=draft.seen))

    async def _more(
        self, case: Case, draft: Draft, unseen: Sequence[Field], person: Person, receipt: str
    ) -> Form | Notice:
        fields = answering.answer_fields(unseen, quick=case.questions.quick)
        secret = [asked for asked in fields if asked.type == "SECRET"]
        more = replace(draft, asked=draft.every_id, field_ids=tuple(asked.id for asked in fields), page=0)
        if secret and not self.office.reader(person).may_type_secrets:
            return await page_links.secret_form(self.drafts, more, person, secret, receipt)
        return await self.drafts.open(more, fields, self.title(case, "answer"), "Your answers ask for these too.")

    async def _stored(self, case: Case, given: Mapping[str, Any]) -> dict[str, Any]:
        """Files somebody sent along, put where the flow can read them."""
        values = dict(given)
        folder = execution_folder(case.pause.namespace, case.pause.flow_id, case.execution.id)
        put = self.office.engine.files.put
        for name, value in given.items():
            if files := files_in(value):
                place = f"{folder}/inputs/{name}"
                uris = [await asyncio.to_thread(put, place, Path(file.path), file.name) for file in files]
                values[name] = uris[0] if isinstance(value, Attachment) else uris
        return values

    async def case(self, pause_id: str) -> Case:
        """A pause, its run and what it asks; NotFound."""
        pause = await self.office.engine.pause_row(pause_id)
        execution = await self.office.engine.execution(pause.execution_id)
        return Case(pause, execution, await self.office.questions(pause, execution))

    async def refuse(self, case: Case, person: Person, room: Room, *, handing: bool = False) -> Notice | None:
        """Why a person can't decide a pause now; None when they can. `handing`: or could, had they not handed it on."""
        if case.pause.state != "WAITING":
            return (await self.late.told(case.pause, person)).notice(*self._status(case))
        now = self.office.now()
        if case.pause.deadline is not None and case.pause.deadline <= now:
            return (await self.late.expired(case.pause, person)).notice(*self._status(case))
        asked = Asked(
            "decide", person, room, case.flow, case.pause.task_id, case.execution.id, case.execution.started_by
        )
        denied = await self.office.permissions.refuse(asked)
        eligibility = self.office.eligibility
        denied = denied or await eligibility.refuse(case.pause, case.execution, person, room, handing=handing)
        if denied is None:
            return None
        ask = (self.office.ids.button("as", case.pause.id, "Ask them"),) if denied.code in ("E20", "E22") else ()
        return denied.notice(*ask)

    def _plan(self, case: Case, wanted: Wanted) -> Plan:
        return answering.plan(
            case.questions.shape,
            case.questions.fields_for(wanted.action),
            wanted.action,
            wanted.given,
            choice=wanted.choice,
            reason=wanted.reason,
            quick=case.questions.quick,
            was_asked=wanted.draft is not None,
            may_type_secrets=self.office.reader(wanted.person).may_type_secrets,
        )

    async def _ask(self, case: Case, wanted: Wanted, plan: Ask) -> Form:
        """Open a form; what is fixed by the button or was typed with the command is kept."""
        draft, fields, aside = self._draft(case, wanted, plan), plan.fields, ""
        if not self.office.reader(wanted.person).may_type_secrets:
            secret = [asked for asked in fields if asked.type == "SECRET"]
            aside = page_links.besides(secret, self.office.pages.base)
            fields = tuple(asked for asked in fields if asked.type != "SECRET")
            draft = replace(draft, field_ids=tuple(asked.id for asked in fields))
        changed = "The choices are others since this card was drawn." if wanted.action == "choose" else ""
        about = "\n\n".join(filter(None, (changed, self.intro(case, plan.purpose), aside)))
        draft = replace(draft, note=about)
        return await self.drafts.open(draft, fields, self.title(case, plan.purpose), about)

    def _draft(self, case: Case, wanted: Wanted, plan: Ask) -> Draft:
        secrets = forms.secret_ids(case.questions.inputs)
        shown = {asked.id for asked in plan.fields}
        kept = {name: value for name, value in plan.fixed.items() if name not in secrets}
        return Draft(
            self.office.new_id(),
            wanted.person.id,
            plan.purpose,
            case.flow,
            documents.dump(wanted.room),
            target=case.pause.id,
            field_ids=tuple(asked.id for asked in plan.fields),
            raw={name: shown_value(value) for name, value in kept.items() if name in shown},
            fixed={name: value for name, value in kept.items() if name not in shown},
            secrets=tuple(secrets),
            seen=wanted.seen,
        )

    def title(self, case: Case, purpose: str) -> str:
        """What the form of a pause is called."""
        return f"{'Reject' if purpose == 'reject' else 'Answer'}: {case.pause.flow_id}"

    def intro(self, case: Case, purpose: str) -> str:
        """What the form says above its fields."""
        what = "The run goes on with this as a no." if purpose == "reject" else ""
        return forms.intro(what)

    async def _secure(self, case: Case, wanted: Wanted) -> Notice:
        """A link to the page of the run, where secrets may be typed, which signs the person in there."""
        if (no := await page_links.closed_to(self.office, wanted.person)) is not None:
            return no.notice()
        if self.office.pages.base is None:
            return answer("E14", instead=f"This asks for a secret, and {page_links.NO_ADDRESS}").notice()
        back = f"/ui/executions/{case.flow}/{case.execution.id}#pause-{case.pause.id}"
        again = answer("E14", instead="You have a link already; press again for a new one.").notice()
        url = await page_links.offer(self.office, wanted.person, back, receipt=wanted.receipt, again=Reply(again))
        if url is None:
            return again
        instead = "The button leads to the page of this run, as you, once, within 10 minutes."
        return answer("E14", instead=instead).notice(Action("", "Open secure form", "link", url=url))

    async def _refused(
        self, case: Case, wanted: Wanted, given: Mapping[str, Any], resolved: Resolved
    ) -> Reply | FieldErrors:
        """The flow's own rules refuse a value: the form comes back, or opens, with what was given."""
        fields = {asked.id: asked for asked in case.questions.fields}
        errors = {one.input: forms.explain(one, fields.get(one.input)) for one in resolved.problems}
        if wanted.draft is not None:
            return await self.drafts.refuse(wanted.draft, errors)
        draft = self._draft(case, wanted, Ask("answer", tuple(case.questions.fields), given))
        reader = self.office.reader(wanted.person)
        draft = await self.drafts.reconsidered(replace(draft, errors=errors, note=self.intro(case, "answer")), reader)
        await self.drafts.keep(draft)
        return Reply(await self.drafts.form(draft))

    async def _commit(
        self, case: Case, wanted: Wanted, given: Mapping[str, Any], resolved: Resolved | None
    ) -> Reply | FieldErrors:
        """The one transaction. Whoever comes second changes nothing and is told who was first."""
        now = self.office.now()
        wanted = self._called(case, wanted, resolved)
        deed = self._deed(case, wanted, given, now)
        box = await self._box(case, wanted, deed, resolved)
        done = Reply(self._done(case, wanted, resolved is None))

        def work(unit: Unit, end: Give) -> Reply | None:
            outcome = box.cast(unit, now)
            reply = done if outcome == "decided" else _counted(box)
            if outcome == "late" or (outcome == "decided" and not end(unit)):
                return None
            chat_receipts.finish(unit.connection, wanted.receipt, documents.dump_reply(reply))
            if wanted.draft is not None:
                chat_drafts.drop(unit.connection, wanted.draft.id)
            return reply

        engine, by = self.office.engine, wanted.person.id
        if resolved is not None:
            reply = await engine.answers.transact(case.pause, resolved, work, by=by, now=now)
        else:
            run, pause_id = case.execution.id, case.pause.id
            kill = partial(engine.kill_in, execution_id=run, by=by, reason=wanted.reason, now=now, pause_id=pause_id)
            reply = await engine.database.transact(lambda unit: work(unit, kill), urgent=True)
        if reply is not None:
            return reply
        pause = await engine.pause_row(case.pause.id)
        return Reply((await self.late.told(pause, wanted.person)).notice(*self._status(case)))

    async def _seen(self, case: Case, wanted: Wanted) -> str:
        """The evidence of what stood before whoever decides: the card they pressed, else the one in their room, as it
        was last shown there; where neither is, the card as it is now."""
        room, pressed = wanted.room, wanted.message.message if wanted.message else ""
        shown = await self.office.engine.database.read(
            lambda c: chat_evidence.before(c, case.pause.id, room.platform, room.channel, pressed)
        )
        return shown or evidence(await self.drawing.pause_of(case.pause))

    async def _box(self, case: Case, wanted: Wanted, deed: chat_audit.Deed, resolved: Resolved | None) -> BallotBox:
        """The vote of somebody who may decide."""
        office, asked, person, shown = self.office, case.questions, wanted.person, wanted.seen
        identities = office.eligibility.identities
        who = await identities.of(person.id)
        cast = await office.engine.database.read(lambda c: chat_votes.votes_on(c, case.pause.id))
        same = {vote.voter: (await identities.of(vote.person)).id for vote in cast}
        values = None if resolved is None else resolved.flat
        deed = replace(deed, details={**deed.details, "shown": shown})
        marked = ballot(asked.shape, asked.fields, values, office.ids.key)
        word = answering.decided_word(deed.action, {"choice": self._choice(case, wanted)})
        told = {name: value for name, value in deed.details.items() if name != "shown"}
        vote = chat_votes.Vote(
            case.pause.id, who.id, person.id, person.name, person.platform, marked, word, deed.at, told, shown
        )
        rule, policy = office.eligibility.rule(case.pause), office.eligibility.policy_of(case.pause)
        others = [one for one in cast if same[one.voter] != who.id]
        void = await office.eligibility.void(case.pause, case.execution, others)
        return BallotBox(rule, vote, deed, same, self.wake, policy, void, case.pause.created)

    async def admit(self, pause: PauseRow, execution: Execution, resolved: Resolved, by: str) -> BallotBox:
        """The doorkeeper of the engine: an answer that comes past the desk passes the same policy, or is Refused."""
        case = Case(pause, execution, await self.office.questions(pause, execution))
        name = (await self.office.names({by}))[by]
        platform = platform_of(by)
        person = Person(by, name, platform)
        if refusal := await self.refuse(case, person, Room(platform, "")):
            why = Answer(refusal.code, refusal.text)
            said = trail.denied(person, "answer", case.flow, why, self.office.now(), pause.id)
            await self.office.engine.database.transact(lambda unit: chat_audit.record(unit.connection, said))
            raise Refused(bare(refusal.text))
        given = {name: value for name, value in resolved.flat.items() if name not in resolved.secrets}
        wanted = self._called(case, Wanted(pause.id, "answer", person, Room(platform, ""), ""), resolved)
        wanted = replace(wanted, seen=await self._seen(case, wanted))
        return await self._box(case, wanted, self._deed(case, wanted, given, self.office.now()), resolved)

    async def votes(self, pause_id: str) -> str:
        """`1 of 2` while a question waits for more votes; "" when it is decided."""
        pause = await self.office.engine.pause_row(pause_id)
        cast = await self.office.engine.database.read(lambda c: chat_votes.votes_on(c, pause_id))
        return meter(cast, self.office.eligibility.rule(pause)) if cast and pause.state == "WAITING" else ""

    def ending(self, namespace: str, flow_id: str, task_id: str) -> Ending | None:
        """What the policy says silence means; None: what the flow says."""
        return ending(self.office.eligibility.rules, namespace, flow_id, task_id)

    def _called(self, case: Case, wanted: Wanted, resolved: Resolved | None) -> Wanted:
        values = None if resolved is None else resolved.flat
        return replace(wanted, action=answering.decision(case.questions.shape, wanted.action, values))

    def _deed(self, case: Case, wanted: Wanted, given: Mapping[str, Any], now: datetime) -> chat_audit.Deed:
        values = forms.masked(given, forms.secret_ids(case.questions.inputs))
        details: dict[str, Any] = {"values": self.office.engine.masker.mask_value(values)}
        if wanted.reason and wanted.reason not in given.values():
            details["reason"] = self.office.engine.masker.mask(wanted.reason)
        by, about = wanted.person, case.pause.id
        return chat_audit.Deed(
            now, by.id, by.name, by.platform, wanted.action, about, case.execution.id, case.flow, details
        )

    def _done(self, case: Case, wanted: Wanted, is_kill: bool) -> Notice:
        word = answering.decided_word(wanted.action, {"choice": self._choice(case, wanted)}).capitalize()
        run = f"{code(case.pause.flow_id)} {code(short(case.execution.id))}"
        after = f"{run} is stopped." if is_kill else f"{run} goes on."
        return Notice("warning" if is_kill else "success", f"{word}. {after}")

    def _choice(self, case: Case, wanted: Wanted) -> str:
        option = answering.chosen(case.questions.shape, wanted.choice)
        return code(option.label) if option is not None else ""

    def _status(self, case: Case) -> tuple[Action, ...]:
        return (self.office.ids.button("st", case.execution.id, "Show the run"),)


def _counted(box: BallotBox) -> Reply:
    """E23: the vote is there, and how many more are needed."""
    counted = box.counted or Tally(1, box.rule.need)
    more, others = counted.need - counted.agree, ""
    if counted.differ:
        votes = "another vote answers" if counted.differ == 1 else f"{counted.differ} other votes answer"
        others = f"Votes count together when they say the same; {votes} otherwise."
    return Reply(answer("E23", tone="success", k=counted.agree, n=counted.need, m=more, others=others).notice())


def _say(said: Answer) -> Reply:
    return Reply(said.notice())
