"""What holds in a room, and changing it."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.commands import room_settings
from bot.commands.room_settings import RoomSetting
from bot.conversation import Listing
from bot.people.roles import Role
from engine.store import chat_audit, parts
from engine.store.chat_tables import audit
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig

ROLES = (
    Role.model_validate({"name": "keepers", "members": ["slack:U1"], "may": [{"do": ["manage"]}]}),
    Role.model_validate({"name": "all", "members": ["anyone"], "may": [{"do": ["see", "run"]}]}),
)


async def _loud(_, room):
    return "no"


def _keep(unit, room, value):
    parts.put(unit.connection, f"loud {room.platform}:{room.channel}", value)


LOUD = RoomSetting("loud", "whether it shouts", ("yes", "no"), _loud, _keep)


async def test_settings_shows_what_holds_here(rig):
    shown = await rig.say("settings")
    assert isinstance(shown, Listing)
    assert any(row.title.startswith("card=") for row in shown.rows)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("settings crad=off", "There is no setting `crad`. Did you mean `card`?"),
        ("settings card=purple", "`card` is one of"),
        ("settings card", "I don't understand `card`."),
    ],
)
async def test_what_cannot_be_set_says_what_can(rig, typed, says):
    assert says in (await rig.say(typed)).text


async def test_whoever_manages_changes_it_once_and_on_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(room_settings, "SETTINGS", (*room_settings.SETTINGS, LOUD))
    rig = await Rig(tmp_path, roles=ROLES).start(PLAIN)
    try:
        assert "You can't manage" in (await rig.say("settings loud=yes", BOB, DEV)).text
        done = await rig.say("settings loud=yes", ANN, OPS, receipt="r")
        assert done.tone == "success"
        assert await rig.say("settings loud=yes", ANN, OPS, receipt="r") == done
        assert await rig.engine.database.read(lambda c: parts.get(c, "loud slack:C1")) == "yes"
        deeds = await rig.engine.database.read(lambda c: chat_audit.about(c, "slack:T1:C1:"))
        assert [(deed.action, deed.details) for deed in deeds] == [("settings", {"loud": "yes"})]
    finally:
        await rig.stop()


async def test_a_direct_conversation_is_not_named_where_it_stays_for_good(rig):
    direct = replace(OPS, channel="D77", is_direct=True)
    for typed in ("settings card=off", "settings mute ship 1h"):
        said = await rig.say(typed, ANN, direct)
        assert said.tone in ("success", "info"), said.text
    rows = await rig.engine.database.read(lambda c: c.execute(select(audit)).all())
    assert {row.entity for row in rows if row.action in ("settings", "mute")} == {"slack:T1:direct:"}
    assert not any("D77" in str(row) for row in rows)
