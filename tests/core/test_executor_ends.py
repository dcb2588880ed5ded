"""What an end, a hold and an answer settle, whatever else is under way at that moment."""

from datetime import timedelta

import pytest

from engine.core import commands as c
from engine.core import events as e
from engine.core.state import State
from tests.core.driver import Driver, end, run_of, started, states
from tests.core.flows import each, fail, flow, log, parallel, pause, sequential, task

OUTPUTS = [{"id": "x", "type": "STRING", "value": "y"}]


def test_exit_starts_nothing_more_in_a_flow_with_outputs():
    driver = Driver()
    source = flow(sequential("s", task("execution.Exit", "out", state="WARNING")), log("never"), outputs=OUTPUTS)
    execution = driver.run(source)
    assert (execution.state, states(execution)) == (State.WARNING, {"s": State.WARNING, "out": State.WARNING})
    assert execution.outputs == {"x": "y"}


def test_an_output_that_may_be_left_out_is_null_when_it_cannot_be_rendered():
    driver = Driver()
    optional = {"id": "o", "type": "STRING", "required": False, "value": "{{ outputs.never.value }}"}
    execution = driver.run(flow(log("a"), outputs=[*OUTPUTS, optional]))
    assert (execution.state, execution.outputs) == (State.SUCCESS, {"x": "y", "o": None})
    (said,) = [message for *_, level, message in driver.logs if level == "WARN"]
    assert said.startswith("Failed to render optional flow output 'o'. Output is ignored. ")


def test_an_output_that_is_needed_fails_the_flow_beside_one_that_is_not():
    driver = Driver()
    broken = {"type": "STRING", "value": "{{ outputs.never.value }}"}
    execution = driver.run(flow(log("a"), outputs=[{"id": "o", "required": False, **broken}, {"id": "n", **broken}]))
    assert (execution.state, execution.outputs) == (State.FAILED, None)


def test_exit_that_kills_ends_when_the_last_sibling_has_been_stopped():
    driver = Driver()
    source = flow(parallel("p", log("slow"), task("execution.Exit", "out", state="KILLED")))
    execution = started(driver, source, "slow")
    driver.rest()
    assert driver.executions[execution.id].state is State.KILLED


@pytest.mark.parametrize("behavior", ["SUCCEED", "CANCEL"])
def test_a_pause_that_outlives_exit_does_not_change_how_the_execution_ended(behavior):
    driver = Driver()
    asks = task("flow.Approval", "asks", timeout="PT1H", expireBehavior=behavior)
    execution = started(driver, flow(parallel("p", asks, task("execution.Exit", "out", state="FAILED"))))
    assert driver.executions[execution.id].state is State.FAILED
    driver.pass_time(timedelta(hours=2))
    after = driver.executions[execution.id]
    assert after.state is State.FAILED
    assert run_of(after, "asks").state.is_terminal
    assert [state for _, state in driver.announced if state.is_terminal] == [State.FAILED]


def test_a_held_execution_that_is_killed_still_runs_what_comes_after_its_end():
    driver = Driver()
    execution = started(driver, flow(log("slow"), afterExecution=[sequential("s", log("after"))]), "slow")
    driver.post(execution.id, e.PauseAsked(driver.now))
    driver.kill(execution)
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, after.held, states(after)["after"]) == (State.KILLED, False, State.SUCCESS)


def test_a_hold_that_is_lifted_twice_answers_no_pause():
    driver = Driver()
    execution = started(driver, flow(log("slow"), task("flow.Approval", "asks")), "slow")
    driver.post(execution.id, e.PauseAsked(driver.now))
    driver.post(execution.id, e.Resumed(driver.now, None, by="ann"))
    driver.work()
    end(driver, execution, "slow")
    driver.post(execution.id, e.Resumed(driver.now, None, by="bob"))
    driver.work()
    assert run_of(driver.executions[execution.id], "asks").state is State.PAUSED


def test_an_answer_that_meets_a_restart_closes_the_pause_that_was_asked_anew():
    driver = Driver()
    execution = started(driver, flow(pause("ask")))
    run = run_of(execution, "ask").id
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.post(execution.id, e.Resumed(driver.now, run, by="ann"))
    driver.work()
    assert driver.executions[execution.id].state is State.SUCCESS
    assert driver.pauses[run] == "RESUMED"


def test_a_deadline_that_meets_a_restart_does_not_end_the_pause_that_was_asked_anew():
    driver = Driver()
    execution = started(driver, flow(pause("ask", pauseDuration="PT1H", behavior="FAIL")))
    [timer] = [command.key for _, command in driver.commands if isinstance(command, c.SetTimer)]
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.post(execution.id, e.TimerFired(driver.now, timer))
    driver.work()
    assert driver.executions[execution.id].state is State.PAUSED
    driver.pass_time(timedelta(hours=2))
    assert driver.executions[execution.id].state is State.FAILED


def test_a_limit_of_the_time_before_a_restart_leaves_alone_what_was_under_way_all_along():
    driver = Driver()
    execution = driver.start(driver.deploy(flow(parallel("p", pause("ask"), fail("no"), timeout="PT5S"))))
    driver.work()
    [timer] = [command.key for _, command in driver.commands if isinstance(command, c.SetTimer)]
    driver.now += timedelta(seconds=2)
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.post(execution.id, e.TimerFired(driver.now, timer))
    driver.work()
    assert driver.executions[execution.id].state is State.PAUSED
    assert [key for _, key in driver.timers if key == timer] == []
    driver.pass_time(timedelta(seconds=4))
    assert driver.executions[execution.id].state is State.PAUSED
    driver.pass_time(timedelta(seconds=1))
    assert driver.executions[execution.id].state is State.FAILED


def test_a_start_that_is_told_again_starts_no_attempt_twice():
    driver = Driver()
    execution = started(driver, flow(pause("ask", pauseDuration="PT1H", behavior="WARN"), log("slow")))
    driver.run_task = lambda *_: None
    driver.pass_time(timedelta(hours=1))
    asked = len(driver.commands)
    driver.post(execution.id, e.Started(driver.now))
    driver.work()
    assert len(driver.commands) == asked


def leave(driver: Driver, execution, state: str) -> None:
    run = run_of(driver.executions[execution.id], "out")
    effects = {"exit": state}
    driver.post(execution.id, e.TaskEnded(driver.now, run.id, 1, State.SUCCESS, driver.now, None, effects))
    driver.rest()


def test_what_ended_while_the_execution_was_held_ends_with_it():
    driver = Driver()
    source = flow(parallel("p", pause("asks", onPause=log("first")), log("out")))
    execution = started(driver, source, "first", "out")
    driver.post(execution.id, e.PauseAsked(driver.now))
    end(driver, execution, "first")
    leave(driver, execution, "FAILED")
    after = driver.executions[execution.id]
    assert after.state is State.FAILED
    assert run_of(after, "asks").state.is_terminal


def test_no_handler_of_a_directory_begins_once_the_execution_was_left():
    driver = Driver()
    folder = task("flow.WorkingDirectory", "folder", tasks=[log("in")], **{"finally": [log("fin")]})
    execution = started(driver, flow(parallel("p", folder, log("out"))), "folder", "out")
    leave(driver, execution, "SUCCESS")
    after = end(driver, execution, "folder")
    assert (run_of(after, "folder").state, "fin" in states(after)) == (State.SUCCESS, False)


def test_a_promise_of_the_time_before_a_restart_breaks_nothing():
    driver = Driver()
    promise = {"id": "soon", "type": "MAX_DURATION", "duration": "PT1H", "behavior": "FAIL"}
    execution = started(driver, flow(log("slow"), sla=[promise]), "slow")
    [timer] = [command.key for _, command in driver.commands if isinstance(command, c.SetTimer)]
    end(driver, execution, "slow", State.FAILED)
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.post(execution.id, e.TimerFired(driver.now, timer))
    driver.rest()
    assert driver.executions[execution.id].state is State.RUNNING
    driver.pass_time(timedelta(hours=2))
    assert driver.executions[execution.id].state is State.FAILED


def test_a_time_limit_of_the_time_before_a_restart_ends_nothing():
    driver = Driver()
    execution = started(driver, flow(sequential("s", log("slow"), timeout="PT1H")), "slow")
    [timer] = [command.key for _, command in driver.commands if isinstance(command, c.SetTimer)]
    end(driver, execution, "slow", State.FAILED)
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.post(execution.id, e.TimerFired(driver.now, timer))
    driver.work()
    assert run_of(driver.executions[execution.id], "s").state is State.RUNNING
    driver.pass_time(timedelta(hours=2))
    assert driver.executions[execution.id].state is State.FAILED


def test_a_directory_whose_job_has_ended_listens_to_nobody():
    driver = Driver()
    folder = task("flow.WorkingDirectory", "folder", tasks=[log("in")], errors=[log("slow")])
    execution = started(driver, flow(folder), "folder", "slow")
    end(driver, execution, "folder", State.FAILED)
    run = run_of(driver.executions[execution.id], "folder").id
    driver.post(execution.id, e.ChildRan(driver.now, run, "in", State.RUNNING))
    driver.work()
    after = end(driver, execution, "slow")
    assert (after.state, "in" in states(after)) == (State.FAILED, False)


def test_word_of_a_child_that_was_known_does_not_stop_it_again():
    driver = Driver()
    child = driver.deploy(flow(pause("ask"), id="child"))
    call = task("flow.Subflow", "call", namespace=child.namespace, flowId="child")
    execution = started(driver, flow(call))
    [created] = [event for _, event in driver.events if isinstance(event, e.SubflowCreated)]
    driver.kill(driver.executions[created.execution_id])
    driver.rest()
    assert run_of(driver.executions[execution.id], "call").state is State.KILLED
    driver.post(execution.id, created)
    driver.work()
    assert not [command for _, command in driver.commands if isinstance(command, c.StopSubflow)]


def test_a_child_that_exists_only_after_its_attempt_timed_out_is_stopped_and_not_taken_for_the_next():
    driver = Driver()
    child = driver.deploy(flow(pause("ask"), id="child"))
    retry = {"type": "constant", "interval": "PT1H", "maxAttempts": 2}
    call = task("flow.Subflow", "call", namespace="tests", flowId="child", timeout="PT1M", retry=retry)
    driver.start_subflow = lambda *_: None
    execution = driver.start(driver.deploy(flow(call)))
    driver.work()
    driver.pass_time(timedelta(minutes=61, seconds=30))
    run = run_of(driver.executions[execution.id], "call")
    first, second = driver.start(child).id, driver.start(child).id
    driver.post(execution.id, e.SubflowCreated(driver.now, run.id, first, attempt=1))
    driver.post(execution.id, e.SubflowCreated(driver.now, run.id, second, attempt=2))
    driver.work()
    assert driver.executions[first].state is State.KILLED
    driver.post(execution.id, e.SubflowEnded(driver.now, run.id, first, State.KILLED))
    driver.work()
    after = run_of(driver.executions[execution.id], "call")
    assert (after.state, after.outputs) == (State.RUNNING, {"executionId": second})


def test_word_of_the_child_of_an_earlier_attempt_changes_nothing():
    driver = Driver()
    child = driver.deploy(flow(fail("no"), id="child"))
    retry = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
    execution = started(
        driver, flow(task("flow.Subflow", "call", namespace=child.namespace, flowId="child", retry=retry))
    )
    first = next(event for _, event in driver.events if isinstance(event, e.SubflowCreated))
    before = driver.executions[execution.id]
    driver.post(execution.id, first)
    driver.work()
    assert driver.executions[execution.id] is before


@pytest.mark.parametrize(("broken", "state", "labels"), [("a", State.CANCELLED, {}), ("b", State.SUCCESS, {"b": "1"})])
def test_promises_of_one_id_are_told_apart(broken, state, labels):
    driver = Driver()
    first = {"id": "p", "type": "EXECUTION_ASSERTION", "behavior": "CANCEL", "assert": str(broken != "a").lower()}
    second = {**first, "behavior": "NONE", "assert": str(broken != "b").lower(), "labels": {"b": "1"}}
    execution = driver.run(flow(log("a"), sla=[first, second]))
    assert execution.state is state
    assert dict(execution.labels).items() >= labels.items()


def test_a_broken_promise_is_the_end_although_the_outputs_were_asked_for():
    driver = Driver()
    promise = {"id": "holds", "type": "EXECUTION_ASSERTION", "assert": "{{ 1 == 2 }}", "behavior": "CANCEL"}
    execution = driver.run(flow(each("e", "{{ [] }}", log("a")), sla=[promise], outputs=OUTPUTS))
    assert execution.state is State.CANCELLED
    assert [state for _, state in driver.announced if state.is_terminal] == [State.CANCELLED]


def test_exit_below_what_had_ended_before_a_restart_leaves_that_as_it_ended():
    driver = Driver()
    left = parallel("left", log("out"), task("execution.Exit", "first"))
    execution = started(driver, flow(parallel("p", pause("ask"), left)), "out")
    assert driver.executions[execution.id].state is State.SUCCESS
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.work()
    leave(driver, execution, "WARNING")
    after = driver.executions[execution.id]
    assert (after.state, run_of(after, "left").state) == (State.WARNING, State.SUCCESS)


def test_a_restart_of_a_held_execution_offers_no_attempt_twice():
    driver = Driver()
    driver.run_task = lambda *_: None
    execution = driver.start(driver.deploy(flow(parallel("p", pause("ask"), log("slow")))))
    driver.work()
    driver.post(execution.id, e.PauseAsked(driver.now))
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.work()
    assert len([command for _, command in driver.commands if isinstance(command, c.RunTask)]) == 1


AFTER_EXIT = [parallel("p", pause("asks"), task("execution.Exit", "out", state="FAILED"))]


@pytest.mark.parametrize("wraps", [True, False])
def test_what_failed_is_handled_though_something_beside_it_was_killed(wraps):
    driver = Driver()
    driver.deploy(flow(log("slow"), id="child"))
    call = task("flow.Subflow", "call", namespace="tests", flowId="child")
    handlers = {"errors": [log("handler")], "finally": [log("last")]}
    source = flow(sequential("s", call, fail("boom"), **handlers)) if wraps else flow(call, fail("boom"), **handlers)
    execution = started(driver, source, "slow")
    (child,) = (one for one in driver.executions if one != execution.id)
    driver.kill(driver.executions[child])
    end(driver, driver.executions[child], "slow", State.KILLED)
    after = driver.executions[execution.id]
    ends = {name: state.value for name, state in states(after).items() if name != "s"}
    assert ends == {"call": "KILLED", "boom": "FAILED", "handler": "SUCCESS", "last": "SUCCESS"}
    assert after.state is State.KILLED


def test_what_runs_after_the_end_and_is_killed_stays_killed_however_it_ends():
    driver = Driver()
    driver.carry_out = lambda *_: None  # nobody stops it: the process has died
    execution = driver.start(driver.deploy(flow(log("first"), afterExecution=[log("slow")])))
    driver.work()
    driver.post(execution.id, e.TaskEnded(driver.now, f"{execution.id}.1", 1, State.SUCCESS, driver.now))
    driver.post(execution.id, e.TaskStarted(driver.now, f"{execution.id}.2", 1))
    for _ in range(2):
        driver.post(execution.id, e.KillAsked(driver.now))
    driver.work()
    assert run_of(driver.executions[execution.id], "slow").state is State.KILLING
    exits = {"exit": "SUCCESS"}
    driver.post(execution.id, e.TaskEnded(driver.now, f"{execution.id}.2", 1, State.SUCCESS, driver.now, None, exits))
    driver.work()
    after = driver.executions[execution.id]
    assert (after.state, run_of(after, "slow").state) == (State.SUCCESS, State.KILLED)


def test_a_child_that_exists_only_after_the_kill_of_what_follows_the_end_is_stopped():
    driver = Driver()
    child = driver.deploy(flow(pause("ask"), id="child"))
    call = task("flow.Subflow", "call", namespace="tests", flowId="child")
    driver.start_subflow = lambda *_: None
    execution = driver.start(driver.deploy(flow(*AFTER_EXIT, afterExecution=[call])))
    driver.work()
    driver.kill(execution)
    run = run_of(driver.executions[execution.id], "call")
    assert (run.state, run_of(driver.executions[execution.id], "asks").state) == (State.KILLING, State.KILLED)
    made = driver.start(child)
    driver.parents[made.id] = (execution.id, run.id, None)
    driver.post(execution.id, e.SubflowCreated(driver.now, run.id, made.id, attempt=1))
    driver.rest()
    after = driver.executions[execution.id]
    assert driver.executions[made.id].state is State.KILLED
    assert (after.state, run_of(after, "call").state) == (State.FAILED, State.KILLED)


def test_word_of_a_batch_of_an_attempt_that_failed_does_not_count_for_the_next():
    driver = Driver()
    driver.deploy(flow(pause("ask"), id="child", inputs=[{"id": "n", "type": "INT", "required": False}]))
    driver.files["kestra:///two"] = b"a\nb\n"
    retry = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
    given = {"n": "{{ taskrun.iteration == 1 and taskrun.attemptsCount == 0 ? unknown : 1 }}"}
    call = {"namespace": "tests", "flowId": "child", "retry": retry, "inputs": given}
    execution = started(driver, flow(task("flow.ForEachItem", "each", items="kestra:///two", **call)))
    run = run_of(driver.executions[execution.id], "each_items")
    [old, *rest] = [one.id for one in driver.executions.values() if one.flow_id == "child"]
    assert (run.state, len(run.attempts), len(rest)) == (State.RUNNING, 2, 2)
    driver.post(old, e.Resumed(driver.now, f"{old}.1", by="ann"))
    driver.rest()
    assert run_of(driver.executions[execution.id], "each_items").rendered["ended"] == "0"
    for one in rest:
        driver.post(one, e.Resumed(driver.now, f"{one}.1", by="ann"))
    driver.rest()
    assert driver.executions[execution.id].state is State.SUCCESS
