"""Signatures in the record of deeds: seals, and keys that take another's place. `audit_proof` says what they prove."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from engine.audit_keys import AuditKey, AuditKeys, fingerprint
from engine.store.audit_chain import append, end
from engine.store.audit_proof import NEW_KEY, SEAL, Head, canonical, key_text, seal_text
from engine.store.chat_tables import audit, settings
from engine.store.statements import put, serial

NOTE = "audit seal"  # the setting that says which row was sealed last, and by which key


@dataclass(frozen=True, slots=True)
class Noted:
    """The last seal, as the database notes it; a signature is what proves it."""

    head: Head
    public: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing came to. `head`: the row that must stay in the record; `missing`: one that had to, and is not there;
    `foreign`: the key that signs this record instead, when it is none of ours: then nothing was signed."""

    head: Head
    missing: Head | None = None
    foreign: str = ""


def noted(connection: Connection) -> Noted | None:
    """The last seal; None when nothing was ever signed."""
    said = connection.execute(select(settings.c.value).where(settings.c.name == NOTE)).scalar_one_or_none()
    try:
        number, hash_, public = json.loads(said or "null")
    except (ValueError, TypeError):
        return None
    is_one = isinstance(number, int) and isinstance(hash_, str) and isinstance(public, str)
    return Noted(Head(number, hash_), public) if is_one else None


def is_due(connection: Connection, known: Head) -> bool:
    """Whether there is anything to sign, or a seal that was seen is not there."""
    stood, before = end(connection), noted(connection)
    is_new = stood.number > 0 and (before is None or before.head != stood)
    return is_new or not _is_there(connection, known)


def seal(
    connection: Connection,
    keys: AuditKeys,
    now: datetime,
    of: str,
    *,
    known: Head,
    trusted: frozenset[str] = frozenset(),
    after_loss: bool = False,
) -> Sealed:
    """Sign all rows there are, if any is not signed yet. `of`: what for; `known`: the last seal that was seen here.

    Where a former key of ours signed so far, it hands over to the newest first; after its loss (`after_loss`) the
    newest takes its place by itself. On a server one process at a time, until the commit.
    """
    serial(connection, "audit chain")
    stood, before = end(connection), noted(connection)
    missing = None if _is_there(connection, known) else known
    mine, current = keys.newest, before.public if before else ""
    follows = current in ("", mine.public) or mine.public in trusted
    is_old = stood.number == 0 or (before is not None and before.head == stood)
    if is_old and follows and missing is None and not after_loss:
        return Sealed(before.head if before else known)
    if not follows:
        former = keys.of(current)
        if former is None and not after_loss:
            return Sealed(known, missing, current)
        _hand_over(connection, mine, former, current, now)
    last = before.head if before else Head()
    previous = known if missing is not None or last.number < known.number else last
    facts = {"public": mine.public, "previous": [previous.number, previous.hash] if previous.number else None, "of": of}
    made = _append(connection, SEAL, mine, facts, now)
    put(connection, settings, {"name": NOTE, "value": canonical([made.number, made.hash, mine.public])})
    return Sealed(made, missing)


def _hand_over(connection: Connection, new: AuditKey, former: AuditKey | None, current: str, now: datetime) -> None:
    by, lost = (current, "") if former else ("", current)
    _append(connection, NEW_KEY, former or new, {"public": new.public, "by": by, "lost": lost}, now)


def _append(connection: Connection, action: str, key: AuditKey, facts: Mapping[str, Any], now: datetime) -> Head:
    stood = end(connection)
    text = (seal_text if action == SEAL else key_text)(stood.number + 1, now, stood.hash, facts)
    signed = {**facts, "key": fingerprint(str(facts["public"])), "signature": key.sign(text)}
    return append(connection, signed, at=now, person="", action=action)


def _is_there(connection: Connection, known: Head) -> bool:
    """Whether a seal that was seen is in the record, or older than all of it."""
    if known.number == 0:
        return True
    there = connection.execute(select(audit.c.hash).where(audit.c.id == known.number)).scalar_one_or_none()
    if there is not None:
        return bool(there == known.hash)
    first = connection.execute(select(func.min(audit.c.id))).scalar()
    return first is not None and known.number < first
