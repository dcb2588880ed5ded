"""Everything a form can be, filled on the page without script: what was given is what the run has."""

import re
from html import unescape

from bot.conversation import Form
from tests.bot import monster
from tests.web.test_page import wait_for


def typed(asked: monster.Asked):
    """What a browser sends for one field."""
    given = asked.given
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, list) and asked.declared["type"] == "ARRAY":
        return "\r\n".join(given)
    return given


def shown(page: str, form: Form, name: str) -> None:
    """The page has a control for every field, and all the help."""
    text = unescape(page)
    for index, field in enumerate(form.fields):
        assert f'name="f:{index}"' in page, field.id
        assert field.help in text
    assert name in text


async def fill_all(parley, browser, page) -> None:
    for _ in range(5):
        form_id = re.search(r'action="/form/([^"]+)"', page.text)[1]
        form = await parley.desk.form(unescape(form_id).replace("%3A", ":"))
        shown(page.text, form, form.title)
        fields: dict[str, object] = {"csrf": browser.token}
        files = []
        for index, field in enumerate(form.fields):
            asked = monster.ASKED[field.id]
            if field.type == "FILE":
                names = [asked.given] if isinstance(asked.given, str) else asked.given
                files += [(f"f:{index}", (name, asked.content, "text/plain")) for name in names]
            elif asked.given is not None:
                fields[f"f:{index}"] = typed(asked)
            else:
                fields[f"f:{index}"] = field.default
        sent = {"files": files} if files else {}
        answer = await browser.client.post(f"/form/{form.id}", data=fields, **sent)
        assert answer.status_code == 200, re.findall(r'class="error"[^>]*>([^<]*)<', answer.text)
        if not answer.url.path.startswith("/form/"):
            return
        page = await browser.get(str(answer.url))
    raise AssertionError("the form never ends")


async def test_sixty_inputs_of_every_type_reach_the_run_as_they_were_given(parley, browser) -> None:
    await parley.engine.deploy(monster.flow())
    page = await browser.say("/flow run monster")
    page = await browser.get(str(page.url))
    await fill_all(parley, browser, page)
    (run,) = await parley.engine.executions(flow_id="monster")
    monster.check(dict(run.inputs), lambda uri: parley.engine.files.path(uri).read_bytes())


async def test_a_question_of_sixty_inputs_is_answered_the_same_way(parley, browser) -> None:
    await parley.engine.deploy(monster.flow(pause=True))
    await browser.say("/flow run monster")
    (pause,) = await wait_for(parley.engine.pauses)
    await browser.get("/")
    page = await browser.post("/click", action=parley.desk.office.ids("an", pause.id))
    page = await browser.get(str(page.url))
    await fill_all(parley, browser, page)
    ended = await parley.engine.wait(pause.execution_id, timeout=20)
    (waited,) = [one for one in ended.task_runs.values() if one.task_id == "wait"]
    monster.check(dict(waited.outputs["onResume"]), lambda uri: parley.engine.files.path(uri).read_bytes())


async def test_what_stands_in_a_form_is_kept_when_the_page_is_closed(parley, browser) -> None:
    await parley.engine.deploy(monster.flow())
    page = await browser.say("/flow run monster")
    path = page.url.path
    page = await browser.get(path)
    shape = re.search(r'name="shape" value="([^"]+)"', page.text)[1]
    await browser.post(f"{path}/keep", **{"f:0": "half a sentence", "f:6": "41", "shape": shape})
    await browser.post(f"{path}/keep", **{"f:0": "of another page", "shape": "000000000000"})
    await browser.client.get(f"{path}/keep")
    again = await browser.get(str((await browser.say("/flow run monster")).url))
    assert "half a sentence" in again.text
    assert "did not send" in again.text
    assert not await parley.engine.executions(flow_id="monster")


async def test_a_page_of_other_questions_is_not_used(parley, browser) -> None:
    await parley.engine.deploy(monster.flow())
    page = await browser.say("/flow run monster")
    await browser.get(page.url.path)
    answer = await browser.post(page.url.path, **{"f:0": "x", "shape": "000000000000"})
    assert "questions have changed" in unescape(answer.text)
    assert not await parley.engine.executions(flow_id="monster")
