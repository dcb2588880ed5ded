"""How often a platform may be written to: token buckets, with a part kept back for what matters most. Pure but for the
counts it keeps; time comes in as seconds of a clock that only goes forward."""

from dataclasses import dataclass, field
from typing import Literal

from bot.conversation import Platform, Room
from engine.store.chat_messages import DECISION, PROGRESS

Operation = Literal["post", "edit"]
SPACING = 2.0  # seconds between two progress edits of one message


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, so many at once, and how many of those progress must leave to others."""

    per_second: float
    burst: float
    kept_back: float
    scope: Literal["workspace", "channel"]


# Slack allows chat.update 50 times a minute in a whole workspace and about one new message a second in a channel;
# Discord counts per channel, five in five seconds.
RATES: dict[tuple[Platform, Operation], Rate] = {
    ("slack", "edit"): Rate(50 / 60, 10, 4, "workspace"),
    ("slack", "post"): Rate(1.0, 4, 1, "channel"),
    ("discord", "edit"): Rate(1.0, 5, 2, "channel"),
    ("discord", "post"): Rate(1.0, 5, 1, "channel"),
}


@dataclass(slots=True)
class Bucket:
    """What is left of a rate."""

    rate: Rate
    level: float
    at: float
    held_until: float = 0.0

    def wait(self, now: float, kept_back: float) -> float:
        """Seconds until one more is allowed that leaves `kept_back` to others."""
        self._fill(now)
        lacking = max(0.0, 1 + kept_back - self.level) / self.rate.per_second
        return max(lacking, self.held_until - now)

    def take(self, now: float) -> None:
        """One was sent."""
        self._fill(now)
        self.level -= 1

    def _fill(self, now: float) -> None:
        passed = max(0.0, now - self.at)  # the clock may have been set back
        self.level = min(self.rate.burst, self.level + passed * self.rate.per_second)
        self.at = now


@dataclass(slots=True)
class Pace:
    """The budget of one platform. `rates` empty: as fast as it goes."""

    platform: Platform
    rates: dict[tuple[Platform, Operation], Rate] = field(default_factory=lambda: RATES)
    spacing: float = SPACING
    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    edited: dict[str, float] = field(default_factory=dict)

    def wait(self, operation: Operation, room: Room, message_id: str, urgency: int, now: float) -> float:
        """Seconds until it may be sent; 0 for now."""
        bucket = self._bucket(operation, room, now)
        spaced = 0.0
        if operation == "edit" and urgency >= PROGRESS and message_id in self.edited:
            spaced = self.edited[message_id] + self.spacing - now
        if bucket is None:
            return max(0.0, spaced)
        kept_back = 0.0 if urgency <= DECISION else bucket.rate.kept_back * (1 if urgency >= PROGRESS else 0.5)
        return max(0.0, spaced, bucket.wait(now, kept_back))

    def take(self, operation: Operation, room: Room, message_id: str, now: float) -> None:
        """It is being sent."""
        if bucket := self._bucket(operation, room, now):
            bucket.take(now)
        self.edited[message_id] = now

    def hold(self, operation: Operation, room: Room, seconds: float, now: float) -> None:
        """The platform asked to wait."""
        if bucket := self._bucket(operation, room, now):
            bucket.held_until = max(bucket.held_until, now + seconds)

    def forget(self, message_id: str) -> None:
        """A message is final."""
        self.edited.pop(message_id, None)

    def _bucket(self, operation: Operation, room: Room, now: float) -> Bucket | None:
        rate = self.rates.get((self.platform, operation))
        if rate is None:
            return None
        # A bot serves one workspace, which rooms named in the settings don't tell.
        scope = "" if rate.scope == "workspace" else room.channel
        return self.buckets.setdefault((operation, scope), Bucket(rate, rate.burst, now))
