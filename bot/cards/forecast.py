"""When a run will be done, by how long earlier successful runs of its flow worked. Pure.

Time in which a run waited for people or for its turn counts in neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from engine.core.execution import Execution, Histories
from engine.core.state import State
from engine.store.durations import PastRun

ENOUGH = 3  # runs before anything is said
WORTH_TELLING = 2.0  # seconds
_WAITS = frozenset({State.CREATED, State.QUEUED, State.PAUSED, State.RETRYING})


@dataclass(frozen=True, slots=True)
class Usual:
    """Seconds that a run and its tasks work as a rule; None and missing where not enough is known."""

    whole: float | None = None
    tasks: Mapping[str, float] = field(default_factory=dict)


def usual(past: Sequence[PastRun], revision: int) -> Usual:
    """The medians of earlier runs: of the same revision where there are enough, else of the flow."""
    same = [run for run in past if run.revision == revision]
    runs = same if len(same) >= ENOUGH else list(past)
    if len(runs) < ENOUGH:
        return Usual()
    names = {name for run in runs for name in run.tasks}
    known = {name: [worked(run.tasks[name]) for run in runs if name in run.tasks] for name in names}
    tasks = {name: median(seconds) for name, seconds in known.items() if len(seconds) >= ENOUGH}
    return Usual(median(worked(run.histories) for run in runs), tasks)


def worked(histories: Histories, now: datetime | None = None) -> float:
    """Seconds in states in which something is done, up to now or to the end; not those between an end and a restart."""
    ends = [*histories, (histories[-1][0], now)] if now is not None else histories
    spans = ((state, end - begin) for (state, begin), (_, end) in pairwise(ends) if end is not None)
    return sum((span.total_seconds() for state, span in spans if state not in _WAITS and not state.is_terminal), 0.0)


def ready_at(execution: Execution, known: Usual, now: datetime) -> datetime | None:
    """When a run that works will be done as a rule; None when that is not known, over, or not worth telling."""
    if known.whole is None or known.whole < WORTH_TELLING or execution.state.is_terminal or execution.state in _WAITS:
        return None
    left = known.whole - worked(execution.histories, now)
    return now + timedelta(seconds=left) if left > 0 else None
