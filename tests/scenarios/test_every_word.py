"""Every word of the command line, on Slack, on Discord and in the room of the page: as a slash command, to the bot by
name in a thread, and in a direct conversation. The desk, the engine and the front ends are real."""

import html
import json
import re
from contextlib import asynccontextmanager

import discord
import pytest
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.commands.grammar import Line, parse, write
from bot.commands.verbs import SYNONYMS, VERBS
from bot.discord import commands, manage_commands
from bot.discord.client import DiscordFrontEnd
from bot.discord.payloads import _FLAGS, _PLACES, command_text
from bot.explaining.section import ExplainSection
from bot.slack.app import SlackFrontEnd
from tests.bot.rig import PLAIN, Rig
from tests.web.conftest import Browser, running
from tests.wire.discord import TOKEN, DiscordWire
from tests.wire.discord_rules import walk
from tests.wire.discord_values import account
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]

MODEL = ExplainSection(provider="openai", model="small", base_url="http://127.0.0.1:9/v1")
# What is typed, in this order, and something of the answer.
LINES = (
    ("", "Start a flow, answer what waits for you"),
    ("run ship --quiet", "Started ship"),
    ("list", "company.team/ship"),
    ("list shi --ns=company", "company.team/ship"),
    ("show ship", "Revision"),
    ("status", "waiting for an answer"),
    ("runs", "My runs"),
    ("runs ship", "Runs of ship"),
    ("watch last", "is followed here"),
    ("unwatch last", "no longer followed here"),
    ("watch last --stop", "is not followed here"),
    ("logs last --level=ERROR --tail=5 --grep=x", "has no such lines yet"),
    ("explain last", "there is no failure to explain"),
    ("files last", "made no files"),
    ("pending --all", "Waiting for an answer"),
    ("snooze last 1h", "again"),
    ("delegate last nobody", "who decides instead of you?"),
    ("labels last", "has no labels"),
    ("audit last", "Record of ship"),
    ("pause last", "Only what runs can pause"),
    ("force last", "waits for no date and no turn"),
    ("mark last SUCCESS", "You can only change the status of a terminated execution"),
    ("mark last SUCCESS --task=wait", "asks people"),
    ("delete last", "Stop it first"),
    ("resume last", "Approved."),
    ("approve last fine", "lready"),
    ("reject last", "lready"),
    ("answer last", "lready"),
    ("kill last", "nothing to stop"),
    ("restart last", "No task found to restart execution from"),
    ("replay last --from=nothing", "has no task nothing"),
    ("bulk labels seen=yes --flow=ship", "will be labelled"),
    ("revisions ship", "Revisions of ship"),
    ("restore ship 1", "is the newest already"),
    ("schedule list", "Nothing is scheduled"),
    ("schedule add ship 'every weekday at 9:00'", "Run company.team/ship, every weekday at 9:00"),
    ("kv list company.team", "keeps no values"),
    ("kv set company.team greeting 'Good morning'", "Set greeting"),
    ("alias list", "No aliases here yet"),
    ("alias set go 'run ship --quiet'", "stands for"),
    ("run go", "Started ship"),
    ("settings", "Settings of this room"),
    ("doctor", "on the machine of the bot"),
    ("link", "link"),
    ("unlink", "is linked with no other"),
    ("web", "no web address that you could open"),
    ("whoami", "You are"),
    ("help", "/flow run"),
    ("help run", "For example"),
)
ONLY_TYPED = (("", "Start a flow"), ("go", "Started ship"), ("rnu ship", "Did you mean run"))


def test_no_word_is_left_out():
    assert {SYNONYMS.get(parse(line).verb, parse(line).verb) for line, _ in LINES} | {"menu", "flows", "log"} >= {
        SYNONYMS.get(verb, verb) for verb in VERBS
    }


def bare(text: str) -> str:
    """What is read, without the marks of any platform."""
    return re.sub(r"\\(?=[_*~`#|<>\[\]])|[`*\u200b]", "", html.unescape(text))


# Slack


@pytest.mark.parametrize("way", ["command", "thread", "direct"])
async def test_on_slack(slack, tmp_path, way):
    rig = Rig(tmp_path, explain=MODEL)
    rig.slack = SlackFrontEnd(BOT_TOKEN, APP_TOKEN, base_url=f"{slack.url}/api/", inbox=tmp_path / "inbox", grace=2)
    await rig.start(PLAIN)
    thread = slack.write("a thread", channel="C1").ts if way == "thread" else None
    try:
        for line, expected in (*LINES, *ONLY_TYPED):
            if not line and way != "command":
                continue
            before = len(slack.visible(user="U1"))
            if way == "thread":
                expected = expected.replace("/flow", "@parley")
            if way == "command":
                await slack.command(f"/flow {line}".strip())
            elif way == "thread":
                await slack.mention(line, channel="C1", thread=thread)
            else:
                await slack.direct(line)
            await slack.until(
                lambda e=expected, b=before: [
                    one for one in slack.visible(user="U1")[b:] if e in bare(slack.text(one))
                ],
                f"{expected!r} to {line!r}: {[bare(slack.text(one)) for one in slack.visible(user='U1')[before:]]}",
            )
        assert slack.refused == []
    finally:
        await rig.slack.stop()
        await rig.stop()


# Discord


def told():
    """Subcommands by name: the group they stand in, and the names of their options."""

    async def nothing(*_):
        return []

    tree = app_commands.CommandTree(discord.Client(intents=discord.Intents.none()))
    groups = [commands.group(nothing, nothing), manage_commands.manage_group(nothing, nothing, explains=True)]
    for made in groups:
        tree.add_command(made)
    sent = json.loads(json.dumps([one.to_dict(tree) for one in groups]))
    return {
        one["name"]: (group["name"], {option["name"] for option in one["options"]})
        for group in sent
        for one in group["options"]
    }


SUBCOMMANDS = told()


def chosen(text: str) -> tuple[str, dict]:
    """A command as it is put together on Discord: its group, and the data of the interaction."""
    line = parse(text)
    group, options = SUBCOMMANDS[line.verb]
    flagged = _FLAGS.get(line.verb, frozenset())
    places = [name for name in _PLACES if name in options and name not in flagged]
    given = dict(zip(places, (word.text for word in line.words), strict=False))
    left = {name: value for name, value in line.flags.items() if name not in options}
    given |= {name: value for name, value in line.flags.items() if name in options}
    if typed := write(Line("", line.words[len(places) :], line.pairs, left)):
        given["inputs"] = typed
    types = {str: 3, bool: 5}
    shown = [{"name": name, "type": types[type(value)], "value": value} for name, value in given.items()]
    data = {"id": "5", "name": group, "type": 1, "options": [{"name": line.verb, "type": 1, "options": shown}]}
    again = parse(command_text({"data": data}))
    assert (again.verb, again.words, again.pairs, again.flags) == (line.verb, line.words, line.pairs, line.flags)
    return group, data


@asynccontextmanager
async def on_discord(tmp_path):
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        rig = Rig(tmp_path, explain=MODEL)
        rig.discord = DiscordFrontEnd(TOKEN, explains=True, base_url=wire.base_url, gateway_url=wire.gateway_url)
        await rig.start(PLAIN)
        wire.front = rig.discord
        yield wire
        await rig.discord.stop()
        await rig.stop()
        assert wire.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


def words(payload) -> str:
    found = [payload.get("content") or ""]
    for component in payload.get("components") or []:
        for each in walk(component):
            found += [str(each[key]) for key in ("content", "label") if each.get(key)]
    return bare("\n".join(found))


async def test_on_discord(tmp_path):
    async with on_discord(tmp_path) as wire:
        for line, expected in LINES:
            verb = parse(line).verb
            if not line or verb == "unwatch":  # there `watch` has an option for it; a group is no command by itself
                line = "watch last --stop" if line else "help"
                expected = "followed here" if "watch" in line else "/flow run"
            if verb == "delegate":
                line, expected = "delegate last <@42>", "That is yourself"
            _, data = chosen(line)
            if verb == "delegate":
                data["options"][0]["options"][1] |= {"type": 6, "value": "42"}
                data["resolved"] = {"users": {"42": account("42")}}
            interaction = await wire.interact(2, data)
            try:
                await wire.until(lambda i=interaction, e=expected: any(e in words(one) for one in answers(wire, i)), 20)
            except TimeoutError:
                raise AssertionError(f"{line!r} was answered by {answers(wire, interaction)}") from None


def answers(wire, interaction):
    token = wire._interactions[interaction]["token"]
    bodies = [call.json for call in wire.calls if f"/{token}" in call.path and 200 <= call.status < 300]
    return [body.get("data") or body for body in bodies]


async def test_to_the_bot_by_name_on_discord(tmp_path):
    async with on_discord(tmp_path) as wire:
        for line, expected in (*LINES, *ONLY_TYPED):
            before = len(wire.bodies("POST", "/messages$"))
            await wire.say(f"<@100000000000000001> {line}")
            try:
                await wire.until(
                    lambda b=before, e=expected: any(e in words(one) for one in wire.bodies("POST", "/messages$")[b:]),
                    20,
                )
            except TimeoutError:
                raise AssertionError(f"{line!r}: {wire.bodies('POST', '/messages$')[before:]}") from None


# The room of the page


async def test_on_the_page(tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "ship.yaml").write_text(PLAIN)
    async with running(tmp_path, flows=flows, settings={"explain": MODEL}) as app:
        browser = Browser(app.url)
        try:
            for line, expected in (*LINES, *ONLY_TYPED):
                expected = {"doctor": "Set-up", "web": "You are on the page already"}.get(line, expected)
                before = _shown(await browser.get("/")).count(expected)
                page = await browser.say(f"/flow {line}".strip())
                assert page.status_code == 200
                assert _shown(page).count(expected) > before, (line, _shown(page)[-800:])
        finally:
            await browser.client.aclose()


def _shown(page) -> str:
    room = page.text.partition('<ol class="messages"')[2]
    return bare(re.sub(r"<[^>]+>", "", room))
