"""The commands Discord is told of: within its limits, and each a command that people elsewhere type."""

import json

import discord
import pytest
from discord import app_commands

from bot.commands.grammar import parse
from bot.commands.manual import MANAGING, MANUAL
from bot.commands.verbs import SYNONYMS, VERBS
from bot.discord import commands, manage_commands
from bot.discord.payloads import command_text
from tests.wire.discord_rules import _weight, problems
from tests.wire.discord_spec import judge

COMMANDS = ("PUT", "/applications/1/commands")
FILLED = {"task": "build", "state": "FAILED", "colleague": "42", "file": "9"}


async def _nothing(*_):
    return []


@pytest.fixture(scope="module")
def told():
    """What a sync sends."""
    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    for made in (commands.group(_nothing, _nothing), manage_commands.manage_group(_nothing, _nothing, explains=True)):
        tree.add_command(made)
    tree.add_command(commands.message_menu(_nothing))
    return json.loads(json.dumps([one.to_dict(tree) for one in tree.get_commands()]))


def test_discord_takes_them(told):
    assert problems(*COMMANDS, told) == []
    assert judge(*COMMANDS, told) == []
    assert {one["name"]: len(one.get("options", ())) for one in told} == {
        "flow": 25, "flow-manage": len(told[1]["options"]), "Run flow with this message": 0,
    }  # fmt: skip
    assert all(_weight(one) <= 8000 for one in told)


def test_the_judge_knows_the_limits():
    def of(**more):
        return [{"name": "flow", "description": "d", "type": 1, **more}]

    def sub(number, text="d"):
        return {"name": f"s{number}", "description": text, "type": 1}

    assert problems(*COMMANDS, of(options=[sub(n) for n in range(25)])) == []
    assert problems(*COMMANDS, of(options=[sub(n) for n in range(26)]))
    long = of(options=[{**sub(n), "options": [sub(m, "x" * 98) for m in range(4)]} for n in range(20)])
    assert _weight(long[0]) > 8000
    while _weight(long[0]) > 8000:
        long[0]["options"].pop()
    room = 8000 - _weight(long[0])
    long[0]["description"] += "y" * min(room, 99)
    last = long[0]["options"][-1]
    last["description"] += "z" * (8000 - _weight(long[0]))
    assert _weight(long[0]) == 8000
    assert not [one for one in problems(*COMMANDS, long) if "characters in all" in one]
    last["description"] += "z"
    assert any("8001 characters in all" in one for one in problems(*COMMANDS, long))
    menu = {"name": "x" * 32, "type": 3}
    assert problems(*COMMANDS, [menu]) == []
    assert problems(*COMMANDS, [{**menu, "name": "x" * 33}])
    assert problems(*COMMANDS, [{**menu, "description": "d"}])


def test_the_library_takes_no_26th_subcommand():
    full = commands.group(_nothing, _nothing)
    with pytest.raises(ValueError, match="maximum number of child commands"):

        @full.command(name="more", description="d")
        async def more(interaction: discord.Interaction) -> None:
            """One too many."""


def test_every_command_is_there_with_words_that_are_read_elsewhere(told):
    seen = set()
    for one in told[:2]:
        for command in one["options"]:
            given = [
                {"name": option["name"], "type": option["type"], "value": _value(option)}
                for option in command["options"]
            ]
            text = command_text({"data": {"name": one["name"], "type": 1, "options": [{**command, "options": given}]}})
            line = parse(text)
            seen.add(SYNONYMS.get(line.verb, line.verb))
            assert line.verb == command["name"]
            assert line.verb in VERBS
    assert seen == set(MANUAL)
    assert {command["name"] for command in told[1]["options"]} == MANAGING, "help names the group that has a word"


def _value(option):
    if option["type"] == 5:
        return True
    if option["type"] == 6:
        return "42"
    if choices := option.get("choices"):
        return choices[0]["value"]
    return FILLED.get(option["name"], "team=web" if option["name"] == "inputs" else f"my {option['name']}")


@pytest.mark.parametrize(
    ("group", "name", "options", "text"),
    [
        ("flow", "runs", {}, "runs"),
        ("flow", "runs", {"flow": "a/deploy"}, "runs a/deploy"),
        ("flow", "restart", {"run": "01JR"}, "restart 01JR"),
        ("flow", "replay", {"run": "01JR", "from": "build", "edit": True}, "replay 01JR --from=build --edit"),
        ("flow", "logs", {"run": "01JR", "task": "build", "grep": "x y"}, 'logs 01JR build --grep="x y"'),
        ("flow", "watch", {"run": "01JR", "stop": True}, "watch 01JR --stop"),
        ("flow", "watch", {"run": "01JR", "stop": False}, "watch 01JR"),
        (
            "flow", "schedule",
            {"action": "add", "schedule": "a/deploy", "inputs": '"every weekday at 9:00" env=test'},
            'schedule add a/deploy "every weekday at 9:00" env=test',
        ),
        ("flow-manage", "mark", {"run": "01JR", "state": "SUCCESS", "task": "build"}, "mark 01JR SUCCESS --task=build"),
        (
            "flow-manage", "bulk",
            {"action": "mark", "to": "FAILED", "flow": "a/deploy", "state": "SUCCESS", "until": "2026-01-31"},
            "bulk mark FAILED --flow=a/deploy --state=SUCCESS --until=2026-01-31",
        ),
        ("flow-manage", "restore", {"flow": "a/deploy", "revision": "3"}, "restore a/deploy 3"),
        (
            "flow-manage", "alias", {"action": "set", "name": "go", "command": "run deploy env=prod"},
            'alias set go "run deploy env=prod"',
        ),
        ("flow-manage", "kv", {"action": "get", "namespace": "a", "key": "k"}, "kv get a k"),
        ("flow-manage", "settings", {"inputs": "card=thread"}, "settings card=thread"),
    ],
)  # fmt: skip
def test_options_stand_where_the_grammar_has_them(group, name, options, text):
    types = {str: 3, bool: 5}
    given = [{"name": key, "type": types[type(value)], "value": value} for key, value in options.items()]
    data = {"name": group, "type": 1, "options": [{"name": name, "type": 1, "options": given}]}
    assert command_text({"data": data}) == text


def test_a_person_is_mentioned():
    given = [{"name": "pause", "type": 3, "value": "01JP"}, {"name": "colleague", "type": 6, "value": "42"}]
    data = {"name": "flow", "type": 1, "options": [{"name": "delegate", "type": 1, "options": given}]}
    assert parse(command_text({"data": data})).word(1) == "<@42>"
