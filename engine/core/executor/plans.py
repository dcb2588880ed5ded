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


class Plan:
    """Places of a flow's tasks by task id, the lists of its top level, and the defaults of its inputs by id."""

    def __init__(self, flow: Flow) -> None:
        self.defaults = standing_defaults(flow.inputs)
        self.places: dict[str, Place] = {}
        self.lists: dict[Section, Body] = {}
        top: tuple[tuple[Section, tuple[Task, ...]], ...] = (
            ("tasks", flow.tasks),
            ("errors", flow.errors),
            ("finally", flow.finally_),
            ("after", flow.after_execution),
        )
        for section, tasks in top:
            self.lists[section] = Body(enabled(tasks))
            self._add(tasks, None, section)

    def _add(self, tasks: tuple[Task, ...], parent: Place | None, section: Section) -> None:
        for task in tasks:
            flowable = isinstance(task, FlowableTask) and not isinstance(task, DirectoryTask)
            place = self.places[task.id] = Place(task, parent, section, flowable)
            if isinstance(task, FlowableTask):
                for inner, children in task.lists():
                    self._add(children, place, inner)


_plans: dict[int, tuple[weakref.ref[Flow], Plan]] = {}


def plan_of(flow: Flow) -> Plan:
    """The plan of a flow, made once."""
    known = _plans.get(id(flow))
    if known is not None and known[0]() is flow:
        return known[1]
    key = id(flow)
    plan = Plan(flow)
    _plans[key] = (weakref.ref(flow, lambda _: _plans.pop(key, None)), plan)
    return plan


def find_task(flow: Flow, task_id: str) -> Task | None:
    """The task with this id, however deep it stands, those a ForEachItem makes of itself included."""
    place = plan_of(flow).places.get(task_id)
    return place.task if place else None
