"""A whole desk for tests: the real engine on SQLite (or a server), and platforms in memory."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from bot.approvals.prices import NO_PRICES, Prices
from bot.cards.pacing import Operation, Pace
from bot.chat_port import FrontEndChat
from bot.chat_settings import ChatSettings
from bot.conversation import Attachment, Card, Click, Command, Person, Room, Submission
from bot.desk import FrontDesk
from engine.clock import ShiftedClock
from engine.runtime import Engine
from engine.settings import Settings
from tests.bot.memory_front_end import MemoryFrontEnd

ANN = Person("slack:U1", "Ann", "slack", "<@U1>", "Europe/London")
BOB = Person("discord:7", "Bob", "discord", "<@7>")
WEB = Person("local:eve", "Eve", "web")
OPS = Room("slack", "C1", workspace="T1")
DEV = Room("discord", "900")
PAGE = Room("web", "lobby")

PLAIN = """
id: ship
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
  - {id: after, type: io.kestra.plugin.core.log.Log, message: shipped}
"""
ASKING = """
id: picture
namespace: company.ai
inputs:
  - {id: prompt, type: STRING}
tasks:
  - {id: draw, type: io.kestra.plugin.core.debug.Return, format: "a picture of {{ inputs.prompt }}"}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: approve, type: BOOLEAN, description: Are you happy?}
      - {id: feedback, type: STRING, description: Say more}
  - id: decide
    type: io.kestra.plugin.core.flow.If
    condition: "{{ outputs.wait.onResume.approve }}"
    then:
      - {id: approved, type: io.kestra.plugin.core.debug.Return, format: yes}
    else:
      - {id: again, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.wait.onResume.feedback }}"}
outputs:
  - {id: result, type: STRING, value: "{{ outputs.approved.value ?? outputs.again.value }}"}
"""


@dataclass(slots=True)
class NotedPace(Pace):
    """A budget that keeps what it planned: the urgency of each message it was asked about, and the seconds to wait."""

    planned: list[tuple[str, int, float]] = field(default_factory=list)

    def wait(self, operation: Operation, room: Room, message_id: str, urgency: int, now: float) -> float:
        seconds = Pace.wait(self, operation, room, message_id, urgency, now)
        self.planned.append((message_id, urgency, seconds))
        return seconds


@dataclass
class Rig:
    """One bot under test."""

    folder: Path
    settings: ChatSettings = field(default_factory=ChatSettings)
    clock: ShiftedClock = field(default_factory=ShiftedClock)
    permissions: object = None
    roles: tuple = ()
    approvals: tuple = ()
    prices: Prices = NO_PRICES
    identities: object = None
    paces: dict = field(default_factory=dict)
    database: str | None = None  # the address of a server
    explain: object = None

    def __post_init__(self) -> None:
        self.slack = MemoryFrontEnd("slack")
        self.discord = MemoryFrontEnd("discord")
        self.web = MemoryFrontEnd("web")
        self._receipts = itertools.count(1)

    async def start(self, *flows: str) -> "Rig":
        (self.folder / "flows").mkdir(parents=True, exist_ok=True)
        settings = Settings(data=self.folder / "data", database=self.database, flows=(self.folder / "flows",))
        self.engine = await Engine.open(settings, clock=self.clock)
        ends = [self.slack, self.discord, self.web]
        paces = {end.platform: Pace(end.platform, {}, 0.0) for end in ends} | self.paces
        self.engine.chat = FrontEndChat(self.engine, ends)
        await self.engine.start(watch=False)
        for flow in flows:
            await self.engine.deploy(flow)
        self.desk = FrontDesk(self.engine, ends, self.settings, permissions=self.permissions, paces=paces,
                              roles=self.roles, approvals=self.approvals, prices=self.prices,
                              identities=self.identities,
                              explain=self.explain)  # fmt: skip
        await self.desk.start()
        for end in ends:
            await end.start(self.desk)
        return self

    async def stop(self) -> None:
        await self.desk.stop()
        await self.engine.stop(1)

    async def again(self) -> "Rig":
        """The bot stopped and started: the platforms stay as they are."""
        await self.stop()
        return await self.start()

    def receipt(self) -> str:
        return f"r{next(self._receipts)}"

    async def say(self, text, person=ANN, room=OPS, *, receipt="", files: tuple[Attachment, ...] = (), spoken=False):
        """Type a command, or write a message (`spoken`); what comes back."""
        url = "https://answer.test/1"
        command = Command(text, person, room, receipt or self.receipt(), files, url, is_message=spoken)
        return (await self.desk.command(command)).body

    async def press(self, card: Card, label: str, person=ANN, room=OPS, *, receipt: str = ""):
        """Press the button of a card; what comes back."""
        found = next(action for action in card.actions if action.label == label)
        return (await self.desk.click(Click(found.id, person, room, receipt or self.receipt()))).body

    async def fill(self, form, person=ANN, room=OPS, *, receipt="", last=True, page=0, full=(), **values):
        """Send a form; the answer, whole."""
        sent = Submission(form.id, values, person, room, receipt or self.receipt(), page, last, None, None, full)
        return await self.desk.submit(sent)

    async def asked(self, flow: str = "run ship", person=ANN, room=OPS) -> Card:
        """Start a flow that pauses; the card of its pause where it was started."""
        end = {"slack": self.slack, "discord": self.discord, "web": self.web}[room.platform]
        before = {shown.card.entity for shown in end.of("pause")}
        await self.say(flow, person, room)
        return (await end.shows("pause", lambda card: card.entity not in before)).card
