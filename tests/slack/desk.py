"""A desk that answers by rules: the protocol in full, receipts counted once, drafts kept and dropped when sent."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.conversation import (
    Action,
    Attachment,
    Click,
    Command,
    FieldErrors,
    Form,
    Listing,
    Notice,
    Option,
    Person,
    Reply,
    Room,
    Submission,
)
from bot.frontend import KEPT

Answer = Reply | FieldErrors


@dataclass
class ScriptedDesk:
    """`on_command`, `on_click` and `on_submit` decide; the rest is bookkeeping a real desk does in its database."""

    forms: dict[str, Form] = field(default_factory=dict)
    heard: list[Command | Click | Submission] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)  # of attachments, read while they exist
    answers: dict[str, Answer] = field(default_factory=dict)
    on_command: Callable[[Command], Reply] = lambda command: Reply(Notice("info", f"heard {command.text}"))
    on_click: Callable[[Click], Reply] = lambda click: Reply(Notice("success", f"pressed {click.action_id}"))
    on_submit: Callable[[Submission], Answer] = lambda submission: Reply(Notice("success", "Sent."))
    gate: asyncio.Event | None = None  # set: answers wait for it
    keeps: bool = False  # tells that it has a delivery before it answers

    def store(self, form: Form) -> Form:
        """Store a form as a draft."""
        self.forms[form.id] = form
        return form

    async def _once(self, receipt: str, arrival: Any, decide: Callable[[], Answer]) -> Answer:
        self.deliveries.append(receipt)
        if self.keeps and (kept := KEPT.get()) is not None:
            kept()
        if self.gate is not None:
            await self.gate.wait()
        if receipt not in self.answers:
            self.heard.append(arrival)
            self.answers[receipt] = decide()
        return self.answers[receipt]

    async def command(self, command: Command) -> Reply:
        for file in command.attachments:
            self.contents[file.name] = await asyncio.to_thread(Path(file.path).read_bytes)
        answer = await self._once(command.receipt, command, lambda: self.on_command(command))
        assert isinstance(answer, Reply)
        return answer

    async def click(self, click: Click) -> Reply:
        answer = await self._once(click.receipt, click, lambda: self.on_click(click))
        assert isinstance(answer, Reply)
        return answer

    async def submit(self, submission: Submission) -> Answer:
        for value in submission.values.values():
            if isinstance(value, Attachment):
                self.contents[value.name] = await asyncio.to_thread(Path(value.path).read_bytes)
        return await self._once(submission.receipt, submission, lambda: self._submitted(submission))

    def _submitted(self, submission: Submission) -> Answer:
        form = self.forms.get(submission.form_id)
        if form is None:
            return Reply(Notice("warning", "I no longer keep this form."))
        form = self.store(replace(form, values={**form.values, **submission.values}))
        if not submission.last:
            return Reply(replace(form, page=submission.page + 1))
        answer = self.on_submit(submission)
        if isinstance(answer, Reply) and not isinstance(answer.body, Form):
            del self.forms[form.id]  # sent: the draft is used up
        return answer

    async def form(self, form_id: str) -> Form | None:
        return self.forms.get(form_id)

    async def keep(self, form_id: str, values: Mapping[str, Any], person: Person) -> None:
        """Nothing is kept here."""

    async def options(self, form_id: str, field_id: str, typed: str, limit: int) -> tuple[Option, ...]:
        found = next(one for one in self.forms[form_id].fields if one.id == field_id)
        return tuple(one for one in found.options if typed.lower() in one.label.lower())[:limit]

    async def complete(self, argument: str, typed: str, person_id: str, room: Room, limit: int) -> tuple[Option, ...]:
        return ()

    # What tests look for

    def last(self, kind: type[Any]) -> Any:
        """The newest arrival of a kind."""
        return next(one for one in reversed(self.heard) if isinstance(one, kind))

    @property
    def submissions(self) -> list[Submission]:
        return [one for one in self.heard if isinstance(one, Submission)]

    @property
    def clicks(self) -> list[Click]:
        return [one for one in self.heard if isinstance(one, Click)]


def menu(command: Command) -> Reply:
    """A listing with a button a row."""
    return Reply(Listing("Pending", (), note=command.text))


def approve(label: str = "Approve") -> Action:
    """The button of a pause card."""
    return Action("p1:ap:01JD0000000000000000000000:7f3a", label, "primary")
