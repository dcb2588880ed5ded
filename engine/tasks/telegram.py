"""`io.kestra.plugin.telegram`: messages by a bot of Telegram."""

from typing import Annotated, Any, ClassVar, Literal

from engine.plugin import Instead, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import chunks
from engine.tasks.execution_text import summary_of
from engine.tasks.http_options import DEFAULT, MessageOptions
from engine.tasks.outbound import deliver
from engine.tasks.property_types import JsonMap, OptionalText, Text

BASE_URL = "https://api.telegram.org"
MAX_TEXT = 4096


class TelegramTask(RunnableTask):
    """What both tasks have."""

    token: Property[Text]
    channel: Property[Text]
    parse_mode: Property[OptionalText] = None
    endpoint_override: Property[OptionalText] = None
    options: Property[MessageOptions | None] = None

    async def say(self, context: RunContext, text: str) -> None:
        """Send a text, in several messages when it is long; TaskFailed when Telegram refuses."""
        if not text.strip():
            raise TaskFailed("There is nothing to send.", fix="Give `payload`.")
        context.mask(self.token)
        base = (self.endpoint_override or context.settings.provider("telegram").base_url or BASE_URL).rstrip("/")
        for piece in chunks(public_links(text, context.settings.public_url), MAX_TEXT):
            body = {"chat_id": self.channel, "text": piece}
            if self.parse_mode:
                body["parse_mode"] = self.parse_mode
            address, options = f"{base}/bot{self.token}/sendMessage", self.options or DEFAULT
            await deliver(context, address, service="Telegram", options=options, json=body)


class TelegramSend(TelegramTask):
    """Send a text to a chat."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.telegram.TelegramSend
token: "{{ secret('TELEGRAM_TOKEN') }}"
channel: "@releases"
payload: "{{ inputs.version }} is out."
""",
    )
    type: Literal["io.kestra.plugin.telegram.TelegramSend", "io.kestra.plugin.notifications.telegram.TelegramSend"]
    payload: Property[Text]

    async def run(self, context: RunContext) -> None:
        await self.say(context, self.payload)


class TelegramExecution(TelegramTask):
    """Send a summary of an execution to a chat."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.telegram.TelegramExecution
token: "{{ secret('TELEGRAM_TOKEN') }}"
channel: "@alerts"
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal[
        "io.kestra.plugin.telegram.TelegramExecution", "io.kestra.plugin.notifications.telegram.TelegramExecution"
    ]
    payload: Annotated[Any, Instead("")] = None
    execution_id: Property[OptionalText] = None
    custom_fields: Property[JsonMap | None] = None
    custom_message: Property[OptionalText] = None
    template_render_map: Any = None

    async def run(self, context: RunContext) -> None:
        await self.say(context, await summary_of(context, self.execution_id, self.custom_message, self.custom_fields))
