"""The end of an execution: its outputs, its state, then what runs after it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.core.commands import Render
from engine.core.executor.decision import Decision
from engine.core.flowable import enabled
from engine.core.state import State
from engine.errors import EngineError


def close(d: Decision, state: State) -> None:
    """End the execution in a state; its outputs are rendered first."""
    known = d.execution.rendered
    if d.flow.outputs and state is not State.KILLED and "ending" not in known and "ended" not in known:
        d.note(ending=state.value)
        sources: dict[str, Any] = {"outputs": {one.id: one.value for one in d.flow.outputs if one.required}}
        if optional := {one.id: one.value for one in d.flow.outputs if not one.required}:
            sources["optional"] = optional
        d.emit(Render(None, sources, {"optional": "each"}))
        return
    if "ending" in known:
        return
    finish(d, state)


def leave(d: Decision, state: State) -> None:
    """End the execution before its tasks are through; its `finally` runs first, once what is under way has ended."""
    known = d.execution.rendered
    if "leaving" in known:
        return
    if "ending" not in known and enabled(d.flow.finally_):
        d.note(leaving=state.value)
        d.dirty[None] = None
        return
    left(d, state)


def left(d: Decision, state: State) -> None:
    """End an execution that was left before its tasks were through."""
    d.forget("leaving")
    if state is State.CANCELLED:
        finish(d, state)
        return
    d.note(exiting=True)
    close(d, state)


def outputs_rendered(d: Decision, values: Mapping[str, Any], error: str | None) -> None:
    """The outputs are known (or could not be rendered): end the execution in the state it was about to take."""
    state = State(d.execution.rendered["ending"])
    is_exit = "exiting" in d.execution.rendered
    d.forget("ending", "exiting")
    if error is None:
        try:
            outputs = coerced(d, {**values["outputs"], **without_failed(d, values.get("optional", {}))})
            d.execution = replace(d.execution, outputs=outputs)
        except EngineError as problem:
            error = str(problem)
    if error is not None:
        # A run that failed already rarely has all its outputs: the reason it failed must stay the last error said.
        quiet = is_exit or state is State.FAILED
        d.log("WARN" if quiet else "ERROR", f"Failed to render output values: {error}")
        state = state if is_exit else State.FAILED
    finish(d, state)


def without_failed(d: Decision, optional: Mapping[str, Any]) -> dict[str, Any]:
    """The rendered outputs that the flow may do without; the log tells of each that could not be rendered."""
    for name, one in optional.items():
        if "error" in one:
            d.log("WARN", f"Failed to render optional flow output '{name}'. Output is ignored. {one['error']}")
    return {name: one["value"] for name, one in optional.items() if "value" in one}


def coerced(d: Decision, rendered: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs typed as the flow declares them; InputInvalid."""
    from engine.core.inputs import coerce_outputs  # noqa: PLC0415

    return dict(coerce_outputs(d.flow.outputs, rendered))


def finish(d: Decision, state: State) -> None:
    """Put the execution into its last state; `afterExecution` starts then."""
    d.note(ended=True)
    d.become(state)
    d.dirty[None] = None
