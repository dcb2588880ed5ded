"""How much one person may ask in a short time, so that the answers to everybody else do not wait. Time comes in."""

from dataclasses import dataclass, field

from bot.cards.pacing import Bucket, Rate

BURST = 5  # the share of a minute's allowance that may come at once: a fifth
REMEMBERED = 10_000  # people


@dataclass(slots=True)
class Crowding:
    """Counts what people send. `per_minute` 0: nobody is refused."""

    per_minute: int
    buckets: dict[str, Bucket] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)  # in which minute somebody was last refused

    def wait(self, person_id: str, now: float) -> float:
        """Seconds until the next one of a person is taken; 0 takes it."""
        if not self.per_minute:
            return 0.0
        bucket = self.buckets.get(person_id)
        if bucket is None:
            if len(self.buckets) >= REMEMBERED:
                self.buckets.clear()  # whoever sends too much is found again at once
            burst = max(1.0, self.per_minute / BURST)
            rate = Rate(self.per_minute / 60, burst, 0.0, "workspace")
            bucket = self.buckets[person_id] = Bucket(rate, burst, now)
        wait = bucket.wait(now, 0.0)
        if not wait:
            bucket.take(now)
        return wait

    def is_first(self, person_id: str, now: float) -> bool:
        """Whether a refusal is somebody's first in this minute: the record needs no more of them."""
        if len(self.refused) >= REMEMBERED:
            self.refused.clear()
        before, minute = self.refused.get(person_id), int(now // 60)
        self.refused[person_id] = minute
        return before != minute
