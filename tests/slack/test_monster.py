"""Everything a form can be, filled in Slack by a person: what was given is what the run has."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.slack import limits
from bot.slack.app import SlackFrontEnd
from tests.bot import monster
from tests.bot.rig import Rig
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.wire.slack_people import Window

PICKED = ("radio_buttons", "static_select", "external_select")
SEVERAL = ("checkboxes", "multi_static_select", "multi_external_select")


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    base = f"{slack.url}/api/"
    made.slack = SlackFrontEnd(BOT_TOKEN, APP_TOKEN, base_url=base, inbox=tmp_path / "inbox", grace=2)  # type: ignore[assignment]
    await made.start()
    yield made
    await made.slack.stop()
    await made.stop()


async def answers(slack: FakeSlack, rig: Rig, window: Window) -> dict[str, Any]:
    """What the person does with each input of the page they see."""
    ticket = window.view["private_metadata"]
    form = await rig.desk.form(ticket.split('"f": "')[1].split('"')[0])
    assert form is not None
    given: dict[str, Any] = {}
    for block in window.inputs:
        index = int(block["block_id"].split(":")[1])
        asked = monster.ASKED[form.fields[index].id]
        if asked.given is None:
            continue
        value = await _value(slack, window, block, asked)
        if value is not None:
            given[block["block_id"]] = value
    return given


async def _value(slack: FakeSlack, window: Window, block: dict[str, Any], asked: monster.Asked) -> Any:
    kind, given = block["element"]["type"], asked.given
    is_other = block["block_id"].endswith(":custom")
    known = asked.declared.get("values", ())
    if asked.declared.get("allowCustomValue"):
        return (given if given not in known else None) if is_other else (given if given in known else None)
    if isinstance(given, bool):
        return (["Yes"] if given else []) if kind == "checkboxes" else "Yes" if given else "No"
    if kind in ("external_select", "multi_external_select"):
        for one in [given] if isinstance(given, str) else given:
            offered = await slack.suggest(window, block["block_id"], one[:8])
            assert one in offered or any(one in label for label in await slack.suggest(window, block["block_id"], one))
    if kind in PICKED or kind in SEVERAL:
        return given
    if kind == "datetimepicker":
        return int(monster.MOMENT.timestamp())
    if kind == "file_input":
        names = [given] if isinstance(given, str) else given
        assert len(names) <= block["element"]["max_files"]
        return [slack.file(name, asked.content) for name in names]
    return "\n".join(given) if isinstance(given, list) else given


async def fill_all(slack: FakeSlack, rig: Rig, window: Window) -> int:
    """Fill page after page until the window closes; how many there were."""
    for page in range(1, 20):
        assert not window.errors
        assert len(window.inputs) <= limits.INPUTS * 2
        await slack.fill(window, await answers(slack, rig, window))
        assert not window.errors, window.errors
        if not window.open:
            return page
        window.typed.clear()
    raise AssertionError("the form never ends")


async def test_sixty_inputs_of_every_type_reach_the_run_as_they_were_given(slack: FakeSlack, rig: Rig) -> None:
    await rig.engine.deploy(monster.flow())
    await slack.command("/flow run monster")
    window = await slack.modal()
    assert "its-end" in slack.text(window), "the whole help is there"
    assert await fill_all(slack, rig, window) > 1
    (run,) = await rig.engine.executions(flow_id="monster")
    await rig.engine.wait(run.id, timeout=20)
    monster.check(dict(run.inputs), lambda uri: rig.engine.files.path(uri).read_bytes())
    assert slack.refused == []


async def test_a_question_of_sixty_inputs_is_answered_the_same_way(slack: FakeSlack, rig: Rig) -> None:
    await rig.engine.deploy(monster.flow(pause=True))
    await slack.command("/flow run monster")
    card = await slack.said("Approval needed", channel="C1")
    await slack.press("Answer…", message=card)
    window = await slack.modal()
    assert await fill_all(slack, rig, window) > 1
    (run,) = await rig.engine.executions(flow_id="monster")
    ended = await rig.engine.wait(run.id, timeout=20)
    (waited,) = [one for one in ended.task_runs.values() if one.task_id == "wait"]
    monster.check(dict(waited.outputs["onResume"]), lambda uri: rig.engine.files.path(uri).read_bytes())
    assert slack.refused == []


BREW = """
id: brew
namespace: company.team
inputs:
  - {id: name, type: STRING}
  - {id: kind, type: SELECT, values: [tea, coffee]}
  - id: cup
    type: SELECT
    values: [small, large]
    dependsOn: {inputs: [kind], condition: "{{ inputs.kind == 'tea' }}"}
  - id: beans
    type: SELECT
    expression: "{{ inputs.kind == 'coffee' ? ['dark', 'light'] : ['none'] }}"
    dependsOn: {inputs: [kind], condition: "{{ inputs.kind == 'coffee' }}"}
  - {id: card, type: FILE, required: false}
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: brewed}
"""


def labels(window: Window) -> list[str]:
    return [block["label"]["text"] for block in window.inputs]


async def test_questions_come_and_go_with_the_answer_they_depend_on(slack: FakeSlack, rig: Rig) -> None:
    await rig.engine.deploy(BREW)
    await slack.command("/flow run brew")
    window = await slack.modal()
    assert labels(window) == ["name", "kind", "card"]
    window.typed[window.input("name")["block_id"]] = "Ann"
    window.typed[window.input("card")["block_id"]] = [slack.file("c.txt", b"card")]
    await slack.choose(window, "kind", "tea")
    await slack.until(lambda: "cup" in labels(window), "the cup is asked for")
    assert window.input("name")["element"]["initial_value"] == "Ann", "what was typed stays"
    await slack.choose(window, "kind", "coffee")
    await slack.until(lambda: "beans" in labels(window), "the beans are asked for")
    assert labels(window) == ["name", "kind", "beans", "card"]
    await slack.fill(window, {"beans": "dark"})
    assert not window.open
    (run,) = await rig.engine.executions(flow_id="brew")
    assert {name: run.inputs[name] for name in ("name", "kind", "beans")} == {
        "name": "Ann",
        "kind": "coffee",
        "beans": "dark",
    }
    assert rig.engine.files.path(run.inputs["card"]).read_bytes() == b"card"
    assert "cup" not in run.inputs
    assert slack.refused == []


async def test_last_times_values_fill_the_open_form(slack: FakeSlack, rig: Rig) -> None:
    await rig.engine.deploy(BREW)
    await slack.command("/flow run brew name=Ann kind=tea cup=large")
    await slack.said("Started")
    await slack.command("/flow run brew --form")
    window = await slack.modal()
    window.typed[window.input("name")["block_id"]] = "Zoe"
    await slack.press("Last time")
    await slack.until(lambda: "cup" in labels(window), "what last time's answers ask for")
    assert window.input("name")["element"]["initial_value"] == "Ann"
    await slack.fill(window)
    found = await rig.engine.executions(flow_id="brew")
    assert [run.inputs["cup"] for run in found] == ["large", "large"]
    assert slack.refused == []


async def test_a_window_that_is_closed_opens_again_with_what_stood_in_it(slack: FakeSlack, rig: Rig) -> None:
    await rig.engine.deploy(BREW)
    await slack.command("/flow run brew")
    window = await slack.modal()
    window.typed[window.input("name")["block_id"]] = "Ann"
    await slack.choose(window, "kind", "coffee")
    await slack.until(lambda: "beans" in labels(window), "the answer is heard")
    window.open = False  # the person closes it
    await slack.command("/flow run brew")
    again = await slack.until(lambda: slack.window("U1"), "the form")
    assert labels(again) == ["name", "kind", "beans", "card"]
    assert again.input("name")["element"]["initial_value"] == "Ann"
    assert again.input("kind")["element"]["initial_option"]["value"] == "coffee"
    assert slack.refused == []
