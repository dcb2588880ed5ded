"""Says at the start whether the encryption key is the one that the database was written with."""

import logging

from engine.errors import SettingInvalid, StoreFailed
from engine.secrets import Vault
from engine.store import kv, parts
from engine.store.database import Database
from engine.store.documents import loads

log = logging.getLogger(__name__)

NAMED = 5  # lost secrets that the log names


async def check_key(database: Database, vault: Vault, *, shared: bool) -> list[str]:
    """Leave a fingerprint of the key, or compare the one that is there; the stored secrets that can't be read.

    Processes that share a database must have one key: SettingInvalid when this one's does not fit. A process alone goes
    on without the secrets, and says once that they are lost to it; a copy of the data folder comes without its key.
    """
    newest, *older = vault.fingerprints()
    there = await database.transact(lambda unit: parts.first(unit.connection, parts.ENCRYPTION_KEY, newest))
    fits = there in (newest, *older)
    if shared and not fits:
        raise SettingInvalid(
            "The other processes on this database have another encryption key.",
            fix="Set PARLEY_ENCRYPTION_KEY to theirs, or copy `encryption.key` from their data folder.",
        )
    lost = [
        f"{pair.namespace}/{pair.key}" for pair in await database.read(kv.secrets) if not _rotates(vault, pair.value)
    ]
    if not fits or lost:
        log.error("%s", told(lost))
    if there != newest and not lost:  # so that an older key may go; and a loss of nothing stored is told once
        await database.transact(lambda unit: parts.put(unit.connection, parts.ENCRYPTION_KEY, newest))
    return lost


def told(lost: list[str]) -> str:
    """What it means that the key does not fit, and what to do."""
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    values = f" These stored secrets can't be read: {', '.join(lost[:NAMED])}{more}." if lost else ""
    return (
        "The encryption key is not the one with which this database was written, as after restoring a backup without "
        f"its key.{values} Secret inputs of runs from before can't be read either. Stop, put the former "
        "`encryption.key` into the data folder (or its text into PARLEY_ENCRYPTION_KEY), and start again; if it is "
        "lost, set the secrets anew."
    )


def _rotates(vault: Vault, sealed: str) -> bool:
    try:
        vault.rotate(loads(sealed))
    except StoreFailed:
        return False
    return True
