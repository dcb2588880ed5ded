"""Choices while an argument is typed: only of what somebody may see or do."""

import pytest

from bot.people.roles import Role
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_run_changes import started
from tests.bot.test_schedule_commands import GREET

KEEPS = Role.model_validate(
    {"name": "keepers", "members": ["slack:U1"], "may": [{"do": ["run", "manage", "approve", "kv"]}]}
)
GREETS = Role.model_validate(
    {"name": "greeters", "members": ["discord:7"], "may": [{"do": ["run"], "flow": "*/greet"}]}
)


@pytest.fixture
async def kept(tmp_path):
    made = await Rig(tmp_path, roles=(KEEPS, GREETS)).start(PLAIN, GREET)
    yield made
    await made.stop()


async def test_choices_are_of_what_one_may(kept):
    run = await started(kept, "ship", until="ended_or_paused")
    await kept.engine.kv.set("company.team", "colour", "red")
    await kept.say("alias set go 'run ship'")

    async def asked(argument, typed="", person=ANN, room=OPS):
        return [one.value for one in await kept.desk.complete(argument, typed, person.id, room, 25)]

    assert await asked("run") == [run.id]
    assert await asked("run", person=BOB, room=DEV) == []
    assert len(await asked("pause")) == 1
    assert await asked("pause", person=BOB, room=DEV) == []
    assert await asked("key") == ["colour"]
    assert await asked("key", person=BOB, room=DEV) == []
    assert await asked("alias") == ["go"]
    assert await asked("alias", room=DEV) == []
    assert await asked("schedule", "nightly") == ["company.team/greet/nightly"]
    assert await asked("schedule", "greet", BOB, DEV) == ["company.team/greet/nightly", "company.team/greet"]
    assert await asked("flow", "", BOB, DEV) == ["company.team/greet"]
    assert {"delete", "bulk"} <= set(await asked("topic"))
    assert await asked("topic", "ship") == ["company.team/ship"]
    theirs = await asked("topic", "", BOB, DEV)
    assert "run" in theirs
    assert not {"delete", "bulk"} & set(theirs)
    assert await asked("topic", "ship", BOB, DEV) == []
    assert await asked("inputs", "x") == []


async def test_there_are_never_more_than_asked_for(kept):
    for number in range(30):
        await kept.engine.deploy(PLAIN.replace("id: ship", f"id: s{number}"))
    for argument in ("flow", "topic", "schedule"):
        assert len(await kept.desk.complete(argument, "", ANN.id, OPS, 25)) == 25
