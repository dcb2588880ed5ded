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
from bot.slack.transport import Transport

log = structlog.get_logger("parley.slack")
_NAMES = 2_000
_NAME_AGE = 3_600.0
_GROUPS_AGE = 300.0


class People:
    """Names and groups, kept for a while; nothing is asked on the way of a click."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._names: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._groups: dict[str, tuple[str, frozenset[str]]] = {}  # group id: its handle and its members

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
                answer = await self._transport.call(lambda client: client.usergroups_list(include_users=True))
                self._groups = {
                    str(group["id"]): (str(group.get("handle") or ""), frozenset(group.get("users") or ()))
                    for group in answer.get("usergroups") or ()
                }
            except Unreachable as error:
                if error.retry_after is None:
                    log.info("slack user groups are not known", reason=error.reason)
                    return
                wait = max(error.retry_after, 1.0)
            await asyncio.sleep(wait)

    def group_changed(self, event: Mapping[str, Any]) -> None:
        """Take over who joined and left a group."""
        id_ = str(event.get("subteam_id") or "")
        handle, members = self._groups.get(id_, ("", frozenset()))
        joined, left = event.get("added_users") or (), event.get("removed_users") or ()
        self._groups[id_] = (handle, (members | frozenset(joined)) - frozenset(left))
