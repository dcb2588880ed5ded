"""Platform budgets: never above the rate, urgent things always first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.pacing import Pace
from bot.conversation import Room
from engine.store.chat_messages import DECISION, END, POST, PROGRESS

ROOMS = [Room("slack", name, workspace="T1") for name in ("C1", "C2", "C3")]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["post", "edit"]), st.sampled_from(ROOMS), st.sampled_from([DECISION, POST, END, PROGRESS])
        ),
        max_size=120,
    ),
    st.floats(0.01, 3),
)
def test_slack_never_gets_more_edits_than_its_rate(wanted, step):
    pace, now, sent = Pace("slack"), 0.0, []
    for number, (operation, room, urgency) in enumerate(wanted):
        now += step
        if pace.wait(operation, room, f"m{number}", urgency, now) == 0:
            pace.take(operation, room, f"m{number}", now)
            if operation == "edit":
                sent.append(now)
    for start in sent:
        in_a_minute = [at for at in sent if start <= at < start + 60]
        assert len(in_a_minute) <= 10 + 50


SOON = 2.0  # seconds within which a decision is to be seen wherever its card stands


@pytest.mark.parametrize("platform", ["slack", "discord"])
@given(
    wanted=st.lists(
        st.tuples(
            st.sampled_from(["post", "edit"]),
            st.sampled_from([0, 1, 2]),
            st.sampled_from([POST, END, PROGRESS]),
            st.floats(0, 3),
        ),
        max_size=150,
    ),
    operation=st.sampled_from(["post", "edit"]),
    place=st.sampled_from([0, 1, 2]),
)
def test_whatever_goes_on_a_decision_is_planned_within_two_seconds(platform, wanted, operation, place):
    """All else goes out as early as it may, as long as there is any of it."""
    pace, now = Pace(platform), 0.0
    rooms = [Room(platform, name) for name in ("C1", "C2", "C3")]
    for number, (what, where, urgency, step) in enumerate(wanted):
        now += step
        while pace.wait(what, rooms[where], f"m{number % 7}", urgency, now) == 0:
            pace.take(what, rooms[where], f"m{number % 7}", now)
    assert pace.wait(operation, rooms[place], "decided", DECISION, now) <= SOON
    assert operation == "post" or pace.wait("edit", rooms[place], "m0", DECISION, now) == 0, "edits at once"


def test_progress_leaves_room_for_decisions():
    pace = Pace("slack")
    sent = 0
    while pace.wait("edit", ROOMS[0], f"m{sent}", PROGRESS, 0.0) == 0:
        pace.take("edit", ROOMS[0], f"m{sent}", 0.0)
        sent += 1
    assert sent == 6
    assert pace.wait("edit", ROOMS[1], "other channel, same workspace", PROGRESS, 0.0) > 0
    assert pace.wait("edit", ROOMS[0], "decision", DECISION, 0.0) == 0


@pytest.mark.parametrize("platform", ["slack", "discord", "web"])
def test_one_message_is_not_edited_twice_in_two_seconds_for_progress(platform):
    pace = Pace(platform)
    pace.take("edit", ROOMS[0], "m", 10.0)
    assert pace.wait("edit", ROOMS[0], "m", PROGRESS, 10.5) == 1.5
    assert pace.wait("edit", ROOMS[0], "m", END, 10.5) == 0
    assert pace.wait("edit", ROOMS[0], "m", PROGRESS, 12.0) == 0


def test_discord_counts_by_channel_and_heeds_a_hold():
    pace = Pace("discord")
    here, there = Room("discord", "1"), Room("discord", "2")
    pace.hold("edit", here, 7.0, 0.0)
    assert pace.wait("edit", here, "m", DECISION, 0.0) == 7.0
    assert pace.wait("edit", there, "m", DECISION, 0.0) == 0


def test_rooms_of_the_settings_share_the_budget_of_the_workspace():
    """They are named without it: `slack:#ops` beside a room where somebody typed."""
    pace, typed, named = Pace("slack"), Room("slack", "C1", workspace="T1"), Room("slack", "C2")
    for number in range(10):
        assert pace.wait("edit", typed, f"m{number}", DECISION, 0.0) == 0
        pace.take("edit", typed, f"m{number}", 0.0)
    assert pace.wait("edit", named, "m", DECISION, 0.0) > 0
