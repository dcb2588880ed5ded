"""`io.kestra.plugin.zulip`: messages through Slack-compatible webhooks of Zulip."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.property_types import OptionalText
from engine.tasks.webhook_task import PayloadTask, SummaryTask


class ZulipIncomingWebhook(PayloadTask):
    """Post a message through a webhook of Zulip."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.zulip.ZulipIncomingWebhook
url: "{{ secret('ZULIP_WEBHOOK') }}"
payload: |
  {"text": "{{ outputs.summary.value }}"}
""",
    )
    service: ClassVar[str] = "Zulip"
    type: Literal["io.kestra.plugin.zulip.ZulipIncomingWebhook"]


class ZulipExecution(SummaryTask):
    """Post a summary of an execution through a webhook of Zulip."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.zulip.ZulipExecution
url: "{{ secret('ZULIP_WEBHOOK') }}"
channel: "#alerts"
executionId: "{{ trigger.executionId }}"
""",
    )
    service: ClassVar[str] = "Zulip"
    type: Literal["io.kestra.plugin.zulip.ZulipExecution"]
    channel: Property[OptionalText] = None
    username: Property[OptionalText] = None
    icon_url: Property[OptionalText] = None
    icon_emoji: Property[OptionalText] = None

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        named = {
            "channel": self.channel,
            "username": self.username,
            "icon_url": self.icon_url,
            "icon_emoji": self.icon_emoji,
        }
        return super().summary(about) | {key: value for key, value in named.items() if value}
