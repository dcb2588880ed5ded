"""What the process has counted since it started, for `/metrics`.

Plain numbers, each with one writer (the loop, or the writer thread), so that counting costs an addition and no lock.
They belong to the process, as a scraper sees it, and are read when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from engine.core.execution import Execution
from engine.core.state import State


class Tally:
    """How often something happened, by its labels."""

    def __init__(self, *labels: str) -> None:
        self.labels = labels
        self.counts: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, by: float = 1) -> None:
        """It happened once more (or `by` more), with these values of the labels."""
        self.counts[values] = self.counts.get(values, 0) + by


class Distribution:
    """How values are spread, as a histogram: counts by upper bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, values up to it) with `+Inf` last, as Prometheus wants them."""
        total, found = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 600.0)

ENDED = Tally("namespace", "state")  # executions
START_DELAY = Distribution(SECONDS)  # from the creation of an execution to its first task
FIRE_LATENESS = Distribution(SECONDS)  # from a schedule's date to the execution being on disk; no backfills
GROUP_SIZE = Distribution((1, 2, 4, 8, 16, 32, 64, 128))  # units in one commit
TOKENS = Tally("direction")  # of language models
DIRECTIONS = {  # what tasks call the tokens of a model that they record
    "input.token.count": "input",
    "prompt.token.count": "input",
    "usage.prompt.tokens": "input",
    "usage.input.tokens": "input",
    "output.token.count": "output",
    "candidate.token.count": "output",
    "usage.completion.tokens": "output",
    "usage.output.tokens": "output",
}
_NOT_BEGUN = (State.CREATED, State.QUEUED, State.KILLING, State.KILLED, State.CANCELLED)


def count_change(before: Execution, after: Execution, now: datetime) -> None:
    """Note that an execution began, or ended, when it did."""
    if before.state in (State.CREATED, State.QUEUED) and after.state not in _NOT_BEGUN:
        START_DELAY.observe(max(0.0, (now - before.created).total_seconds()))
    if after.state.is_terminal and not before.state.is_terminal:
        ENDED.add(after.namespace, after.state.value)


def count_tokens(metric: str, value: float) -> None:
    """Count what a task recorded, if it is the tokens of a language model."""
    if (direction := DIRECTIONS.get(metric)) is not None and value > 0:
        TOKENS.add(direction, by=value)
