"""A flow as its author wrote it."""

from typing import Any, Literal

from pydantic import Field

from engine.core.retries import Retry
from engine.core.task import AnyTask, AnyTyped, Part


class Concurrency(Part):
    """How many executions of the flow may be under way, and what happens to the next."""

    limit: int = Field(gt=0)
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


class FlowOutput(Part):
    """One value an execution hands to whoever started it."""

    id: str
    type: str = "STRING"
    value: Any = None
    description: str | None = None
    display_name: str | None = None
    required: bool = True


class Flow(Part):
    """Tasks to run, in order, under an id in a namespace. `revision` is assigned when it is deployed."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=100)
    namespace: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=150)
    revision: int = Field(default=1, ge=1)
    description: str | None = None
    labels: Any = None
    inputs: tuple[Any, ...] = ()
    variables: dict[str, Any] = Field(default_factory=dict)
    tasks: tuple[AnyTask, ...] = Field(min_length=1)
    errors: tuple[AnyTask, ...] = ()
    finally_: tuple[AnyTask, ...] = Field(default=(), alias="finally")
    after_execution: tuple[AnyTask, ...] = ()
    triggers: tuple[AnyTyped, ...] = ()
    outputs: tuple[FlowOutput, ...] = ()
    retry: Retry | None = None
    concurrency: Concurrency | None = None
    plugin_defaults: tuple[Any, ...] = ()
    sla: tuple[Any, ...] = ()
    checks: tuple[Any, ...] = ()
    disabled: bool = False
