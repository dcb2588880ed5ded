"""The database: whether it can be written, and on a server which processes are at work."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bot.findings import Finding
from bot.settings import BotSettings
from engine.errors import SettingInvalid
from engine.secrets import Vault
from engine.store.health import Health, of_file, of_server
from engine.store.members import DEFAULT, group_of
from engine.store.postgres import is_postgres

SKEW = 5.0  # seconds between our clock and the server's, by which all go


async def database(settings: BotSettings) -> list[Finding]:
    """The file or the server that the settings name."""
    named = settings.database
    if named is not None and is_postgres(named):
        health = await asyncio.to_thread(of_server, named)
        return [_reached(health)] if health.problem else [_reached(health), *_key(settings, health), *_server(health)]
    file = settings.data / "parley.db" if named is None else Path(named)
    return [_reached(await asyncio.to_thread(of_file, file))]


def _reached(health: Health) -> Finding:
    if health.problem:
        return Finding("database", "wrong", health.problem, health.fix)
    return Finding("database", "ok", f"{health.name}{', in use' if health.is_busy else ''}")


def _key(settings: BotSettings, health: Health) -> list[Finding]:
    """Nothing when our key is the one that the others have, or nobody has one yet."""
    try:
        vault = Vault.there(settings)
    except SettingInvalid as error:
        return [Finding("encryption key", "wrong", error.message, error.fix)]
    if health.key is None or (vault is not None and health.key in vault.fingerprints()):
        return []
    fix = "Set PARLEY_ENCRYPTION_KEY to theirs, or copy `encryption.key` from their data folder."
    text = "The other processes on this database have another encryption key: this one would not start."
    return [Finding("encryption key", "wrong", text, fix)]


def _server(health: Health) -> list[Finding]:
    """Who works on a server, and whether its clock goes as ours."""
    found = []
    if health.now is not None and (off := abs((datetime.now(UTC) - health.now).total_seconds())) > SKEW:
        fix = "Set both by NTP: timers, deadlines and schedules of all machines go by the server's."
        found.append(Finding("clock", "hint", f"The database server's clock is {off:.0f} s away from ours.", fix))
    roles = Counter(member.role for member in health.members)
    if not roles:
        return [*found, Finding("processes", "hint", "No process is at work on it now.", "Start one: `parley up`.")]
    said = "; ".join(f"{one.role} on {one.host} (process {one.pid})" for one in health.members)
    found.append(Finding("processes", "ok", said))
    if not any(member.decides for member in health.members):
        fix = "Start one with the role `bot`, `scheduler` or `all`."
        found.append(Finding("processes", "wrong", "Only workers run: nobody decides what comes next.", fix))
    elif not roles["all"] and not roles["bot"]:
        fix = "Start one with the role `bot` or `all`."
        found.append(Finding("processes", "wrong", "No process with the role `bot` runs: nobody answers chats.", fix))
    return [*found, *_workers(health)]


def _workers(health: Health) -> Iterator[Finding]:
    """Tasks that nobody would run, and groups that tasks wait for."""
    served = {queue for member in health.members for queue in member.queues}
    if DEFAULT not in served:
        text = "All workers have a group: tasks without one wait." if served else "No worker runs: tasks wait for one."
        fix = "Start one with `--role worker`, or run with the role `all`."
        yield Finding("processes", "wrong" if DEFAULT in health.waiting else "hint", text, fix)
    for group in map(group_of, sorted({*health.waiting} - served - {DEFAULT})):
        fix = f"Start one: `parley up --role worker --worker-group {group}`."
        yield Finding("processes", "wrong", f"Tasks wait for a worker of the group {group!r}, and none runs.", fix)
