"""Answers somebody gave before: typed into a form they did not send, or given to the last run they started."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.conversation import Person
from bot.forms import questions
from bot.forms.drafts import Draft, Drafts
from engine.core.flow import Flow
from engine.errors import NotFound
from engine.store import chat_drafts, chat_messages

DRAFTS = 20  # of one person, the newest of a flow is looked for among them
STARTS = 50


class Earlier:
    """Finds them again."""

    def __init__(self, drafts: Drafts) -> None:
        self.drafts = drafts
        self.office = drafts.office

    async def unsent(self, flow: str, person: Person) -> Mapping[str, Any]:
        """What somebody typed into the form of a flow and did not send, within the day that drafts are kept; it is
        found once. Files are sent again."""
        stored = await self.office.engine.database.read(lambda c: chat_drafts.of(c, person.id, DRAFTS))
        for one in stored:
            document = one.document
            if document.get("purpose") == "run" and document.get("flow") == flow and document.get("typed"):
                draft = await self.drafts.find(one.id)
                if draft is None or not await self.drafts.keep_on(replace(draft, typed=False)):
                    continue  # sent meanwhile
                return questions.without_files(draft.raw)
        return {}

    async def given(self, flow: Flow, person: Person) -> Mapping[str, Any]:
        """The inputs of the last run of a flow that somebody started, as they stand in fields; no secrets or files."""
        full = f"{flow.namespace}/{flow.id}"
        starts = await self.office.engine.database.read(lambda c: chat_messages.starts_by(c, person.id, limit=STARTS))
        last = next((start for start in starts if start.flow == full), None)
        if last is None:
            return {}
        try:
            inputs = (await self.office.engine.execution(last.execution_id)).inputs
        except NotFound:
            return {}
        masker = self.office.engine.masker
        hidden = questions.secret_ids(flow.inputs) | {one.id for one in flow.inputs if questions.takes_files(one)}
        found = {one.id: (one, questions.value_in(inputs, one.id)) for one in flow.inputs if one.id not in hidden}
        return {
            name: questions.in_field(one, value)
            for name, (one, value) in found.items()
            if value is not None and masker.mask_value(value) == value
        }

    async def fill(self, draft: Draft, person: Person) -> Draft:
        """A draft of a run with last time's values in its fields, and kept so."""
        given = await self.given(self.drafts.flow(draft), person)
        filled = replace(
            draft, raw={**draft.raw, **given}, errors={}, page=0, has_last=False, edition=draft.edition + 1
        )
        filled = await self.drafts.reconsidered(filled, self.office.reader(person))
        await self.drafts.keep_on(filled)
        return filled

    async def offered(self, flow: Flow, draft: Draft, person: Person) -> Draft:
        """A draft that knows whether last time's values would fill something in that is not there already."""
        given = await self.given(flow, person)
        told = {**{one.id: questions.in_field(one, one.defaults) for one in flow.inputs}, **draft.raw}
        differs = any(name in draft.field_ids and told.get(name) != value for name, value in given.items())
        return replace(draft, has_last=differs)
