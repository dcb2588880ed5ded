"""Messages in plain text: words of the flow's own, or a summary of an execution."""

from typing import Any

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import shortened
from engine.tasks.execution_facts import ExecutionFacts, as_texts, facts
from engine.tasks.http_options import MessageOptions
from engine.tasks.property_types import JsonMap, OptionalText


class TextTask(RunnableTask):
    """Send a text, or a summary of an execution."""

    text_body: Property[OptionalText] = Field(default=None, description="The text, instead of the summary.")
    execution_id: Property[OptionalText] = Field(default=None, description="Which execution; this one unless given.")
    custom_fields: Property[JsonMap | None] = Field(default=None, description="More lines: names and values.")
    custom_message: Property[OptionalText] = Field(default=None, description="The first line.")
    template_render_map: Any = None
    options: Property[MessageOptions | None] = None

    async def said(self, context: RunContext) -> str:
        """The text, and where it is blank the summary; links lead to where people can reach them."""
        text = self.text_body or ""
        if not text.strip():
            text = await summary_of(context, self.execution_id, self.custom_message, self.custom_fields)
        return public_links(text, context.settings.public_url)

    async def said_within(self, context: RunContext, most: int, service: str) -> str:
        """The same in so many characters: a summary is shortened, TaskFailed for a text that is longer."""
        text = await self.said(context)
        if len(text) > most and (self.text_body or "").strip():
            raise TaskFailed(f"The text has {len(text)} characters; {service} takes {most}.", fix="Make it shorter.")
        return shortened(text, most)


def summary_text(about: ExecutionFacts, message: str | None, fields: dict[str, Any]) -> str:
    """A message about an execution in plain lines."""
    lines = [
        *([message] if message else []),
        about.headline,
        about.outcome,
        *(f"{name}: {value}" for name, value in as_texts(fields).items()),
        *([f"Final task ID: {about.last_task}"] if about.last_task else []),
        *([about.link] if about.link else []),
    ]
    return "\n".join(lines)


async def summary_of(
    context: RunContext, execution_id: str | None, message: str | None, fields: dict[str, Any] | None
) -> str:
    """The same of an execution as it stands now; of the task's own, unless another is named."""
    return summary_text(facts(await context.execution_map(execution_id)), message, fields or {})
