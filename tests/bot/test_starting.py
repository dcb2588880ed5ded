"""A bot without chats loads nothing that it may never need."""

import json
import subprocess
import sys

HEAVY = {
    "rich", "httpx", "cryptography", "markdown_it", "websockets", "psycopg",
    "procrastinate", "slack_bolt", "slack_sdk", "discord", "aiohttp", "openai", "docker", "git", "fsspec",
}  # fmt: skip
START = """
import asyncio, gc, json, sys
from pathlib import Path
from bot.cli import starting
starting.begin()
from bot.application import Application
from bot.cli.serve import up_settings

async def main():
    app = await Application.open(up_settings("127.0.0.1", 0, Path(sys.argv[1], "data"), [Path(sys.argv[1], "flows")]))
    await app.start()
    starting.settle()
    print(json.dumps({"modules": sorted(sys.modules), "frozen": gc.get_freeze_count(), "collects": gc.isenabled()}))
    await app.stop()

asyncio.run(main())
"""


def test_a_start_without_chats_loads_nothing_heavy_and_leaves_little_to_the_collector(tmp_path):
    (tmp_path / "flows").mkdir()
    ran = subprocess.run([sys.executable, "-c", START, str(tmp_path)], capture_output=True, text=True, check=True)
    said = json.loads(ran.stdout.splitlines()[-1])
    assert HEAVY.isdisjoint(said["modules"]), HEAVY & set(said["modules"])
    assert said["collects"]
    assert said["frozen"] > 50_000
