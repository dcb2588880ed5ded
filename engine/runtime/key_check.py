"""Sees to it that all processes on a database have the same encryption key."""

from engine.errors import SettingInvalid, StoreFailed
from engine.secrets import Vault
from engine.store import parts
from engine.store.database import Database
from engine.store.documents import dumps, loads

NAME, OWNER = "encryption", "the key of all processes"


async def check_key(database: Database, vault: Vault) -> None:
    """Leave a proof of the key, or open the one that is there; SettingInvalid when it does not open."""
    proof = dumps(vault.seal("same", OWNER))
    there = await database.transact(lambda unit: parts.first(unit.connection, NAME, proof))
    try:
        vault.open(loads(there), OWNER)
    except StoreFailed as error:
        raise SettingInvalid(
            "The other processes on this database have another encryption key.",
            fix="Set PARLEY_ENCRYPTION_KEY to theirs, or copy `encryption.key` from their data folder.",
        ) from error
