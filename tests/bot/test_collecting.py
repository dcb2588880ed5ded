"""A text longer than a window takes is asked for by itself, and comes as messages or files; nothing of it is lost."""

from datetime import timedelta

import pytest

from bot.conversation import Attachment, Click, Form, Notice
from tests.bot.rig import ANN, BOB, DEV, OPS, Rig

ASKS = "onResume: [{id: ok, type: BOOLEAN}, {id: feedback, type: STRING, description: Say more}]"
FLOW = f"""
id: note
namespace: company.team
inputs:
  - {{id: who, type: STRING}}
  - {{id: prompt, type: STRING, description: The whole prompt}}
tasks:
  - {{id: wait, type: io.kestra.plugin.core.flow.Pause, {ASKS}}}
"""
THREAD = OPS.__class__("slack", "C1", "77.1", "T1")
DIRECT = OPS.__class__("slack", "DU1", None, "T1", is_direct=True)
BRIM = "x" * 3000


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path).start(FLOW)
    yield made
    await made.stop()


async def press(rig, actions, label, person=ANN, room=OPS, receipt=""):
    found = next(one for one in actions if one.label.startswith(label))
    return (await rig.desk.click(Click(found.id, person, room, receipt or rig.receipt()))).body


async def asked(rig):
    """The question that follows a form with a text that fills its window."""
    form = await rig.say("run note --form")
    said = (await rig.fill(form, who="Ann", prompt=BRIM, full=("prompt",))).body
    assert isinstance(said, Notice)
    assert "its end may be missing" in said.text
    assert [one.label for one in said.actions] == ["That is all of it", "Longer text: prompt", "Open the form"]
    return said


async def inputs(rig):
    runs = await rig.engine.executions(flow_id="note")
    return [(run.inputs["who"], run.inputs["prompt"]) for run in runs]


async def test_a_text_that_fills_its_window_is_asked_about_and_may_be_whole(rig):
    said = await asked(rig)
    assert await inputs(rig) == []
    done = await press(rig, said.actions, "That is all", receipt="again")
    assert done.tone == "success"
    assert await press(rig, said.actions, "That is all", receipt="again") == done
    assert await inputs(rig) == [("Ann", BRIM)]


async def test_the_text_comes_as_messages_of_the_thread_and_files(rig, tmp_path):
    said = await asked(rig)
    waits = await press(rig, said.actions, "Longer text")
    assert "10 minutes" in waits.text
    first = await rig.say("run it 'with a quote\nand more", room=THREAD, spoken=True, receipt="m1")
    assert "`prompt` has 29 characters now" in first.text
    assert (await rig.say("run it 'with a quote\nand more", room=THREAD, spoken=True, receipt="m1")).text == first.text
    (tmp_path / "rest.txt").write_text("y" * 5000)
    file = Attachment("rest.txt", str(tmp_path / "rest.txt"), 5000, "text/plain")
    await rig.say("", room=DIRECT, spoken=True, files=(file,))
    await rig.again()
    more = await rig.say("the end", room=DIRECT, spoken=True)
    opened = await press(rig, more.actions, "Continue")
    assert isinstance(opened, Form)
    assert opened.values["who"] == "Ann"
    assert (await rig.fill(opened, who="Ann B")).body.tone == "success"
    assert await inputs(rig) == [("Ann B", "run it 'with a quote\nand more\n" + "y" * 5000 + "\nthe end")]


async def test_only_messages_of_the_person_in_that_place_are_taken(rig):
    said = await asked(rig)
    await press(rig, said.actions, "Longer text")
    assert (await rig.say("list")).title == "Flows", "a slash command is a command"
    assert (await rig.say("list", BOB, DEV, spoken=True)).title == "Flows"
    elsewhere = OPS.__class__("slack", "C9", None, "T1")
    assert (await rig.say("list", room=elsewhere, spoken=True)).title == "Flows"
    taken = await rig.say("list", room=THREAD, spoken=True)
    assert "`prompt` has 4 characters now" in taken.text
    stopped = await press(rig, taken.actions, "No more text")
    assert "no more text" in stopped.text
    assert (await rig.say("list", room=THREAD, spoken=True)).title == "Flows"


async def test_after_ten_minutes_nothing_is_taken_and_what_is_no_command_is_told_so(rig):
    said = await asked(rig)
    await press(rig, said.actions, "Longer text")
    rig.clock.jump(timedelta(minutes=11))
    late = await rig.say("Once upon a time", room=DIRECT, spoken=True)
    assert "waited 10 minutes" in late.text
    form = await press(rig, late.actions, "Continue")
    assert form.values["prompt"] == BRIM, "what was typed is kept"
    await press(rig, said.actions, "Longer text")
    rig.clock.jump(timedelta(minutes=11))
    assert (await rig.say("list", room=DIRECT, spoken=True)).title == "Flows"


async def test_what_is_no_text_is_refused_and_another_persons_form_is_theirs(rig, tmp_path):
    said = await asked(rig)
    assert "somebody else" in (await press(rig, said.actions, "Longer text", BOB, DEV)).text
    assert "somebody else" in (await press(rig, said.actions, "That is all", BOB, DEV)).text
    await press(rig, said.actions, "Longer text")
    (tmp_path / "x.bin").write_bytes(b"\xff\xfe\x00\x01\x80")
    file = Attachment("x.bin", str(tmp_path / "x.bin"), 5, "application/octet-stream")
    refused = await rig.say("", room=DIRECT, spoken=True, files=(file,))
    assert "Nothing was taken" in refused.text
    assert await inputs(rig) == []


async def test_slacks_form_offers_it_beside_the_fields_also_for_an_answer(rig):
    form = await rig.say("run note --form")
    assert [one.label for one in form.actions] == ["Longer text: prompt"]
    there = await rig.say("run note --form", BOB, DEV)
    assert there.actions == (), "a window of Discord has no place for a button"
    await rig.fill(form, who="Ann", prompt="short")
    card = (await rig.slack.shows("pause")).card
    reject = await rig.press(card, "Reject\u2026")
    await press(rig, reject.actions, "Longer text")
    said = await rig.say("no " * 2000, room=DIRECT, spoken=True)
    again = await press(rig, said.actions, "Continue")
    assert (await rig.fill(again)).body.tone != "danger"
    (run,) = await rig.engine.executions(flow_id="note")
    done = await rig.engine.wait(run.id, timeout=20)
    (wait,) = (one for one in done.task_runs.values() if one.task_id == "wait")
    assert wait.outputs["onResume"] == {"ok": False, "feedback": "no " * 2000}
