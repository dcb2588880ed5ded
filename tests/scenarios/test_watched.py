"""What monitoring sees of the real process while it works, is slowed down by a platform, and loses its database."""

import asyncio
import json
import signal

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.postgres import server
from tests.scenarios.process import Parley
from tests.shared import part
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, Refusal, slack

__all__ = ["slack"]

KEY = "a-long-webhook-key"
TOKEN = "a-long-token-for-the-scraper"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
HOOK = f"triggers: [{{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: {KEY}}}]"
ASKS = f"{{id: asks, namespace: seen, tasks: [{{id: ask, type: io.kestra.plugin.core.flow.Pause}}], {HOOK}}}"
HANGS = f"""
id: hangs
namespace: seen
tasks:
  - id: hang
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}
    commands: [sleep infinity]
{HOOK}
"""
TICKS = """
id: ticks
namespace: seen
tasks: [{id: one, type: io.kestra.plugin.core.debug.Return, format: x}]
triggers: [{id: each, type: io.kestra.plugin.core.trigger.Schedule, cron: "* * * * * *", withSeconds: true}]
"""


@pytest.fixture
async def start(tmp_path):
    """The real process, once it is ready."""
    lives = []
    (tmp_path / "flows").mkdir()
    for name, text in (("asks", ASKS), ("hangs", HANGS), ("ticks", TICKS), ("broken", "id: broken\ntasks: 7\n")):
        (tmp_path / "flows" / f"{name}.yaml").write_text(text)

    async def begin(**env):
        given = {"PARLEY_WEB__TOKEN": TOKEN, "PARLEY_LIMITS__WORKERS": "1", **env}
        lives.append(Parley(["up", "--port", "0"], tmp_path, given))
        await asyncio.to_thread(lives[-1].ready, 60)
        return lives[-1]

    yield begin
    for life in lives:
        await asyncio.to_thread(life.stop, signal.SIGKILL)


class Watcher:
    """Prometheus, and whoever asks for health."""

    def __init__(self, life, client):
        self.url, self.client = life.url, client

    async def numbers(self):
        """Every number by its name and the values of its labels, the process's own left out."""
        answer = await self.client.get(f"{self.url}/metrics", headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return {
            (sample.name.removeprefix("parley_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name.startswith("parley_")
        }

    async def shows(self, *name, least=1.0):
        """Until a number is so high."""
        async with asyncio.timeout(60):
            while (seen := await self.numbers()).get(name, 0) < least:
                await asyncio.sleep(0.05)
        return seen

    async def says(self, path, status):
        async with asyncio.timeout(60):
            while (await self.client.get(f"{self.url}{path}")).status_code != status:
                await asyncio.sleep(0.05)

    async def begin(self, flow):
        path = f"/api/v1/executions/webhook/seen/{flow}/{KEY}"
        assert (await self.client.post(f"{self.url}{path}", json={})).status_code == 200


async def test_every_number_moves_when_what_it_counts_happens(start, slack):
    life = await start(
        SLACK_BOT_TOKEN=BOT_TOKEN,
        SLACK_APP_TOKEN=APP_TOKEN,
        PARLEY_SLACK_BASE_URL=f"{slack.url}/api/",
        PARLEY_CHAT__DEFAULT_ROOMS=json.dumps(["slack:C1"]),
    )
    await slack.connected()
    async with httpx.AsyncClient(timeout=30) as client:
        watcher = Watcher(life, client)
        assert (await client.get(f"{life.url}/metrics")).status_code == 401
        seen = await watcher.numbers()
        assert seen["flow_files_broken",] == 1
        assert seen["workers",] == 1
        seen = await watcher.shows("fire_lateness_seconds_count", least=2)
        assert seen["executions_ended_total", "seen", "SUCCESS"] >= 1
        assert seen["commit_group_size_count",] >= 1
        assert seen["execution_start_delay_seconds_count",] >= 1

        slack.scripts["chat.postMessage"] = [Refusal(retry_after=2)]
        await watcher.begin("asks")
        seen = await watcher.shows("rate_limited_total", "slack")
        assert seen["executions_open", "seen", "PAUSED"] == 1
        assert seen["pauses_waiting", "seen"] == 1
        await watcher.shows("pause_oldest_age_seconds", "seen", least=0.01)
        assert sum(value for key, value in seen.items() if key[0] == "outbox") >= 1
        card = await slack.said("ask", channel="C1")
        pressed = await slack.press("Approve", message=card)
        await slack.redeliver(pressed)
        seen = await watcher.shows("redeliveries_total", "click", "slack")
        assert seen["deliveries_total", "click", "done", "slack"] == 1
        assert ("pauses_waiting", "seen") not in seen

        for _ in range(3):
            await watcher.begin("hangs")
        await watcher.shows("task_attempts_running")
        await watcher.shows("queue_depth", "dispatcher", least=2)


async def test_a_bot_without_its_database_is_there_but_not_ready(start):
    with server() as postgres:
        part(postgres.restart is not None, "A PostgreSQL server of our own", "unset PARLEY_TEST_PG_URL")
        life = await start(PARLEY_DATABASE=postgres.create())
        async with httpx.AsyncClient(timeout=30) as client:
            watcher = Watcher(life, client)
            await watcher.says("/readyz", 200)
            away = asyncio.create_task(asyncio.to_thread(postgres.restart, "fast", 8))
            await watcher.says("/readyz", 503)
            assert (await client.get(f"{life.url}/healthz")).status_code == 200
            told = await client.get(f"{life.url}/metrics", headers=HEADERS)
            assert told.status_code == 503
            assert "be reached" in told.text
            await away
            await watcher.says("/readyz", 200)
            await watcher.shows("fire_lateness_seconds_count", least=1)
        assert await asyncio.to_thread(life.stop, signal.SIGTERM) == 0
