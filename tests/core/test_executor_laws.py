"""Laws of the executor: for any flow and any order of events, whatever is repeated, lost for a while or comes late."""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core import commands as c
from engine.core import events as e
from engine.core.execution import Execution, TaskRuns
from engine.core.executor import advance
from engine.core.flow import Flow
from engine.core.state import State
from tests.core.driver import Driver
from tests.core.flows import each, fail, flow, log, parallel, pause, sequential, task

S = State
EXECUTION = {
    S.CREATED: {S.RUNNING, S.QUEUED, S.CANCELLED, S.FAILED, S.KILLED, S.KILLING},
    S.QUEUED: {S.RUNNING, S.KILLED},
    S.RUNNING: {S.PAUSED, S.SUCCESS, S.WARNING, S.FAILED, S.KILLING, S.RETRYING, S.RETRIED, S.CANCELLED},
    S.PAUSED: {S.RESTARTED, S.KILLING, S.CANCELLED},
    S.RESTARTED: {S.RUNNING, S.PAUSED, S.RETRYING, S.KILLING, S.SUCCESS, S.WARNING, S.FAILED, S.CANCELLED, S.RETRIED},
    S.RETRYING: {S.RUNNING, S.PAUSED, S.KILLING, S.FAILED, S.CANCELLED, S.SUCCESS, S.WARNING},
    S.KILLING: {S.KILLED},
}
ENDS = {S.SUCCESS, S.WARNING, S.FAILED, S.KILLED, S.CANCELLED, S.SKIPPED, S.RETRIED}
RUN = {
    S.CREATED: {S.RUNNING, S.SKIPPED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS},
    S.RUNNING: ENDS | {S.PAUSED, S.KILLING},
    S.PAUSED: ENDS | {S.RUNNING, S.RESTARTED},
    S.KILLING: {S.KILLED},
    S.FAILED: {S.RETRYING, S.RESTARTED, S.RUNNING},
    S.RETRYING: {S.CREATED, S.KILLED, S.WARNING, S.SUCCESS, S.FAILED},
    S.RESTARTED: {S.RUNNING, S.SKIPPED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS},
}


class Names:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"


RETRY = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}


@st.composite
def tasks(draw: st.DrawFn, names: Names, depth: int) -> dict[str, Any]:
    leaf = ["log", "fail", "retry", "skip", "sleep", "pause", "soft"]
    kinds = leaf + (["seq", "par", "each", "if", "allow", "loop", "dag"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    inside = tasks(names, depth - 1)
    more: dict[str, Any] = {}
    if kind not in leaf and draw(st.integers(0, 4)) == 0:
        more["errors"] = [log(names("err"))]
    if kind not in leaf and draw(st.integers(0, 4)) == 0:
        more["finally"] = [log(names("fin"))]
    id = names(kind)
    match kind:
        case "log":
            return log(id)
        case "fail":
            return fail(id)
        case "soft":
            return fail(id, allowFailure=True)
        case "retry":
            return fail(id, retry=RETRY)
        case "skip":
            return log(id, runIf="false")
        case "sleep":
            return task("flow.Sleep", id, duration="PT1S")
        case "pause":
            behavior = draw(st.sampled_from(["RESUME", "WARN", "FAIL", "CANCEL"]))
            return pause(id, **draw(st.sampled_from([{}, {"pauseDuration": "PT5S", "behavior": behavior}])))
        case "seq":
            return sequential(id, *draw(st.lists(inside, min_size=1, max_size=3)), **more)
        case "allow":
            return task("flow.AllowFailure", id, tasks=draw(st.lists(inside, min_size=1, max_size=2)), **more)
        case "par":
            limit = draw(st.integers(0, 2))
            return parallel(id, *draw(st.lists(inside, min_size=1, max_size=3)), concurrent=limit, **more)
        case "each":
            limit = draw(st.integers(0, 2))
            values = draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3))
            return each(id, values, *draw(st.lists(inside, min_size=1, max_size=2)), concurrencyLimit=limit, **more)
        case "if":
            condition = draw(st.sampled_from(["true", "false", "{{ 1 == 1 }}"]))
            return task("flow.If", id, condition=condition, then=[draw(inside)], **{"else": [draw(inside)]}, **more)
        case "loop":
            frequency = {"interval": "PT1S", "maxIterations": 2}
            body = draw(st.lists(inside, min_size=1, max_size=2))
            return task("flow.LoopUntil", id, condition="false", tasks=body, checkFrequency=frequency, **more)
    entries = [{"task": draw(inside)} for _ in range(draw(st.integers(1, 3)))]
    for number in range(1, len(entries)):
        if draw(st.booleans()):
            entries[number]["dependsOn"] = [entries[number - 1]["task"]["id"]]
    return task("flow.Dag", id, tasks=entries, **more)


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    names = Names()
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more["errors"] = [log(names("err"))]
    if draw(st.booleans()):
        more["finally"] = [log(names("fin"))]
    if draw(st.integers(0, 3)) == 0:
        more["afterExecution"] = [log(names("after"))]
    return flow(*draw(st.lists(tasks(names, 2), min_size=1, max_size=3)), **more)


class Shuffled(Driver):
    """Chooses which of the things that may happen next happens; some happen twice, some of them late."""

    def __init__(self, data: st.DataObject) -> None:
        super().__init__()
        self.data = data
        self.past: list[e.Event] = []
        self.on_event = self.check

    def check(self, flow: Flow, before: Execution, event: e.Event, after: Execution) -> None:
        """The laws that hold at every step."""
        same, none = advance(flow, after, event)
        repeatable = isinstance(event, e.KillAsked | e.RestartAsked | e.Resumed | e.PauseAsked)
        if not repeatable:
            assert same is after, event
            assert none == (), event
        for (one, _), (two, _) in zip(after.histories, after.histories[1:], strict=False):
            assert two in EXECUTION.get(one, {S.RESTARTED}), [state for state, _ in after.histories]
        for run in after.task_runs.values():
            for (one, _), (two, _) in zip(run.histories, run.histories[1:], strict=False):
                assert two in RUN.get(one, {S.RESTARTED, S.RUNNING}), (run.task_id, run.histories)
            if run.parent_id is not None:
                assert run.parent_id in after.task_runs
        keys = [(run.parent_id, run.task_id, run.value) for run in after.task_runs.values()]
        assert len(keys) == len(set(keys))
        fresh = Execution(**{name: getattr(after, name) for name in Execution.__dataclass_fields__})
        rebuilt = advance(flow, with_fresh_index(fresh), e.TimerFired(event.now, "retry:none:1"))[0]
        assert rebuilt.task_runs == after.task_runs  # what is derived says the same as what is stored

    def run_task(self, execution_id: str, run_id: str, attempt: int) -> None:
        run = self.executions[execution_id].task_runs[run_id]
        state = S.FAILED if run.task_id.startswith(("fail", "soft", "retry")) else S.SUCCESS
        self.post(execution_id, e.TaskStarted(self.now, run_id, attempt))
        self.post(execution_id, e.TaskEnded(self.now, run_id, attempt, state, self.now, {"value": "x"}))

    def work(self) -> None:
        while self.queue:
            at = self.data.draw(st.integers(0, min(len(self.queue), 4) - 1)) if len(self.queue) > 1 else 0
            self.queue.rotate(-at)
            execution_id, event = self.queue.popleft()
            self.queue.rotate(at)
            self.past.append(event)
            self.decide(execution_id, event)
            if self.data.draw(st.integers(0, 9)) == 0:
                self.decide(execution_id, self.data.draw(st.sampled_from(self.past)))

    def settle(self, execution: Execution) -> Execution:
        """Answer every pause, or let its deadline pass, until the execution ends."""
        for _ in range(200):
            self.rest()
            now = self.executions[execution.id]
            if now.state is S.PAUSED:
                if self.timers and self.data.draw(st.booleans()):
                    self.pass_time(timedelta(seconds=10))
                else:
                    self.resume(now)
            elif now.state.is_terminal:
                return now
            else:
                raise AssertionError(f"{now.state} and nothing to wait for: {now}")
        raise AssertionError("the execution never ends")


def with_fresh_index(execution: Execution) -> Execution:
    object.__setattr__(execution, "task_runs", TaskRuns(execution.task_runs.values()))
    return execution


LAWS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@LAWS
@given(flows(), st.data())
def test_every_execution_ends_by_legal_steps_whatever_the_order_of_events(source, data):
    driver = Shuffled(data)
    execution = driver.settle(driver.start(driver.deploy(source)))
    driver.rest()
    after = driver.executions[execution.id]
    assert not [run for run in after.task_runs.values() if not run.state.is_terminal]
    assert not [key for key in driver.timers if key[1].startswith(("retry", "sleep", "loop", "pause"))]
    assert "WAITING" not in {
        state
        for run_id, state in driver.pauses.items()
        if after.task_runs.get(run_id, None) and not answered(after, run_id)
    }


def answered(execution: Execution, run_id: str) -> bool:
    return "answered" in execution.task_runs[run_id].rendered


@LAWS
@given(flows(), st.data())
def test_a_kill_at_any_moment_ends_everything(source, data):
    driver = Shuffled(data)
    execution = driver.start(driver.deploy(source))
    for _ in range(data.draw(st.integers(0, 12))):
        if driver.queue:
            driver.decide(*driver.queue.popleft())
    was_over = driver.executions[execution.id].state.is_terminal
    driver.decide(execution.id, e.KillAsked(driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert was_over or after.state is S.KILLED
    assert all(run.state.is_terminal for run in after.task_runs.values())
    assert not [key for key in driver.timers if key[1].startswith(("retry", "sleep", "loop", "pause"))]


@LAWS
@given(flows(), st.data())
def test_the_same_history_gives_the_same_decisions(source, data):
    driver = Shuffled(data)
    driver.on_event = None
    started = driver.start(driver.deploy(source))
    driver.settle(started)
    flow_ = driver.flow_of(started)
    again, asked = started, []
    for _, event in driver.events:
        again, commands = driver.advanced(flow_, again, event)
        asked.extend(commands)
    assert again == driver.executions[started.id]
    assert asked == [command for _, command in driver.commands]


@LAWS
@given(flows(), st.data())
def test_a_restart_leads_to_an_end_again(source, data):
    driver = Shuffled(data)
    execution = driver.settle(driver.start(driver.deploy(source)))
    driver.rest()
    before = driver.executions[execution.id]
    has_failed = any(run.state is S.FAILED for run in before.task_runs.values())
    driver.past.clear()
    driver.decide(execution.id, e.RestartAsked(driver.now))
    after = driver.settle(before)
    driver.rest()
    assert (after.attempt_number == 2) is has_failed
    assert all(run.state.is_terminal for run in driver.executions[execution.id].task_runs.values())


def test_one_event_costs_the_same_in_a_small_fan_out_and_in_a_large_one():
    """Counts the task runs a decision looks at, by the calls to `TaskRuns.__getitem__`, instead of measuring time."""

    def looked_at(count: int) -> float:
        driver = Driver()
        source = flow(each("e", [str(number) for number in range(count)], log("a"), log("b"), concurrencyLimit=0))
        execution = driver.start(driver.deploy(source))
        driver.run_task = lambda *_: None
        driver.work()
        after = driver.executions[execution.id]
        run = list(after.task_runs.values())[count // 2]
        looks = 0
        original = TaskRuns.__getitem__

        def counted(self: TaskRuns, key: str) -> Any:
            nonlocal looks
            looks += 1
            return original(self, key)

        TaskRuns.__getitem__ = counted
        try:
            driver.decide(execution.id, e.TaskEnded(driver.now, run.id, 1, S.SUCCESS, driver.now))
        finally:
            TaskRuns.__getitem__ = original
        assert isinstance(driver.commands[-1][1], c.RunTask)
        return looks

    assert looked_at(1000) <= looked_at(10) + 5
