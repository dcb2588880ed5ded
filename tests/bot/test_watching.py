"""Runs followed where somebody asks, and the files they made."""

from dataclasses import replace

from bot.commands.watching import made
from bot.conversation import Card
from engine.core.state import State
from tests.bot.rig import BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_run_changes import in_state, started

WRITES = """
id: writes
namespace: company.team
inputs:
  - {id: given, type: FILE, required: false}
tasks:
  - id: report
    type: io.kestra.plugin.core.storage.Write
    content: "all is well"
    extension: .txt
outputs:
  - {id: report, type: STRING, value: "{{ outputs.report.uri }}"}
"""


async def test_a_run_is_followed_elsewhere_and_left(rig):
    run = await started(rig, "ship", until="ended_or_paused")
    assert "is followed here" in (await rig.say(f"watch {run.id}", BOB, DEV)).text
    assert "followed here already" in (await rig.say(f"watch {run.id}", BOB, DEV)).text
    shown = await rig.discord.shows("run")
    assert shown.room == DEV
    assert "no longer followed" in (await rig.say(f"unwatch {run.id}", BOB, DEV)).text
    assert "is not followed here" in (await rig.say(f"unwatch {run.id}", BOB, DEV)).text
    before = len(shown.versions)
    await rig.say(f"approve {run.id}")
    await in_state(rig, run, State.SUCCESS)
    assert "is followed here" in (await rig.say(f"watch {run.id}", BOB, DEV)).text
    again = await rig.discord.until(lambda: [one for one in rig.discord.of("run") if one is not shown])
    assert again[0].card.tone == "success"
    assert len(shown.versions) == before, "what was left changes no more"
    assert "Which run?" in (await rig.say("watch")).text
    assert "Which run?" in (await rig.say("unwatch")).text


async def test_files_of_a_run_are_shown_but_no_others(tmp_path):
    rig = await Rig(tmp_path).start(PLAIN, WRITES)
    try:
        run = await started(rig, "writes")
        card = await rig.say(f"files {run.id}", BOB, DEV)
        assert isinstance(card, Card)
        assert [(one.name.endswith(".txt"), one.size) for one in card.files] == [(True, 11)]
        assert "(11 bytes)" in card.body
        other = await started(rig, "ship", until="ended_or_paused")
        assert "made no files" in (await rig.say(f"files {other.id}", BOB, DEV)).text
        assert made(_with_outputs(await rig.engine.execution(other.id), card.files[0].uri)) == ()
        up = f"kestra:///company/team/ship/executions/{other.id}/../{run.id}/x.txt"
        assert made(_with_outputs(await rig.engine.execution(other.id), up)) == ()
        assert "Which run?" in (await rig.say("files", room=OPS)).text
    finally:
        await rig.stop()


def _with_outputs(execution, uri):
    return replace(execution, outputs={"x": uri})
