"""`parley migrate-store`: from a database file to PostgreSQL, with everything that waits."""

import asyncio
import sys
from pathlib import Path

from bot.settings import read_settings
from engine.audit_keys import KEY_FILE
from engine.errors import SettingInvalid
from engine.store.database import SqliteDatabase
from engine.store.moving import Moved, move
from engine.store.postgres import PostgresDatabase, is_postgres


def migrate_store(source: Path | None, target: str, data: Path | None) -> None:
    """Copy, and say what else is to be done."""
    settings = read_settings(data=data)
    file = source or settings.data / "parley.db"
    if not file.is_file():
        raise SettingInvalid(f"There is no database {file}.", fix="Name it with --from, or its folder with --data.")
    if not is_postgres(target):
        raise SettingInvalid("--to names no PostgreSQL server.", fix="Write postgresql://user:password@host/name.")
    moved = asyncio.run(_moved(file, target))
    sys.stdout.write(_report(moved, file))


async def _moved(file: Path, target: str) -> Moved:
    source = await SqliteDatabase.open(file)
    try:
        there = await PostgresDatabase.open(target)
        try:
            return await move(source, there)
        finally:
            await there.close()
    finally:
        await source.close()


def _report(moved: Moved, file: Path) -> str:
    rows = moved.rows
    key = file.with_name("encryption.key")
    lines = [
        f"Copied {rows.get('execution', 0)} executions, {rows.get('flow', 0)} revisions of flows, "
        f"{rows.get('log', 0)} log lines; {moved.pauses} pauses wait for an answer, their cards go on.",
        "Next: set `database` to the new address for every process. Keep the old file until all is well.",
    ]
    if key.is_file():
        lines.append(f"Secrets are encrypted: give every process the key in {key} as PARLEY_ENCRYPTION_KEY.")
    else:
        lines.append("Secrets are encrypted: give every process the same PARLEY_ENCRYPTION_KEY as before.")
    signs = file.with_name(KEY_FILE)
    if signs.is_file():
        lines.append(
            f"The record is signed: give every bot the key in {signs} as `audit.key_file` or PARLEY_AUDIT__KEY."
        )
    files = file.with_name("files")
    if files.is_dir():
        lines.append(f"Files lie in {files}: copy them to where `storage` points.")
    return "\n".join(lines) + "\n"
