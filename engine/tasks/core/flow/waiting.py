"""Tasks that wait: for a person, for a time, or until a condition holds."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, get_args

from pydantic import AliasChoices, Field

from engine.core.flowable import (
    LoopingTask,
    LoopTerms,
    Opened,
    PauseTerms,
    PausingTask,
    Section,
    TimedTask,
    Wanted,
    to_wait,
)
from engine.core.inputs import Inputs, unasked
from engine.core.property import Property, has_template
from engine.core.task import AnyTask, Part, Task

Then = Literal["RESUME", "WARN", "FAIL", "CANCEL"]


class Pause(PausingTask):
    """Wait until somebody answers, or for a while. The answer is `outputs.<id>.onResume`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: approval
type: io.kestra.plugin.core.flow.Pause
pauseDuration: PT24H
behavior: FAIL
onResume:
  - id: approve
    type: BOOLEAN
    description: Ship it?
""",
    )
    type: Literal["io.kestra.plugin.core.flow.Pause", "io.kestra.core.tasks.flows.Pause"]
    on_resume: Inputs = Field(default=(), description="What is asked of whoever answers.")
    on_pause: AnyTask | None = Field(default=None, description="Runs before the question is posted.")
    pause_duration: Property[timedelta] | None = Field(
        default=None, validation_alias=AliasChoices("pauseDuration", "delay", "pause_duration")
    )
    behavior: Property[Then] = Field(default="RESUME", description="What happens when `pauseDuration` is over.")
    tasks: tuple[AnyTask, ...] = Field(default=(), description="Run after the answer.")

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        if self.on_pause is not None:
            yield "onPause", (self.on_pause,)
        yield from super().lists()

    def wanted(self) -> Wanted:
        return {
            name: (value, "text")
            for name, value in (
                ("pauseDuration", self.pause_duration),
                ("timeout", self.timeout),
                ("behavior", self.behavior),
            )
            if has_template(value)
        }

    def terms(self, rendered: Mapping[str, Any]) -> PauseTerms:
        length = to_wait(rendered.get("pauseDuration", self.pause_duration), "pauseDuration")
        timeout = to_wait(rendered.get("timeout", self.timeout), "timeout")
        if timeout is not None and (length is None or timeout < length):
            return PauseTerms(timeout, "FAIL")
        then = rendered.get("behavior", self.behavior)
        if then not in get_args(Then):
            raise ValueError(f"`behavior` is {then!r}; use one of {', '.join(get_args(Then))}.")
        return PauseTerms(length, then)

    def answered(self, inputs: Mapping[str, Any], by: str, at: str) -> Mapping[str, Any] | None:
        outputs: dict[str, Any] = {"onResume": dict(inputs)} if self.on_resume else {}
        if by:
            outputs["resumed"] = {"by": by, "on": at}
        return outputs or None

    def unanswered(self) -> Wanted:
        given = {asked.id: asked.defaults for asked in self.on_resume if asked.defaults is not None}
        return {"defaults": (given, "typed")} if given else {}

    def expired(self, inputs: Mapping[str, Any], at: str) -> Mapping[str, Any] | None:
        return self.answered(unasked(self.on_resume, inputs), "", at)


class CheckFrequency(Part):
    """How often the condition of a loop is looked at, and when the loop gives up."""

    interval: Property[timedelta] = timedelta(minutes=1)
    max_iterations: Property[int] | None = None
    max_duration: Property[timedelta] | None = None


class LoopUntil(LoopingTask):
    """Run tasks again and again until a condition holds."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: poll
type: io.kestra.plugin.core.flow.LoopUntil
condition: "{{ outputs.ask.code == 200 }}"
checkFrequency:
  interval: PT30S
  maxIterations: 20
tasks:
  - id: ask
    type: io.kestra.plugin.core.http.Request
    uri: https://example.com/ready
    options:
      allowFailed: true
""",
    )
    type: Literal[
        "io.kestra.plugin.core.flow.LoopUntil",
        "io.kestra.plugin.core.flow.WaitFor",
        "io.kestra.core.tasks.flows.WaitFor",
    ]
    condition: str | bool = Field(description="The loop ends when this is true, after an iteration.")
    tasks: tuple[AnyTask, ...] = Field(min_length=1)
    fail_on_max_reached: Property[bool] = False
    check_frequency: CheckFrequency = CheckFrequency()

    def wanted(self) -> Wanted:
        frequency = self.check_frequency
        given = {
            "interval": frequency.interval,
            "maxIterations": frequency.max_iterations,
            "maxDuration": frequency.max_duration,
            "failOnMaxReached": self.fail_on_max_reached,
        }
        return {name: (value, "text") for name, value in given.items() if isinstance(value, str)}

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        return Opened({"iterationCount": 1})

    def until(self) -> Any:
        return self.condition

    def limits(self, rendered: Mapping[str, Any]) -> LoopTerms:
        frequency = self.check_frequency
        most = rendered.get("maxIterations", frequency.max_iterations)
        fails = rendered.get("failOnMaxReached", self.fail_on_max_reached)
        try:
            count = None if most is None or most == "" else int(most)
        except ValueError as error:
            raise ValueError(f"`checkFrequency.maxIterations` is no number: {most!r}") from error
        return LoopTerms(
            to_wait(rendered.get("interval", frequency.interval), "checkFrequency.interval") or timedelta(),
            count,
            to_wait(rendered.get("maxDuration", frequency.max_duration), "checkFrequency.maxDuration"),
            fails if isinstance(fails, bool) else str(fails) == "true",
        )


class Sleep(TimedTask):
    """Wait for a while; no worker is held meanwhile."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: breathe
type: io.kestra.plugin.core.flow.Sleep
duration: PT5S
""",
    )
    type: Literal[
        "io.kestra.plugin.core.flow.Sleep",
        "io.kestra.plugin.core.flow.Wait",
        "io.kestra.plugin.core.debug.Wait",
    ]
    duration: Property[timedelta]

    def wanted(self) -> Wanted:
        return {"duration": (self.duration, "text")} if isinstance(self.duration, str) else {}

    def wait(self, rendered: Mapping[str, Any]) -> timedelta:
        length = to_wait(rendered.get("duration", self.duration), "duration")
        if length is None:
            raise ValueError("`duration` is empty; write it as `PT5S`.")
        return length
