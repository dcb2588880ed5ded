"""Retry policies: when a failed attempt is tried again."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from engine.core.durations import Duration


class Retry(BaseModel):
    """`retry:` of a task, flowable or flow. `max_attempts` counts the first attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    type: Literal["constant", "exponential", "random"] = "constant"
    interval: Duration | None = None
    max_interval: Duration | None = None
    delay_factor: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    min_interval: Duration | None = None
    max_attempts: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("maxAttempts", "maxAttempt", "max_attempts")
    )
    max_duration: Duration | None = None
    warning_on_retry: bool = False
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"

    @model_validator(mode="after")
    def _has_its_waits(self) -> "Retry":
        names = ("minInterval", "maxInterval") if self.type == "random" else ("interval",)
        given = {"interval": self.interval, "minInterval": self.min_interval, "maxInterval": self.max_interval}
        missing = [f"`{name}`" for name in names if given[name] is None]
        if missing:
            raise ValueError(f"a retry of type {self.type} needs its {' and '.join(missing)}")
        return self
