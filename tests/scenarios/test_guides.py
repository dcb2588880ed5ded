"""The guides, followed word for word: what they say to type is typed, with the platforms' fakes behind it.

Nothing is repeated here that the pages say: steps, commands and files are read out of them. A block that a page adds
and nobody here carries out fails the last test.
"""

import asyncio
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass

import pytest
import yaml

from tests.scenarios.process import Parley
from tests.scenarios.test_up import words
from tests.shared import ROOT
from tests.wire.discord import BOT, CHANNEL, TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]

DOCS = ROOT / "bot" / "docs"
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


@dataclass
class Page:
    """A page of the documentation."""

    name: str

    @property
    def text(self) -> str:
        return (ROOT / self.name if self.name == "README.md" else DOCS / self.name).read_text(encoding="utf-8")

    def blocks(self, start: str = "", end: str = "") -> list[str]:
        """What stands in its code blocks, between two headings or from the beginning to the end."""
        after = self.text.partition(start)[2] if start else self.text
        within = after.partition(end)[0] if end else after
        return ["\n".join(line.strip() for line in text.splitlines()) for _, text in BLOCK.findall(within)]

    def step(self, number: int) -> str:
        """A numbered step of its list."""
        found = re.search(rf"^{number}\. (.*?)(?=^\d+\. |^`|^## |\Z)", self.text, re.DOTALL | re.MULTILINE)
        assert found, f"{self.name} has no step {number}"
        return found[1]


def code(text):
    """What a sentence says to type."""
    return re.findall(r"`([^`\n]+)`", text)


def run(line, cwd, env=None, timeout=60):
    """A command line of a guide, in a terminal; `parley` is the one under test."""
    words = shlex.split(line)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env = {**(env or {}), name: value}
    assert words.pop(0) == "parley", line
    given = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(cwd), **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        cwd=cwd, env=given, capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path):
    """A folder with the flow of the first guide in it."""
    (tmp_path / "flows").mkdir()
    text = next(text for kind, text in BLOCK.findall(Page("start.md").text) if kind == "yaml")
    assert "Put a file `flows/hello.yaml`" in Page("start.md").text
    (tmp_path / "flows" / "hello.yaml").write_text(text)
    return tmp_path


async def up(line, home, **env):
    """The bot as a guide starts it; when it is connected."""
    words = shlex.split(line)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    assert words == ["parley", "up"], line
    started = Parley(["up", "--port", "0"], home, env)
    await asyncio.to_thread(started.ready)
    return started


async def logged(started, text):
    async with asyncio.timeout(20):
        while text not in "".join(started.said):
            await asyncio.sleep(0.05)


async def test_slack_in_ten_minutes(slack, home):
    page = Page("slack.md")
    manifest_line, env_file, up_line = page.blocks("## Set up", "`parley doctor`")
    (card_line,) = page.blocks("`parley doctor`", "## Use it")

    # 1. Print the app's manifest; 2. paste it: Slack takes YAML.
    printed = await asyncio.to_thread(run, manifest_line, home)
    assert printed.returncode == 0
    app = yaml.safe_load(printed.stdout)
    # 3. and 4. Two tokens, by what they begin with; the app then has the scopes of its manifest.
    assert code(page.step(3)) == ["connections:write", "xapp-"]
    assert code(page.step(4)) == ["xoxb-"]
    assert BOT_TOKEN.startswith("xoxb-")
    assert APP_TOKEN.startswith("xapp-")
    slack.scopes = ",".join(app["oauth_config"]["scopes"]["bot"])
    command = app["features"]["slash_commands"][0]["command"]
    for scope in re.findall(r"^\| (`.*?) \|", page.text.partition("## Which scopes")[2].partition("## HTTP")[0], re.M):
        assert set(code(scope)) <= set(slack.scopes.split(",")), scope

    # 5. Put both into `.env` beside the flows.
    assert ".env" in code(page.step(5))
    (home / ".env").write_text(env_file.replace("xoxb-…", BOT_TOKEN).replace("xapp-…", APP_TOKEN))
    wire = {"PARLEY_SLACK_BASE_URL": f"{slack.url}/api/"}

    # `parley doctor` finds nothing wrong, and its card is pressed.
    looked = await asyncio.to_thread(run, "parley doctor", home, wire)
    assert (looked.returncode, "WRONG" in looked.stdout) == (0, False), looked.stdout
    testing = asyncio.create_task(asyncio.to_thread(run, card_line, home, wire))
    card = await slack.said("Press the button", channel="C1")
    await slack.connected()
    await slack.press("I see this", user="U1", message=card)
    tested = await testing
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "test card: ann (slack:U1) pressed it" in tested.stdout

    # 6. Start it: "the log names the workspace it is connected to".
    started = await up(up_line, home, **wire)
    try:
        await logged(started, "Wire")
        # 7. In a channel, invite it, then list the flows.
        invite, first = [one for one in code(page.step(7)) if one.startswith("/")]
        assert invite == f"/invite @{app['features']['bot_user']['display_name']}"
        assert first.startswith(command)
        await slack.connected()
        await slack.command(first)
        await slack.said("hello", user="U1", channel="C1")
        # "Use it": the lines a reader can type as they stand, and the run of a flow.
        for line in ("/flow list", "/flow pending"):
            assert line in code(page.text.partition("## Use it")[2])
            await slack.command(line)
        assert "/flow run <flow> name=value …" in code(page.text)
        await slack.command("/flow run hello who=Ada")
        await slack.until(lambda: [one for one in slack.public("C1") if "hello" in slack.text(one)], "the card")
        assert slack.refused == []
    finally:
        await asyncio.to_thread(started.stop)


async def test_discord_in_five_minutes(home):
    page = Page("discord.md")
    (invite_line,) = page.blocks("## 2. Invite the bot", "## 3. Start")
    up_line, card_line = page.blocks("## 3. Start", "## What people do")
    async with DiscordWire() as wire:
        # 2. The link asks for what the page says.
        invited = await asyncio.to_thread(run, invite_line, home)
        assert invited.returncode == 0
        asked = re.search(r"the number is `(\d+)`", page.text)[1]
        assert f"permissions={asked}" in invited.stdout
        for scope in re.search(r"the scopes `(\S+)` and\s+`(\S+)`", page.text).groups():
            assert scope in invited.stdout
        wire.guild["roles"][0]["permissions"] = asked
        wire.roles[BOT] = []
        env = {"PARLEY_DISCORD_BASE_URL": wire.base_url, "PARLEY_DISCORD_GATEWAY_URL": wire.gateway_url}

        # `parley doctor`, and its card.
        mine = {**env, "DISCORD_TOKEN": TOKEN}
        looked = await asyncio.to_thread(run, "parley doctor", home, mine)
        assert looked.returncode == 0, looked.stdout
        assert "Discord servers: Team" in looked.stdout
        testing = asyncio.create_task(asyncio.to_thread(run, card_line, home, mine))
        assert CHANNEL in card_line
        message = await wire.until(lambda: next(iter(wire.messages.values()), None), 30)
        await wire.until(lambda: wire.sessions, 30)
        button = next(part for row in walk(message["components"]) for part in [row] if "custom_id" in part)
        await wire.click(message["id"], button["custom_id"])
        tested = await testing
        assert tested.returncode == 0, tested.stdout + tested.stderr

        # 3. Start: "the log says who the bot is and in which servers"; then `/flow`, choose `run`.
        started = await up(up_line.replace("…", TOKEN), home, **env)
        try:
            await logged(started, "Discord: parley")
            await logged(started, "in Team")
            await wire.until(lambda: wire.commands)
            assert wire.commands[0]["name"] == "flow"
            assert "run" in [option["name"] for option in wire.commands[0]["options"]]
            # "What people do": the same from a mention, as the page writes it.
            said = next(line for line in code(page.text) if line.startswith("@Parley run"))
            await wire.say(said.replace("@Parley", f"<@{BOT}>"))
            await wire.until(lambda: [one for one in wire.messages.values() if "hello" in words(one)])
            assert wire.problems == []
        finally:
            await asyncio.to_thread(started.stop)


def walk(parts):
    for part in parts:
        yield part
        yield from walk(part.get("components", []))


async def test_the_first_steps(home):
    page = Page("start.md")
    demo_line, _ = page.blocks()
    assert demo_line == "parley demo"
    first = code(page.text.partition("opens a chat room")[2])
    assert first[:2] == ["http://localhost:8082", "/flow list"]
    demo = Parley([*shlex.split(demo_line)[1:], "--port", "0"], home)
    try:
        await asyncio.to_thread(demo.ready)
        from tests.web.conftest import Browser

        browser = Browser(demo.url)
        assert "tour/" in (await browser.say(first[1])).text
        await browser.client.aclose()
    finally:
        await asyncio.to_thread(demo.stop)
    (check,) = [line for line in code(page.text) if line.startswith("parley validate")]
    (go,) = [line for line in code(page.text) if line.startswith("parley run")]
    assert (await asyncio.to_thread(run, check, home)).returncode == 0
    assert "Hello Ada!" in (await asyncio.to_thread(run, go, home)).stderr


def test_what_the_readme_starts_is_what_the_guides_start(home):
    page = Page("README.md")
    for line in [line for block in page.blocks() for line in block.splitlines() if ".venv/bin/parley" in line]:
        words = shlex.split(line.rpartition("&&")[2].strip())
        assert words[-1] in ("demo", "up")
    printed = [line for line in code(page.text) if line.startswith("parley ")]
    ids = {
        "APPLICATION_ID": "123456789012345678",
        "NAMESPACE": "team",
        "KEY": "K",
        "VALUE": "v",
        "FILE": "flows/hello.yaml",
    }
    tried = 0
    for line in printed:
        if line.split()[1] not in ("slack", "discord", "validate", "schema", "plugins", "kv", "preview"):
            continue
        for word, given in ids.items():
            line = re.sub(rf"\b{word}\b", given, line)
        done = run(line, home)
        assert done.returncode == 0, (line, done.stderr)
        tried += 1
    assert tried >= 6


def test_every_block_of_the_guides_is_followed():
    """The tests above take the blocks of their sections one by one; there are no others."""
    assert [len(Page(name).blocks()) for name in ("slack.md", "discord.md", "start.md")] == [4, 3, 2]
