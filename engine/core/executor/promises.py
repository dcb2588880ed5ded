"""SLA: promises of a flow about how long an execution takes and what holds while it runs."""

from collections.abc import Mapping
from typing import Any

from engine.core.commands import CancelTimer, Render, SetTimer
from engine.core.executor.decision import Decision
from engine.core.executor.effects import labelled
from engine.core.executor.stopping import stop_everything
from engine.core.flow import Sla
from engine.core.flowable import truthy
from engine.core.state import State

BROKEN = {"FAIL": State.FAILED, "CANCEL": State.CANCELLED}


def watch(d: Decision) -> None:
    """Set a timer for every promise about time; called when the execution begins."""
    for promise in d.flow.sla:
        if promise.type == "MAX_DURATION" and promise.duration is not None:
            d.emit(SetTimer(_timer(d, promise), d.now + promise.duration))


def unwatch(d: Decision) -> None:
    """Forget those timers; the execution has ended."""
    for promise in d.flow.sla:
        if promise.type == "MAX_DURATION":
            d.emit(CancelTimer(_timer(d, promise)))


def _timer(d: Decision, promise: Sla) -> str:
    """Another key after each restart: a timer that is late must not break the promise anew."""
    return f"sla:{promise.id}:{d.execution.attempt_number}"


def out_of_time(d: Decision, key: str) -> None:
    """A timer of a promise came due; one without the number of the restart was set by an older version."""
    for promise in d.flow.sla:
        if key in (_timer(d, promise), f"sla:{promise.id}"):
            broken(d, promise)


def assertions(d: Decision) -> dict[str, Any]:
    """Expressions that must hold, by the key they are rendered under."""
    kept: dict[str, Any] = {}
    if "broken" in d.execution.rendered or d.execution.state.is_terminal or d.is_killing:
        return kept
    for place, promise in enumerate(d.flow.sla):  # not by id, which several may have
        if promise.type == "EXECUTION_ASSERTION":
            kept[f"sla:{place}"] = promise.assert_
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
            broken(d, d.flow.sla[int(key.removeprefix("sla:"))])
            return


def broken(d: Decision, promise: Sla) -> None:
    """A promise is broken: label the execution and end it as the promise says."""
    if d.execution.state.is_terminal or d.is_killing or "broken" in d.execution.rendered:
        return
    d.note(broken=promise.id)
    d.execution = labelled(d.execution, dict(promise.labels))
    d.log("WARN", f"SLA {promise.id!r} is broken.")
    state = BROKEN.get(promise.behavior)
    if state is None:
        return
    d.forget("ending", "exiting")  # its outputs may be asked for already; they change nothing any more
    stop_everything(d, State.KILLED, first=state)
    d.become(state)
    d.note(ended=True)
    d.dirty[None] = None
