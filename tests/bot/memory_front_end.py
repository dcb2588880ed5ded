"""A chat platform in memory: it keeps what it is told and may refuse, as Slack and Discord do. It decides nothing."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.conversation import Card, MessageRef, Notice, Reply, Room
from bot.frontend import Unreachable
from engine.plugin import ChatPost


@dataclass
class Shown:
    """One message on the platform: every version of its card, latest last."""

    ref: MessageRef
    room: Room
    versions: list[Card]

    @property
    def card(self) -> Card:
        return self.versions[-1]


@dataclass
class MemoryFrontEnd:
    """Implements `bot.frontend.FrontEnd`. `refusal(operation)` may return an error to raise instead."""

    platform: str
    refusal: Callable[[str], Unreachable | None] = lambda operation: None
    messages: dict[str, Shown] = field(default_factory=dict)
    nonces: dict[str, MessageRef] = field(default_factory=dict)
    notices: list[tuple[Room, Notice, str | None]] = field(default_factory=list)
    answers: list[tuple[str, Reply]] = field(default_factory=list)
    posts: list[ChatPost] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    groups: dict[str, set[str]] = field(default_factory=dict)  # name: ids of people, as the platform has them now
    emails: dict[str, str] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)  # accounts that are not there any more
    zones: dict[str, str] = field(default_factory=dict)
    desk: object = None

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._changed = asyncio.Condition()

    async def start(self, desk) -> None:
        self.desk = desk

    async def stop(self) -> None:
        self.desk = None

    def describe(self) -> str:
        return f"{self.platform} in memory"

    async def post_card(self, room: Room, card: Card, nonce: str) -> MessageRef:
        await self._hear("post", card.entity)
        assert len(nonce) <= 25, "Discord refuses longer nonces"
        if nonce not in self.nonces:
            ref = MessageRef(self.platform, room.channel, f"m{next(self._numbers)}", room.thread, room.workspace)
            self.nonces[nonce] = ref
            self.messages[ref.message] = Shown(ref, room, [card])
        await self._tell()
        return self.nonces[nonce]

    async def edit_card(self, ref: MessageRef, card: Card) -> None:
        await self._hear("edit", card.entity)
        if ref.message not in self.messages:
            raise Unreachable("message not found", gone=True)
        self.messages[ref.message].versions.append(card)
        await self._tell()

    def has_sequel(self, card: Card, *, is_fresh: bool) -> bool:
        """Whether something follows a card's message: nothing does."""
        return False

    async def send_sequel(self, ref: MessageRef, card: Card, *, is_fresh: bool) -> None:
        """There is nothing to send."""

    async def thread_below(self, ref: MessageRef, name: str) -> str | None:
        await self._hear("thread", name)
        return None if self.platform == "web" else f"thread of {ref.message}"

    async def notify(self, room: Room, notice: Notice, person_id: str | None = None, nonce: str = "") -> None:
        await self._hear("notify", notice.code)
        self.notices.append((room, notice, person_id))
        await self._tell()

    async def answer(self, answer_url: str, reply: Reply) -> None:
        await self._hear("answer", answer_url)
        self.answers.append((answer_url, reply))
        await self._tell()

    async def is_member(self, person, group: str, *, fresh: bool = True) -> bool:
        if fresh:
            await self._hear("member", group)
        return person.id in self.groups.get(group, ())

    async def zone_of(self, person_id: str) -> str | None:
        return self.zones.get(person_id)

    async def is_stranger(self, person) -> bool:
        return person.id in self.strangers

    async def is_active(self, person_id: str) -> bool:
        await self._hear("active", person_id)
        return person_id not in self.gone

    async def email_of(self, person_id: str) -> str | None:
        await self._hear("email", person_id)
        return self.emails.get(person_id)

    async def post(self, post: ChatPost) -> MessageRef:
        await self._hear("task", post.channel)
        self.posts.append(post)
        await self._tell()
        return MessageRef(self.platform, post.channel, f"t{len(self.posts)}")

    async def _hear(self, operation: str, about: str) -> None:
        self.calls.append((operation, about))
        await self._tell()
        if refused := self.refusal(operation):
            raise refused

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # What tests ask

    async def until(self, condition: Callable[[], object], seconds: float = 20):
        """Whatever true thing `condition` gives, once it does."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)
        return condition()

    def of(self, kind: str, entity: str | None = None) -> list[Shown]:
        """Messages that show a run or a pause."""
        return [m for m in self.messages.values() if m.card.kind == kind and entity in (None, m.card.entity)]

    async def shows(self, kind: str, wanted: Callable[[Card], object] = lambda card: True) -> Shown:
        """The first message of a kind whose card is as wanted, once there is one."""
        return await self.until(lambda: next((m for m in self.of(kind) if wanted(m.card)), None))
