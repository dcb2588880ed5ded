"""The record of deeds for people: checked, exported, told in lines, and somebody taken out of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bot.conversation import Person
from engine.audit_keys import key_file
from engine.errors import Refused
from engine.runtime import Engine
from engine.store import audit_chain, audit_seals, chat_audit, forgetting
from engine.store.audit_proof import FORGET, OLD_ROWS, Trust, Verdict
from engine.store.chat_audit import Deed
from engine.store.database import Unit
from engine.store.forgetting import Forgotten

BATCH = 2000  # rows taken out in one go: the writer serves others in between


async def verified(
    engine: Engine, head: str = "", accepted: Sequence[int] = (), keys: Sequence[str] = ()
) -> dict[str, Any]:
    """What a check of the chain found, for programs. `keys`: public ones to go by instead of those of this machine."""

    def trust() -> Trust:
        own = engine.notary.trust(frozenset(accepted))
        return replace(own, keys=frozenset(keys), must_sign=True) if keys else own

    found = await engine.database.read(lambda connection: audit_chain.verify(connection, head, trust()))
    return plain(found, is_known=bool(keys) or engine.notary.keys is not None)


def plain(found: Verdict, *, is_known: bool) -> dict[str, Any]:
    """A verdict for programs. `is_known`: the keys were known beforehand, so that nobody else can have signed."""
    return {
        "ok": found.is_whole,
        "rows": found.rows,
        "first": found.first,
        "number": found.head.number,
        "head": found.head.hash,
        "broken": found.broken,
        "why": found.why,
        "sealed": found.sealed,
        "signers": list(found.signers),
        "known": is_known,
        "losses": [{"row": loss.row, "why": loss.why} for loss in found.losses],
    }


async def rows(engine: Engine, since: str = "", run: str = "") -> list[dict[str, Any]]:
    """Every row from a time on, signed up to the last one where there is a key, or those of one run and its questions;
    Refused when the time can't be read."""
    start = moment(since)
    await engine.notary.seal("export")
    found = await engine.database.read(lambda connection: list(audit_chain.export(connection, start)))
    if not run:
        return found
    about = {run, *(row["entity"] for row in found if row["execution_id"] == run)} - {""}
    return [row for row in found if row["execution_id"] == run or row["entity"] in about]


async def unsigned(engine: Engine) -> int:
    """How many of the newest rows no seal covers yet."""
    last, end = await engine.database.read(lambda c: (audit_seals.noted(c), audit_chain.end(c)))
    return end.number - (last.head.number if last is not None else 0)


async def key(engine: Engine) -> str:
    """The public key that signs here; Refused when there is none."""
    keys = engine.notary.keys
    if keys is None:
        raise Refused("There is no key here that signs the record.", fix="A bot makes one when it is first started.")
    await engine.notary.ready()
    return keys.newest.public


async def rotate(engine: Engine, by: Person, *, after_loss: bool) -> str:
    """Let a new key sign from now on; its public part. Who did it is on record before it. Refused, SettingInvalid."""
    deed = Deed(engine.clock.now(), by.id, by.name, by.platform, "audit rotate", "", details={"lost": after_loss})
    try:
        return await engine.notary.rotate(
            after_loss=after_loss, beside=lambda unit: chat_audit.record(unit.connection, deed)
        )
    except OSError as error:
        file = key_file(engine.settings)
        raise Refused(
            f"{file} can't be written: {error.strerror}.",
            fix="Write a new key before the old one in it yourself (`parley audit key --new`), and start again.",
        ) from error


async def forget(engine: Engine, person: str, by: Person | None = None) -> Forgotten:
    """Take somebody out of everything that is kept; that and by whom is recorded, unless it is who is taken out."""
    now = engine.clock.now()

    def work(unit: Unit) -> Forgotten:
        gone = forgetting.forget(unit.connection, [person], now)
        if gone.texts:
            engine.notary.seal_in(unit, FORGET, must=True)
        if by is not None and by.id != person and not gone.is_nothing:
            chat_audit.record(unit.connection, Deed(now, by.id, by.name, by.platform, "audit forget", ""))
        return gone

    await engine.notary.ready()
    return await engine.database.transact(work)


async def purge(engine: Engine, before: datetime, by: Person, *, dry_run: bool = False) -> int:
    """Take the rows from before a moment out of the record, which then says so, signed, and who asked; how many.
    Refused when the moment is yet to come, or when nothing here can sign for a record that is signed."""
    now = engine.clock.now()
    if before > now:
        raise Refused("What is yet to come can't be taken out of the record.", fix="Give a date that has been.")
    count = await engine.database.read(lambda connection: audit_chain.older(connection, before))
    if dry_run or not count:
        return count
    deed = Deed(now, by.id, by.name, by.platform, "audit purge", "", details={"before": before.isoformat()})

    def work(unit: Unit, *, is_first: bool) -> int:
        if is_first:
            chat_audit.record(unit.connection, deed)
        sign = partial(engine.notary.seal_in, unit, OLD_ROWS, must=True)
        return audit_chain.purge(unit.connection, before, now, sign, most=BATCH)

    await engine.notary.ready()
    gone = 0
    while taken := await engine.database.transact(lambda unit: work(unit, is_first=not gone)):  # noqa: B023
        gone += taken
    return gone


def moment(text: str) -> datetime | None:
    """A date or a time, in UTC unless it says more; None for "". Refused."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no date or time.", fix="Write 2026-03-31 or 2026-03-31T14:00Z.") from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def told(deed: Deed) -> str:
    """A row as a line: when, who, where, what."""
    who = deed.name or "Parley"
    account = f" ({deed.person})" if deed.person else ""
    where = f" on {deed.platform}" if deed.platform else ""
    said = ", ".join(f"{name}: {_short(value)}" for name, value in deed.details.items() if name != "shown")
    return f"{deed.at:%Y-%m-%d %H:%M:%S} {who}{account}{where}: {deed.action}{f' [{said}]' if said else ''}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:199]}\u2026"
