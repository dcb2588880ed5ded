"""What the page of a run showed is kept with what is decided on it, whatever the card would say by then."""

import html
import re

import pytest

from bot.approvals.policy import ApprovalRule
from bot.approvals.prices import Prices
from bot.cards.pause_cards import evidence
from engine.store import chat_audit
from tests.bot.test_evidence import TIDY
from tests.web.conftest import Browser, running

PLAIN = """
id: plain
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - {id: clean, type: io.kestra.plugin.core.namespace.DeleteFiles, namespace: company.team, files: "drafts/**"}
"""


@pytest.fixture
async def app(tmp_path):
    async with running(tmp_path) as made:
        await made.engine.deploy(TIDY)
        await made.engine.deploy(PLAIN)
        put(made, "drafts/a.txt")
        yield made


def put(app, path):
    app.engine.files.put_namespace_file("company.team", path, b"text\n")


COSTLY = """
id: costly
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - {id: say, type: io.kestra.plugin.core.log.Log, message: x}
"""


async def test_the_page_says_what_it_takes_and_costs_and_its_hash_is_of_that(tmp_path):
    rule = ApprovalRule(approvers=("anyone",), cost="{{ flow.id }} <b>3 EUR</b>")
    prices = Prices.model_validate({"currency": "EUR", "tasks": [{"type": "*.Log", "run": 0.5}]})
    async with running(tmp_path, approvals=(rule,), settings={"prices": prices}) as app:
        await app.engine.deploy(COSTLY)
        browser = Browser(app.url)
        try:
            for told in ("nobody went on from here before", "\u00b7 about 0.50 EUR"):
                run = await app.engine.create("company.team", "costly", {}, started_by="local:eve")
                await app.engine.wait(run.id, until="ended_or_paused", timeout=20)
                page = (await browser.get(f"/ui/executions/company.team/costly/{run.id}")).text
                assert "costly &lt;b&gt;3 EUR&lt;/b&gt;" in page
                assert told in page
                (shown,) = await app.desk.pause_cards(run.id)
                said = re.search(r'name="seen" value="([^"]+)"', page)[1]
                button = html.unescape(re.search(r'name="action" value="(p1:ap:[^"]+)"', page)[1])
                await browser.post("/click", action=button, seen=said)
                await app.engine.wait(run.id, timeout=20)
                deeds = await app.engine.database.read(lambda c, one=shown.entity: chat_audit.about(c, one))
                assert [deed.details["shown"] for deed in deeds] == [evidence(shown)]
        finally:
            await browser.client.aclose()


@pytest.mark.parametrize("flow", ["plain", "tidy"])
@pytest.mark.parametrize("tampered", [False, True])
async def test_a_decision_on_the_page_keeps_what_the_page_showed(app, flow, tampered):
    browser = Browser(app.url)
    try:
        run = await app.engine.create("company.team", flow, {}, started_by="local:eve")
        await app.engine.wait(run.id, until="ended_or_paused", timeout=20)
        path = f"/ui/executions/company.team/{flow}/{run.id}"
        page = (await browser.get(path)).text
        (pause,) = await app.engine.pauses(execution_id=run.id)
        (shown,) = await app.desk.pause_cards(run.id)
        said = re.search(r'name="seen" value="([^"]+)"', page)[1]
        if tampered:
            said = "0" * 64 + said[64:]
        put(app, "drafts/b.txt")
        (later,) = await app.desk.pause_cards(run.id)
        assert evidence(later) != evidence(shown)
        if flow == "tidy":
            await browser.post(f"/pauses/{pause.id}", **{"f:0": "true", "f:1": "", "seen": said})
        else:
            button = html.unescape(re.search(r'name="action" value="(p1:ap:[^"]+)"', page)[1])
            await browser.post("/click", action=button, seen=said)
        deeds = await app.engine.database.read(lambda connection: chat_audit.about(connection, pause.id))
        assert [deed.details["shown"] for deed in deeds] == [evidence(later if tampered else shown)]
    finally:
        await browser.client.aclose()
