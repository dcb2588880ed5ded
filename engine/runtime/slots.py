"""Concurrency limits of flows: which executions count, and which wait for their turn."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.core.events import Event, ForceAsked, LimitReached, Started
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.state import State

FlowKey = tuple[str, str]


@dataclass(slots=True)
class Lane:
    """Executions of one flow: under way, and waiting in order of creation, which is that of their ids."""

    running: set[str] = field(default_factory=set)
    queued: list[str] = field(default_factory=list)

    def wait(self, execution_id: str) -> None:
        """It waits for its turn; one that had a place and lost it is not behind those that came later."""
        if not self._holds(execution_id):
            insort(self.queued, execution_id)

    def wait_no_more(self, execution_id: str) -> None:
        """It waits no longer, if it did."""
        if self._holds(execution_id):
            del self.queued[bisect_left(self.queued, execution_id)]

    def _holds(self, execution_id: str) -> bool:
        at = bisect_left(self.queued, execution_id)
        return self.queued[at : at + 1] == [execution_id]


class Slots:
    """Counts executions of flows that have a limit. The rows are the truth: it is filled from them.

    `limit_of` tells how many of a flow may be under way as it stands now, whatever it said when they were made; None
    for any number. What becomes of those beyond it (they wait, or fail) the flow said when they were made.
    """

    def __init__(self, limit_of: Callable[[str, str], int | None]) -> None:
        self._limit_of = limit_of
        self._lanes: dict[FlowKey, Lane] = {}
        self._counted: set[FlowKey] = set()  # flows all of whose executions are counted

    def uncounted(self, flows: Iterable[FlowKey]) -> list[FlowKey]:
        """Those of some flows that have to be loaded."""
        return [key for key in flows if key not in self._counted]

    def load(self, flow: FlowKey, rows: Sequence[tuple[str, str]]) -> None:
        """Count the executions of a flow: (id, state) of each that has not ended, oldest first, as they lie there."""
        self._counted.add(flow)
        lane = self._lanes.setdefault(flow, Lane())
        for execution_id, state in rows:
            if state == State.QUEUED:
                lane.wait(execution_id)
            elif state != State.CREATED:
                lane.running.add(execution_id)

    def limits(self, flow: Flow) -> bool:
        """Whether the executions of a flow are counted."""
        return flow.concurrency is not None or (flow.namespace, flow.id) in self._counted

    def reload(self, flow: FlowKey, rows: Sequence[tuple[str, str]]) -> None:
        """Count the executions of a flow anew: what was remembered may be old."""
        self._lanes.pop(flow, None)
        self.load(flow, rows)

    def following(self, namespace: str, flow_id: str) -> list[str]:
        """The queued executions of a flow for which there are places, oldest first. They have these places: one that is
        stopped before it starts gives its own back."""
        return list(iter(partial(self._following, (namespace, flow_id)), None))

    def admit(self, flow: Flow, execution: Execution, event: Event) -> Event:
        """The event, or LimitReached in its place when an execution wants to start over the limit."""
        if not isinstance(event, Started | ForceAsked) or execution.state not in (State.CREATED, State.QUEUED):
            return event
        key = (flow.namespace, flow.id)
        if flow.concurrency is None and key not in self._counted:
            return event
        lane = self._lanes.setdefault(key, Lane())
        taken, limit = len(lane.running - {execution.id}), self._limit_of(*key)
        if flow.concurrency is None or limit is None or taken < limit or isinstance(event, ForceAsked):
            lane.running.add(execution.id)
            lane.wait_no_more(execution.id)
            return event
        lane.running.discard(execution.id)
        return LimitReached(event.now, taken)

    def committed(self, execution: Execution) -> str | None:
        """An execution was written: the id of the one whose turn has come, if a place is free now."""
        key = (execution.namespace, execution.flow_id)
        lane = self._lanes.get(key)
        if lane is None:
            return None
        if execution.state is State.QUEUED:
            lane.wait(execution.id)  # others may have ended since it was sent to wait
            return self._following(key)
        if not execution.state.is_terminal:
            if execution.state is not State.CREATED:
                lane.running.add(execution.id)  # restarted or replayed: nobody had to let it in, but it counts
            return None
        lane.wait_no_more(execution.id)
        if execution.id not in lane.running:
            return None
        lane.running.discard(execution.id)
        return self._following(key)

    def _following(self, key: FlowKey) -> str | None:
        lane = self._lanes.get(key)
        if lane is None or not lane.queued:
            return None
        limit = self._limit_of(*key)
        if limit is not None and len(lane.running) >= limit:
            return None
        following = lane.queued.pop(0)
        lane.running.add(following)  # the place is taken until it starts
        return following

    def first_waiting(self) -> list[str]:
        """The queued executions of every flow for which there are places, oldest first; none may overtake another."""
        return [execution_id for key in self._lanes for execution_id in self.following(*key)]
