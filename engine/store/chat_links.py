"""Accounts that one human being proved to be theirs, and the codes with which they prove it."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Integer, Table, delete, insert, select, update

from engine.store.statements import serial
from engine.store.tables import Chars, Instant, metadata

CODE_LIVES = timedelta(minutes=10)
TRIES = 5  # wrong codes of one account within TRIES_LAST
TRIES_LAST = timedelta(minutes=10)

# `person` is the account under which the others are counted: one row for each of them, also for that one.
links = Table(
    "person_link",
    metadata,
    Column("account", Chars, primary_key=True),
    Column("person", Chars, nullable=False, index=True),
    Column("linked", Instant, nullable=False),
)

codes = Table(
    "person_code",
    metadata,
    Column("digest", Chars, primary_key=True),
    Column("account", Chars, nullable=False),
    Column("expires", Instant, nullable=False),
)

tries = Table(
    "person_try",
    metadata,
    Column("account", Chars, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("wrong", Integer, nullable=False),
)


# What platforms confirmed of accounts: one address is one person, where the administrator says so.
emails = Table(
    "person_email",
    metadata,
    Column("account", Chars, primary_key=True),
    Column("email", Chars, nullable=False, index=True),
    Column("seen", Instant, nullable=False),
)


def learn(connection: Connection, account: str, email: str | None, now: datetime) -> tuple[str, ...] | None:
    """Keep the confirmed address of an account, or that it has none; the accounts it now shares an address with, None
    when nothing changed."""
    known = connection.execute(select(emails.c.email).where(emails.c.account == account)).scalar_one_or_none()
    if known == email:
        return None
    connection.execute(delete(emails).where(emails.c.account == account))
    if email is None:
        return ()
    others = accounts_by_email(connection, email)
    connection.execute(insert(emails).values(account=account, email=email, seen=now))
    return tuple(others)


def accounts_by_email(connection: Connection, email: str) -> list[str]:
    """Every account that a platform confirmed an address of."""
    return list(
        connection.execute(select(emails.c.account).where(emails.c.email == email).order_by(emails.c.account)).scalars()
    )


def accounts_with(connection: Connection, account: str) -> list[str]:
    """Every account of the person behind one; the account under which they are counted comes first."""
    root = connection.execute(select(links.c.person).where(links.c.account == account)).scalar_one_or_none()
    if root is None:
        return [account]
    every = connection.execute(select(links.c.account).where(links.c.person == root).order_by(links.c.account))
    return [root, *(one for one in every.scalars() if one != root)]


def people(connection: Connection) -> list[list[str]]:
    """The accounts of everybody who linked some; the one under which they are counted comes first."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(select(links).order_by(links.c.person, links.c.account)):
        every = found.setdefault(row.person, [row.person])
        every += [row.account] if row.account != row.person else []
    return list(found.values())


def offer(connection: Connection, account: str, code: str, now: datetime) -> None:
    """Keep a code for an account; the one before it is void."""
    connection.execute(delete(codes).where((codes.c.account == account) | (codes.c.expires <= now)))
    connection.execute(insert(codes).values(digest=_digest(code), account=account, expires=now + CODE_LIVES))


def is_blocked(connection: Connection, account: str, now: datetime) -> bool:
    """Whether an account typed too many wrong codes."""
    serial(connection, f"link {account}")
    row = connection.execute(select(tries).where(tries.c.account == account)).one_or_none()
    return row is not None and row.since > now - TRIES_LAST and row.wrong >= TRIES


def take(connection: Connection, account: str, code: str, now: datetime) -> str | None:
    """The account a code was given to, once; None when it is wrong, used or too old, which counts as a try."""
    mine = (codes.c.digest == _digest(code)) & (codes.c.expires > now)
    giver: str | None = connection.execute(delete(codes).where(mine).returning(codes.c.account)).scalar_one_or_none()
    if giver is None:
        row = connection.execute(select(tries).where(tries.c.account == account)).one_or_none()
        is_fresh = row is None or row.since <= now - TRIES_LAST
        connection.execute(delete(tries).where(tries.c.account == account))
        since, wrong = (now, 1) if row is None or is_fresh else (row.since, row.wrong + 1)
        connection.execute(insert(tries).values(account=account, since=since, wrong=wrong))
    return giver


def link(connection: Connection, giver: str, account: str, now: datetime) -> None:
    """From now on two accounts, and whatever they were linked with, are one person's."""
    serial(connection, "links")
    root, other = accounts_with(connection, giver)[0], accounts_with(connection, account)[0]
    connection.execute(update(links).where(links.c.person == other).values(person=root))
    for one in {root, other, giver, account}:
        if connection.execute(select(links.c.account).where(links.c.account == one)).one_or_none() is None:
            connection.execute(insert(links).values(account=one, person=root, linked=now))


def unlink(connection: Connection, account: str) -> bool:
    """An account stands for itself again; False when it did already."""
    serial(connection, "links")
    every = accounts_with(connection, account)
    if len(every) < 2:
        return False
    connection.execute(delete(links).where(links.c.account == account))
    rest = [one for one in every if one != account]
    if len(rest) == 1:
        connection.execute(delete(links).where(links.c.account == rest[0]))
    elif every[0] == account:
        connection.execute(update(links).where(links.c.person == account).values(person=rest[0]))
    return True


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
