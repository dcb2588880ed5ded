"""What the executor decides about failures, loops, early ends and subflows, driven in memory."""

from datetime import timedelta
from itertools import pairwise

import pytest

from engine.core import commands as c
from engine.core import events as e
from engine.core.state import State
from tests.core.driver import Driver, end, run_of, shape, started, states
from tests.core.flows import each, fail, flow, log, parallel, pause, ret, sequential, task

# --- failure


def test_handlers_start_when_running_siblings_have_ended():
    driver = Driver()
    source = flow(parallel("p", fail("boom"), log("slow"), errors=[log("handler")]), errors=[log("outer")])
    execution = started(driver, source, "slow")
    assert states(execution) == {"p": State.RUNNING, "boom": State.FAILED, "slow": State.RUNNING}
    after = end(driver, execution, "slow")
    assert [one[0] for one in shape(after)] == ["p", "boom", "slow", "handler", "outer"]
    assert after.state is State.FAILED


def test_after_a_failure_nothing_new_starts_beside_it():
    driver = Driver()
    source = flow(parallel("p", fail("boom"), log("slow"), log("never"), concurrent=2))
    after = end(driver, started(driver, source, "slow"), "slow")
    assert states(after) == {"p": State.FAILED, "boom": State.FAILED, "slow": State.SUCCESS}


def test_a_failing_handler_does_not_stop_the_next_one_nor_finally():
    driver = Driver()
    execution = driver.run(flow(fail("boom"), errors=[fail("e1"), log("e2")], **{"finally": [fail("f1"), log("f2")]}))
    assert [one[:2] for one in shape(execution)] == [
        ("boom", "FAILED"),
        ("e1", "FAILED"),
        ("e2", "SUCCESS"),
        ("f1", "FAILED"),
        ("f2", "SUCCESS"),
    ]
    assert execution.state is State.FAILED


def test_a_condition_that_cannot_be_rendered_fails_the_run_with_an_attempt_and_a_line():
    driver = Driver()
    execution = driver.run(flow(log("a", runIf="{{ nothing.here }}", retry={"type": "constant", "interval": "PT1S"})))
    run = run_of(execution, "a")
    assert (run.state, [attempt.state for attempt in run.attempts]) == (State.FAILED, [State.FAILED])
    assert any(task_id == "a" and level == "ERROR" for _, task_id, level, _ in driver.logs)


def test_a_flowable_that_cannot_be_rendered_fails_without_attempts():
    execution = Driver().run(flow(each("e", "{{ nothing.here }}", log("a"))))
    assert (states(execution), run_of(execution, "e").attempts) == ({"e": State.FAILED}, ())


@pytest.mark.parametrize("values", ['["a", null]', ["{{ 1 }}", None], "{{ 12 }}", "no list"])
def test_values_that_are_no_list_or_hold_a_null_fail_the_loop(values):
    execution = Driver().run(flow(each("e", values, log("a"))))
    assert states(execution) == {"e": State.FAILED}


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ({"type": "constant", "interval": "PT10S", "maxAttempts": 3}, [10, 10]),
        ({"type": "exponential", "interval": "PT10S", "maxInterval": "PT25S", "maxAttempts": 4}, [10, 20, 25]),
        ({"type": "exponential", "interval": "PT1S", "delayFactor": 3, "maxAttempts": 4}, [1, 3, 9]),
        ({"type": "constant", "interval": "PT2S", "maxDuration": "PT6S"}, [2, 2]),
    ],
)
def test_the_waits_between_attempts(policy, waits):
    driver = Driver()
    execution = driver.run(flow(fail("boom", retry=policy)))
    starts = [attempt.started for attempt in run_of(execution, "boom").attempts]
    assert [(b - a).total_seconds() for a, b in pairwise(starts)] == waits


def test_random_waits_lie_between_their_bounds_and_are_the_same_in_every_replay():
    policy = {"type": "random", "minInterval": "PT1S", "maxInterval": "PT5S", "maxAttempts": 9}
    runs = [run_of(Driver().run(flow(fail("boom", retry=policy))), "boom") for _ in range(2)]
    starts = [attempt.started for attempt in runs[0].attempts]
    waits = [(b - a).total_seconds() for a, b in pairwise(starts)]
    assert all(1 <= wait <= 5 for wait in waits)
    assert len(set(waits)) > 1
    assert runs[0] == runs[1]


@pytest.mark.parametrize("where", ["task", "flowable", "flow"])
def test_the_nearest_retry_policy_counts(where):
    policy = {"retry": {"type": "constant", "interval": "PT1S", "maxAttempts": 2}}
    inner = fail("boom", **(policy if where == "task" else {}))
    source = flow(
        sequential("s", inner, **(policy if where == "flowable" else {})), **(policy if where == "flow" else {})
    )
    execution = Driver().run(source)
    assert (execution.state, len(run_of(execution, "boom").attempts)) == (State.FAILED, 2)


def test_a_waiting_retry_shows_unless_something_runs():
    driver = Driver()
    again = fail("boom", retry={"type": "constant", "interval": "PT1H", "maxAttempts": 2})
    driver.held_tasks = {"slow"}
    execution = driver.start(driver.deploy(flow(parallel("p", again, log("slow")))))
    driver.work()
    assert driver.executions[execution.id].state is State.RUNNING
    run = run_of(driver.executions[execution.id], "slow")
    driver.post(execution.id, e.TaskEnded(driver.now, run.id, 1, State.SUCCESS, driver.now))
    driver.work()
    assert driver.executions[execution.id].state is State.RETRYING


def test_a_retry_as_a_new_execution_stops_what_runs_beside_it():
    driver = Driver()
    policy = {"behavior": "CREATE_NEW_EXECUTION", "type": "constant", "interval": "PT1S", "maxAttempts": 2}
    source = flow(parallel("p", log("slow"), log("bad")), retry=policy)
    execution = started(driver, source, "slow", "bad")
    after = end(driver, execution, "bad", State.FAILED)
    assert states(after) == {"p": State.RETRIED, "slow": State.KILLED, "bad": State.RETRIED}
    again = driver.executions["X2"]
    assert (after.state, again.attempt_number, again.parent_id, again.original_id) == (State.RETRIED, 2, "X1", "X1")
    assert end(driver, end(driver, again, "slow"), "bad", State.FAILED).state is State.FAILED
    assert len(driver.executions) == 2


# --- loops


def test_a_loop_looks_again_after_its_interval_and_keeps_the_last_iteration():
    driver = Driver()
    loop = task(
        "flow.LoopUntil",
        "loop",
        condition="{{ outputs.n.value == '3' }}",
        checkFrequency={"interval": "PT30S"},
        tasks=[ret("n", "{{ outputs.loop.iterationCount }}")],
    )
    execution = driver.run(flow(loop, log("after")))
    assert shape(execution) == [("loop", "SUCCESS", None), ("n", "SUCCESS", None), ("after", "SUCCESS", None)]
    assert run_of(execution, "loop").outputs == {"iterationCount": 3}
    assert run_of(execution, "n").iteration == 3
    assert driver.now == execution.created + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("limit", "fails", "state", "iterations"),
    [
        ({"maxIterations": 3}, False, State.SUCCESS, 3),
        ({"maxIterations": "{{ 1 + 1 }}"}, True, State.FAILED, 2),
        ({"maxDuration": "PT25S"}, True, State.FAILED, 3),
    ],
)
def test_a_loop_gives_up(limit, fails, state, iterations):
    loop = task(
        "flow.LoopUntil",
        "loop",
        condition="false",
        failOnMaxReached=fails,
        checkFrequency={"interval": "PT10S", **limit},
        tasks=[log("n")],
    )
    execution = Driver().run(flow(loop))
    assert (execution.state, run_of(execution, "loop").outputs) == (state, {"iterationCount": iterations})


def test_the_tasks_of_one_value_run_one_after_another():
    driver = Driver()
    source = flow(each("e", ["v1", "v2", "v3"], log("a"), log("b"), concurrencyLimit=2))
    execution = started(driver, source, "a", "b")
    assert shape(execution)[1:] == [("a", "RUNNING", "v1"), ("a", "RUNNING", "v2")]
    driver.post(execution.id, e.TaskEnded(driver.now, run_of(execution, "a", "v2").id, 1, State.SUCCESS, driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert shape(after)[3:] == [("b", "RUNNING", "v2")]
    assert [run.iteration for run in after.task_runs.values()] == [None, 0, 1, 1]


def test_equal_values_count_once_and_objects_are_compact_json():
    execution = Driver().run(flow(each("e", '[{"a": 1}, {"a": 1}, "x", 2]', ret("r", "{{ taskrun.value }}"))))
    assert [one[2] for one in shape(execution)[1:]] == ['{"a":1}', "x", "2"]


def test_a_dag_starts_what_it_can_within_its_limit():
    driver = Driver()
    entries = [
        {"task": log("a")},
        {"task": log("b")},
        {"task": log("c"), "dependsOn": ["a", "b"]},
        {"task": log("d"), "dependsOn": ["a", "off"]},
        {"task": log("off", disabled=True)},
    ]
    execution = started(driver, flow(task("flow.Dag", "dag", tasks=entries, concurrent=2)), "a", "b", "c", "d")
    assert list(states(execution)) == ["dag", "a", "b"]
    after = end(driver, execution, "a")
    assert list(states(after)) == ["dag", "a", "b", "d"]
    assert list(states(end(driver, end(driver, after, "b"), "d"))) == ["dag", "a", "b", "d", "c"]


# --- leaving early


def test_exit_ends_the_run_all_above_it_and_the_execution():
    source = flow(
        sequential("s", task("execution.Exit", "out", state="WARNING"), log("never")),
        log("never2"),
        afterExecution=[log("after", "{{ execution.state }}")],
    )
    driver = Driver()
    execution = driver.run(source)
    assert states(execution) == {"s": State.WARNING, "out": State.WARNING, "after": State.SUCCESS}
    assert execution.state is State.WARNING
    assert driver.logs[-1][-1] == "WARNING"


def test_exit_lets_running_siblings_end_but_starts_nothing_more():
    driver = Driver()
    source = flow(parallel("p", sequential("s", log("slow"), log("never")), task("execution.Exit", "out")))
    execution = started(driver, source, "slow")
    assert (execution.state, states(execution)["slow"]) == (State.SUCCESS, State.RUNNING)
    after = end(driver, execution, "slow")
    assert states(after) == {
        "p": State.SUCCESS,
        "s": State.SUCCESS,
        "out": State.SUCCESS,
        "slow": State.SUCCESS,
    }


def test_kill_interrupts_workers_and_ends_what_only_waits():
    driver = Driver()
    again = fail("again", retry={"type": "constant", "interval": "PT1H", "maxAttempts": 2})
    nap = task("flow.Sleep", "nap", duration="PT1H")
    source = flow(
        parallel("p", log("slow"), pause("ask", pauseDuration="PT1H"), again, nap, sequential("s", log("slow2"))),
        errors=[log("never")],
        afterExecution=[log("after", "{{ execution.state }}")],
    )
    driver.held_tasks = {"slow", "slow2"}
    execution = driver.start(driver.deploy(source))
    driver.work()
    driver.post(execution.id, e.KillAsked(driver.now, "ann", "wrong branch"))
    driver.decide(*driver.queue.popleft())
    killing = driver.executions[execution.id]
    assert (killing.state, states(killing)["slow"], states(killing)["s"]) == (
        State.KILLING,
        State.RUNNING,
        State.KILLING,
    )
    driver.work()
    after = driver.executions[execution.id]
    assert {state for task_id, state in states(after).items() if task_id != "after"} == {State.KILLED}
    assert after.state is State.KILLED
    assert driver.logs[-1][-1] == "KILLED"
    assert not driver.timers
    assert list(driver.pauses.values()) == ["KILLED"]


def test_kill_cascades_to_the_executions_it_waits_for():
    driver = Driver()
    driver.deploy(flow(log("slow"), id="child"))
    source = flow(task("flow.Subflow", "call", namespace="tests", flowId="child"))
    execution = started(driver, source, "slow")
    assert driver.executions["X2"].state is State.RUNNING
    driver.kill(execution)
    assert (driver.executions["X1"].state, driver.executions["X2"].state) == (State.KILLED, State.KILLED)


def test_kill_before_the_start_and_again_afterwards():
    driver = Driver()
    execution = driver.start(driver.deploy(flow(log("a"))))
    first = driver.queue.popleft()
    driver.kill(execution)
    killed = driver.executions[execution.id]
    driver.queue.append(first)
    driver.work()
    driver.kill(execution)
    assert driver.executions[execution.id] is killed
    assert (killed.state, len(killed.task_runs)) == (State.KILLED, 0)


def test_a_promise_about_time_cancels_what_is_late():
    driver = Driver()
    sla = [{"id": "fast", "type": "MAX_DURATION", "duration": "PT1H", "behavior": "CANCEL", "labels": {"late": "yes"}}]
    execution = started(driver, flow(sequential("s", log("slow")), sla=sla), "slow")
    driver.pass_time(timedelta(hours=1))
    after = driver.executions[execution.id]
    assert (after.state, dict(after.labels)["late"]) == (State.CANCELLED, "yes")
    assert states(after) == {"s": State.KILLED, "slow": State.CANCELLED}
    assert any(isinstance(command, c.StopTask) for _, command in driver.commands)


def test_a_kept_promise_leaves_no_timer():
    driver = Driver()
    driver.run(flow(log("a"), sla=[{"id": "fast", "type": "MAX_DURATION", "duration": "PT1H", "behavior": "FAIL"}]))
    assert not driver.timers


# --- subflows


def test_a_subflow_hands_on_its_outputs_and_knows_who_called():
    driver = Driver()
    driver.deploy(
        flow(
            ret("r", "{{ inputs.x }} for {{ trigger.flowId }}"),
            id="child",
            inputs=[{"id": "x", "type": "STRING"}],
            outputs=[{"id": "y", "type": "STRING", "value": "{{ outputs.r.value }}"}],
        )
    )
    call = task("flow.Subflow", "call", namespace="tests", flowId="child", inputs={"x": "{{ flow.id }}1"})
    execution = driver.run(flow(call, ret("last", "{{ outputs.call.outputs.y }} {{ outputs.call.state }}")))
    assert run_of(execution, "last").outputs == {"value": "f1 for f SUCCESS"}
    assert len(run_of(execution, "call").attempts) == 1


def test_a_subflow_that_cannot_start_is_tried_again():
    driver = Driver()
    policy = {"type": "constant", "interval": "PT1S", "maxAttempts": 3}
    execution = driver.run(flow(task("flow.Subflow", "call", namespace="tests", flowId="none", retry=policy)))
    assert (execution.state, len(run_of(execution, "call").attempts)) == (State.FAILED, 3)
    assert "Unable to find flow 'tests'.'none'" in driver.logs[-1][-1]


def test_the_end_of_an_earlier_attempts_execution_is_ignored():
    driver = Driver()
    driver.deploy(flow(log("slow"), id="child"))
    policy = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
    source = flow(task("flow.Subflow", "call", namespace="tests", flowId="child", retry=policy))
    execution = started(driver, source, "slow")
    end(driver, driver.executions["X2"], "slow", State.FAILED)
    waiting = driver.executions[execution.id]
    call = run_of(waiting, "call")
    assert (call.state, call.outputs) == (State.RUNNING, {"executionId": "X3"})
    driver.post("X1", e.SubflowEnded(driver.now, call.id, "X2", State.FAILED))
    driver.work()
    assert driver.executions["X1"] is waiting
    end(driver, driver.executions["X3"], "slow")
    assert driver.executions["X1"].state is State.SUCCESS
