"""One interaction and our answers to it. Discord wants the first within 3 seconds; the rest may take 15 minutes."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from bot.discord import payloads
from bot.discord.limits import GRACE
from bot.discord.transport import Json, Sent, Transport
from bot.discord.views.components import EPHEMERAL, Rendered
from bot.frontend import Unreachable

log = logging.getLogger("parley.discord")

T = TypeVar("T")

MESSAGE, THINKING, LATER, REDRAW, MODAL = 4, 5, 6, 7, 9  # Discord's kinds of a first response


class Exchange:
    """Answers one interaction, in whichever way is still open.

    `over`: the interaction came from a card of our own (a step, a question), which private answers replace.
    """

    def __init__(self, transport: Transport, interaction: Mapping[str, Any], *, over: bool = False) -> None:
        self.interaction = interaction
        self.over = over
        self._transport = transport
        self._first: Literal["open", "thinking", "later", "done"] = "open"

    @property
    def can_show_modal(self) -> bool:
        """Whether a modal may be the answer: nothing was sent yet, and it is no modal itself that asks."""
        return self._first == "open" and self.interaction["type"] != 5

    async def within(self, work: Awaitable[T]) -> T:
        """The result of `work`; when it takes long, Discord is told to wait first."""
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=GRACE)
            if not done:
                try:
                    await self.defer()
                except Unreachable as error:  # too late for the person, but what they did still counts
                    log.warning("An interaction could not be deferred: %s", error.reason)
            return await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def defer(self) -> None:
        """Tell Discord that an answer comes later; what it is will be private unless said otherwise then."""
        if self._first != "open":
            return
        if payloads.source(self.interaction) is not None:
            self._first = "later"
            await self._transport.respond(self.interaction, LATER, {})
        else:
            self._first = "thinking"
            await self._transport.respond(self.interaction, THINKING, {"flags": EPHEMERAL})

    async def modal(self, payload: Json) -> None:
        """Show a modal; only while `can_show_modal`."""
        self._first = "done"
        await self._transport.respond(self.interaction, MODAL, payload)

    async def show(
        self, view: Rendered, files: Sequence[Sent] = (), *, public: bool = False, over: bool = False
    ) -> None:
        """Show a message: to the person or to everybody, as a new one or over the one that was pressed."""
        over = (over or (self.over and not public)) and payloads.source(self.interaction) is not None
        if over:
            await self._redraw(view, files)
        elif self._first == "open":
            await self._transport.respond(self.interaction, MESSAGE, _flagged(view.payload, public), files)
            self._first = "done"
        elif self._first == "thinking" and not public:
            await self._edit(view, files)
        else:
            if self._first == "thinking":  # what Discord shows as thinking is private and stays so
                await self._edit(Rendered({**view.payload, "attachments": [], "components": _BELOW}), ())
            await self._transport.follow_up(*self._address, _flagged(view.payload, public), files)
            self._first = "done"

    async def _redraw(self, view: Rendered, files: Sequence[Sent]) -> None:
        if self._first == "open":
            payload = {"attachments": [], **view.payload}
            await self._transport.respond(self.interaction, REDRAW, payload, files)
            self._first = "done"
        else:
            await self._edit(view, files)

    async def _edit(self, view: Rendered, files: Sequence[Sent]) -> None:
        await self._transport.edit_original(*self._address, {"attachments": [], **view.payload}, files)
        self._first = "done"

    @property
    def _address(self) -> tuple[str, str]:
        return str(self.interaction["application_id"]), str(self.interaction["token"])


_BELOW = [{"type": 10, "content": "Done, see below."}]


def _flagged(payload: Json, public: bool) -> Json:
    return payload if public else {**payload, "flags": payload.get("flags", 0) | EPHEMERAL}
