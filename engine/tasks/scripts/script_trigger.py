"""Scripts that are run again and again to see whether there is something to do. What all of their triggers share."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from pydantic import Field

from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.expressions.printing import java_text
from engine.plugin import (
    LateProperty,
    LateShellText,
    Look,
    Outputs,
    Part,
    PollContext,
    PollingTrigger,
    Property,
    TaskFailed,
)
from engine.tasks import catalogue
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.scripts.script_task import ScriptResult, ScriptTask
from engine.tasks.threads import in_own_thread
from engine.tasks.trigger_fields import fields_of

EXIT = re.compile(r"exit\s+(\d{1,9})", re.IGNORECASE)


class Ran(Outputs):
    """How a script ended that fits the condition; `vars` is what it handed on: when it failed only that of Groovy."""

    timestamp: str
    condition: str
    exitCode: int | None = None  # noqa: N815 - appears as written
    vars: dict[str, Any] | None = None


class WatchFields(Part):
    """Where it runs, and what the flow waits for."""

    container_image: Property[OptionalText] = None
    exit_condition: Property[Text] = Field(
        description="`exit 3`: it ends with that code. Anything else: a regular expression for what it hands on, which "
        "reads like `{count=3, name=x}`."
    )
    edge: Property[bool] = Field(default=True, description="Only when it did not fit at the look before.")


class WatchTrigger(WatchFields, PollingTrigger):
    """Runs a task at every look."""

    task: ClassVar[type[ScriptTask]]
    body: ClassVar[str]  # the property that the task does
    fields: ClassVar[type[WatchFields]] = WatchFields
    tells_when_failed: ClassVar[bool] = False  # what it handed on before it failed counts, too

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, self.fields, context)
        if not fields.exit_condition.strip():
            raise TaskFailed(
                "`exitCondition` is empty.", fix="Write `exit 1`, or a pattern for what the script hands on."
            )
        given = {"id": self.id, "type": self.task.type_names()[0], self.body: getattr(self, self.body)}
        asked = fields.model_dump(by_alias=True, exclude_unset=True, exclude={"exit_condition", "edge"})
        given |= {name: value for name, value in asked.items() if value}
        task = self.task.model_validate(given, context={"rendered": True, "registry": catalogue()})
        code: int | None
        told: dict[str, Any] | None
        try:
            ended = cast(ScriptResult, await task.run(context))
            code, told = ended.exitCode, ended.vars
        except TaskFailed as error:
            outputs = error.outputs or {}
            code, told = outputs.get("exitCode"), outputs.get("vars") if self.tells_when_failed else None
            if code is None:  # it did not even run
                raise
        fits = await in_own_thread(lambda: is_met(fields.exit_condition, code, told))
        is_news = fits and not (fields.edge and context.memory.get("matched"))
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        seen = Ran(timestamp=now, condition=fields.exit_condition, exitCode=code, vars=told)
        return Look(seen if is_news else None, {"matched": fits})


class ScriptWatch(WatchTrigger):
    """Runs a script at every look."""

    body: ClassVar[str] = "script"
    script: LateProperty[str]


class CommandsWatch(WatchTrigger):
    """Runs shell commands at every look."""

    body: ClassVar[str] = "commands"
    commands: LateShellText[list[str] | str]


def is_met(condition: str, code: int | None, told: Mapping[str, Any] | None) -> bool:
    """Whether a script that ended with a code, and handed something on, fits a condition; TaskFailed when the pattern
    takes too long. Called in a thread, as it may wait for a process."""
    wanted = condition.strip()
    if found := EXIT.fullmatch(wanted):
        return code == int(found[1])
    if not told:
        return False
    try:
        text = java_text(told)
        try:
            regexes.compiled(wanted)
        except ExpressionFailed:
            return wanted in text
        return regexes.search(text, wanted) is not None
    except ExpressionFailed as error:
        raise TaskFailed(f"`exitCondition`: {error.message}", fix=error.fix) from error
