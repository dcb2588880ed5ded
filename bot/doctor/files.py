"""Whether what tasks write can be kept where `storage` says, and found by every process."""

import asyncio

from bot.findings import Finding
from bot.settings import BotSettings
from engine.errors import EngineError
from engine.file_settings import open_files
from engine.store.postgres import is_postgres


async def files(settings: BotSettings) -> list[Finding]:
    """Nothing where a process alone keeps them in its data folder."""
    if settings.storage is not None:
        return [await asyncio.to_thread(_kept, settings, settings.storage)]
    if not is_postgres(settings.database):
        return []
    text = "`storage` is not set: what a task writes on one machine can't be read on another."
    fix = "Set it to a folder that all machines mount (file:///mnt/parley) or to a bucket (s3://bucket/prefix)."
    return [Finding("storage", "hint" if settings.role == "all" else "wrong", text, fix)]


def _kept(settings: BotSettings, place: str) -> Finding:
    try:
        store = open_files(settings)
        store.delete(store.put("doctor", b"", "probe"))
    except EngineError as error:
        return Finding("storage", "wrong", error.message, error.fix)
    except OSError as error:
        fix = "Check that it is mounted, and whose it is."
        return Finding("storage", "wrong", f"{place} can't be written: {error.strerror}.", fix)
    return Finding("storage", "ok", place)
