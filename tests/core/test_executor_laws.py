"""Laws of the executor: for any flow and any order of events, whatever is repeated, lost for a while or comes late."""

from dataclasses import replace
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
    S.CREATED: {S.RUNNING, S.SKIPPED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS, S.CANCELLED},
    S.RUNNING: ENDS | {S.PAUSED, S.KILLING},
    S.PAUSED: ENDS | {S.RUNNING, S.RESTARTED},
    S.KILLING: {S.KILLED},
    S.FAILED: {S.RETRYING, S.RESTARTED, S.RUNNING},
    S.RETRYING: {S.CREATED, S.KILLED, S.WARNING, S.SUCCESS, S.FAILED, S.CANCELLED},
    S.RESTARTED: {S.RUNNING, S.SKIPPED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS, S.CANCELLED},
}


class Names:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"


RETRY = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}


LEAVES = ["log", "fail", "retry", "skip", "sleep", "pause", "soft", "approval"]
BEHAVIORS = ["RESUME", "WARN", "FAIL", "CANCEL"]


def leaf(kind: str, id: str, behavior: str | None) -> dict[str, Any]:
    deadline = {"pauseDuration": "PT5S", "behavior": behavior} if behavior else {}
    return {
        "log": log(id),
        "fail": fail(id),
        "soft": fail(id, allowFailure=True),
        "retry": fail(id, retry=RETRY),
        "skip": log(id, runIf="false"),
        "sleep": task("flow.Sleep", id, duration="PT1S"),
        "pause": pause(id, **deadline),
        "approval": task("flow.Approval", id),
        "exit": task("execution.Exit", id),
    }[kind]


@st.composite
def tasks(draw: st.DrawFn, names: Names, depth: int, *, in_loop: bool = False) -> dict[str, Any]:
    groups = ["seq", "par", "each", "if", "allow", "loop", "dag", "items", "items"]
    leaves = [*LEAVES, "exit"] if in_loop else LEAVES  # elsewhere it leaves open what nobody waits for any more
    kind = draw(st.sampled_from(leaves + (groups if depth else [])))
    id = names(kind)
    if kind in leaves:
        return leaf(kind, id, draw(st.sampled_from([None, *BEHAVIORS])) if kind == "pause" else None)
    more: dict[str, Any] = {}
    if draw(st.integers(0, 4)) == 0:
        more["errors"] = [log(names("err"))]
    if draw(st.integers(0, 4)) == 0:
        more["finally"] = [log(names("fin"))]
    children = draw(
        st.lists(
            tasks(names, depth - 1, in_loop=in_loop or kind == "items"), min_size=2 if kind == "if" else 1, max_size=3
        )
    )
    limit = draw(st.integers(0, 2))
    if kind == "each":
        values = draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3))
        return each(id, values, *children, concurrencyLimit=limit, **more)
    if kind == "items":
        outputs = [{"id": "x", "type": "STRING", "value": "{{ item.value }}"}] if draw(st.booleans()) else []
        early = {"breakWhen": "{{ item.index > 0 }}"} if draw(st.booleans()) else {}
        values = draw(st.lists(st.sampled_from(["a", "b"]), max_size=3))
        more |= {"concurrencyLimit": limit, "outputs": outputs, "transmitFailed": draw(st.booleans()), **early}
        return task("flow.Loop", id, values=values, tasks=children, **more)
    if kind == "if":
        condition = draw(st.sampled_from(["true", "false", "{{ 1 == 1 }}"]))
        return task("flow.If", id, condition=condition, then=children[:1], **{"else": children[1:]}, **more)
    if kind in ("dag", "par") and draw(st.booleans()):
        more |= draw(st.sampled_from([{"failFast": True}, {"onChildFailure": "CANCEL"}, {"onChildFailure": "FAIL"}]))
    if kind == "dag":
        entries: list[dict[str, Any]] = [{"task": child} for child in children]
        for number in range(1, len(entries)):
            if draw(st.booleans()):
                entries[number]["dependsOn"] = [children[number - 1]["id"]]
        return task("flow.Dag", id, tasks=entries, **more)
    return {
        "seq": sequential(id, *children, **more),
        "allow": task("flow.AllowFailure", id, tasks=children, **more),
        "par": parallel(id, *children, concurrent=limit, **more),
        "loop": task(
            "flow.LoopUntil",
            id,
            condition="false",
            tasks=children,
            checkFrequency={"interval": "PT1S", "maxIterations": 2},
            **more,
        ),
    }[kind]


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
        self.keeps_killed = False  # what was killed before a restart stays so and makes the whole so, as in Kestra
        self.on_event = self.check

    def check(self, flow: Flow, before: Execution, event: e.Event, after: Execution) -> None:
        """The laws that hold at every step."""
        same, none = advance(flow, after, event)
        repeatable = isinstance(event, e.KillAsked | e.RestartAsked | e.Resumed | e.PauseAsked)
        if not repeatable:
            assert same is after, event
            assert none == (), event
        if isinstance(event, e.RestartAsked):
            self.keeps_killed |= any(run.state is S.KILLED for run in after.task_runs.values())
        again: set[S] = set()
        for (one, _), (two, _) in zip(after.histories, after.histories[1:], strict=False):
            assert two in EXECUTION.get(one, {S.RESTARTED}) | again, [state for state, _ in after.histories]
            again |= {S.KILLED} if two is S.RESTARTED and self.keeps_killed else set()
        for run in after.task_runs.values():
            for (one, _), (two, _) in zip(run.histories, run.histories[1:], strict=False):
                assert two in RUN.get(one, {S.RESTARTED, S.RUNNING}), (run.task_id, run.histories)
            if run.parent_id is not None:
                assert run.parent_id in after.task_runs
        keys = [(run.parent_id, run.task_id, run.value) for run in after.task_runs.values()]
        assert len(keys) == len(set(keys))

    def run_task(self, execution_id: str, run_id: str, attempt: int) -> None:
        run = self.executions[execution_id].task_runs[run_id]
        state = S.FAILED if run.task_id.startswith(("fail", "soft", "retry")) else S.SUCCESS
        self.post(execution_id, e.TaskStarted(self.now, run_id, attempt))
        outputs = (
            {"value": "x", "breaks": self.data.draw(st.booleans())}
            if run.task_id.endswith("_break")
            else {"value": "x"}
        )
        ends = ("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELED")
        effects = {"exit": self.data.draw(st.sampled_from(ends))} if run.task_id.startswith("exit") else {}
        self.post(execution_id, e.TaskEnded(self.now, run_id, attempt, state, self.now, outputs, effects))

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
                    self.resume(now, {"approve": self.data.draw(st.booleans())})
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
def test_the_same_history_gives_the_same_decisions_after_every_reload(source, data):
    driver = Shuffled(data)
    driver.on_event = None
    started = driver.start(driver.deploy(source))
    driver.settle(started)
    flow_ = driver.flow_of(started)
    again, asked = started, []
    for _, event in driver.events:
        again, commands = driver.advanced(flow_, with_fresh_index(replace(again)), event)
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
