"""Forms as modals: the element of each type, pages, and values that come back as they went."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.conversation import Field, Form, Option, Room
from bot.slack import forms, limits, views
from bot.slack.answers import SentFile, values_of
from bot.slack.elements import block_name, shape_of
from bot.slack.forms import Origin
from tests.slack.test_views import long_text
from tests.wire import slack_rules as rules
from tests.wire import slack_seeing as seeing
from tests.wire.slack_people import Window, fill

ORIGIN = Origin(Room("slack", "C1", "1.1", "T1"), "https://hooks.slack.com/commands/T1/1/x")


def form_of(*fields: Field, **more: Any) -> Form:
    return Form("draft:01JD", "Run gen_img", "Run", fields, **more)


def element_of(field: Field, **more: Any) -> dict[str, Any]:
    view = forms.form_view(form_of(field, **more), ORIGIN).payload
    rules.check_view(view)
    found: dict[str, Any] = next(block for block in view["blocks"] if block["type"] == "input")["element"]
    return found


def options(count: int) -> tuple[Option, ...]:
    return tuple(Option(f"v{number}", f"Choice {number}") for number in range(count))


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (Field("a", "STRING", "A"), {"type": "plain_text_input", "multiline": False}),
        (Field("a", "STRING", "A", multiline=True), {"multiline": True}),
        (Field("a", "STRING", "A", default="x" * 151), {"multiline": True, "initial_value": "x" * 151}),
        (Field("a", "INT", "A", default="3", minimum="1", maximum="9"),
         {"is_decimal_allowed": False, "initial_value": "3", "min_value": "1", "max_value": "9"}),
        (Field("a", "INT", "A", default="1e9"), {"type": "plain_text_input", "initial_value": "1e9"}),
        (Field("a", "INT", "A", default="11", maximum="9"), {"type": "number_input", "initial_value": "11"}),
        (Field("a", "FLOAT", "A", default="0.5"), {"type": "number_input", "is_decimal_allowed": True}),
        (Field("a", "BOOLEAN", "A"), {"type": "radio_buttons"}),
        (Field("a", "BOOLEAN", "A", default="true"), {"type": "checkboxes"}),
        (Field("a", "SELECT", "A", options=options(5)), {"type": "radio_buttons"}),
        (Field("a", "SELECT", "A", options=options(6)), {"type": "static_select"}),
        (Field("a", "SELECT", "A", options=options(10), radio=True), {"type": "radio_buttons"}),
        (Field("a", "SELECT", "A", options=options(100)), {"type": "static_select"}),
        (Field("a", "SELECT", "A", options=options(101)), {"type": "external_select", "min_query_length": 0}),
        (Field("a", "SELECT", "A", options=()), {"type": "external_select"}),
        (Field("a", "SELECT", "A", options=(), allow_custom=True), {"type": "plain_text_input"}),
        (Field("a", "MULTISELECT", "A", options=options(10)), {"type": "checkboxes"}),
        (Field("a", "MULTISELECT", "A", options=options(11)), {"type": "multi_static_select"}),
        (Field("a", "MULTISELECT", "A", options=options(101)), {"type": "multi_external_select"}),
        (Field("a", "DATE", "A", default="2026-03-31"), {"type": "datepicker", "initial_date": "2026-03-31"}),
        (Field("a", "DATE", "A", default="tomorrow"), {"type": "plain_text_input", "initial_value": "tomorrow"}),
        (Field("a", "TIME", "A", default="12:30:00"), {"type": "timepicker", "initial_time": "12:30"}),
        (Field("a", "TIME", "A", default="12:30:15"), {"type": "plain_text_input", "initial_value": "12:30:15"}),
        (Field("a", "DATETIME", "A", default="2026-11-23T14:00:00Z"),
         {"type": "datetimepicker", "initial_date_time": 1795442400}),
        (Field("a", "DURATION", "A", default="PT1H"), {"type": "plain_text_input", "initial_value": "PT1H"}),
        (Field("a", "JSON", "A"), {"type": "plain_text_input", "multiline": True}),
        (Field("a", "ARRAY", "A", default=["x", "y"]), {"multiline": True, "initial_value": "x\ny"}),
        (Field("a", "ARRAY", "A", default=["x\ny"]), {"initial_value": '["x\\ny"]'}),
        (Field("a", "URI", "A", default="https://a.test"), {"type": "url_text_input"}),
        (Field("a", "URI", "A", default="s3://a"), {"type": "plain_text_input", "initial_value": "s3://a"}),
        (Field("a", "EMAIL", "A"), {"type": "email_text_input"}),
        (Field("a", "FILE", "A", extensions=(".csv", "JSON")),
         {"type": "file_input", "filetypes": ["csv", "json"], "max_files": 1}),
    ],
)  # fmt: skip
def test_each_type_has_its_element(field: Field, wanted: dict[str, Any]) -> None:
    found = element_of(field)
    assert {key: found.get(key) for key in wanted} == wanted


ROUND = [
    (Field("a", "STRING", "A"), "two\twords", "two\twords"),
    (Field("a", "STRING", "A", required=False), None, ""),
    (Field("a", "STRING", "A", default="kept"), None, "kept"),
    (Field("a", "INT", "A", required=False), None, ""),
    (Field("a", "INT", "A"), "42", "42"),
    (Field("a", "BOOLEAN", "A"), "No", False),
    (Field("a", "BOOLEAN", "A", required=False), None, None),
    (Field("a", "BOOLEAN", "A", default="true"), None, True),
    (Field("a", "BOOLEAN", "A", default="true"), [], False),
    (Field("a", "SELECT", "A", options=options(3)), "Choice 2", "v2"),
    (Field("a", "SELECT", "A", options=(Option("", "None"), Option("x" * 500, "Long"))), "Long", "x" * 500),
    (Field("a", "SELECT", "A", options=(Option("", "None"), Option("x" * 500, "Long"))), "None", ""),
    (Field("a", "SELECT", "A", options=options(9), default="v3"), None, "v3"),
    (Field("a", "SELECT", "A", options=options(9), required=False), None, None),
    (Field("a", "MULTISELECT", "A", options=options(20)), ["Choice 1", "Choice 7"], ["v1", "v7"]),
    (Field("a", "MULTISELECT", "A", options=options(20), default=["v1"]), None, ["v1"]),
    (Field("a", "DATE", "A"), "2026-03-31", "2026-03-31"),
    (Field("a", "TIME", "A"), "09:05", "09:05"),
    (Field("a", "DATETIME", "A"), 1795442400, "2026-11-23T14:00:00Z"),
    (Field("a", "DATE", "A", required=False), None, None),
    (Field("a", "ARRAY", "A"), "x\n\ny", ["x", "y"]),
    (Field("a", "ARRAY", "A"), '["x,y"]', '["x,y"]'),
    (Field("a", "JSON", "A"), '{"a": 1}', '{"a": 1}'),
    (Field("a", "FILE", "A"), [{"id": "F1", "name": "a.txt", "mimetype": "text/plain", "size": 2, "url_private": "u"}],
     SentFile("F1", "a.txt", "text/plain", 2, "u")),
]  # fmt: skip


@pytest.mark.parametrize(("field", "typed", "value"), ROUND)
def test_what_was_typed_comes_back_as_a_raw_value(field: Field, typed: Any, value: Any) -> None:
    form = form_of(field)
    window = Window("V1", forms.form_view(form, ORIGIN).payload, "U1")
    state = fill(window, {} if typed is None else {"A": typed}, {})
    ticket = forms.read_ticket(window.view["private_metadata"])
    assert ticket is not None
    assert ticket.origin == ORIGIN
    assert values_of(form, state, ticket.hidden) == ({} if value is None else {"a": value})


@pytest.mark.parametrize(
    ("kind", "default", "custom", "value"),
    [
        ("SELECT", "v1", "else", "else"),
        ("SELECT", "v1", "", "v1"),
        ("SELECT", "other", None, "other"),
        ("MULTISELECT", ["v1"], "p, q", ["v1", "p", "q"]),
        ("MULTISELECT", ["v1", "mine"], None, ["v1", "mine"]),
    ],
)
def test_a_choice_may_be_something_else(kind: Any, default: Any, custom: str | None, value: Any) -> None:
    form = form_of(Field("a", kind, "A", default=default, options=options(12), allow_custom=True))
    window = Window("V1", forms.form_view(form, ORIGIN).payload, "U1")
    rules.check_view(window.view)
    assert len(window.inputs) == 2
    state = fill(window, {} if custom is None else {window.inputs[1]["block_id"]: custom}, {})
    assert values_of(form, state) == {"a": value}


def test_a_default_too_long_to_show_stays_when_the_field_is_left_empty() -> None:
    form = form_of(Field("a", "STRING", "A", default="x" * 3001))
    rendered = forms.form_view(form, ORIGIN)
    window = Window("V1", rendered.payload, "U1")
    assert [(one.what, len(one.text)) for one in rendered.overflow] == [("Default of A", 3001)]
    assert "Leave it empty to keep" in seeing.shown(window.view)
    ticket = forms.read_ticket(window.view["private_metadata"])
    assert ticket is not None
    assert ticket.hidden == {0}
    assert values_of(form, fill(window, {}, {}), ticket.hidden) == {}
    assert values_of(form, fill(window, {"A": "short"}, {}), ticket.hidden) == {"a": "short"}


def test_sixty_inputs_take_two_pages_and_keep_their_places() -> None:
    form = form_of(*(Field(f"a.b{number}", "STRING", f"N{number}", required=False) for number in range(60)))
    assert [len(page) for page in forms.pages(form)] == [40, 20]
    first = forms.form_view(form, ORIGIN).payload
    second = forms.form_view(form, ORIGIN, 1).payload
    assert (first["submit"]["text"], second["submit"]["text"]) == ("Next", "Run")
    assert second["blocks"][1]["block_id"] == block_name(40, shape_of(form))
    # What was typed moves no field to another page.
    long = replace(form, values={f"a.b{number}": "ü" * 3000 for number in range(60)})
    assert forms.pages(long) == forms.pages(form)
    rendered = forms.form_view(long, ORIGIN)
    rules.check_view(rendered.payload)
    ticket = forms.read_ticket(rendered.payload["private_metadata"])
    assert ticket is not None
    assert ticket.hidden
    assert {one.text for one in rendered.overflow} == {"ü" * 3000}


def test_help_of_five_thousand_characters_is_all_there() -> None:
    text = " ".join(f"word{number}" for number in range(600))
    rendered = forms.form_view(form_of(Field("a", "STRING", "A", help=text)), ORIGIN)
    rules.check_view(rendered.payload)
    shown = set(seeing.shown(rendered.payload).split())
    assert all(f"word{number}" in shown for number in range(600))


def test_a_page_whose_errors_are_too_much_for_a_view_says_them_in_short() -> None:
    wrong = "\U0001f98a" * 1_400
    fields = tuple(Field(f"n{n}", "STRING", f"Name {n}", help=wrong, error=wrong) for n in range(20))
    form = Form("draft:01JD", "Names", "Run", fields, intro="\U0001f98a " * 2_000)
    for page in range(len(forms.pages(form))):
        rendered = forms.form_view(form, ORIGIN, page)
        rules.check_view(rendered.payload)
        asked = [block for block in rendered.payload["blocks"] if block["type"] == "input"]
        assert len(asked) == len(forms.pages(form)[page])
        told = [one.text for one in rendered.overflow if one.what.startswith("What is wrong")]
        if len(asked) > 10:  # as many as make it too much
            assert len(told) == len(asked), "each is told in full beside"
            assert all(wrong in text for text in told)


def long_choices(count: int) -> tuple[Option, ...]:
    return tuple(Option(f"v{n}", f"{n} " + "選" * 70, "擇" * 75) for n in range(count))


@pytest.mark.parametrize(("chosen", "hidden"), [(0, set()), (20, set()), (45, {1})])
def test_choices_too_long_for_a_view_leave_what_was_chosen_unseen_but_kept(chosen: int, hidden: set[int]) -> None:
    names = [f"v{number}" for number in range(chosen)]
    fields = tuple(Field(name, "MULTISELECT", name, required=False, options=long_choices(70)) for name in ("a", "b"))
    form = form_of(*fields, values={"a": names, "b": names})
    assert forms.pages(form) == ((0, 1),)
    rendered = forms.form_view(form, ORIGIN)
    rules.check_view(rendered.payload)
    ticket = forms.read_ticket(rendered.payload["private_metadata"])
    assert ticket is not None
    assert ticket.hidden == hidden
    typed = values_of(form, fill(Window("V1", rendered.payload, "U1"), {}, {}), ticket.hidden)
    assert typed == {field.id: names for index, field in enumerate(fields) if index not in hidden}


def test_a_page_of_many_fields_with_values_help_and_errors_is_no_more_than_a_view() -> None:
    help_text, wrong = "說" * 500, "錯" * 450
    fields = tuple(Field(f"n{n}", "STRING", f"Name {n}", help=help_text, error=wrong) for n in range(60))
    form = form_of(*fields, values={f"n{n}": "值" * 480 for n in range(60)}, intro="言" * 9_000)
    assert len(forms.pages(form)[0]) == limits.INPUTS
    for page in range(len(forms.pages(form))):
        rendered = forms.form_view(form, ORIGIN, page)
        rules.check_view(rendered.payload)
        told = [one.text for one in rendered.overflow if one.what.startswith("What is wrong")]
        assert len(told) == (limits.INPUTS if page == 0 else 0), "where it is too much, each is told in full beside"
        assert all(wrong in text for text in told)


def test_secrets_have_no_field() -> None:
    form = form_of(Field("key", "SECRET", "API key"))
    name = block_name(0, shape_of(form))
    assert values_of(form, {name: {"f:0": {"type": "plain_text_input", "value": None}}}) == {"key": ""}
    view = forms.form_view(form, ORIGIN).payload
    rules.check_view(view)
    assert [block["type"] for block in view["blocks"]] == ["section"]
    assert "web page" in seeing.shown(view)


def test_errors_are_placed_or_drawn_into_the_form() -> None:
    form = form_of(Field("a", "STRING", "A"), Field("s", "SECRET", "S"))
    assert forms.errors_in_place(form, 0, {"a": "Say **why**."}) == {block_name(0, shape_of(form)): "Say why."}
    assert forms.errors_in_place(form, 0, {"s": "missing"}) is None
    assert forms.errors_in_place(form, 0, {"nope": "x"}) is None
    assert forms.errors_in_place(form, 3, {"a": "x"}) is None
    view = forms.form_view(forms.with_errors(form, {"a": "`x` is <wrong>", "": "All wrong."}), ORIGIN).payload
    rules.check_view(view)
    assert "⚠️ `x` is &lt;wrong&gt;" in seeing.shown(view)
    assert "⚠️ All wrong." in seeing.shown(view)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"f":"x","p":"z","s":"","c":""}', "not json", "1" * 5000])
def test_a_foreign_ticket_is_none(text: str) -> None:
    assert forms.read_ticket(text) is None


def test_a_ticket_without_room_leaves_the_address_out() -> None:
    ticket = forms.write_ticket(form_of(), 0, replace(ORIGIN, answer_url="https://hooks.slack.com/" + "x" * 3000))
    read = forms.read_ticket(ticket)
    assert read is not None
    assert read.origin.answer_url is None
    assert read.origin.room == ORIGIN.room


TYPES = ["STRING", "SELECT", "MULTISELECT", "INT", "FLOAT", "BOOLEAN", "DATE", "TIME", "DATETIME", "DURATION", "JSON",
         "YAML", "ION", "ARRAY", "TABLE", "URI", "EMAIL", "SECRET", "FILE"]  # fmt: skip
VALUES = st.one_of(st.none(), long_text(30_000), st.booleans(), st.lists(long_text(800), max_size=30))
OPTIONS = st.builds(
    lambda base, count: tuple(
        Option(f"{one.value}{n or ''}", one.label, one.help) for n in range(count) for one in base[:1]
    ),
    st.lists(st.builds(Option, long_text(1500), long_text(750), long_text(750)), min_size=1, max_size=1),
    st.sampled_from([0, 1, 2, 6, 11, 100, 101, 1000]),
)
FIELDS = st.builds(
    Field,
    long_text(800),
    st.sampled_from(TYPES),
    long_text(20_000),
    long_text(20_000),
    st.booleans(),
    VALUES,
    st.none() | st.sampled_from(["1", "-3.5", "2026-01-01", "x"]),
    st.none() | st.sampled_from(["9", "1e400", "2026-12-31", "٣"]),
    options=OPTIONS,
    allow_custom=st.booleans(),
    radio=st.booleans(),
    multiline=st.booleans(),
    extensions=st.lists(st.sampled_from([".csv", "", ".", "PNG"]), max_size=3).map(tuple),
    error=st.none() | long_text(5000),
    group=st.sampled_from(["", "Where"]) | long_text(5000),
)
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.timeout(600)
@SLOW
@given(
    st.lists(FIELDS, max_size=12),
    st.sampled_from([1, 1, 1, 8]),
    long_text(250),
    long_text(250),
    long_text(90_000),
    st.data(),
)
def test_any_form_is_taken_on_every_page(
    fields: list[Field], times: int, title: str, submit: str, intro: str, data: st.DataObject
) -> None:
    repeated = tuple(replace(field, id=f"{field.id[:200]}{n}") for n in range(times) for field in fields)
    values = {field.id: data.draw(VALUES) for field in repeated[:3]}
    form = Form("draft:01JD", title, submit, repeated, intro=intro, values=values)
    placed = [index for page in forms.pages(form) for index in page]
    assert placed == list(range(len(repeated)))
    for page in range(len(forms.pages(form))):
        rendered = forms.form_view(form, ORIGIN, page)
        rules.check_view(rendered.payload)
        assert seeing.pings(rendered.payload["blocks"]) == []
        assert all(one.text.strip() for one in rendered.overflow if one.what.startswith("Help"))
        ticket = forms.read_ticket(rendered.payload["private_metadata"])
        assert ticket is not None
        assert (ticket.page, ticket.form_id) == (page, form.id)
        messages, _ = views.spill(rendered.overflow)
        for message in messages:
            rules.check_message(message)
    json.dumps(values_of(form, {}))


@SLOW
@given(
    st.lists(st.sampled_from(["STRING", "SELECT", "INT", "SECRET", "FILE", "DATE"]), min_size=1, max_size=50),
    st.integers(0, 900),
)
def test_no_word_of_a_form_is_lost(types: list[Any], words: int) -> None:
    def marked(name: str, count: int = words) -> str:
        return " ".join(f"{name}x{number}w" for number in range(count))

    fields = tuple(
        Field(
            f"i{n}",
            kind,
            marked(f"label{n}", min(words, 300)),
            marked(f"help{n}"),
            options=tuple(Option(f"o{n}y{m}", marked(f"o{n}y{m}", 9)) for m in range(7)),
        )
        for n, kind in enumerate(types)
    )
    form = Form("draft:1", marked("title"), marked("submit", min(words, 9)), fields, intro=marked("intro"))
    there: set[str] = set()
    for page in range(len(forms.pages(form))):
        rendered = forms.form_view(form, ORIGIN, page)
        rules.check_view(rendered.payload)
        there |= set(
            (seeing.shown(rendered.payload) + "\n".join(f"\n{one.text}" for one in rendered.overflow))
            .replace("*", " ")
            .replace(":", " ")
            .split()
        )
    wanted = [f"titlex{m}w" for m in range(words)] + [f"introx{m}w" for m in range(words)]
    wanted += [f"submitx{m}w" for m in range(min(words, 9))]
    for n, kind in enumerate(types):
        wanted += [f"help{n}x{m}w" for m in range(words)] + [f"label{n}x{m}w" for m in range(min(words, 300))]
        if kind == "SELECT":
            wanted += [f"o{n}y{m}x{k}w" for m in range(7) for k in range(9)]
    assert [word for word in wanted if word not in there] == []
