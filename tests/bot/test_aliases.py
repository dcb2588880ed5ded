"""Short words for long commands."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.commands.verbs import VERBS
from bot.conversation import Command, Listing, Person, Room
from engine.store import audit_chain, chat_audit
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
        is_known = "I don't know" not in getattr(said, "text", "")
        assert is_known is (verb != "explain"), verb  # without a model nothing is explained


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


async def test_a_slack_alias_holds_in_direct_messages_and_one_of_a_discord_server_in_that_server(rig):
    for person, room in ((ANN, OPS), (BOB, Room("discord", "900", workspace="G1"))):
        await rig.say("alias set go 'run ship'", person, room)
    direct = Room("slack", "DU1", None, "T1", is_direct=True)
    assert (await rig.say("go", ANN, direct)).text.startswith("Started `ship`")
    assert "I don't know `go`" in (await rig.say("go", BOB, Room("discord", "55", is_direct=True))).text


async def test_of_one_name_ones_own_wins_then_the_channels_then_everybodys(kept):
    other = Room("slack", "C9", workspace="T1")
    for said in ("alias set go 'run many name=All'", "alias set go 'run many name=Here' --here"):
        assert "stands for" in (await kept.say(said)).text
    assert (await kept.say("alias set go run many name=Mine --mine")).text == (
        "`/flow go` stands for `/flow run many name=Mine` for you."
    )
    for person, room, name in ((ANN, OPS, "Mine"), (ANN, other, "Mine"), (BOB, OPS, "Here"), (BOB, other, "All")):
        at = Room(room.platform, room.channel, workspace="T1")
        stands = (await kept.say("help go", person, at)).text
        assert f"name={name}`" in stands, (person.name, room.channel)
    rows = (await kept.say("alias list")).rows
    assert [(row.title, "yours" in row.text) for row in rows] == [("go", True)]
    for left in ("name=Here", "name=All"):
        assert f"stands for `/flow run many {left}` again." in (await kept.say("alias delete go")).text
    assert "stands for nothing" in (await kept.say("alias delete go")).text
    assert (await kept.say("go")).code == "E01"


async def test_an_alias_of_ones_own_needs_no_right_and_shows_nobody(kept):
    made = await kept.desk.command(Command("alias set mine list --mine", BOB, DEV, "mine-once"))
    assert (made.public, "for you" in made.body.text) == (False, True)
    assert "can't manage" in (await kept.say("alias set ours list --here", BOB, DEV)).text
    assert "Not both" in (await kept.say("alias set both list --here --mine")).text
    assert "No aliases here" in (await kept.say("alias list")).text
    assert (await kept.say("mine")).code == "E01"
    assert "can't manage" in (await kept.say("alias delete mine --here", BOB, DEV)).text
    assert "stands for nothing" in (await kept.say("alias delete mine", BOB, DEV)).text


@pytest.mark.parametrize("elsewhere", [Room("discord", "900", workspace="G1"), Room("web", "room"), Room("cli", "")])
async def test_an_alias_of_ones_own_goes_along_to_linked_accounts(rig, elsewhere):
    known = {"slack": ANN, "discord": Person("discord:5", "Ann", "discord", "<@5>")}
    code_ = (await rig.say("link", known["slack"], OPS)).text.split("`/flow link ")[1].split("`")[0]
    await rig.say(f"link {code_}", known["discord"], Room("discord", "900", workspace="G1"))
    assert "stands for" in (await rig.say("alias set go 'run ship' --mine", ANN, OPS)).text
    person = known["discord"] if elsewhere.platform == "discord" else replace(ANN, platform=elsewhere.platform)
    assert (await rig.say("go", person, elsewhere)).text.startswith("Started `ship`")
    assert "stands for nothing" in (await rig.say("alias delete go", person, elsewhere)).text


@pytest.mark.parametrize("room", [OPS, Room("discord", "900", workspace="G1"), Room("web", "room")])
async def test_every_place_has_aliases_of_a_channel(rig, room):
    asks = BOB if room.platform == "discord" else ANN
    assert "in this channel" in (await rig.say("alias set go 'run ship' --here", asks, room)).text
    assert (await rig.say("go", asks, room)).text.startswith("Started `ship`")
    assert (await rig.say("go", asks, replace(room, thread="t1"))).text.startswith("Started `ship`")
    assert (await rig.say("go", asks, replace(room, channel="other"))).code == "E01"
    assert await rig.desk.storable("go with=more", room, asks) == "go with=more"


async def test_a_secret_of_an_own_alias_is_kept_nowhere(kept):
    assert "can't keep a secret" in (await kept.say("alias set go 'run token key=hidden' --mine")).text
    stored = await kept.desk.storable("alias set go 'run token key=hidden' --mine", OPS, ANN)
    assert "hidden" not in stored
    assert "--mine" in stored
