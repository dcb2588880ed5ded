"""The engine's way to chat: tasks post through the bot's own connections and learn where their run was started."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from bot.frontend import FrontEnd, Unreachable
from bot.texts import TEXTS
from engine.errors import TaskFailed
from engine.plugin import ChatPost
from engine.runtime import Engine
from engine.store import chat_messages

PATIENCE = 60.0  # seconds a task waits in all when a platform asks it to
LONGEST = 30.0  # and at once
R = TypeVar("R")


@runtime_checkable
class OpenInterface(Protocol):
    """A front end whose platform can be asked for anything that the bot may do there."""

    async def call(self, method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        """One call as the bot; what the platform answers, a refusal too. Unreachable."""


class FrontEndChat:
    """A ChatPort over the connected front ends."""

    def __init__(self, engine: Engine, front_ends: Sequence[FrontEnd]) -> None:
        self._engine = engine
        self._front_ends = {front_end.platform: front_end for front_end in front_ends}

    async def post(self, post: ChatPost) -> str:
        """Post and return the platform's message id; TaskFailed says what to do when the channel can't be reached."""
        front_end = self._front_ends.get(post.platform)
        if front_end is None:
            raise _not_connected(post.platform)
        about = f"a post to {post.channel}"
        try:
            return (await _patient(post.platform, about, lambda: front_end.post(post))).message
        except Unreachable as refusal:
            raise TaskFailed(
                f"{post.platform} did not take the message for {post.channel}: {refusal.reason}",
                fix=TEXTS["E16"].format(channel=post.channel).replace(" Your input is kept.", ""),
            ) from refusal

    async def call(self, platform: Literal["slack"], method: str, given: Mapping[str, str]) -> Mapping[str, Any]:
        """Do something else there as the bot; what the platform answers, a refusal too. TaskFailed."""
        front_end = self._front_ends.get(platform)
        if not isinstance(front_end, OpenInterface):
            raise _not_connected(platform)
        try:
            return await _patient(platform, method, lambda: front_end.call(method, given))
        except Unreachable as refusal:
            raise TaskFailed(
                f"{platform} did not do {method}: {refusal.reason}", fix="Give the task a `retry`."
            ) from refusal

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        """(platform, channel) from which an execution was started, also by way of subflows; None when not in chat."""
        start = self._engine.database.read_now(lambda connection: chat_messages.start_above(connection, execution_id))
        if start is None or start.room["platform"] not in self._front_ends:
            return None
        return start.room["platform"], start.room["channel"]


def _not_connected(platform: str) -> TaskFailed:
    return TaskFailed(
        f"The bot is not connected to {platform}.",
        fix=f"Set the token for {platform} and restart; `parley doctor` shows what is missing.",
    )


async def _patient(platform: str, about: str, doing: Callable[[], Awaitable[R]]) -> R:
    """What is done, once the platform lets us: pauses that it asks for are waited out. Unreachable, TaskFailed."""
    waited = 0.0
    while True:
        try:
            return await doing()
        except Unreachable as refusal:
            seconds = refusal.retry_after
            if seconds is None:
                raise
            if seconds > LONGEST or waited + seconds > PATIENCE:
                raise TaskFailed(
                    f"{platform} wants {seconds:g} s before {about}: {refusal.reason}",
                    fix="Give the task a `retry` with a longer interval, or post less often.",
                ) from refusal
            waited += seconds
            await asyncio.sleep(max(seconds, 0.05))
