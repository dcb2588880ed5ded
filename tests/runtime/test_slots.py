"""Places under a concurrency limit: whoever waits gets the next one, whatever the order of the writes."""

from dataclasses import replace

from engine.core.events import LimitReached, Started
from engine.core.execution import Execution
from engine.core.flow import Flow
from engine.core.state import State
from engine.runtime.slots import Slots
from engine.tasks import catalogue
from tests.core.flows import flow, log
from tests.runtime.conftest import START

SOURCE = flow(log("a"), concurrency={"limit": 1})
FLOW = Flow.model_validate(SOURCE, context={"registry": catalogue(), "source": True})


def execution(id_: str, state: State) -> Execution:
    return Execution(id_, FLOW.namespace, FLOW.id, 1, state, ((state, START),))


def test_who_was_sent_to_wait_while_the_last_one_ended_gets_its_place():
    slots = Slots()
    first, second = execution("E1", State.CREATED), execution("E2", State.CREATED)
    assert isinstance(slots.admit(FLOW, first, Started(START)), Started)
    assert isinstance(slots.admit(FLOW, second, Started(START)), LimitReached)
    assert slots.committed(replace(first, state=State.SUCCESS)) is None
    assert slots.committed(replace(second, state=State.QUEUED)) == "E2"


def test_who_waits_keeps_waiting_while_no_place_is_free():
    slots = Slots()
    slots.admit(FLOW, execution("E1", State.CREATED), Started(START))
    assert slots.committed(execution("E2", State.QUEUED)) is None
    assert slots.committed(execution("E3", State.QUEUED)) is None
    assert slots.committed(execution("E1", State.FAILED)) == "E2"
    assert slots.committed(execution("E2", State.RUNNING)) is None
    assert slots.committed(execution("E2", State.SUCCESS)) == "E3"


def test_what_was_restarted_counts_although_nobody_let_it_in():
    slots = Slots()
    slots.load((FLOW.namespace, FLOW.id), [])
    assert slots.committed(execution("E1", State.RESTARTED)) is None
    assert isinstance(slots.admit(FLOW, execution("E2", State.CREATED), Started(START)), LimitReached)
    assert slots.committed(execution("E2", State.QUEUED)) is None
    assert slots.committed(execution("E1", State.SUCCESS)) == "E2"


def test_after_a_start_only_as_many_are_let_in_as_there_are_places_and_in_their_order():
    slots = Slots()
    slots.load(("a", "f"), [("1", "RUNNING"), ("2", "QUEUED"), ("3", "QUEUED"), ("4", "QUEUED")])
    slots.load(("a", "g"), [("5", "QUEUED"), ("6", "QUEUED")])
    assert slots.first_waiting(lambda _, flow: {"f": 2}.get(flow)) == ["2", "5", "6"]


def test_one_that_is_stopped_before_it_starts_gives_its_place_to_the_next():
    slots = Slots()
    slots.load((FLOW.namespace, FLOW.id), [("E1", "QUEUED"), ("E2", "QUEUED"), ("E3", "QUEUED")])
    assert slots.first_waiting(lambda *_: 1) == ["E1"]
    assert slots.committed(execution("E1", State.KILLED)) == "E2"
    assert slots.committed(execution("E2", State.KILLED)) == "E3"
