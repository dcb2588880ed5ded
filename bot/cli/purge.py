"""`parley purge`: through the running bot's loopback API when one runs on the data folder, else in the database."""

import asyncio
import getpass
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from bot.cli.loopback import running
from bot.settings import BotSettings, read_settings
from engine.core.durations import parse as parse_duration
from engine.errors import Refused, SettingInvalid
from engine.plugin import Selection


def purge(namespace: str | None, before: str | None, older_than: str | None, dry_run: bool, data: Path | None) -> None:
    """Delete what has ended and was made before a date, and say how much that was."""
    settings = read_settings(data=data)
    until = cut(before, older_than, datetime.now(UTC), settings.timezone)
    beside = running(settings.data)
    if beside is None:
        if settings.database is None and not (settings.data / "parley.db").is_file():
            raise SettingInvalid(f"There is no database in {settings.data}.", fix="Name its folder with --data.")
        gone = asyncio.run(_here(settings, Selection(namespace, until=until, below=True), dry_run))
    else:
        gone = _there(*beside, {"namespace": namespace, "before": until.isoformat(), "dryRun": dry_run})
    sys.stdout.write(_report(namespace, until, gone, dry_run))


def cut(before: str | None, older_than: str | None, now: datetime, zone: str) -> datetime:
    """The moment before which things are old; SettingInvalid unless exactly one of the two says it, and well."""
    if (before is None) == (older_than is None):
        raise SettingInvalid("How old?", fix="Give either --before 2026-01-31 or --older-than P30D.")
    if older_than is not None:
        try:
            return now - parse_duration(older_than)
        except (ValueError, OverflowError) as error:
            raise SettingInvalid(f"--older-than: {error}", fix="Write for example P30D.") from error
    try:
        date = datetime.fromisoformat(str(before))
    except ValueError as error:
        raise SettingInvalid(f"--before {before} is no date.", fix="Write for example 2026-01-31.") from error
    return date if date.tzinfo is not None else date.replace(tzinfo=ZoneInfo(zone))


def _there(url: str, token: str, body: dict[str, Any]) -> dict[str, int]:
    header = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{url}/api/v1/purge", json=body, headers=header, timeout=None)  # noqa: S113 - it takes its time
    told = answer.json() if "json" in answer.headers.get("content-type", "") else {"error": answer.text[:200]}
    if answer.is_error:
        raise Refused(str(told["error"]))
    return dict(told)


async def _here(settings: BotSettings, chosen: Selection, dry_run: bool) -> dict[str, int]:
    from engine.runtime import Engine

    engine = await Engine.open(settings)
    try:
        if dry_run:
            return {"executions": await engine.retention.count(chosen)}
        user = getpass.getuser()
        return asdict(await engine.retention.purge(chosen, person=f"local:{user}", name=user, platform="terminal"))
    finally:
        await engine.stop()


def _report(namespace: str | None, until: datetime, gone: dict[str, int], dry_run: bool) -> str:
    where = f" of {namespace} and below" if namespace else ""
    runs = f"{gone['executions']} runs{where} made before {until.isoformat(timespec='seconds')}"
    if dry_run:
        return f"{runs} have ended and would be deleted; nothing was.\n"
    rest = ", ".join(f"{gone.get(part, 0)} {part}" for part in ("logs", "metrics", "files"))
    lines = [f"Deleted {runs}, with {rest}. What waits or runs stays."]
    if gone["executions"]:
        lines.append("Their space is used again by what comes; `parley backup` makes a compact copy.")
    return "\n".join(lines) + "\n"
