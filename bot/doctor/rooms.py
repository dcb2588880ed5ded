"""The rooms that the settings name: where cards are to stand."""

from bot.conversation import Room
from bot.settings import BotSettings


def rooms_on(settings: BotSettings, platform: str) -> list[Room]:
    """Those of a platform: default rooms, and where approvals are shown or escalated to."""
    named = [*settings.chat.rooms]
    for rule in settings.approvals:
        named += rule.rooms or ()
        named += [room for step in rule.escalate for room in step.rooms]
    return list(dict.fromkeys(room for room in named if room.platform == platform))
