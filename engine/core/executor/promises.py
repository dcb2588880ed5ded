"""SLA: promises of a flow about how long an execution takes and what holds while it runs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.core.commands import Render, SetTimer
from engine.core.executor.decision import Decision
from engine.core.executor.effects import labelled
from engine.core.executor.stopping import stop_everything
from engine.core.flowable import to_wait, truthy
from engine.core.state import State

BROKEN = {"FAIL": State.FAILED, "CANCEL": State.CANCELLED}


def _field(promise: Any, name: str) -> Any:
    return promise.get(name) if isinstance(promise, Mapping) else getattr(promise, name, getattr(promise, f"{name}_", None))


def watch(d: Decision) -> None:
    """Set a timer for every promise about time; called when the execution begins."""
    for promise in d.flow.sla:
        if _field(promise, "type") == "MAX_DURATION":
            length: timedelta | None = to_wait(_field(promise, "duration"), "sla.duration")
            if length is not None:
                d.emit(SetTimer(f"sla:{_field(promise, 'id')}", d.execution.created + length))


def assertions(d: Decision) -> dict[str, Any]:
    """Expressions that must hold, by the key they are rendered under."""
    kept: dict[str, Any] = {}
    if "broken" in d.execution.rendered or d.execution.state.is_terminal or d.is_killing:
        return kept
    for promise in d.flow.sla:
        if _field(promise, "type") == "EXECUTION_ASSERTION":
            kept[f"sla:{_field(promise, 'id')}"] = _field(promise, "assert")
    return kept


def check(d: Decision) -> None:
    """Ask whether the promises hold; at every change of the execution."""
    if not d.flow.sla or not (d.changed or d.execution.state is not d.before.state):
        return
    sources = assertions(d)
    if sources:
        d.emit(Render(None, sources))


def checked(d: Decision, values: Mapping[str, Any], error: str | None) -> None:
    """Whether the promises hold is known: the first broken one acts."""
    if error is not None:
        d.log("WARN", f"An SLA could not be checked: {error}")
        return
    for key in assertions(d):
        if key in values and not truthy(values[key]):
            broken(d, key.removeprefix("sla:"))
            return


def broken(d: Decision, promise_id: str) -> None:
    """A promise is broken: label the execution and end it as the promise says."""
    promise = next((one for one in d.flow.sla if _field(one, "id") == promise_id), None)
    if promise is None or d.execution.state.is_terminal or d.is_killing or "broken" in d.execution.rendered:
        return
    d.note(broken=promise_id)
    labels = _field(promise, "labels") or {}
    if isinstance(labels, Mapping):
        d.execution = labelled(d.execution, labels)
    else:
        d.execution = labelled(d.execution, {_field(one, "key"): _field(one, "value") for one in labels})
    d.log("WARN", f"SLA {promise_id!r} is broken.")
    state = BROKEN.get(str(_field(promise, "behavior") or "FAIL"))
    if state is None:
        return
    stop_everything(d, State.KILLED, first=state)
    d.become(state)
    d.note(ended=True)
    d.dirty[None] = None
