"""Replies brought to the person who asked: as a modal, over the clicked message, privately or for everybody."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.conversation import Body, Card, FileRef, Form, Listing, Notice, Reply, Room
from bot.frontend import Unreachable
from bot.slack import payloads, views
from bot.slack.blocks import Overflow, Rendered
from bot.slack.delivery import Delivery, Piece, log_bytes
from bot.slack.forms import Origin, form_view, waiting_view
from bot.slack.payloads import Asked
from bot.slack.refusals import NO_TRIGGER, USED_TRIGGER
from bot.slack.transport import Transport, as_unreachable, error_code
from bot.tallies import REFUSALS
from bot.texts import answer, code, plain

log = structlog.get_logger("parley.slack")
_AGAIN = 3  # pauses of Slack's that an answer waits out, beyond the short ones that each call waits out by itself
_LONGEST = 900.0  # seconds of such a pause
_SLOWED = "Slack is slowing me down, so the form did not open by itself."


class Answering:
    """Answers of one workspace."""

    def __init__(self, transport: Transport, delivery: Delivery) -> None:
        self._transport = transport
        self._delivery = delivery

    async def present(self, asked: Asked, reply: Reply) -> None:
        """Show a reply; when Slack refuses one way, the next that reaches the person. When it asks for a pause that is
        long to wait for, they are told, and get the reply after it."""
        await self._slowly(asked, lambda: self._present(asked, reply))

    async def _slowly(self, asked: Asked, doing: Piece) -> None:
        """Do what somebody waits for; through pauses that Slack asks for, of which they are told once."""
        for number in range(_AGAIN):
            try:
                return await doing()
            except Unreachable as error:
                if error.retry_after is None or error.retry_after > _LONGEST or error.about == "platform":
                    raise
                if number == 0:
                    await self._slowed(asked, error.retry_after)
                await asyncio.sleep(error.retry_after)
        await doing()
        return None

    async def _slowed(self, asked: Asked, pause: float) -> None:
        said = answer("E19", platform="Slack", what="my answer follows", s=f"{max(pause, 1):.0f}").notice()
        await self._tell(asked, said)

    async def _tell(self, asked: Asked, notice: Notice) -> None:
        """Say something beside an answer, which does not depend on it."""
        try:
            await self._whisper(asked, views.notice(notice).payload)
        except Unreachable as error:
            log.info("slack told somebody nothing", reason=error.reason)

    async def _present(self, asked: Asked, reply: Reply) -> None:
        if asked.room.thread:
            reply = replace(reply, body=_said_in_a_thread(reply.body))
        if isinstance(reply.body, Form) and asked.view_id:
            view = self.view(reply.body, asked)
            await self._transport.call(lambda client: client.views_update(view_id=asked.view_id, view=view.payload))
            await self.spill_privately(asked, view.overflow)
            return
        if isinstance(reply.body, Form) and asked.trigger_id:
            await self._open(asked, reply.body)
            return
        if isinstance(reply.body, Notice) and asked.view_id:
            await self._put_away(asked.view_id, reply.body)
        if reply.card is not None and asked.answer_url and not payloads.read_private_address(asked.answer_url):
            await self._draw_over(asked.answer_url, reply.card)
        rendered = views.message(reply.body, person_id=asked.person.id)
        try:
            if reply.replaces and asked.message is not None:
                await self._replace(asked, rendered)
            elif reply.public:
                await self._say_publicly(asked, rendered)
            else:
                await self.say_privately(asked, rendered)
                if isinstance(reply.body, Card) and reply.body.kind == "post" and reply.body.files:
                    await self._hand_over(asked, reply.body.files)
        except Unreachable as error:
            is_brief = error.retry_after is not None and error.retry_after <= _LONGEST
            if is_brief or not (reply.public or reply.replaces):
                raise
            REFUSALS.add("slack", "answer lost")
            log.warning("slack answer not delivered", reason=error.reason, channel=asked.room.channel)
            await self.say_privately(asked, Rendered(views.answered(error.reason)))

    async def _draw_over(self, address: str, card: Card) -> None:
        """The pressed message anew, by the click's own address; should that fail, the outbox draws it all the same."""
        try:
            await self._transport.respond(address, {"replace_original": True, **views.card(card).payload})
        except Unreachable as error:
            log.info("slack card not drawn by its click", reason=error.reason)

    # Modals

    async def _put_away(self, view_id: str, notice: Notice) -> None:
        """The window a button was pressed in says what became of it: what else is typed there would go nowhere."""
        view = waiting_view(notice.text, "Kept")
        try:
            await self._transport.call(lambda client: client.views_update(view_id=view_id, view=view))
        except Unreachable as error:
            log.info("slack view closed before its answer", reason=error.reason)

    def view(self, form: Form, asked: Asked, page: int | None = None) -> Rendered:
        """A page of a form as a view that knows where it was asked for."""
        return form_view(form, Origin(asked.room, asked.answer_url, asked.card), page)

    async def _open(self, asked: Asked, form: Form) -> None:
        rendered = self.view(form, asked)
        try:
            # Straight to the client: a trigger lives for three seconds, so nothing is waited out here.
            await self._transport.client.views_open(trigger_id=str(asked.trigger_id), view=rendered.payload)
        except SlackApiError as error:
            code = error_code(error)
            if code in USED_TRIGGER:
                return  # a redelivery: the form is open already
            if code not in NO_TRIGGER:
                log.warning("slack modal refused", error=code, form=form.id)
            why = _SLOWED if as_unreachable(error).retry_after is not None else ""
            await self.say_privately(asked, views.form_button(form, asked.person.id, why))
        except (SlackClientError, OSError, TimeoutError) as error:
            log.warning("slack modal not opened", error=repr(error), form=form.id)
            await self.say_privately(asked, views.form_button(form, asked.person.id))
        else:
            await self.spill_privately(asked, rendered.overflow)

    # Messages

    async def _replace(self, asked: Asked, rendered: Rendered) -> None:
        message = asked.message
        if asked.is_ephemeral and asked.answer_url:
            await self._transport.respond(asked.answer_url, {"replace_original": True, **rendered.payload})
            await self.spill_privately(asked, rendered.overflow)
        elif message is not None:
            await self._transport.patiently(
                lambda client: client.chat_update(channel=message.channel, ts=message.message, **rendered.payload),
                message.channel,
            )
            await self._spill(asked, message.channel, message.thread or message.message, rendered.overflow)

    async def _say_publicly(self, asked: Asked, rendered: Rendered) -> None:
        room = asked.room
        address = asked.answer_url
        if address and not payloads.read_private_address(address):
            # A response address speaks in the room even where the bot is no member.
            try:
                await self._transport.respond(
                    address, {**_common(room), "response_type": "in_channel", **rendered.payload}
                )
            except Unreachable as error:
                log.info("slack response address refused", reason=error.reason)
            else:
                await self._spill(asked, room.channel, room.thread, rendered.overflow)
                return
        await self._delivery.thread_message(room.channel, room.thread, rendered.payload)
        await self._spill(asked, room.channel, room.thread, rendered.overflow)

    async def say_privately(self, asked: Asked, rendered: Rendered) -> None:
        """Only the person sees it: by the response address, as an ephemeral message, or in a direct conversation."""
        await self._whisper(asked, rendered.payload)
        await self.spill_privately(asked, rendered.overflow)

    async def _whisper(self, asked: Asked, payload: Mapping[str, Any]) -> None:
        user = asked.person.id.removeprefix("slack:")
        room, address = asked.room, asked.answer_url
        if address and not payloads.read_private_address(address):
            try:
                await self._transport.respond(address, {**_common(room), "response_type": "ephemeral", **payload})
            except Unreachable as error:
                log.info("slack response address refused", reason=error.reason)
            else:
                return
        if not room.is_direct:
            try:
                await self._transport.patiently(
                    lambda client: client.chat_postEphemeral(
                        channel=room.channel, user=user, thread_ts=room.thread, **payload
                    ),
                    room.channel,
                )
            except Unreachable as error:
                log.info("slack ephemeral message refused", reason=error.reason)
            else:
                return
        channel = room.channel if room.is_direct else user
        await self._delivery.thread_message(channel, room.thread if room.is_direct else None, payload)

    async def _spill(self, asked: Asked, channel: str, thread: str | None, overflow: Sequence[Overflow]) -> None:
        """What did not fit into an answer for everybody: messages or files beside it."""
        await self._rest(asked, self._delivery.pieces(channel, thread, overflow))

    async def _rest(self, asked: Asked, pieces: Iterable[Piece]) -> None:
        """What follows an answer that is there: neither it nor a piece of the rest is sent again after a pause."""
        try:
            for piece in pieces:
                await self._slowly(asked, piece)
        except Unreachable as error:
            await self._tell(asked, Notice("warning", f"I could not send the rest: {plain(error.reason)}"))

    async def spill_privately(self, asked: Asked, overflow: Sequence[Overflow]) -> None:
        """What did not fit into a private answer: more of them, or files in the direct conversation."""
        messages, files = views.spill(overflow)
        left = list(files)

        async def send() -> None:
            channel = await self._direct(asked)
            while left:
                await self._delivery.upload(channel, None, left[0][0], log_bytes(left[0][1]))
                del left[0]
            await self._sent_directly(asked, channel, [name for name, _ in files])

        more = [partial(self._whisper, asked, payload) for payload in messages]
        await self._rest(asked, [*more, send] if files else more)

    async def _direct(self, asked: Asked) -> str:
        """The channel of the direct conversation; Unreachable."""
        if asked.room.channel.startswith("D"):
            return asked.room.channel
        user = asked.person.id.removeprefix("slack:")
        opened = await self._transport.patiently(lambda client: client.conversations_open(users=user))
        return str(opened["channel"]["id"])

    async def _sent_directly(self, asked: Asked, channel: str, files: Sequence[str]) -> None:
        if channel != asked.room.channel:
            names = ", ".join(code(name) for name in files)
            await self._tell(asked, Notice("info", f"I sent you {names} in our direct conversation."))

    async def _hand_over(self, asked: Asked, files: Sequence[FileRef]) -> None:
        """Files of an answer: private messages hold none, so they go into the direct conversation."""
        try:
            channel = await self._direct(asked)
        except Unreachable as error:
            await self._whisper(asked, views.answered(f"I could not send the files: {plain(error.reason)}"))
            return
        await self._delivery.attach(channel, None, files)
        await self._sent_directly(asked, channel, [file.name for file in files])

    async def late(self, address: str, reply: Reply) -> None:
        """Answer through an address kept from before; Unreachable when nobody hears it any more."""
        private = payloads.read_private_address(address)
        if private is not None:
            room, user = private
            asked = Asked(payloads.person({"id": user}), room, "")
            rendered = views.message(reply.body, person_id=asked.person.id)
            if reply.public:
                await self._say_publicly(asked, rendered)
            else:
                await self.say_privately(asked, rendered)
            return
        rendered = views.message(reply.body)
        kind = "in_channel" if reply.public else "ephemeral"
        payload = {"response_type": kind, "replace_original": reply.replaces, **rendered.payload}
        await self._transport.respond(address, payload)
        messages, files = views.spill(rendered.overflow)
        for message in messages:
            await self._transport.respond(address, {"response_type": kind, "replace_original": False, **message})
        if files:
            names = ", ".join(name for name, _ in files)
            text = f"The rest ({names}) is too long for here; ask again to get it as a file."
            await self._transport.respond(address, {"replace_original": False, **views.answered(text)})

    async def publish_home(self, asked: Asked, reply: Reply) -> None:
        """Draw somebody's App Home."""
        rendered = views.home(replace(reply.body, page=0) if isinstance(reply.body, Form) else reply.body)
        user = asked.person.id.removeprefix("slack:")
        await self._transport.patiently(lambda client: client.views_publish(user_id=user, view=rendered.payload))


def _said_in_a_thread(body: Body) -> Body:
    """An answer that names commands as they can be typed there: Slack takes no slash commands in threads."""
    match body:
        case Notice():
            return replace(body, text=_spoken(body.text))
        case Listing():
            rows = tuple(replace(row, text=_spoken(row.text)) for row in body.rows)
            return replace(body, rows=rows, note=_spoken(body.note))
        case _:
            return body


def _spoken(text: str) -> str:
    return text.replace("`/flow", "`@parley")


def _common(room: Room) -> dict[str, Any]:
    said: dict[str, Any] = {"replace_original": False}
    if room.thread:
        said["thread_ts"] = room.thread
    return said
