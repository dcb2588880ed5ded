"""The chat platforms that the settings connect the bot to. Their SDKs are loaded only where they are used."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bot.settings import BotSettings

if TYPE_CHECKING:
    from bot.discord.client import DiscordFrontEnd
    from bot.slack.app import SlackFrontEnd

Locate = Callable[[str], Path]


def slack(settings: BotSettings, locate: Locate | None = None) -> "SlackFrontEnd | None":
    """The front end for Slack; None without its token."""
    if settings.slack_bot_token is None:
        return None
    from bot.slack.app import SlackFrontEnd  # noqa: PLC0415 - a bot without Slack need not load its SDK

    return SlackFrontEnd(
        settings.slack_bot_token.get_secret_value(),
        app_token=settings.slack_app_token.get_secret_value() if settings.slack_app_token else None,
        signing_secret=settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else None,
        base_url=settings.slack_base_url,
        locate=locate,
        inbox=settings.data / "uploads",
        connections=settings.slack_connections,
    )


def discord(settings: BotSettings, locate: Locate | None = None) -> "DiscordFrontEnd | None":
    """The front end for Discord; None without its token."""
    if settings.discord_token is None:
        return None
    from bot.discord.client import DiscordFrontEnd  # noqa: PLC0415 - as above

    return DiscordFrontEnd(
        settings.discord_token.get_secret_value(),
        locate=locate,
        sync_state=settings.data / "discord-commands",
        inbox=settings.data / "uploads",
        base_url=settings.discord_base_url,
        gateway_url=settings.discord_gateway_url,
        explains=settings.explain is not None,
    )
