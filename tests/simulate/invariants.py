"""The laws of the simulation. Each has a name: a failing history is shrunk to one that breaks the same."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from engine.core.commands import RunTask, SetTimer, StopTask
from engine.core.events import RestartAsked, TaskEnded, TaskStateAsked
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.executor import find_task, plan_of
from engine.core.flow import Flow
from engine.core.flowable import BatchTask, DirectoryTask, ExecutableTask, FlowableTask, ItemsTask, TimedTask
from engine.core.state import State
from engine.runtime.decision import Decision
from engine.store.commands import run_key, timer_key
from tests.simulate.work import path_of

if TYPE_CHECKING:
    from tests.simulate.world import World

S = State
ENDS = {S.SUCCESS, S.WARNING, S.FAILED, S.KILLED, S.CANCELLED, S.SKIPPED, S.RETRIED}
EXECUTION = {
    S.CREATED: {S.RUNNING, S.QUEUED, S.CANCELLED, S.FAILED, S.KILLED, S.KILLING},
    S.QUEUED: {S.RUNNING, S.KILLED, S.CANCELLED, S.FAILED},
    S.RUNNING: ENDS - {S.SKIPPED} | {S.PAUSED, S.KILLING, S.RETRYING},
    S.PAUSED: {S.RESTARTED, S.KILLING, S.KILLED, S.CANCELLED},
    S.RESTARTED: ENDS - {S.SKIPPED} | {S.RUNNING, S.PAUSED, S.RETRYING, S.KILLING},
    S.RETRYING: ENDS - {S.SKIPPED}
    | {S.RUNNING, S.PAUSED, S.KILLING},  # when time is up for what waits to be tried again
    S.KILLING: {S.KILLED},
    **{state: {S.RESTARTED} for state in ENDS},
    S.RETRIED: {S.RESTARTED, S.KILLED},  # before another took its place
}
RUN = {
    S.CREATED: {S.RUNNING, S.SKIPPED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS, S.CANCELLED, S.RETRIED},
    S.RUNNING: ENDS | {S.PAUSED, S.KILLING},
    S.PAUSED: ENDS | {S.RUNNING, S.RESTARTED},
    S.KILLING: {S.KILLED},
    S.FAILED: {S.RETRYING, S.RESTARTED, S.RUNNING},
    S.RETRYING: {
        S.CREATED,
        S.KILLED,
        S.WARNING,
        S.SUCCESS,
        S.FAILED,
        S.CANCELLED,
        S.RETRIED,
    },  # the last: once it is held no more
    S.RESTARTED: {S.RUNNING, S.SKIPPED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS, S.CANCELLED, S.RETRIED},
}
AGAIN = {S.RUNNING, S.RESTARTED}  # what an ended run becomes when something below it, or it itself, runs again


def runs_of(execution: Execution) -> Iterable[TaskRun]:
    """The task runs of an execution, in order."""
    runs = execution.task_runs
    return runs.in_order() if isinstance(runs, TaskRuns) else runs.values()


def may_leave(flow: Flow, run: TaskRun) -> bool:
    """Whether a task run may end its execution in its own way; one in a Loop ends its iteration."""
    place = plan_of(flow).places.get(run.task_id)
    in_loop = place is not None and any(isinstance(above.task, ItemsTask) for above in place.above)
    return not in_loop and run.task_id.startswith(("exits", "approval")) and run.state is not S.SKIPPED


class Broken(AssertionError):
    """A law does not hold."""

    def __init__(self, law: str, detail: str) -> None:
        super().__init__(f"{law}: {detail}")
        self.law = law
        self.detail = detail


class Laws:
    """Looks at every step of one simulation."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.reports: dict[tuple[str, int], set[State]] = {}
        self.decisions: dict[str, str] = {}
        self.answers: dict[int, str] = {}
        self.children: dict[str, str] = {}
        self.lives: set[tuple[object, ...]] = set()
        self.corrected: set[str] = set()  # task runs whose state somebody changed
        self.due: dict[str, datetime] = {}  # timer → its time, as it was set last

    # --- what the world tells
    def reported(self, run_id: str, attempt: int, state: State) -> None:
        """A worker ended an attempt."""
        self.reports.setdefault((run_id, attempt), set()).add(state)

    def begun(self, run: TaskRun, attempt: int) -> None:
        """A worker begins an attempt: once in a life."""
        rounds = sum(state.is_created for state, _ in run.histories)
        key = (run.id, attempt, rounds, self.world.life)
        if key in self.lives:
            raise Broken("run once", f"attempt {attempt} of {run.id} runs twice in one life of the process")
        self.lives.add(key)

    def decided(self, pause_id: str, by: str) -> None:
        """Somebody's decision of a pause was taken."""
        if pause_id in self.decisions:
            raise Broken("one decision per pause", f"{pause_id} by {self.decisions[pause_id]} and by {by}")
        self.decisions[pause_id] = by

    def answered(self, deed: int, answer: str) -> None:
        """Somebody was told what came of a deed: the same for every copy of it."""
        if self.answers.setdefault(deed, answer) != answer:
            raise Broken("one answer per delivery", f"deed {deed}: {self.answers[deed]!r}, then {answer!r}")

    def child_made(self, row: str, child_id: str) -> None:
        """An execution was made for a row of the outbox."""
        if row in self.children:
            raise Broken("one child per call", f"{row} made {self.children[row]} and {child_id}")
        self.children[row] = child_id

    # --- after every transaction that writes an execution
    def committed(self, decision: Decision) -> None:
        """The laws of one step."""
        before, after = decision.before, decision.after
        if after is before:
            return
        for run in self.moved(decision):
            if not self.in_folder(run, after):
                earlier = before.task_runs.get(run.id)
                self._honest(earlier, run, after)
                self._answer_kept(earlier, run)
                self._called_whole(earlier, run, after)
        self.waits(after)
        self._slots(after)

    def moved(self, decision: Decision) -> list[TaskRun]:
        """The laws about how states follow one another; the task runs that changed."""
        before, after = decision.before, decision.after
        if after is before:
            return []
        self._moved(before, after)
        changed = self._changed(before, after)
        for run in changed:
            self._waited(before.task_runs.get(run.id), run, decision)
            corrected = {
                event.state
                for event in decision.events
                if isinstance(event, TaskStateAsked) and event.task_run_id == run.id
            }
            self._run_moved(before.task_runs.get(run.id), run, after, corrected)
        if after.sequence != before.sequence:
            self._unique(after)
        self._ended_for_good(decision)
        for command in decision.commands:
            if isinstance(command, SetTimer):
                self.due[timer_key(after.id, command.key)] = command.at
        return changed

    def _changed(self, before: Execution, after: Execution) -> list[TaskRun]:
        changed_since = getattr(after.task_runs, "changed_since", None)
        if changed_since is None:
            return list(after.task_runs.values())
        found: list[TaskRun] = changed_since(before.task_runs)[0]
        return found

    def _moved(self, before: Execution, after: Execution) -> None:
        if after.histories[: len(before.histories)] != before.histories:
            raise Broken("history only grows", f"{before.histories} → {after.histories}")
        new = after.histories[len(before.histories) - 1 :]
        for (one, _), (two, _) in itertools.pairwise(new):
            if two not in EXECUTION[one]:
                raise Broken("legal transitions", f"execution {after.id}: {one} → {two}")

    def _run_moved(
        self, before: TaskRun | None, run: TaskRun, execution: Execution, corrected: Collection[State]
    ) -> None:
        known = 0
        if before is not None:
            if run.histories[: len(before.histories)] != before.histories:
                raise Broken("history only grows", f"{run.id} ({run.task_id}): {before.histories} → {run.histories}")
            known = len(before.histories) - 1
        new = run.histories[known:]
        for (one, _), (two, _) in itertools.pairwise(new):
            if two not in RUN.get(one, AGAIN) and not (one in ENDS and two in AGAIN) and two not in corrected:
                raise Broken("legal transitions", f"{run.id} ({run.task_id}): {one} → {two}")
        if self.in_folder(run, execution):  # its folder is gone after a crash, so its work is done again
            return
        self.corrected.update([run.id] if corrected else ())
        if run.id in self.corrected:  # somebody said that it had not succeeded
            return
        successes = sum(attempt.state is S.SUCCESS for attempt in run.attempts)
        if successes > 1 and getattr(find_task(self.world.flow(execution), run.task_id), "exit", None) is None:
            raise Broken("one success per task run", f"{run.id} ({run.task_id}) has {successes}")

    def _waited(self, before: TaskRun | None, run: TaskRun, decision: Decision) -> None:
        """What waits for a time has waited for it: another attempt, the next iteration, the end of a Sleep."""
        if before is None or any(state is S.RESTARTED for state, _ in run.histories[len(before.histories) :]):
            return
        key = before.rendered.get("timer")
        if before.state is S.RETRYING and run.state in (S.CREATED, S.RUNNING, S.SUCCESS):
            key = f"retry:{run.id}:{len(before.attempts)}"
        elif "waiting" in before.rendered and "waiting" not in run.rendered:
            key = key if run.iteration != before.iteration else None
        elif before.state is not S.RUNNING or run.state is not S.SUCCESS:
            return
        due = self.due.get(timer_key(decision.after.id, key or ""))
        if due is not None and decision.now < due:
            raise Broken("no wait is cut short", f"{key} of {run.task_id} ended at {decision.now}, was due at {due}")

    def _called_whole(self, before: TaskRun | None, run: TaskRun, execution: Execution) -> None:
        """A call that waits ends well when all has ended that it made."""
        task = find_task(self.world.flow(execution), run.task_id)
        ended = before is not None and not before.state.is_terminal and run.state.is_terminal
        if not ended or not isinstance(task, ExecutableTask) or run.attempts[-1].state not in (S.SUCCESS, S.WARNING):
            return
        waits = run.rendered.get("waits", True) if isinstance(task, BatchTask) else task.call(run.rendered).waits
        for row, child in self.children.items() if waits else ():
            if row.startswith(f"subflow:{run.id}:{len(run.attempts)}:") and self._child_goes_on(child):
                raise Broken("a call ends with what it called", f"{run.id} ({run.task_id}) ended before {child}")

    def in_folder(self, run: TaskRun, execution: Execution) -> bool:
        parent = execution.task_runs.get(run.parent_id) if run.parent_id else None
        flow = self.world.flow(execution)
        return parent is not None and isinstance(find_task(flow, parent.task_id), DirectoryTask)

    def _honest(self, before: TaskRun | None, run: TaskRun, execution: Execution) -> None:
        """What is recorded of an attempt is what a worker reported."""
        if not self._is_work(run, execution) or len(run.histories) < 2 or run.histories[-2][0].is_created:
            return  # its condition could not be rendered: no worker has seen it
        known = {number for number, one in enumerate(before.attempts, 1) if one.ended} if before else set()
        for number, attempt in enumerate(run.attempts, 1):
            if attempt.ended is None or number in known or attempt.state is S.KILLED:
                continue
            if execution.original_id != execution.id and run.histories[0][1] < execution.histories[-1][1]:
                continue  # an attempt that a replay brought along
            said = self.reports.get((run.id, number), set())
            if attempt.state not in said:
                heard = sorted(said) or "nothing"
                raise Broken("attempts are as reported", f"{run.id} #{number}: {attempt.state}, heard {heard}")

    def _answer_kept(self, before: TaskRun | None, run: TaskRun) -> None:
        """A pause that was answered goes on with the answer that was given to it."""
        if before is None or before.state is not S.PAUSED or run.state is S.PAUSED:
            return
        if any(state is S.RESTARTED for state, _ in run.histories[len(before.histories) :]):
            return  # a restart asked anew before the answer was heard
        rows = [row for row in self.world.store.pauses.values() if row.task_run_id == run.id]
        if not rows:
            raise Broken("pauses have a row", f"{run.id} was paused without one")
        row = rows[-1]
        if row.state == "EXPIRED" and row.deadline is not None and self.world.now < row.deadline:
            raise Broken("no deadline comes early", f"{row.id} expired at {self.world.now}, before {row.deadline}")
        outputs = run.outputs or {}
        by = outputs.get("by") or (outputs.get("resumed") or {}).get("by")
        if row.state == "RESUMED" and row.decided_by is None:  # asked anew while the answer was on its way
            row = next((one for one in reversed(rows) if one.decided_by is not None), row)
        if run.state is S.RUNNING and by != row.decided_by:
            raise Broken("the answer reaches its pause", f"{row.id} by {row.decided_by}, but {run.id} has {by}")
        if row.inputs is not None and "onResume" in outputs and dict(outputs["onResume"]) != dict(row.inputs):
            raise Broken("the answer reaches its pause", f"{row.id}: {row.inputs}, but {run.id} has {outputs}")

    def _ended_for_good(self, decision: Decision) -> None:
        """Nothing but `afterExecution` begins once an execution has ended."""
        after, before = decision.after, decision.before
        exits = [event for event in decision.events if isinstance(event, TaskEnded) and "exit" in event.effects]
        if not after.state.is_terminal or not (before.state.is_terminal or len(decision.events) == len(exits)):
            return
        places = plan_of(self.world.flow(after)).places
        stopped = {command.task_run_id for command in decision.commands if isinstance(command, StopTask)}
        known = stopped.union(before.task_runs)
        for command in decision.commands:
            if isinstance(command, RunTask) and command.task_run_id in after.task_runs.keys() - known:
                task = after.task_runs[command.task_run_id].task_id
                if places[task].root_section != "after":
                    raise Broken("an end is an end", f"{command.task_run_id} ({task}) is to run in {after.state}")

    def _unique(self, after: Execution) -> None:
        count = Counter((run.parent_id, run.task_id, run.value) for run in runs_of(after))
        if count and max(count.values()) > 1:
            raise Broken("one run per task and value", f"{after.id}: {count.most_common(1)}")

    def _is_work(self, run: TaskRun, execution: Execution) -> bool:
        task = find_task(self.world.flow(execution), run.task_id)
        return not isinstance(task, FlowableTask | ExecutableTask | TimedTask)

    # --- every execution waits for a named thing, and that thing is on disk
    def waits(self, after: Execution) -> None:
        """Everything that is open in an execution waits for a thing with a name, and that thing is on disk."""
        self._open_runs(after)
        self._iterations(after)
        self._pauses(after)

    def _iterations(self, after: Execution) -> None:
        """An iteration of a Loop ends with all that is in it."""
        is_first = after.attempt_number == 1 and after.histories[0][0] is S.CREATED
        if after.state.is_terminal or not is_first or not self.corrected.isdisjoint(after.task_runs):
            return  # what ran on beside an Exit outside of loops goes on when the execution is taken up again
        for run in runs_of(after):
            step = None if run.state.is_terminal else self._step(run, after)
            if step is not None and step.state.is_terminal:
                raise Broken("iterations end whole", f"{run.id} ({run.task_id}) is {run.state}, {step.id} has ended")

    def _step(self, run: TaskRun, execution: Execution) -> TaskRun | None:
        flow, step = self.world.flow(execution), run
        while step.parent_id is not None:
            above = execution.task_runs[step.parent_id]
            if isinstance(find_task(flow, above.task_id), ItemsTask):
                return step
            step = above
        return None

    def _open_runs(self, after: Execution) -> None:
        open_runs = [run for run in runs_of(after) if not run.state.is_terminal]
        waits, above = len(open_runs), {run.parent_id for run in open_runs}
        for run in open_runs:
            if not self._waits_for_something(run, after, above):
                raise Broken("everything waits for a named thing", f"{run.id} ({run.task_id}) is {run.state}")
        if waits or after.state.is_terminal or after.state is S.QUEUED or after.held:
            return
        if after.state in (S.CREATED, S.RESTARTED) and timer_key(after.id, "start") in self.world.store.outbox:
            return
        raise Broken("everything waits for a named thing", f"execution {after.id} is {after.state} with nothing open")

    def _waits_for_something(self, run: TaskRun, execution: Execution, above: set[str | None]) -> bool:
        store, task = self.world.store, find_task(self.world.flow(execution), run.task_id)
        if task is None:
            return False
        if run.state is S.RETRYING:
            waits = timer_key(execution.id, f"retry:{run.id}:{len(run.attempts)}") in store.outbox
            return waits or (execution.held and "due" in run.rendered)
        if isinstance(task, TimedTask):
            return timer_key(execution.id, run.rendered.get("timer", "")) in store.outbox
        if isinstance(task, ExecutableTask):
            return self._called(run, execution, isinstance(task, BatchTask))
        if not isinstance(task, FlowableTask) or (isinstance(task, DirectoryTask) and "result" not in run.rendered):
            if self.in_folder(run, execution):
                return not execution.task_runs[run.parent_id or ""].state.is_terminal
            is_open = bool(run.attempts) and run.attempts[-1].ended is None
            return run_key(run.id, len(run.attempts) + (0 if is_open else 1)) in store.outbox
        if run.state is S.PAUSED:
            return self._asked(run, execution)
        if "waiting" in run.rendered and run.state is S.RUNNING:
            return timer_key(execution.id, run.rendered["timer"]) in store.outbox
        return execution.held or run.id in above

    def _asked(self, run: TaskRun, execution: Execution) -> bool:
        store = self.world.store
        for posted in store.inbox.values():
            if posted.execution_id == execution.id and getattr(posted.event, "task_run_id", None) == run.id:
                return True
            if getattr(posted.event, "key", None) == run.rendered.get("timer", "-"):
                return True
        if not any(pause.task_run_id == run.id for pause in store.waiting(execution.id)):
            return self._being_killed(execution)
        return "timer" not in run.rendered or timer_key(execution.id, run.rendered["timer"]) in store.outbox

    def _being_killed(self, execution: Execution) -> bool:
        inbox = self.world.store.inbox.values()
        return any(type(one.event).__name__ == "KillAsked" for one in inbox if one.execution_id == execution.id)

    def _called(self, run: TaskRun, execution: Execution, is_batch: bool) -> bool:
        store = self.world.store
        if any(key.startswith(f"subflow:{run.id}:") for key in store.outbox):
            return True
        if any(getattr(one.event, "task_run_id", None) == run.id for one in store.inbox.values()):
            return True
        return any(
            caller.waits and caller.task_run_id == run.id and self._child_goes_on(child)
            for child, caller in store.callers.items()
        )

    def _child_goes_on(self, child: str) -> bool:
        store = self.world.store
        execution = store.executions[child]
        if execution.state is S.RETRIED:
            later = [id_ for id_ in store.callers if store.executions[id_].parent_id == child]
            return not later or any(self._child_goes_on(one) for one in later)
        if not execution.state.is_terminal:
            return True  # … or is about to: a caller that was restarted asks its child to, and may hear of it first
        inbox = self.world.store.inbox.values()
        return any(isinstance(one.event, RestartAsked) for one in inbox if one.execution_id == child)

    def _pauses(self, after: Execution) -> None:
        for pause in self.world.store.waiting(after.id):
            run = after.task_runs.get(pause.task_run_id)
            if run is None or run.state is not S.PAUSED:
                said = "is gone" if run is None else f"is {run.state}"
                raise Broken("who is asked is waited for", f"{pause.id} waits, its run {pause.task_run_id} {said}")

    def _slots(self, after: Execution) -> None:
        flow = self.world.flow(after)
        if flow.concurrency is None or after.state.is_terminal:
            return
        running = [
            one
            for one in self.world.store.executions.values()
            if one.flow_id == flow.id
            and not one.state.is_terminal
            and one.state not in (S.CREATED, S.QUEUED)
            and all(state is not S.RESTARTED or before is S.PAUSED for (before, _), (state, _) in
                    zip(one.histories, one.histories[1:], strict=False))
            and one.histories[0][0] is S.CREATED
        ]  # fmt: skip
        if len(running) > flow.concurrency.limit:
            raise Broken("concurrency limits hold", f"{[one.id for one in running]} of {flow.id} are under way")

    # --- at rest
    def resting(self) -> None:
        """Nothing is left to do: everything has ended, and nothing is left over."""
        store = self.world.store
        for execution in store.executions.values():
            if not execution.state.is_terminal:
                raise Broken("every execution ends", f"{execution.id} is {execution.state}")
            for run in execution.task_runs.values():
                if not run.state.is_terminal:
                    raise Broken("every task run ends", f"{run.id} ({run.task_id}) is {run.state}")
            self._handlers(execution)
        if store.outbox:
            raise Broken("the outbox empties", ", ".join(store.outbox))
        if store.inbox:
            raise Broken("the inbox empties", str(list(store.inbox.values())[:3]))
        if waiting := store.waiting():
            raise Broken("nobody is asked for nothing", str(waiting))
        self._answers(store.audit)
        for pause in store.pauses.values():
            card = store.cards.get(f"M{pause.id}")
            if card is not None and card.shows != pause.state:
                raise Broken("cards tell the truth", f"{card.id} shows {card.shows}, {pause.id} is {pause.state}")

    def _answers(self, audit: list[tuple[str, str, str]]) -> None:
        twice = [pause for pause, count in Counter(pause for pause, *_ in audit).items() if count > 1]
        if twice:
            raise Broken("one decision per pause", f"{twice} are in the audit trail more than once")
        for number, receipt in self.world.heard.items():
            if receipt not in self.world.store.receipts or self.world.store.receipts[receipt].answer is None:
                raise Broken("every delivery is answered", f"deed {number} was not")

    def _handlers(self, execution: Execution) -> None:
        """`errors`, `finally` and `afterExecution` ran when they had to."""
        flow = self.world.flow(execution)
        states = [state for state, _ in execution.histories]
        if execution.histories[0][0] is not S.CREATED or S.RUNNING not in states:
            return
        there = {run.task_id for run in execution.task_runs.values()}
        sections = {"finally": flow.finally_, "errors": flow.errors, "afterExecution": flow.after_execution}
        exited = any(may_leave(flow, run) for run in execution.task_runs.values()) or bool(flow.sla)
        natural = not exited and S.KILLING not in states and execution.state in (S.SUCCESS, S.WARNING, S.FAILED)
        due = {
            "finally": natural,
            "errors": natural and execution.state is S.FAILED and not flow.outputs,
            "afterExecution": execution.state is not S.RETRIED,
        }
        for name, tasks in sections.items():
            wanted = [task.id for task in tasks if not task.disabled][:1]
            if due[name] and wanted and wanted[0] not in there:
                raise Broken("handlers run", f"{name} of {execution.id} ({execution.state}) never began")


def outcome(world: "World") -> dict[str, object]:
    """How everything ended, in names that do not depend on ids."""
    found: dict[str, object] = {}
    for execution in world.store.executions.values():
        runs = {}
        at_once = execution.state is S.KILLED and execution.histories[0][1] == execution.histories[-1][1]
        for run in () if at_once else execution.task_runs.values():  # killed as it began: who was faster is open
            if world.laws.in_folder(run, execution):
                continue  # its folder is gone after a crash: what was done there is done again
            runs[path_of(execution, run)] = (run.state.value, len(run.attempts), _plain(run))
        found[world.names[execution.id]] = (execution.state.value, execution.attempt_number, runs)
    return found


def _plain(run: TaskRun) -> object:
    """Outputs without ids and moments."""
    outputs = dict(run.outputs or {})
    for key in ("on", "due", "resumed", "executionId"):
        value = outputs.pop(key, None)
        if key == "resumed" and value:
            outputs["by"] = value["by"]
    return {key: value for key, value in outputs.items() if key not in ("splits", "subflowOutputs")}
