"""`io.kestra.plugin.slack.app.files`: files for Slack."""

import asyncio
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import ChatPost, Outputs, Property, RunContext, TaskFailed
from engine.tasks.outbound import deliver, send
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.slack.app.web_api import BASE_URL, SlackTask, checked


class Uploaded(Outputs):
    """Slack's id of the file, or of the message the bot posted it with."""

    fileId: str  # noqa: N815 - appears as written


class Upload(SlackTask):
    """Share a file from internal storage in a channel: with `token` as that app, without it as the bot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: share
type: io.kestra.plugin.slack.app.files.Upload
token: "{{ secret('SLACK_BOT_TOKEN') }}"
from: "{{ outputs.report.uri }}"
channel: C0123456789
title: Report
""",
    )
    type: Literal["io.kestra.plugin.slack.app.files.Upload"]
    from_: Property[Text] = Field(alias="from")
    channel: Property[OptionalText] = None
    title: Property[OptionalText] = None
    filename: Property[OptionalText] = None
    initial_comment: Property[OptionalText] = None
    timestamp: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Uploaded:
        path = context.files.path(self.from_)
        if not self.token and context.chat is not None:
            if not self.channel:
                raise TaskFailed("No channel is named.", fix="Give `channel`.")
            post = ChatPost(
                platform="slack",
                channel=self.channel,
                text=self.initial_comment or self.title or "",
                thread=self.timestamp,
                files=[self.from_],
                nonce=context.task_run_id,
            )
            return Uploaded(fileId=await context.chat.post(post))
        name = self.filename or path.name
        content = await asyncio.to_thread(path.read_bytes)
        slot = await self._slot(context, name, len(content))
        answer = await send(context, "POST", str(slot["upload_url"]), content=content)
        if answer.code >= 400:
            raise TaskFailed(f"Slack did not take the file: {answer.code}.")
        file = {"id": slot["file_id"], "title": self.title or name}
        await self.call(
            context,
            "files.completeUploadExternal",
            {
                "files": [file],
                "channel_id": self.channel,
                "initial_comment": self.initial_comment,
                "thread_ts": self.timestamp,
            },
        )
        return Uploaded(fileId=str(slot["file_id"]))

    async def _slot(self, context: RunContext, name: str, length: int) -> dict[str, Any]:
        """Where to send the bytes; this method takes a form, not JSON."""
        if not self.token:
            raise TaskFailed("There is neither a `token` nor a bot connected to Slack.")
        context.mask(self.token)
        base = context.settings.provider("slack").base_url or BASE_URL
        answer = await deliver(
            context,
            f"{base.rstrip('/')}/files.getUploadURLExternal",
            service="Slack",
            headers={"Authorization": f"Bearer {self.token}"},
            data={"filename": name, "length": str(length)},
        )
        return checked(answer.content, "files.getUploadURLExternal")
