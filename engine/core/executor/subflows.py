"""Executions that a task starts: one for a Subflow, one for each batch of a ForEachItem."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.core.commands import Render, StartSubflow, StopSubflow
from engine.core.events import SubflowCreated, SubflowEnded
from engine.core.execution import TaskRun
from engine.core.executor.attempts import begin, end_attempt, fail_attempt
from engine.core.executor.decision import Decision
from engine.core.executor.stopping import children_of, is_stopping, spares
from engine.core.executor.timeouts import limited, watch
from engine.core.flowable import BatchTask, ChildCall, ExecutableTask
from engine.core.state import State
from engine.core.variables import task_run_variables

TOLD = 20  # batches that failed of which the log says why


def call(d: Decision, run: TaskRun, task: ExecutableTask) -> None:
    """Ask for the execution of a Subflow."""
    asked = d.ask(run, {**task.wanted(), **limited(task)})
    if asked is None:
        return
    past = [*asked.rendered.get("past", ()), *_called_before(asked)]
    run = replace(begin(d, asked), outputs=None)
    run = d.put(replace(run, rendered={**run.rendered, "past": past}) if past else run)
    try:
        called = task.call(run.rendered)
        run = watch(d, run, task)
    except ValueError as error:
        fail_attempt(d, run, str(error))
        return
    earlier = run.rendered.get("restarts") if called.restarts_failed else None
    kept = {key: value for key, value in run.rendered.items() if key not in ("restarts", "restarting")}
    if earlier is not None:  # once: what fails again is tried again as its retry policy says
        kept |= {"restarting": earlier, "past": [one for one in past if one != earlier]}
    run = d.put(replace(run, rendered=kept))
    d.emit(replace(_command(d, run, called), restarts=earlier))


def _called_before(run: TaskRun) -> list[str]:
    """The execution of the last attempt, if there was one."""
    last = (run.outputs or {}).get("executionId")
    return [str(last)] if last else []


def _command(d: Decision, run: TaskRun, called: ChildCall) -> StartSubflow:
    labels = d.execution.labels
    if not called.inherits_labels:
        labels = tuple(pair for pair in labels if pair[0].startswith("system."))
    return StartSubflow(
        run.id,
        called.namespace,
        called.flow_id,
        called.revision,
        called.inputs,
        (*labels, *called.labels),
        called.waits,
        schedule_date=called.schedule_date,
        attempt=len(run.attempts),
        outputs=called.outputs,
    )


def created(d: Decision, event: SubflowCreated) -> None:
    """The execution a run asked for exists, or could not be made."""
    run = d.run(event.task_run_id)
    task = d.task(run) if run else None
    if run is None or not isinstance(task, ExecutableTask):
        return
    if event.replaces in children_of(run) and run.state.is_running:
        _replaced(d, run, event)
        return
    if not run.state.is_running or event.attempt not in (None, len(run.attempts)) or event.replaces:
        _came_too_late(d, run, task, event)
        return
    if event.execution_id in run.rendered.get("past", ()):
        return
    if isinstance(task, BatchTask):
        _batch_created(d, run, task, event)
        return
    if "executionId" in (run.outputs or {}):
        return
    if event.execution_id is None:
        fail_attempt(d, run, event.error or "The execution could not be created.")
        return
    if is_stopping(d, run):
        d.emit(StopSubflow(event.execution_id))
    earlier = run.rendered.get("restarting", event.execution_id)
    if earlier != event.execution_id:  # it could not be restarted, so its end is not that of this call
        run = d.remember(run, past=[*run.rendered.get("past", ()), earlier])
    run = d.put(replace(run, outputs={"executionId": event.execution_id}))
    if not task.call(run.rendered).waits:
        end_attempt(d, run, State.SUCCESS)


def _replaced(d: Decision, run: TaskRun, event: SubflowCreated) -> None:
    """An execution that a run waits for is tried again as another one: that is what it waits for now."""
    if event.iteration is None:
        d.put(replace(run, outputs={**(run.outputs or {}), "executionId": event.execution_id}))
    else:
        d.remember(run, children={**run.rendered["children"], str(event.iteration): event.execution_id})
    if event.execution_id is not None and is_stopping(d, run):
        d.emit(StopSubflow(event.execution_id))


def _came_too_late(d: Decision, run: TaskRun, task: ExecutableTask, event: SubflowCreated) -> None:
    """An execution exists now that its attempt is over: nobody will wait for it, so it is stopped."""
    number, past = event.iteration, run.rendered.get("past", ())
    is_known = event.execution_id in children_of(run) or (number is not None and _has_ended(run, number))
    if event.execution_id is None or is_known or event.execution_id in past:
        return
    if run.state is not State.KILLED and isinstance(task, BatchTask):
        d.remember(run, past=[*past, event.execution_id])
        return  # batches of an attempt that failed go on, as they do when the attempt was still open
    if run.state is State.KILLED and spares(d, task):
        return
    if run.state in (State.KILLED, State.FAILED, State.RETRYING, State.RUNNING, State.KILLING):
        d.emit(StopSubflow(event.execution_id))
        d.remember(run, past=[*past, event.execution_id])


def ended(d: Decision, event: SubflowEnded) -> None:
    """An execution that a run waits for has ended."""
    run = d.run(event.task_run_id)
    task = d.task(run) if run else None
    if run is None or not run.state.is_running or not isinstance(task, ExecutableTask):
        return
    if isinstance(task, BatchTask):
        _batch_ended(d, run, task, event)
        return
    if event.execution_id in run.rendered.get("past", ()):
        return  # of an earlier attempt
    called = task.call(run.rendered)
    if not called.waits:
        return
    outputs: dict[str, Any] = {"executionId": event.execution_id, "state": event.state.value}
    if event.outputs is not None:
        outputs["outputs"] = event.outputs
    run = d.put(replace(run, outputs=outputs))
    if event.error:
        fail_attempt(d, run, event.error)
        return
    state = State.KILLED if is_stopping(d, run) else task.told(event.state, called)
    if state is State.FAILED:
        d.log("ERROR", f"The subflow {called.namespace}/{called.flow_id} ended {event.state}: {_why(event)}", run)
    end_attempt(d, run, state)


def _why(event: SubflowEnded) -> str:
    """Why an execution failed, and which it is."""
    if event.reason:
        return f"{event.reason.strip()} (run {event.execution_id})"
    return f"see the log of its run {event.execution_id}."


# --- batches of a ForEachItem. `rendered` of the run holds: next (the batch to ask for), children {batch: execution}
# that are under way, ended (one bit a batch, as hex).


def call_batches(d: Decision, run: TaskRun, task: BatchTask) -> None:
    """Ask for one execution a batch."""
    batches = batches_of(d, run, task)
    past = [*run.rendered.get("past", ()), *run.rendered.get("children", {}).values()]  # of an attempt that timed out
    run = begin(d, run)
    run = d.put(replace(run, outputs={"numberOfBatches": len(batches), "iterations": {}}))
    if not batches:
        end_attempt(d, run, State.SUCCESS)
        return
    run = d.remember(run, next=1, ended="0", children={}, **({"past": past} if past else {}))
    _ask_batch(d, run, task, batches)


def batches_of(d: Decision, run: TaskRun, task: BatchTask) -> list[str]:
    """URIs of the batches the sibling made."""
    split = d.run(d.level(run.parent_id).lane("tasks").runs.get((task.batches_of(), run.value)))
    return [str(uri) for uri in (split.rendered if split else {}).get("batches", ())]


def _ask_batch(d: Decision, run: TaskRun, task: BatchTask, batches: list[str]) -> None:
    number = run.rendered["next"]
    if number > len(batches):
        return
    wanted = task.wanted()
    scope = {**task_run_variables(run), "items": batches[number - 1], "iteration": number - 1}
    sources = {f"batch:{number}": {key: value for key, (value, _) in wanted.items()}}
    d.emit(Render(run.id, sources, {}, {"taskrun": scope}))


def batch_rendered(d: Decision, run: TaskRun, task: BatchTask, values: Mapping[str, Any], error: str | None) -> None:
    """What one batch needs is known: its execution is asked for, then the next batch is."""
    number = run.rendered.get("next")
    if error is not None:
        fail_attempt(d, run, error)
        return
    rendered = values.get(f"batch:{number}")
    if rendered is None or not isinstance(number, int):
        return
    try:
        called = task.call(rendered)
    except ValueError as problem:
        fail_attempt(d, run, str(problem))
        return
    batches = batches_of(d, run, task)
    command = _command(d, run, called)
    d.emit(replace(command, origin_type="ForEachItem", items=batches[number - 1], iteration=number))
    run = d.remember(run, next=number + 1, waits=called.waits, transmits=called.transmits_failed)
    _ask_batch(d, run, task, batches)


def _batch_created(d: Decision, run: TaskRun, task: BatchTask, event: SubflowCreated) -> None:
    number = event.iteration
    if number is None or _has_ended(run, number) or str(number) in run.rendered.get("children", {}):
        return
    if event.execution_id is None:
        d.log("ERROR", event.error or "The execution could not be created.", run)
        _count_batch(d, run, number, State.FAILED, None)
        return
    if is_stopping(d, run):
        d.emit(StopSubflow(event.execution_id))
    if not run.rendered.get("waits", True):
        _count_batch(d, run, number, State.SUCCESS, None)
        return
    d.remember(run, children={**run.rendered["children"], str(number): event.execution_id})


def _batch_ended(d: Decision, run: TaskRun, task: BatchTask, event: SubflowEnded) -> None:
    number = event.iteration
    if number is None or _has_ended(run, number) or event.execution_id in run.rendered.get("past", ()):
        return
    state = State.FAILED if event.error else event.state
    failed = sum((run.outputs or {}).get("iterations", {}).get(name, 0) for name in ("FAILED", "CANCELLED"))
    tells = run.rendered.get("transmits", True) and not is_stopping(d, run)
    if tells and state in (State.FAILED, State.CANCELLED) and failed <= TOLD:
        said = f"Batch {number} ended {state}: {event.error or _why(event)}"
        d.log("ERROR", said if failed < TOLD else "Further batches failed too.", run)
    _count_batch(d, run, number, state, event.outputs)


def _has_ended(run: TaskRun, number: int) -> bool:
    return bool(int(run.rendered.get("ended", "0"), 16) >> number & 1)


def _count_batch(d: Decision, run: TaskRun, number: int, state: State, outputs: Mapping[str, Any] | None) -> None:
    done = int(run.rendered["ended"], 16) | 1 << number
    none = {"CREATED": 0, "RUNNING": 0} if run.rendered.get("waits", True) else {"RUNNING": 0}  # as Kestra counts
    counts = {**none, **(run.outputs or {}).get("iterations", {})}
    counts[state.value] = counts.get(state.value, 0) + 1
    children = {key: child for key, child in run.rendered["children"].items() if key != str(number)}
    given = {**(run.outputs or {}), "iterations": counts}
    if outputs:
        given["subflowOutputs"] = {**given.get("subflowOutputs", {}), str(number): outputs}
    run = d.put(replace(run, outputs=given, rendered={**run.rendered, "ended": f"{done:x}", "children": children}))
    if sum(counts.values()) < (run.outputs or {})["numberOfBatches"]:
        return
    end_attempt(d, run, _batches_state(d, run, counts))


def _batches_state(d: Decision, run: TaskRun, counts: Mapping[str, int]) -> State:
    if is_stopping(d, run):
        return State.KILLED
    if not run.rendered.get("transmits", True):
        return State.SUCCESS
    if counts.get("FAILED") or counts.get("CANCELLED"):
        return State.FAILED
    if counts.get("KILLED"):
        return State.KILLED
    return State.WARNING if counts.get("WARNING") else State.SUCCESS
