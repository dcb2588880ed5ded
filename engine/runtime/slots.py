"""Concurrency limits of flows: which executions count, and which wait for their turn."""

from collections import OrderedDict
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
    """Executions of one flow: under way, and waiting in order of creation. `limit` as the last start found it."""

    limit: int = 0
    running: set[str] = field(default_factory=set)
    queued: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Slots:
    """Counts executions of flows that have a limit. The rows are the truth: it is filled from them."""

    def __init__(self) -> None:
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
                lane.queued[execution_id] = None
            elif state != State.CREATED:
                lane.running.add(execution_id)

    def limits(self, flow: Flow) -> bool:
        """Whether the executions of a flow are counted."""
        return flow.concurrency is not None or (flow.namespace, flow.id) in self._counted

    def reload(self, flow: FlowKey, rows: Sequence[tuple[str, str]]) -> None:
        """Count the executions of a flow anew: what was remembered may be old."""
        self._lanes.pop(flow, None)
        self.load(flow, rows)

    def following(self, namespace: str, flow_id: str, limit: int | None) -> list[str]:
        """The queued executions of a flow for which there are places, oldest first. They have these places: one that is
        stopped before it starts gives its own back."""
        lane = self._lanes.get((namespace, flow_id), Lane())
        lane.limit = limit or 0
        return list(iter(partial(self._following, lane), None))

    def admit(self, flow: Flow, execution: Execution, event: Event) -> Event:
        """The event, or LimitReached in its place when an execution wants to start over the limit."""
        if not isinstance(event, Started | ForceAsked) or execution.state not in (State.CREATED, State.QUEUED):
            return event
        key = (flow.namespace, flow.id)
        if flow.concurrency is None and key not in self._counted:
            return event
        lane = self._lanes.setdefault(key, Lane())
        lane.limit = flow.concurrency.limit if flow.concurrency is not None else 0
        taken = len(lane.running - {execution.id})
        if flow.concurrency is None or taken < flow.concurrency.limit or isinstance(event, ForceAsked):
            lane.running.add(execution.id)
            lane.queued.pop(execution.id, None)
            return event
        lane.running.discard(execution.id)
        return LimitReached(event.now, taken)

    def committed(self, execution: Execution) -> str | None:
        """An execution was written: the id of the one whose turn has come, if a place is free now."""
        lane = self._lanes.get((execution.namespace, execution.flow_id))
        if lane is None:
            return None
        if execution.state is State.QUEUED:
            lane.queued[execution.id] = None  # others may have ended since it was sent to wait
            return self._following(lane)
        if not execution.state.is_terminal:
            if execution.state is not State.CREATED:
                lane.running.add(execution.id)  # restarted or replayed: nobody had to let it in, but it counts
            return None
        lane.queued.pop(execution.id, None)
        if execution.id not in lane.running:
            return None
        lane.running.discard(execution.id)
        return self._following(lane)

    def _following(self, lane: Lane) -> str | None:
        if not lane.queued or (lane.limit and len(lane.running) >= lane.limit):
            return None
        following, _ = lane.queued.popitem(last=False)
        lane.running.add(following)  # the place is taken until it starts
        return following

    def first_waiting(self, limit_of: Callable[[str, str], int | None]) -> list[str]:
        """The queued executions of every flow for which there are places, oldest first; none may overtake another."""
        return [execution_id for key in self._lanes for execution_id in self.following(*key, limit_of(*key))]
