"""Cards of runs and pauses as plain values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.approvals.answering import shape
from bot.cards.outbox import digest
from bot.cards.parts import elapsed, files, menu, output_facts, value_text
from bot.cards.pause_cards import Decided, PauseView, pause_card, plain_lines
from bot.cards.run_cards import MAX_STEPS, RunView, run_card, steps
from bot.conversation import Field
from bot.links import ActionIds, Pages
from bot.texts import code, plain, shorten
from engine.core.execution import Attempt, Execution, TaskRun
from engine.core.state import State

IDS, PAGES, NO_PAGES = ActionIds(b"key"), Pages("https://p.test"), Pages()
START = datetime(2026, 3, 24, 14, 2, tzinfo=UTC)
ID = "01JD0000000000000000ABCDEF"


def task_run(number, task, state, **more):
    ended = [(state, START + timedelta(seconds=number * 10))] if state is not State.CREATED else []
    return TaskRun(f"{ID}.{number}", task, state, ((State.CREATED, START), *ended), **more)


def execution(state, *runs, **more):
    histories = ((State.CREATED, START), (state, START + timedelta(seconds=75)))
    by_id = {run.id: run for run in runs}
    return Execution(ID, "company.ai", "picture", 1, state, histories, by_id, started_by="slack:U1", **more)


def card(state, *runs, pages=NO_PAGES, errors=(), **more):
    view = RunView(execution(state, *runs, **more), None, "Ann", START + timedelta(seconds=90), errors)
    return run_card(view, IDS, pages)


def labels(shown):
    return [action.label for action in shown.actions]


def test_a_running_card():
    shown = card(State.RUNNING, task_run(1, "draw", State.SUCCESS), task_run(2, "wait", State.RUNNING))
    assert (shown.tone, shown.title, shown.entity) == ("running", "picture: running", ID)
    assert [(step.state, step.label) for step in shown.steps] == [("SUCCESS", "draw"), ("RUNNING", "wait")]
    assert labels(shown) == ["Log", "Stop"]
    assert {fact.label: fact.value for fact in shown.facts}["Elapsed"] == "1 min 30 s"
    assert next(fact.at for fact in shown.facts if fact.label == "Started") == START
    assert shown.fallback == "picture #ABCDEF: running"


def test_a_failed_card_says_which_task_and_what_to_do():
    shown = card(
        State.FAILED, task_run(1, "draw", State.FAILED), errors=[("draw", "The service said 500. Raise `timeout`.")]
    )
    assert shown.body.startswith("**draw** failed: The service said 500. Raise \\`timeout\\`.")
    assert "press **Retry from here**" in shown.body
    assert labels(shown) == ["Log", "Retry from here", "Replay", "Mute…"]
    assert shown.tone == "danger"


def test_where_no_task_failed_nothing_can_go_on_from_one():
    shown = card(State.FAILED, task_run(1, "draw", State.KILLED), errors=[("", "SLA 'fast' is broken.")])
    assert shown.body == "SLA 'fast' is broken.\n\nPut it right, then press **Replay** to start over."
    assert labels(shown) == ["Log", "Replay", "Mute…"]


@pytest.mark.parametrize(
    ("state", "ahead", "says"),
    [
        (State.QUEUED, 1, "Another run was under way when it came. It begins by itself when its turn comes."),
        (State.CANCELLED, 1, "Another run was under way: nothing of it ran. When there is room, press **Replay**."),
        (State.FAILED, 3, "3 other runs were under way: nothing of it ran. When there is room, press **Replay**."),
    ],
)
def test_a_run_that_found_no_room_says_so(state, ahead, says):
    assert card(state, rendered={"ahead": ahead}).body == says


def test_a_cancelled_run_says_why():
    assert card(State.CANCELLED).body == ""
    shown = card(State.CANCELLED, errors=[("ask", "Nobody answered 'ask' in time.")])
    assert shown.body == "**ask**: Nobody answered 'ask' in time."


def test_what_was_started_again_counts_from_then_on():
    later = START + timedelta(days=2)
    before = ((State.CREATED, START), (State.RUNNING, START), (State.FAILED, START + timedelta(seconds=9)))
    after = ((State.RESTARTED, later), (State.RUNNING, later), (State.FAILED, later + timedelta(seconds=3)))
    again = TaskRun(f"{ID}.1", "draw", State.FAILED, before + after)
    run = replace(execution(State.FAILED, again), histories=before + after)
    shown = run_card(RunView(run, None, "Ann", later + timedelta(seconds=30)), IDS, NO_PAGES)
    assert {fact.label: fact.value for fact in shown.facts}["Took"] == "3 s"
    assert next(fact.at for fact in shown.facts if fact.label == "Started") == later
    assert shown.steps[0].note == "3 s"


def test_a_run_that_somebody_holds_asks_nobody_and_counts_on_when_it_goes_on():
    shown = card(State.PAUSED, task_run(1, "draw", State.SUCCESS), held=True)
    assert shown.title == "picture: paused"
    assert shown.body == "Somebody paused it: nothing new starts until `/flow resume #ABCDEF`."
    steps = ((State.CREATED, 0), (State.RUNNING, 0), (State.PAUSED, 9), (State.RESTARTED, 70), (State.SUCCESS, 75))
    histories = tuple((state, START + timedelta(seconds=at)) for state, at in steps)
    run = replace(execution(State.SUCCESS), histories=histories)
    shown = run_card(RunView(run, None, "Ann", START), IDS, NO_PAGES)
    assert {fact.label: fact.value for fact in shown.facts}["Took"] == "1 min 15 s"


def test_results_are_shown_and_files_sent_along():
    outputs = {"text": "**bold** <@U1>", "n": 3, "ok": True, "image": "kestra:///a/b.png", "deep": {"a": [1]}}
    shown = card(State.SUCCESS, outputs=outputs)
    facts = {fact.label: fact.value for fact in shown.facts}
    assert facts["text"] == "\\*\\*bold\\*\\* \\<@U1\\>"
    assert (facts["n"], facts["ok"], facts["deep"], facts["Took"]) == ("3", "yes", '`{"a": [1]}`', "1 min 15 s")
    assert [(file.name, file.media_type) for file in shown.files] == [("b.png", "image/png")]


def test_links_need_a_public_address():
    assert "Open" not in labels(card(State.RUNNING))
    linked = card(State.RUNNING, pages=PAGES)
    assert linked.actions[-1].url == f"https://p.test/ui/executions/company.ai/picture/{ID}"


def test_a_loop_is_one_line_with_counts_and_its_failures():
    loop = task_run(1, "each", State.RUNNING, rendered={"values": list("abcd")})
    children = [
        task_run(2, "say", State.SUCCESS, parent_id=loop.id, value="a"),
        task_run(3, "say", State.FAILED, parent_id=loop.id, value="b"),
        task_run(4, "say", State.RUNNING, parent_id=loop.id, value="c"),
    ]
    shown = steps(None, execution(State.RUNNING, loop, *children))
    assert [(step.label, step.depth) for step in shown] == [("each", 0), ("say `b`", 1)]
    assert shown[0].note == "2 of 4 done · 1 failed · 1 running"


def test_attempts_are_told():
    twice = (Attempt(State.FAILED, START, START), Attempt(State.RUNNING, START))
    assert steps(None, execution(State.RUNNING, task_run(1, "a", State.RUNNING, attempts=twice)))[0].note == "attempt 2"


@given(st.lists(st.sampled_from([State.SUCCESS, State.FAILED, State.RUNNING, State.SKIPPED]), max_size=120))
@example([State.FAILED] * 24 + [State.SUCCESS])
def test_steps_are_never_too_many_and_trouble_is_kept_first(states):
    runs = [task_run(number, f"t{number}", state) for number, state in enumerate(states, 1)]
    shown = steps(None, execution(State.RUNNING, *runs))
    assert len(shown) <= MAX_STEPS
    loud = sum(1 for state in states if state in (State.FAILED, State.RUNNING))
    kept = sum(1 for step in shown if step.state in ("FAILED", "RUNNING"))
    assert kept == min(loud, MAX_STEPS if len(states) <= MAX_STEPS else MAX_STEPS - 1)


def pause_view(state="WAITING", **more):
    fields = (
        Field("approve", "BOOLEAN", "approve", help="Happy?"),
        Field("feedback", "STRING", "feedback", help="More?"),
    )
    view = PauseView(
        ID,
        ID,
        "wait",
        "company.ai",
        "picture",
        state,
        START,
        START,
        "Ann",
        fields,
        shape(fields),
        continues="decide → approved",
    )
    return replace(view, **more)


def test_a_waiting_pause_says_what_follows_and_until_when():
    deadline = START + timedelta(hours=4)
    shown = pause_card(
        pause_view(deadline=deadline, behavior="FAIL", message="Look: https://x.test/a_b_c.png *now*"), IDS, NO_PAGES
    )
    assert shown.title == "Approval needed: picture"
    assert shown.deadline == deadline
    facts = {fact.label: fact.value for fact in shown.facts}
    assert facts["Approve continues with"] == "`decide → approved`"
    assert facts["Without an answer"] == "the step fails"
    assert "<https://x.test/a_b_c.png> \\*now\\*" in shown.body
    assert labels(shown) == ["Approve", "Reject…", "Answer in form"]


@pytest.mark.parametrize(
    ("state", "decided", "tone", "says"),
    [
        ("RESUMED", Decided("approve", "Ann", "slack", START, {"approve": True, "feedback": "looks good"}), "success",
         "**Approved by Ann** (Slack) · “looks good”"),
        ("RESUMED", Decided("reject", "Bob", "discord", START, {"approve": False, "feedback": "too dark"}), "danger",
         "**Rejected by Bob** (Discord) · “too dark”"),
        ("KILLED", Decided("reject", "Bob", "discord", START, {}, "never"), "danger",
         "**Rejected by Bob** (Discord) · “never”"),
        ("KILLED", None, "danger", "stopped before anybody answered"),
        ("EXPIRED", None, "warning", "Nobody answered in time"),
        ("SUPERSEDED", None, "danger", "no longer counts"),
    ],
)  # fmt: skip
def test_a_decided_pause_names_who_and_where_and_has_no_answers_left(state, decided, tone, says):
    shown = pause_card(pause_view(state, decided=decided), IDS, NO_PAGES)
    assert shown.tone == tone
    assert says in shown.body
    assert labels(shown) == ["Run", "Log"]
    assert shown.deadline is None


def test_a_name_can_draw_nothing():
    decided = Decided("approve", "**Ann** <!channel>", "slack", START, {"feedback": "](https://evil.test)"})
    body = pause_card(pause_view("RESUMED", decided=decided), IDS, NO_PAGES).body
    assert "\\*\\*Ann\\*\\* \\<!channel\\>" in body
    assert "\\](<https://evil.test>)" in body


def test_when_the_flow_is_gone_the_run_can_only_be_cancelled():
    shown = pause_card(pause_view(is_flow_gone=True), IDS, NO_PAGES)
    assert labels(shown) == ["Cancel run"]
    assert "can only be cancelled" in shown.body


def test_the_time_a_run_has_taken_is_no_reason_to_draw_it_again():
    one = card(State.RUNNING)
    assert digest(one) == digest(replace(one, version=7, facts=(*one.facts[:-1], replace(one.facts[-1], value="9 h"))))
    assert digest(one) != digest(card(State.SUCCESS))


def test_the_menu_counts_what_waits():
    assert labels(menu(IDS, 3)) == ["Run…", "Pending (3)", "My runs", "Help"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-18000, "0.0 s"), (0.4, "0.4 s"), (59, "59 s"), (61, "1 min 1 s"), (7261, "2 h 1 min"), (200000, "2 d 7 h")],
)
def test_elapsed(seconds, text):
    assert elapsed(seconds) == text


@given(st.text(max_size=400), st.integers(2, 50))
def test_shortened_text_fits_and_is_a_beginning(text, limit):
    short = shorten(text, limit)
    assert len(short) <= limit
    assert text.startswith(short.removesuffix("…"))


def test_an_emoji_of_several_parts_is_cut_whole():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert shorten(f"ab{family}cd", 6) == "ab…"


@given(st.text(max_size=200))
def test_text_in_code_marks_cannot_leave_them(text):
    shown = code(text)
    assert shown == "an empty text" or (shown.count("`") == 2 and "\n" not in shown)


@given(st.text(max_size=200))
def test_plain_text_has_no_bare_marks(text):
    shown = plain(text)
    for number, char in enumerate(shown):
        if char in "*_[]<>~|#`":
            assert shown[number - 1] == "\\"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_output_can_be_shown(value):
    assert len(value_text(value)) <= 2 * 300 + 2
    output_facts({"x": value})
    files(value, images_only=False)


@given(st.text(max_size=3000), st.integers(10, 500))
def test_messages_keep_their_lines(text, limit):
    assert plain_lines(text, limit).count("\n") <= text.strip().count("\n") + len(text.splitlines())
