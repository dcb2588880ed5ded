"""A backfill: dates of the past (or a while to come) that a schedule makes up for, one execution after another."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Backfill:
    """Where a backfill stands. `current` is the next date; `inputs` and `labels` come on top of the trigger's."""

    id: str
    start: datetime
    end: datetime
    current: datetime
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[tuple[str, str], ...] = ()
    paused: bool = False

    def moved(self, following: datetime | None) -> "Backfill | None":
        """The backfill at its next date, None when that lies behind its end."""
        if following is None or following > self.end:
            return None
        return replace(self, current=following)

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        dates = {name: getattr(self, name).isoformat() for name in ("start", "end", "current")}
        return {
            "id": self.id,
            **dates,
            "inputs": dict(self.inputs),
            "labels": [list(pair) for pair in self.labels],
            "paused": self.paused,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Backfill":
        """The backfill of a document."""
        dates = {name: datetime.fromisoformat(document[name]) for name in ("start", "end", "current")}
        labels = tuple((str(key), str(value)) for key, value in document["labels"])
        return cls(id=document["id"], **dates, inputs=document["inputs"], labels=labels, paused=document["paused"])
