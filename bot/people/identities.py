"""Who a person is: the one human being behind an account, whatever accounts they act under."""

from dataclasses import dataclass
from typing import Protocol

CHATS = ("slack", "discord")  # whose people come and go
NAMED = ("local", "token", "cli")  # ids that hold a name which nobody can choose for themselves


@dataclass(frozen=True, slots=True)
class Identity:
    """One human being. `id` stands for them wherever people are counted; `accounts` are the ids they act under.

    `name` is one that an administrator or the machine gave, not one that people choose on a platform; "" without one.
    `emails` are verified addresses.
    """

    id: str
    accounts: tuple[str, ...]
    name: str = ""
    emails: tuple[str, ...] = ()


class Identities(Protocol):
    """Tells who is behind an account."""

    async def of(self, person_id: str) -> Identity:
        """The identity an account belongs to; an account nobody linked is an identity of its own."""


class Unlinked:
    """No accounts are linked: each stands for itself."""

    async def of(self, person_id: str) -> Identity:
        """The account as its own identity."""
        kind, _, name = person_id.partition(":")
        return Identity(person_id, (person_id,), name if kind in NAMED else "")
