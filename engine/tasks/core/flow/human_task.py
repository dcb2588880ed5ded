"""HumanTask: a pause that only those who are assigned to it may end."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.flowable import Opened, Wanted
from engine.core.property import Property, has_template
from engine.core.task import Part
from engine.tasks.core.flow.waiting import Pause, Then


class Assignment(Part):
    """Whom a question is for: one of the users, or anybody in one of the groups."""

    users: Property[tuple[str, ...]] = Field(default=(), description="Addresses, accounts or names.")
    groups: Property[tuple[str, ...]] = Field(
        default=(), description="Names of roles; else a Slack user group or a Discord role called so."
    )


class HumanTask(Pause):
    """Wait until one of those who are assigned answers. Nobody else can, from wherever they try."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sign_off
type: io.kestra.plugin.ee.flow.HumanTask
assignment:
  users: ["ann@example.com"]
  groups: [security-approvers]
pauseDuration: P3D
behavior: FAIL
onResume:
  - id: approve
    type: BOOLEAN
""",
    )
    type: Literal["io.kestra.plugin.ee.flow.HumanTask"]  # type: ignore[assignment]
    assignment: Assignment | None = Field(default=None, description="Who may answer; everybody when it is left out.")
    behavior: Property[Then] = Field(default="FAIL", description="What happens when `pauseDuration` is over.")

    def wanted(self) -> Wanted:
        given = self._given
        assigned: Wanted = {"assignment": (given, "typed")} if has_template(given) else {}
        return {**super().wanted(), **assigned}

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        if self.assignment is None:
            return Opened()
        given = rendered.get("assignment") or self._given
        named = {kind: _names(given.get(kind)) for kind in ("users", "groups")}
        if not any(named.values()):
            return Opened(error="`assignment` names nobody: nobody could ever answer. Name a user or a group.")
        return Opened(remembered={"assignment": named})

    @property
    def _given(self) -> dict[str, Any]:
        if self.assignment is None:
            return {}
        named = {"users": self.assignment.users, "groups": self.assignment.groups}
        return {kind: value if isinstance(value, str) else list(value) for kind, value in named.items()}


def _names(given: Any) -> list[str]:
    """The names in a list, or in the text a template gave: a JSON list, or one name."""
    if isinstance(given, str):
        try:
            read = json.loads(given)
        except ValueError:
            read = given
        given = read if isinstance(read, list) else [given]
    names = [str(one).strip() for one in given or () if one is not None]
    return [one for one in dict.fromkeys(names) if one]
