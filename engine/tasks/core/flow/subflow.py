"""Subflow: run another flow, and wait for its outputs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.flowable import ChildCall, ExecutableTask, Wanted
from engine.core.labels import read_labels
from engine.core.property import Property, has_template


def called_flow(task: Any, rendered: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> ChildCall:
    """The execution a task asks for, from what its properties rendered to; ValueError says what does not fit."""
    labels = read_labels(rendered.get("labels"))
    system = next((f"{key}={value}" for key, value in labels if key.startswith("system.")), None)
    if system is not None:
        raise ValueError(f"System labels can only be set by Kestra itself, offending label: {system}")
    revision = rendered.get("revision")
    if revision is not None and not str(revision).isdecimal():
        raise ValueError(f"`revision` is no number: {revision!r}")
    return ChildCall(
        namespace=_name(rendered, "namespace"),
        flow_id=_name(rendered, "flowId"),
        revision=None if revision is None else int(revision),
        inputs=_inputs(rendered.get("inputs")),
        labels=labels,
        inherits_labels=str(rendered.get("inheritLabels", task.inherit_labels)).lower() == "true",
        waits=task.wait,
        transmits_failed=task.transmit_failed,
        schedule_date=_date(rendered.get("scheduleDate")),
        restarts_failed=task.restart_behavior != "NEW_EXECUTION",
        outputs=outputs,
    )


def wanted_of(task: Any) -> Wanted:
    """What `called_flow` asks to be rendered of a task."""
    given = {
        "namespace": task.namespace,
        "flowId": task.flow_id,
        "revision": task.revision,
        "inputs": task.inputs,
        "labels": task.labels,
        "scheduleDate": task.schedule_date,
        "inheritLabels": task.inherit_labels if has_template(task.inherit_labels) else None,
    }
    return {name: (value, "text") for name, value in given.items() if value is not None}


def _name(rendered: Mapping[str, Any], key: str) -> str:
    name = rendered.get(key)
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"`{key}` is empty: it says which flow to run.")
    return name.strip()


def _inputs(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("`inputs` is no mapping of input names to values.")
    return value


def _date(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        date = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"`scheduleDate` is no date with a time: {value!r}") from error
    if date.tzinfo is None:
        raise ValueError(f"`scheduleDate` needs an offset, such as `{value}Z`.")
    return date


class Subflow(ExecutableTask):
    """Run another flow; its outputs are `outputs.<id>.outputs`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: draw
type: io.kestra.plugin.core.flow.Subflow
namespace: demo
flowId: generate_image
inputs:
  openai_prompt: "{{ inputs.prompt }}"
""",
    )
    type: Literal[
        "io.kestra.plugin.core.flow.Subflow",
        "io.kestra.plugin.core.flow.Flow",
        "io.kestra.core.tasks.flows.Subflow",
        "io.kestra.core.tasks.flows.Flow",
    ]
    namespace: str
    flow_id: str
    revision: int | str | None = None
    inputs: dict[str, Any] | None = None
    labels: Any = None
    wait: bool = Field(default=True, description="Go on when the other flow has ended; false: when it was created.")
    transmit_failed: bool = Field(default=True, description="Fail when the other flow fails.")
    inherit_labels: Property[bool] = Field(default=False, description="Give it all labels of this execution.")
    schedule_date: Any = Field(default=None, description="When it starts.")
    outputs: dict[str, Any] | None = Field(
        default=None, description="For flows without outputs of their own: rendered with what that execution sees."
    )
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] = Field(
        default="RETRY_FAILED", description="When this execution is restarted: the other one too, or a new one."
    )

    def wanted(self) -> Wanted:
        return wanted_of(self)

    def call(self, rendered: Mapping[str, Any]) -> ChildCall:
        return called_flow(self, rendered, self.outputs)
