"""Drafts: forms that were opened and what is typed into them so far, kept so that nothing typed is lost."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot import documents
from bot.approvals import answering
from bot.conversation import Action, Attachment, Field, FieldErrors, Form, Person
from bot.forms import filling
from bot.forms import questions as forms
from bot.forms.filling import Asking
from bot.forms.values import TEXT_TYPES, Reader
from bot.office import Office, Questions, read_text
from bot.texts import shorten
from engine.core.flow import Flow
from engine.errors import EngineError, NotFound
from engine.store import chat_drafts

log = logging.getLogger(__name__)

PREFIX = "draft:"
MOST_PLACES = 100  # that the number on a button can tell
MOST_LONGER = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """A form being filled. `field_ids` are what is shown, in the order of their numbers on the wire; `asked` all that
    ever were; `fixed` what a button decided already; `options` what the command said besides."""

    id: str
    person: str
    purpose: str  # run | answer | reject
    flow: str
    room: Mapping[str, Any]
    target: str = ""
    field_ids: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # their values are used at once or asked again, never kept
    page: int = 0
    typed: bool = False  # whether a page of it was ever filled
    has_last: bool = False  # whether *Last time* would fill something in
    edition: int = 0  # of `Form`
    note: str = ""  # said above the fields, where it is more than their flow says
    full: tuple[str, ...] = ()  # fields whose text fills its window, so that its end may be missing
    seen: str = ""  # evidence of the card that it was opened from

    @property
    def form_id(self) -> str:
        """The id under which front ends know it."""
        return f"{PREFIX}{self.id}"

    @property
    def every_id(self) -> tuple[str, ...]:
        """All fields ever shown."""
        return tuple(dict.fromkeys((*self.asked, *self.field_ids)))


class Drafts:
    """Opens, keeps and draws drafts."""

    def __init__(self, office: Office) -> None:
        self.office = office

    async def find(self, form_id: str) -> Draft | None:
        """A draft by the id of its form; None when it was sent, cancelled or forgotten."""
        id_ = form_id.removeprefix(PREFIX)
        stored = await self.office.engine.database.read(lambda connection: chat_drafts.find(connection, id_))
        if stored is None:
            return None
        document = dict(stored.document)
        document.setdefault("full", ())
        document["raw"] = documents.raw_values(document["raw"])
        document["fixed"] = documents.raw_values(document["fixed"])
        for name in ("field_ids", "asked", "secrets", "full"):
            document[name] = tuple(document[name])
        return Draft(**document)

    async def keep(self, draft: Draft) -> None:
        """Write a draft down."""
        now = self.office.now()
        document = documents.dump(draft)
        await self.office.engine.database.transact(
            lambda unit: chat_drafts.keep(unit.connection, draft.id, draft.person, document, now)
        )

    async def keep_on(self, draft: Draft) -> bool:
        """Write a draft down that was found; False when it was sent or cancelled meanwhile, by another click."""
        now = self.office.now()
        document = documents.dump(draft)
        return await self.office.engine.database.transact(
            lambda unit: chat_drafts.keep_on(unit.connection, draft.id, document, now)
        )

    async def drop(self, draft: Draft) -> None:
        """The draft was cancelled."""
        await self.office.engine.database.transact(lambda unit: chat_drafts.drop(unit.connection, draft.id))

    async def open(self, draft: Draft, fields: Sequence[Field], title: str, intro: str) -> Form:
        """Keep a new draft, or one with new fields; its form."""
        await self.keep(draft)
        return self._drawn(draft, fields, title, intro)

    async def refuse(self, draft: Draft, errors: Mapping[str, str]) -> FieldErrors:
        """Keep what was typed; the form again with what is wrong."""
        hidden = tuple(name for name in errors if name not in draft.field_ids)  # of an earlier step
        shown = (*draft.field_ids, *hidden)
        wrong = replace(draft, errors=dict(errors), page=0, asked=draft.every_id, field_ids=shown)
        await self.keep_on(wrong)
        form = await self.form(wrong)
        return FieldErrors(form, dict(errors))

    async def form(self, draft: Draft, reader: Reader | None = None) -> Form:
        """The form of a draft as it stands; NotFound when its flow or pause is gone."""
        fields = await self.fields(draft, reader)
        by_id = {asked.id: asked for asked in fields}
        shown = [by_id[name] for name in draft.field_ids if name in by_id]
        title, intro = await self._heading(draft)
        return self._drawn(draft, shown, title, intro)

    def _drawn(self, draft: Draft, fields: Sequence[Field], title: str, intro: str) -> Form:
        return forms.form(
            draft.form_id,
            title,
            submit_label(draft),
            fields,
            raw=draft.raw,
            errors=draft.errors,
            intro=intro,
            page=draft.page,
            actions=self._actions(draft, fields),
            edition=draft.edition,
        )

    async def fields(self, draft: Draft, reader: Reader | None = None) -> tuple[Field, ...]:
        """Every field the draft ever showed, with choices that fit the answers so far."""
        reader = reader or Reader(self.office.now())
        if draft.purpose == "run":
            return await filling.fields_with(self.asking(draft), draft.raw, reader)
        asked = self.asking(draft, await self.questions(draft))
        return answering.answer_fields(await filling.fields_with(asked, draft.raw, reader), quick=asked.blank_texts)

    def asking(self, draft: Draft, questions: Questions | None = None) -> Asking:
        """What the form of a draft asks; `questions` are those of its pause. NotFound when its flow is gone."""
        engine = self.office.engine
        if questions is None:
            flow = self.flow(draft)
            return Asking(flow.inputs, lambda given: engine.check_inputs(flow, given), draft.every_id, draft.fixed)
        blank = questions.quick and draft.purpose != "reject"
        check = lambda given: engine.check_answers(draft.target, given)  # noqa: E731
        return Asking(questions.inputs, check, draft.every_id, draft.fixed, blank)

    async def reconsidered(self, draft: Draft, reader: Reader) -> Draft:
        """A draft that shows what its answers ask for by now; what an earlier step asked stays there."""
        questions = None if draft.purpose == "run" else await self.questions(draft)
        asking = self.asking(draft, questions)
        before = set(draft.asked).difference(draft.field_ids) | set(draft.fixed)
        if not reader.may_type_secrets:
            before |= set(draft.secrets)
        asked = await filling.asked_now(asking, draft.raw, reader)
        return replace(draft, field_ids=tuple(name for name in asked if name not in before))

    async def questions(self, draft: Draft) -> Questions:
        """What the pause of a draft asks; NotFound."""
        pause = await self.office.engine.pause_row(draft.target)
        return await self.office.questions(pause, await self.office.engine.execution(pause.execution_id))

    def flow(self, draft: Draft) -> Flow:
        """The flow a draft is to start; NotFound."""
        namespace, _, flow_id = draft.flow.rpartition("/")
        flow: Flow = self.office.engine.flows.get(namespace, flow_id)
        return flow

    async def _heading(self, draft: Draft) -> tuple[str, str]:
        name = draft.flow.rpartition("/")[2]
        if draft.purpose == "run":
            return f"Run {name}", draft.note or forms.intro(self.flow(draft).description or "")
        what = "The run goes on with this as a no." if draft.purpose == "reject" else ""
        return f"{'Reject' if draft.purpose == 'reject' else 'Answer'}: {name}", draft.note or forms.intro(what)

    def _actions(self, draft: Draft, fields: Sequence[Field]) -> tuple[Action, ...]:
        last_time = (self.office.ids.button("lt", draft.id, "Last time"),) if draft.has_last else ()
        # Discord's windows have no place for buttons, and a page takes texts of any length.
        long = [asked for asked in fields if asked.multiline] if draft.room.get("platform") == "slack" else []
        return (*last_time, *self.longer(draft, long))

    def longer(self, draft: Draft, fields: Sequence[Field]) -> tuple[Action, ...]:
        """Buttons that have a text sent as messages, which no window bounds; by the place of its field."""
        places = {name: number for number, name in enumerate(draft.field_ids[:MOST_PLACES])}
        found = [asked for asked in fields if asked.id in places][:MOST_LONGER]
        return tuple(
            self.office.ids.button(
                "lo", draft.id, shorten(f"Longer text: {asked.label or asked.id}", 40), places[asked.id]
            )
            for asked in found
        )

    async def readable(self, draft: Draft, values: Mapping[str, Any]) -> dict[str, Any]:
        """A file sent for a text, JSON or YAML field is read as its text."""
        if not any(isinstance(value, Attachment) for value in values.values()):
            return dict(values)
        kinds = {asked.id: asked.type for asked in await self.fields(draft)}
        readable: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, Attachment) and kinds.get(name) in TEXT_TYPES:
                try:
                    value = await read_text(value)
                except (ValueError, OSError):
                    log.info("A file for %s is no text; the field says so.", name)
            readable[name] = value
        return readable

    async def redrawn(self, form_id: str) -> Form | None:
        """A form by its id, however long ago it was opened; None when it can't be drawn any more."""
        draft = await self.find(form_id)
        if draft is None:
            return None
        try:
            return await self.form(draft)
        except (NotFound, EngineError):
            return None


async def may_fill(office: Office, draft: Draft, person: Person) -> bool:
    """Whether a form is this person's, under whatever account of theirs they opened it."""
    return draft.person == person.id or draft.person in (await office.eligibility.identities.of(person.id)).accounts


def submit_label(draft: Draft) -> str:
    """What the form's button says."""
    return {"run": "Run", "reject": "Reject"}.get(draft.purpose, "Answer")


def merged(draft: Draft, values: Mapping[str, Any], full: Collection[str] = ()) -> Draft:
    """The draft with one more page of values; secrets, and fields that are not its own, are left out."""
    known = set(draft.every_id).difference(draft.secrets)
    raw = {**draft.raw, **{name: _plain(value) for name, value in values.items() if name in known}}
    long = (*(name for name in draft.full if name not in values), *(name for name in full if name in known))
    return replace(draft, raw=raw, errors={}, typed=True, full=long)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
