"""Pauses and approvals: who waits, what an answer does, what happens when nobody answers."""

from datetime import timedelta

import pytest

from engine.core import events as e
from engine.core.inputs import resolve
from engine.core.state import State
from engine.errors import FlowInvalid
from tests.core.driver import Driver, end, run_of, started, states
from tests.core.flows import fail, flow, log, parallel, pause, sequential, task

# --- pauses


def test_only_the_paused_branch_waits_and_paused_shows_when_nothing_else_runs():
    driver = Driver()
    source = flow(parallel("p", pause("ask"), sequential("s", log("a"), log("b"), log("slow"))), log("last"))
    execution = started(driver, source, "slow")
    assert states(execution) == {
        "p": State.RUNNING,
        "ask": State.PAUSED,
        "s": State.RUNNING,
        "a": State.SUCCESS,
        "b": State.SUCCESS,
        "slow": State.RUNNING,
    }
    assert execution.state is State.RUNNING
    assert end(driver, execution, "slow").state is State.PAUSED
    driver.resume(execution)
    driver.rest()
    assert driver.executions[execution.id].state is State.SUCCESS


def test_resume_names_the_task_run_and_without_a_name_takes_the_first():
    driver = Driver()
    execution = started(driver, flow(parallel("p", pause("one"), pause("two"), pause("three"))))
    driver.resume(execution, task_run_id=run_of(execution, "two").id)
    now = driver.executions[execution.id]
    assert states(now) == {"p": State.RUNNING, "one": State.PAUSED, "two": State.SUCCESS, "three": State.PAUSED}
    assert now.state is State.PAUSED
    driver.resume(execution)
    assert states(driver.executions[execution.id])["one"] is State.SUCCESS
    driver.resume(execution)
    assert driver.executions[execution.id].state is State.SUCCESS


def test_a_second_answer_changes_nothing():
    driver = Driver()
    execution = started(driver, flow(pause("ask", onResume=[{"id": "ok", "type": "BOOLEAN"}]), log("slow")), "slow")
    asked = run_of(execution, "ask").id
    driver.resume(execution, {"ok": True}, asked)
    first = driver.executions[execution.id]
    driver.resume(execution, {"ok": False}, asked)
    assert driver.executions[execution.id] is first
    assert run_of(first, "ask").outputs["onResume"] == {"ok": True}
    assert run_of(first, "ask").outputs["resumed"]["by"] == "ann"


def test_on_pause_runs_before_the_card_is_posted():
    driver = Driver()
    execution = started(driver, flow(pause("ask", onPause=log("tell"))), "tell")
    assert states(execution) == {"ask": State.RUNNING, "tell": State.RUNNING}
    assert not driver.pauses
    assert end(driver, execution, "tell").state is State.PAUSED
    assert list(driver.pauses.values()) == ["WAITING"]


@pytest.mark.parametrize(
    ("behavior", "pause_state", "state", "then"),
    [
        ("RESUME", State.SUCCESS, State.SUCCESS, True),
        ("WARN", State.WARNING, State.WARNING, True),
        ("FAIL", State.FAILED, State.FAILED, False),
        ("CANCEL", State.CANCELLED, State.CANCELLED, False),
        ("{{ 'CAN' ~ 'CEL' }}", State.CANCELLED, State.CANCELLED, False),
    ],
)
def test_what_a_pause_becomes_when_nobody_answers(behavior, pause_state, state, then):
    driver = Driver()
    source = flow(pause("ask", pauseDuration="PT1H", behavior=behavior), log("after"))
    execution = started(driver, source)
    assert execution.state is State.PAUSED
    driver.pass_time(timedelta(minutes=59))
    assert driver.executions[execution.id] is execution
    driver.pass_time(timedelta(minutes=2))
    after = driver.executions[execution.id]
    assert (states(after)["ask"], after.state, "after" in states(after)) == (pause_state, state, then)
    assert list(driver.pauses.values()) == ["EXPIRED"]


@pytest.mark.parametrize("more", [{}, {"allowFailure": True}])
def test_nobody_is_asked_when_what_comes_before_the_question_fails(more):
    driver = Driver()
    lists = {"onWait": [fail("tell")], "onApprove": [log("yes")], "errors": [log("sorry")], "finally": [log("own")]}
    execution = started(driver, flow(task("flow.Approval", "ask", **lists, **more), errors=[log("alarm")]))
    after = driver.executions[execution.id]
    if more:
        assert (after.state, list(states(after))) == (State.PAUSED, ["ask", "tell"])
    else:
        assert (after.state, list(states(after))) == (State.FAILED, ["ask", "tell", "sorry", "own", "alarm"])


@pytest.mark.parametrize(("then", "state"), [(State.SUCCESS, State.PAUSED), (State.FAILED, State.FAILED)])
def test_after_a_restart_it_asks_once_what_comes_before_the_question_went_well(then, state):
    driver = Driver()
    ask = task("flow.Approval", "ask", onWait=[log("tell")], **{"finally": [log("own")]})
    execution = end(driver, started(driver, flow(ask), "tell"), "tell", State.FAILED)
    assert (execution.state, list(states(execution))) == (State.FAILED, ["ask", "tell", "own"])
    driver.post(execution.id, e.RestartAsked(driver.now))
    driver.rest()
    after = end(driver, driver.executions[execution.id], "tell", then)
    assert (after.state, run_of(after, "ask").state) == (state, state)


@pytest.mark.parametrize(
    "asks",
    [pause("asks", pauseDuration="PT1H", behavior="FAIL"), pause("asks", timeout="PT1H")],
    ids=["behavior", "timeout"],
)
@pytest.mark.parametrize("own", [[], [log("own")]])
def test_the_handlers_of_a_pause_run_when_its_deadline_fails_it(asks, own):
    driver = Driver()
    asks = {**asks, "errors": [log("sorry")], **({"finally": own} if own else {})}
    execution = started(driver, flow(asks, log("never")))
    driver.pass_time(timedelta(hours=2))
    after = driver.executions[execution.id]
    expected = ["asks", "sorry", *(["own"] if own else [])]
    assert (after.state, list(states(after))) == (State.FAILED, expected)
    assert run_of(after, "asks").state is State.FAILED


@pytest.mark.parametrize("behavior", ["WARN", "CANCEL", "RESUME"])
def test_the_handlers_of_a_pause_rest_when_its_deadline_does_not_fail_it(behavior):
    driver = Driver()
    asks = pause("asks", pauseDuration="PT1H", behavior=behavior, errors=[log("sorry")])
    execution = started(driver, flow(asks))
    driver.pass_time(timedelta(hours=2))
    assert "sorry" not in states(driver.executions[execution.id])


def test_a_behavior_that_is_none_fails_the_pause():
    driver = Driver()
    execution = started(driver, flow(pause("ask", pauseDuration="PT1H", behavior="{{ 'STOP' }}")))
    assert driver.executions[execution.id].state is State.FAILED
    assert any("`behavior` is 'STOP'; use one of RESUME" in message for *_, message in driver.logs)


def test_an_answer_before_the_deadline_ignores_the_behavior():
    driver = Driver()
    execution = started(driver, flow(pause("ask", pauseDuration="PT1H", behavior="FAIL")))
    driver.resume(execution)
    driver.pass_time(timedelta(hours=2))
    assert driver.executions[execution.id].state is State.SUCCESS
    assert driver.pauses[run_of(execution, "ask").id] == "RESUMED"


def test_a_timeout_of_a_pause_fails_it_whatever_the_behavior():
    driver = Driver()
    execution = started(driver, flow(pause("ask", pauseDuration="PT2H", timeout="PT1H")))
    driver.pass_time(timedelta(hours=1))
    assert driver.executions[execution.id].state is State.FAILED


def test_a_pause_nobody_answered_takes_the_defaults():
    driver = Driver()
    ask = pause(
        "ask",
        pauseDuration="PT1H",
        onResume=[
            {"id": "n", "type": "INT", "defaults": 3},
            {"id": "who", "type": "STRING", "defaults": "{{ flow.id }}"},
            {"id": "deep.days", "type": "INT", "defaults": "{{ 1 + 1 }}"},
            {"id": "rows", "type": "JSON", "defaults": '[{"a": 1}]'},
            {"id": "amounts", "type": "ARRAY", "itemType": "FLOAT", "defaults": "[1, 2.5]"},
            {"id": "day", "type": "DATE", "defaults": "2042-04-02"},
            {"id": "odd", "type": "INT", "defaults": "{{ flow.id }}"},
            {"id": "note", "type": "STRING", "required": False},
        ],
    )
    execution = started(driver, flow(ask))
    driver.pass_time(timedelta(hours=1))
    taken = {
        "n": 3, "who": "f", "deep": {"days": 2}, "rows": [{"a": 1}], "amounts": [1.0, 2.5], "day": "2042-04-02",
        "odd": "f", "note": None,
    }  # fmt: skip
    assert run_of(driver.executions[execution.id], "ask").outputs == {"onResume": taken}


def test_an_execution_held_by_hand_starts_nothing_until_resumed():
    driver = Driver()
    execution = started(driver, flow(log("a"), log("b")), "a")
    driver.post(execution.id, e.PauseAsked(driver.now, "ann"))
    driver.work()
    assert driver.executions[execution.id].state is State.PAUSED
    assert states(end(driver, execution, "a")) == {"a": State.SUCCESS}
    driver.resume(execution)
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, states(after)["b"]) == (State.SUCCESS, State.SUCCESS)
    assert [state for state, _ in after.histories] == [
        State.CREATED,
        State.RUNNING,
        State.PAUSED,
        State.RESTARTED,
        State.RUNNING,
        State.SUCCESS,
    ]


@pytest.mark.parametrize(("in_folder", "ends"), [(False, (State.SUCCESS, 2)), (True, (State.FAILED, 3))])
def test_nothing_is_tried_again_while_an_execution_is_held_by_hand(in_folder, ends):
    driver = Driver()
    retry = {"type": "constant", "interval": "PT1M", "maxAttempts": 3}
    flaky = log("flaky", "{{ taskrun.attemptsCount == 1 ? 'ok' : unknown }}", retry=retry)
    if in_folder:
        flaky = task("flow.WorkingDirectory", "flaky", tasks=[fail("child")], retry=retry)
    driver.held_tasks = {"slow"}
    execution = driver.start(driver.deploy(flow(parallel("both", flaky, log("slow")))))
    driver.work()
    driver.post(execution.id, e.PauseAsked(driver.now, "ann"))
    driver.work()
    driver.pass_time(timedelta(minutes=2))
    held = driver.executions[execution.id]
    assert (held.state, run_of(held, "flaky").state) == (State.PAUSED, State.RETRYING)
    assert len(run_of(held, "flaky").attempts) == 1
    end(driver, execution, "slow")
    driver.resume(execution)
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, len(run_of(after, "flaky").attempts)) == ends


@pytest.mark.parametrize(("longest", "ends", "executions"), [("PT1H", State.RETRIED, 2), ("PT1M", State.FAILED, 1)])
def test_no_execution_takes_the_place_of_one_that_is_held_by_hand(longest, ends, executions):
    driver = Driver()
    retry = {"type": "constant", "interval": "PT1S", "maxAttempts": 2, "maxDuration": longest}
    retry["behavior"] = "CREATE_NEW_EXECUTION"
    source = flow(parallel("both", fail("broken", retry=retry), log("slow")))
    driver.held_tasks = {"broken", "slow"}
    execution = driver.start(driver.deploy(source))
    driver.work()
    driver.post(execution.id, e.PauseAsked(driver.now, "ann"))
    driver.work()
    end(driver, execution, "broken", State.FAILED)
    driver.pass_time(timedelta(minutes=2))
    held = driver.executions[execution.id]
    assert (held.state, run_of(held, "broken").state) == (State.PAUSED, State.RETRYING)
    assert len(driver.executions) == 1
    end(driver, execution, "slow")
    driver.held_tasks = set()
    driver.resume(execution)
    driver.rest()
    assert driver.executions[execution.id].state is ends
    assert len(driver.executions) == executions


def test_what_came_due_while_an_execution_was_held_is_tried_again_after_a_restart():
    driver = Driver()
    retry = {"type": "constant", "interval": "PT1M", "maxAttempts": 3}
    flaky = log("flaky", "{{ taskrun.attemptsCount == 1 ? 'ok' : unknown }}", retry=retry)
    broken = log("broken", "{{ taskrun.attemptsCount == 1 ? 'ok' : unknown }}")
    driver.held_tasks = {"slow"}
    execution = driver.start(driver.deploy(flow(parallel("both", flaky, broken, log("slow")))))
    driver.work()
    driver.post(execution.id, e.PauseAsked(driver.now, "ann"))
    driver.work()
    driver.pass_time(timedelta(minutes=2))
    end(driver, execution, "slow")
    assert "due" in run_of(driver.executions[execution.id], "flaky").rendered
    driver.post(execution.id, e.RestartAsked(driver.now, "ann"))
    driver.rest()
    after = driver.executions[execution.id]
    assert (after.state, len(run_of(after, "flaky").attempts)) == (State.SUCCESS, 2)


# --- approvals


@pytest.mark.parametrize(
    ("more", "answer", "state", "expected"),
    [
        ({}, {"approve": True}, State.SUCCESS, ["ask", "tell", "yes", "after"]),
        ({}, {"approve": False, "comment": "no"}, State.CANCELLED, ["ask", "tell", "no"]),
        ({"denyBehavior": "CONTINUE"}, {"approve": False}, State.SUCCESS, ["ask", "tell", "no", "after"]),
        ({"denyBehavior": "FAIL"}, {"approve": False}, State.FAILED, ["ask", "tell", "no"]),
        ({"approveBehavior": "SUCCEED"}, {"approve": True}, State.SUCCESS, ["ask", "tell", "yes"]),
        ({"denyBehavior": "KILL"}, {"approve": False}, State.KILLED, ["ask", "tell", "no"]),
        ({"autoApprove": "{{ 1 == 1 }}"}, None, State.SUCCESS, ["ask", "yes", "after"]),
        ({"denyBehavior": "{{ 'FAIL' }}"}, {"approve": False}, State.FAILED, ["ask", "tell", "no"]),
        ({"approveBehavior": "{{ 'WARN' }}"}, {"approve": True}, State.WARNING, ["ask", "tell", "yes", "after"]),
        ({"timeout": "PT1H"}, None, State.CANCELLED, ["ask", "tell"]),
        ({"timeout": "PT1H", "expireBehavior": "CONTINUE"}, None, State.SUCCESS, ["ask", "tell", "after"]),
        ({"timeout": "PT1H", "expireBehavior": "WARN"}, None, State.WARNING, ["ask", "tell", "after"]),
    ],
)
def test_an_approval_runs_what_belongs_to_the_answer(more, answer, state, expected):
    driver = Driver()
    ask = task("flow.Approval", "ask", onWait=[log("tell")], onApprove=[log("yes")], onDeny=[log("no")], **more)
    execution = started(driver, flow(ask, log("after")))
    if answer is not None:
        driver.resume(execution, answer)
    driver.pass_time(timedelta(hours=2))
    after = driver.executions[execution.id]
    assert (after.state, list(states(after))) == (state, expected)
    decision = {None: "EXPIRED", True: "APPROVED", False: "DENIED"}[(answer or {}).get("approve")]
    outputs = run_of(after, "ask").outputs
    assert outputs["decision"] == ("APPROVED" if "autoApprove" in more else decision)
    assert outputs["auto"] is ("autoApprove" in more)


def test_a_behavior_that_is_none_fails_the_approval_before_anybody_is_asked():
    driver = Driver()
    execution = started(driver, flow(task("flow.Approval", "ask", denyBehavior="{{ 'STOP' }}")))
    after = driver.executions[execution.id]
    assert after.state is State.FAILED
    assert any("`denyBehavior` is 'STOP'; use one of CONTINUE" in message for *_, message in driver.logs)


def test_a_question_of_the_author_may_be_the_comment():
    driver = Driver()
    asks = task("flow.Approval", "ask", inputs=[{"id": "comment", "type": "STRING"}, {"id": "n", "type": "INT"}])
    execution = started(driver, flow(asks))
    assert [one.id for one in driver.flow_of(execution).tasks[0].on_resume] == ["approve", "comment", "n"]
    driver.resume(execution, {"approve": True, "comment": "fine", "n": 2})
    driver.rest()
    outputs = run_of(driver.executions[execution.id], "ask").outputs
    assert (outputs["comment"], outputs["inputs"]) == ("fine", {"comment": "fine", "n": 2})


def test_no_question_of_the_author_is_the_answer():
    with pytest.raises(FlowInvalid, match="`approve` is what the two buttons answer"):
        Driver().deploy(flow(task("flow.Approval", "ask", inputs=[{"id": "approve", "type": "BOOL"}])))


def test_a_comment_is_asked_for_when_the_answer_needs_one():
    driver = Driver()
    flow_ = driver.deploy(flow(task("flow.Approval", "ask", commentRequired="ON_DENY")))
    asked = flow_.tasks[0].on_resume
    denied = resolve(asked, {"approve": False}, driver._render_input)
    assert [problem.input for problem in denied.problems] == ["comment"]
    assert not resolve(asked, {"approve": True}, driver._render_input).problems


# --- what still runs when a pause ends the execution


def left_by(more, siblings=(), held=(), **of_flow):
    driver = Driver()
    ask = task("flow.Approval", "ask", onApprove=[log("yes")], onDeny=[log("no")], **more)
    source = flow(task("flow.Parallel", "p", tasks=[ask, *siblings]), log("after"), **of_flow)
    return driver, started(driver, source, *held)


@pytest.mark.parametrize(
    ("more", "answer", "state", "ran"),
    [
        ({"timeout": "PT1H"}, None, State.CANCELLED, ["own", "cleanup"]),
        ({"timeout": "PT1H", "expireBehavior": "FAIL"}, None, State.FAILED, ["own", "cleanup"]),
        ({"timeout": "PT1H", "expireBehavior": "WARN"}, None, State.WARNING, ["own", "after", "cleanup"]),
        ({}, {"approve": False}, State.CANCELLED, ["no", "own", "cleanup"]),
        ({"approveBehavior": "SUCCEED"}, {"approve": True}, State.SUCCESS, ["yes", "own", "cleanup"]),
        ({"denyBehavior": "KILL"}, {"approve": False}, State.KILLED, ["no", "own"]),
    ],
)
def test_what_belongs_to_the_end_runs_whatever_was_answered(more, answer, state, ran):
    finally_ = {"finally": [task("flow.Sequential", "last", tasks=[log("cleanup")])]}
    driver, execution = left_by({"finally": [log("own")], **more}, **finally_)
    if answer is not None:
        driver.resume(execution, answer)
    driver.pass_time(timedelta(hours=2))
    after = driver.executions[execution.id]
    assert after.state is state
    assert [name for name in states(after) if name not in ("p", "ask", "last")] == ran
    assert not [run for run in after.task_runs.values() if not run.state.is_terminal]


@pytest.mark.parametrize("of_flow", [{}, {"finally": [log("cleanup")]}])
def test_a_denial_lets_end_what_runs_and_closes_what_waits(of_flow):
    siblings = [log("slow"), task("flow.Pause", "other")]
    driver, execution = left_by({}, siblings, ["slow"], **of_flow)
    ask = run_of(driver.executions[execution.id], "ask")
    driver.resume(execution, {"approve": False}, ask.id)
    now = driver.executions[execution.id]
    assert (run_of(now, "slow").state, run_of(now, "other").state) == (State.RUNNING, State.KILLED)
    assert now.state is (State.RUNNING if of_flow else State.CANCELLED)
    end(driver, execution, "slow")
    after = driver.executions[execution.id]
    assert (after.state, run_of(after, "slow").state) == (State.CANCELLED, State.SUCCESS)
    assert ("cleanup" in states(after)) is bool(of_flow)
    assert "after" not in states(after)


@pytest.mark.parametrize("behavior", ["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"])
@pytest.mark.parametrize("of_flow", [{}, {"finally": [log("cleanup")]}])
def test_nothing_is_tried_again_once_a_pause_has_ended_the_run(behavior, of_flow):
    retry = {"retry": {"type": "constant", "interval": "PT1S", "maxAttempts": 3, "behavior": behavior}}
    driver, execution = left_by({}, [log("slow")], ["slow"], **of_flow, **retry)
    driver.resume(execution, {"approve": False}, run_of(driver.executions[execution.id], "ask").id)
    end(driver, execution, "slow", State.FAILED)
    driver.pass_time(timedelta(hours=1))
    after = driver.executions[execution.id]
    assert (after.state, run_of(after, "slow").state) == (State.CANCELLED, State.FAILED)
    assert ("cleanup" in states(after)) is bool(of_flow)
    assert driver.replacements == []


def test_what_runs_at_the_end_is_tried_again_as_ever():
    retry = {"type": "constant", "interval": "PT1S", "maxAttempts": 3}
    cleanup = {**log("cleanup"), "retry": retry}
    driver, execution = left_by({}, [], ["cleanup"], **{"finally": [cleanup]})
    driver.resume(execution, {"approve": False}, run_of(driver.executions[execution.id], "ask").id)
    end(driver, execution, "cleanup", State.FAILED)
    driver.pass_time(timedelta(seconds=2))
    after = end(driver, execution, "cleanup", attempt=2)
    assert (after.state, run_of(after, "cleanup").state) == (State.CANCELLED, State.SUCCESS)
