"""Places that are looked at again and again, where files stay: which of them are news."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import Field

from engine.plugin import Part, Property, TaskFailed

T = TypeVar("T")
MOST_KNOWN = 10_000  # files that are remembered from one look to the next
Change = Literal["CREATE", "UPDATE"]


class WatchFields(Part):
    """What counts as news of files that stay where they are."""

    on: Property[Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]] = "CREATE_OR_UPDATE"
    state_key: Any = Field(default=None, description="Of no effect: each trigger remembers by itself.")
    state_ttl: Any = Field(default=None, description="Of no effect: what is gone is forgotten.")


class Arrivals:
    """What was known at the last look, and after `news` as `memory` what to know at the next."""

    def __init__(self, on: str, known: Mapping[str, str]) -> None:
        self._on, self._known = on, known
        self.memory: dict[str, str] = {}

    def news(
        self, there: Sequence[T], most: int, *, name: Callable[[T], str], version: Callable[[T], str | None]
    ) -> list[tuple[T, Change]]:
        """The first `most` that are new or have changed; what was not reached is news the next time. One without a
        version is gone by now."""
        found: list[tuple[T, Change]] = []
        for one in there:
            called, seen = name(one), version(one)
            if seen is None:
                continue
            before = self._known.get(called)
            change: Change = "CREATE" if before is None else "UPDATE"
            is_news = seen != before and change in self._on
            if is_news and len(found) == most:
                self.memory.update({} if before is None else {called: before})
                continue
            if is_news:
                found.append((one, change))
            self.memory[called] = seen
        if len(self.memory) > MOST_KNOWN:
            raise TaskFailed(
                f"More than {MOST_KNOWN} files lie there, more than can be watched.",
                fix="Let `action` take them away, or say more narrowly which are meant.",
            )
        return found
