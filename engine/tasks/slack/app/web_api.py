"""Slack's Web API for tasks: the task's own token, or the bot's connection."""

import json
from collections.abc import Mapping
from typing import Any

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.outbound import deliver
from engine.tasks.property_types import OptionalText

BASE_URL = "https://slack.com/api"
HINTS = {
    "channel_not_found": "Check the channel's name or id.",
    "not_in_channel": "Invite the app to the channel: /invite @app.",
    "invalid_auth": "Check the token.",
    "missing_scope": "Add the scope to the app and install it again.",
}


class SlackTask(RunnableTask):
    """What every task of the app has."""

    token: Property[OptionalText] = None

    async def call(self, context: RunContext, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call one method with the task's token; TaskFailed when Slack refuses."""
        if not self.token:
            raise TaskFailed(
                f"`{method}` needs a `token`.", fix="Give the app's bot token: {{ secret('SLACK_BOT_TOKEN') }}."
            )
        context.mask(self.token)
        base = context.settings.provider("slack").base_url or BASE_URL
        given = {key: value for key, value in body.items() if value is not None}
        answer = await deliver(
            context,
            f"{base.rstrip('/')}/{method}",
            service="Slack",
            headers={"Authorization": f"Bearer {self.token}"},
            json=given,
        )
        return checked(answer.content, method)


def checked(content: bytes, method: str) -> dict[str, Any]:
    """Slack's answer when it says `ok`; TaskFailed with its reason otherwise."""
    try:
        said = json.loads(content)
    except json.JSONDecodeError as error:
        raise TaskFailed(f"Slack's answer to {method} is not JSON.") from error
    if not isinstance(said, dict) or not said.get("ok"):
        reason = str(said.get("error", "unknown_error")) if isinstance(said, dict) else "unknown_error"
        raise TaskFailed(f"Slack refused {method}: {reason}", fix=HINTS.get(reason, ""))
    return said
