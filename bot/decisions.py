"""The one path on which a pause is decided, whoever decides, from wherever: button, form, command or page.

Receipt (by the desk) → pause → who → values → one transaction: compare-and-set of the pause, audit, stale cards, the
answer.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bot import approvals, documents, forms
from bot.approvals import Ask, Kill, Plan, Resume, Secure
from bot.cards import PLATFORMS, STATE_WORDS, elapsed, utc
from bot.conversation import Action, Attachment, FieldErrors, Form, Notice, Person, Reply, Room
from bot.drafts import Draft, Drafts
from bot.field_values import shown as shown_value
from bot.office import Office, Questions
from bot.pause_cards import THEN
from bot.permissions import Asked
from bot.references import short
from bot.texts import Answer, answer, code, plain
from engine.core.execution import Execution
from engine.core.inputs import Resolved
from engine.errors import NotFound
from engine.files import execution_folder
from engine.store import chat_audit, chat_drafts, chat_messages, chat_receipts
from engine.store.chat_messages import DECISION
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

    def __init__(self, office: Office, drafts: Drafts, wake: Any) -> None:
        self.office = office
        self.drafts = drafts
        self.wake = wake

    async def decide(self, wanted: Wanted) -> Reply | FieldErrors:
        """Carry a decision out, or say why not; asks for what is missing with a form."""
        try:
            case = await self.case(wanted.pause_id)
        except NotFound:
            return _say(answer("gone-pause"))
        if refusal := await self.refuse(case, wanted.person, wanted.room):
            return Reply(refusal)
        asked = case.questions
        if asked.is_flow_gone and wanted.action not in ("kill", "reject"):
            instead = "The run can only be cancelled."
            return _say(answer("gone-flow", flow=code(case.flow), instead=instead))
        plan: Plan = Kill() if asked.is_flow_gone else self._plan(case, wanted)
        match plan:
            case Secure():
                return Reply(self._secure(case))
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

    async def _stored(self, case: Case, given: Mapping[str, Any]) -> dict[str, Any]:
        """Files somebody sent along, put where the flow can read them."""
        values = dict(given)
        folder = execution_folder(case.pause.namespace, case.pause.flow_id, case.execution.id)
        for name, value in given.items():
            if isinstance(value, Attachment):
                put = self.office.engine.files.put
                values[name] = await asyncio.to_thread(put, f"{folder}/inputs/{name}", Path(value.path), value.name)
        return values

    async def case(self, pause_id: str) -> Case:
        """A pause, its run and what it asks; NotFound."""
        pause = await self.office.engine.pause_row(pause_id)
        execution = await self.office.engine.execution(pause.execution_id)
        return Case(pause, execution, await self.office.questions(pause, execution))

    async def refuse(self, case: Case, person: Person, room: Room) -> Notice | None:
        """Why a person can't decide a pause now; None when they can."""
        if case.pause.state != "WAITING":
            return (await self.too_late(case.pause)).notice(*self._status(case))
        now = self.office.now()
        if case.pause.deadline is not None and case.pause.deadline <= now:
            return self._expired(case.pause).notice(*self._status(case))
        asked = Asked(
            "decide", person, room, case.flow, case.pause.task_id, case.execution.id, case.execution.started_by
        )
        denied = self.office.permissions.refuse(asked)
        return denied.notice() if denied else None

    def _plan(self, case: Case, wanted: Wanted) -> Plan:
        return approvals.plan(
            case.questions.shape,
            case.questions.fields,
            wanted.action,
            wanted.given,
            choice=wanted.choice,
            reason=wanted.reason,
            quick=self.office.settings.quick_answer,
            was_asked=wanted.draft is not None,
            may_type_secrets=self.office.reader(wanted.person).may_type_secrets,
        )

    async def _ask(self, case: Case, wanted: Wanted, plan: Ask) -> Form:
        """Open a form; what is fixed by the button or was typed with the command is kept."""
        secrets = forms.secret_ids(case.questions.inputs)
        shown = {asked.id for asked in plan.fields}
        kept = {name: value for name, value in plan.fixed.items() if name not in secrets}
        draft = Draft(
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
        )
        return await self.drafts.open(
            draft, plan.fields, self.title(case, plan.purpose), self.intro(case, plan.purpose)
        )

    def title(self, case: Case, purpose: str) -> str:
        """What the form of a pause is called."""
        return f"{'Reject' if purpose == 'reject' else 'Answer'}: {case.pause.flow_id}"

    def intro(self, case: Case, purpose: str) -> str:
        """What the form says above its fields."""
        what = "The run goes on with this as a no." if purpose == "reject" else ""
        return forms.intro(case.questions.fields, what)

    def _secure(self, case: Case) -> Notice:
        page = self.office.pages.execution(case.pause.namespace, case.pause.flow_id, case.execution.id)
        instead = "Answer on the web page." if page else "Set `chat.public_url`, or answer with the command line."
        actions = (Action("", "Open secure form", "link", url=page),) if page else ()
        return answer("E14", instead=instead).notice(*actions)

    async def _refused(
        self, case: Case, wanted: Wanted, given: Mapping[str, Any], resolved: Resolved
    ) -> Reply | FieldErrors:
        """The flow's own rules refuse a value: the form comes back, or opens, with what was given."""
        fields = {asked.id: asked for asked in case.questions.fields}
        errors = {one.input: forms.explain(one, fields.get(one.input)) for one in resolved.problems}
        if wanted.draft is not None:
            return await self.drafts.refuse(wanted.draft, errors)
        plan = Ask("answer", tuple(case.questions.fields), given)
        form = await self._ask(case, wanted, plan)
        drawn = tuple(replace(asked, error=errors.get(asked.id)) for asked in form.fields)
        return Reply(replace(form, fields=drawn))

    async def _commit(
        self, case: Case, wanted: Wanted, given: Mapping[str, Any], resolved: Resolved | None
    ) -> Reply | FieldErrors:
        """The one transaction. Whoever comes second changes nothing and is told who was first."""
        now = self.office.now()
        reply = Reply(self._done(case, wanted, resolved is None))
        document = documents.dump_reply(reply)
        deed = self._deed(case, wanted, given, resolved is None, now)

        def work(unit: Unit) -> bool:
            if resolved is not None:
                won = self.office.engine.resume_in(unit, case.pause.id, resolved, by=wanted.person.id, now=now)
            else:
                won = self.office.engine.kill_in(
                    unit, case.execution.id, by=wanted.person.id, reason=wanted.reason, now=now, pause_id=case.pause.id
                )
            if not won:
                return False
            chat_audit.record(unit.connection, deed)
            chat_messages.touch(unit.connection, entity=case.pause.id, urgency=DECISION, now=now)
            chat_receipts.finish(unit.connection, wanted.receipt, document)
            if wanted.draft is not None:
                chat_drafts.drop(unit.connection, wanted.draft.id)
            unit.after_commit(self.wake)
            return True

        if await self.office.engine.database.transact(work):
            return reply
        pause = await self.office.engine.pause_row(case.pause.id)
        return Reply((await self.too_late(pause)).notice(*self._status(case)))

    def _deed(
        self, case: Case, wanted: Wanted, given: Mapping[str, Any], is_kill: bool, now: datetime
    ) -> chat_audit.Deed:
        values = forms.masked(given, forms.secret_ids(case.questions.inputs))
        details: dict[str, Any] = {"values": self.office.engine.masker.mask_value(values)}
        if wanted.reason and wanted.reason not in given.values():
            details["reason"] = self.office.engine.masker.mask(wanted.reason)
        action = "kill" if is_kill and wanted.action == "kill" else wanted.action
        person = wanted.person
        return chat_audit.Deed(
            now, person.id, person.name, person.platform, action, case.pause.id, case.execution.id, case.flow, details
        )

    def _done(self, case: Case, wanted: Wanted, is_kill: bool) -> Notice:
        word = approvals.decided_word(wanted.action, {"choice": self._choice(case, wanted)}).capitalize()
        run = f"{code(case.pause.flow_id)} {code(short(case.execution.id))}"
        after = f"{run} is stopped." if is_kill else f"{run} goes on."
        return Notice("warning" if is_kill else "success", f"{word}. {after}")

    def _choice(self, case: Case, wanted: Wanted) -> str:
        choices = case.questions.shape.choices
        return code(choices[wanted.choice].label) if 0 <= wanted.choice < len(choices) else ""

    def _status(self, case: Case) -> tuple[Action, ...]:
        return (self.office.ids.button("st", case.execution.id, "Show the run"),)

    async def too_late(self, pause: PauseRow) -> Answer:
        """E21 or E24: who ended a pause, when and where."""
        if pause.state == "EXPIRED":
            return self._expired(pause)
        deed = await self.office.engine.database.read(lambda connection: chat_audit.last(connection, pause.id))
        now = self.office.now()
        if deed is not None:
            who, platform, when = deed.name, PLATFORMS.get(deed.platform, deed.platform), deed.at
            decided = approvals.decided_word(deed.action, {"choice": _one_choice(deed.details)})
        elif pause.decided_by and pause.decided_at:
            names = await self.office.names({pause.decided_by})
            who, platform, when = names[pause.decided_by], "the engine", pause.decided_at
            decided = "answered" if pause.state == "RESUMED" else "cancelled"
        else:
            execution = await self.office.engine.execution(pause.execution_id)
            return answer("E17", id=code(short(execution.id)), state=STATE_WORDS[execution.state], verb="answer")
        ago = f"{elapsed((now - when).total_seconds())} ago ({utc(when)})"
        return answer("E21", decided=decided, who=f"**{plain(who, 80)}**", when=ago, platform=platform)

    def _expired(self, pause: PauseRow) -> Answer:
        ended = pause.deadline or pause.decided_at or pause.created
        why = f"no answer in {elapsed(round((ended - pause.created).total_seconds()))}"
        outcome = THEN.get(pause.deadline_behavior, "the flow decided")
        return answer("E24", time=utc(ended), why=why, outcome=outcome, run=short(pause.execution_id))


def _one_choice(details: Mapping[str, Any]) -> str:
    values = [value for value in details.get("values", {}).values() if isinstance(value, str) and value]
    return code(values[0]) if values else ""


def _say(said: Answer) -> Reply:
    return Reply(said.notice())
