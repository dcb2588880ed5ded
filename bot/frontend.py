"""The port between the conversation and a chat platform. Inbound goes to the Desk, outbound comes through FrontEnd."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, Protocol

from bot.conversation import (
    Card,
    Click,
    Command,
    FieldErrors,
    Form,
    MessageRef,
    Notice,
    Option,
    Person,
    Platform,
    Reply,
    Room,
    Submission,
)
from engine.plugin import ChatPost

# Called once what was handed to the desk is on disk, so that it may be acknowledged before it is answered.
KEPT: Final[ContextVar[Callable[[], None] | None]] = ContextVar("kept", default=None)
# What becomes of an answer that the desk gave: True once the person has it, False when no way of its front end leads to
# them. While neither is said, the next start gives it again. Unset: whoever asks the desk shows it in the same breath.
REACHED: Final[ContextVar["asyncio.Future[bool] | None"]] = ContextVar("reached", default=None)


@contextmanager
def reaching() -> Iterator["asyncio.Future[bool]"]:
    """Tells the desk whether its answer reached the person; when it ends without a word, the next start asks again."""
    reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    REACHED.set(reached)
    try:
        yield reached
    finally:
        reached.cancel()


class Desk(Protocol):
    """Where every command, click and filled form arrives, whatever the platform. Each answers well within 3 seconds,
    counts a receipt once (the same receipt again gets the stored answer), and never raises for what a person did."""

    async def command(self, command: Command) -> Reply: ...

    async def click(self, click: Click) -> Reply: ...

    async def submit(self, submission: Submission) -> Reply | FieldErrors: ...

    async def form(self, form_id: str) -> Form | None:
        """A form again by its id, with the draft's values: for the next page, Back, Fix, and after a restart."""

    async def revise(self, form_id: str, values: Mapping[str, Any], person: Person) -> Form | None:
        """A form after an answer on which others depend, with what is asked by now; None when it is gone."""

    async def keep(self, form_id: str, values: Mapping[str, Any], person: Person) -> None:
        """What stands in a form that is not sent yet."""

    async def options(self, form_id: str, field_id: str, typed: str, limit: int) -> tuple[Option, ...]:
        """Choices of one field that fit what was typed so far."""

    async def complete(self, argument: str, typed: str, person_id: str, room: Room, limit: int) -> tuple[Option, ...]:
        """Choices for an argument of the command line while it is typed: `flow`, `run`, `pause`, `key`,
        `schedule`, `alias`, `topic`."""


class Unreachable(Exception):
    """A message could not be posted or edited. `retry_after` seconds when trying again helps; None: never as is.

    `about` says what else is refused for the same reason: this message alone, all in its place, or all on the platform,
    which then does not know us any more. `outside`: the bot is not a member there.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        gone: bool = False,
        about: Literal["message", "place", "platform"] = "place",
        outside: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.gone = gone  # the message was deleted, or can be edited no more: post it anew
        self.about = about
        self.outside = outside


class FrontEnd(Protocol):
    """One chat platform. Posting and editing raise Unreachable and nothing else for what the platform refuses."""

    @property
    def platform(self) -> Platform:
        """Which one."""

    async def start(self, desk: Desk) -> None:
        """Connect and return when events can arrive; SettingInvalid when a token is wrong."""

    async def stop(self) -> None:
        """Stop hearing, then close."""

    async def post_card(self, room: Room, card: Card, nonce: str) -> MessageRef:
        """Post a card (with its files); the same nonce again gives no second message where the platform allows."""

    async def edit_card(self, ref: MessageRef, card: Card) -> None:
        """Draw a card over its message."""

    async def thread_below(self, ref: MessageRef, name: str) -> str | None:
        """The thread of a message, opened under this name when there is none yet; None where messages have none.
        Unreachable."""

    def has_sequel(self, card: Card, *, is_fresh: bool) -> bool:
        """Whether something of a card follows its message: files, or what did not fit. Posting or editing the card
        sends it beside. `is_fresh`: the message was posted for this card, not edited."""

    async def send_sequel(self, ref: MessageRef, card: Card, *, is_fresh: bool) -> None:
        """All that follows a card's message is there, and nothing twice; Unreachable."""

    async def notify(self, room: Room, notice: Notice, person_id: str | None = None, nonce: str = "") -> None:
        """Say something, privately to one person where the platform can; with the same nonce again nothing more, where
        the platform allows."""

    async def answer(self, answer_url: str, reply: Reply) -> None:
        """Answer an interaction late (after a restart), through the address that came with it."""

    async def post(self, post: ChatPost) -> MessageRef:
        """A task's own message."""

    async def is_member(self, person: Person, group: str, *, fresh: bool = True) -> bool:
        """Whether somebody of this platform is in a user group, or has a role, by its id or name. `fresh`: the platform
        is asked before the answer is no. Unreachable when it can't be told."""

    async def zone_of(self, person_id: str) -> str | None:
        """The IANA name of somebody's time zone, where the platform knows it; None, also when it can't be asked."""

    async def is_stranger(self, person: Person) -> bool:
        """Whether somebody is of another company, here by a channel that two companies share. Unreachable when it can't
        be told."""

    async def is_active(self, person_id: str) -> bool:
        """Whether an account is still there: not deactivated, and in a place of ours. The platform is asked now, also
        while we are not connected. Unreachable when it can't be told."""

    async def email_of(self, person_id: str) -> str | None:
        """The address the platform knows somebody by, lower case; None when it has none. Unreachable as above."""

    def describe(self) -> str:
        """One line for the start-up log: who we are connected as, and where."""
