"""`io.kestra.plugin.slack.app.canvases`: documents at Slack."""

from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.alias_generators import to_snake

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.property_types import JsonList, JsonMap, Text, TextList
from engine.tasks.slack.app.answers import Said
from engine.tasks.slack.app.web_api import SlackTask

OPERATIONS = ("insert_after", "insert_before", "insert_at_start", "insert_at_end", "replace", "delete", "rename")


class Canvas(Outputs):
    """Slack's id of a canvas."""

    canvasId: str  # noqa: N815 - appears as written


class Sections(Said):
    """The sections that were found; an edit names one by its `id`."""

    sections: list[dict[str, Any]]


class CanvasTask(SlackTask):
    """What every task has that is about a canvas."""

    canvas_id: Property[Text] = Field(description="The canvas's id (F0123456789).")


class Create(SlackTask):
    """Make a canvas."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: minutes
type: io.kestra.plugin.slack.app.canvases.Create
token: "{{ secret('SLACK_BOT_TOKEN') }}"
title: Incident {{ inputs.number }}
documentContent:
  type: markdown
  markdown: |
    ## What happened
    {{ inputs.summary }}
""",
    )
    type: Literal["io.kestra.plugin.slack.app.canvases.Create"]
    title: Property[Text] = Field(description="Its title.")
    document_content: Property[JsonMap] = Field(description="`type: markdown`, and the text as `markdown`.")

    async def run(self, context: RunContext) -> Canvas:
        given = {"title": self.title, "document_content": as_slack(self.document_content)}
        return Canvas(canvasId=await self.named(context, "canvases.create", given, "canvas_id"))


class Edit(CanvasTask):
    """Change a canvas, one change after the other: Slack takes one operation a call."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: note
type: io.kestra.plugin.slack.app.canvases.Edit
token: "{{ secret('SLACK_BOT_TOKEN') }}"
canvasId: "{{ outputs.minutes.canvasId }}"
changes:
  - operation: insert_at_end
    documentContent:
      type: markdown
      markdown: "- {{ inputs.entry }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.canvases.Edit"]
    edits: Property[JsonList] = Field(
        alias="changes",
        description=f"Each with an `operation` ({', '.join(OPERATIONS)}), a `sectionId` where it needs one, and "
        "`documentContent` or `titleContent`.",
    )

    async def run(self, context: RunContext) -> None:
        for change in self.edits:
            operation = change.get("operation") if isinstance(change, dict) else None
            if operation not in OPERATIONS:
                raise TaskFailed(f"A change has the operation {operation!r}.", fix=f"Use {', '.join(OPERATIONS)}.")
        for change in self.edits:
            given = {"canvas_id": self.canvas_id, "changes": [as_slack(change)]}
            await self.call(context, "canvases.edit", given)


class Delete(CanvasTask):
    """Delete a canvas."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: away
type: io.kestra.plugin.slack.app.canvases.Delete
token: "{{ secret('SLACK_BOT_TOKEN') }}"
canvasId: F0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.canvases.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.call(context, "canvases.delete", {"canvas_id": self.canvas_id})


class AccessSet(CanvasTask):
    """Let channels or people read or change a canvas."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: share
type: io.kestra.plugin.slack.app.canvases.AccessSet
token: "{{ secret('SLACK_BOT_TOKEN') }}"
canvasId: F0123456789
accessLevel: READ
userIds: [U0123456789]
""",
    )
    type: Literal["io.kestra.plugin.slack.app.canvases.AccessSet"]
    access_level: Property[Literal["READ", "WRITE"]] = Field(description="What they may do.")
    channel_ids: Property[TextList | None] = Field(default=None, description="Channels that get it.")
    user_ids: Property[TextList | None] = Field(default=None, description="People who get it.")

    async def run(self, context: RunContext) -> None:
        if bool(self.channel_ids) == bool(self.user_ids):
            raise TaskFailed(
                "Slack gives a canvas to channels or to people, one of the two at once.",
                fix="Give either `channelIds` or `userIds`.",
            )
        given = {
            "canvas_id": self.canvas_id,
            "access_level": self.access_level.lower(),
            "channel_ids": self.channel_ids or None,
            "user_ids": self.user_ids or None,
        }
        await self.call(context, "canvases.access.set", given)


class SectionsLookup(CanvasTask):
    """Find sections of a canvas."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: where
type: io.kestra.plugin.slack.app.canvases.SectionsLookup
token: "{{ secret('SLACK_BOT_TOKEN') }}"
canvasId: F0123456789
criteria:
  containsText: Open questions
""",
    )
    type: Literal["io.kestra.plugin.slack.app.canvases.SectionsLookup"]
    criteria: Property[JsonMap] = Field(description="`containsText`, `sectionTypes`, or both.")

    async def run(self, context: RunContext) -> Sections:
        given = {"canvas_id": self.canvas_id, "criteria": as_slack(self.criteria)}
        return await self.read(context, Sections.of, "canvases.sections.lookup", given)


def as_slack(value: Any) -> Any:
    """What a flow writes (`sectionId`) under Slack's names (`section_id`)."""
    if isinstance(value, dict):
        return {to_snake(str(key)): as_slack(item) for key, item in value.items()}
    return [as_slack(item) for item in value] if isinstance(value, list) else value
