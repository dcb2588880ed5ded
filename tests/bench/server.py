"""The bot as a process of its own: what it costs to start, and how fast it answers over HTTP."""

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.rig import NAMESPACE, percentile, resident_mb
from tests.bench.rows import Limits, Row, row

ROOT = Path(__file__).parents[2]
CONNECTIONS = 32
MINUTE = 60.0
WEBHOOK = f"""
id: webhook
namespace: {NAMESPACE}
tasks:
  - id: values
    type: io.kestra.plugin.core.output.OutputValues
    values:
      order: "{{{{ trigger.body.order }}}}"
  - id: line
    type: io.kestra.plugin.core.log.Log
    message: "order {{{{ outputs.values.values.order }}}}"
triggers:
  - id: in
    type: io.kestra.plugin.core.trigger.Webhook
    key: bench-key-0123456789
"""
PATH = f"/api/v1/executions/webhook/{NAMESPACE}/webhook/bench-key-0123456789"


@dataclass(frozen=True, slots=True)
class Server:
    """A running `parley up`. `seconds` it took to be ready."""

    pid: int
    url: str
    data: Path
    seconds: float

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def mb(self) -> float:
        """Resident memory in MB."""
        return resident_mb(self.pid)


@cache
def bytecode() -> tempfile.TemporaryDirectory[str]:
    """Where processes of this run find compiled modules, as they do after an installation: the first one fills it, and
    says nothing about starts."""
    return tempfile.TemporaryDirectory(prefix="parley-bench-bytecode-")


def environment() -> dict[str, str]:
    """This process's environment without settings of a bot."""
    others = ("SLACK_", "DISCORD_", "PARLEY_", "PYTHON")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": bytecode().name}


@asynccontextmanager
async def served(folder: Path, *flows: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Server]:
    """`parley up` on some flows; ended with SIGTERM, and waited for."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(flows):
        (folder / "flows" / f"flow{number}.yaml").write_text(text)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "up", "--port", "0", "--data", str(folder / "data")),
        *("--flows", str(folder / "flows")),
        cwd=folder,
        env={**environment(), **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        while not (line := await process.stdout.readline()).startswith(b"ready "):
            assert line, "parley up ended before it was ready"
        url = line.decode().split()[1]
        yield Server(process.pid, url, folder / "data", time.perf_counter() - began)
    finally:
        process.terminate()
        await process.communicate()


class Line:
    """One connection that is kept open: a request, its answer, the next request."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self) -> "Line":
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def post(self, path: str, body: str) -> bytes:
        """The answer's body; AssertionError unless it is 200."""
        head = f"POST {path} HTTP/1.1\r\nhost: localhost:{self.port}\r\ncontent-type: application/json\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        answered = await self.reader.readuntil(b"\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200"), answered
        lines = (line.partition(b":") for line in answered.split(b"\r\n"))
        length = next(value for name, _, value in lines if name == b"content-length")
        return await self.reader.readexactly(int(length))

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


@dataclass(slots=True)
class Rate:
    """Requests that are due at a steady rate, whether or not those before were answered. What could not be sent when
    the time is over, and a tenth more, is given up."""

    url: str
    a_minute: int
    seconds: float
    due: dict[str, float] = field(default_factory=dict)  # execution → when its request was due, seconds since 1970
    unsent: list[float] = field(default_factory=list)  # seconds that those waited which were given up

    async def run(self) -> None:
        """Send them all, and wait for the answers."""
        lines = [await Line(self.url).open() for _ in range(CONNECTIONS)]
        number, started = int(self.a_minute * self.seconds / MINUTE), time.time() + 0.2
        orders = iter(range(number))
        await asyncio.gather(*(self._keep_sending(line, orders, started) for line in lines))
        for line in lines:
            line.close()

    async def _keep_sending(self, line: Line, orders: Iterator[int], started: float) -> None:
        for order in orders:
            due = started + order * MINUTE / self.a_minute
            if (wait := due - time.time()) > 0:
                await asyncio.sleep(wait)
            elif time.time() > started + self.seconds * 1.1:
                self.unsent.append(-wait)
                continue
            answer = await line.post(PATH, f'{{"order": {order}}}')
            self.due[json.loads(answer)["id"]] = due


def ended(data: Path) -> dict[str, tuple[str, float]]:
    """State and time of the last change (seconds since 1970) of every execution, read from the database's file."""
    connection = sqlite3.connect(f"file:{data / 'parley.db'}?mode=ro", uri=True)
    try:
        found = connection.execute("SELECT id, state, updated FROM execution").fetchall()
    finally:
        connection.close()
    return {id_: (state, updated / 1e6) for id_, state, updated in found}


STAMP = f"""
id: stamp
namespace: {NAMESPACE}
tasks:
  - id: first
    type: io.kestra.plugin.core.kv.Set
    key: "{{{{ trigger.body.order }}}}"
    value: "x"
triggers:
  - id: in
    type: io.kestra.plugin.core.trigger.Webhook
    key: bench-key-0123456789
"""


async def first_steps(folder: Path, number: int) -> list[float]:
    """Seconds from an HTTP request until the first step of its execution runs, one after the other. The step is one
    that a worker runs; its start is read from the database afterwards."""
    sent: dict[str, float] = {}
    async with served(folder, STAMP) as server:
        line = await Line(server.url).open()
        for order in range(number):
            began = time.time()
            answer = await line.post(PATH.replace("/webhook/bench-key", "/stamp/bench-key"), f'{{"order": "k{order}"}}')
            sent[json.loads(answer)["id"]] = began
            await asyncio.sleep(0.01)
        line.close()
        await asyncio.sleep(0.5)
    connection = sqlite3.connect(f"file:{server.data / 'parley.db'}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT execution_id, doc FROM task_run").fetchall()
    finally:
        connection.close()
    began_at = {id_: datetime.fromisoformat(json.loads(doc)["a"][0][1]) for id_, doc in rows}
    return [began_at[id_].timestamp() - began for id_, began in sent.items()]


async def http_trigger(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """An HTTP request until its first step runs; the limit is the lone commit that has to come before it."""
    number = 50 if quick else 200
    times = [seconds * 1000 for seconds in (await first_steps(folder, number + 5))[5:]]
    limit = 1000 / limits.lone
    p50, p99 = percentile(times, 50), percentile(times, 99)
    yield row("trigger", "p50", p50, "ms", number, limit=limit, must=5.0, scale=limits.scale, more_is_better=False)
    yield row("trigger", "p99", p99, "ms", number, limit=limit)


async def webhooks(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Webhook request → OutputValues → Log → ended, over HTTP at a steady rate; p99 over the last minute. The limit is
    one lone commit, which such a run needs at the least."""
    seconds, kept = (8.0, 5.0) if quick else (70.0, MINUTE)
    for a_minute in (20_000, 60_000):
        rate_folder = folder / str(a_minute)
        async with served(rate_folder, WEBHOOK) as server:
            await Rate(server.url, 3000, 2.0).run()  # warm
            before = server.cpu
            rate = Rate(server.url, a_minute, seconds)
            await rate.run()
            spent, memory = server.cpu - before, server.mb
            await asyncio.sleep(1.0)
        outcome = ended(server.data)
        if rate.unsent:
            yield row("webhook", f"{a_minute} a minute, never sent", len(rate.unsent), "requests", len(rate.due))
        assert all(outcome[id_][0] == "SUCCESS" for id_ in rate.due), "an execution did not end well"
        last = max(rate.due.values()) - kept
        times = [(outcome[id_][1] - due) * 1000 for id_, due in rate.due.items() if due > last]
        times += [waited * 1000 for waited in rate.unsent]
        series = f"{a_minute} a minute"
        promised, limit = {"must": 150.0} if a_minute == 20_000 else {"aim": 150.0}, 1000 / limits.lone
        yield row(
            "webhook",
            f"{series}, p99 to the end",
            percentile(times, 99),
            "ms",
            len(times),
            limit=limit,
            scale=limits.scale,
            more_is_better=False,
            **promised,
        )
        yield row("webhook", f"{series}, p50 to the end", percentile(times, 50), "ms", len(times), limit=limit)
        yield row("webhook", f"{series}, CPU", spent / len(rate.due) * 1000, "ms/run", len(rate.due))
        yield row("webhook", f"{series}, memory", memory, "MB", len(rate.due))
