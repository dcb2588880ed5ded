"""The whole bot over one flow file, as `parley up` puts it together; every service it calls lies on loopback."""

import asyncio
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.application import Application
from bot.cli.serve import up_settings
from bot.conversation import Action, Card, Click, Command, FieldErrors, Form, Person, Reply, Room, Submission
from engine.clock import Clock
from engine.core.execution import Execution, TaskRun
from tests.seeds.variants import Variant

ANN = Person("local:ann", "Ann", "web")
LOBBY = Room("web", "lobby")
SECONDS = 40.0
FOREIGN = ("SLACK_", "DISCORD_", "PARLEY_", "SECRET_", "OLLAMA_", "DOCKER_")
OURS = ("PARLEY_TEST_", "PARLEY_SHARED", "PARLEY_SEEDS", "PARLEY_CI")


@dataclass
class Bot:
    """A running bot, and a person at its page."""

    app: Application
    receipts: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def engine(self):
        return self.app.engine

    async def say(self, text: str, person: Person = ANN, room: Room = LOBBY) -> Any:
        """Type a command; the body of the answer."""
        reply = await self.app.desk.command(Command(text, person, room, f"said-{next(self.receipts)}"))
        return reply.body

    async def press(self, action: Action, person: Person = ANN, room: Room = LOBBY) -> Any:
        reply = await self.app.desk.click(Click(action.id, person, room, f"pressed-{next(self.receipts)}"))
        return reply.body

    async def fill(self, form: Form, person: Person = ANN, room: Room = LOBBY, **values: Any) -> Reply | FieldErrors:
        """Send a form."""
        receipt = f"filled-{next(self.receipts)}"
        return await self.app.desk.submit(Submission(form.id, values, person, room, receipt, form.page))

    async def run(self, variant: Variant, line: str = "") -> Execution:
        """Start the flow by command; the execution once it has ended or waits for somebody."""
        said = await self.say(f"run {variant.name} {line}".rstrip())
        assert not isinstance(said, Form), f"a form came: {said}"
        assert said.tone == "success", said
        return await self.settled(variant)

    async def newest(self, variant: Variant) -> Execution:
        """The execution of the flow that was started last."""
        found = await self.engine.executions(namespace=variant.namespace, flow_id=variant.id, limit=1)
        assert found, "nothing was started"
        return found[0]

    async def settled(self, variant: Variant) -> Execution:
        """The newest execution of the flow once nothing of it runs."""
        execution = await self.newest(variant)
        return await self.engine.wait(execution.id, until="ended_or_paused", timeout=SECONDS)

    async def said_of(self, execution: Execution, level: str | None = None) -> str:
        """Every log line of a run (and above a level), as text."""
        return "\n".join(line.message for line in await self.engine.logs(execution.id, level=level))

    async def cards(self) -> list[Card]:
        """Every card in the page's room, as it is drawn now."""
        room = self.app.front_ends[0]
        return [message.body for message in await room.messages("lobby", ANN) if isinstance(message.body, Card)]

    async def card(self, wanted: Callable[[Card], bool]) -> Card:
        """The first card in the page's room that is as wanted, once there is one."""
        async with asyncio.timeout(SECONDS):
            while True:
                for card in await self.cards():
                    if wanted(card):
                        return card
                await asyncio.sleep(0.02)

    async def until(self, found: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Whatever true thing `found` gives, looking again at each change of the engine and after short waits."""
        async with asyncio.timeout(seconds):
            while not (value := found()):
                await asyncio.sleep(0.02)
        return value


def task_run(execution: Execution, task_id: str) -> TaskRun:
    """The last task run of a task."""
    return [run for run in execution.task_runs.values() if run.task_id == task_id][-1]


def write_parley(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    variant: Variant,
    settings: dict[str, Any],
    secrets: dict[str, str],
    environment: dict[str, str],
) -> None:
    """A folder as an operator has it: `flows`, parley.yaml, secrets in the environment; nothing of this shell's."""
    for name in list(os.environ):
        if name.startswith(FOREIGN) and not name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    flows = folder / "flows"
    flows.mkdir(exist_ok=True)
    (flows / variant.path.name).write_bytes(variant.path.read_bytes())
    (folder / "parley.yaml").write_text(yaml.safe_dump(settings))
    for name, value in {**environment, **{f"PARLEY_SECRET_{name}": value for name, value in secrets.items()}}.items():
        monkeypatch.setenv(name, value)


async def started(clock: Clock | None = None) -> Bot:
    """The bot of the current folder, running."""
    app = await Application.open(up_settings("127.0.0.1", 0, None, None), clock=clock)
    try:
        await app.start()
    except BaseException:
        await app.stop()
        raise
    assert app.engine.flows.problems() == {}
    return Bot(app)
