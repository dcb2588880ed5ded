"""Runs held, begun by force, marked, labelled and deleted from chat: with whose permission, on the record, once."""

import asyncio

import pytest

from bot.approvals.policy import ApprovalRule
from bot.conversation import Card, Listing, Notice
from bot.people.roles import Role
from engine.core.state import State
from engine.store import audit_chain, chat_audit
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig

FAILS = """
id: fails
namespace: company.team
tasks:
  - {id: build, type: io.kestra.plugin.core.execution.Fail}
  - {id: after, type: io.kestra.plugin.core.debug.Return, format: went on}
"""
LONG = """
id: long
namespace: company.team
tasks:
  - {id: first, type: io.kestra.plugin.core.flow.Sleep, duration: PT30S}
  - {id: second, type: io.kestra.plugin.core.debug.Return, format: x}
"""
LINGERS = """
id: lingers
namespace: company.team
tasks:
  - {id: first, type: io.kestra.plugin.core.debug.Return, format: done}
afterExecution:
  - {id: late, type: io.kestra.plugin.core.flow.Sleep, duration: PT30M}
"""
TRIED = """
id: tried
namespace: company.team
retry: {behavior: CREATE_NEW_EXECUTION, type: constant, interval: PT1H, maxAttempts: 2}
tasks:
  - {id: build, type: io.kestra.plugin.core.execution.Fail}
"""
INSIDE = """
id: inside
namespace: company.team
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Sequential
    tasks: [{id: wait, type: io.kestra.plugin.core.flow.Pause}]
  - {id: deploy, type: io.kestra.plugin.core.debug.Return, format: deployed}
"""
ROLES = (
    Role.model_validate({"name": "keepers", "members": ["slack:U1"], "may": [{"do": ["run", "manage", "approve"]}]}),
    Role.model_validate({"name": "runners", "members": ["discord:7"], "may": [{"do": ["run", "see"]}]}),
)


@pytest.fixture
async def kept(tmp_path):
    """A bot where Ann manages and Bob only runs."""
    made = await Rig(tmp_path, roles=ROLES).start(PLAIN, FAILS, LONG, INSIDE)
    yield made
    await made.stop()


def buttons(notice: Notice) -> Card:
    """Buttons of an answer, to be pressed."""
    return Card("post", "x", "info", "t", actions=notice.actions)


async def started(rig, flow, person=ANN, room=OPS, *, until="ended"):
    await rig.say(f"run {flow} --quiet", person, room)
    run = (await rig.engine.executions(limit=1))[0]
    return await rig.engine.wait(run.id, until=until, timeout=20) if until else run


async def in_state(rig, run, state):
    async with asyncio.timeout(20):
        while (found := await rig.engine.execution(run.id)).state is not state:
            await asyncio.sleep(0.01)
    return found


async def deeds(rig, run):
    return [deed.action for deed in await rig.engine.database.read(lambda c: chat_audit.about(c, run.id))]


async def test_a_run_is_held_and_goes_on(kept):
    run = await started(kept, "long", BOB, DEV, until=None)
    await in_state(kept, run, State.RUNNING)
    assert "can't hold" in (await kept.say(f"pause {(await started(kept, 'long', until=None)).id}", BOB, DEV)).text
    held = await kept.say(f"pause {run.id}", BOB, DEV, receipt="once")
    assert held.text.startswith("Run `#"), "who may start a run may hold their own"
    assert await kept.say(f"pause {run.id}", BOB, DEV, receipt="once") == held
    assert (await kept.engine.execution(run.id)).held
    assert "Only what runs can pause." in (await kept.say(f"pause {run.id}")).text
    assert "goes on" in (await kept.say(f"resume {run.id}", BOB, DEV)).text
    assert not (await kept.engine.execution(run.id)).held
    assert await deeds(kept, run) == ["run", "pause", "go on"]
    await kept.say(f"kill {run.id}")


async def test_resume_answers_a_run_that_asks(kept):
    run = await started(kept, "ship", until="ended_or_paused")
    assert "can't decide in" in (await kept.say(f"resume {run.id}", BOB, DEV)).text
    assert (await kept.say(f"resume {run.id}")).text.startswith("Approved.")
    assert (await kept.engine.wait(run.id, timeout=20)).state is State.SUCCESS


async def test_force_begins_what_waits_for_its_date_but_answers_nothing(kept):
    said = await kept.say("run ship --quiet --at='in 2 hours'")
    run = (await kept.engine.executions(limit=1))[0]
    assert run.state is State.CREATED, said
    assert "can't manage" in (await kept.say(f"force {run.id}", BOB, DEV)).text
    assert "begins now" in (await kept.say(f"force {run.id}")).text
    paused = await in_state(kept, run, State.PAUSED)
    refused = await kept.say(f"force {paused.id}")
    assert "waits for no date and no turn" in refused.text
    assert "`/flow approve`" in refused.text
    assert await deeds(kept, run) == ["run", "force"]


async def test_an_ended_run_is_marked_and_one_of_its_tasks_lets_it_go_on(kept):
    run = await started(kept, "fails")
    assert run.state is State.FAILED
    assert "can't manage" in (await kept.say(f"mark {run.id} SUCCESS", BOB, DEV)).text
    assert "is no state to end in" in (await kept.say(f"mark {run.id} SUCESS")).text
    assert "Did you mean `SUCCESS`?" in (await kept.say(f"mark {run.id} SUCESS")).text
    assert "counts as done with warnings" in (await kept.say(f"mark {run.id} warning")).text
    assert (await kept.engine.execution(run.id)).state is State.WARNING
    assert "Did you mean `build`?" in (await kept.say(f"mark {run.id} SUCCESS --task=biuld")).text
    assert "goes on from there" in (await kept.say(f"mark {run.id} SUCCESS --task=build")).text
    done = await kept.engine.wait(run.id, timeout=20)
    assert (done.state, [one.task_id for one in done.task_runs.values()]) == (State.SUCCESS, ["build", "after"])
    assert await deeds(kept, run) == ["run", "mark", "mark"]
    told = await kept.engine.database.read(lambda c: chat_audit.about(c, run.id))
    assert told[-1].details == {"task": "build", "from": "FAILED", "to": "SUCCESS"}
    assert (await kept.engine.database.read(audit_chain.verify)).is_whole


@pytest.mark.parametrize(("flow", "task"), [("ship", "wait"), ("inside", "wait"), ("inside", "gate")])
async def test_no_mark_passes_over_a_question(kept, flow, task):
    run = await started(kept, flow, until="ended_or_paused")
    for state in (State.PAUSED, State.KILLED):
        if state is State.KILLED:
            await kept.say(f"kill {run.id}")
            await in_state(kept, run, State.KILLED)
        said = await kept.say(f"mark {run.id} SUCCESS --task={task}")
        assert "asks people, so it can't be marked" in said.text
        assert (await kept.engine.execution(run.id)).state is state


async def test_labels_are_shown_and_added(kept):
    run = await started(kept, "fails")
    assert "has no labels" in (await kept.say(f"labels {run.id}", BOB, DEV)).text
    assert "can't manage" in (await kept.say(f"labels {run.id} team=web", BOB, DEV)).text
    assert "`team:web`" in (await kept.say(f"labels {run.id} team=web ticket='OPS 12'")).text
    listing = await kept.say(f"labels {run.id}", BOB, DEV)
    assert isinstance(listing, Listing)
    assert {row.title: row.text for row in listing.rows} == {"team": "web", "ticket": "OPS 12"}
    assert "belongs to the engine" in (await kept.say(f"labels {run.id} system.x=1")).text


async def test_deleting_asks_first_and_keeps_the_record(kept):
    run = await started(kept, "fails")
    assert "can't manage" in (await kept.say(f"delete {run.id}", BOB, DEV)).text
    waiting = await started(kept, "ship", until="ended_or_paused")
    assert "Stop it first" in (await kept.say(f"delete {waiting.id}")).text
    shown = await kept.say(f"delete {run.id}")
    assert "Delete run" in shown.text
    assert (await kept.engine.execution(run.id)).id == run.id, "nothing is gone yet"
    assert "belongs to" in (await kept.press(buttons(shown), "Delete it", BOB, DEV)).text
    done = await kept.press(buttons(shown), "Delete it", receipt="once")
    assert done.text.startswith("Deleted run")
    assert await kept.press(buttons(shown), "Delete it", receipt="once") == done
    assert "no longer kept" in (await kept.press(buttons(shown), "Delete it")).text
    assert run.id not in {one.id for one in await kept.engine.executions(limit=10)}
    assert await deeds(kept, run) == ["run", "delete"]


async def test_no_replay_passes_over_a_question_that_has_a_rule(tmp_path):
    rule = ApprovalRule.model_validate({"match": {"flow": "company.team/ship"}, "approvers": ["discord:7"]})
    rig = await Rig(tmp_path, approvals=(rule,)).start(PLAIN, INSIDE)
    try:
        run = await started(rig, "ship", until="ended_or_paused")
        await rig.say(f"approve {run.id}", BOB, DEV)
        await in_state(rig, run, State.SUCCESS)
        refused = await rig.say(f"replay {run.id} --from=after")
        assert "`wait` was decided for run" in refused.text
        assert len(await rig.engine.executions()) == 1
        assert "Started" in (await rig.say(f"replay {run.id} --from=wait")).text
        assert len(await rig.engine.pauses()) == 1
        free = await started(rig, "inside", until="ended_or_paused")
        await rig.say(f"approve {free.id}")
        await in_state(rig, free, State.SUCCESS)
        assert "Started" in (await rig.say(f"replay {free.id} --from=deploy")).text, "without a rule as in Kestra"
    finally:
        await rig.stop()


EARLIER = """
id: changing
namespace: company.team
inputs:
  - {id: count, type: STRING}
  - {id: day, type: DATE}
  - {id: tags, type: MULTISELECT, values: [a, b]}
  - {id: took, type: DURATION}
  - {id: about, type: JSON}
  - {id: sure, type: BOOLEAN}
  - {id: notes, type: FILE}
  - {id: token, type: SECRET, required: false}
tasks:
  - {id: fails, type: io.kestra.plugin.core.execution.Fail}
"""


async def test_a_replay_with_the_flow_as_it_is_now_asks_for_what_does_not_fit_any_more(rig, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    given = {"count": "many", "day": "2026-01-01", "tags": ["a"], "took": "PT1H", "about": {"k": [1]}, "sure": True,
             "notes": str(tmp_path / "notes.txt"), "token": "hunter2"}  # fmt: skip
    await rig.engine.deploy(EARLIER)
    run = await rig.engine.create("company.team", "changing", given, started_by="test")
    await rig.engine.wait(run.id, timeout=20)
    await rig.engine.deploy(EARLIER + "# the same inputs\n")
    assert (await rig.say(f"replay {run.id} --revision=newest")).text.startswith("Started `changing`")
    await rig.engine.deploy(EARLIER.replace("{id: count, type: STRING}", "{id: count, type: INT}"))
    form = await rig.say(f"replay {run.id} --revision=newest")
    asked = {one.id: (one.error, form.values.get(one.id)) for one in form.fields}
    assert asked["count"] == ("`count`: `many` is not a whole number. Example: `count=3`.", "many")
    assert asked["day"] == (None, "2026-01-01")
    assert (await rig.say(f"replay {run.id}")).text.startswith("Started `changing`"), "the revision that ran takes it"
