"""A card with one button, posted before the bot is used: whoever presses it proves that clicks reach the bot."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from bot import chats
from bot.chat_settings import room_of
from bot.conversation import (
    Action,
    Card,
    Click,
    Command,
    FieldErrors,
    Form,
    Notice,
    Option,
    Person,
    Reply,
    Room,
    Submission,
)
from bot.findings import Finding
from bot.frontend import FrontEnd, Unreachable
from bot.settings import BotSettings
from bot.texts import plain
from engine.errors import Refused

WAIT = 300.0  # seconds that somebody has to look and press
SHOWN = 1.0  # seconds that the answer may take to reach them


@dataclass
class TrialDesk:
    """Implements `bot.frontend.Desk` for one button; everything else is told that the bot is being tested."""

    action: str = field(default_factory=lambda: f"p1:tc:{uuid4().hex[:26]}:000000")
    pressed: asyncio.Future[Person] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def card(self) -> Card:
        """The card to press."""
        button = Action(self.action, "I see this", "primary")
        text = "Parley is being set up. Press the button: then buttons work here."
        return Card("post", "test-card", "info", "Test card", body=text, actions=(button,), fallback=text)

    async def command(self, command: Command) -> Reply:
        """Whoever types something learns that nothing is done yet."""
        return Reply(Notice("info", "Parley is being set up: `parley doctor` waits for the button of its test card."))

    async def click(self, click: Click) -> Reply:
        """The press that is waited for; the card says who it was."""
        if click.action_id != self.action:
            return await self.command(Command("", click.person, click.room, click.receipt))
        if not self.pressed.done():
            self.pressed.set_result(click.person)
        first = self.pressed.result()
        text = f"**{plain(first.name, 60)}** pressed the button: Parley works here."
        done = replace(self.card, tone="success", body=text, actions=(), version=1, fallback=text)
        return Reply(Notice("success", "That worked. Parley heard you."), card=done)

    async def submit(self, submission: Submission) -> Reply | FieldErrors:
        """There are no forms here."""
        return await self.command(Command("", submission.person, submission.room, submission.receipt))

    async def form(self, form_id: str) -> Form | None:
        """None is kept."""
        return None

    async def revise(self, form_id: str, values: Mapping[str, Any], person: Person) -> Form | None:
        """None is kept."""
        return None

    async def keep(self, form_id: str, values: Mapping[str, Any], person: Person) -> None:
        """None is kept."""

    async def options(self, form_id: str, field_id: str, typed: str, limit: int) -> tuple[Option, ...]:
        """There are none."""
        return ()

    async def complete(self, argument: str, typed: str, person_id: str, room: Room, limit: int) -> tuple[Option, ...]:
        """There is nothing to run yet."""
        return ()


@asynccontextmanager
async def posted(settings: BotSettings, channel: str) -> AsyncIterator[TrialDesk]:
    """The card stands in a channel (`slack:#ops`, `discord:123`), and is listened to while the block lasts; Refused."""
    try:
        room = room_of(channel)
    except ValueError as error:
        raise Refused(f"{channel!r} is no channel.", fix="Write slack:#ops, slack:C0123 or discord:123456.") from error
    end = _front_end(settings, room)
    desk = TrialDesk()
    await end.start(desk)
    try:
        try:
            await end.post_card(room, desk.card, desk.action)
        except Unreachable as refusal:
            raise Refused(f"The test card can't be posted to {channel}: {refusal.reason}") from refusal
        yield desk
    finally:
        await end.stop()


async def pressed(settings: BotSettings, channel: str, name: str) -> Finding:
    """What came of a test card in a channel; Refused when it can't be posted."""
    async with posted(settings, channel) as desk:
        sys.stderr.write(f"A test card stands in {channel}. Press its button within {WAIT / 60:g} minutes.\n")
        try:
            person = await asyncio.wait_for(asyncio.shield(desk.pressed), WAIT)
        except TimeoutError:
            fix = "If you pressed it: is another bot running with the same token? Is Interactivity on, Socket Mode on?"
            return Finding(name, "wrong", f"Nobody pressed the card in {channel}.", fix)
        await asyncio.sleep(SHOWN)
        return Finding(name, "ok", f"{person.name} ({person.id}) pressed it: buttons work in {channel}")


def _front_end(settings: BotSettings, room: Room) -> FrontEnd:
    if room.platform == "slack" and settings.slack_bot_token is not None and settings.slack_app_token is None:
        raise Refused(
            "In HTTP mode Slack sends clicks to the running bot only.",
            fix="Start it with `parley up`, and press a button it shows for `/flow list`.",
        )
    made: FrontEnd | None = None
    if room.platform == "slack":
        made = chats.slack(settings)
    elif room.platform == "discord":
        made = chats.discord(settings)
    if made is None:
        raise Refused(
            f"The bot is not connected to {room.platform}.", fix=f"Set its token; see bot/docs/{room.platform}.md."
        )
    return made
