"""Retry policies: when a failed attempt is tried again."""

from datetime import timedelta
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Retry(BaseModel):
    """`retry:` of a task, flowable or flow. `max_attempts` counts the first attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    type: Literal["constant", "exponential", "random"] = "constant"
    interval: timedelta | None = None
    max_interval: timedelta | None = None
    delay_factor: float = 2.0
    min_interval: timedelta | None = None
    max_attempts: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("maxAttempts", "maxAttempt", "max_attempts")
    )
    max_duration: timedelta | None = None
    warning_on_retry: bool = False
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"
