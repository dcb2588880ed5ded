"""Whom a flow itself assigned a question to: Kestra's HumanTask names users and groups. Pure.

A policy outside the flows can only narrow this: where an entry of `approvals` names approvers, both must hold.
"""

from collections.abc import Iterable, Mapping, Sequence

from bot.approvals.approvers import GROUP_WORDS, Approver, approver
from bot.people.roles import Role
from engine.core.execution import Execution


def assigned(
    execution: Execution, task_run_id: str, roles: Sequence[Role], platforms: Iterable[str]
) -> tuple[Approver, ...]:
    """Who may answer a pause as its flow has it; () when the flow assigned nobody."""
    run = execution.task_runs.get(task_run_id)
    return people_of(run.rendered.get("assignment") if run else None, roles, platforms)


def people_of(
    named: Mapping[str, Sequence[str]] | None, roles: Sequence[Role], platforms: Iterable[str]
) -> tuple[Approver, ...]:
    """The `users` and `groups` of an assignment."""
    if not named:
        return ()
    people = [_user(text) for text in named["users"]]
    connected = [platform for platform in GROUP_WORDS if platform in set(platforms)]
    for group in named["groups"]:
        people += _group(group, roles, connected)
    return tuple(dict.fromkeys(people))


def _user(text: str) -> Approver:
    """An address, an account, or a name that this machine or an administrator gave."""
    for written in (text, f"email:{text}" if "@" in text else ""):
        try:
            found = approver(written)
        except ValueError:
            continue
        if found.kind in ("account", "name", "email"):
            return found
    return Approver("name", text)


def _group(name: str, roles: Sequence[Role], platforms: Sequence[str]) -> list[Approver]:
    """The members of the role of that name; else whoever is in a group of a platform that is called so."""
    members = [one for role in roles if role.name == name for one in role.people]
    if members:
        return members
    return [Approver("group", name, platform) for platform in platforms or tuple(GROUP_WORDS)]
