"""A flow as its author wrote it."""

from typing import Any, Literal

from pydantic import AliasChoices, Field, JsonValue, model_validator

from engine.core.durations import Duration
from engine.core.inputs import FlowOutput, Inputs
from engine.core.labels import Labels
from engine.core.retries import Retry
from engine.core.task import AnyTask, Part, WorkerSelector
from engine.core.triggers import AnyTrigger

__all__ = ["Check", "Concurrency", "Flow", "FlowOutput", "Sla"]


class Concurrency(Part):
    """How many executions of the flow may be under way, and what happens to the next."""

    limit: int = Field(gt=0)
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


class Sla(Part):
    """A promise about executions, and what happens to one that breaks it."""

    id: str
    type: Literal["MAX_DURATION", "EXECUTION_ASSERTION"]
    description: str | None = None
    behavior: Literal["FAIL", "CANCEL", "NONE"] = "FAIL"
    labels: Labels = ()
    duration: Duration | None = None
    assert_: str | None = Field(default=None, alias="assert")

    @model_validator(mode="after")
    def _has_its_measure(self) -> "Sla":
        if self.type == "MAX_DURATION" and self.duration is None:
            raise ValueError("an SLA of type MAX_DURATION needs its `duration`")
        if self.type == "EXECUTION_ASSERTION" and self.assert_ is None:
            raise ValueError("an SLA of type EXECUTION_ASSERTION needs its `assert`")
        return self


class Check(Part):
    """A test of the inputs before an execution is created; it fails when the condition is not true."""

    condition: str | bool = Field(validation_alias=AliasChoices("condition", "when"))
    message: str
    style: Literal["INFO", "ERROR", "SUCCESS", "WARNING"] = "INFO"
    behavior: Literal["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"] = "BLOCK_EXECUTION"


# One entry as editors see it; its values are merged into the text before a flow is read, so here they are anything.
DEFAULTS_ENTRY: dict[str, JsonValue] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "description": "A whole type, or what several begin with."},
        "values": {"type": "object", "description": "Properties by name; those of a task itself win."},
        "forced": {"type": "boolean", "description": "Whether these win over those of a task."},
        "ref": {"type": "string", "description": "For the parts alone that ask for it with `pluginDefaultsRef`."},
    },
}


class Flow(Part):
    """Tasks to run, in order, under an id in a namespace. `revision` is assigned when it is deployed."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", min_length=1, max_length=100)
    namespace: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", min_length=1, max_length=150)
    revision: int = Field(default=1, ge=1)
    description: str | None = None
    labels: Labels = ()
    inputs: Inputs = ()
    variables: dict[str, Any] = Field(default_factory=dict)
    tasks: tuple[AnyTask, ...] = Field(min_length=1)
    errors: tuple[AnyTask, ...] = ()
    finally_: tuple[AnyTask, ...] = Field(default=(), alias="finally")
    after_execution: tuple[AnyTask, ...] = ()
    triggers: tuple[AnyTrigger, ...] = ()
    outputs: tuple[FlowOutput, ...] = ()
    retry: Retry | None = None
    concurrency: Concurrency | None = None
    plugin_defaults: tuple[Any, ...] = Field(
        default=(),
        validation_alias=AliasChoices("pluginDefaults", "taskDefaults"),
        description="Values for everything whose `type` is, or begins with, one.",
        json_schema_extra={"items": DEFAULTS_ENTRY},
    )
    sla: tuple[Sla, ...] = ()
    checks: tuple[Check, ...] = ()
    worker_group: Any = None
    worker_selector: WorkerSelector | None = None
    policy_refs: Any = None
    listeners: Any = Field(default=None, description="No longer in use.")
    extend: Any = Field(default=None, description="What a catalogue of flows shows; without effect on a run.")
    disabled: bool = False
    deleted: bool = False
