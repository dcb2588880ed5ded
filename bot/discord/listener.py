"""What people do on Discord, brought to the desk, and the desk's answers brought back.

Nothing is remembered between two interactions but the wording of confirmations: buttons and modals from before a
restart work, since their ids and the desk's drafts hold all that is needed.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bot.conversation import (
    MESSAGE_TEXT,
    Attachment,
    Card,
    Command,
    Confirm,
    FieldErrors,
    Form,
    Listing,
    Notice,
    Option,
    Reply,
    Transcript,
)
from bot.discord import ids, limits, payloads
from bot.discord.exchange import Exchange
from bot.discord.files import Files, TooLarge, to_send
from bot.discord.transport import Sent, Transport
from bot.discord.views import answers, cards, components, fields, forms, listings, steps
from bot.discord.views.components import Json, Rendered
from bot.frontend import Desk, Unreachable, reaching
from bot.tallies import REFUSALS

log = logging.getLogger("parley.discord")

_GONE = Notice(
    "warning", "This form is no longer kept. Start again with `/flow run` or the button of its card.", code="E18"
)
_CHANGED = "The form has changed since you opened it, so this page was not used. Your other answers are kept."
_CONFIRMS = 2000
_ALL = 10_000  # choices fetched for paging


class Listener:
    """Hears commands, clicks, modals, half-typed arguments and messages; answers each, whatever goes wrong."""

    def __init__(
        self, desk: Callable[[], Desk], transport: Transport, files: Files, base_url: Callable[[], str]
    ) -> None:
        self._desk = desk
        self._transport = transport
        self._files = files
        self._base_url = base_url
        self._confirms: dict[str, Confirm] = {}

    def remember(self, body: object) -> None:
        """Keep the confirmations of what is shown; after a restart the question is asked in general words."""
        actions = list(getattr(body, "actions", ())) + [a for row in getattr(body, "rows", ()) for a in row.actions]
        self._confirms |= cards.confirms(actions)
        while len(self._confirms) > _CONFIRMS:
            del self._confirms[next(iter(self._confirms))]

    # What arrives.

    async def command(self, interaction: Json) -> None:
        """A slash command."""
        exchange = Exchange(self._transport, interaction)

        async def work() -> Reply:
            sent = [await self._files.fetch(upload) for upload in payloads.uploads(interaction).values()]
            return await self._desk().command(payloads.command(interaction, sent, self._base_url()))

        await self._answer(exchange, work())

    async def chosen_message(self, interaction: Json) -> None:
        """*Run flow with this message*: its text and files come along."""
        exchange = Exchange(self._transport, interaction)

        async def work() -> Reply:
            message = payloads.target(interaction)
            sent = [await self._files.fetch(upload) for upload in payloads.message_uploads(message).values()]
            if text := str(message.get("content") or ""):
                sent.insert(0, await self._files.keep(MESSAGE_TEXT, text))
            if not sent:
                return Reply(Notice("info", "There is neither text nor a file in that message."))
            return await self._desk().command(payloads.command(interaction, sent, self._base_url(), "run"))

        await self._answer(exchange, work())

    async def complete(self, interaction: Json, argument: str, typed: str) -> list[dict[str, str]]:
        """Rows for a half-typed argument; none when the desk takes too long."""
        person, room = payloads.person(interaction), payloads.room(interaction)
        asked = self._desk().complete(argument, typed, person.id, room, limits.CHOICES)
        try:
            found: Sequence[Option] = await asyncio.wait_for(asked, limits.CHOICES_GRACE)
        except TimeoutError:
            return []
        except Exception:
            log.exception("No choices for %s", argument)
            return []
        return payloads.choices([(option.label, option.value) for option in found])

    async def component(self, interaction: Json) -> None:
        """A pressed button or a choice in a menu."""
        custom_id = payloads.custom_id(interaction)
        local = ids.read(custom_id)
        if local is not None and local.verb == "more":
            custom_id = next(iter(payloads.chosen(interaction)), "")
            local = ids.read(custom_id)
        if local is None:
            exchange = Exchange(self._transport, interaction)
            await self._answer(exchange, self._desk().click(payloads.click(interaction, custom_id, self._base_url())))
        else:
            over = payloads.is_private(interaction) and local.verb != "sure"
            exchange = Exchange(self._transport, interaction, over=over)
            await self._guarded(exchange, self._local(exchange, interaction, local))

    async def filled(self, interaction: Json) -> None:
        """A filled modal; one whose form is unknown is answered too."""
        local = ids.read(payloads.custom_id(interaction))
        source_is_ours = payloads.is_private(interaction) and payloads.source(interaction) is not None
        over = source_is_ours and local is not None and (local.verb == "sift" or local.part(2) == "o")
        exchange = Exchange(self._transport, interaction, over=over)
        if local is None or local.verb not in ("form", "sift"):
            await self._guarded(exchange, self._show(exchange, Reply(_GONE)))
        elif local.verb == "sift":
            typed = str(payloads.filled(interaction).get("typed", ""))
            await self._guarded(exchange, self._pick(exchange, local.part(1), local.number(0), 0, typed))
        else:
            await self._guarded(exchange, self._submit(exchange, interaction, local))

    async def said(self, message: Json, text: str, bot_channel: str) -> None:
        """A message to the bot; the answer replies to it."""
        with reaching() as reached:
            reached.set_result(await self._said(message, text, bot_channel))

    async def _said(self, message: Json, text: str, bot_channel: str) -> bool:
        place = payloads.room(message)
        person = payloads.person(message)
        try:
            sent = [await self._files.fetch(upload) for upload in payloads.message_uploads(message).values()]
            said = Command(text, person, place, str(message["id"]), tuple(sent), is_message=True)
            reply = await self._desk().command(said)
        except (TooLarge, Unreachable) as error:
            reply = Reply(_refused(error))
        except Exception:  # noqa: BLE001 - logged in _broken; the person must be answered whatever breaks
            reply = Reply(_broken("command"))
        owner = person.id.removeprefix("discord:")
        view, files = await self.draw(reply.body, owner=owner)
        reference = {"message_id": str(message["id"]), "fail_if_not_exists": False}
        try:
            await self._transport.post(bot_channel, {**view.payload, "message_reference": reference}, files)
        except Unreachable as error:
            REFUSALS.add("discord", "answer lost")
            log.warning("A message could not be answered: %s", error.reason)
            return False
        return True

    # What we show for ourselves.

    async def _local(self, exchange: Exchange, interaction: Json, local: ids.Local) -> None:
        match local.verb:
            case "open":
                await self._open(exchange, local)
            case "drop":
                text = "Closed. What you typed is kept for a day; nothing was started or decided."
                await self._show(exchange, Reply(Notice("info", text)))
            case "pick":
                await self._pick(exchange, local.part(2), local.number(0), local.number(1), local.part(3))
            case "take":
                await self._take(exchange, interaction, local)
            case "find":
                await self._find(exchange, local)
            case "sure":
                action_id = local.part(0)
                view = cards.question(action_id, payloads.label(interaction), self._confirms.get(action_id))
                await exchange.show(view)
            case "yes":
                click = payloads.click(interaction, local.part(0), self._base_url())
                await self._answer(exchange, self._desk().click(click))
            case "no":
                await self._show(exchange, Reply(Notice("info", "Nothing was done.")))
            case "say":
                command = payloads.command(interaction, (), self._base_url(), local.part(0))
                exchange.over = False
                await self._answer(exchange, self._desk().command(command))
            case _:
                await self._show(exchange, Reply(_GONE))

    async def _open(self, exchange: Exchange, local: ids.Local) -> None:
        page, owner, form_id = local.number(0), local.part(1), local.part(2)
        if owner and payloads.person(exchange.interaction).id != f"discord:{owner}":
            text = f"This form belongs to <@{owner}>. Start your own with `/flow run`."
            await exchange.show(cards.notice(Notice("warning", text)))
            return
        form = await exchange.within(self._desk().form(form_id))
        if form is None:
            await self._show(exchange, Reply(_GONE))
        else:
            await self._show_form(exchange, form, page)

    async def _find(self, exchange: Exchange, local: ids.Local) -> None:
        form = await exchange.within(self._desk().form(local.part(1)))
        if form is None or local.number(0) >= len(form.fields):
            await self._show(exchange, Reply(_GONE))
        elif exchange.can_show_modal:
            await exchange.modal(steps.sieve(form, local.number(0)))
        else:
            await self._pick(exchange, local.part(1), local.number(0), 0, "")

    async def _pick(self, exchange: Exchange, form_id: str, index: int, page: int, typed: str) -> None:
        async def work() -> tuple[Form, Sequence[Option]] | None:
            form = await self._desk().form(form_id)
            if form is None or index >= len(form.fields):
                return None
            return form, await self._desk().options(form_id, form.fields[index].id, typed, _ALL)

        found = await exchange.within(work())
        if found is None:
            await self._show(exchange, Reply(_GONE))
        else:
            view = steps.choices(found[0], index, page, typed, found[1])
            await exchange.show(view, to_send(view, {}))

    async def _take(self, exchange: Exchange, interaction: Json, local: ids.Local) -> None:
        index, form_id = local.number(0), local.part(1)
        wire = next(iter(payloads.chosen(interaction)), "")

        async def work() -> tuple[Form, Option] | Rendered | None:
            form = await self._desk().form(form_id)
            if form is None or index >= len(form.fields):
                return None
            field, page = form.fields[index], fields.page_of(form, index)
            option = answers.taken(await self._desk().options(form_id, field.id, "", _ALL), wire)
            option = option or answers.taken(field.options, wire)
            if option is None:  # by now another field has this place, or the list came out otherwise
                return _changed(form, page)
            values = {field.id: option.value}
            told = payloads.submission(interaction, form_id, values, page, False, self._base_url())
            await self._desk().submit(told)
            return form, option

        found = await exchange.within(work())
        if found is None:
            await self._show(exchange, Reply(_GONE))
        elif isinstance(found, Rendered):
            await exchange.show(found)
        else:
            await exchange.show(steps.chosen(found[0], index, found[1].label))

    async def _submit(self, exchange: Exchange, interaction: Json, local: ids.Local) -> None:
        page, check, form_id = local.number(0), local.part(1), local.part(3)

        async def work() -> Reply | FieldErrors | Rendered:
            form = await self._desk().form(form_id)
            if form is None:
                return Reply(_GONE)
            count = len(fields.pages(form))
            if page >= count or fields.check_of(form, page) != check:
                return _changed(form, min(page, count - 1))
            raw = await self._with_files(interaction)
            values = answers.read(form, page, raw)
            last = page + 1 >= count
            return await self._desk().submit(
                payloads.submission(interaction, form_id, values, page, last, self._base_url())
            )

        result = await exchange.within(work())
        if isinstance(result, FieldErrors):
            view = steps.refusal(result.form, result.errors)
            await exchange.show(view, to_send(view, {}))
        elif isinstance(result, Rendered):
            await exchange.show(result)
        else:
            await self._show(exchange, result)

    async def _with_files(self, interaction: Json) -> dict[str, str | bool | list[str] | list[Attachment]]:
        """What the modal brought, with uploads fetched."""
        uploads = payloads.uploads(interaction)
        raw: dict[str, str | bool | list[str] | list[Attachment]] = {}
        for name, value in payloads.filled(interaction).items():
            if isinstance(value, list) and value and all(item in uploads for item in value):
                raw[name] = [await self._files.fetch(uploads[item]) for item in value]
            else:
                raw[name] = value
        return raw

    # Answering.

    async def _answer(self, exchange: Exchange, work: Awaitable[Reply]) -> None:
        async def go() -> None:
            await self._show(exchange, await exchange.within(work))

        await self._guarded(exchange, go())

    async def _guarded(self, exchange: Exchange, going: Awaitable[None]) -> None:
        """Carry out; whatever fails, the person is told."""
        with reaching() as reached:
            try:
                await going
            except Exception as error:  # noqa: BLE001 - as above
                reached.set_result(await self._failed(exchange, error))
            else:
                reached.set_result(True)

    async def _failed(self, exchange: Exchange, error: Exception) -> bool:
        """Say why nothing comes; False when an answer may still come in another way."""
        if isinstance(error, TooLarge | Unreachable):
            notice = _refused(error)
            log.warning("An answer failed: %s", notice.text)
        else:
            notice = _broken("click")
        try:
            await exchange.show(cards.notice(notice))
        except Unreachable as final:
            REFUSALS.add("discord", "answer lost")
            log.warning("An interaction stays without answer: %s", final.reason)
            return False
        return not (isinstance(error, Unreachable) and error.retry_after is not None)

    async def _show(self, exchange: Exchange, reply: Reply) -> None:
        self.remember(reply.body)
        if isinstance(reply.body, Form):
            await self._show_form(exchange, reply.body, reply.body.page)
            return
        if reply.card is not None and not exchange.over:
            await self._draw_over(exchange, reply.card)
        view, files = await self.draw(reply.body)
        await exchange.show(view, files, public=reply.public, over=reply.replaces)

    async def _draw_over(self, exchange: Exchange, card: Card) -> None:
        """The pressed message anew, as the answer to its click; should that fail, the outbox draws it all the same."""
        try:
            self.remember(card)
            view, files = await self.draw_card(card)
            await exchange.show(view, files, over=True)
        except (TooLarge, Unreachable) as error:
            log.info("A card was not drawn by its click: %s", error)

    async def _show_form(self, exchange: Exchange, form: Form, page: int) -> None:
        if not exchange.can_show_modal:
            saved = exchange.interaction["type"] == 5
            await exchange.show(steps.step(form, page, saved=saved))
            return
        view = forms.modal(form, page, over=exchange.over)
        await exchange.modal(view.payload)
        if view.overflow:
            beside = steps.in_full(view.overflow)
            exchange.over = False
            await exchange.show(beside, to_send(beside, {}))

    async def draw_card(self, card: Card) -> tuple[Rendered, list[Sent]]:
        """A card with the files it shows."""
        refs, contents = await self._files.read(card.files)
        view = cards.card(replace(card, files=refs))
        names, _ = components.attachment_names(refs, limits.ATTACHMENTS - 1)
        return view, to_send(view, {name: contents[refs[index].uri] for index, name in names.items()})

    async def draw(self, body: object, owner: str = "") -> tuple[Rendered, list[Sent]]:
        """Anything the desk answers with, as a message and its files."""
        match body:
            case Card():
                return await self.draw_card(body)
            case Form():
                return steps.step(body, body.page, saved=False, owner=owner), []
            case Listing():
                view = listings.listing(body)
            case Transcript():
                view, content = listings.transcript(body)
                return view, to_send(view, {components.safe_name(body.name): content or b""})
            case Notice():
                view = cards.notice(body)
            case _:
                view = cards.notice(Notice("warning", "There is nothing to show."))
        return view, to_send(view, {})


def _changed(form: Form, page: int) -> Rendered:
    """The way into a page of a form as it is now, for what was drawn before."""
    view = steps.step(form, page)
    note = components.text(_CHANGED)
    return Rendered({**view.payload, "components": [note, *view.payload["components"]]}, view.overflow)


def _refused(error: TooLarge | Unreachable) -> Notice:
    if isinstance(error, TooLarge):
        return Notice("warning", error.text, code="E13")
    return Notice("warning", error.reason)


def _broken(what: str) -> Notice:
    """The sentence for what must not happen; called while the exception is handled, so that the log has it."""
    reference = secrets.token_hex(4)
    log.exception("Answering a %s failed (ref %s)", what, reference)
    text = f"Something broke on my side (ref {reference}). Look at `/flow status` before you try again."
    return Notice("danger", text, code="E26")
