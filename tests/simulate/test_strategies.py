"""The laws, over scenes that Hypothesis draws and makes smaller."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.simulate.histories import History, played
from tests.simulate.plants import PLANTS
from tests.simulate.seeds import world_of
from tests.simulate.strategies import dice, flows, scenes
from tests.simulate.work import flow_of

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much)
few = settings(max_examples=60, deadline=None, suppress_health_check=SLOW, derandomize=True, database=None)


@few
@given(flows)
def test_every_flow_that_is_drawn_is_one(drawn):
    for one in drawn:
        flow_of(one)


@few
@given(scenes(), dice("wild"))
def test_the_laws_hold_whatever_happens_next(scene, chance):
    assert played(History(1, "wild", scene), dice=chance).law == ""


@few
@given(scenes(ordered=True), dice("storm"))
def test_a_run_with_crashes_ends_as_one_without(scene, chance):
    assert played(History(0, "storm", scene), dice=chance).law == ""


def test_a_planted_bug_is_found_in_what_hypothesis_draws():
    plant = "stale-cards"

    @settings(few, phases=[Phase.generate], max_examples=100)
    @given(scenes(), dice("wild"))
    def holds(scene, chance):
        assert played(History(1, "wild", scene, plant=plant), world_of(plant), chance).law == ""

    with PLANTS[plant].core(), pytest.raises(AssertionError):
        holds()
