"""Who may do what. One hook asks for every run, decision and kill, from whatever front end it comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.approvals.approvers import labels
from bot.conversation import Person, Room
from bot.frontend import Unreachable
from bot.people.membership import Membership
from bot.people.roles import WORDS, Deed, Role, grants, owners, permission_for
from bot.texts import Answer, answer, code, plain


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do: with which flow, and for a decision with which pause of whose run.

    `values` are the inputs of a run that is to start; None while they are not known yet.
    """

    deed: Deed
    person: Person
    room: Room
    flow: str  # namespace/id, or for values a namespace
    task_id: str = ""
    execution_id: str = ""
    started_by: str = ""
    values: Mapping[str, Any] | None = None


class Permissions(Protocol):
    """Decides; None means yes, an Answer (E04, E20, E22 …) says why not and whom to ask."""

    async def refuse(self, asked: Asked, *, fresh: bool = True) -> Answer | None:
        """Not `fresh`: by what is remembered of groups, for lists."""

    def describe(self) -> str:
        """One sentence for the start-up log."""


@dataclass(frozen=True, slots=True)
class Everybody:
    """No roles are set: whoever can talk to the bot in a room may run flows and decide there, but for people of other
    companies in a channel shared with them."""

    membership: Membership | None = None

    async def refuse(self, asked: Asked, *, fresh: bool = True) -> Answer | None:
        """Nobody of ours is refused."""
        try:
            if self.membership is None or not await self.membership.is_stranger(asked.person):
                return None
        except Unreachable as silence:
            return answer("unsure", why=silence.reason)
        return answer("stranger", do=WORDS[asked.deed], flow=code(asked.flow))

    def describe(self) -> str:
        """One sentence for the start-up log."""
        return "No roles are set: everybody in a room with the bot may run flows, decide approvals and kill runs."


class ByRole:
    """What the roles of parley.yaml allow; whatever none of them allows is refused."""

    def __init__(self, roles: Sequence[Role], membership: Membership) -> None:
        self.roles = tuple(roles)
        self.membership = membership

    async def refuse(self, asked: Asked, *, fresh: bool = True) -> Answer | None:
        """E04 unless a role of the person allows it."""
        permission, is_own = permission_for(asked.deed), False
        try:
            who = await self.membership.identities.of(asked.person.id)
        except Unreachable as silence:
            return answer("unsure", why=silence.reason)
        if asked.deed in ("kill", "hold") and asked.started_by in (who.id, *who.accounts):
            permission, is_own = "run", True  # who may start a run may stop and hold their own
        fitting = [role for role in self.roles if grants(role, permission, asked.flow, asked.values, is_own=is_own)]
        try:
            for role in fitting:
                if await self._has(role, asked.person, fresh):
                    return None
        except Unreachable as silence:
            return answer("unsure", why=silence.reason)
        needed = fitting or [role for role in self.roles if grants(role, permission, asked.flow, None, is_own=is_own)]
        what = " or ".join(f"the role {code(role.name)}" for role in needed) or "a role that nobody has"
        if needed and not fitting:
            what += " with other values"
        whom = owners(self.roles, asked.flow) or tuple(one for role in needed for one in role.people)
        ask = labels(whom) if whom else "whoever keeps parley.yaml"
        return answer("E04", do=WORDS[asked.deed], flow=code(asked.flow), role=what, owners=ask)

    async def _has(self, role: Role, person: Person, fresh: bool) -> bool:
        who = await self.membership.identities.of(person.id)
        for one in role.people:
            if await self.membership.fits(one, who, person, fresh=fresh):
                return True
        return False

    def describe(self) -> str:
        """One sentence for the start-up log."""
        return " | ".join(role.describe() for role in self.roles)

    async def held_by(self, person: Person) -> list[str]:
        """The names of somebody's roles, by what is remembered of groups."""
        try:
            return [plain(role.name, 60) for role in self.roles if await self._has(role, person, fresh=False)]
        except Unreachable:
            return []
