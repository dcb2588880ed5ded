"""Short words for long commands."""

import pytest
from sqlalchemy import select

from bot.commands.verbs import VERBS
from bot.conversation import Listing, Person, Room
from engine.store import audit_chain, chat_audit
from engine.store.chat_aliases import Alias, put
from engine.store.chat_tables import audit_private, receipts
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_commands import MANY, SECRET
from tests.bot.test_run_changes import ROLES


@pytest.fixture
async def kept(tmp_path):
    made = await Rig(tmp_path, roles=ROLES).start(PLAIN, MANY, SECRET)
    yield made
    await made.stop()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("alias st go 'run ship'", "Did you mean `set`?"),
        ("alias set", "Which name?"),
        ("alias set run 'run ship'", "`run` is a command, which no alias may hide"),
        ("alias set Große 'run ship'", "is no name for an alias"),
        ("alias set go 'rnu ship'", "must begin with a command. Did you mean `run`?"),
        ('alias set go "run ship \'x"', "never closed"),
        ("alias set go 'alias delete x'", "can't make aliases"),
        ("alias set go 'run token key=hidden'", "can't keep a secret"),
        ("alias set go run token key=hidden", "can't keep a secret"),
        ("alias delete go", "There is no alias `go`."),
    ],
)
async def test_what_cannot_be_an_alias_says_why(kept, typed, says):
    assert says in (await kept.say(typed)).text
    written = await kept.engine.database.read(lambda c: [*_all(c, audit_private), *_all(c, receipts)])
    assert written
    assert "hidden" not in repr(written)


def _all(connection, table):
    return connection.execute(select(table)).all()


async def test_an_alias_stands_for_a_command_with_more_behind_it(kept):
    assert "can't manage" in (await kept.say("alias set go 'run many name=Ann'", BOB, DEV)).text
    made = await kept.say("alias set go 'run many name=Ann'", receipt="once")
    assert made.text == "`/flow go` stands for `/flow run many name=Ann`."
    assert await kept.say("alias set go 'run many name=Ann'", receipt="once") == made
    listing = await kept.say("alias list")
    assert isinstance(listing, Listing)
    assert [(row.title, "by Ann" in row.text) for row in listing.rows] == [("go", True)]
    assert (await kept.say("go count=4")).text.startswith("Started `many`")
    assert (await kept.say("GO count=4")).text.startswith("Started `many`")
    assert (await kept.say("run go count=5")).text.startswith("Started `many`"), "as Discord's fixed commands say it"
    assert "stands for `/flow run many name=Ann`" in (await kept.say("help go")).text
    assert "Aliases here: `go`" in (await kept.say("help")).text
    assert "Did you mean `go`?" in (await kept.say("goo")).text
    runs = await kept.engine.executions(limit=3)
    assert sorted(run.inputs["count"] for run in runs) == [4, 4, 5]
    told = await kept.engine.database.read(lambda c: chat_audit.about(c, "slack:T1/go"))
    assert [(deed.action, deed.details) for deed in told] == [("alias set", {"command": "run many name=Ann"})]


async def test_an_alias_holds_in_its_workspace_and_gives_nobody_more(kept):
    await kept.say("alias set wipe 'bulk delete --flow=ship'")
    assert (
        "can't manage" in (await kept.say("wipe", BOB, OPS)).text
        or "No run fits" in (await kept.say("wipe", BOB, OPS)).text
    )
    assert (await kept.say("wipe", ANN, Room("slack", "C1", workspace="T2"))).code == "E01"
    assert (await kept.say("wipe", BOB, DEV)).code == "E01"
    assert "stands for nothing" in (await kept.say("alias delete wipe")).text
    assert (await kept.say("wipe")).code == "E01"
    assert "No aliases here yet" in (await kept.say("alias list")).text


async def test_a_command_that_comes_later_is_not_hidden_by_an_alias(kept, monkeypatch):
    """An alias made before a release that uses its name for a command of its own."""
    await kept.say("alias set go 'run ship'")
    monkeypatch.setitem(VERBS, "go", VERBS["whoami"])
    assert "You are" in (await kept.say("go")).text


async def test_there_is_a_most_of_aliases(kept, monkeypatch):
    monkeypatch.setattr("bot.commands.aliases.MOST", 2)
    for name in ("one", "two"):
        assert "stands for" in (await kept.say(f"alias set {name} list")).text
    assert "2 aliases here already" in (await kept.say("alias set three list")).text
    assert "stands for" in (await kept.say("alias set two runs")).text
    assert "longer than 1000" in (await kept.say(f"alias set two 'list {'x' * 1000}'")).text
    assert "stands for" in (await kept.say(f"alias set two 'list {'x' * 995}'")).text


@pytest.mark.parametrize(
    "room", [Room("slack", "DU1", None, "T1", is_direct=True), Room("discord", "55", is_direct=True)]
)
async def test_direct_messages_take_every_word_and_aliases(rig, room):
    person = ANN if room.platform == "slack" else BOB
    assert "stands for" in (await rig.say("alias set go 'run ship'", person, room)).text
    assert (await rig.say("go", person, room)).text.startswith("Started `ship`")
    for verb in VERBS:
        said = await rig.say(verb, person, room)
        assert "I don't know" not in getattr(said, "text", ""), verb


async def test_an_alias_of_discords_direct_messages_is_for_who_made_it(rig):
    mine, theirs = Room("discord", "55", is_direct=True), Room("discord", "56", is_direct=True)
    zoe = Person("discord:8", "Zoe", "discord", "<@8>")
    assert "stands for" in (await rig.say("alias set go 'run ship'", BOB, mine)).text
    assert "I don't know `go`" in (await rig.say("go", zoe, theirs)).text
    assert "There is no alias `go`" in (await rig.say("alias delete go", zoe, theirs)).text
    assert "No aliases here" in (await rig.say("alias list", zoe, theirs)).text
    assert await rig.desk.complete("alias", "", zoe.id, theirs, 25) == ()
    assert "stands for" in (await rig.say("alias set go 'list'", zoe, theirs)).text
    assert (await rig.say("go", BOB, mine)).text.startswith("Started `ship`")
    assert [one.value for one in await rig.desk.complete("alias", "", BOB.id, mine, 25)] == ["go"]
    assert not getattr(await rig.say("go", zoe, theirs), "text", "").startswith("Started")
    assert await rig.desk.storable("go with=more", mine, BOB) == "go with=more"
    assert "stands for nothing" in (await rig.say("alias delete go", zoe, theirs)).text
    assert (await rig.say("go", BOB, mine)).text.startswith("Started `ship`")
    # What can't be taken out of the record again names no account.
    rows = await rig.engine.database.read(lambda c: list(audit_chain.export(c)))
    assert {row["entity"] for row in rows if row["action"] == "alias set"} == {"discord:/go"}


async def test_aliases_once_made_in_discord_for_everybody_are_their_makers(tmp_path):
    first = await Rig(tmp_path).start(PLAIN)
    old = Alias("discord:", "go", "run ship", BOB.id, first.engine.clock.now())
    await first.engine.database.transact(lambda unit: put(unit.connection, old))
    await first.stop()
    rig = await Rig(tmp_path).start(PLAIN)
    try:
        direct = Room("discord", "55", is_direct=True)
        assert (await rig.say("go", BOB, direct)).text.startswith("Started `ship`")
        zoe = Person("discord:8", "Zoe", "discord", "<@8>")
        assert "I don't know `go`" in (await rig.say("go", zoe, direct)).text
    finally:
        await rig.stop()


async def test_a_slack_alias_holds_in_direct_messages_and_one_of_a_discord_server_in_that_server(rig):
    for person, room in ((ANN, OPS), (BOB, Room("discord", "900", workspace="G1"))):
        await rig.say("alias set go 'run ship'", person, room)
    direct = Room("slack", "DU1", None, "T1", is_direct=True)
    assert (await rig.say("go", ANN, direct)).text.startswith("Started `ship`")
    assert "I don't know `go`" in (await rig.say("go", BOB, Room("discord", "55", is_direct=True))).text
