"""An old text of a flow made the newest again, from chat."""

from bot.conversation import Listing
from engine.store import chat_audit
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_run_changes import ROLES, buttons


async def test_a_revision_is_shown_and_restored_in_its_file(tmp_path):
    rig = await Rig(tmp_path, roles=ROLES).start()
    try:
        file = rig.folder / "flows" / "ship.yaml"
        file.write_text(PLAIN)
        await rig.engine.flows.look()
        file.write_text(PLAIN.replace("shipped", "flown"))
        await rig.engine.flows.look()
        listing = await rig.say("revisions ship", BOB, DEV)
        assert isinstance(listing, Listing)
        assert [row.title for row in listing.rows] == ["ship 2", "ship 1"]
        assert "can't manage" in (await rig.say("restore ship 1", BOB, DEV)).text
        assert "It has: `2`, `1`" in (await rig.say("restore ship 7")).text
        assert "is the newest already" in (await rig.say("restore ship 2")).text
        shown = await rig.say("restore ship 1")
        assert "message: flown" in shown.text
        assert "message: shipped" in shown.text
        assert "flown" in file.read_text(), "nothing happens before the button"
        assert "belongs to" in (await rig.press(buttons(shown), "Restore 1", BOB, DEV)).text
        done = await rig.press(buttons(shown), "Restore 1", receipt="once")
        assert done.text == "`company.team/ship` says again what it said in revision 1."
        assert await rig.press(buttons(shown), "Restore 1", receipt="once") == done
        assert "shipped" in file.read_text()
        assert rig.engine.flows.get("company.team", "ship").revision == 3
        told = await rig.engine.database.read(lambda c: chat_audit.about(c, "", heard=False))
        assert [(deed.action, deed.details) for deed in told if deed.action == "restore"] == [
            ("restore", {"revision": 1, "instead_of": 2})
        ]
        stale = await rig.say("restore ship 2", ANN, OPS)
        await rig.engine.deploy(PLAIN.replace("shipped", "sailed"), file=str(file))
        assert "changed meanwhile" in (await rig.press(buttons(stale), "Restore 2")).text
    finally:
        await rig.stop()
