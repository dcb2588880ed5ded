"""Roles, as an administrator writes them in parley.yaml: who may run, approve, see, manage which flows. Pure."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, field_validator

from bot.approvals.approvers import Approver, approver, labels
from engine.settings import Section

Deed = Literal["run", "decide", "kill", "hold", "see", "kv", "manage"]
Permission = Literal["run", "approve", "see", "manage", "kv"]
WORDS: Mapping[Deed, str] = {
    "run": "run",
    "decide": "decide in",
    "kill": "stop runs of",
    "hold": "hold runs of",
    "see": "see",
    "kv": "read or change the values of",
    "manage": "manage",
}


class Grant(Section):
    """What a role allows with which flows."""

    do: tuple[Permission, ...] = Field(min_length=1)
    flow: str = Field(default="*", description="A glob on `namespace/flow`.")
    inputs: dict[str, tuple[str | int | float | bool, ...]] = Field(
        default_factory=dict, description="Values that inputs must have for a run: texts are globs."
    )


class Role(Section):
    """One entry of `roles`."""

    name: str = Field(min_length=1)
    members: tuple[str, ...] = Field(min_length=1)
    may: tuple[Grant, ...] = Field(min_length=1)

    @field_validator("members")
    @classmethod
    def _can_be_read(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for text in entries:
            if approver(text).kind == "channel":
                raise ValueError("`anyone-in-channel` is no member of a role: write `anyone`, or name people")
        return entries

    @property
    def people(self) -> tuple[Approver, ...]:
        """Who has the role."""
        return tuple(approver(text) for text in self.members)

    def describe(self) -> str:
        """The role in words."""
        said = [f"{', '.join(one.do)} {one.flow}{_limits(one)}" for one in self.may]
        return f"{self.name} ({labels(self.people)}): {'; '.join(said)}"


def _limits(grant: Grant) -> str:
    given = [f"{name} {' or '.join(str(value) for value in values)}" for name, values in grant.inputs.items()]
    return f" with {', '.join(given)}" if given else ""


def permission_for(deed: Deed) -> Permission:
    """The word of parley.yaml for something people do."""
    named: Mapping[Deed, Permission] = {
        "run": "run", "decide": "approve", "kill": "manage", "hold": "manage", "see": "see", "kv": "kv",
        "manage": "manage",
    }  # fmt: skip
    return named[deed]


def grants(
    role: Role, permission: Permission, flow: str, values: Mapping[str, Any] | None, *, is_own: bool = False
) -> bool:
    """Whether a role allows something with a flow. Whoever may do anything with a flow may see it.

    `values` are those of a run that is to start; None: whether some values are allowed. `is_own`: values do not matter.
    """
    for grant in role.may:
        if permission not in grant.do and permission != "see":
            continue
        if permission == "see" and set(grant.do) == {"kv"}:
            continue
        if not _covers(grant.flow, flow, permission):
            continue
        if permission == "run" and values is not None and not is_own and not _allows(grant, values):
            continue
        return True
    return False


def owners(roles: Sequence[Role], flow: str) -> tuple[Approver, ...]:
    """Whom to ask about a flow: those who manage it."""
    found = [one for role in roles if grants(role, "manage", flow, None) for one in role.people]
    return tuple(dict.fromkeys(one for one in found if one.kind != "anyone"))


def _covers(glob: str, flow: str, permission: Permission) -> bool:
    """Values belong to a namespace, all else to a flow."""
    return fnmatchcase(flow, glob.partition("/")[0] if permission == "kv" else glob)


def _allows(grant: Grant, values: Mapping[str, Any]) -> bool:
    """Whether each named input has one of its values; a list must have none but these."""
    for name, allowed in grant.inputs.items():
        given = _find(values, name)
        each = given if isinstance(given, list | tuple) and given else [given]
        if not all(any(_is(one, wanted) for wanted in allowed) for one in each):
            return False
    return True


def _find(values: Mapping[str, Any], name: str) -> Any:
    """An input by its id; the values of a run nest by the dots of it."""
    if name in values or "." not in name:
        return values.get(name)
    first, _, rest = name.partition(".")
    inner = values.get(first)
    return _find(inner, rest) if isinstance(inner, Mapping) else None


def _is(given: Any, wanted: str | int | float | bool) -> bool:
    if isinstance(wanted, bool) or isinstance(given, bool):
        return given is wanted
    if isinstance(wanted, str):
        return given is not None and fnmatchcase(str(given), wanted)
    return bool(given == wanted)
