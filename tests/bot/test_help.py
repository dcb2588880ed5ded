"""Help: what this person may do, with examples that can be copied and mean what they say."""

import re

import pytest

from bot.commands.grammar import parse
from bot.commands.manual import MANUAL, PARTS, unknown_flag
from bot.commands.verbs import CALLED, SYNONYMS, VERBS
from bot.explaining.section import ExplainSection
from bot.findings import Finding
from bot.people.roles import Role
from tests.bot.rig import ANN, BOB, DEV, OPS, PAGE, PLAIN, WEB, Rig
from tests.bot.test_commands import MANY
from tests.bot.test_run_changes import ROLES
from tests.shared import ROOT

ONLY_SEES = Role.model_validate({"name": "guests", "members": ["local:eve"], "may": [{"do": ["see"]}]})


def test_every_word_is_in_the_manual_and_the_other_way_round():
    assert {SYNONYMS.get(verb, verb) for verb in VERBS} - {"", "menu"} == set(MANUAL)


@pytest.mark.parametrize(
    ("verb", "example"), [(verb, example) for verb, one in MANUAL.items() for example in one.examples]
)
def test_every_example_can_be_typed(verb, example):
    line = parse(example)
    assert SYNONYMS.get(line.verb, line.verb) == verb


async def test_help_shows_what_one_may_do_and_no_more(tmp_path):
    rig = await Rig(tmp_path, roles=(*ROLES, ONLY_SEES)).start(PLAIN, MANY)
    try:
        mine, theirs = (await rig.say("help")).text, (await rig.say("help", BOB, DEV)).text
        for verb in ("delete", "bulk", "force", "mark", "restore", "doctor"):
            assert f"`/flow {verb} " in mine or f"`/flow {verb}`" in mine, verb
            assert f"`/flow {verb}" not in theirs, verb
        assert "`/flow-manage labels " in theirs, "Bob is on Discord"
        for verb in ("run", "kill", "pause", "restart"):
            assert f"`/flow {verb} " in theirs, verb
        assert "You may do that with no flow here." in (await rig.say("help delete", BOB, DEV)).text
        told = (await rig.say("help /run")).text
        assert told.count("- `/flow run ") == len(MANUAL["run"].examples) > 2
        assert "Did you mean `replay`?" in (await rig.say("help relpay")).text
        assert (await rig.say("help many")).entity == "company.forms/many"
        assert (await rig.say("delet x")).text.startswith("I don't know `delet`. Did you mean `delete`?")
    finally:
        await rig.stop()


async def test_help_has_parts_and_none_that_is_empty(tmp_path):
    rig = await Rig(tmp_path, roles=(*ROLES, ONLY_SEES)).start(PLAIN)
    try:
        mine, theirs = (await rig.say("help")).text, (await rig.say("help", WEB, PAGE)).text
        assert re.findall(r"\*\*(.+)\*\*", mine) == list(PARTS.values())
        assert "/flow run " not in theirs
        assert not re.search(r"\*\*\n(?!- )", theirs)
        assert "**You**\n- `/flow link " in theirs
    finally:
        await rig.stop()


async def test_wait_answers_with_the_end_or_the_question(rig):
    await rig.engine.deploy(MANY)
    card = await rig.say("run many name=x --wait", ANN, OPS)
    assert (card.kind, card.tone) == ("run", "success")
    card = await rig.say("run ship --wait", ANN, OPS)
    assert (card.kind, card.tone) == ("run", "paused")


async def test_doctor_is_for_those_who_manage(tmp_path):
    rig = await Rig(tmp_path, roles=ROLES).start(PLAIN)
    try:
        assert "can't manage" in (await rig.say("doctor", BOB, DEV)).text
        assert "`parley doctor`" in (await rig.say("doctor")).text

        async def examine():
            return [Finding("git", "hint", "git is not installed."), Finding("Slack", "wrong", "No token.", "Set it.")]

        rig.desk.office.examine = examine
        rows = (await rig.say("doctor")).rows
        assert [row.title for row in rows] == ["Slack: wrong", "git: hint"]
        assert "Set it." in rows[0].text
    finally:
        await rig.stop()


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path, explain=ExplainSection(provider="ollama", model="tiny")).start(PLAIN)
    yield made
    await made.stop()


async def test_a_flag_a_command_does_not_have_is_refused_and_nothing_done(rig):
    for verb in MANUAL:
        said = await rig.say(f"{verb} ship --nonsense=x")
        assert said.text.startswith("There is no `--nonsense` here. Usage: `/flow "), (verb, said)
    assert await rig.engine.executions() == []


async def test_a_mistyped_flag_is_not_passed_over(rig):
    await rig.say("run ship --quiet")
    said = await rig.say("replay last --form=after")
    assert said.text.startswith("There is no `--form` here. Did you mean `from`?")
    assert len(await rig.engine.executions()) == 1


@pytest.mark.parametrize(("said", "meant"), CALLED.items())
def test_words_of_other_programs_are_no_words_of_ours_but_known(said, meant):
    assert said not in VERBS
    assert meant.split()[0] in VERBS


async def test_words_of_other_programs_are_understood(rig):
    assert (await rig.say("cancel last")).text == "I don't know `cancel`. Did you mean `kill`? Try `/flow help`."
    assert "Did you mean `restart`?" in (await rig.say("retry last")).text


LINES = [
    pytest.param(found.partition(" ")[2], id=f"{page.stem}-{found}")
    for page in [ROOT / "README.md", *sorted((ROOT / "bot" / "docs").glob("*.md"))]
    for found in re.findall(r"`((?:/flow|@[Pp]arley) [^`]+)`", page.read_text(encoding="utf-8"))
    if found != "@parley …"
]


@pytest.mark.parametrize("text", LINES)
def test_what_the_documentation_says_to_type_is_understood(text):
    line = parse(text)
    verb = SYNONYMS.get(line.verb, line.verb)
    if verb != "ship-it":  # the alias of the guide
        assert verb in MANUAL
        assert unknown_flag(verb, line.flags) is None
