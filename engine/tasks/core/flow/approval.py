"""Approval: ask a person to approve or deny, and run what belongs to the answer."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator

from engine.core.execution import TaskRun
from engine.core.flowable import Behavior, Body, Opened, PauseTerms, PausingTask, Section, Wanted, enabled, to_wait
from engine.core.inputs import BooleanInput, DependsOn, Input, Inputs, StringInput
from engine.core.property import Property, has_template
from engine.core.task import AnyTask, Part, Task

Required = Literal["NEVER", "ALWAYS", "ON_DENY", "ON_APPROVE"]
Then = Literal["CONTINUE", "WARN", "FAIL", "SUCCEED", "CANCEL", "KILL"]
DENIED = "{{ inputs.approve == false }}"
APPROVED = "{{ inputs.approve == true }}"
PAGE = (
    "{% set page = kestra.url ?? '' %}{% if page is not empty %}"
    "{{ page }}/ui/executions/{{ flow.namespace }}/{{ flow.id }}/{{ execution.id }}{% endif %}"
)


def _known(value: Any, name: str, choices: Any) -> Any:
    """What a property says; ValueError when it is none of what is known."""
    if value not in get_args(choices):
        raise ValueError(f"`{name}` is {value!r}; use one of {', '.join(get_args(choices))}.")
    return value


class Decisions(Part):
    """What the two buttons say."""

    approve: Property[str] = "Approve"
    deny: Property[str] = "Deny"


class Approval(PausingTask):
    """Wait until somebody approves or denies; `outputs.<id>.decision` is APPROVED, DENIED or EXPIRED.

    `outputs.<id>.url` (the execution's page, when the bot's address is known) and `due` are there while it waits.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: release
type: io.kestra.plugin.core.flow.Approval
timeout: PT24H
commentRequired: ON_DENY
onApprove:
  - id: ship
    type: io.kestra.plugin.core.log.Log
    message: shipped
""",
    )
    needs_preparation: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.flow.Approval"]
    inputs: Inputs = Field(default=(), description="What else is asked, under `outputs.<id>.inputs`.")
    decisions: Decisions = Decisions()
    comment_required: Property[Required] = "NEVER"
    auto_approve: Property[bool] = Field(default=False, description="True: nobody is asked.")
    approve_behavior: Property[Then] = "CONTINUE"
    deny_behavior: Property[Then] = "CANCEL"
    expire_behavior: Property[Then] = Field(default="CANCEL", description="What happens when `timeout` is over.")
    on_wait: tuple[AnyTask, ...] = Field(
        default=(), description="Run before anybody is asked; the task fails with one of them, unless `allowFailure`."
    )
    on_approve: tuple[AnyTask, ...] = ()
    on_deny: tuple[AnyTask, ...] = ()
    timeout: Property[timedelta] | None = None

    @field_validator("inputs")
    @classmethod
    def _leave_the_answer_alone(cls, asked: tuple[Input, ...]) -> tuple[Input, ...]:
        if any(one.id == "approve" for one in asked):
            raise ValueError("`approve` is what the two buttons answer; give this input another id")
        return asked

    @cached_property
    def on_resume(self) -> list[Input]:
        """The questions as a Pause asks them: `approve`, `comment`, then the author's own."""
        names = self.decisions
        approve = BooleanInput(
            id="approve", type="BOOLEAN", display_name=f"{names.approve} / {names.deny}"[:64], required=True
        )
        when = {"ON_DENY": DENIED, "ON_APPROVE": APPROVED}.get(self.comment_required)
        comment = StringInput(
            id="comment",
            type="STRING",
            display_name="Comment",
            required=self.comment_required != "NEVER",
            depends_on=DependsOn(inputs=("approve",), condition=when) if when else None,
        )
        has_comment = any(one.id == "comment" for one in self.inputs)  # then the author's question is the comment
        return [approve, *([] if has_comment else [comment]), *self.inputs]

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        yield "onPause", self.on_wait
        yield "tasks", self.on_approve
        yield "tasks", self.on_deny
        yield "errors", self.errors
        yield "finally", self.finally_

    def wanted(self) -> Wanted:
        given = {"timeout": self.timeout, "autoApprove": self.auto_approve, "url": PAGE, **self._behaviors}
        given |= {
            "commentRequired": self.comment_required,
            "approve": self.decisions.approve,
            "deny": self.decisions.deny,
        }
        return {name: (value, "text") for name, value in given.items() if has_template(value)}

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        return Opened({"url": rendered.get("url") or None})

    def asking(self, rendered: Mapping[str, Any]) -> "Approval":
        names = self.decisions.model_dump() | {name: rendered[name] for name in ("approve", "deny") if name in rendered}
        required = rendered.get("commentRequired", self.comment_required)
        if required == self.comment_required and names == self.decisions.model_dump():
            return self
        asking = self.model_copy(update={"decisions": Decisions(**names), "comment_required": required})
        vars(asking).pop("on_resume", None)  # the copy has its own questions
        return asking

    def asked(self, due: str | None) -> Mapping[str, Any]:
        return {"due": due}

    @property
    def _behaviors(self) -> dict[str, str]:
        return {
            "approveBehavior": self.approve_behavior,
            "denyBehavior": self.deny_behavior,
            "expireBehavior": self.expire_behavior,
        }

    def _then(self, name: str, rendered: Mapping[str, Any]) -> Behavior:
        then = _known(rendered.get(name, self._behaviors[name]), name, Then)
        return "RESUME" if then == "CONTINUE" else then

    def asks(self, rendered: Mapping[str, Any]) -> bool:
        return str(rendered.get("autoApprove", self.auto_approve)).lower() != "true"

    def terms(self, rendered: Mapping[str, Any]) -> PauseTerms:
        _known(rendered.get("commentRequired", self.comment_required), "commentRequired", Required)
        length = to_wait(rendered.get("timeout", self.timeout), "timeout")
        then = {
            name: self._then(name, rendered) for name in self._behaviors
        }  # all, so that a slip shows before it asks
        return PauseTerms(length, then["expireBehavior"])

    def answered(self, inputs: Mapping[str, Any], by: str, at: str) -> Mapping[str, Any]:
        approved = inputs.get("approve", True) is True
        own = {"approve", "comment"} - {one.id for one in self.inputs}
        others = {key: value for key, value in inputs.items() if key not in own}
        return {
            "decision": "APPROVED" if approved else "DENIED",
            "auto": not inputs,
            "by": by or None,
            "on": at,
            "comment": inputs.get("comment"),
            "inputs": others,
        }

    def expired(self, inputs: Mapping[str, Any], at: str) -> Mapping[str, Any]:
        return {"decision": "EXPIRED", "auto": False, "by": None, "on": at, "comment": None, "inputs": {}}

    def body(self, run: TaskRun) -> Body:
        branches = {"APPROVED": self.on_approve, "DENIED": self.on_deny}
        return Body(enabled(branches.get((run.outputs or {}).get("decision", ""), ())))

    def verdict(self, run: TaskRun) -> Behavior:
        chosen = {"APPROVED": "approveBehavior", "DENIED": "denyBehavior"}
        name = chosen.get((run.outputs or {}).get("decision", ""))
        return self._then(name, run.rendered) if name else "RESUME"
