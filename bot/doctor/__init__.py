"""What is wrong with a set-up, in the order in which to mend it."""

from collections.abc import Awaitable, Callable

from bot.doctor.database import database
from bot.doctor.discord import discord
from bot.doctor.explain import explain
from bot.doctor.files import files
from bot.doctor.here import approvals, disk, flows, folder, limits, page, programs, roles
from bot.doctor.slack import slack
from bot.findings import Finding
from bot.settings import BotSettings

Look = Callable[[BotSettings], Awaitable[list[Finding]]]
LOOKS: tuple[Look, ...] = (
    folder,
    disk,
    database,
    files,
    limits,
    flows,
    programs,
    roles,
    approvals,
    page,
    explain,
    slack,
    discord,
)


async def examine(settings: BotSettings) -> list[Finding]:
    """Everything there is to say about a set-up; never raises for what it finds."""
    return [finding for look in LOOKS for finding in await look(settings)]
