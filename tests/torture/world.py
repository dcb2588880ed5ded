"""A folder with flows, the real process on it, and clients that start executions and answer pauses over HTTP."""

import asyncio
import contextlib
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx

from tests.scenarios.process import Parley
from tests.torture.errands import Errands, flows
from tests.torture.promises import Told

KEY = "a-long-webhook-key"
HOOK = f"/api/v1/executions/webhook/torture/order/{KEY}"
SHELL = """
  - id: {id}
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}{more}
    commands: ['echo {text} >> {marks}']
"""
ORDER = """
id: order
namespace: torture
tasks:
{before}
  - id: fan
    type: io.kestra.plugin.core.flow.ForEach
    values: [1, 2, 3]
    tasks:
      - {{id: each, type: io.kestra.plugin.core.debug.Return, format: "{{{{ taskrun.value }}}}"}}
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {{id: word, type: STRING}}
{after}
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: torture
    flowId: leaf
    inputs:
      word: "{{{{ outputs.ask.onResume.word }}}}"
triggers:
  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: {key}}}
outputs:
  - {{id: word, type: STRING, value: "{{{{ outputs.call.outputs.word }}}}"}}
"""
LEAF = """
id: leaf
namespace: torture
inputs:
  - {id: word, type: STRING}
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.word }}"}
outputs:
  - {id: word, type: STRING, value: "{{ outputs.say.value }}"}
"""
TICK = """
id: tick
namespace: torture
tasks:
  - {{id: say, type: io.kestra.plugin.core.debug.Return, format: "{{{{ trigger.date }}}}"}}
triggers:
  - id: every_second
    type: io.kestra.plugin.core.trigger.Schedule
    withSeconds: true
    cron: "* * * * * *"
    disabled: {disabled}
  - id: every_other
    type: io.kestra.plugin.core.trigger.Schedule
    withSeconds: true
    cron: "*/2 * * * * *"
    disabled: {disabled}
"""
PATIENCE = 60  # seconds: a locked database refuses what waited behind another write after twice the time of one
STEPS = {"every_second": timedelta(seconds=1), "every_other": timedelta(seconds=2)}


class World:
    """One data folder through many lives of the process. `url` is None while nothing listens."""

    url: str | None
    group: str | None = None  # of workers that carry out one of the tasks
    steps: ClassVar[Mapping[str, timedelta]] = STEPS  # how far the dates of each schedule are apart
    outcomes: ClassVar[Mapping[str, str]] = {}  # task → how it ends, where that is not well

    def __init__(self, folder: Path, seed: int, *, data: Path | None = None, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.env = env
        self.data = data or folder / "data"
        self.marks_file = folder / "marks"
        self.random = random.Random(seed)
        self.told = Told()
        self.close()
        self.lives: list[Parley] = []
        self.refusals: list[tuple[int, str]] = []
        (folder / "flows").mkdir(parents=True)
        self.write("order", order_flow(self.marks_file, self.group))
        self.write("leaf", LEAF)
        for name, text in flows(self.group).items():
            self.write(name, text)
        self.errands = Errands(self)
        self.schedules(on=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for life in self.lives:
            await asyncio.to_thread(life.stop, signal.SIGKILL)
        self.write_down()

    def write_down(self) -> None:
        """Keep what every life said beside the rest."""
        for number, life in enumerate(self.lives):
            (self.folder / f"life-{number}.log").write_text("".join(life.said))

    def write(self, name: str, text: str) -> None:
        """Put a flow into the folder that the process watches, as a whole."""
        file = self.folder / "flows" / f"{name}.yaml"
        beside = file.with_suffix(".new")
        beside.write_text(text)
        beside.rename(file)

    def close(self) -> None:
        """Clients find nobody from now on."""
        self.url = None

    def token(self, _url: str) -> str:
        """What the API wants to see."""
        return (self.data / "api.token").read_text().strip()

    def schedules(self, *, on: bool) -> None:
        """Switch the schedules in their flow's file, which the process watches."""
        self.write("tick", TICK.format(disabled="false" if on else "true"))

    def launch(self) -> Parley:
        """A new life of the process; not ready yet."""
        arguments = ["up", "--port", "0", "--data", str(self.data), "--flows", str(self.folder / "flows")]
        life = Parley(arguments, self.folder, self.env)
        self.lives.append(life)
        return life

    async def start(self) -> Parley:
        """A new life of the process, once clients can reach it."""
        life = self.launch()
        self.url = await asyncio.to_thread(life.ready, 90)
        return life

    async def kill(self, life: Parley) -> None:
        """kill -9; clients find nobody from now on."""
        self.close()
        await asyncio.to_thread(life.stop, signal.SIGKILL)

    async def leave(self) -> int:
        """SIGTERM; clients find nobody from now on, and the books stay as they are. The exit status."""
        self.close()
        return await asyncio.to_thread(self.lives[-1].stop, signal.SIGTERM)

    def marks(self) -> list[str]:
        """What tasks left, in order."""
        return self.marks_file.read_text().splitlines() if self.marks_file.exists() else []

    def tracebacks(self) -> list[str]:
        """Lives that printed one."""
        return [
            f"life {number} printed a traceback: {said[said.index('Traceback') :][-600:]}"
            for number, life in enumerate(self.lives)
            if "Traceback" in (said := "".join(life.said))
        ]

    async def order(self, client: httpx.AsyncClient) -> bool:
        """Send one creation, once; whether it was acknowledged."""
        url = self.url
        if url is None:
            return False
        number = len(self.told.orders) + 1
        self.told.orders.append(number)
        with contextlib.suppress(httpx.HTTPError):
            answer = await client.post(f"{url}{HOOK}", json={"order": number})
            if answer.status_code == 200:
                self.told.acknowledged[number] = answer.json()["id"]
                return True
            self.refusals.append((answer.status_code, answer.text))
        return False

    async def answer(self, client: httpx.AsyncClient, execution: str, pause: str) -> None:
        """Answer a pause twice at once, as two people would: over the API, and there again or on the page."""
        url = self.url
        if url is None:
            return
        ways = [self._by_api, self.random.choice([self._by_api, self._by_page])]
        await asyncio.gather(*(way(client, url, execution, pause) for way in ways))

    async def _by_api(self, client: httpx.AsyncClient, url: str, execution: str, _pause: str) -> None:
        word = self._word(execution)
        header = {"Authorization": f"Bearer {self.token(url)}"}
        with contextlib.suppress(httpx.HTTPError):
            address = f"{url}/api/v1/executions/{execution}/resume"
            taken = await client.post(address, json={"word": word}, headers=header)
            if taken.status_code == 200:
                self.told.accepted.setdefault(execution, []).append(word)
            elif taken.status_code >= 500:
                self.refusals.append((taken.status_code, taken.text))

    async def _by_page(self, client: httpx.AsyncClient, url: str, execution: str, pause: str) -> None:
        with contextlib.suppress(httpx.HTTPError):
            shown = await client.get(f"{url}/ui/executions/torture/order/{execution}")
            csrf = re.search(r'name="csrf" value="([^"]+)"', shown.text)
            if csrf is None or f"/pauses/{pause}" not in shown.text:
                return
            word = self._word(execution)
            await client.post(f"{url}/pauses/{pause}", data={"csrf": csrf[1], "f:0": word})

    def _word(self, execution: str) -> str:
        sent = self.told.answers.setdefault(execution, [])
        sent.append(f"word-{len(sent)}")
        return sent[-1]

    @contextlib.asynccontextmanager
    async def clients(
        self, waiting: Callable[[], Sequence[tuple[str, str]]], pace: float = 0.15
    ) -> AsyncIterator[None]:
        """People and programs at work: orders come, and what waits is answered. `waiting`: (execution, pause)."""
        tasks = [asyncio.create_task(self._ordering(pace)) for _ in range(2)]
        tasks.append(asyncio.create_task(self.answering(waiting)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for one in ended:
            if isinstance(one, Exception):
                raise one

    async def _ordering(self, pace: float) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            while True:
                await self.order(client)
                await asyncio.sleep(self.random.uniform(0, 2 * pace))

    async def answering(self, waiting: Callable[[], Sequence[tuple[str, str]]]) -> None:
        """Answer whatever waits, some of it at once, until cancelled."""
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            while True:
                there = list(await asyncio.to_thread(waiting)) if self.url is not None else []
                some = self.random.sample(there, min(len(there), 6))
                await asyncio.gather(*(self.answer(client, *one) for one in some))
                await asyncio.sleep(0.05)


def order_flow(marks: Path, group: str | None = None) -> str:
    """The flow that orders start: an effect, a loop, a question, an effect that tells the answer, a subflow.

    With a worker group, its workers are who carries out the second effect.
    """
    more = f"\n    workerGroup: {{key: {group}}}" if group else ""
    number = "{{ trigger.body.order }}"
    before = SHELL.format(id="before", text=f"{number} before", marks=marks, more="")
    after = SHELL.format(id="after", text=f"{number} after {{{{ outputs.ask.onResume.word }}}}", marks=marks, more=more)
    return ORDER.format(before=before, after=after, key=KEY)


async def until(
    found: Callable[[], Any], what: str, timeout: float = 120, moves: Callable[[], Any] = lambda: None
) -> Any:
    """The first true answer; TimeoutError says what never came. While `moves` gives something new, it is waited on."""
    seen, end = moves(), time.monotonic() + timeout
    while not (answer := await asyncio.to_thread(found)):
        now = await asyncio.to_thread(moves)
        if now != seen:
            seen, end = now, time.monotonic() + timeout
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: nothing moves for {timeout:g} s")
        await asyncio.sleep(0.1)
    return answer
