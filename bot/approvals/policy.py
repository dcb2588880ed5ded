"""Who decides what: the `approvals` list of parley.yaml, which stands outside the flows. The first match wins. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bot.approvals.approvers import Approver, approver, labels
from bot.approvals.quiet_hours import QuietHours
from bot.chat_settings import room_of
from bot.commands.spoken_times import read_duration
from bot.conversation import Room
from engine.core import flow_templates
from engine.settings import Section

FourEyes = Literal["none", "requester", "requester+editor"]
OnTimeout = Literal["flow", "resume", "fail", "cancel", "wait"]


def _duration(said: Any) -> Any:
    if not isinstance(said, str):
        raise ValueError("write a duration such as 15m, 2h or PT1H30M")
    length = read_duration(said)
    if length <= timedelta(0):
        raise ValueError(f"{said!r} is not longer than nothing")
    return length


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Match(Section):
    """Which pauses: globs on `namespace/flow` and on the id of the task that waits."""

    flow: str = "*"
    task: str = "*"


class Escalation(Section):
    """Who is asked too when nobody decided in time: they are told, and may decide from then on."""

    after: Duration
    to: tuple[str, ...] = Field(min_length=1)

    @field_validator("to")
    @classmethod
    def _are_approvers_or_rooms(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        for text in to:
            if not is_room(text):
                approver(text)
        return to

    @property
    def approvers(self) -> tuple[Approver, ...]:
        """Who may decide from then on."""
        return tuple(approver(text) for text in self.to if not is_room(text))

    @property
    def rooms(self) -> tuple[Room, ...]:
        """Where the card is shown from then on."""
        return tuple(room_of(text) for text in self.to if is_room(text))


class ApprovalRule(Section):
    """One entry of `approvals`."""

    match: Match = Match()
    approvers: tuple[str, ...] = Field(default=("anyone-in-channel",), min_length=1)
    need: int = Field(default=1, ge=1, le=50, description="How many must agree.")
    veto: Literal["any", "quorum"] = Field(
        default="any", description="`any`: one no ends it. `quorum`: as many are needed for a no as for a yes."
    )
    four_eyes: FourEyes = "none"
    unknown_editor: Literal["refuse", "allow"] = Field(
        default="refuse", description="What `requester+editor` does when git does not tell who changed the flow last."
    )
    where: tuple[str, ...] = Field(default=(), description="Rooms for the card, instead of the room of the run.")
    remind: tuple[Duration, ...] = ()
    repost: tuple[Duration, ...] = Field(default=(), description="When the card is posted anew, at the bottom.")
    escalate: tuple[Escalation, ...] = ()
    on_timeout: OnTimeout = "flow"
    quiet_hours: QuietHours | None = None
    cost: str = Field(default="", max_length=2000, description="What a yes costs, as a template with the run's values.")

    @field_validator("approvers")
    @classmethod
    def _can_be_read(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for text in entries:
            approver(text)
        return entries

    @field_validator("cost")
    @classmethod
    def _is_a_template(cls, cost: str) -> str:
        for wrong in flow_templates.findings({"cost": cost}, None):
            if wrong.code != "date-pattern":
                advice = f" ({wrong.suggestion.rstrip('.')})" if wrong.suggestion else ""
                raise ValueError(wrong.message.rstrip(".") + advice)
        return cost

    @field_validator("where")
    @classmethod
    def _are_rooms(cls, rooms: tuple[str, ...]) -> tuple[str, ...]:
        for text in rooms:
            room_of(text)
        return rooms

    @model_validator(mode="after")
    def _can_be_fulfilled(self) -> "ApprovalRule":
        people = [approver(text) for text in self.approvers]
        if all(one.kind in ("account", "name", "email") for one in people) and len(people) < self.need:
            raise ValueError(f"`need: {self.need}` can never be reached by {len(people)} approvers")
        return self

    @property
    def people(self) -> tuple[Approver, ...]:
        """Who may decide."""
        return tuple(approver(text) for text in self.approvers)

    @property
    def names_approvers(self) -> bool:
        """Whether an administrator wrote down who decides, so that a flow can narrow it and not widen it."""
        return self is not NO_RULE and "approvers" in self.model_fields_set

    @property
    def rooms(self) -> tuple[Room, ...]:
        """Where cards go; () for the room of the run."""
        return tuple(room_of(text) for text in self.where)

    def fits(self, flow: str, task: str) -> bool:
        """Whether this entry is about a pause of a flow (`namespace/id`)."""
        return fnmatchcase(flow, self.match.flow) and fnmatchcase(task, self.match.task)

    def describe(self) -> str:
        """One line for the start-up log and `parley doctor`."""
        said = f"{self.match.flow} task {self.match.task}: {labels(self.people)}"
        said += f"; {self.need} must agree" if self.need > 1 else ""
        said += "; as many for a no" if self.need > 1 and self.veto == "quorum" else ""
        said += f"; four eyes on {self.four_eyes.replace('+', ' and ')}" if self.four_eyes != "none" else ""
        return said + (f"; in the end: {self.on_timeout}" if self.on_timeout != "flow" else "")


# Without any entry that fits: whoever can talk to the bot decides, as the flow alone would have it.
NO_RULE = ApprovalRule(approvers=("anyone",))


def rule_for(rules: Sequence[ApprovalRule], flow: str, task: str) -> ApprovalRule:
    """The first entry that fits a pause."""
    return next((rule for rule in rules if rule.fits(flow, task)), NO_RULE)


def unreachable(rules: Sequence[ApprovalRule]) -> list[int]:
    """Entries, counted from 1, that come after one that catches everything."""
    for number, rule in enumerate(rules, 1):
        if rule.match == Match():
            return list(range(number + 1, len(rules) + 1))
    return []


def is_room(text: str) -> bool:
    """Whether an entry of `escalate` is a room to show the card in, not somebody who may decide."""
    return text.startswith(("slack:#", "slack:C", "slack:G", "web:", "discord:#"))
