"""Starting runs: from a command or through a form; one transaction makes run, card, audit and answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot import documents
from bot.cards import outline
from bot.cards.run_posts import show_run
from bot.commands.references import short
from bot.conversation import Field, FieldErrors, Form, Notice, Person, Reply, Room
from bot.forms import filling, questions
from bot.forms.drafts import Draft, Drafts
from bot.forms.earlier import Earlier
from bot.forms.uploads import staged
from bot.office import Office, channel_of
from bot.people import page_links
from bot.people.page_links import NO_ADDRESS
from bot.people.permissions import Asked
from bot.texts import answer, code, listed
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.inputs import Resolved
from engine.store import chat_audit, chat_drafts, chat_messages, chat_receipts
from engine.store.database import Unit


class Starts:
    """Starts runs for people."""

    def __init__(self, office: Office, drafts: Drafts, wake: Callable[[], None]) -> None:
        self.office = office
        self.drafts = drafts
        self.earlier = Earlier(drafts)
        self.wake = wake

    async def refuse(
        self, flow: Flow, person: Person, room: Room, values: Mapping[str, Any] | None = None, *, fresh: bool = True
    ) -> Notice | None:
        """Why a person can't run a flow, with these values where they are known; None when they can."""
        if flow.disabled:
            why = f"{code(f'{flow.namespace}/{flow.id}')} is disabled. Set `disabled: false` in its file to run it."
            return answer("refused", why=why).notice()
        asked = Asked("run", person, room, f"{flow.namespace}/{flow.id}", values=values)
        denied = await self.office.permissions.refuse(asked, fresh=fresh)
        return denied.notice() if denied else None

    async def begin(
        self,
        flow: Flow,
        raw: Mapping[str, Any],
        person: Person,
        room: Room,
        receipt: str,
        options: Mapping[str, Any],
        *,
        form: bool = False,
    ) -> Reply | FieldErrors:
        """Start at once when everything is there and right; else open the form with what was typed."""
        if refusal := await self.refuse(flow, person, room):
            return Reply(refusal)
        reader = self.office.reader(person)
        first = await self.office.engine.check_inputs(flow, {})
        every = questions.fields_of(flow.inputs, first, ids=[one.id for one in flow.inputs])
        secrets = questions.secret_ids(flow.inputs)
        draft = Draft(
            self.office.new_id(),
            person.id,
            "run",
            f"{flow.namespace}/{flow.id}",
            documents.dump(room),
            raw={name: value for name, value in raw.items() if name not in secrets},
            options=dict(options),
            secrets=tuple(secrets),
        )
        read = questions.read_pairs(every, raw, reader)
        errors = dict(read.errors)
        by_id = {asked.id: asked for asked in every}
        async with staged(read.given) as values:
            resolved = await self.office.engine.check_inputs(flow, values)
            for problem in resolved.problems:
                errors.setdefault(problem.input, questions.explain(problem, by_id.get(problem.input)))
            if form or errors or (not reader.may_type_secrets and self._warning(flow)):
                told = {name: text for name, text in errors.items() if name in raw}  # what is missing needs no scolding
                return await self._open(flow, replace(draft, errors=told), resolved, person, receipt)
            return await self._commit(flow, read.given, resolved, person, room, receipt, draft)

    async def _open(self, flow: Flow, draft: Draft, resolved: Resolved, person: Person, receipt: str) -> Reply:
        """The form of a flow; secrets are asked on the page, behind a link for this person alone."""
        fields = questions.fields_of(flow.inputs, resolved)
        before = await self.earlier.unsent(draft.flow, person)
        raw = {**questions.prefilled(flow.inputs), **before, **draft.raw}
        whole = replace(draft, field_ids=tuple(asked.id for asked in fields), raw=raw, typed=bool(before))
        if before:
            whole = await self.drafts.reconsidered(whole, replace(self.office.reader(person), may_type_secrets=True))
            fields = tuple(one for one in await self.drafts.fields(whole) if one.id in whole.field_ids)
        about = questions.intro(flow.description or "")
        if whole.typed:
            about = "\n\n".join(filter(None, ("What you typed before and did not send is here again.", about)))
        if not self.office.reader(person).may_type_secrets:
            secret = [asked for asked in fields if asked.type == "SECRET"]
            if any(asked.required and asked.default is None for asked in secret):
                return Reply(await page_links.secret_form(self.drafts, whole, person, secret, receipt))
            fields = tuple(asked for asked in fields if asked.type != "SECRET")
            told = (about, page_links.besides(secret, self.office.pages.base), self._warning(flow))
            about = "\n\n".join(filter(None, told))
        if not fields:
            about = about or "This flow asks for nothing."
        shown = replace(whole, field_ids=tuple(asked.id for asked in fields), note=about)
        shown = await self.earlier.offered(flow, shown, person)
        return Reply(await self.drafts.open(shown, fields, f"Run {flow.id}", about))

    def _warning(self, flow: Flow) -> str:
        """What is to be known before a flow is started from chat: that a later question can't be answered here."""
        later = outline.secret_questions(flow)
        if not later or self.office.pages.base:
            return ""
        return f"⚠️ This flow asks for a secret later, at {listed(later)}. It is never typed in chat, and {NO_ADDRESS}"

    async def submit(
        self, draft: Draft, typed: Mapping[str, Any], person: Person, room: Room, receipt: str
    ) -> Reply | FieldErrors:
        """The form of a flow, filled. `draft` is kept; `typed` has the secrets as well."""
        flow = self.drafts.flow(draft)
        if refusal := await self.refuse(flow, person, room):
            return Reply(refusal)
        reader = self.office.reader(person)
        read = await filling.read(self.drafts.asking(draft), typed, reader)
        if read.errors:
            return await self.drafts.refuse(draft, read.errors)
        if unseen := read.unseen_by(reader):
            return Reply(await self._more(flow, draft, unseen, person, receipt))
        async with staged(read.given) as values:
            resolved = await self.office.engine.check_inputs(flow, values)
            if resolved.problems:
                by_id = {asked.id: asked for asked in read.fields}
                errors = {one.input: questions.explain(one, by_id.get(one.input)) for one in resolved.problems}
                return await self.drafts.refuse(draft, errors)
            room = documents.room(draft.room)
            return await self._commit(flow, read.given, resolved, person, room, receipt, draft, was_kept=True)

    async def _more(
        self, flow: Flow, draft: Draft, unseen: Sequence[Field], person: Person, receipt: str
    ) -> Form | Notice:
        """The next form: the answers ask for more."""
        secret = [asked for asked in unseen if asked.type == "SECRET"]
        more = replace(draft, asked=draft.every_id, field_ids=tuple(asked.id for asked in unseen), page=0)
        if secret and not self.office.reader(person).may_type_secrets:
            return await page_links.secret_form(self.drafts, more, person, secret, receipt)
        return await self.drafts.open(more, unseen, f"Run {flow.id}: more", "Your answers ask for these too.")

    async def _commit(
        self,
        flow: Flow,
        given: Mapping[str, Any],
        resolved: Resolved,
        person: Person,
        room: Room,
        receipt: str,
        draft: Draft,
        *,
        was_kept: bool = False,
    ) -> Reply:
        """Run, start, card, audit and answer in one transaction: all of it or nothing, once for each receipt."""
        office = self.office
        if refusal := await self.refuse(flow, person, room, resolved.flat):
            return Reply(refusal)
        full = f"{flow.namespace}/{flow.id}"
        now = office.now()
        options = draft.options
        target = channel_of(options["in"], room) if options.get("in") else room
        values = office.engine.masker.mask_value(questions.masked(given, frozenset(draft.secrets)))
        origin = Origin(
            person.id, person.platform if person.platform in ("web", "cli") else "chat", _told(person, target)
        )
        at = datetime.fromisoformat(options["at"]) if options.get("at") else None
        labels = tuple((str(key), str(value)) for key, value in options.get("labels", ()))
        prepared = await office.engine.prepare(flow, resolved)

        def work(unit: Unit) -> tuple[Execution, Reply] | None:
            known = chat_receipts.find(unit.connection, receipt)
            if (known is not None and known.is_done) or (was_kept and not chat_drafts.drop(unit.connection, draft.id)):
                return None
            execution = office.engine.create_in(
                unit,
                prepared,
                started_by=person.id,
                origin=origin,
                labels=labels,
                schedule_date=at,
                dedupe=f"chat:{receipt}",
            )
            document, place = documents.dump(target), documents.place(target)
            chat_messages.started(unit.connection, execution.id, person.id, document, place, full, now)
            shows_card = show_run(unit, office, execution, target, now, quiet=bool(options.get("quiet")))
            deed = chat_audit.Deed(
                now,
                person.id,
                person.name,
                person.platform,
                "run",
                execution.id,
                execution.id,
                full,
                {"inputs": values},
            )
            chat_audit.record(unit.connection, deed)
            reply = Reply(self._begun(flow, execution, shows_card, target != room, at))
            chat_receipts.finish(unit.connection, receipt, documents.dump_reply(reply))
            unit.after_commit(self.wake)
            return execution, reply

        done = await office.engine.database.transact(work)
        if done is None:
            return Reply(Notice("info", "This was started already."))
        return done[1]

    def _begun(
        self, flow: Flow, execution: Execution, shows_card: bool, elsewhere: bool, at: datetime | None
    ) -> Notice:
        label = code(short(execution.id))
        where = " Its card follows there." if elsewhere else " Its card follows here."
        when = f" It begins at {at:%Y-%m-%d %H:%M %Z}." if at else ""
        text = f"Started {code(flow.id)} {label}.{when}{where if shows_card else ''}"
        actions = () if shows_card else (self.office.ids.button("st", execution.id, "Show the run"),)
        return Notice("success", text, actions)


def _told(person: Person, room: Room) -> dict[str, Any]:
    """What expressions see as `trigger` of a run started by a person."""
    return {"person": person.id, "name": person.name, "platform": room.platform, "channel": room.channel}
