"""What somebody gave before comes again: a form that was closed, a bot that was killed, the run they started last."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import yaml

from bot.conversation import Attachment, Form, Reply
from engine.store import chat_drafts
from tests.bot import monster
from tests.bot.rig import BOB, DEV, PAGE, WEB, Rig

ROOT = Path(__file__).resolve().parents[2]
FLOW = """
id: brew
namespace: company.team
inputs:
  - {id: name, type: STRING}
  - {id: cups, type: INT, defaults: 1}
  - {id: kind, type: SELECT, values: [tea, coffee], defaults: tea}
  - {id: beans, type: SELECT, values: [dark, light], dependsOn: {inputs: [kind], condition: "{{ inputs.kind == 'coffee' }}"}}
  - {id: pin, type: SECRET, required: false}
  - {id: card, type: FILE, required: false}
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: brewed}
"""  # noqa: E501


def values(form: Form) -> dict[str, object]:
    return {field.id: form.values.get(field.id, field.default) for field in form.fields}


async def last_run(rig):
    found = await rig.engine.executions(flow_id="brew")
    return await rig.engine.wait(found[0].id, timeout=20)


async def test_a_form_that_was_closed_comes_again_with_what_was_typed(rig):
    await rig.engine.deploy(FLOW)
    form = await rig.say("run brew --form")
    assert "did not send" not in form.intro
    await rig.fill(form, last=False, name="Ann", cups="3", kind="coffee")
    again = await rig.say("run brew kind=tea --form")
    assert "did not send" in again.intro
    assert values(again) == {"name": "Ann", "cups": "3", "kind": "tea", "card": None}, "what is said now comes first"
    await rig.fill(again, last=False, kind="coffee", beans="dark", name="Ann", cups="3")
    third = await rig.say("run brew --form")
    assert [field.id for field in third.fields] == ["name", "cups", "kind", "beans", "card"]
    await rig.fill(third, name="Ann", cups="3", kind="coffee", beans="dark")
    run = await last_run(rig)
    assert (run.inputs["name"], run.inputs["cups"], run.inputs["beans"]) == ("Ann", 3, "dark")
    fresh = await rig.say("run brew --form")
    assert "did not send" not in fresh.intro, "what was sent is done with"
    assert values(fresh)["name"] is None
    other = await rig.say("run brew --form", BOB, DEV)
    assert values(other)["name"] is None, "another person's answers are theirs"


async def test_a_form_survives_a_bot_that_is_killed(tmp_path):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.dying_form", str(tmp_path),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == -signal.SIGKILL
    rig = await Rig(tmp_path).start()
    try:
        kept = await rig.desk.form(out.decode().strip())
        assert (kept.values["text0"], kept.values["text1"], kept.values["count0"]) == (
            "the first page", "the second page", "41",
        )  # fmt: skip
        assert kept.page == 2
        path = tmp_path / "notes.txt"
        path.write_bytes(monster.FILE.content)
        rest = {one.id: one.given for one in monster.EVERY if one.given is not None}
        rest |= {"file": Attachment("notes.txt", str(path), path.stat().st_size)}
        (tmp_path / "several").write_bytes(monster.FILES.content)
        rest |= {"files": [Attachment(name, str(tmp_path / "several"), 1) for name in monster.FILES.given]}
        given = {name: value for name, value in rest.items() if name not in ("text0", "text1", "count0")}
        more = await rig.fill(kept, page=2, receipt="after", **given)
        assert isinstance(more, Reply), more.errors
        assert [field.id for field in more.body.fields] == ["why"]
        await rig.fill(more.body, receipt="last", why=monster.DEPENDENT.given)
        (run,) = await rig.engine.executions(flow_id="monster")
        assert run.inputs["text0"] == "the first page"
        assert run.inputs["text1"] == "the second page"
        assert (run.inputs["count0"], run.inputs["why"]) == (41, monster.DEPENDENT.given)
    finally:
        await rig.stop()


async def test_last_times_values_come_by_a_button(rig, tmp_path):
    await rig.engine.deploy(FLOW)
    assert (await rig.say("run brew --form")).actions == ()
    file = tmp_path / "c.txt"
    file.write_text("card")
    form = await rig.say("run brew --form", WEB, PAGE)
    sent = Attachment("c.txt", str(file), 4)
    given = {"name": "Eve", "cups": "7", "kind": "tea", "pin": "secret-pin-77", "card": sent}
    await rig.fill(form, WEB, PAGE, **given)
    assert (await last_run(rig)).inputs["cups"] == 7
    again = await rig.say("run brew --form", WEB, PAGE)
    assert [action.label for action in again.actions] == ["Last time"]
    assert values(again)["name"] is None, "nothing is filled in unasked"
    filled = await rig.press(again, "Last time", WEB, PAGE)
    got = values(filled)
    assert (filled.id, got["name"], got["cups"], got["kind"]) == (again.id, "Eve", "7", "tea")
    assert (got["pin"], got["card"]) == (None, None), "neither secrets nor files"
    assert filled.actions == ()
    assert (await rig.press(again, "Last time", BOB, DEV)).text.startswith("This form belongs to")
    stored = await rig.engine.database.read(lambda c: [one.document for one in chat_drafts.of(c, WEB.id, 20)])
    assert "secret-pin-77" not in str(stored)


async def test_an_answer_that_switches_a_question_off_frees_it(rig):
    await rig.engine.deploy(FLOW.replace("defaults: tea", "defaults: coffee"))
    form = await rig.say("run brew --form")
    assert [field.id for field in form.fields if field.leads] == ["kind"]
    assert "beans" in values(form)
    await rig.fill(form, name="Ann", kind="tea")
    run = await last_run(rig)
    assert run.inputs["kind"] == "tea"
    assert "beans" not in run.inputs


async def test_answers_decide_what_a_question_asks_too(rig):
    flow = yaml.safe_load(FLOW)
    wait = {"id": "wait", "type": "io.kestra.plugin.core.flow.Pause", "onResume": flow.pop("inputs")}
    flow["tasks"].insert(0, wait)
    flow = yaml.safe_dump(flow)
    await rig.engine.deploy(flow)
    card = await rig.asked("run brew")
    pressed = await rig.press(card, "coffee")
    assert [field.id for field in pressed.fields if field.error] == ["beans"], (
        "what the answer asks for, and nothing else"
    )
    form = await rig.press(card, "Answer in form")
    more = (await rig.fill(form, name="Ann", kind="coffee")).body
    assert [field.id for field in more.fields] == ["beans"]
    refused = await rig.fill(more, beans="green")
    assert "not one of" in refused.errors["beans"]
    await rig.fill(refused.form, beans="dark")
    run = await last_run(rig)
    (waited,) = [one for one in run.task_runs.values() if one.task_id == "wait"]
    assert waited.outputs["onResume"]["beans"] == "dark"
