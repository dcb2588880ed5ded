"""People who opened the page by a link from chat: the links that wait to be used, and the browsers that used one."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, delete, insert, select, update

from engine.store.tables import Chars, Instant, metadata

LINK_LIVES = timedelta(minutes=10)
USED = ""  # where a used link leads; it is kept until it is too old, to know whose it was when it comes again
VISIT_LIVES = timedelta(hours=12)

# Codes and the secret part of a browser's session are kept as digests only: who reads the database can use neither.
links = Table(
    "web_link",
    metadata,
    Column("digest", Chars, primary_key=True),
    Column("account", Chars, nullable=False),
    Column("back", Chars, nullable=False),  # the page it leads to
    Column("expires", Instant, nullable=False),
)

visits = Table(
    "web_visit",
    metadata,
    Column("digest", Chars, primary_key=True),
    Column("account", Chars, nullable=False, index=True),
    Column("expires", Instant, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was not used yet: for whom, and where it leads."""

    account: str
    back: str


def offer(connection: Connection, account: str, code: str, back: str, now: datetime) -> None:
    """Keep a link for an account; those that are too old go."""
    connection.execute(delete(links).where(links.c.expires <= now))
    connection.execute(insert(links).values(digest=_digest(code), account=account, back=back, expires=now + LINK_LIVES))


def waiting(connection: Connection, code: str, now: datetime) -> Link | None:
    """The link with a code, without using it."""
    row = connection.execute(select(links.c.account, links.c.back).where(_fits(code, now))).one_or_none()
    return _link(row)


def take(connection: Connection, code: str, now: datetime) -> Link | None:
    """The link with a code, once; None when it is wrong, used or too old."""
    found = waiting(connection, code, now)
    mine = update(links).where(_fits(code, now)).values(back=USED)
    return found if connection.execute(mine).rowcount == 1 else None


def used(connection: Connection, code: str, now: datetime) -> str | None:
    """Whose link it was, when it was used and is not too old."""
    here = select(links.c.account).where(links.c.digest == _digest(code), links.c.expires > now, links.c.back == USED)
    found: str | None = connection.execute(here).scalar_one_or_none()
    return found


def begin(connection: Connection, nonce: str, account: str, now: datetime) -> None:
    """From now on a browser is somebody's."""
    connection.execute(delete(visits).where(visits.c.expires <= now))
    connection.execute(insert(visits).values(digest=_digest(nonce), account=account, expires=now + VISIT_LIVES))


def account_of(connection: Connection, nonce: str, now: datetime) -> str | None:
    """Whose a browser is; None when nobody signed in there, or when that was ended or is too long ago."""
    here = select(visits.c.account).where(visits.c.digest == _digest(nonce), visits.c.expires > now)
    found: str | None = connection.execute(here).scalar_one_or_none()
    return found


def end(connection: Connection, nonce: str) -> bool:
    """A browser is nobody's again."""
    return connection.execute(delete(visits).where(visits.c.digest == _digest(nonce))).rowcount == 1


def end_all(connection: Connection, accounts: Collection[str]) -> int:
    """Every browser of a person is nobody's again, and no link they were given is good; how many browsers."""
    connection.execute(delete(links).where(links.c.account.in_(accounts)))
    return connection.execute(delete(visits).where(visits.c.account.in_(accounts))).rowcount


def _fits(code: str, now: datetime) -> ColumnElement[bool]:
    return (links.c.digest == _digest(code)) & (links.c.expires > now) & (links.c.back != USED)


def _link(row: Row[Any, Any] | None) -> Link | None:
    return None if row is None else Link(row.account, row.back)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
