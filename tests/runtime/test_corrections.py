"""What people do to executions beside answering them: force, correct, label, delete; one by one and many at once."""

from datetime import timedelta

import pytest

from engine.core.state import State
from engine.errors import BulkRefused, NotFound, Refused
from engine.plugin import Selection
from tests.runtime.marks import marks
from tests.runtime.test_operations_once import ended

THREE = """
labels: {team: red}
tasks:
  - {id: one, type: tests.Mark, text: one}
  - {id: boom, type: io.kestra.plugin.core.execution.Fail}
  - {id: three, type: tests.Mark, text: three}
errors:
  - {id: told, type: tests.Mark, text: told}
"""
ASKS = "tasks:\n  - {id: ask, type: io.kestra.plugin.core.flow.Pause}\n  - {id: last, type: tests.Mark, text: last}\n"
HELLO = "tasks:\n  - {id: hello, type: tests.Mark, text: hello}\n"
PARENT = """
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: child}
"""


def run_of(execution, task):
    return next(run for run in execution.task_runs.values() if run.task_id == task)


async def test_a_task_put_into_another_state_lets_the_execution_go_on(engine, deploy, run):
    await deploy(THREE)
    failed = await run()
    boom = run_of(failed, "boom")
    after = await engine.corrections.change_task_state(failed.id, boom.id, State.SUCCESS, by="ann")
    assert after.id == failed.id
    done = (await ended(engine))[0]
    assert done.state is State.SUCCESS
    assert [run.task_id for run in done.task_runs.values()] == ["one", "boom", "three"]  # the handler is gone
    assert [state.value for state, _ in done.histories][-3:] == ["RESTARTED", "RUNNING", "SUCCESS"]
    assert [line.split()[1] for line in marks(engine.settings.data)] == ["one", "told", "three"]


async def test_a_waiting_task_put_into_a_state_is_asked_no_more(engine, deploy, run):
    await deploy(ASKS)
    waiting = await run()
    await engine.corrections.change_task_state(waiting.id, run_of(waiting, "ask").id, State.WARNING, by="ann")
    assert (await ended(engine))[0].state is State.WARNING
    assert await engine.pauses() == []
    with pytest.raises(Refused, match="is not paused"):
        await engine.resume(waiting.id, {}, by="bob")


async def test_what_may_not_be_said_of_a_task(engine, deploy, run):
    await deploy(THREE)
    failed = await run()
    with pytest.raises(Refused, match="only be put into a state it can end in"):
        await engine.corrections.change_task_state(failed.id, run_of(failed, "boom").id, State.RUNNING, by="a")
    with pytest.raises(NotFound, match="has no task run 'x'"):
        await engine.corrections.change_task_state(failed.id, "x", State.SUCCESS, by="a")


async def test_labels_of_an_ended_execution(engine, deploy, run):
    await deploy(THREE)
    failed = await run(labels=(("kept", "1"),))
    changed = await engine.corrections.set_labels(failed.id, (("team", "blue"), ("new", "2")), by="ann")
    assert dict(changed.labels) == {
        "kept": "1", "system.correlationId": failed.id, "team": "blue", "new": "2",
    }  # fmt: skip
    assert (await engine.execution(failed.id)).labels == changed.labels
    same = (("system.correlationId", failed.id), ("a", "b"))
    assert ("a", "b") in (await engine.corrections.set_labels(failed.id, same, by="ann")).labels
    offending = "System labels can only be set by Kestra itself, offending label: system.correlationId=x"
    with pytest.raises(Refused, match=offending):
        await engine.corrections.set_labels(failed.id, (("system.correlationId", "x"),), by="ann")


async def test_labels_of_an_execution_under_way_are_left_alone(engine, deploy, run):
    await deploy(ASKS)
    waiting = await run()
    with pytest.raises(Refused, match="terminated"):
        await engine.corrections.set_labels(waiting.id, (("a", "b"),), by="ann")


async def test_whoever_watches_hears_of_a_changed_status(engine, deploy, run):
    await deploy(HELLO)
    done = await run()
    async with engine.subscribe() as changes:
        await engine.change_status(done.id, State.FAILED, by="ann")
        change = await anext(aiter(changes))
    assert (change.execution_id, change.state) == (done.id, State.FAILED)


async def test_force_begins_what_was_to_begin_later(engine, deploy, clock):
    await deploy(HELLO)
    later = clock.now() + timedelta(hours=2)
    made = await engine.create("company.team", "f", {}, started_by="a", schedule_date=later)
    await engine.operations.force_run(made.id, by="ann")
    assert (await ended(engine))[0].state is State.SUCCESS
    clock.jump(timedelta(hours=3))
    await ended(engine)
    assert len(marks(engine.settings.data)) == 1


async def test_force_lets_a_queued_execution_jump_the_queue(engine, deploy, run):
    await deploy("concurrency: {limit: 1}\n" + ASKS)
    first = await run()
    second = await engine.create("company.team", "f", {}, started_by="a")
    third = await engine.create("company.team", "f", {}, started_by="a")
    await ended(engine)
    assert (await engine.execution(third.id)).state is State.QUEUED
    await engine.operations.force_run(third.id, by="ann")
    await ended(engine)
    states = [(await engine.execution(one.id)).state for one in (first, second, third)]
    assert states == [State.PAUSED, State.QUEUED, State.PAUSED]
    await engine.resume(third.id, {}, by="a")
    await engine.resume(first.id, {}, by="a")
    await ended(engine)
    assert (await engine.execution(second.id)).state is State.PAUSED


async def test_force_answers_a_pause_and_refuses_what_has_ended(engine, deploy, run):
    await deploy(ASKS)
    waiting = await run()
    await engine.operations.force_run(waiting.id, by="ann")
    await ended(engine)
    assert (await engine.execution(waiting.id)).state is State.SUCCESS
    with pytest.raises(Refused, match="already finished"):
        await engine.operations.force_run(waiting.id, by="ann")


@pytest.mark.parametrize("cascade", [True, False])
async def test_a_kill_takes_along_what_is_waited_for_unless_told_otherwise(engine, deploy, cascade):
    await deploy(ASKS, "child")
    await deploy(PARENT)
    made = await engine.create("company.team", "f", {}, started_by="a")
    await ended(engine)
    await engine.operations.kill(made.id, by="ann", cascade=cascade)
    await ended(engine)
    [child] = await engine.executions(flow_id="child")
    assert (await engine.execution(made.id)).state is State.KILLED
    assert child.state is (State.KILLED if cascade else State.PAUSED)
    if not cascade:
        await engine.resume(child.id, {}, by="ann")
        await ended(engine)
        assert (await engine.execution(child.id)).state is State.SUCCESS
        assert (await engine.execution(made.id)).state is State.KILLED


async def test_deleting_an_execution_and_what_belongs_to_it(engine, deploy, run):
    await deploy(
        "tasks:\n  - {id: write, type: io.kestra.plugin.core.storage.Write, content: hello}\n"
        "  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n"
    )
    done = await run()
    [uri] = engine.files.execution_files("company.team", "f", done.id)
    await ended(engine)
    gone = await engine.corrections.delete(done.id)
    assert (gone.executions, gone.files) == (1, 1)
    with pytest.raises(NotFound, match="There is no file"):
        engine.files.path(uri)
    with pytest.raises(NotFound):
        await engine.execution(done.id)
    assert await engine.logs(done.id) == []


async def test_deleting_only_a_part_and_never_what_is_under_way(engine, deploy, run):
    await deploy("tasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n")
    done = await run()
    await ended(engine)
    await engine.corrections.delete(done.id, parts=frozenset({"log"}))
    assert await engine.logs(done.id) == []
    assert (await engine.execution(done.id)).state is State.SUCCESS
    await deploy(ASKS)
    waiting = await run()
    with pytest.raises(Refused, match="can't be deleted"):
        await engine.corrections.delete(waiting.id)


@pytest.mark.parametrize(
    ("operation", "more", "why"),
    [
        ("kill", {"by": "a"}, "execution already finished"),
        ("force_run", {"by": "a"}, "execution already finished"),
        ("pause", {"by": "a"}, "execution not in state RUNNING"),
        ("resume", {"by": "a"}, "execution not in state PAUSED"),
        ("restart", {"by": "a"}, "execution not in state FAILED"),
    ],
)
async def test_one_that_does_not_fit_refuses_them_all(engine, deploy, run, operation, more, why):
    await deploy(HELLO)
    done = await run()
    await deploy(ASKS)
    waiting = await run()
    await ended(engine)
    before = [(one.id, one.version) for one in await engine.executions()]
    with pytest.raises(BulkRefused) as refused:
        await getattr(engine.bulk, operation)([waiting.id, done.id, "nowhere"], **more)
    problems = dict(refused.value.problems)
    assert problems[done.id] == why
    assert problems["nowhere"] == "execution not found"
    assert [(one.id, one.version) for one in await engine.executions()] == before


@pytest.mark.parametrize(
    ("operation", "given"),
    [("change_status", (State.FAILED,)), ("set_labels", ((("a", "b"),),)), ("delete", ())],
)
async def test_what_has_to_have_ended(engine, deploy, run, operation, given):
    await deploy(ASKS)
    waiting = await run()
    by = {} if operation == "delete" else {"by": "a"}
    with pytest.raises(BulkRefused, match="execution not in a terminated state"):
        await getattr(engine.bulk, operation)([waiting.id], *given, **by)


async def test_many_at_once_are_stopped_also_after_their_end(engine, deploy, run):
    await deploy(f"{HELLO}afterExecution:\n  - {{id: late, type: tests.Mark, hang: true}}\n")
    done = await run()
    assert await engine.bulk.kill([done.id], by="a") == 1
    after = await engine.wait(done.id, until="settled", timeout=20)
    assert (after.state, run_of(after, "late").state) == (State.SUCCESS, State.KILLED)
    with pytest.raises(BulkRefused, match="already finished"):
        await engine.bulk.kill([done.id], by="a")


async def test_many_at_once_by_query(engine, deploy, run):
    await deploy(ASKS)
    for _ in range(3):
        await run()
    bulk = engine.bulk
    waiting = await bulk.select(Selection(flow_id="f", states=(State.PAUSED,)))
    assert await bulk.resume(waiting[:2], by="a") == 2
    assert await bulk.kill(waiting[2:], by="a") == 1
    await ended(engine)
    assert [one.state.value for one in await engine.executions()] == ["KILLED", "SUCCESS", "SUCCESS"]
    assert await bulk.set_labels(waiting, (("seen", "yes"),), by="a") == 3
    assert await bulk.change_status(waiting, State.WARNING, by="a") == 3
    await deploy(HELLO)  # a newer revision
    assert await bulk.replay(waiting[:1], by="a", latest_revision=True) == 1
    assert await bulk.replay(waiting[:1], by="a") == 1
    await ended(engine)
    assert [(one.revision, one.state.value) for one in (await engine.executions(limit=2))[::-1]] == [
        (2, "SUCCESS"), (1, "PAUSED"),
    ]  # fmt: skip
    assert await bulk.delete(waiting) == 3
    assert len(await engine.executions()) == 2
