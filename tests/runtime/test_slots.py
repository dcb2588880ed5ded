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
    slots = Slots(lambda *_: 1)
    first, second = execution("E1", State.CREATED), execution("E2", State.CREATED)
    assert isinstance(slots.admit(FLOW, first, Started(START)), Started)
    assert isinstance(slots.admit(FLOW, second, Started(START)), LimitReached)
    assert slots.committed(replace(first, state=State.SUCCESS)) is None
    assert slots.committed(replace(second, state=State.QUEUED)) == "E2"


def test_who_waits_keeps_waiting_while_no_place_is_free():
    slots = Slots(lambda *_: 1)
    slots.admit(FLOW, execution("E1", State.CREATED), Started(START))
    assert slots.committed(execution("E2", State.QUEUED)) is None
    assert slots.committed(execution("E3", State.QUEUED)) is None
    assert slots.committed(execution("E1", State.FAILED)) == "E2"
    assert slots.committed(execution("E2", State.RUNNING)) is None
    assert slots.committed(execution("E2", State.SUCCESS)) == "E3"


def test_what_was_restarted_counts_although_nobody_let_it_in():
    slots = Slots(lambda *_: 1)
    slots.load((FLOW.namespace, FLOW.id), [])
    assert slots.committed(execution("E1", State.RESTARTED)) is None
    assert isinstance(slots.admit(FLOW, execution("E2", State.CREATED), Started(START)), LimitReached)
    assert slots.committed(execution("E2", State.QUEUED)) is None
    assert slots.committed(execution("E1", State.SUCCESS)) == "E2"


def test_after_a_start_only_as_many_are_let_in_as_there_are_places_and_in_their_order():
    slots = Slots(lambda _, flow: {"f": 2}.get(flow))
    slots.load(("a", "f"), [("1", "RUNNING"), ("2", "QUEUED"), ("3", "QUEUED"), ("4", "QUEUED")])
    slots.load(("a", "g"), [("5", "QUEUED"), ("6", "QUEUED")])
    assert slots.first_waiting() == ["2", "5", "6"]


def test_one_that_is_stopped_before_it_starts_gives_its_place_to_the_next():
    slots = Slots(lambda *_: 1)
    slots.load((FLOW.namespace, FLOW.id), [("E1", "QUEUED"), ("E2", "QUEUED"), ("E3", "QUEUED")])
    assert slots.first_waiting() == ["E1"]
    assert slots.committed(execution("E1", State.KILLED)) == "E2"
    assert slots.committed(execution("E2", State.KILLED)) == "E3"


def test_what_the_flow_says_now_counts_for_those_that_were_made_before():
    limits = {"f": 1}
    slots = Slots(lambda _, flow: limits[flow])
    slots.load((FLOW.namespace, FLOW.id), [("E1", "RUNNING"), ("E2", "QUEUED"), ("E3", "QUEUED"), ("E4", "QUEUED")])
    assert slots.first_waiting() == []
    limits["f"] = 3
    assert slots.first_waiting() == ["E2", "E3"]
    assert isinstance(slots.admit(FLOW, execution("E2", State.QUEUED), Started(START)), Started)
    limits["f"] = 2
    assert isinstance(slots.admit(FLOW, execution("E3", State.QUEUED), Started(START)), LimitReached)


def test_who_was_let_in_and_finds_the_place_taken_is_still_the_first():
    slots = Slots(lambda *_: 1)
    slots.load((FLOW.namespace, FLOW.id), [("E2", "QUEUED"), ("E3", "QUEUED"), ("E4", "QUEUED")])
    assert slots.first_waiting() == ["E2"]
    assert slots.committed(execution("E1", State.RESTARTED)) is None  # nobody asks whether that may go on
    assert isinstance(slots.admit(FLOW, execution("E2", State.QUEUED), Started(START)), LimitReached)
    assert slots.committed(execution("E2", State.QUEUED)) is None
    assert slots.committed(execution("E1", State.SUCCESS)) == "E2"
