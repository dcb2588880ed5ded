"""Who is one person: accounts linked by a code, and people an administrator wrote down in parley.yaml."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import Field, field_validator

from bot.approvals.approvers import approver
from bot.frontend import FrontEnd
from bot.people.identities import NAMED, Identity
from engine.settings import Section
from engine.store import chat_audit, chat_links, chat_receipts
from engine.store.chat_audit import Deed
from engine.store.database import Database, Unit

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class KnownPerson(Section):
    """One person as an administrator knows them: the name counts for `user:NAME`, the addresses for `email:`."""

    name: str = Field(min_length=1)
    accounts: tuple[str, ...] = Field(min_length=1)
    emails: tuple[str, ...] = ()

    @field_validator("accounts")
    @classmethod
    def _are_accounts(cls, accounts: tuple[str, ...]) -> tuple[str, ...]:
        for text in accounts:
            if approver(text).kind != "account":
                raise ValueError(f"{text!r} is no account: write slack:U0123, discord:42 or local:NAME")
        return accounts

    @field_validator("emails")
    @classmethod
    def _are_addresses(cls, emails: tuple[str, ...]) -> tuple[str, ...]:
        for text in emails:
            if not _ADDRESS.fullmatch(text):
                raise ValueError(f"{text!r} is no address")
        return tuple(text.lower() for text in emails)


class PeopleSection(Section):
    """Who is who across platforms."""

    known: tuple[KnownPerson, ...] = ()
    link_by_email: bool = Field(
        default=False,
        description="Accounts of which platforms confirm one address are one person, and so are the "
        "accounts of whoever `known` gives that address to.",
    )

    @field_validator("known")
    @classmethod
    def _are_different(cls, known: tuple[KnownPerson, ...]) -> tuple[KnownPerson, ...]:
        accounts = [account for one in known for account in one.accounts]
        if twice := {account for account in accounts if accounts.count(account) > 1}:
            raise ValueError(f"{sorted(twice)[0]!r} stands there more than once")
        return known


class Linked:
    """Implements `bot.identities.Identities` over the file and the store; with `by_email` also over the addresses that
    these front ends confirm."""

    def __init__(
        self, database: Database, known: Sequence[KnownPerson] = (), by_email: Sequence[FrontEnd] | None = None
    ) -> None:
        self.database = database
        self.known = tuple(known)
        self.front_ends = {str(end.platform): end for end in by_email or ()}
        self._learnt: dict[str, str | None] = {}

    async def of(self, person_id: str) -> Identity:
        """The identity an account belongs to; an account nobody linked is an identity of its own. Unreachable, where
        accounts are linked by e-mail and the platform can't be asked."""
        accounts, person = await self._reached(person_id)
        emails = person.emails if person else ()
        kind, _, own = person_id.partition(":")
        name = person.name if person else own if kind in NAMED else ""
        return Identity(accounts[0], tuple(accounts), name, emails)

    def written_down(self, accounts: Sequence[str]) -> KnownPerson | None:
        """The person of the file to whom one of the accounts belongs."""
        return next((one for one in self.known if set(one.accounts) & set(accounts)), None)

    async def _reached(self, account: str) -> tuple[list[str], KnownPerson | None]:
        """Every account, the one that stands for the person first, and what the file says of them."""
        roots, every = {}, dict.fromkeys(await self._linked(account))
        person = self.written_down(tuple(every))
        waiting = [*every, *(person.accounts if person else ())]
        while waiting:
            one = waiting.pop(0)
            if one in roots:
                continue
            linked = await self._linked(one)
            roots[one] = linked[0]
            every |= dict.fromkeys(linked)
            waiting += linked
            for other in await self._of_the_same_address(one):
                theirs = self.written_down((other,))
                if person is None or theirs in (None, person):  # the file knows better who is two people
                    person = person or theirs
                    waiting += [other, *(person.accounts if person else ())]
        first = person.accounts if person else (min(set(roots.values())),)
        return list(dict.fromkeys([*first, *every, *roots])), person

    async def _of_the_same_address(self, account: str) -> list[str]:
        """Accounts that are the same person's by a confirmed address."""
        end = self.front_ends.get(account.partition(":")[0])
        if end is None:
            return []
        email = await end.email_of(account)
        if account not in self._learnt or self._learnt[account] != email:
            now = datetime.now(UTC)
            await self.database.transact(lambda unit: self._learn(unit, account, email, now))
            self._learnt[account] = email
        if email is None:
            return []
        written = [one.accounts[0] for one in self.known if email in one.emails]
        return [*written, *await self.database.read(lambda connection: chat_links.accounts_by_email(connection, email))]

    def _learn(self, unit: Unit, account: str, email: str | None, now: datetime) -> None:
        """Write an address down; that it made two accounts one person's is recorded."""
        others = chat_links.learn(unit.connection, account, email, now)
        if email is None or others is None:
            return
        others = (
            *others,
            *(one.accounts[0] for one in self.known if email in one.emails and account not in one.accounts),
        )
        if others:
            known = chat_receipts.who(unit.connection, {account}).get(account)
            platform = account.partition(":")[0]
            name = known.name if known else account
            details = {"with": others[0], "by": "a confirmed address"}
            chat_audit.record(unit.connection, Deed(now, account, name, platform, "link", "", details=details))

    async def _linked(self, account: str) -> list[str]:
        return await self.database.read(lambda connection: chat_links.accounts_with(connection, account))
