"""Flows and runs by what people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.references import FlowName, Unresolved, find_flow, find_run, guess, rank, short

FLOWS = [
    FlowName("company.ai", "gen_img_approval"),
    FlowName("company.ai", "deploy"),
    FlowName("company.web", "deploy"),
    FlowName("demo", "generate_image"),
    FlowName("demo.more", "deploy.web"),
]


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("gen_img_approval", "company.ai/gen_img_approval"),
        ("company.ai/gen_img_approval", "company.ai/gen_img_approval"),
        ("company.ai.gen_img_approval", "company.ai/gen_img_approval"),
        ("ai/deploy", "company.ai/deploy"),
        ("web/deploy", "company.web/deploy"),
        ("GENERATE_IMAGE", "demo/generate_image"),
        ("deploy.web", "demo.more/deploy.web"),
    ],
)
def test_a_unique_end_names_a_flow(typed, full):
    assert find_flow(typed, FLOWS).full == full


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("deploy", "E03", "`deploy` fits 2 flows: `company.ai/deploy`, `company.web/deploy`. Add the namespace."),
        ("gen_img_aproval", "E02", "Closest: `company.ai/gen_img_approval`"),
        ("approval", "E02", "Closest: `company.ai/gen_img_approval`"),
        ("zzzzzz", "E02", "No flow matches `zzzzzz`. `/flow list`"),
        ("", "E02", "No flow matches"),
    ],
)
def test_what_names_none_or_many_says_so(typed, code, says):
    with pytest.raises(Unresolved) as caught:
        find_flow(typed, FLOWS)
    assert caught.value.answer.code == code
    assert says in caught.value.answer.text


RUNS = ["01JD0000000000000000AAAAAA", "01JD0000000000000000ABCDEF", "01JD0000000000000001ABCDEF"]


@pytest.mark.parametrize("typed", ["#AAAAAA", "aaaaaa", "01JD0000000000000000AAAAAA", "#aaa"])
def test_a_run_goes_by_its_end(typed):
    assert find_run(typed, RUNS) == RUNS[0]


def test_a_run_that_fits_twice_or_not_at_all():
    with pytest.raises(Unresolved, match="fits 2 runs"):
        find_run("#ABCDEF", RUNS)
    with pytest.raises(Unresolved, match="Closest: `#AAAAAA`"):
        find_run("#AAAAAB", RUNS)
    with pytest.raises(Unresolved):
        find_run("#A", RUNS)


def test_guess_offers_the_nearest_word():
    assert guess("lsit", ["list", "run"]) == "Did you mean `list`?"
    assert guess("qqqq", ["list", "run"]) == ""


def test_ranking_puts_beginnings_first_and_then_use():
    names = ["a/list-images", "b/images", "c/my-image", "d/image", "e/image2"]
    assert rank("image", names, {"e/image2": 5}) == ["d/image", "e/image2", "b/images", "a/list-images", "c/my-image"]
    assert rank("", names, {"c/my-image": 1})[0] == "c/my-image"


@given(st.lists(st.tuples(st.sampled_from(["a", "a.b", "b.a"]), st.sampled_from(["x", "y", "x.y"])), unique=True))
def test_a_full_name_always_names_its_flow(pairs):
    flows = [FlowName(*pair) for pair in pairs]
    for flow in flows:
        assert find_flow(flow.full, flows) == flow


def test_short_is_the_random_end():
    assert short(RUNS[0]) == "#AAAAAA"
