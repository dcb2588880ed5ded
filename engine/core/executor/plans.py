"""What a flow says once and for all: every task by id, where it stands and what is above it; defaults of its inputs."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.flow import Flow
from engine.core.flowable import Body, DirectoryTask, FlowableTask, Section, enabled
from engine.core.inputs import standing_defaults
from engine.core.task import Task


@dataclass(frozen=True, slots=True)
class Place:
    """A task and where it stands: under which task, in which of its lists."""

    task: Task
    parent: "Place | None"
    section: Section
    is_flowable: bool  # the executor runs its children itself

    @property
    def above(self) -> "Iterator[Place]":
        """The tasks it stands in, nearest first."""
        place = self.parent
        while place is not None:
            yield place
            place = place.parent

    @property
    def root_section(self) -> Section:
        """The list of the flow it belongs to."""
        place = self
        while place.parent is not None:
            place = place.parent
        return place.section


NOTHING = Body(())


class Plan:
    """Places of a flow's tasks by task id, the lists of its top level, and the defaults of its inputs by id."""

    __slots__ = ("_lists", "defaults", "places")

    def __init__(self, flow: Flow) -> None:
        self.defaults = standing_defaults(flow.inputs)
        self.places: dict[str, Place] = {}
        self._lists: dict[Section, Body] = {}
        top: tuple[tuple[Section, tuple[Task, ...]], ...] = (
            ("tasks", flow.tasks),
            ("errors", flow.errors),
            ("finally", flow.finally_),
            ("after", flow.after_execution),
        )
        for section, tasks in top:
            if tasks:
                self._lists[section] = Body(enabled(tasks))
                self._add(tasks, None, section)

    def body(self, section: Section) -> Body:
        """What runs of a list of the top level."""
        return self._lists.get(section, NOTHING)

    def _add(self, tasks: tuple[Task, ...], parent: Place | None, section: Section) -> None:
        for task in tasks:
            flowable = isinstance(task, FlowableTask) and not isinstance(task, DirectoryTask)
            place = self.places[task.id] = Place(task, parent, section, flowable)
            if isinstance(task, FlowableTask):
                for inner, children in task.lists():
                    self._add(children, place, inner)


class Known(weakref.ref[Flow]):
    """A flow that has a plan; when the flow goes, the plan does."""

    __slots__ = ("key", "plan")
    key: int
    plan: Plan

    def __new__(cls, flow: Flow) -> "Known":
        """A reference that is told of the flow's end."""
        known = super().__new__(cls, flow, _forget)
        known.key = id(flow)
        known.plan = Plan(flow)
        return known


_known: dict[int, Known] = {}


def _forget(gone: weakref.ref[Flow]) -> None:
    assert isinstance(gone, Known)  # noqa: S101 - nothing else refers to it
    if _known.get(gone.key) is gone:
        del _known[gone.key]


def plan_of(flow: Flow) -> Plan:
    """The plan of a flow, made once."""
    known = _known.get(id(flow))
    if known is None or known() is not flow:
        known = _known[id(flow)] = Known(flow)
    return known.plan


def find_task(flow: Flow, task_id: str) -> Task | None:
    """The task with this id, however deep it stands, those a ForEachItem makes of itself included."""
    place = plan_of(flow).places.get(task_id)
    return place.task if place else None
