"""What people do in Slack, brought to the desk: acknowledged at once, answered when the desk has answered.

An event is acknowledged once the desk has it on disk: what was acknowledged is not lost by a crash, and a slow answer
holds nothing up. Only a disk that takes two seconds is not waited for; after three Slack says that nobody answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog

from bot.cards.graphemes import size
from bot.conversation import MESSAGE_TEXT, Command, FieldErrors, Form, MessageRef, Notice, Person, Reply, Submission
from bot.forms.values import files_in
from bot.frontend import KEPT, REACHED, Desk, Unreachable
from bot.slack import forms, payloads, views
from bot.slack.answering import Answering
from bot.slack.answers import SentFile, values_of
from bot.slack.blocks import Overflow
from bot.slack.delivery import Recent
from bot.slack.elements import option_object, shape_of
from bot.slack.homes import Homes
from bot.slack.inbox import Inbox
from bot.slack.limits import INPUT_TEXT, SUGGESTIONS
from bot.slack.payloads import Asked, Sent
from bot.slack.people import People
from bot.slack.transport import FileRefused, Transport
from bot.slack.work import Work
from bot.tallies import REFUSALS
from bot.texts import literal, plain

log = structlog.get_logger("parley.slack")
Ack = Callable[..., Awaitable[Any]]
_Reached = asyncio.Future[bool]

ACK_AFTER = 2.0  # seconds without a word that the desk has it
SUBMIT_AFTER = 2.3  # seconds: a submission's answer is its acknowledgement, which Slack awaits for three
SHORTCUT_FILES = 1.0  # seconds: a shortcut's trigger is dead after three
_BROKEN = "Something broke on my side. Look at the run with `/flow status` before you try again."


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a submission is acknowledged with, and what is said besides."""

    ack: Mapping[str, Any]
    reply: Reply | None = None
    overflow: Sequence[Overflow] = ()


class Hearing:
    """Inbound of one workspace."""

    def __init__(
        self,
        desk: Desk,
        transport: Transport,
        answering: Answering,
        people: People,
        inbox: Inbox,
        work: Work,
        bot_user: str,
        homes: Homes,
    ) -> None:
        self._desk = desk
        self._transport = transport
        self._answering = answering
        self._people = people
        self._inbox = inbox
        self._work = work
        self._bot_user = bot_user
        self._homes = homes
        self._presented: Recent[bool] = Recent(5_000)

    # Commands, clicks, shortcuts, messages

    async def command(self, ack: Ack, body: Mapping[str, Any]) -> None:
        """`/flow …`."""
        asked, text = payloads.slash(body)
        await self._answer(ack, asked, lambda: self._desk.command(self._command(asked, text)))

    async def action(self, ack: Ack, body: Mapping[str, Any]) -> None:
        """A pressed button."""
        if (changed := payloads.changed(body)) is not None:
            await ack()
            self._work.spawn(self._reconsider(changed), "reconsider")
            return
        pressed = payloads.action(body)
        asked = self._with_roles(pressed.asked)
        if not views.is_own_action(pressed.action_id):
            click = replace(pressed, asked=asked).click()
            if (standing := payloads.standing(body)) is not None:
                await self._keep(standing)
            from_home = (body.get("view") or {}).get("type") == "home"
            await self._answer(ack, asked, lambda: self._desk.click(click), refresh_home=from_home)
        elif pressed.action_id.startswith(views.SAY):
            command = self._command(asked, pressed.value)
            await self._answer(ack, asked, lambda: self._say_again(command))
        elif pressed.action_id.startswith(views.OPEN):
            await self._answer(ack, asked, lambda: self._open_again(pressed))
        else:
            await ack()  # a link: the browser has it

    async def _say_again(self, command: Command) -> Reply:
        return replace(await self._desk.command(command), replaces=True)

    async def _open_again(self, pressed: payloads.Pressed) -> Reply:
        form_id = pressed.action_id.removeprefix(views.OPEN)
        if pressed.value not in ("-", pressed.asked.person.id):
            return Reply(Notice("warning", "This form belongs to somebody else. Start your own with `/flow`."))
        form = await self._desk.form(form_id)
        return Reply(form or _lost_form())

    async def shortcut(self, ack: Ack, body: Mapping[str, Any]) -> None:
        """*Run a flow*, or *Run flow with this message*."""
        asked = payloads.shortcut(body)
        await self._answer(ack, asked, lambda: self._shortcut(asked, payloads.message_text(body)))

    async def _shortcut(self, asked: Asked, text: str) -> Reply:
        attachments = [await self._inbox.keep(MESSAGE_TEXT, text)] if text else []
        with suppress(TimeoutError, FileRefused):
            async with asyncio.timeout(SHORTCUT_FILES):
                attachments.extend(await self._inbox.fetch(asked.files))
        command = self._command(asked, "run")
        return await self._desk.command(replace(command, attachments=tuple(attachments)))

    async def event(self, body: Mapping[str, Any]) -> None:
        """An event: returns once the desk has it, so that the caller may acknowledge."""
        event = body.get("event") or {}
        match event.get("type"):
            case "app_mention" | "message":
                if heard := payloads.mention(body, self._bot_user):
                    asked, text = heard
                    await self._answer(_no_ack, asked, lambda: self._spoken(asked, text))
            case "app_home_opened":
                if opened := payloads.home_opened(body):
                    self._work.spawn(self._homes.draw(opened), "home")
            case "subteam_members_changed":
                self._people.group_changed(event)

    async def _spoken(self, asked: Asked, text: str) -> Reply:
        person = await self._people.named(self._with_roles(asked).person)
        command = payloads.command_of(replace(asked, person=person), text)
        try:
            attachments = await self._inbox.fetch(asked.files)
        except FileRefused as error:
            return Reply(Notice("danger", f"{plain(str(error))} Nothing was started."))
        return await self._desk.command(replace(command, attachments=attachments, is_message=True))

    def _command(self, asked: Asked, text: str) -> Command:
        return payloads.command_of(self._with_roles(asked), text)

    def _with_roles(self, asked: Asked) -> Asked:
        person: Person = self._people.with_roles(asked.person)
        return replace(asked, person=person)

    async def _answer(
        self,
        ack: Ack,
        asked: Asked,
        ask: Callable[[], Awaitable[Reply]],
        *,
        refresh_home: bool = False,
    ) -> None:
        """Ask the desk, acknowledge once it has what it was asked, show the answer. A redelivery is not shown again."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Future[None] = loop.create_future()
        reached: asyncio.Future[bool] = loop.create_future()

        def hear(_: object = None) -> None:
            if not heard.done():
                heard.set_result(None)

        asking = self._work.spawn(self._ask(ask, hear, reached, asked.receipt), "desk")
        asking.add_done_callback(hear)
        await asyncio.wait({heard}, timeout=ACK_AFTER)
        self._work.spawn(self._present(asked, asking, reached, refresh_home=refresh_home), "answer")
        await ack()

    async def _ask(
        self, ask: Callable[[], Awaitable[Reply]], kept: Callable[[], None], reached: _Reached, receipt: str
    ) -> Reply:
        KEPT.set(kept)
        REACHED.set(reached)
        try:
            return await ask()
        except Exception:
            log.exception("desk failed", receipt=receipt)
            return Reply(Notice("danger", _BROKEN, code="E26"))

    async def _present(
        self, asked: Asked, asking: "asyncio.Task[Reply]", reached: _Reached, *, refresh_home: bool
    ) -> None:
        try:
            if self._presented.get(asked.receipt):
                await asking
                return
            self._presented.put(asked.receipt, True)
            reply = await asking
            reached.set_result(await self._bring(asked, reply))
        finally:
            reached.cancel()
        if refresh_home:
            await self._homes.draw(asked)

    async def _bring(self, asked: Asked, reply: Reply) -> bool:
        """Show an answer; whether the person has it."""
        try:
            await self._answering.present(asked, reply)
        except Unreachable as error:
            REFUSALS.add("slack", "answer lost")
            log.warning("slack answer reached nobody", reason=error.reason, receipt=asked.receipt)
            return False
        return True

    # Forms

    async def search(self, ack: Ack, body: Mapping[str, Any]) -> None:
        """Choices of a menu while somebody types into it."""
        searched = payloads.search(body)
        options: list[dict[str, Any]] = []
        if searched is not None:
            try:
                form = await self._desk.form(searched.form_id)
                if form is not None and searched.index < len(form.fields):
                    field = form.fields[searched.index]
                    found = await self._desk.options(form.id, field.id, searched.typed, SUGGESTIONS)
                    options = [option_object(option) for option in found[:SUGGESTIONS]]
            except Exception:
                log.exception("desk failed to find choices", form=searched.form_id)
        await ack(options=options)

    async def submission(self, ack: Ack, body: Mapping[str, Any]) -> None:
        """A filled form: accepted, sent back with errors, or followed by the next page."""
        sent = payloads.submission(body)
        if sent is None:
            await ack()
            return
        sent = replace(sent, asked=self._with_roles(sent.asked))
        reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        submitting = self._work.spawn(self._submit(sent, reached), "submit")
        done, _ = await asyncio.wait({submitting}, timeout=SUBMIT_AFTER)
        if not done:
            text = "Your answers arrived. This takes a moment; you may close this window."
            await ack(response_action="update", view=forms.waiting_view(text))
            self._work.spawn(self._late(sent, submitting, reached), "late submit")
            return
        outcome = submitting.result()
        await ack(**outcome.ack)
        self._work.spawn(self._after(sent.asked, outcome, reached), "after submit")

    async def _late(self, sent: Sent, submitting: "asyncio.Task[_Outcome]", reached: _Reached) -> None:
        outcome = await submitting
        view = outcome.ack.get("view") or forms.waiting_view("Done. You may close this window.", "Done")
        if errors := outcome.ack.get("errors"):
            view = forms.waiting_view("Not accepted: " + _told(errors), "Please try again")
        try:
            await self._transport.patiently(lambda client: client.views_update(view_id=sent.view_id, view=view))
        except Unreachable as error:
            log.info("slack view closed before its answer", reason=error.reason)
            if errors:
                await self._answering.present(sent.asked, Reply(Notice("danger", _told(errors))))
        await self._after(sent.asked, outcome, reached)

    async def _after(self, asked: Asked, outcome: _Outcome, reached: _Reached) -> None:
        try:
            await self._answering.spill_privately(asked, outcome.overflow)
            if outcome.reply is None:
                reached.set_result(True)  # the window is the answer
            elif not self._presented.get(asked.receipt):
                self._presented.put(asked.receipt, True)
                reached.set_result(await self._bring(replace(asked, trigger_id=None), outcome.reply))
        finally:
            reached.cancel()

    async def _submit(self, sent: Sent, reached: _Reached) -> _Outcome:
        REACHED.set(reached)
        try:
            return await self._submitted(sent)
        except Exception:
            log.exception("desk failed", receipt=sent.asked.receipt)
            return _Outcome({"response_action": "update", "view": forms.waiting_view(_BROKEN, "Something broke")})

    async def _submitted(self, sent: Sent) -> _Outcome:
        asked, ticket = sent.asked, sent.ticket
        form = await self._desk.form(ticket.form_id)
        if form is None:
            # Sent before, and this is a redelivery; or forgotten. The desk knows which. Nothing can start from this:
            # a page that is not the last one is only kept.
            return self._replied(sent, await self._desk.submit(_submission(sent, {}, is_last=False)), is_last=True)
        if shape_of(form) != ticket.shape:
            changed = forms.with_errors(form, {"": "The questions have changed meanwhile. Please look at them again."})
            return self._again(asked, changed, 0)
        values, errors = await self._values(form, sent)
        if errors:
            return self._refused(asked, ticket.page, FieldErrors(form, errors))
        is_last = ticket.page >= len(forms.pages(form)) - 1
        return self._replied(sent, await self._desk.submit(_submission(sent, values, is_last=is_last)), is_last=is_last)

    async def _values(self, form: Form, sent: Sent, *, known: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
        """What stands in a view, files fetched; and which of them can't be had. `known`: not those fetched before."""
        values, errors = values_of(form, sent.state, sent.ticket.hidden), dict[str, str]()
        for name, value in list(values.items()):
            files = _sent_files(value)
            if not files:
                continue
            before = files_in(form.values.get(name))
            if not known or [(one.name, one.size) for one in before] != [(one.name, one.size) for one in files]:
                try:
                    before = list(await self._inbox.fetch(files))
                except FileRefused as error:
                    errors[name] = plain(str(error))
                    del values[name]
                    continue
            values[name] = before if isinstance(value, list) else before[0]
        return values, errors

    async def _keep(self, sent: Sent) -> None:
        """What stands in a window beside a button that was pressed; files are sent with the form."""
        form = await self._desk.form(sent.ticket.form_id)
        if form is not None and shape_of(form) == sent.ticket.shape:
            values = values_of(form, sent.state, sent.ticket.hidden)
            texts = {name: value for name, value in values.items() if not _sent_files(value)}
            await self._desk.keep(form.id, texts, sent.asked.person)

    async def _reconsider(self, sent: Sent) -> None:
        """Draw a form anew once an answer decides what else is asked."""
        form = await self._desk.form(sent.ticket.form_id)
        if form is None or shape_of(form) != sent.ticket.shape:
            return  # gone, or drawn anew already
        values, _ = await self._values(form, sent, known=True)
        revised = await self._desk.revise(form.id, values, sent.asked.person)
        if revised is None or replace(revised, values={}) == replace(form, values={}):
            return
        view = self._answering.view(revised, sent.asked, sent.ticket.page).payload
        try:
            await self._transport.call(
                lambda client: client.views_update(view_id=sent.view_id, hash=sent.hash or None, view=view)
            )
        except Unreachable as error:
            log.info("slack view not drawn anew", reason=error.reason)

    def _replied(self, sent: Sent, reply: Reply | FieldErrors, *, is_last: bool) -> _Outcome:
        asked, ticket = sent.asked, sent.ticket
        if isinstance(reply, FieldErrors):
            return self._refused(asked, ticket.page, reply)
        if isinstance(reply.body, Form):
            follows = reply.body.id == ticket.form_id and not is_last and reply.body.page <= ticket.page
            return self._again(asked, reply.body, ticket.page + 1 if follows else reply.body.page)
        return _Outcome({"response_action": "clear"}, reply)

    def _again(self, asked: Asked, form: Form, page: int) -> _Outcome:
        rendered = self._answering.view(form, asked, page)
        return _Outcome({"response_action": "update", "view": rendered.payload}, overflow=rendered.overflow)

    def _refused(self, asked: Asked, page: int, refused: FieldErrors) -> _Outcome:
        """Errors beside the fields where Slack can draw them, else the form again with the errors in it."""
        placed = forms.errors_in_place(refused.form, page, refused.errors)
        if placed:
            return _Outcome({"response_action": "errors", "errors": placed})
        pages = [found for name in refused.errors if (found := forms.page_of(refused.form, name)) is not None]
        form = forms.with_errors(refused.form, refused.errors)
        return self._again(asked, form, 0 if len(pages) < len(refused.errors) else min(pages, default=page))


def _told(errors: Mapping[str, str]) -> str:
    return literal(" ".join(errors.values()))


def _sent_files(value: Any) -> list[SentFile]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, SentFile)]


def _submission(sent: Sent, values: Mapping[str, Any], *, is_last: bool) -> Submission:
    asked, ticket = sent.asked, sent.ticket
    full = tuple(name for name, text in values.items() if isinstance(text, str) and size(text) >= INPUT_TEXT)
    room = asked.room
    card = MessageRef("slack", room.channel, asked.card, room.thread, room.workspace) if asked.card else None
    return Submission(
        ticket.form_id, values, asked.person, room, asked.receipt, ticket.page, is_last, asked.answer_url, card, full
    )


def _lost_form() -> Notice:
    return Notice("warning", "This form is no longer kept. Start again with `/flow`.", code="E18")


async def _no_ack() -> None:
    """Events are acknowledged by whoever handed them on."""
