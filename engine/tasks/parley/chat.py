"""parley.chat: messages through the bot's own connections, whatever the platform."""

from typing import Literal

from pydantic import Field

from engine.plugin import ChatPost, Outputs, Property, RunContext, RunnableTask, TaskFailed

PLATFORMS: tuple[Literal["slack", "discord", "web"], ...] = ("slack", "discord", "web")


class Posted(Outputs):
    """Where the message went; `message` is the platform's id of it."""

    platform: str
    channel: str
    message: str


class Post(RunnableTask):
    """Post a message to a channel through the bot's own connection: `slack:#ops`, `discord:123456`, `web:lobby`.

    Without `to` it goes to the channel the run was started from.
    """

    type: Literal["parley.chat.Post"]
    to: Property[str | None] = Field(default=None, description="`platform:channel`; empty: where the run was started.")
    text: Property[str] = Field(description="The message, in Markdown.")
    thread: Property[str | None] = None
    files: Property[list[str]] = Field(default=[], description="Internal storage URIs to send along.")

    examples = (
        """
id: say_hello
type: parley.chat.Post
to: "slack:#general"
text: Good morning!
""",
    )

    async def run(self, context: RunContext) -> Posted:
        """Post once; the attempt's own nonce keeps a repeat from showing twice."""
        if context.chat is None:
            raise TaskFailed(
                "No chat is connected, so nothing was posted.", fix="Run it with `parley up`, or set a token."
            )
        place = self._place(context)
        post = ChatPost(
            place[0],
            place[1],
            self.text,
            thread=self.thread,
            files=tuple(self.files),
            nonce=f"{context.task_run_id}:{context.attempt}",
        )
        return Posted(platform=place[0], channel=place[1], message=await context.chat.post(post))

    def _place(self, context: RunContext) -> tuple[Literal["slack", "discord", "web"], str]:
        if self.to:
            platform, _, channel = self.to.partition(":")
            for known in PLATFORMS:
                if platform == known and channel:
                    return known, channel
            raise TaskFailed(f"`to` is {self.to!r}.", fix="Write slack:#channel, discord:<channel id> or web:lobby.")
        origin = context.chat.origin_channel(context.execution_id) if context.chat else None
        for known in PLATFORMS:
            if origin is not None and origin[0] == known:
                return known, origin[1]
        raise TaskFailed(
            "This run was not started from a channel, so `to` must name one.", fix="Add `to: slack:#channel`."
        )
