"""What the page shows: values in, HTML out."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.conversation import Action, Card, Confirm, Fact, Field, FileRef, Form, Listing, Notice, Option, Row, Step
from bot.web import codec, views

CARD = Card(
    "pause",
    "P1",
    "paused",
    "Ship <1.4.0>?",
    subtitle="asked by **ann**",
    body="Release notes\n\n<script>alert(1)</script> ![x](https://evil.example/x.png) [y](javascript:alert(1))",
    facts=(Fact("Flow", "tour/ship_release"),),
    steps=(Step("SUCCESS", "build"), Step("PAUSED", "approval", depth=1)),
    files=(
        FileRef("kestra:///tour/a/poster.png", "poster.png", "image/png"),
        FileRef("kestra:///tour/a/b.pdf", "b.pdf"),
    ),
    actions=(
        Action("p1:ap:X:1", "Approve", "primary"),
        Action("p1:rj:X:1", "Reject…", "danger", Confirm("Sure?", "Really")),
    ),
    deadline=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
    version=3,
    fallback="Ship 1.4.0?",
)


def test_a_card_shows_everything_and_runs_nothing():
    html = views.part("card", CARD, "token", "lobby", "7")
    assert "Ship &lt;1.4.0&gt;?" in html
    assert "<strong>ann</strong>" in html
    assert "<script" not in html
    assert html.count("<img") == 1
    assert 'href="javascript' not in html
    assert 'src="/files/tour/a/poster.png"' in html
    assert 'href="/files/tour/a/b.pdf"' in html
    assert html.count('name="csrf" value="token"') == 2
    assert 'name="action" value="p1:ap:X:1"' in html
    assert 'data-confirm="Sure?' in html
    assert "2026-11-24 12:00 UTC" in html


@pytest.mark.parametrize(
    "body",
    [
        CARD,
        Notice("danger", "No `flow` matches.", code="E02"),
        Listing("Flows", (Row("tour/a", "text", CARD.actions),), more="/flow list --page=2"),
        "/flow run x",
    ],
)
def test_a_message_survives_the_database(body):
    assert codec.decode(codec.encode(body)) == body


def field_html(field, value=None, error=None):
    return views.part("field", field, 0, value, error)


def test_a_required_yes_or_no_is_never_silently_no():
    html = field_html(Field("ok", "BOOLEAN", "Sure?"))
    assert html.count('type="radio"') == 2
    assert "checked" not in html


def test_a_yes_or_no_with_a_default_is_a_box():
    assert 'type="checkbox"' in field_html(Field("ok", "BOOLEAN", "Sure?", default="true"))
    assert "checked" in field_html(Field("ok", "BOOLEAN", "Sure?", default="true"))
    assert "checked" not in field_html(Field("ok", "BOOLEAN", "Sure?", default="true"), ["false"])


OPTIONS = (Option("a", "A"), Option("b", "B"))


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        (Field("x", "SELECT", "X", options=OPTIONS), "b", '<option value="b" selected>B</option>'),
        (Field("x", "SELECT", "X", options=OPTIONS, radio=True), "b", 'value="b" checked'),
        (Field("x", "SELECT", "X", options=OPTIONS, allow_custom=True), "c", 'value="c" list="f:0-list"'),
        (Field("x", "MULTISELECT", "X", options=OPTIONS), ["a"], 'value="a" checked'),
        (Field("x", "INT", "X", minimum="1", maximum="9"), "3", 'type="number" value="3" step="1" min="1" max="9"'),
        (Field("x", "JSON", "X"), '{"a": "<"}', "{&#34;a&#34;: &#34;&lt;&#34;}</textarea>"),
        (Field("x", "DATE", "X"), "2026-01-02", 'type="date" value="2026-01-02"'),
        (Field("x", "STRING", "X"), '"><script>', 'value="&#34;&gt;&lt;script&gt;"'),
        (Field("x", "SECRET", "X"), "s3cret", 'type="password"'),
    ],
)
def test_a_field_keeps_what_was_typed(field, value, wanted):
    assert wanted in field_html(field, value)


def test_a_secret_is_never_sent_back():
    assert "s3cret" not in field_html(Field("x", "SECRET", "X", default="s3cret"), "s3cret")


def test_an_error_stands_beside_its_field():
    form = Form(
        "draft:1", "Lunch", "Start", (Field("n", "INT", "How many?"), Field("m", "STRING", "What?")), values={"n": "x"}
    )
    html = views.part("form", form, "token", "lobby", {"n": "`n`: `x` is not a whole number."})
    first, second = html.split('<div class="field')[1:]
    assert "not a whole number" in first
    assert 'value="x"' in first
    assert "not a whole number" not in second


def test_what_ended_before_it_began_because_a_clock_was_set_took_no_time():
    assert views.duration_text(timedelta(hours=-5)) == "0.0 s"
