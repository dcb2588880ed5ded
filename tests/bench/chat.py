"""Figures of the bot with Slack and Discord connected, on loopback servers that speak their protocols."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core.state import State
from tests.bench.rig import NAMESPACE, fanout, percentile
from tests.bench.rows import Limits, Row, row
from tests.bench.server import Line, Server, ended, served
from tests.wire.discord import TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.wire.slack import serve as slack_workspace

KEY = "bench-key-0123456789"
HOOK = f"triggers:\n  - id: in\n    type: io.kestra.plugin.core.trigger.Webhook\n    key: {KEY}\n"
STEP = "  - {id: s%d, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.02S}\n"
RUNS = 200
ITEMS = 1000


def _busy() -> tuple[str, str]:
    """A flow of ten steps that a worker runs, and one of a thousand items."""
    steps = "".join(STEP % number for number in range(10))
    return f"id: steps\nnamespace: {NAMESPACE}\ntasks:\n{steps}{HOOK}", fanout("items", "return", ITEMS) + HOOK


@asynccontextmanager
async def connected(folder: Path, *flows: str) -> AsyncIterator[tuple[Server, FakeSlack]]:
    """`parley up` with both chats connected."""
    workspaces = slack_workspace()
    slack = await anext(workspaces)
    try:
        async with DiscordWire() as discord:
            env = {
                "SLACK_BOT_TOKEN": BOT_TOKEN,
                "SLACK_APP_TOKEN": APP_TOKEN,
                "PARLEY_SLACK_BASE_URL": f"{slack.url}/api/",
                "DISCORD_TOKEN": TOKEN,
                "PARLEY_DISCORD_BASE_URL": discord.base_url,
                "PARLEY_DISCORD_GATEWAY_URL": discord.gateway_url,
                "PARLEY_CHAT__DEFAULT_ROOMS": json.dumps(["slack:C1"]),
            }
            async with served(folder, *flows, env=env) as server:
                await slack.connected()
                await discord.until(lambda: discord.sessions, 30)
                yield server, slack
    finally:
        await workspaces.aclose()


async def chats(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Memory with both chats connected; and how soon a slash command is acknowledged while 200 runs of ten steps and
    one of a thousand items are going: until all have ended, and no longer. The limit is the lone commit before it."""
    turns = 1 if quick else 4
    async with connected(folder / "compiling"):
        pass  # the modules are compiled from now on
    async with connected(folder / "bot", *_busy()) as (server, slack):
        await asyncio.sleep(1.0)
        yield row("chat", "memory", server.mb, "MB", 1, must=150.0, aim=120.0, more_is_better=False)
        times = []
        for _ in range(turns):
            line = await Line(server.url).open()
            await line.post(f"/api/v1/executions/webhook/{NAMESPACE}/items/{KEY}", "{}")
            hooks = [await Line(server.url).open() for _ in range(20)]
            load = asyncio.gather(*(_keep_starting(hook, RUNS // 20) for hook in hooks))
            while not load.done() or await asyncio.to_thread(_is_going, server.data):
                heard = await slack.deliver("slash_commands", slack.slash_payload("/flow list"), acked_within=60.0)
                times.append((heard.seconds or 0.0) * 1000)
                await asyncio.sleep(0.02)
            await load
            line.close()
    for share in (50, 99):
        promised = {"must": 100.0, "aim": 30.0} if share == 99 else {}
        yield row(
            "chat",
            f"command acknowledged, p{share}",
            percentile(times, share),
            "ms",
            len(times),
            limit=1000 / limits.lone,
            scale=limits.scale,
            more_is_better=False,
            **promised,
        )


def _is_going(data: Path) -> bool:
    return any(not State(state).is_terminal for state, _ in ended(data).values())


async def _keep_starting(line: Line, number: int) -> None:
    for _ in range(number):
        await line.post(f"/api/v1/executions/webhook/{NAMESPACE}/steps/{KEY}", "{}")
    line.close()
