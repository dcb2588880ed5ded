"""`io.kestra.plugin.slack.app.files`: files at Slack."""

import asyncio
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.outbound import send
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.slack.app.answers import File, Said
from engine.tasks.slack.app.web_api import SlackTask, as_timestamp, name_in


class Uploaded(Said):
    """What Slack made of the file."""

    id: str
    title: str | None = None
    name: str | None = None
    permalink: str | None = None
    permalink_public: str | None = None
    url_private: str | None = None


class Upload(SlackTask):
    """Share a file from internal storage in channels: with `token` as that app, without it as the bot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: share
type: io.kestra.plugin.slack.app.files.Upload
token: "{{ secret('SLACK_BOT_TOKEN') }}"
from: "{{ outputs.report.uri }}"
channels: [C0123456789]
filename: report.pdf
title: Report
""",
    )
    type: Literal["io.kestra.plugin.slack.app.files.Upload"]
    from_: Property[Text] = Field(alias="from", description="The file's URI in internal storage.")
    channels: Property[TextList | None] = Field(default=None, description="Ids of the channels.")
    channel: Property[OptionalText] = Field(default=None, description="The id of the only channel.")
    filename: Property[OptionalText] = Field(default=None, description="Its name at Slack; else its own.")
    title: Property[OptionalText] = Field(default=None, description="What people read.")
    alt_txt: Property[OptionalText] = Field(default=None, description="What is in the picture, for who can't see it.")
    snippet_type: Property[OptionalText] = Field(default=None, description="The language of a piece of code.")
    initial_comment: Property[OptionalText] = Field(default=None, description="A message that comes with the file.")
    timestamp: Property[OptionalText] = Field(default=None, description="Of a message: into its thread.")

    async def run(self, context: RunContext) -> Uploaded:
        path = context.files.path(self.from_)
        name = self.filename or path.name
        content = await asyncio.to_thread(path.read_bytes)
        if not content:
            raise TaskFailed(f"{name} is empty, and Slack takes no empty files.")
        about = {
            "filename": name,
            "length": len(content),
            "alt_txt": self.alt_txt or None,
            "snippet_type": self.snippet_type or None,
        }
        slot = await self.call(context, "files.getUploadURLExternal", about)
        address, id_ = (name_in(slot, key, "files.getUploadURLExternal") for key in ("upload_url", "file_id"))
        answer = await send(context, "POST", address, content=content)
        if answer.code >= 400:
            raise TaskFailed(f"Slack did not take the file: {answer.code}.")
        places = [*(self.channels or []), *([self.channel] if self.channel else [])]
        where = {"channel_id": places[0]} if len(places) == 1 else {"channels": ",".join(places) or None}
        done = await self.call(
            context,
            "files.completeUploadExternal",
            {
                "files": [{"id": id_, "title": self.title or name}],
                **where,
                "initial_comment": self.initial_comment or None,
                "thread_ts": as_timestamp(self.timestamp),
            },
        )
        files = done.get("files")
        found = files[0] if isinstance(files, list) and files and isinstance(files[0], dict) else {}
        known = {"name": name, "title": self.title or name, "id": id_}
        return Uploaded.of({**known, **found}, "files.completeUploadExternal")


class FileTask(SlackTask):
    """What tasks have that are about one file."""

    file_id: Property[Text] = Field(description="The file's id (F0123456789).")


class Info(FileTask):
    """Read about a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: about
type: io.kestra.plugin.slack.app.files.Info
token: "{{ secret('SLACK_BOT_TOKEN') }}"
fileId: "{{ outputs.share.id }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.files.Info"]

    async def run(self, context: RunContext) -> File:
        return await self.read(context, File.of, "files.info", {"file": self.file_id}, "file")


class Delete(FileTask):
    """Delete a file; fine when it is deleted already."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: away
type: io.kestra.plugin.slack.app.files.Delete
token: "{{ secret('SLACK_BOT_TOKEN') }}"
fileId: "{{ outputs.share.id }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.files.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.call(context, "files.delete", {"file": self.file_id}, fine=("file_deleted",))
