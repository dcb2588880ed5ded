"""What happens if it is approved: the next tasks with their values, files that change, the last decision."""

import pytest

from bot.approvals.diffs import diff
from bot.approvals.prospect import facts, following, templates
from bot.cards.outline import find
from engine.core.flow_source import load
from engine.runtime.foresight import Unknown
from engine.tasks import catalogue
from tests.bot.rig import BOB, DEV, Rig
from tests.shared import seed
from tests.wire.loopback import Answered, serving

SHIP = """
id: ship
namespace: company.team
inputs:
  - {id: version, type: STRING, defaults: v7}
tasks:
  - {id: build, type: io.kestra.plugin.core.debug.Return, format: "image-{{ inputs.version }}"}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: approve, type: BOOLEAN}
      - {id: note, type: STRING}
  - id: decide
    type: io.kestra.plugin.core.flow.If
    condition: "{{ outputs.wait.onResume.approve }}"
    then:
      - id: deploy
        type: io.kestra.plugin.core.http.Request
        uri: "https://deploy.test/{{ outputs.build.value }}?ok={{ outputs.wait.onResume.approve }}"
        method: POST
        body: "{{ secret('DEPLOY') }} {{ outputs.wait.onResume.note }}"
      - {id: report, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.deploy.code ?? 'none' }}"}
    else:
      - {id: sad, type: io.kestra.plugin.core.log.Log, message: no}
  - {id: look, type: io.kestra.plugin.core.debug.Return, format: "{{ http('https://deploy.test/') }}"}
  - {id: again, type: io.kestra.plugin.core.flow.Pause}
  - {id: never, type: io.kestra.plugin.core.log.Log, message: x}
"""


def flow(text):
    return load(text, catalogue())


def ids(text, task, limit=9):
    return [step.task.id for step in following(flow(text), task, limit)]


def test_what_follows_a_yes_up_to_the_next_question():
    assert ids(SHIP, "wait") == ["deploy", "report", "look", "again"]
    assert ids(SHIP, "wait", 2) == ["deploy", "report"]
    assert ids(SHIP, "again") == ["never"]
    assert ids(SHIP, "nobody") == []
    assert ids(seed("gen_img_approval.yaml").read_text(), "wait_for_approval")[0] == "approved"


def test_an_approval_leads_into_its_own_branch_first():
    text = """
id: a
namespace: b
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Approval
    onApprove: [{id: yes_, type: io.kestra.plugin.core.log.Log, message: x}]
    onDeny: [{id: no_, type: io.kestra.plugin.core.log.Log, message: x}]
  - {id: after, type: io.kestra.plugin.core.log.Log, message: x}
"""
    assert ids(text, "ask") == ["yes_", "after"]
    assert find(flow(text), "ask") is not None


def test_values_stand_beside_their_tasks_and_unknown_ones_say_why():
    steps = following(flow(SHIP), "wait", 2)
    assert [name for step in steps for name, _ in step.written] == ["uri", "method", "body", "message"]
    assert len(templates(steps)) == 4
    first, second = facts(steps, ["https://x", "POST", Unknown(), Unknown(("deploy",))])
    assert first.label == "Then deploy"
    assert first.value.startswith("`http.Request` · uri: https://x · method: POST · body: `{{ secret('DEPLOY') }}")
    assert second.value.endswith("(known after `deploy`)")


@pytest.fixture
async def bot(tmp_path, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_DEPLOY", "hunter2-hunter2")
    rig = await Rig(tmp_path).start(SHIP)
    yield rig
    await rig.stop()


def told(card, label):
    return next((fact.value for fact in card.facts if fact.label == label), "")


async def test_the_card_shows_what_a_yes_would_run_with_secrets_as_stars(bot):
    card = await bot.asked()
    deploy = told(card, "Then deploy")
    assert deploy.startswith("`http.Request` · uri: <https://deploy.test/image-v7?ok=true> · method: POST · body: ")
    assert deploy.endswith(r"\*\*\*\*\*\*")
    assert "hunter2" not in str(card)
    message = "`log.Log` · message: `{{ outputs.deploy.code ?? 'none' }}` (known after `deploy`)"
    assert told(card, "Then report") == message
    assert told(card, "Then look").endswith("(known when it runs)"), "nothing is called for a preview"


HIDDEN = """
id: ship
namespace: company.team
variables: {{url: "{url}", look: "{{{{ http('{url}/hidden') }}}}"}}
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume: [{{id: room, type: STRING, defaults: "{{{{ http('{url}/default') }}}}"}}]
  - {{id: plain, type: io.kestra.plugin.core.debug.Return, format: "{{{{ http('{url}/plain') }}}}"}}
  - {{id: deep, type: io.kestra.plugin.core.debug.Return, format: "{{{{ render(vars.look) }}}}"}}
  - {{id: room, type: io.kestra.plugin.core.debug.Return, format: "{{{{ outputs.wait.onResume.room }}}}"}}
"""


async def test_nothing_is_called_while_somebody_only_looks(tmp_path):
    with serving(lambda request: Answered("called")) as service:
        rig = await Rig(tmp_path).start(HIDDEN.format(url=service.url))
        try:
            await rig.asked()
            (pause,) = await rig.engine.pauses()
            service.requests.clear()  # what the form asks for was asked when it was drawn
            asked = ["http(vars.url)", "render(vars.look)", "outputs.wait.onResume.room"]
            texts = [f"{{{{ {one} }}}}" for one in asked]
            assert await rig.engine.foresee(pause.id, {}, texts) == [Unknown(), Unknown(), Unknown()]
            assert service.requests == []
        finally:
            await rig.stop()


async def test_the_last_decision_at_the_same_place_is_told(bot):
    first = await bot.asked()
    assert told(first, "Last time") == ""
    await bot.press(first, "Approve", BOB, DEV)
    second = await bot.asked()
    assert told(second, "Last time").startswith("approved by Bob (Discord), ")


FILES = """
id: publish
namespace: company.team
tasks:
  - id: write
    type: io.kestra.plugin.core.storage.Write
    content: "{{ inputs.text }}"
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - id: upload
    type: io.kestra.plugin.core.namespace.UploadFiles
    namespace: company.team
    filesMap:
      docs/page.txt: "{{ outputs.write.uri }}"
inputs:
  - {id: text, type: STRING}
"""


async def test_files_that_would_change_are_shown_as_a_diff(bot):
    await bot.engine.deploy(FILES)
    first = await bot.asked('run publish text="one\\ntwo"')
    assert "+one" in first.body
    assert "--- /dev/null" in first.body
    await bot.press(first, "Approve")
    await bot.engine.wait((await bot.engine.pause_row(first.entity)).execution_id, timeout=20)
    second = await bot.asked('run publish text="one\\nthree"')
    assert "--- a/docs/page.txt\n+++ b/docs/page.txt" in second.body
    assert "-two" in second.body
    assert "+three" in second.body


def test_a_diff_is_cut_and_cannot_leave_its_block():
    assert diff("a", "x", "x") == ""
    long = diff("a", None, "\n".join(f"line {n} ```" for n in range(500)))
    assert long.count("```") == 2
    assert long.endswith("\n…\n```")
    assert len(long) < 1300


def test_a_duration_is_shown_as_flows_write_it():
    steps = following(
        flow(
            "id: nap\nnamespace: company.team\ntasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n"
            "  - {id: rest, type: io.kestra.plugin.core.flow.Sleep, duration: PT2S}\n"
        ),
        "wait",
    )
    assert templates(steps) == ["PT2S"]
