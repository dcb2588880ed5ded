"""Any Form or Card up to ten times every limit, of texts that must not be cut just anywhere: both platforms take it,
and no character is cut in two. The judges are written apart from the renderers; Discord's own description is one."""

import json
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.conversation import Action, Attachment, Card, Enclosure, Fact, Field, FileRef, Form, Option, Room, Step
from bot.discord.views import answers as discord_answers
from bot.discord.views import cards as discord_cards
from bot.discord.views import fields as discord_fields
from bot.discord.views import forms as discord_forms
from bot.discord.views import steps as discord_steps
from bot.slack import answers as slack_answers
from bot.slack import forms as slack_forms
from bot.slack import views as slack_views
from tests.wire import slack_rules
from tests.wire.discord_spec import judge

POST, CALLBACK = ("POST", "/channels/1/messages"), ("POST", "/interactions/1/token/callback")
KINDS = ["STRING", "SELECT", "MULTISELECT", "INT", "FLOAT", "BOOLEAN", "DATE", "TIME", "DATETIME", "DURATION", "JSON",
         "YAML", "ION", "ARRAY", "TABLE", "URI", "EMAIL", "SECRET", "FILE"]  # fmt: skip
# Each is one character for a reader, of several for a program; none of its parts occurs elsewhere in what we draw.
CLUSTERS = ["\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1e9\U0001f1ea",
            "\U0001f44d\U0001f3fd", "\u05e9\u05c1\u05bc", "\u1100\u1161\u11a8", "\u0915\u094d\u0937\u093f"]  # fmt: skip
ODD = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@st.composite
def forms(draw) -> tuple[str, Form]:
    """A form whose texts are of one cluster, each at a limit, one past it, or ten times beyond."""
    cluster = draw(st.sampled_from(CLUSTERS))

    def text(*limits: int) -> str:
        limit = draw(st.sampled_from([0, 1, *limits]))
        times = draw(st.sampled_from([1, 1, 1, 10]))
        return cluster * (max(0, limit * times // size(cluster) + draw(st.integers(-1, 1))))

    def options() -> tuple[Option, ...]:
        count = draw(st.sampled_from([0, 1, 2, 5, 6, 10, 11, 25, 26, 100, 101, 1010]))
        label, about = text(75, 100), text(75, 100)
        return tuple(Option(f"{number}-{label[: 150 if count > 100 else None]}", f"{number} {label}", about)
                     for number in range(count))  # fmt: skip

    def one(number: int, kind: str, *, short: bool) -> Field:
        choices = options() if kind in ("SELECT", "MULTISELECT") and not short else ()
        default = draw(st.sampled_from([None, "x", True, text(3000, 4000), [text(100), "b"]])) if not short else None
        return Field(
            f"in.{number}", kind, cluster if short else text(45, 2000), "" if short else text(100, 2000, 5000),
            draw(st.booleans()), default, draw(st.sampled_from([None, "1", "2026-01-01"])),
            draw(st.sampled_from([None, "9", "2027-01-01"])), options=choices, allow_custom=draw(st.booleans()),
            radio=draw(st.booleans()), multiline=draw(st.booleans()), leads=draw(st.booleans()),
            extensions=draw(st.sampled_from([(), (".png",), tuple(f".e{n}" for n in range(60))])),
            error=draw(st.sampled_from([None, text(300, 3000)])) if not short else None,
        )  # fmt: skip

    few = [one(number, draw(st.sampled_from(KINDS)), short=False) for number in range(draw(st.integers(0, 6)))]
    many = draw(st.sampled_from([0, 0, 0, 41, 101, 1000]))
    rest = [one(len(few) + number, KINDS[number % len(KINDS)], short=True) for number in range(many)]
    actions = (Action("p1:lt:01JD:000000", text(75), "neutral"),) if draw(st.booleans()) else ()
    sent = {few[0].id: Attachment(f"{cluster * 90}.png", "/x", 1)} if few and few[0].type == "FILE" else {}
    fields = (*few, *rest)
    return cluster, Form("draft:01JD", text(24, 45), text(24), fields, text(3000, 4000), values=sent, actions=actions)


def whole(cluster: str, *payloads: object) -> None:
    """Nothing of a cluster is left once whole ones are taken out."""
    for text in strings(payloads):
        left = text.replace(cluster, "")
        assert not set(left) & set(cluster), f"cut in two: {left[:80]!r}"


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, inner in value.items() if name not in SET_BY_US for text in strings(inner)]
    return [text for inner in value for text in strings(inner)] if isinstance(value, list | tuple) else []


SET_BY_US = {"value", "custom_id", "block_id", "action_id", "private_metadata"}  # for programs, or the person's own


@ODD
@given(forms())
def test_slack_takes_any_form_and_cuts_no_character(made: tuple[str, Form]) -> None:
    cluster, form = made
    pages = slack_forms.pages(form)
    assert [index for page in pages for index in page] == list(range(len(form.fields)))
    for number in range(len(pages)):
        rendered = slack_forms.form_view(form, slack_forms.Origin(Room("slack", "C1")), number)
        slack_rules.check_view(rendered.payload)
        whole(cluster, rendered.payload)
        messages, _ = slack_views.spill(rendered.overflow)
        for message in messages:
            slack_rules.check_message(message)
    assert slack_answers.values_of(form, {}) == {}


@ODD
@given(forms())
def test_discord_takes_any_form_and_cuts_no_character(made: tuple[str, Form]) -> None:
    cluster, form = made
    pages = discord_fields.pages(form)
    asked = [index for page in pages for index in page]
    assert asked == [index for index, field in enumerate(form.fields) if field.type != "SECRET"]
    for number in {0, len(pages) // 2, len(pages) - 1}:
        rendered = discord_forms.modal(form, number)
        assert judge(*CALLBACK, {"type": 9, "data": rendered.payload}) == []
        whole(cluster, rendered.payload)
        assert judge(*POST, discord_steps.step(form, number).payload) == []
        if rendered.overflow:
            assert judge(*POST, discord_steps.in_full(rendered.overflow).payload) == []
        json.dumps(discord_answers.read(form, number, {}))


@st.composite
def cards(draw) -> tuple[str, Card]:
    """A card in the same way."""
    cluster = draw(st.sampled_from(CLUSTERS))

    def text(limit: int) -> str:
        times = draw(st.sampled_from([1, 1, 10]))
        return cluster * max(0, limit * times // size(cluster) + draw(st.integers(-1, 1)))

    def count(limit: int) -> int:
        return draw(st.sampled_from([0, 1, limit, limit + 1, limit * 10]))

    label, value = text(75), text(400)
    at = draw(st.sampled_from([None, datetime(2026, 3, 1, tzinfo=UTC)]))
    facts = tuple(Fact(f"{n} {label}", value if n < 3 else cluster, n % 2 == 0, at) for n in range(count(10)))
    steps = tuple(Step("SUCCESS", f"{n} {cluster}", label if n < 3 else "", n % 12) for n in range(count(25)))
    files = tuple(
        FileRef(f"kestra:///{n}", f"{n}.png", draw(st.sampled_from(["image/png", "text/plain"])), 10, label)
        for n in range(count(10))
    )
    actions = tuple(Action(f"p1:ch:01JD{n}:00000a", f"{n} {label}") for n in range(count(25)))
    enclosed = tuple(Enclosure(f"{n % 3}.diff", label, value) for n in range(count(2)))
    return cluster, Card(
        "pause", "01JD", draw(st.sampled_from(["info", "paused"])), text(256), text(2000), text(12_000), facts, steps,
        files, actions, at, text(2000), fallback=text(4000), enclosed=enclosed,
    )  # fmt: skip


@ODD
@given(cards())
def test_both_take_any_card_and_cut_no_character(made: tuple[str, Card]) -> None:
    cluster, card = made
    rendered = slack_views.card(card)
    slack_rules.check_message(rendered.payload)
    whole(cluster, rendered.payload)
    messages, _ = slack_views.spill(rendered.overflow)
    for message in messages:
        slack_rules.check_message(message)
    drawn = discord_cards.card(card)
    assert judge(*POST, drawn.payload) == []
    whole(cluster, drawn.payload)
