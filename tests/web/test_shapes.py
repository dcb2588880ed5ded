"""Every shape of a question, answered on the page of its run: the same buttons as in chat, and the same effect."""

import re
from html import unescape

import pytest

from tests.bot import shapes


async def asked(parley, browser, flow):
    """The page of a run that asks, and its pause."""
    await parley.engine.deploy(flow)
    run = await parley.engine.create("company.team", "gate", {}, started_by="local:eve")
    await parley.engine.wait(run.id, until="ended_or_paused", timeout=20)
    (pause,) = await parley.engine.pauses(execution_id=run.id)
    return (await browser.get(f"/ui/executions/company.team/gate/{run.id}")).text, pause


def buttons(page, pause):
    """Label and action of each button of the card."""
    card = page.split(f'id="pause-{pause.id}"')[1].split("</section>")[0]
    found = re.findall(r'name="action" value="([^"]+)".*?<button[^>]*>([^<]*)</button>', card, re.DOTALL)
    return {unescape(label): unescape(action) for action, label in found}


async def pressed(parley, browser, shape_flow, button):
    page, pause = await asked(parley, browser, shape_flow)
    offered = buttons(page, pause)
    return list(offered), await browser.post("/click", action=offered[button]), pause


async def filled(parley, browser, answer, values):
    """Send the form that a button led to."""
    assert answer.url.path.startswith("/form/")
    await browser.get(str(answer.url))
    form = await parley.desk.form(unescape(answer.url.path.removeprefix("/form/")).replace("%3A", ":"))
    assert [field.id for field in form.fields] == list(values)
    given = {
        f"f:{n}": str(value).lower() if isinstance(value, bool) else value for n, value in enumerate(values.values())
    }
    sent = await browser.post(f"/form/{form.id}", **given)
    assert sent.status_code == 200, re.findall(r'class="error"[^>]*>([^<]*)<', sent.text)


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.name)
async def test_every_shape_of_a_question(parley, browser, shape):
    names, answer, pause = await pressed(parley, browser, shapes.flow(shape), shape.button)
    assert names == shape.buttons
    if shape.filled:
        await filled(parley, browser, answer, shape.filled)
    shapes.check(shape, await parley.engine.wait(pause.execution_id, timeout=20))


async def test_an_approval_task(parley, browser):
    names, answer, pause = await pressed(parley, browser, shapes.APPROVAL, "Hold\u2026")
    assert names == ["Ship", "Hold\u2026", "Answer in form"]
    await filled(parley, browser, answer, {"comment": "not on a Friday"})
    ended = await parley.engine.wait(pause.execution_id, timeout=20)
    (waited,) = [one for one in ended.task_runs.values() if one.task_id == "wait"]
    assert (waited.outputs["decision"], waited.outputs["comment"]) == ("DENIED", "not on a Friday")
