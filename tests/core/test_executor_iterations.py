"""What ends an iteration of a Loop before its tasks are through: an Exit, an answer, a deadline."""

from datetime import timedelta

import pytest

from engine.core import commands as c
from engine.core import events as e
from engine.core.executor import replayed, restarted
from engine.core.state import State
from tests.core.driver import Driver, run_of, started
from tests.core.flows import each, fail, flow, log, parallel, pause, ret, sequential, task

SAYS = [{"id": "said", "type": "STRING", "value": "{{ outputs.say.value }}"}]


def loop(*tasks, values=("a", "b", "c"), **more):
    return task("flow.Loop", "loop", values=list(values), tasks=list(tasks), **more)


def approval(id="ask", **more):
    return task("flow.Approval", id, **more)


def exits(state="SUCCESS", when="{{ item.value == 'b' }}", id="out", **more):
    return task("execution.Exit", id, state=state, runIf=when, **more)


def say(id="say"):
    return ret(id, "{{ item.value }}")


def ended(execution, task_id):
    """The states of the runs of a task, by item."""
    found = {}
    for run in execution.task_runs.values():
        at = run
        while at is not None and at.value is None:
            at = execution.task_runs.get(at.parent_id or "")
        if run.task_id == task_id:
            found[int(at.value)] = run.state
    return found


def answer(driver, execution, number, approve, task_id="ask"):
    now = driver.executions[execution.id]
    (run,) = [one for one in now.task_runs.values() if one.task_id == task_id and one.value == str(number)]
    driver.resume(execution, {"approve": approve}, run.id)
    return driver.executions[execution.id]


S = State


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_denied_item_ends_alone_and_the_others_go_on(limit):
    driver = Driver()
    everybody = {"transmitFailed": limit == 0}
    source = flow(loop(approval(), say(), concurrencyLimit=limit, outputs=SAYS, **everybody), log("last"))
    execution = started(driver, source)
    for number, approve in enumerate((True, False, True)):
        assert driver.executions[execution.id].state is S.PAUSED
        after = answer(driver, execution, number, approve)
    assert after.state is S.SUCCESS
    assert ended(after, "ask") == {0: S.SUCCESS, 1: S.CANCELLED, 2: S.SUCCESS}
    assert ended(after, "say") == {0: S.SUCCESS, 2: S.SUCCESS}
    whole = run_of(after, "loop")
    assert whole.outputs["iterationCount"] == 3
    assert whole.outputs["terminatedIterations"] == {"SUCCESS": 2, "CANCELLED": 1}
    assert [one["outputs"] for one in whole.outputs["outputs"]] == [{"said": "a"}, {}, {"said": "c"}]
    assert run_of(after, "last").state is S.SUCCESS
    assert ("loop", "WARN", "Iteration 1 of 'loop' ended CANCELLED.") in [one[1:] for one in driver.logs]


@pytest.mark.parametrize("state", [S.CANCELLED, S.KILLED, S.FAILED, S.WARNING, S.SUCCESS])
@pytest.mark.parametrize("transmits", [True, False])
def test_no_further_item_begins_after_one_that_ended_ill(state, transmits):
    driver = Driver()
    tidies = {"finally": [log("tidy")], "breakWhen": "false"}
    first = exits(state.value, when="{{ item.value == 'a' }}")
    after = driver.run(flow(loop(first, say(), concurrencyLimit=1, transmitFailed=transmits, **tidies), log("last")))
    goes_on = not transmits or state in (S.WARNING, S.SUCCESS)
    assert ended(after, "out") == ({0: state, 1: S.SKIPPED, 2: S.SKIPPED} if goes_on else {0: state})
    assert after.state is (state if state is S.WARNING or (state is S.FAILED and transmits) else S.SUCCESS)
    assert sum(run_of(after, "loop").outputs["terminatedIterations"].values()) == (3 if goes_on else 1)


def test_what_has_begun_when_an_item_is_denied_goes_on_and_nothing_else_begins():
    driver = Driver()
    execution = started(driver, flow(loop(approval(), say(), concurrencyLimit=2, values=["a", "b", "c"]), log("last")))
    after = answer(driver, execution, 0, False)
    assert (after.state, ended(after, "ask")) == (S.PAUSED, {0: S.CANCELLED, 1: S.PAUSED})
    after = answer(driver, execution, 1, True)
    assert (after.state, ended(after, "say")) == (S.SUCCESS, {1: S.SUCCESS})
    assert run_of(after, "loop").outputs["terminatedIterations"] == {"SUCCESS": 1, "CANCELLED": 1}


def test_a_deadline_ends_the_item_nobody_answered_for():
    driver = Driver()
    execution = started(driver, flow(loop(approval(timeout="PT1S"), say(), values=["a"]), log("last")))
    driver.pass_time(timedelta(seconds=2))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "ask"), ended(after, "say")) == (S.SUCCESS, {0: S.CANCELLED}, {})
    assert run_of(after, "last").state is S.SUCCESS


@pytest.mark.parametrize(
    ("asked", "state", "whole", "execution_state"),
    [
        ("SUCCESS", S.SUCCESS, S.SUCCESS, S.SUCCESS),
        ("WARNING", S.WARNING, S.WARNING, S.WARNING),
        ("FAILED", S.FAILED, S.FAILED, S.FAILED),
        ("CANCELED", S.CANCELLED, S.SUCCESS, S.SUCCESS),
        ("KILLED", S.KILLED, S.SUCCESS, S.SUCCESS),
    ],
)
@pytest.mark.parametrize("wraps", [False, True])
def test_exit_ends_its_item_in_the_state_it_names(asked, state, whole, execution_state, wraps):
    inner = [exits(asked), say()]
    driver = Driver()
    after = driver.run(flow(loop(*([sequential("s", *inner)] if wraps else inner), log("then"))))
    assert ended(after, "out") == {0: S.SKIPPED, 1: state, 2: S.SKIPPED}
    assert ended(after, "say") == ended(after, "then") == {0: S.SUCCESS, 2: S.SUCCESS}
    if wraps:
        assert ended(after, "s") == {0: S.SUCCESS, 1: state, 2: S.SUCCESS}
    counted = run_of(after, "loop").outputs["terminatedIterations"]
    assert counted == ({"SUCCESS": 3} if state is S.SUCCESS else {"SUCCESS": 2, state.value: 1})
    assert (run_of(after, "loop").state, after.state) == (whole, execution_state)


def test_what_is_not_transmitted_fails_nothing():
    driver = Driver()
    after = driver.run(flow(loop(exits("FAILED"), say(), transmitFailed=False)))
    assert (after.state, run_of(after, "loop").state) == (S.SUCCESS, S.SUCCESS)


@pytest.mark.parametrize(
    ("behavior", "state", "counted"),
    [("CANCEL", S.CANCELLED, "CANCELLED"), ("SUCCEED", S.SUCCESS, "SUCCESS"), ("KILL", S.KILLED, "KILLED")],
)
def test_every_behaviour_that_ends_an_execution_ends_the_item(behavior, state, counted):
    driver = Driver()
    asks = approval(denyBehavior=behavior, onDeny=[log("sorry")])
    execution = started(driver, flow(loop(asks, say(), values=["a"]), log("last")))
    after = answer(driver, execution, 0, False)
    assert (after.state, ended(after, "ask"), ended(after, "say")) == (S.SUCCESS, {0: state}, {})
    assert ended(after, "sorry") == {0: S.SUCCESS}
    assert run_of(after, "loop").outputs["terminatedIterations"] == {counted: 1}


@pytest.mark.parametrize(("behavior", "state"), [("CANCEL", S.CANCELLED), ("FAIL", S.FAILED), ("WARN", S.WARNING)])
def test_a_pause_that_nobody_answers_is_about_its_item_too(behavior, state):
    driver = Driver()
    asks = pause("ask", pauseDuration="PT1S", behavior=behavior, runIf="{{ item.value == 'b' }}")
    execution = started(driver, flow(loop(asks, say())))
    driver.pass_time(timedelta(seconds=2))
    driver.rest()
    after = driver.executions[execution.id]
    assert ended(after, "ask") == {0: S.SKIPPED, 1: state, 2: S.SKIPPED}
    assert set(ended(after, "say")) == ({0, 1, 2} if behavior == "WARN" else {0, 2})
    assert after.state is (S.SUCCESS if behavior == "CANCEL" else state)


def test_what_waits_in_the_item_ends_and_what_runs_may_end_before_the_next_begins():
    driver = Driver()
    branches = parallel(
        "p", approval(), pause("other", pauseDuration="PT1H"), sequential("s", log("slow"), log("never"))
    )
    execution = started(
        driver, flow(loop(branches, say(), concurrencyLimit=1, values=["a", "b"], transmitFailed=False)), "slow"
    )
    run = run_of(execution, "ask").id
    driver.resume(execution, {"approve": False}, run)
    after = driver.executions[execution.id]
    assert (ended(after, "ask"), ended(after, "other")) == ({0: S.CANCELLED}, {0: S.KILLED})
    assert driver.pauses == {run: "RESUMED", run_of(after, "other").id: "KILLED"}
    assert not [key for _, key in driver.timers if key.startswith("pause:")]
    assert (after.state, ended(after, "slow"), ended(after, "p")) == (S.RUNNING, {0: S.RUNNING}, {0: S.RUNNING})
    driver.held_tasks = set()
    driver.post(execution.id, e.TaskEnded(driver.now, run_of(after, "slow").id, 1, S.SUCCESS, driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert ended(after, "p") == {0: S.CANCELLED, 1: S.RUNNING}
    assert (ended(after, "never"), ended(after, "say")) == ({1: S.SUCCESS}, {})


def test_what_is_tried_again_or_looked_at_again_waits_for_nothing_in_an_item_that_was_left():
    driver = Driver()
    retry = {"type": "constant", "interval": "PT1H", "maxAttempts": 3}
    until = task(
        "flow.LoopUntil", "u", condition="{{ false }}", tasks=[log("look")], checkFrequency={"interval": "PT1H"}
    )
    nap = task("flow.Sleep", "nap", duration="PT1H")
    source = flow(loop(parallel("p", approval(), fail("again", retry=retry), until, nap), values=["a"]), log("last"))
    execution = driver.start(driver.deploy(source))
    driver.work()
    assert {key.split(":")[0] for _, key in driver.timers} == {"retry", "loop", "sleep"}
    driver.resume(execution, {"approve": False})
    after = driver.executions[execution.id]
    assert (after.state, run_of(after, "last").state, driver.timers) == (S.SUCCESS, S.SUCCESS, {})
    assert (ended(after, "again"), ended(after, "u")) == ({0: S.KILLED}, {0: S.SUCCESS})
    assert ended(after, "nap") == {0: S.KILLED}
    assert [one.ended is None for one in run_of(after, "nap").attempts] == [False]


def test_a_sleep_beside_a_denial_does_not_hold_the_end_of_the_execution():
    driver = Driver()
    nap = task("flow.Sleep", "nap", duration="PT1H")
    execution = driver.start(driver.deploy(flow(parallel("p", approval(), nap), **{"finally": [log("tidy")]})))
    driver.work()
    driver.resume(execution, {"approve": False})
    after = driver.executions[execution.id]
    assert (after.state, run_of(after, "nap").state, driver.timers) == (S.CANCELLED, S.KILLED, {})
    assert run_of(after, "tidy").state is S.SUCCESS


def test_what_fails_in_an_item_that_was_left_is_not_tried_again():
    driver = Driver()
    retry = {"type": "constant", "interval": "PT1H", "maxAttempts": 3}
    source = flow(loop(parallel("p", approval(), log("slow", retry=retry)), values=["a"]))
    execution = started(driver, source, "slow")
    driver.resume(execution, {"approve": False})
    run = run_of(driver.executions[execution.id], "slow").id
    driver.post(execution.id, e.TaskEnded(driver.now, run, 1, S.FAILED, driver.now))
    driver.work()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "slow"), ended(after, "p")) == (S.SUCCESS, {0: S.FAILED}, {0: S.CANCELLED})


def test_killed_stops_what_runs_in_the_item_and_nothing_else():
    driver = Driver()
    branches = parallel("p", sequential("s", log("slow")), exits("KILLED", "{{ item.value == 'b' }}"))
    execution = started(driver, flow(loop(branches, say())), "slow")
    after = driver.executions[execution.id]
    assert ended(after, "slow") == {0: S.RUNNING, 1: S.KILLED, 2: S.RUNNING}
    assert ended(after, "p") == {0: S.RUNNING, 1: S.KILLED, 2: S.RUNNING}
    stopped = [command.task_run_id for _, command in driver.commands if isinstance(command, c.StopTask)]
    assert stopped == [one.id for one in after.task_runs.values() if one.task_id == "slow" and one.state is S.KILLED]
    for one in [one for one in after.task_runs.values() if one.task_id == "slow" and not one.state.is_terminal]:
        driver.post(execution.id, e.TaskEnded(driver.now, one.id, 1, S.SUCCESS, driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "say")) == (S.SUCCESS, {0: S.SUCCESS, 2: S.SUCCESS})


def test_the_innermost_loop_ends_its_iteration():
    driver = Driver()
    inner = task(
        "flow.Loop",
        "inner",
        values=[1, 2, 3],
        tasks=[
            exits("CANCELED", "{{ item.value == '2' and item.parent.value == 'a' }}"),
            ret("deep", "{{ item.value }}"),
        ],
    )
    after = driver.run(flow(loop(inner, say(), values=["a", "b"])))
    assert after.state is S.SUCCESS
    assert len([one for one in after.task_runs.values() if one.task_id == "deep"]) == 5
    assert ended(after, "say") == {0: S.SUCCESS, 1: S.SUCCESS}
    counts = [one.outputs["terminatedIterations"] for one in after.task_runs.values() if one.task_id == "inner"]
    assert counts == [{"SUCCESS": 2, "CANCELLED": 1}, {"SUCCESS": 3}]


def test_an_outer_item_that_is_left_takes_its_inner_loops_with_it():
    driver = Driver()
    inner = task("flow.Loop", "inner", values=[1, 2], tasks=[pause("deep")], concurrencyLimit=1)
    execution = started(driver, flow(loop(parallel("p", inner, approval()), values=["a"]), log("last")))
    driver.resume(execution, {"approve": False}, run_of(execution, "ask").id)
    after = driver.executions[execution.id]
    assert after.state is S.SUCCESS
    assert [one.state for one in after.task_runs.values() if one.task_id == "deep"] == [S.KILLED]
    assert run_of(after, "last").state is S.SUCCESS


@pytest.mark.parametrize("kind", ["flow.ForEach", "flow.EachSequential"])
def test_other_loops_end_with_the_execution(kind):
    driver = Driver()
    named = {"values" if kind == "flow.ForEach" else "value": ["a", "b"]}
    each_ = task(kind, "each", **named, tasks=[task("execution.Exit", "out", state="WARNING")])
    after = driver.run(flow(each_, log("never")))
    assert (after.state, "never" in [one.task_id for one in after.task_runs.values()]) == (S.WARNING, False)


def test_a_foreach_in_an_item_ends_with_it():
    driver = Driver()
    inner = each("inner", [1, 2, 3], exits("WARNING"), log("deep"), concurrencyLimit=1)
    after = driver.run(flow(loop(inner, say())))
    assert (after.state, ended(after, "say")) == (S.WARNING, {0: S.SUCCESS, 2: S.SUCCESS})
    assert len([one for one in after.task_runs.values() if one.task_id == "deep"]) == 6


HANDLERS = {"errors": [ret("alarm", "{{ item.value }}")], "finally": [ret("tidy", "{{ item.value }}")]}


def test_after_a_denial_the_finally_of_the_item_runs_and_no_other_handler():
    driver = Driver()
    around = sequential("s", approval(), **{"errors": [log("no")], "finally": [log("nor")]})
    execution = started(driver, flow(loop(around, say(), values=["a"], **HANDLERS)))
    after = answer_below(driver, execution, approve=False)
    names = [one.task_id for one in after.task_runs.values()]
    assert (after.state, names) == (S.SUCCESS, ["loop", "s", "ask", "tidy"])


def answer_below(driver, execution, *, approve):
    driver.resume(execution, {"approve": approve})
    driver.rest()
    return driver.executions[execution.id]


@pytest.mark.parametrize("state", ["FAILED", "SUCCESS"])
def test_after_an_exit_no_handler_of_the_item_runs(state):
    driver = Driver()
    after = driver.run(flow(loop(exits(state), say(), **HANDLERS)))
    assert (ended(after, "alarm"), ended(after, "tidy")) == ({}, {0: S.SUCCESS, 2: S.SUCCESS})


def test_an_exit_in_a_handler_says_how_the_item_ended():
    driver = Driver()
    handlers = {"errors": [exits("SUCCESS", "true"), log("never")], "finally": [log("tidy")]}
    after = driver.run(flow(loop(fail("boom", condition="{{ item.value == 'b' }}"), **handlers)))
    assert (after.state, ended(after, "boom")[1]) == (S.SUCCESS, S.FAILED)
    assert (ended(after, "never"), ended(after, "tidy")) == ({}, {0: S.SUCCESS, 2: S.SUCCESS})
    assert run_of(after, "loop").outputs["terminatedIterations"] == {"SUCCESS": 3}


def test_a_finally_that_fails_after_a_denial_fails_the_item():
    driver = Driver()
    execution = started(driver, flow(loop(approval(), values=["a"], **{"finally": [fail("broken")]})))
    after = answer_below(driver, execution, approve=False)
    assert (after.state, run_of(after, "loop").outputs["terminatedIterations"]) == (S.FAILED, {"FAILED": 1})


@pytest.mark.parametrize(("first", "given"), [("out", {}), ("say", {"said": "b"})])
def test_an_item_left_as_a_success_hands_on_what_it_can(first, given):
    driver = Driver()
    tasks = [exits(), say()] if first == "out" else [say(), exits(), log("then")]
    after = driver.run(flow(loop(*tasks, outputs=SAYS)))
    whole = run_of(after, "loop")
    assert after.state is S.SUCCESS
    assert [one["outputs"] for one in whole.outputs["outputs"]] == [{"said": "a"}, given, {"said": "c"}]


def test_whether_a_loop_ends_early_sees_how_an_item_was_left():
    driver = Driver()
    early = {"breakWhen": "{{ iteration.state == 'CANCELLED' }}", "concurrencyLimit": 1}
    after = driver.run(flow(loop(exits("CANCELED"), say(), **early)))
    assert (after.state, ended(after, "say"), ended(after, "out")[1]) == (S.SUCCESS, {0: S.SUCCESS}, S.CANCELLED)
    assert set(ended(after, "out")) == {0, 1}


def test_a_restart_leaves_alone_what_was_denied_and_runs_what_failed():
    driver = Driver()
    fails = fail("boom", condition="{{ item.value == 'c' and taskrun.attemptsCount == 0 }}")
    execution = started(driver, flow(loop(approval(), fails, say()), log("last")))
    for number, approve in enumerate((True, False, True)):
        failed = answer(driver, execution, number, approve)
    assert failed.state is S.FAILED
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert after.state is S.SUCCESS
    assert ended(after, "ask") == {0: S.SUCCESS, 1: S.CANCELLED, 2: S.SUCCESS}
    assert ended(after, "say") == {0: S.SUCCESS, 2: S.SUCCESS}


def test_a_restart_takes_up_an_item_that_was_left_as_failed_with_what_it_stopped():
    driver = Driver()
    again = exits("FAILED", "{{ taskrun.attemptsCount == 0 }}")
    branches = parallel("p", pause("other"), sequential("s", log("once"), again))
    execution = started(driver, flow(loop(branches, say(), values=["a"])))
    failed = driver.executions[execution.id]
    assert (failed.state, ended(failed, "other"), ended(failed, "p")) == (S.FAILED, {0: S.KILLED}, {0: S.FAILED})
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.rest()
    waits = driver.executions[execution.id]
    assert (waits.state, ended(waits, "other"), ended(waits, "out")) == (S.PAUSED, {0: S.PAUSED}, {0: S.SKIPPED})
    driver.resume(execution)
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "say"), len(run_of(after, "once").attempts)) == (S.SUCCESS, {0: S.SUCCESS}, 1)


def test_a_restart_under_another_revision_keeps_what_was_denied():
    driver = Driver()
    source = flow(loop(approval(), values=["a"]), fail("boom"))
    execution = started(driver, source)
    failed = answer(driver, execution, 0, False)
    again = restarted(driver.flow_of(failed), failed, driver.now)
    assert (ended(again, "ask"), run_of(again, "loop").state) == ({0: S.CANCELLED}, S.SUCCESS)


def test_a_replay_of_another_item_keeps_what_was_killed():
    driver = Driver()
    after = driver.run(flow(loop(exits("KILLED"), say(), concurrencyLimit=1, transmitFailed=False)))
    target = run_of(after, "say", "2").id
    again = replayed(driver.flow_of(after), after, "Y", driver.now, from_task_run=target)
    driver.executions["Y"] = again
    driver.post("Y", e.Started(driver.now))
    driver.rest()
    done = driver.executions["Y"]
    assert (done.state, ended(done, "out")) == (S.SUCCESS, {0: S.SKIPPED, 1: S.KILLED, 2: S.SKIPPED})
    assert ended(done, "say") == {0: S.SUCCESS, 2: S.SUCCESS}


def test_a_denial_that_is_corrected_lets_its_item_go_on():
    driver = Driver()
    execution = started(driver, flow(loop(approval(), say(), values=["a"])))
    denied = answer(driver, execution, 0, False)
    driver.post(execution.id, e.TaskStateAsked(driver.now, run_of(denied, "ask", "0").id, S.SUCCESS))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "ask"), ended(after, "say")) == (S.SUCCESS, {0: S.SUCCESS}, {0: S.SUCCESS})


def test_a_loop_that_takes_too_long_handles_no_item_that_was_left():
    driver = Driver()
    source = flow(loop(approval(), say(), values=["a", "b"], timeout="PT1M", **HANDLERS))
    execution = driver.start(driver.deploy(source))
    driver.work()
    answer(driver, execution, 0, False)
    driver.pass_time(timedelta(minutes=2))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "alarm")) == (S.FAILED, {1: S.SUCCESS})
    assert ended(after, "tidy") == {0: S.SUCCESS, 1: S.SUCCESS}


def test_a_kill_while_an_item_is_being_left_stops_it():
    driver = Driver()
    execution = started(driver, flow(loop(parallel("p", approval(), log("slow")), values=["a"])), "slow")
    driver.resume(execution, {"approve": False})
    driver.kill(execution)
    driver.rest()
    assert driver.executions[execution.id].state is S.KILLED


def test_a_loop_in_what_runs_after_the_end_leaves_items_too():
    driver = Driver()
    after = driver.run(flow(log("a"), afterExecution=[loop(exits("CANCELED"), say())]))
    assert (after.state, ended_at_all(after, "say")) == (S.SUCCESS, 2)
    assert run_of(after, "loop").state is S.SUCCESS


def ended_at_all(execution, task_id):
    return len([one for one in execution.task_runs.values() if one.task_id == task_id and one.state.is_terminal])


def test_an_item_that_is_left_while_the_execution_is_held_ends_when_it_goes_on():
    driver = Driver()
    source = flow(parallel("both", loop(sequential("s", approval()), say(), values=["a"]), log("slow")), log("last"))
    execution = started(driver, source, "slow")
    driver.post(execution.id, e.PauseAsked(driver.now))
    driver.resume(execution, {"approve": False}, run_of(execution, "ask").id)
    held = driver.executions[execution.id]
    assert (held.held, ended(held, "ask"), ended(held, "s")) == (True, {0: S.RUNNING}, {0: S.RUNNING})
    driver.post(execution.id, e.Resumed(driver.now, None, by="ann"))
    driver.post(execution.id, e.TaskEnded(driver.now, run_of(held, "slow").id, 1, S.SUCCESS, driver.now))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, ended(after, "ask"), ended(after, "say")) == (S.SUCCESS, {0: S.CANCELLED}, {})


def test_a_thousand_items_that_are_all_left_end():
    driver = Driver()
    after = driver.run(flow(loop(exits("SUCCESS", "true"), say(), values=[str(n) for n in range(1000)])))
    assert (after.state, run_of(after, "loop").outputs["terminatedIterations"]) == (S.SUCCESS, {"SUCCESS": 1000})
