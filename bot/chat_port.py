"""The engine's way to chat: tasks post through the bot's own connections and learn where their run was started."""

import asyncio
from collections.abc import Sequence

from bot.frontend import FrontEnd, Unreachable
from bot.texts import TEXTS
from engine.errors import TaskFailed
from engine.plugin import ChatPost
from engine.runtime import Engine
from engine.store import chat_messages

PATIENCE = 60.0  # seconds a task waits in all when a platform asks it to
LONGEST = 30.0  # and at once


class FrontEndChat:
    """A ChatPort over the connected front ends."""

    def __init__(self, engine: Engine, front_ends: Sequence[FrontEnd]) -> None:
        self._engine = engine
        self._front_ends = {front_end.platform: front_end for front_end in front_ends}

    async def post(self, post: ChatPost) -> str:
        """Post and return the platform's message id; TaskFailed says what to do when the channel can't be reached."""
        front_end = self._front_ends.get(post.platform)
        if front_end is None:
            raise TaskFailed(
                f"The bot is not connected to {post.platform}.",
                fix=f"Set the token for {post.platform} and restart; `parley doctor` shows what is missing.",
            )
        waited = 0.0
        while True:
            try:
                return (await front_end.post(post)).message
            except Unreachable as refusal:
                seconds = refusal.retry_after
                if seconds is None:
                    raise TaskFailed(
                        f"{post.platform} did not take the message for {post.channel}: {refusal.reason}",
                        fix=TEXTS["E16"].format(channel=post.channel).replace(" Your input is kept.", ""),
                    ) from refusal
                if seconds > LONGEST or waited + seconds > PATIENCE:
                    raise TaskFailed(
                        f"{post.platform} wants {seconds:g} s before a post to {post.channel}: {refusal.reason}",
                        fix="Give the task a `retry` with a longer interval, or post less often.",
                    ) from refusal
                waited += seconds
                await asyncio.sleep(max(seconds, 0.05))

    def origin_channel(self, execution_id: str) -> tuple[str, str] | None:
        """(platform, channel) from which an execution was started, also by way of subflows; None when not in chat."""
        start = self._engine.database.read_now(lambda connection: chat_messages.start_above(connection, execution_id))
        if start is None or start.room["platform"] not in self._front_ends:
            return None
        return start.room["platform"], start.room["channel"]
