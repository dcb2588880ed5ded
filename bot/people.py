"""Who is one person: accounts linked by a code, and people an administrator wrote down in parley.yaml."""

import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from bot.approvers import approver
from bot.identities import NAMED, Identity
from engine.settings import Section
from engine.store import chat_links
from engine.store.database import Database

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

    @field_validator("known")
    @classmethod
    def _are_different(cls, known: tuple[KnownPerson, ...]) -> tuple[KnownPerson, ...]:
        accounts = [account for one in known for account in one.accounts]
        if twice := {account for account in accounts if accounts.count(account) > 1}:
            raise ValueError(f"{sorted(twice)[0]!r} stands there more than once")
        return known


class Linked:
    """Implements `bot.identities.Identities` over the file and the store."""

    def __init__(self, database: Database, known: Sequence[KnownPerson] = ()) -> None:
        self.database = database
        self.known = tuple(known)

    async def of(self, person_id: str) -> Identity:
        """The identity an account belongs to; an account nobody linked is an identity of its own."""
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
        accounts = await self._linked(account)
        person = self.written_down(accounts)
        if person is None:
            return accounts, None
        every = list(person.accounts)
        for one in person.accounts:
            every += await self._linked(one)
        return list(dict.fromkeys([*every, *accounts])), person

    async def _linked(self, account: str) -> list[str]:
        return await self.database.read(lambda connection: chat_links.accounts_with(connection, account))
