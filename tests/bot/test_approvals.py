"""Which buttons a pause has, and what each amounts to."""

import pytest

from bot.approvals.answering import Ask, Kill, Resume, Secure, Shape, actions, decision, number_of, plan, shape
from bot.conversation import Field, Option
from bot.links import ActionIds

IDS = ActionIds(b"key")
PAUSE = "01JD0000000000000000ABCDEF"
YES = Field("ok", "BOOLEAN", "OK")
OTHER = Field("too", "BOOLEAN", "Too")
TEXT = Field("why", "STRING", "Why")
PATTERN = Field("why", "STRING", "Why", pattern="[a-z]+")
NUMBER = Field("n", "INT", "N")
OPTIONAL = Field("n", "INT", "N", required=False)
DEFAULTED = Field("n", "INT", "N", default="3")
COLOUR = Field("c", "SELECT", "C", options=tuple(Option(v, v) for v in ("red", "green")))
GREEN = number_of(COLOUR.options[1])
MANY = Field("c", "SELECT", "C", options=tuple(Option(str(v), str(v)) for v in range(5)))
CUSTOM = Field("c", "SELECT", "C", options=COLOUR.options, allow_custom=True)
SECRET = Field("s", "SECRET", "S")
OPTIONAL_SECRET = Field("s", "SECRET", "S", required=False)


@pytest.mark.parametrize(
    ("fields", "kind", "labels"),
    [
        ([], "plain", ["Approve", "Reject…"]),
        ([YES], "yes_no", ["Approve", "Reject…"]),
        ([YES, TEXT], "yes_no", ["Approve", "Reject…", "Answer in form"]),
        ([YES, OPTIONAL, DEFAULTED], "yes_no", ["Approve", "Reject…", "Answer in form"]),
        ([YES, OPTIONAL_SECRET], "yes_no", ["Approve", "Reject…", "Answer in form"]),
        ([YES, NUMBER], "form", ["Answer…", "Cancel run"]),
        ([YES, PATTERN], "form", ["Answer…", "Cancel run"]),
        ([YES, OTHER], "form", ["Answer…", "Cancel run"]),
        ([COLOUR], "choice", ["red", "green"]),
        ([COLOUR, TEXT], "choice", ["red", "green", "Answer in form"]),
        ([MANY], "form", ["Answer…", "Cancel run"]),
        ([CUSTOM], "form", ["Answer…", "Cancel run"]),
        ([TEXT], "form", ["Answer…", "Cancel run"]),
        ([YES, SECRET], "secure", ["Cancel run"]),
    ],
)
def test_each_shape_has_its_buttons(fields, kind, labels):
    made = shape(fields)
    assert made.kind == kind
    asks = any(one.id != made.key for one in fields)
    assert [action.label for action in actions(made, PAUSE, IDS, asks_on_reject=asks)] == labels


@pytest.mark.parametrize(
    ("kind", "pressed", "values", "called"),
    [
        ("plain", "answer", {}, "approve"),
        ("plain", "reject", None, "reject"),
        ("form", "kill", None, "kill"),
        ("yes_no", "answer", {"b": True}, "approve"),
        ("yes_no", "approve", {"b": False}, "reject"),
        ("yes_no", "answer", {"b": None}, "answer"),
        ("choice", "answer", {"b": "red"}, "choose"),
        ("form", "answer", {"b": True}, "answer"),
        ("form", "approve", {"b": 3}, "approve"),
        ("secure", "answer", {"b": "x"}, "answer"),
    ],
)
def test_what_a_decision_is_called(kind, pressed, values, called):
    assert decision(Shape(kind, "b"), pressed, values) == called


def test_a_secret_is_answered_behind_a_link_of_ones_own():
    buttons = actions(shape([SECRET]), PAUSE, IDS, asks_on_reject=False, has_page=True)
    assert (buttons[0].label, buttons[0].url) == ("Open secure form", None)
    assert IDS.read(buttons[0].id).verb == "an"


def test_what_ends_a_run_asks_first():
    for fields in ([], [NUMBER], [SECRET]):
        danger = [one for one in actions(shape(fields), PAUSE, IDS, asks_on_reject=False) if one.style == "danger"]
        assert danger
        assert all(one.confirm for one in danger)


@pytest.mark.parametrize(
    ("fields", "action", "given", "more", "expected"),
    [
        ([], "approve", {}, {}, Resume({})),
        ([], "reject", {}, {"reason": "no"}, Kill()),
        ([YES, TEXT], "approve", {}, {}, Resume({"ok": True, "why": ""})),
        ([YES, TEXT], "approve", {}, {"reason": "fine"}, Resume({"ok": True, "why": "fine"})),
        ([YES, DEFAULTED], "approve", {}, {}, Resume({"ok": True})),
        ([YES, TEXT], "reject", {}, {"reason": "too dark"}, Resume({"why": "too dark", "ok": False})),
        ([YES, TEXT], "reject", {"why": "x"}, {"was_asked": True}, Resume({"why": "x", "ok": False})),
        ([YES], "reject", {}, {}, Resume({"ok": False})),
        ([YES, TEXT], "reject", {}, {}, Ask("reject", (TEXT,), {"ok": False})),
        ([YES, DEFAULTED], "reject", {}, {"was_asked": True}, Resume({"ok": False})),
        ([COLOUR, TEXT], "choose", {}, {"choice": GREEN}, Resume({"why": "", "c": "green"})),
        ([NUMBER], "answer", {"n": 3}, {}, Resume({"n": 3})),
        ([NUMBER], "approve", {"n": 3}, {}, Resume({"n": 3})),
        ([NUMBER], "answer", {}, {}, Ask("answer", (NUMBER,), {})),
        ([NUMBER], "approve", {}, {}, Ask("answer", (NUMBER,), {})),
        ([NUMBER], "reject", {}, {}, Kill()),
        ([COLOUR], "choose", {}, {"choice": 1}, Ask("answer", (COLOUR,), {})),  # a place in a list that may change
        ([COLOUR], "choose", {}, {"choice": GREEN + 1}, Ask("answer", (COLOUR,), {})),
        ([SECRET], "answer", {}, {}, Secure()),
        ([SECRET], "answer", {}, {"may_type_secrets": True}, Ask("answer", (SECRET,), {})),
        ([YES, NUMBER], "kill", {}, {}, Kill()),
    ],
)
def test_what_an_answer_amounts_to(fields, action, given, more, expected):
    assert plan(shape(fields), fields, action, given, **more) == expected


def test_without_quick_answers_a_text_must_be_typed():
    made = shape([YES, TEXT], quick=False)
    assert made.kind == "form"
    assert isinstance(plan(made, [YES, TEXT], "approve", {}, quick=False), Ask)
