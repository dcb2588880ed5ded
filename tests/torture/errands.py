"""Errands beside the orders: runs that wait for timers and deadlines, are tried again, or hang and are killed."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import psycopg

from tests.torture import books

if TYPE_CHECKING:
    from tests.torture.world import World

KEY = "another-long-webhook-key"
PACE = 0.8  # seconds between two errands on average
TURN = 0.3  # seconds between two looks at what hangs
CHANCE = 0.2  # that one of these is killed now
BEGIN = """
id: {id}
namespace: torture
triggers:
  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: {key}}}
tasks:
  - {{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.5S}}
  - {{id: silence, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1S}}
  - id: last
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}"""
ENDS = """
    retry: {type: constant, interval: PT0.5S, maxAttempts: 5}
    commands: ['test {{ taskrun.attemptsCount }} -gt 0']
"""
HANGS = "\n    commands: ['sleep 600']\n"


def flows(group: str | None) -> dict[str, str]:
    """The texts of both flows: one that ends by itself, and one that ends only by a kill, on workers of a group."""
    worker = f"\n    workerGroup: {{key: {group}}}" if group else ""
    return {
        "errand": BEGIN.format(id="errand", key=KEY) + ENDS,
        "stuck": BEGIN.format(id="stuck", key=KEY) + worker + HANGS,
    }


@dataclass(slots=True)
class Errands:
    """What was begun and killed, as the clients were told."""

    world: "World"
    begun: dict[str, str] = field(default_factory=dict)  # execution → its flow
    killed: set[str] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def at_work(self, ask: books.Query) -> AsyncIterator[None]:
        """Errands come, and what hangs is killed."""
        tasks = [asyncio.create_task(self._begin()), asyncio.create_task(self.killing(ask))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for one in ended:
            if isinstance(one, Exception):
                raise one

    async def _begin(self) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            while True:
                flow = self.world.random.choice(["errand", "stuck"])
                with contextlib.suppress(httpx.HTTPError):
                    if url := self.world.url:
                        answer = await client.post(f"{url}/api/v1/executions/webhook/torture/{flow}/{KEY}", json={})
                        if answer.status_code == 200:
                            self.begun[answer.json()["id"]] = flow
                await asyncio.sleep(self.world.random.uniform(0, 2 * PACE))

    async def killing(self, ask: books.Query) -> None:
        """Kill what hangs, at some time of its life, until cancelled."""
        async with httpx.AsyncClient(timeout=60) as client:
            while True:
                for execution in await asyncio.to_thread(there, ask, "stuck"):
                    if self.world.random.random() < CHANCE:
                        await self._kill(client, execution)
                await asyncio.sleep(TURN)

    async def _kill(self, client: httpx.AsyncClient, execution: str) -> None:
        with contextlib.suppress(httpx.HTTPError):
            if url := self.world.url:
                header = {"Authorization": f"Bearer {self.world.token(url)}"}
                answer = await client.delete(f"{url}/api/v1/executions/{execution}/kill", headers=header)
                if answer.status_code < 300:
                    self.killed.add(execution)


def there(ask: books.Query, flow: str) -> list[str]:
    """Executions of a flow that have not ended; nothing while the database is away."""
    with contextlib.suppress(psycopg.OperationalError, sqlite3.OperationalError):
        return [key for key, state in states(ask, flow).items() if state not in ("SUCCESS", "KILLED", "FAILED")]
    return []


def states(ask: books.Query, flow: str) -> dict[str, str]:
    """The state of every execution of a flow."""
    return dict(ask(f"SELECT id, state FROM execution WHERE flow_id = '{flow}'"))
