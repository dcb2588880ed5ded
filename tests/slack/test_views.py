"""Cards, listings and transcripts as messages: what they look like, and that nothing is refused or lost."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.conversation import (
    Action,
    Card,
    Confirm,
    Fact,
    FileRef,
    Listing,
    Notice,
    Row,
    Step,
    Transcript,
)
from bot.slack import views
from bot.slack.blocks import Overflow, Rendered
from tests.wire import slack_rules as rules
from tests.wire import slack_seeing as seeing

DEADLINE = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


def check(rendered: Rendered) -> None:
    """Slack takes it, and nobody is pinged."""
    rules.check_message(rendered.payload)
    assert seeing.pings(rendered.payload) == []
    messages, _ = views.spill(rendered.overflow)
    for message in messages:
        rules.check_message(message)
        assert seeing.pings(message) == []


def test_a_pause_card_in_full() -> None:
    card = Card(
        "pause",
        "01JD",
        "paused",
        "Approval needed: gen_img",
        subtitle="Asked by **ann**",
        body="A fox.\n\n- red\n- quick",
        facts=(Fact("Run", "`01JD`"), Fact("Quorum", "1 of 2"), Fact("Prompt", "a fox in the snow", short=False)),
        steps=(Step("SUCCESS", "draw", "3 s"), Step("RUNNING", "post", depth=1)),
        files=(FileRef("kestra:///fox.png", "fox.png", "image/png", 204800, "a fox"),),
        actions=(
            Action("p1:ap:01JD:1", "Approve", "primary"),
            Action("p1:rj:01JD:1", "Reject…", "danger", Confirm("Reject?", "The run ends.")),
            Action("", "Open", "link", url="https://parley.test/runs/01JD"),
        ),
        deadline=DEADLINE,
        footer="company.ai/gen_img",
        fallback="Approval needed",
    )
    rendered = views.card(card)
    check(rendered)
    mrkdwn = {"type": "mrkdwn", "verbatim": True}
    plain = {"type": "plain_text", "emoji": False}
    assert rendered.overflow == ()
    assert rendered.payload == {
        "text": "Approval needed",
        "blocks": [
            {"type": "header", "text": {**plain, "text": "✋ Approval needed: gen_img"}},
            {"type": "context", "elements": [{**mrkdwn, "text": "Asked by *ann*"}]},
            {"type": "section", "text": {**mrkdwn, "text": "A fox.\n\n• red\n• quick"}},
            {"type": "section", "text": {**mrkdwn, "text": "*Prompt*\na fox in the snow"}},
            {
                "type": "section",
                "fields": [{**mrkdwn, "text": "*Run*\n`01JD`"}, {**mrkdwn, "text": "*Quorum*\n1 of 2"}],
            },
            {"type": "section", "text": {**mrkdwn, "text": "✅ draw · 3 s\n\u2003⏳ post"}},
            {"type": "context", "elements": [{**mrkdwn, "text": "📎 fox.png (200 kB) – a fox"}]},
            {
                "type": "context",
                "elements": [
                    {
                        **mrkdwn,
                        "text": "⏰ Answer by <!date^1795442400^{date_short_pretty} at {time}|2026-11-23 14:00 UTC>",
                    }
                ],
            },
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button",
                        "text": {**plain, "text": "Approve"},
                        "action_id": "p1:ap:01JD:1",
                        "style": "primary",
                    },
                    {
                        "type": "button",
                        "text": {**plain, "text": "Reject…"},
                        "action_id": "p1:rj:01JD:1",
                        "style": "danger",
                        "confirm": {
                            "title": {**plain, "text": "Reject?"},
                            "text": {**plain, "text": "The run ends."},
                            "confirm": {**plain, "text": "Yes"},
                            "deny": {**plain, "text": "Cancel"},
                        },
                    },
                    {
                        "type": "button",
                        "text": {**plain, "text": "Open"},
                        "action_id": "link:2",
                        "url": "https://parley.test/runs/01JD",
                    },
                ],
            },
            {"type": "context", "elements": [{**mrkdwn, "text": "company.ai/gen\\_img".replace("\\", "")}]},
        ],
    }


@pytest.mark.parametrize("cut_at", range(140, 152))
def test_emoji_and_right_to_left_text_are_cut_between_what_readers_see(cut_at: int) -> None:
    family, flag, arabic = "👩‍👩‍👧‍👦", "🇩🇪", "شُكْرًا"
    for piece in (family, flag, arabic):
        title = "x" * (cut_at - 6) + piece * 4
        rendered = views.card(Card("post", "1", "info", title))
        check(rendered)
        head = rendered.payload["blocks"][0]["text"]["text"].removeprefix("ℹ️ ").removesuffix("…")
        assert title.startswith(head)
        left = title[len(head) :]
        assert left == "" or left.startswith((piece, "x")) or (piece == arabic and left[0] in arabic)
        assert not left.startswith(("\u200d", "\ufe0f"))
        assert not head.endswith("\u200d")
        if head != title:
            assert rendered.overflow[0].text == title


def test_a_direction_override_does_not_reorder_the_message() -> None:
    rendered = views.card(Card("post", "1", "info", "name\u202egpj.exe", body="\u2066left open"))
    assert "\u202e" not in seeing.shown(rendered.payload)
    assert "\u2066" not in seeing.shown(rendered.payload)


def test_a_long_log_is_a_file_and_its_first_lines_are_shown() -> None:
    lines = tuple(f"{number} <@U1> ``` & é" for number in range(5000))
    rendered = views.transcript(Transcript("Log of run", lines, "run/../1.log"))
    check(rendered)
    log = rendered.overflow[-1]
    assert (log.file, log.text) == ("run_.._1.log", "\n".join(lines))
    assert "0 &lt;@U1&gt;" in seeing.shown(rendered.payload)
    few = views.transcript(Transcript("Log", lines[:3]))
    assert few.overflow == ()


def test_a_listing_names_the_rows_that_find_no_room() -> None:
    rows = tuple(Row(f"flow {number}", "text", (Action(f"p1:rn:{number}:1", "Run"),)) for number in range(300))
    rendered = views.listing(Listing("Flows", rows, "a note", more="list --page=2"))
    check(rendered)
    shown = seeing.shown(rendered.payload)
    left = rendered.overflow[-1]
    assert left.what.endswith("more rows")
    for number in range(300):
        assert (f"*flow {number}*" in shown) != (f"**flow {number}**" in left.text)
    assert rendered.payload["blocks"][-2]["elements"][0]["value"] == "list --page=2"
    home = views.home(Listing("Flows", rows))
    rules.check_view(home.payload)


def test_a_home_of_long_rows_in_letters_beyond_ascii_is_no_more_than_a_view() -> None:
    rows = tuple(Row(f"flow {number}", "流" * 2_900) for number in range(40))
    home = views.home(Listing("Flows", rows))
    rules.check_view(home.payload)
    shown = seeing.shown(home.payload)
    assert 10 < sum(f"*flow {number}*" in shown for number in range(40)) < 40
    assert home.overflow[-1].what.endswith("more rows")


WORDS = st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=12)
WILD = st.text(max_size=200)


def long_text(most: int) -> st.SearchStrategy[str]:
    """Text of any kind, up to `most` characters: built from a piece, so that it is quick to make."""
    piece = st.one_of(
        WILD,
        st.sampled_from(
            ["&", "<!here> ", "👩‍👩‍👧‍👦", "`", "**b** ", "\n", "ш", "[a](https://b.test/x) ", "@channel", "```\n"]
        ),
    )
    return st.builds(lambda one, times: (one * times)[:most], piece, st.sampled_from([1, 1, 1, 2, 30, 900, 40_000]))


ACTIONS = st.builds(
    Action,
    st.one_of(WORDS, st.text(max_size=2600)),
    long_text(800),
    st.sampled_from(["primary", "neutral", "danger", "link"]),
    st.none() | st.builds(Confirm, long_text(1000), long_text(3000), long_text(300), long_text(300)),
    url=st.none() | long_text(30_000).map(lambda text: "https://a.test/" + text),
)
CARDS = st.builds(
    Card,
    st.sampled_from(["run", "pause", "post", "menu"]),
    WORDS,
    st.sampled_from(["info", "running", "success", "warning", "danger", "paused"]),
    long_text(1500),
    subtitle=long_text(20_000),
    body=long_text(120_000),
    facts=st.lists(st.builds(Fact, long_text(3000), long_text(20_000), st.booleans()), max_size=100).map(tuple),
    steps=st.lists(
        st.builds(Step, st.sampled_from(["SUCCESS", "ODD"]), long_text(3000), WILD, st.integers(0, 9)), max_size=100
    ).map(tuple),
    files=st.lists(st.builds(FileRef, WORDS, WILD, size=st.integers(0, 10**8)), max_size=100).map(tuple),
    actions=st.lists(ACTIONS, max_size=60).map(tuple),
    deadline=st.none() | st.just(DEADLINE),
    footer=long_text(20_000),
    fallback=long_text(40_000),
)
SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)


@SLOW
@given(CARDS)
def test_any_card_is_taken(card: Card) -> None:
    check(views.card(card))


@SLOW
@given(
    st.one_of(
        st.builds(
            Notice, st.sampled_from(["info", "danger"]), long_text(120_000), st.lists(ACTIONS, max_size=60).map(tuple)
        ),
        st.builds(
            Listing,
            long_text(1500),
            st.lists(
                st.builds(Row, long_text(3000), long_text(30_000), st.lists(ACTIONS, max_size=5).map(tuple)),
                max_size=80,
            ).map(tuple),
            long_text(20_000),
            long_text(20_000),
        ),
        st.builds(Transcript, long_text(1500), st.lists(long_text(5000), max_size=40).map(tuple), long_text(300)),
    )
)
def test_any_answer_is_taken(body: Notice | Listing | Transcript) -> None:
    check(views.message(body))
    home = views.home(body)
    rules.check_view(home.payload)


def marked(name: str, times: int) -> str:
    """Text of numbered words, each of which can be looked for."""
    return " ".join(f"{name}{number}w" for number in range(times))


@SLOW
@given(
    st.integers(1, 6000),
    st.integers(1, 400),
    st.integers(1, 800),
    st.integers(0, 30),
    st.integers(0, 120),
    st.integers(0, 200),
)
def test_no_word_of_a_card_is_lost(body: int, title: int, fact: int, facts: int, steps: int, actions: int) -> None:
    card = Card(
        "run",
        "1",
        "success",
        marked("title", title),
        subtitle=marked("sub", title),
        body=marked("body", body),
        facts=tuple(Fact(f"fact{number}w", marked(f"value{number}x", fact)) for number in range(facts)),
        steps=tuple(Step("SUCCESS", marked(f"step{number}x", 3)) for number in range(steps)),
        actions=tuple(Action(f"p1:ap:{number}", f"act{number}w") for number in range(actions)),
        footer=marked("foot", title),
    )
    rendered = views.card(card)
    check(rendered)
    # A word cut in two at the end of a piece is whole again once the rest follows it.
    whole = seeing.shown(rendered.payload) + "\n".join(f"\n{one.what} {one.text}" for one in rendered.overflow)
    words = (
        [f"title{n}w" for n in range(title)] + [f"body{n}w" for n in range(body)] + [f"foot{n}w" for n in range(title)]
    )
    words += (
        [f"sub{n}w" for n in range(title)] + [f"act{n}w" for n in range(actions)] + [f"fact{n}w" for n in range(facts)]
    )
    words += [f"value{n}x{m}w" for n in range(facts) for m in range(fact)]
    words += [f"step{n}x{m}w" for n in range(steps) for m in range(3)]
    there = set(whole.replace("*", " ").split())
    missing = [word for word in words if word not in there]
    assert missing == []


@SLOW
@given(st.integers(1, 9), st.integers(1, 9000))
def test_nothing_is_lost_on_the_way_to_the_thread(parts: int, words: int) -> None:
    overflow = tuple(Overflow(f"Part {part}", marked(f"p{part}x", words)) for part in range(parts))
    messages, files = views.spill(overflow)
    whole = " ".join(seeing.shown(message["blocks"]) for message in messages) + " ".join(text for _, text in files)
    there = set(whole.split())
    assert all(f"p{part}x{number}w" in there for part in range(parts) for number in range(words))
