"""Whether somebody is one of those whom an administrator wrote down: accounts, names, groups, addresses.

The platforms are asked for groups and addresses. Approvals and roles both ask here.
"""

from collections.abc import Mapping

from bot.approvals.approvers import Approver
from bot.conversation import Person, Platform
from bot.frontend import FrontEnd, Unreachable
from bot.people.identities import CHATS, Identities, Identity


class Membership:
    """Knows who is behind an account, and which entries fit them."""

    def __init__(self, front_ends: Mapping[Platform, FrontEnd], identities: Identities) -> None:
        self.front_ends = front_ends
        self.identities = identities

    async def fits(self, wanted: Approver, who: Identity, person: Person, *, fresh: bool = True) -> bool:
        """Whether an entry means this person; Unreachable when a platform would have to tell and does not."""
        match wanted.kind:
            case "anyone":
                return not await self.is_stranger(person)
            case "channel":
                return False  # a place, which only the caller can know
            case "account":
                return wanted.value in who.accounts
            case "name":
                return bool(who.name) and who.name == wanted.value
            case "group":
                return await self._is_in_group(wanted, who, person, fresh)
        emails = await self.emails(who, person if fresh else None)
        if wanted.kind == "email":
            return wanted.value in emails
        return any(email.rpartition("@")[2] == wanted.value for email in emails)

    async def is_stranger(self, person: Person) -> bool:
        """Whether somebody is of another company: such a one must be named. Unreachable."""
        end = self.front_ends.get(person.platform)
        return end is not None and await end.is_stranger(person)

    async def emails(self, who: Identity, acting: Person | None = None) -> set[str]:
        """The confirmed addresses of somebody, lower case; with who is `acting` only those that prove something now: an
        account that is gone, of somebody who acts under another one, vouches for none. Unreachable."""
        found = {email.lower() for email in who.emails}
        for account in who.accounts:
            platform = account.partition(":")[0]
            email = await self._front_end(platform).email_of(account) if platform in self.front_ends else None
            if email and (acting is None or await self._vouches(account, acting)):
                found.add(email)
        return found

    async def _is_in_group(self, wanted: Approver, who: Identity, person: Person, fresh: bool) -> bool:
        accounts = [account for account in who.accounts if account.partition(":")[0] == wanted.platform]
        if not accounts:
            return False
        end = self._front_end(wanted.platform)
        for account in accounts:
            asked = person if person.id == account else Person(account, account, end.platform)
            if await end.is_member(asked, wanted.value, fresh=fresh) and (
                not fresh or await self._vouches(account, person)
            ):
                return True
        return False

    async def _vouches(self, account: str, acting: Person) -> bool:
        """Whether an account is still there: the one that somebody acts under is."""
        return account == acting.id or await self.is_there(account)

    async def is_there(self, account: str) -> bool:
        """Whether an account of a chat is still there, any other always is; Unreachable when nobody can tell."""
        platform = account.partition(":")[0]
        return platform not in CHATS or await self._front_end(platform).is_active(account)

    def connected(self, platform: str) -> FrontEnd | None:
        """The front end of a platform, if the bot is connected to it."""
        return next((end for name, end in self.front_ends.items() if name == platform), None)

    def _front_end(self, platform: str) -> FrontEnd:
        found = self.connected(platform)
        if found is None:
            raise Unreachable(f"The bot is not connected to {platform}, which would have to say who is in the group.")
        return found
