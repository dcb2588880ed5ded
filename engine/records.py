"""What the engine keeps of executions and triggers, as tasks may count, read and purge it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from engine.core.state import State

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which executions are meant. `below`: those of child namespaces too; empty `states`: of any state."""

    namespace: str | None = None
    flow_id: str | None = None
    states: tuple[State, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    below: bool = False
    execution_id: str | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """How much was deleted."""

    executions: int = 0
    outputs: int = 0
    logs: int = 0
    metrics: int = 0
    files: int = 0

    def __add__(self, other: "Purged") -> "Purged":
        return Purged(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class TriggerStanding:
    """A trigger, and where it stands. `execution_id` is what it started last, while that is under way; `is_filling`: a
    backfill makes up for dates of its past."""

    namespace: str
    flow_id: str
    trigger_id: str
    type: str
    disabled: bool = False
    last_date: datetime | None = None
    next_date: datetime | None = None
    execution_id: str | None = None
    is_filling: bool = False


class Records(Protocol):
    """What tasks may do to what the engine keeps: executions that have ended, logs, keys, triggers."""

    async def count(self, chosen: Selection) -> int:
        """How many executions are meant."""

    def executions(self, chosen: Selection) -> AsyncIterator[Mapping[str, Any]]:
        """The executions that are meant, newest first, as the API gives them: secrets as stars."""

    async def execution(self, execution_id: str) -> Mapping[str, Any]:
        """One of them; NotFound."""

    async def delete(self, execution_id: str, parts: frozenset[str], by: str) -> Purged:
        """Delete parts of one execution that has ended, nothing while something of it is under way; it is recorded `by`
        which flow. NotFound."""

    async def purge(self, chosen: Selection, parts: frozenset[str], batch: int, by: str) -> Purged:
        """Delete parts (`execution`, `log`, `metric`, `storage`) of executions that are meant and have ended; it is
        recorded `by` which flow."""

    def logs(
        self, execution_id: str, namespace: str, flow_id: str | None, tasks: Sequence[str], level: Level
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The log of an execution, line by line; NotFound when the namespace (or flow) has no such execution."""

    async def purge_logs(self, chosen: Selection, levels: Sequence[Level]) -> int:
        """Delete log lines between two dates; how many."""

    async def purge_metrics(self, chosen: Selection) -> int:
        """Delete metrics that were recorded between two dates; how many."""

    async def purge_files(self, chosen: Selection, *, asking: str, dry: bool) -> tuple[int, int, int]:
        """Delete files that executions wrote between two dates, unless `dry`; of those under way only of `asking`.

        How many executions were looked at, how many have such files, and how many files were deleted.
        """

    async def purge_keys(self, fits: Callable[[str, str], bool], *, expired_only: bool) -> int:
        """Delete pairs of the KV store for whose namespace and key `fits` says yes; how many."""

    async def triggers(
        self, namespace: str | None, flow_id: str | None = None, *, below: bool = False
    ) -> Sequence[TriggerStanding]:
        """The triggers of a flow, a namespace (with `below` of its child namespaces too) or of all."""

    async def toggle(self, namespace: str, flow_id: str, trigger_id: str, *, enabled: bool) -> None:
        """Switch a trigger on or off; NotFound."""
