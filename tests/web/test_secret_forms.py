"""Secrets behind a one-time link: bound to the person, used once, refused to others on record, nowhere in clear; and
forms whose questions depend on the answers."""

import asyncio
import html
import json
import re

from bot.audit import records
from bot.conversation import Click, Form, Submission
from engine.store import audit_chain
from tests.web.conftest import running
from tests.web.test_visits import ANN, BOB, OPS, PUBLIC, _close, app, say, sign_in, visitor, waiting

__all__ = ["_close", "app"]
HIDDEN = "horse-and-battery-9"
TOKEN = """
id: token
namespace: web.tests
inputs:
  - {id: note, type: STRING}
  - {id: key, type: SECRET, validator: "[a-z0-9-]{10,}"}
  - {id: count, type: INT, min: 2}
tasks:
  - {id: use, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.key | length }} {{ inputs.note }}"}
outputs:
  - {id: used, type: STRING, value: "{{ outputs.use.value }}"}
"""
OPTIONAL = """
id: perhaps
namespace: web.tests
inputs:
  - {id: note, type: STRING}
  - {id: key, type: SECRET, required: false}
tasks:
  - {id: use, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.note }}"}
outputs:
  - {id: used, type: STRING, value: "{{ outputs.use.value }}"}
"""
LATER = """
id: login
namespace: web.tests
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: code, type: SECRET}
      - {id: remark, type: STRING}
"""
BY_ANSWER = """
id: asks
namespace: web.tests
inputs:
  - {id: safe, type: BOOLEAN}
  - {id: key, type: SECRET, dependsOn: {inputs: [safe], condition: "{{ inputs.safe }}"}}
tasks:
  - {id: use, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.key | length }}"}
outputs:
  - {id: used, type: STRING, value: "{{ outputs.use.value }}"}
"""


def path_of(said):
    (action,) = (one for one in said.actions if one.url)
    return action.url.removeprefix(PUBLIC)


async def opened(app, said):
    """The browser of whoever got a link, and its page."""
    browser = visitor(app)
    await browser.get(path_of(said))
    page = await browser.post(path_of(said))
    await browser.get(page.url.path)
    return browser, page


async def run_of(app):
    (run,) = await app.engine.executions()
    return await app.engine.wait(run.id, timeout=20)


async def refusals(app):
    rows = await app.engine.database.read(lambda c: list(audit_chain.export(c)))
    return [row for row in rows if "somebody else's" in json.dumps(row, default=str)]


def written(app):
    folder = app.engine.settings.data
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_the_form_works_once_and_the_secret_is_nowhere_in_clear(app):
    await app.engine.deploy(TOKEN)
    said = await say(app, "run token note=hello")
    assert "never typed in chat" in said.text
    browser, page = await opened(app, said)
    assert 'value="hello"' in page.text, "what was said in chat is in the form"
    for key, count in (("short", "2"), (HIDDEN, "1")):
        wrong = await browser.post(page.url.path, **{"f:0": "hello", "f:1": key, "f:2": count})
        assert wrong.status_code == 422
        assert 'role="alert"' in wrong.text
        assert f'value="{key}"' not in wrong.text
        assert HIDDEN not in wrong.text
        assert ('name="k:1"' in wrong.text) == (key == HIDDEN), "what fits need not be typed again"
        assert "`short`" not in html.unescape(wrong.text), "what does not fit is not told again"
    carried = re.search(r'name="k:1" value="([^"]+)"', wrong.text)[1]
    done = await browser.post(page.url.path, **{"f:0": "hello", "f:1": "", "k:1": carried, "f:2": "2"})
    assert done.status_code == 200
    run = await run_of(app)
    assert (run.outputs, run.started_by) == ({"used": "19 hello"}, "slack:U1")
    again = await browser.post(page.url.path, **{"f:0": "hello", "f:1": HIDDEN, "f:2": "2"})
    assert again.status_code == 404
    assert len(await app.engine.executions()) == 1
    assert HIDDEN.encode() not in written(app)


async def test_whose_link_it_was_can_be_taken_out_of_the_record(app):
    await app.engine.deploy(TOKEN)
    said = await say(app, "run token note=hello")
    bob = visitor(app)
    await sign_in(app, bob, BOB, receipt="b")
    assert (await bob.get(path_of(said))).status_code == 403
    assert await refusals(app)
    assert not (await records.forget(app.engine, ANN.id)).is_nothing
    rows = await app.engine.database.read(lambda c: list(audit_chain.export(c)))
    assert ANN.id not in json.dumps(rows, default=str)
    assert (await app.engine.database.read(audit_chain.verify)).is_whole


async def test_whoever_else_opens_the_link_or_the_form_is_refused_on_record(app):
    await app.engine.deploy(TOKEN)
    said = await say(app, "run token note=private-note")
    bob = visitor(app)
    await sign_in(app, bob, BOB, receipt="b")
    assert (await bob.get(path_of(said))).status_code == 403, "signed in as somebody else, before it is used"
    await bob.get("/")
    assert (await bob.post(path_of(said))).status_code == 403
    _, page = await opened(app, said)
    assert "private-note" in page.text, "looking at it took nothing away"
    nobody = visitor(app)
    assert (await nobody.get(path_of(said))).status_code == 403, "used in another browser"
    hidden = await bob.get(page.url.path)
    assert hidden.status_code == 404
    assert "private-note" not in hidden.text
    found = await refusals(app)
    assert len(found) == 4
    assert sum("discord:7" in json.dumps(row, default=str) for row in found) == 3
    assert all("slack:U1" in json.dumps(row, default=str) for row in found)
    assert not await app.engine.executions()


async def test_a_secret_nobody_must_give_does_not_stand_in_the_way(app):
    await app.engine.deploy(OPTIONAL)
    form = await say(app, "run perhaps note=hello --form")
    assert isinstance(form, Form)
    assert [field.id for field in form.fields] == ["note"]
    assert "`key`: a secret, never typed in chat" in form.intro
    assert "`key`: a secret" in (await app.desk.form(form.id)).intro, "also when it is drawn again"
    await app.desk.submit(Submission(form.id, {"note": "hello"}, ANN, OPS, "s1"))
    assert (await run_of(app)).outputs == {"used": "hello"}


async def test_an_answer_that_asks_for_a_secret_leads_to_a_link(app):
    await app.engine.deploy(BY_ANSWER)
    form = await say(app, "run asks --form")
    assert [field.id for field in form.fields] == ["safe"]
    said = (await app.desk.submit(Submission(form.id, {"safe": True}, ANN, OPS, "s1"))).body
    browser, page = await opened(app, said)
    await browser.post(page.url.path, **{"f:0": HIDDEN})
    assert (await run_of(app)).outputs == {"used": "19"}


async def test_a_question_that_asks_for_a_secret_has_a_button_for_a_link_of_ones_own(app):
    await app.engine.deploy(LATER)
    await say(app, "run login", BOB, receipt="l")
    pause = await waiting(app)
    (card,) = await app.desk.parts.drawing.pauses_of(pause.execution_id)
    button = next(action for action in card.actions if action.label == "Open secure form")
    said = (await app.desk.click(Click(button.id, ANN, OPS, "p1"))).body
    _, page = await opened(app, said)
    assert 'type="password"' in page.text


async def test_without_a_page_such_a_flow_says_so_before_it_starts(tmp_path):
    async with running(tmp_path) as app:
        await app.engine.deploy(TOKEN)
        await app.engine.deploy(LATER)
        said = await say(app, "run token note=x")
        assert "`web.public_url` is not set" in said.text
        form = await say(app, "run login", receipt="r2")
        assert isinstance(form, Form), "it has no inputs, and would start at once"
        assert "asks for a secret later, at `wait`" in form.intro
        assert not await app.engine.executions()
        await app.desk.submit(Submission(form.id, {}, ANN, OPS, "s1"))
        await waiting(app)


async def test_a_form_sent_twice_at_once_starts_one_run(app):
    await app.engine.deploy(TOKEN)
    browser, page = await opened(app, await say(app, "run token note=hello"))
    sent = {"f:0": "hello", "f:1": HIDDEN, "f:2": "2"}
    await asyncio.gather(*(browser.post(page.url.path, **sent) for _ in range(4)))
    assert (await run_of(app)).outputs == {"used": "19 hello"}
