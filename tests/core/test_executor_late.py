"""What was under way before a restart, another attempt or a replacement, and is heard of after it."""

from datetime import timedelta

import pytest

from engine.core import commands as c
from engine.core import events as e
from engine.core.state import State
from tests.core.driver import Driver, run_of
from tests.core.flows import flow, log, pause, ret, task

CALL = {"namespace": "tests", "flowId": "child"}


def begun(driver, source, *held):
    """An execution as far as it comes without time passing; tasks that are `held` end when a test says so."""
    driver.held_tasks = set(held)
    execution = driver.start(driver.deploy(source))
    driver.work()
    return execution.id


def end(driver, execution_id, task_id, state=State.SUCCESS):
    """A held task ends."""
    run = run_of(driver.executions[execution_id], task_id)
    driver.post(execution_id, e.TaskEnded(driver.now, run.id, len(run.attempts), state, driver.now))
    driver.work()


def answer(driver, execution_id):
    """Somebody answers the only pause."""
    driver.post(execution_id, e.Resumed(driver.now, f"{execution_id}.1", by="ann"))
    driver.work()


def restart(driver, execution_id):
    driver.post(execution_id, e.RestartAsked(driver.now))
    driver.work()


def children(driver):
    """Executions of the flow that is called, in order."""
    return [one.id for one in driver.executions.values() if one.flow_id == "child"]


def test_a_batch_that_ends_after_a_restart_is_none_of_the_new_ones():
    driver = Driver()
    driver.deploy(flow(pause("ask"), id="child", inputs=[{"id": "n", "type": "INT", "required": False}]))
    driver.files["kestra:///two"] = b"a\nb\n"
    given = {"n": "{{ taskrun.iteration == 1 and taskrun.attemptsCount == 0 ? unknown : 1 }}"}
    execution = begun(driver, flow(task("flow.ForEachItem", "each", items="kestra:///two", **CALL, inputs=given)))
    assert driver.executions[execution].state is State.FAILED
    restart(driver, execution)
    old, one, two = children(driver)
    answer(driver, old)
    answer(driver, two)
    assert (driver.executions[old].state, driver.executions[one].state) == (State.SUCCESS, State.PAUSED)
    assert driver.executions[execution].state is State.RUNNING
    answer(driver, one)
    after = driver.executions[execution]
    assert after.state is State.SUCCESS
    assert run_of(after, "each_items").outputs["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 2}


@pytest.mark.parametrize("behavior", ["RETRY_FAILED", "NEW_EXECUTION"])
def test_the_end_of_a_call_from_before_a_restart_is_not_that_of_the_new_one(behavior):
    driver = Driver()
    driver.deploy(flow(log("slow"), id="child"))
    call = task("flow.Subflow", "call", **CALL, timeout="PT1M", restartBehavior=behavior)
    execution = begun(driver, flow(call), "slow")
    carry_out = driver.carry_out
    driver.carry_out = lambda id_, command: None if isinstance(command, c.StopTask) else carry_out(id_, command)
    driver.pass_time(timedelta(minutes=1))
    [old] = children(driver)
    assert driver.executions[execution].state is State.FAILED
    assert driver.executions[old].state is State.KILLING  # its task takes long to stop
    restart(driver, execution)
    end(driver, old, "slow", State.KILLED)
    _, new = children(driver)
    assert driver.executions[old].state is State.KILLED
    assert run_of(driver.executions[execution], "call").outputs == {"executionId": new}
    end(driver, new, "slow")
    assert driver.executions[execution].state is State.SUCCESS


@pytest.fixture
def tried_again():
    """A call of a flow whose first execution has failed and is tried again as a new one, an hour later."""
    driver = Driver()
    retry = {"behavior": "CREATE_NEW_EXECUTION", "type": "constant", "interval": "PT1H", "maxAttempts": 2}
    driver.deploy(flow(log("first"), id="child", retry=retry))
    driver.replace_execution = lambda *_: None
    again = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
    execution = begun(driver, flow(task("flow.Subflow", "call", **CALL, timeout="PT1M", retry=again)), "first")
    [old] = children(driver)
    end(driver, old, "first", State.FAILED)
    assert driver.executions[old].state is State.RETRIED
    return driver, execution, old


def replaced(driver, old):
    """The execution that takes the place of one that failed."""
    Driver.replace_execution(driver, old, driver.now)
    driver.work()
    return children(driver)[-1]


def test_a_call_goes_on_with_what_took_the_place_of_what_it_made(tried_again):
    driver, execution, old = tried_again
    new = replaced(driver, old)
    assert run_of(driver.executions[execution], "call").outputs == {"executionId": new}
    end(driver, new, "first")
    assert driver.executions[execution].state is State.SUCCESS


@pytest.mark.parametrize("is_killed_first", [False, True])
def test_a_kill_reaches_what_took_the_place_of_what_was_called(tried_again, is_killed_first):
    driver, execution, old = tried_again
    if is_killed_first:
        driver.post(execution, e.KillAsked(driver.now))
        driver.work()
    new = replaced(driver, old)
    driver.post(execution, e.KillAsked(driver.now))
    driver.work()
    assert driver.executions[new].state is State.KILLED
    assert driver.executions[execution].state is State.KILLED


def test_a_kill_does_not_wait_for_what_is_to_take_the_place_of_what_was_called(tried_again):
    driver, execution, old = tried_again
    driver.post(execution, e.KillAsked(driver.now))
    driver.work()
    assert [driver.executions[one].state for one in (execution, old)] == [State.KILLED, State.KILLED]
    assert (old, c.CancelRetry()) in driver.commands


def test_a_kill_that_meets_the_replacement_half_way_reaches_it(tried_again):
    driver, _, old = tried_again
    driver.parents.clear()  # nobody called it, so nobody else hears of the replacement
    new = replaced(driver, old)
    driver.post(old, e.KillAsked(driver.now))
    driver.work()
    assert [driver.executions[one].state for one in (old, new)] == [State.KILLED, State.KILLED]


def test_a_kill_of_what_is_to_be_tried_again_ends_what_runs_after_its_end():
    driver = Driver()
    retry = {"behavior": "CREATE_NEW_EXECUTION", "type": "constant", "interval": "PT1H", "maxAttempts": 2}
    driver.replace_execution = lambda *_: None
    source = flow(log("first"), retry=retry, afterExecution=[log("late"), log("later")])
    execution = begun(driver, source, "first", "late")
    end(driver, execution, "first", State.FAILED)
    assert driver.executions[execution].state is State.RETRIED
    driver.post(execution, e.KillAsked(driver.now, "ann"))
    driver.work()
    after = driver.executions[execution]
    assert after.state is State.KILLED
    assert {run.task_id: run.state for run in after.task_runs.values() if run.task_id != "first"} == {
        "late": State.KILLED
    }
    driver.post(execution, e.KillAsked(driver.now, "ann"))
    driver.work()
    assert driver.executions[execution] is after


def test_what_takes_the_place_of_a_call_that_timed_out_is_stopped_and_is_not_the_next_one(tried_again):
    driver, execution, old = tried_again
    driver.pass_time(timedelta(minutes=1, seconds=2))
    _, next_ = children(driver)
    late = replaced(driver, old)
    assert driver.executions[late].state is State.KILLED
    run = run_of(driver.executions[execution], "call")
    assert (run.state, run.outputs) == (State.RUNNING, {"executionId": next_})
    end(driver, next_, "first")
    assert driver.executions[execution].state is State.SUCCESS


def test_a_batch_is_what_took_its_place():
    driver = Driver()
    retry = {"behavior": "CREATE_NEW_EXECUTION", "type": "constant", "interval": "PT1H", "maxAttempts": 2}
    driver.deploy(flow(log("first"), id="child", retry=retry))
    driver.files["kestra:///one"] = b"a\n"
    driver.replace_execution = lambda *_: None
    execution = begun(driver, flow(task("flow.ForEachItem", "each", items="kestra:///one", **CALL)), "first")
    [old] = children(driver)
    end(driver, old, "first", State.FAILED)
    new = replaced(driver, old)
    assert run_of(driver.executions[execution], "each_items").rendered["children"] == {"1": new}
    driver.post(execution, e.KillAsked(driver.now))
    driver.work()
    assert driver.executions[new].state is State.KILLED
    assert driver.executions[execution].state is State.KILLED


def test_the_wait_of_a_loop_is_not_cut_short_by_a_timer_from_before_a_restart():
    driver = Driver()
    loop = task("flow.LoopUntil", "loop", condition="{{ false }}", tasks=[ret("r")], timeout="PT30M")
    execution = begun(driver, flow({**loop, "checkFrequency": {"interval": "PT1H", "maxIterations": 9}}))
    late = e.TimerFired(driver.now, run_of(driver.executions[execution], "loop").rendered["timer"])
    driver.pass_time(timedelta(minutes=30))
    assert driver.executions[execution].state is State.FAILED
    restart(driver, execution)
    run = run_of(driver.executions[execution], "loop")
    driver.post(execution, late)
    driver.work()
    assert run_of(driver.executions[execution], "loop") == run
    assert run.rendered["timer"] != late.key  # whose row in the outbox goes with it
    driver.fire((execution, run.rendered["timer"]))
    assert run_of(driver.executions[execution], "loop").iteration == 2


def test_the_time_of_a_loop_stops_its_tasks_once_and_no_handler():
    """Item a is being tidied up and b at work when the time is over; the alarm rings again, as after a crash."""
    driver = Driver()
    say = [ret("do", "{{ item.value }}")]
    source = flow(
        task("flow.Loop", "loop", values=["a", "b"], timeout="PT1M", tasks=say, **{"finally": [ret("tidy", "x")]})
    )
    execution = begun(driver, source, "do", "tidy")

    def of(name, value):
        there = driver.executions[execution].task_runs.values()
        return next(run for run in there if (run.task_id, run.value) == (name, value))

    def done(name, value):
        run = of(name, value)
        driver.post(execution, e.TaskEnded(driver.now, run.id, len(run.attempts), State.SUCCESS, driver.now))
        driver.work()

    done("do", "0")
    (limit,) = [key for key in driver.timers if key[1].startswith("limit:")]
    for _ in range(2):
        driver.post(execution, e.TimerFired(driver.now + timedelta(minutes=1), limit[1]))
        driver.work()
        assert (of("do", "1").state, of("tidy", "0").state, of("tidy", "1").state) == (
            State.KILLED,
            State.RUNNING,
            State.RUNNING,
        )
    done("tidy", "0")
    done("tidy", "1")
    assert driver.executions[execution].state is State.FAILED
    assert [of("tidy", value).state for value in "01"] == [State.SUCCESS, State.SUCCESS]
