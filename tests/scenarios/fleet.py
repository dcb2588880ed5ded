"""Several real processes on one PostgreSQL database: started, killed, asked what came of it.

`Fleet(folder, address)` is the set-up; `await fleet.start("worker", "--worker-group", "gpu")` adds a process with a
data folder of its own and gives it once it is ready; `fleet.states()` reads the database itself, past every process.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.scenarios.process import Parley

KEY = "a-long-webhook-key"
ENCRYPTION_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Fleet:
    """Processes that share a database, flows and a folder for marks."""

    def __init__(self, folder: Path, address: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.address = address
        self.env = {
            "PARLEY_DATABASE": address,
            "PARLEY_ENCRYPTION_KEY": ENCRYPTION_KEY,
            "PARLEY_STORAGE": (folder / "storage").as_uri(),
            "PARLEY_HEARTBEAT": "0.5",
            **(env or {}),
        }
        self.lives: list[Parley] = []
        (folder / "flows").mkdir(exist_ok=True)

    def flow(self, flow_id: str, text: str) -> None:
        """A flow of the namespace `fleet` that a webhook starts; to be written before the bots start."""
        hook = f"triggers:\n  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: {KEY}}}\n"
        if "triggers:" in text:
            hook = ""
        (self.folder / "flows" / f"{flow_id}.yaml").write_text(f"id: {flow_id}\nnamespace: fleet\n{text}{hook}")

    async def start(self, role: str, *arguments: str, env: dict[str, str] | None = None) -> Parley:
        """A process more, once it is ready."""
        number = len(self.lives)
        home = self.folder / f"{role}-{number}"
        home.mkdir()
        given = ["up", "--role", role, "--port", "0", "--data", str(home), "--flows", str(self.folder / "flows")]
        life = Parley([*given, *arguments], home, {**self.env, **(env or {})})
        self.lives.append(life)
        await asyncio.to_thread(life.ready, 60)
        return life

    async def begin(self, bot: Parley, flow_id: str) -> str:
        """Start a flow by its webhook; the id of the execution."""
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.post(f"{bot.url}/api/v1/executions/webhook/fleet/{flow_id}/{KEY}", json={})
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["id"]
        return found

    def kill(self, life: Parley) -> None:
        """kill -9."""
        life.stop(signal.SIGKILL)

    def marks(self) -> list[str]:
        """What the tasks of the flows wrote down, in order."""
        path = self.folder / "marks"
        return path.read_text().splitlines() if path.exists() else []

    def query(self, statement: str, *given: Any) -> list[Any]:
        """Rows of the database."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            return connection.execute(statement, given or None).fetchall()

    def states(self, flow_id: str) -> Counter[str]:
        """How many executions of a flow are in which state."""
        return Counter(state for (state,) in self.query("SELECT state FROM execution WHERE flow_id = %s", flow_id))

    async def until(self, found: Callable[[], Any], what: str, timeout: float = 60) -> Any:
        """The first true answer; an AssertionError with what every process said when none came."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if answer := await asyncio.to_thread(found):
                return answer
            await asyncio.sleep(0.1)
        said = "\n".join(f"--- {number}\n{''.join(life.said)[-3000:]}" for number, life in enumerate(self.lives))
        raise AssertionError(f"{what} never came\n{said}")

    async def stop(self) -> None:
        """End every process."""
        for life in self.lives:
            await asyncio.to_thread(life.stop, signal.SIGKILL)
