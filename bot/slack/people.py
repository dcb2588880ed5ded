"""Who somebody is: names for events that carry only an id, and the user groups a person belongs to."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from bot.conversation import Person
from bot.frontend import Unreachable
from bot.slack.refusals import refusal
from bot.slack.transport import Transport

log = structlog.get_logger("parley.slack")
_NAMES = 2_000
_NAME_AGE = 3_600.0
_GROUPS_AGE = 300.0


async def is_active(transport: Transport, user: str) -> bool:
    """Whether an account is there and was not deactivated, as Slack says now; Unreachable."""
    answer = await transport.ask("users.info", {"user": user})
    if not answer.get("ok"):
        if answer.get("error") == "user_not_found":
            return False
        raise refusal(str(answer.get("error")), needed=str(answer.get("needed") or ""))
    return not answer["user"].get("deleted")


class People:
    """Names and groups, kept for a while; nothing is asked on the way of a click."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._names: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._groups: dict[str, tuple[str, frozenset[str]]] = {}  # group id: its handle and its members
        self._members_at: dict[str, float] = {}  # when the members of a group were told last
        self._profiles: OrderedDict[str, tuple[float, str | None, str | None]] = OrderedDict()
        self._strangers: set[str] = set()

    async def named(self, person: Person) -> Person:
        """The person with the name Slack shows; as it is when Slack does not tell."""
        user = person.id.removeprefix("slack:")
        known = self._names.get(user)
        if known is None or known[0] < time.monotonic() - _NAME_AGE:
            try:
                answer = await self._transport.call(lambda client: client.users_info(user=user))
            except Unreachable:
                return person
            about: Mapping[str, Any] = answer.get("user") or {}
            profile = about.get("profile") or {}
            name = profile.get("display_name") or about.get("real_name") or about.get("name") or person.name
            known = (time.monotonic(), str(name))
            self._names[user] = known
            while len(self._names) > _NAMES:
                self._names.popitem(last=False)
        return replace(person, name=known[1])

    def with_roles(self, person: Person) -> Person:
        """The person with the ids and handles of the groups they are in."""
        user = person.id.removeprefix("slack:")
        mine = [(id_, handle) for id_, (handle, members) in self._groups.items() if user in members]
        roles = tuple(role for group in mine for role in group if role)
        return replace(person, roles=roles) if roles else person

    async def keep_groups(self) -> None:
        """Ask for the groups every five minutes, for as long as the app may."""
        while True:
            wait = _GROUPS_AGE
            try:
                await self._ask_for_groups()
            except Unreachable as error:
                if error.retry_after is None:
                    log.info("slack user groups are not known", reason=error.reason)
                    return
                wait = max(error.retry_after, 1.0)
            await asyncio.sleep(wait)

    async def _ask_for_groups(self) -> None:
        answer = await self._transport.call(lambda client: client.usergroups_list(include_users=True))
        self._groups = {
            str(group["id"]): (str(group.get("handle") or ""), frozenset(group.get("users") or ()))
            for group in answer.get("usergroups") or ()
        }
        now = time.monotonic()
        self._members_at = dict.fromkeys(self._groups, now)

    async def is_member(self, user: str, group: str, *, fresh: bool = True) -> bool:
        """Whether a user is in a group, by its id or handle; what is remembered is five minutes old at most, and Slack
        is asked again before the answer is no. Unreachable."""
        id_ = await self.group_id(group, fresh=fresh)
        if id_ is None:
            return False
        age = time.monotonic() - self._members_at.get(id_, -_GROUPS_AGE)
        is_known = id_ in self._groups and user in self._groups[id_][1]
        if not fresh or (is_known and age < _GROUPS_AGE):
            return is_known
        answer = await self._transport.patiently(lambda client: client.usergroups_users_list(usergroup=id_))
        members = frozenset(str(member) for member in answer.get("users") or ())
        self._groups[id_] = (self._groups.get(id_, ("", members))[0], members)
        self._members_at[id_] = time.monotonic()
        return user in members

    async def group_id(self, group: str, *, fresh: bool = True) -> str | None:
        """The id of a group by its id or handle; None when there is none. Unreachable."""
        found = next((id_ for id_, (handle, _) in self._groups.items() if group in (id_, handle)), None)
        if found is None and fresh:
            await self._ask_for_groups()
            found = next((id_ for id_, (handle, _) in self._groups.items() if group in (id_, handle)), None)
        return found

    async def email_of(self, user: str) -> str | None:
        """The confirmed address in a user's profile, at most an hour old; Unreachable."""
        return (await self._profile(user))[0]

    async def is_stranger(self, user: str) -> bool:
        """Whether a user is of another company, as told at most an hour ago; Unreachable."""
        await self._profile(user)
        return user in self._strangers

    async def zone_of(self, user: str) -> str | None:
        """The time zone of a user, at most an hour old; Unreachable."""
        return (await self._profile(user))[1]

    async def _profile(self, user: str) -> tuple[str | None, str | None]:
        known = self._profiles.get(user)
        if known is None or known[0] < time.monotonic() - _NAME_AGE:
            answer = await self._transport.patiently(lambda client: client.users_info(user=user))
            about: Mapping[str, Any] = answer.get("user") or {}
            email = (about.get("profile") or {}).get("email")
            # People of connected workspaces may carry any address; one nobody has confirmed proves nothing.
            (self._strangers.add if about.get("is_stranger") else self._strangers.discard)(user)
            is_ours = not about.get("is_stranger") and about.get("is_email_confirmed", True)
            zone = about.get("tz")
            known = (time.monotonic(), str(email).lower() if email and is_ours else None, str(zone) if zone else None)
            self._profiles[user] = known
            while len(self._profiles) > _NAMES:
                self._profiles.popitem(last=False)
        return known[1], known[2]

    def group_changed(self, event: Mapping[str, Any]) -> None:
        """Take over who joined and left a group."""
        id_ = str(event.get("subteam_id") or "")
        handle, members = self._groups.get(id_, ("", frozenset()))
        joined, left = event.get("added_users") or (), event.get("removed_users") or ()
        self._groups[id_] = (handle, (members | frozenset(joined)) - frozenset(left))
