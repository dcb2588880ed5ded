"""Another program locks the database for longer than a write waits, while orders come and pauses are answered."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from engine.store.database import BUSY_SECONDS
from tests.torture import books
from tests.torture.disk import taken
from tests.torture.kills import closed
from tests.torture.world import World, until


async def locked(folder: Path, seed: int) -> dict[str, Any]:
    """The report: what the lock broke."""
    said: list[str] = []
    async with World(folder, seed) as world:
        ask = books.of_file(world.data / "parley.db")
        await world.start()
        since = datetime.now(UTC)
        async with world.clients(lambda: books.waiting(ask)):
            await taken(world, 3)
            with closing(sqlite3.connect(world.data / "parley.db", timeout=30, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                await until(lambda: world.refusals, "an order is refused", BUSY_SECONDS + 60)
                async with httpx.AsyncClient(timeout=10) as client:
                    if (await client.get(f"{world.url}/healthz")).status_code != 200:
                        said.append("the page does not answer while the database is locked")
                await asyncio.sleep(1)
                other.execute("ROLLBACK")
            await taken(world, 3)
        said += [f"{status}: {text[:200]}" for status, text in world.refusals if "locked" not in text][:5]
        found = await closed(world, ask, since, refused=len(world.refusals))
    if said:
        found["broken"]["what is said of it"] = said
    return found
