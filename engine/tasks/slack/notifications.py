"""`io.kestra.plugin.slack.notifications`: messages through Slack's incoming webhooks."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from engine.plugin import Instead, JsonText, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import Message, find_images, json_object, payload_object, post, shortened
from engine.tasks.execution_facts import FINISHED, ExecutionFacts, as_texts, facts
from engine.tasks.http_options import DEFAULT, HttpOptions, MessageOptions
from engine.tasks.property_types import JsonMap, OptionalText, Text

MAX_TEXT = 40_000  # Slack truncates longer text
MAX_SECTION = 3000
COLORS = {"SUCCESS": "good", "WARNING": "warning"}
UNDER_WAY = "#439FE0"


class SlackIncomingWebhook(RunnableTask):
    """Post a message through an incoming webhook of Slack."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook
url: "{{ secret('SLACK_WEBHOOK') }}"
messageText: "**{{ flow.id }}** is done: [details]({{ outputs.page.uri }})"
""",
        """
id: tell
type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook
url: "{{ secret('SLACK_WEBHOOK') }}"
payload: |
  {"text": "{{ outputs.summary.value }}"}
""",
    )
    type: Literal[
        "io.kestra.plugin.slack.notifications.SlackIncomingWebhook",
        "io.kestra.plugin.notifications.slack.SlackIncomingWebhook",
        "io.kestra.plugin.slack.SlackIncomingWebhook",
    ]
    url: Property[Text]
    payload: JsonText[OptionalText] = None
    message_text: Property[OptionalText] = None
    options: Property[MessageOptions | None] = None

    async def run(self, context: RunContext) -> None:
        body = message_body(self.payload, self.message_text)
        await post_body(context, self.url, body, self.options or DEFAULT)


class SlackExecution(RunnableTask):
    """Post a summary of an execution through an incoming webhook of Slack."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.slack.notifications.SlackExecution
url: "{{ secret('SLACK_WEBHOOK') }}"
executionId: "{{ trigger.executionId }}"
customMessage: Please have a look.
customFields:
  Customer: "{{ labels.customer }}"
""",
    )
    type: Literal[
        "io.kestra.plugin.slack.notifications.SlackExecution",
        "io.kestra.plugin.notifications.slack.SlackExecution",
        "io.kestra.plugin.slack.SlackExecution",
    ]
    url: Property[Text]
    payload: Annotated[Any, Instead("")] = None
    message_text: Annotated[Any, Instead("customMessage")] = None
    options: Property[MessageOptions | None] = None
    execution_id: Property[OptionalText] = None
    custom_fields: Property[JsonMap | None] = None
    custom_message: Property[OptionalText] = None
    template_uri: Annotated[Any, Instead("")] = None
    template_render_map: Any = None
    channel: Property[OptionalText] = None
    username: Property[OptionalText] = None
    icon_url: Property[OptionalText] = None
    icon_emoji: Property[OptionalText] = None

    async def run(self, context: RunContext) -> None:
        about = facts(await context.execution_map(self.execution_id))
        body = execution_body(about, self.custom_message or "", self.custom_fields or {})
        extra = {
            "channel": self.channel,
            "username": self.username,
            "icon_url": self.icon_url,
            "icon_emoji": self.icon_emoji,
        }
        body |= {key: value for key, value in extra.items() if value}
        await post_body(context, self.url, body, self.options or DEFAULT)


async def post_body(context: RunContext, url: str, body: dict[str, Any], options: HttpOptions) -> None:
    """Post Slack's own JSON, its links and length seen to."""
    images: tuple[Any, ...] = ()
    if isinstance(text := body.get("text"), str):
        text = public_links(text, context.settings.public_url)
        named, images = find_images(context, text)
        text = named if images else text
        if len(text) > MAX_TEXT:
            context.log(f"The message has {len(text)} characters; Slack takes {MAX_TEXT}. The rest is cut.", "WARN")
        body = {**body, "text": shortened(text, MAX_TEXT)}
    await post(context, url, Message("slack", body, str(body.get("text", "")), images), options)


def message_body(payload: str | None, message_text: str | None) -> dict[str, Any]:
    """Slack's JSON for a payload, or for a text in Markdown; TaskFailed when there is neither."""
    if payload is not None and payload.strip():
        return payload_object(payload, "Slack")
    if message_text is None or not message_text.strip():
        raise TaskFailed("Either 'messageText' or 'payload' must be provided, and it must not be empty.")
    return json_object(message_text) or {"text": mrkdwn(message_text)}


def mrkdwn(text: str) -> str:
    """Markdown as Slack writes it: `*bold*`, `_italic_`, `<link|text>`."""
    text = re.sub(r"\*\*(.+?)\*\*", r"*\1*", text)
    text = re.sub(r"__(.+?)__", r"_\1_", text)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r"<\2|\1>", text)


def execution_body(about: ExecutionFacts, message: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A message about an execution: one line, a button to its page, and a table of facts."""
    name = about.headline
    text = f"*{f'<{about.link}|{name}>' if about.link else name}*\n> {about.outcome}"
    summary: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    if about.link:
        label = {"type": "plain_text", "text": "Details"}
        summary["accessory"] = {"type": "button", "text": label, "value": "details", "url": about.link}
    intro = {"type": "section", "text": {"type": "mrkdwn", "text": shortened(message, MAX_SECTION)}}
    rows = {
        "Namespace": about.namespace,
        "Flow ID": about.flow_id,
        "Execution ID": about.id,
        "Execution Status": about.state,
        **as_texts(fields),
        "Final task ID": about.last_task,
    }
    attachment: dict[str, Any] = {
        "color": COLORS.get(about.state, "danger" if about.has_failed or about.state in FINISHED else UNDER_WAY),
        "fields": [{"title": title, "value": value, "short": True} for title, value in rows.items() if value],
    }
    if about.started is not None:
        attachment["ts"] = int(about.started)
    return {"text": text, "blocks": [*([intro] if message else []), summary], "attachments": [attachment]}
