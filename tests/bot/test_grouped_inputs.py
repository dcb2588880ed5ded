"""Inputs made of inputs, through the desk: by command, by form, in an answer to a pause, in a schedule, once more."""

from bot.conversation import Form, Notice, Room
from bot.discord.views.forms import modal, pages
from bot.preview.pictures import page, text
from bot.preview.scenes import scenes
from bot.slack import forms as slack_forms
from engine.core.flow_source import load
from engine.tasks import catalogue
from tests.bot.rig import Rig

FLOW = """
id: serve
namespace: company.team
inputs:
  - {id: own, type: BOOL, defaults: true}
  - id: place
    type: FORM
    displayName: Where it runs
    dependsOn: {inputs: [own], condition: "{{ inputs.own }}"}
    inputs:
      - {id: region, type: SELECT, values: [eu, us]}
      - {id: zone, type: STRING, dependsOn: {inputs: [place.region], condition: "{{ inputs.place.region == 'eu' }}"}}
      - {id: key, type: SECRET, required: false}
  - id: disk
    type: OBJECT
    properties: [{id: size, type: INT, min: 10}, {id: mount, type: STRING, required: false}]
  - id: people
    type: TABLE
    required: false
    rows: {max: 2}
    columns: [{id: name, type: STRING}, {id: age, type: INT, required: false}]
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - id: how
        type: OBJECT
        displayName: How it went
        properties: [{id: well, type: SELECT, values: [well, badly]}, {id: why, type: STRING}]
  - {id: log, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.ask.onResume.how.well }} in {{ inputs.place.region ?? 'no' }}"}
outputs:
  - {id: told, type: STRING, value: "{{ outputs.ask.onResume.how.why }} {{ inputs.people | length }}"}
"""  # noqa: E501


async def run_of(rig: Rig):
    (found, *_) = await rig.engine.executions(flow_id="serve")
    return await rig.engine.wait(found.id, until="ended_or_paused", timeout=20)


async def test_a_command_gives_parts_by_their_names_or_a_whole_as_json(rig):
    await rig.engine.deploy(FLOW)
    await rig.say("""run serve place.region=us disk:={"size": 12} people:=[{"name": "Ann"}]""")
    run = await run_of(rig)
    assert run.inputs == {
        "own": True,
        "place": {"region": "us", "key": None},
        "disk": {"size": 12, "mount": None},
        "people": [{"name": "Ann", "age": None}],
    }
    unknown = await rig.say("""run serve disk:={"height": 12}""")
    assert isinstance(unknown, Notice)
    assert "disk.height" in unknown.text
    secret = await rig.say("""run serve place:={"key": "hunter2"}""")
    assert isinstance(secret, Notice)
    assert "hunter2" not in secret.text
    assert len(await rig.engine.executions(flow_id="serve")) == 1


async def test_a_form_asks_for_the_parts_under_their_heading_and_refuses_beside_them(rig):
    await rig.engine.deploy(FLOW)
    form = await rig.say("run serve --form")
    assert isinstance(form, Form)
    asked = [(field.id, field.group) for field in form.fields]
    assert asked == [
        ("own", ""), ("place.region", "Where it runs"), ("disk.size", "disk"), ("disk.mount", "disk"), ("people", ""),
    ]  # fmt: skip
    typed = {"place.region": "us", "disk.size": "7", "people": "name\nAnn\nBob\nCy", "own": "yes"}
    refused = await rig.fill(form, **typed)
    assert set(refused.errors) == {"disk.size"}
    refused = await rig.fill(refused.form, **{**typed, "disk.size": "70"})
    assert "it must have at most" in refused.errors["people"]
    await rig.fill(refused.form, **{**typed, "disk.size": "70", "people": "name,age\nAnn,3"})
    run = await run_of(rig)
    assert run.inputs["people"] == [{"name": "Ann", "age": 3}]
    again = await rig.say("replay last --edit")
    values = {field.id: again.values.get(field.id, field.default) for field in again.fields}
    assert values["disk.size"] == "70"
    assert values["people"] == "name,age\nAnn,3"


async def test_an_answer_to_a_pause_is_an_object(rig):
    await rig.engine.deploy(FLOW)
    await rig.say("run serve own=no disk.size=12 people='Ann'")
    run = await run_of(rig)
    assert run.inputs["people"] == [{"name": "Ann", "age": None}]
    assert "place" not in run.inputs
    form = await rig.say(f"answer {run.id}")
    assert [(field.id, field.group) for field in form.fields] == [
        ("how.well", "How it went"),
        ("how.why", "How it went"),
    ]
    await rig.fill(form, **{"how.well": "badly", "how.why": "rain"})
    ended = await rig.engine.wait(run.id, timeout=20)
    assert ended.outputs == {"told": "rain 1"}


def test_every_platform_draws_the_heading_once():
    (shown, *_) = scenes(load(FLOW, catalogue()))
    form = shown.body
    slack = str(slack_forms.form_view(form, slack_forms.Origin(Room("slack", "C1"))).payload)
    assert slack.count("'header'") == 2
    assert slack.count("Where it runs") == slack.count("'disk'") == 1
    discord = str([modal(form, number).payload for number in range(len(pages(form)))])
    assert discord.count("Where it runs: region") == 1
    assert "disk: size" in discord
    assert text(shown).count("-- Where it runs") == 1
    drawn = page(shown, "web")
    assert drawn.count("<h3>Where it runs</h3>") == drawn.count("<h3>disk</h3>") == 1
    assert "One row a line" in drawn
