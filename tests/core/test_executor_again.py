"""Restart, replay, changed status; directories, limits and events that come late."""

from datetime import timedelta

import pytest

from engine.core import events as e
from engine.core.executor import check_restart, replayed, restarted, status_changed, task_state_changed
from engine.core.state import State
from engine.errors import NotFound, Refused
from tests.core.driver import Driver, end, run_of, shape, started, states
from tests.core.flows import each, fail, flow, log, parallel, pause, ret, sequential, task

# --- again


def test_restart_runs_what_failed_and_keeps_what_succeeded():
    driver = Driver()
    flaky = log("flaky", "{{ taskrun.attemptsCount == 1 ? 'ok' : unknown }}")
    source = flow(ret("a"), sequential("s", flaky, log("b")), errors=[log("handler")], afterExecution=[log("after")])
    execution = driver.run(source)
    assert [one[:2] for one in shape(execution)] == [
        ("a", "SUCCESS"),
        ("s", "FAILED"),
        ("flaky", "FAILED"),
        ("handler", "SUCCESS"),
        ("after", "SUCCESS"),
    ]
    preview = restarted(driver.flow_of(execution), execution, driver.now)
    assert [one[:2] for one in shape(preview)] == [("a", "SUCCESS"), ("s", "RUNNING"), ("flaky", "RESTARTED")]
    driver.post(execution.id, e.RestartAsked(driver.now, "ann"))
    driver.rest()
    after = driver.executions[execution.id]
    assert [one[:2] for one in shape(after)] == [
        ("a", "SUCCESS"),
        ("s", "SUCCESS"),
        ("flaky", "SUCCESS"),
        ("b", "SUCCESS"),
        ("after", "SUCCESS"),
    ]
    assert (after.state, after.attempt_number, len(run_of(after, "flaky").attempts)) == (State.SUCCESS, 2, 2)
    with pytest.raises(Refused, match="No task found"):
        check_restart(after)


def test_what_is_made_of_another_began_when_it_was_made():
    driver = Driver()
    execution = driver.run(flow(ret("a"), pause("ask")))
    assert (execution.state, execution.begun) == (State.PAUSED, execution.created)
    later = driver.now + timedelta(days=2)
    again = replayed(driver.flow_of(execution), execution, "X9", later, from_task_run=run_of(execution, "ask").id)
    assert (again.created, again.begun) == (execution.created, later)
    assert replayed(driver.flow_of(execution), again, "X8", later + timedelta(1)).begun == later + timedelta(1)


def test_a_restart_begins_anew_and_an_answer_does_not():
    driver = Driver()
    execution = driver.run(flow(pause("ask"), fail("b")))
    driver.post(execution.id, e.Resumed(driver.now, run_of(execution, "ask").id))
    driver.rest()
    failed = driver.executions[execution.id]
    assert (failed.state, failed.begun) == (State.FAILED, execution.created)
    assert restarted(driver.flow_of(failed), failed, driver.now).begun == driver.now


def test_a_label_says_what_was_restarted_or_replayed():
    driver = Driver()
    source = flow(log("a", "{{ labels.system.restarted ?? unknown }}"))
    execution = driver.run(source)
    assert execution.state is State.FAILED
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, dict(after.labels).get("system.restarted")) == (State.SUCCESS, "true")
    again = replayed(driver.flow_of(after), after, "X9", driver.now)
    assert ("system.replay", "true") in again.labels
    whole = replayed(driver.flow_of(after), after, "X9", driver.now, from_task_run=run_of(after, "a").id)
    assert ("system.replay", "true") in whole.labels


def test_restart_of_a_pause_asks_again():
    driver = Driver()
    execution = started(driver, flow(pause("ask", pauseDuration="PT1H", behavior="FAIL")))
    driver.pass_time(timedelta(hours=1))
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.rest()
    again = driver.executions[execution.id]
    assert (again.state, driver.pauses) == (State.PAUSED, {run_of(again, "ask").id: "WAITING"})
    driver.resume(execution)
    assert driver.executions[execution.id].state is State.SUCCESS


def test_a_running_execution_cannot_be_restarted():
    driver = Driver()
    execution = started(driver, flow(log("slow")), "slow")
    with pytest.raises(Refused, match="must be terminated to be restarted, current state is 'RUNNING' !"):
        check_restart(execution)
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.work()
    assert driver.executions[execution.id] is execution


def test_replay_from_a_value_of_a_loop_runs_it_and_the_later_ones():
    driver = Driver()
    execution = driver.run(flow(each("e", ["1", "2", "3"], ret("r", "{{ taskrun.value }}")), log("last")))
    flow_ = driver.flow_of(execution)
    new = replayed(flow_, execution, "N", driver.now, from_task_run=run_of(execution, "r", "2").id)
    assert shape(new) == [("e", "RUNNING", None), ("r", "SUCCESS", "1"), ("r", "RESTARTED", "2")]
    assert all(run.id.startswith("N.") for run in new.task_runs.values())
    driver.executions["N"] = new
    driver.post("N", e.Started(driver.now))
    driver.rest()
    assert [one[:1] + one[2:] for one in shape(driver.executions["N"])] == [
        ("e", None),
        ("r", "1"),
        ("r", "2"),
        ("r", "3"),
        ("last", None),
    ]
    assert driver.executions["N"].state is State.SUCCESS
    with pytest.raises(NotFound):
        replayed(flow_, execution, "N", driver.now, from_task_run="X1.99")


def test_a_replay_from_a_task_that_the_revision_lacks_is_refused():
    driver = Driver()
    execution = driver.run(flow(log("a"), log("b")))
    edited = driver.deploy(flow(log("a"), log("c")))
    with pytest.raises(Refused, match=r"no task 'b' in this revision.*Replay it from the start"):
        replayed(edited, execution, "N", driver.now, from_task_run=run_of(execution, "b").id)


def test_replay_from_a_flowable_that_never_began_asks_its_condition_again():
    driver = Driver()
    execution = driver.run(flow(task("flow.If", "if", condition="{{ nowhere }}", then=[log("a")])))
    assert states(execution) == {"if": State.FAILED}
    flow_ = driver.flow_of(execution)
    new = replayed(flow_, execution, "N", driver.now, from_task_run=run_of(execution, "if").id)
    driver.executions["N"] = new
    driver.post("N", e.Started(driver.now))
    driver.rest()
    assert driver.executions["N"].state is State.FAILED
    assert "There is no variable 'nowhere'" in driver.logs[-1][3]


def again_from(driver, execution, task_id):
    new = replayed(driver.flow_of(execution), execution, "N", driver.now, from_task_run=run_of(execution, task_id).id)
    driver.executions["N"] = new
    driver.post("N", e.Started(driver.now))
    driver.rest()
    return driver.executions["N"]


def test_replay_beside_a_killed_directory_runs_it_as_a_whole():
    driver = Driver()
    folder = task("flow.WorkingDirectory", "folder", tasks=[log("in")])
    execution = started(driver, flow(parallel("p", folder, log("slow"))), "folder", "slow")
    run = run_of(driver.executions[execution.id], "folder").id
    driver.post(execution.id, e.ChildRan(driver.now, run, "in", State.RUNNING))
    driver.kill(execution)
    driver.rest()
    driver.held_tasks = set()
    after = again_from(driver, driver.executions[execution.id], "slow")
    assert (after.state, run_of(after, "folder").state, run_of(after, "in").state) == (State.SUCCESS,) * 3


def test_replay_of_an_execution_that_was_left_runs_nothing_below_what_had_ended():
    driver = Driver()
    left = parallel("left", log("slow"), task("execution.Exit", "out", state="WARNING"))
    execution = started(driver, flow(parallel("p", log("first"), left)), "slow")
    assert driver.executions[execution.id].state is State.WARNING
    after = again_from(driver, driver.executions[execution.id], "first")
    assert (run_of(after, "first").state, run_of(after, "slow").state) == (State.SUCCESS, State.KILLED)
    assert run_of(after, "slow").attempts[-1].ended is not None


def test_only_an_ended_execution_takes_another_ended_status():
    driver = Driver()
    running = started(driver, flow(log("slow")), "slow")
    with pytest.raises(Refused, match="terminated execution"):
        status_changed(running, State.SUCCESS, driver.now)
    done = end(driver, running, "slow")
    with pytest.raises(Refused, match="to a terminal state"):
        status_changed(done, State.RUNNING, driver.now)
    assert status_changed(done, State.WARNING, driver.now).state is State.WARNING


def test_a_failed_run_declared_a_success_lets_the_flow_go_on():
    driver = Driver()
    execution = driver.run(flow(sequential("s", fail("boom"), log("next")), errors=[log("handler")]))
    boom = run_of(execution, "boom").id
    again = task_state_changed(driver.flow_of(execution), execution, boom, State.SUCCESS, driver.now)
    assert [one[:2] for one in shape(again)] == [("s", "RUNNING"), ("boom", "SUCCESS")]
    driver.executions[execution.id] = again
    driver.post(execution.id, e.Started(driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, list(states(after))) == (State.SUCCESS, ["s", "boom", "next"])
    with pytest.raises(Refused, match="not RUNNING"):
        task_state_changed(driver.flow_of(execution), after, boom, State.RUNNING, driver.now)


# --- directories, limits, late events


def test_what_a_directory_ran_is_corrected_only_as_a_whole():
    driver = Driver()
    source = flow(task("flow.WorkingDirectory", "wd", tasks=[fail("boom")]), log("next"))
    failed = driver.run(source)
    with pytest.raises(Refused, match="'boom' is a part of a WorkingDirectory"):
        task_state_changed(driver.flow_of(failed), failed, run_of(failed, "boom").id, State.SUCCESS, driver.now)
    driver.post(failed.id, e.TaskStateAsked(driver.now, run_of(failed, "wd").id, State.SUCCESS))
    driver.rest()
    assert driver.executions[failed.id].state is State.SUCCESS


def test_what_ran_within_a_handler_can_be_corrected():
    driver = Driver()
    failed = driver.run(flow(fail("boom"), errors=[sequential("told", fail("inner"), log("more"))]))
    driver.post(failed.id, e.TaskStateAsked(driver.now, run_of(failed, "inner").id, State.SUCCESS))
    driver.rest()
    after = driver.executions[failed.id]
    assert (after.state, states(after)["told"], states(after)["more"]) == (State.FAILED, State.SUCCESS, State.SUCCESS)


def test_errors_of_a_directory_run_after_its_job():
    driver = Driver()
    source = flow(task("flow.WorkingDirectory", "wd", tasks=[fail("boom"), log("never")], errors=[log("handler")]))
    execution = driver.run(source)
    assert [one[:2] for one in shape(execution)] == [("wd", "FAILED"), ("boom", "FAILED"), ("handler", "SUCCESS")]
    assert len(run_of(execution, "wd").attempts) == 1


def test_a_directory_tried_again_begins_with_fresh_children():
    driver = Driver()
    policy = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
    flaky = log("flaky", "{{ workerTaskrun.attemptsCount == 1 ? 'ok' : unknown }}")
    execution = driver.run(flow(task("flow.WorkingDirectory", "wd", tasks=[log("a"), flaky], retry=policy)))
    assert [one[:2] for one in shape(execution)] == [("wd", "SUCCESS"), ("a", "SUCCESS"), ("flaky", "SUCCESS")]
    assert len(run_of(execution, "wd").attempts) == 2


@pytest.mark.parametrize("more", [{}, {"finally": [log("last")]}])
def test_a_directory_that_took_a_second_try_warns_when_that_is_asked(more):
    policy = {"type": "constant", "interval": "PT1S", "maxAttempts": 2, "warningOnRetry": True}
    flaky = log("flaky", "{{ workerTaskrun.attemptsCount == 1 ? 'ok' : unknown }}")
    execution = Driver().run(flow(task("flow.WorkingDirectory", "wd", tasks=[flaky], retry=policy, **more)))
    assert run_of(execution, "wd").state is State.WARNING
    assert execution.state is State.WARNING


@pytest.mark.parametrize(
    ("behavior", "state"), [("QUEUE", State.QUEUED), ("CANCEL", State.CANCELLED), ("FAIL", State.FAILED)]
)
def test_a_used_up_limit(behavior, state):
    driver = Driver()
    source = flow(log("a"), concurrency={"limit": 1, "behavior": behavior}, afterExecution=[log("never")])
    execution = driver.start(driver.deploy(source))
    start_event = driver.queue.popleft()[1]
    driver.post(execution.id, e.LimitReached(driver.now, 1))
    driver.work()
    assert (driver.executions[execution.id].state, len(driver.executions[execution.id].task_runs)) == (state, 0)
    assert driver.executions[execution.id].rendered["ahead"] == 1
    driver.post(execution.id, start_event)
    driver.rest()
    expected = State.SUCCESS if behavior == "QUEUE" else state
    assert driver.executions[execution.id].state is expected
    assert ("ahead" in driver.executions[execution.id].rendered) == (behavior != "QUEUE")
    assert "never" not in states(driver.executions[execution.id]) or behavior == "QUEUE"


def test_late_events_change_nothing():
    driver = Driver()
    execution = started(driver, flow(log("slow"), log("slow2")), "slow", "slow2")
    run = run_of(execution, "slow").id
    unfit = [
        e.Started(driver.now),
        e.TaskStarted(driver.now, run, 1),
        e.TaskStarted(driver.now, run, 3),
        e.TaskEnded(driver.now, run, 2, State.SUCCESS, driver.now),
        e.TaskEnded(driver.now, run, 0, State.SUCCESS, driver.now),
        e.TaskEnded(driver.now, "X1.7", 1, State.SUCCESS, driver.now),
        e.TimerFired(driver.now, f"retry:{run}:1"),
        e.TimerFired(driver.now, f"sleep:{run}:1"),
        e.TimerFired(driver.now, f"pause:{run}:1"),
        e.TimerFired(driver.now, "nonsense"),
        e.Resumed(driver.now, run),
        e.Resumed(driver.now, None),
        e.SubflowEnded(driver.now, run, "X9", State.SUCCESS),
        e.ChildRan(driver.now, run, "slow2", State.RUNNING),
        e.Rendered(driver.now, run, {"runIf": "false"}),
        e.Rendered(driver.now, None, {"outputs": {"x": 1}}),
        e.LimitReached(driver.now, 3),
    ]
    for event in unfit:
        driver.post(execution.id, event)
        driver.work()
        assert driver.executions[execution.id] is execution, event


def test_a_directory_that_waits_for_its_next_try_hears_nothing_of_the_last():
    """A process that was believed to be gone goes on with the job for a while."""
    driver = Driver()
    retry = {"type": "constant", "interval": "PT1M", "maxAttempts": 2}
    folder = task("flow.WorkingDirectory", "folder", tasks=[log("in")], retry=retry)
    execution = started(driver, flow(folder), "folder")
    run = run_of(execution, "folder").id
    driver.post(execution.id, e.TaskEnded(driver.now, run, 1, State.FAILED, driver.now))
    driver.work()
    waits = driver.executions[execution.id]
    assert run_of(waits, "folder").state is State.RETRYING
    driver.post(execution.id, e.ChildRan(driver.now, run, "in", State.RUNNING))
    driver.work()
    assert driver.executions[execution.id] is waits


def test_an_end_whose_start_was_never_heard_of_counts():
    driver = Driver()
    driver.deploy(flow(log("slow")))
    execution = driver.start(driver.flows["tests", "f"])
    driver.run_task = lambda *_: None
    driver.work()
    assert end(driver, execution, "slow").state is State.SUCCESS
