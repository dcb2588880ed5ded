"""Laws of the renderers: Discord takes whatever they draw, and nothing is lost without being named."""

import re
import unicodedata

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from bot.cards.graphemes import clean, clusters, cut, shorten, size
from bot.conversation import Action, Card, Confirm, Fact, Field, FileRef, Form, Listing, Notice, Option, Row, Transcript
from bot.discord.views import answers, cards, fields, forms, listings, steps
from bot.discord.views.components import DETAILS, details
from bot.discord.views.markdown import escape, excerpt, markdown, title
from tests.discord import strategies
from tests.wire.discord_rules import length, walk
from tests.wire.discord_spec import judge

POST = ("POST", "/channels/1/messages")
CALLBACK = ("POST", "/interactions/1/token/callback")
many = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)

_MARKS = re.compile(r"[\\*_~|`\[\]()<>#!\-]")


def bare(text):
    """What a reader reads: without format, space and invisible characters."""
    kept = _MARKS.sub("", clean(text).replace("\u2026", ""))
    return "".join(c for c in kept if not c.isspace() and unicodedata.category(c) not in {"Cf", "Cc"})


def shown(payload):
    """All the words in a payload."""
    words = [payload.get("title", "")]
    for component in payload["components"]:
        for each in walk(component):
            words += [str(each.get(key) or "") for key in ("content", "label", "description", "value", "url")]
            for option in each.get("options") or []:
                words += [option["label"], option.get("description", "")]
    return bare("\n".join(words))


def assert_kept(rendered, *texts):
    everything = shown(rendered.payload)
    named = bare("\n".join(item.text for item in rendered.overflow))
    for text in texts:
        assert bare(text) in everything or bare(text) in named, f"lost: {text[:80]!r}"


def assert_taken(rendered):
    assert judge(*POST, rendered.payload) == []
    names = [item["filename"] for item in rendered.payload.get("attachments", [])]
    assert (DETAILS in names) == bool(rendered.overflow)


@many
@given(strategies.cards)
def test_any_card_is_taken_and_nothing_is_lost(card):
    rendered = cards.card(card)
    assert_taken(rendered)
    assert_kept(
        rendered,
        card.title,
        card.subtitle,
        card.body,
        card.footer,
        *[step.label for step in card.steps],
        *[step.note for step in card.steps],
        *[fact.label for fact in card.facts if bare(fact.label + fact.value)],
        *[fact.value for fact in card.facts if fact.at is None],
        *[action.label for action in card.actions],
    )
    sent = [item for item in rendered.payload.get("attachments", []) if item["filename"] != DETAILS]
    assert len(sent) + sum(item.part == "file" for item in rendered.overflow) == len(card.files)


@many
@given(strategies.notices)
def test_any_notice_is_taken_and_nothing_is_lost(notice):
    rendered = cards.notice(notice)
    assert_taken(rendered)
    assert_kept(rendered, notice.text, *[action.label for action in notice.actions])


@many
@given(strategies.listings)
@example(Listing("", (), "", "\ud83d"))
def test_any_listing_is_taken_and_nothing_is_lost(listing):
    rendered = listings.listing(listing)
    assert_taken(rendered)
    words = [text for row in listing.rows for text in (row.title, row.text, *[a.label for a in row.actions])]
    assert_kept(rendered, listing.title, listing.note, *words)


@many
@given(strategies.transcripts)
def test_any_transcript_is_taken_and_nothing_is_lost(transcript):
    rendered, content = listings.transcript(transcript)
    assert judge(*POST, rendered.payload) == []
    assert_kept(rendered, transcript.title)
    if content is None:
        assert_kept(rendered, *transcript.lines)
    else:
        assert content == "\n".join(transcript.lines).encode(errors="replace")


@many
@given(strategies.forms)
def test_any_form_is_taken_page_by_page_and_nothing_is_lost(form):
    pages = fields.pages(form)
    on_pages = [index for page in pages for index in page]
    assert on_pages == [index for index, field in enumerate(form.fields) if field.type != "SECRET"]
    for number, page in enumerate(pages):
        rendered = forms.modal(form, number)
        assert judge(*CALLBACK, {"type": 9, "data": rendered.payload}) == []
        for index in page:
            field = form.fields[index]
            assert_kept(rendered, field.label, field.help, field.error or "")
            if field.type in ("INT", "STRING") and isinstance(field.default, str):
                assert_kept(rendered, field.default)
            if fields.is_menu(field) or fields.is_menus(field):
                assert_kept(rendered, *[option.label for option in field.options])
        if rendered.overflow:
            assert judge(*POST, steps.in_full(rendered.overflow).payload) == []
        assert judge(*POST, steps.step(form, number).payload) == []
    assert_kept(forms.modal(form, 0), form.title, form.intro)


@many
@given(strategies.forms, st.dictionaries(strategies.texts(40), strategies.texts(300), max_size=20))
def test_any_refusal_is_taken_and_nothing_is_lost(form, errors):
    errors |= {field.id: "wrong" for field in form.fields[:6]}
    rendered = steps.refusal(form, errors)
    assert_taken(rendered)
    assert_kept(rendered, *errors.values())


@many
@given(strategies.forms, st.integers(0, 20), strategies.texts(40))
def test_any_page_of_choices_is_taken(form, page, typed):
    for index, field in enumerate(form.fields):
        if field.options:
            assert_taken(steps.choices(form, index, page, typed, field.options))
            assert_taken(steps.chosen(form, index, field.options[0].label))
            assert judge(*CALLBACK, {"type": 9, "data": steps.sieve(form, index)}) == []


@many
@given(strategies.forms)
def test_a_modal_sent_back_untouched_gives_the_values_it_showed(form):
    for number, page in enumerate(fields.pages(form)):
        modal = forms.modal(form, number).payload
        values = answers.read(form, number, untouched(modal))
        for index in page:
            field = form.fields[index]
            if field.type == "BOOLEAN" and isinstance(field.default, bool):
                assert values[field.id] is field.default
            if field.type == "MULTISELECT" and fields.is_menus(field) and isinstance(field.default, list):
                offered = {option.value for option in field.options}
                assert set(values[field.id]) == offered & set(field.default)
            if field.type == "STRING" and isinstance(field.default, str) and size(clean(field.default)) <= 4000:
                assert values[field.id] == clean(field.default)
            if field.type == "STRING" and isinstance(field.default, str) and size(clean(field.default)) > 4000:
                assert field.id not in values  # left as it was


def untouched(modal):
    """What Discord sends when somebody opens a modal and presses Submit."""
    raw = {}
    for part in modal["components"]:
        control = part.get("component")
        if control is None:
            continue
        chosen = [option["value"] for option in control.get("options", []) if option.get("default")]
        if control["type"] == 4:
            raw[control["custom_id"]] = control.get("value", "")
        elif control["type"] == 21:
            raw[control["custom_id"]] = chosen[0] if chosen else ""
        else:
            raw[control["custom_id"]] = chosen
    return raw


@given(st.lists(st.sampled_from(strategies.FRAGMENTS), max_size=30).map("".join), st.integers(2, 60))
def test_a_cut_falls_between_what_readers_see_as_characters(text, limit):
    head, rest = cut(text, limit)
    assert head + rest == text
    assert length(head) <= limit
    assert length(shorten(text, limit)) <= limit
    boundaries, at = {0}, 0
    for cluster in clusters(text):
        at += len(cluster)
        boundaries.add(at)
        if size(cluster) > limit:
            return  # one cluster larger than the room is cut inside
    assert len(head) in boundaries


@pytest.mark.parametrize(
    "cluster",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
        "\U0001f1e9\U0001f1ea",
        "\U0001f44d\U0001f3fd",
        "e\u0301",
        "\u1100\u1161\u11a8",
        "\u0915\u094d\u0937\u093f",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",
        "\u2764\ufe0f",
        "1\ufe0f\u20e3",
    ],
)
def test_one_character_for_a_reader_is_one_cluster(cluster):
    assert list(clusters(f"a{cluster}b")) == ["a", cluster, "b"]
    assert shorten(f"{'x' * 10}{cluster}yz", 11 + size(cluster)) == f"{'x' * 10}{cluster}…"
    assert shorten(f"{'x' * 10}{cluster}yz", 10 + size(cluster)) == f"{'x' * 10}…"


@given(strategies.texts(200), st.integers(20, 200))
@example("@everyone, look: https://ex", 20)
def test_data_never_becomes_format(text, limit):
    head, _ = title(text, limit)
    assert length(head) <= limit
    assert not re.search(r"@(everyone|here)", escape(text))
    outside = re.sub(r"<https?://[^\s<>|`]+>", "", escape(text))
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_~|`\[\]<>]", outside)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("![cat](https://x.test/c.png)", "[cat](https://x.test/c.png)"),
        ("__strong__ and snake_case__name", "**strong** and snake_case__name"),
        ("#### deep", "**deep**"),
        ("`__code__`", "`__code__`"),
        ("`/flow kv get a`, `/flow run x`", "`/flow-manage kv get a`, `/flow run x`"),
        ("`/flow kvs`", "`/flow kvs`"),
        ("```\n#### code\n```", "```\n#### code\n```"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_markdown_as_discord_reads_it(text, drawn):
    assert markdown(text) == drawn


def test_a_cut_code_block_is_closed():
    shown_part, was_cut = excerpt("```\n" + "line\n" * 100 + "```", 100)
    assert was_cut
    assert shown_part.endswith("\n```")
    assert length(shown_part) <= 100


CARD = Card(
    kind="pause",
    entity="01JD",
    tone="paused",
    title="Approval needed: gen_img_approval",
    subtitle="`company.ai`",
    body="A **fox**",
    facts=(Fact("Requested by", "ann"), Fact("Prompt", "a fox", short=False)),
    files=(FileRef("kestra:///1", "my fox.png", "image/png", 10, "A fox"), FileRef("kestra:///2", "run.txt", size=3)),
    actions=(
        Action("p1:ap:01JD:1", "Approve", "primary"),
        Action("p1:rj:01JD:2", "Reject…", "danger", Confirm("Reject?", "The run ends.")),
        Action("x", "Open run", "link", url="https://x.test/ui"),
    ),
    footer="Ends the run",
)


def test_a_pause_card():
    payload = cards.card(CARD).payload
    container = payload["components"][0]
    assert container["accent_color"] == 0xE67E22
    parts = container["components"]
    assert [part["type"] for part in parts] == [10, 10, 10, 12, 13, 10, 14, 1]
    assert parts[0]["content"] == "### Approval needed: gen\\_img\\_approval\n`company.ai`"
    assert parts[3]["items"] == [{"media": {"url": "attachment://my_fox.png"}, "description": "A fox"}]
    buttons = parts[-1]["components"]
    assert [(b["label"], b["style"], b.get("custom_id")) for b in buttons] == [
        ("Approve", 1, "p1:ap:01JD:1"),
        ("Reject…", 4, "d1|sure|p1:rj:01JD:2"),
        ("Open run", 5, None),
    ]
    assert payload["attachments"] == [{"id": "0", "filename": "my_fox.png"}, {"id": "1", "filename": "run.txt"}]


def test_a_decided_pause_shows_its_picture_small():
    decided = Card("pause", "01JD", "success", "Approved", files=CARD.files[:1])
    section = cards.card(decided).payload["components"][0]["components"][0]
    assert (section["type"], section["accessory"]["type"]) == (9, 11)


def test_buttons_beyond_fifteen_are_in_a_menu():
    every = tuple(Action(f"p1:st:{n:026d}:1", f"Run {n}") for n in range(30))
    rows = cards.notice(Notice("info", "Runs", every)).payload["components"][0]["components"][2:]
    assert [len(row["components"]) for row in rows] == [5, 5, 5, 1]
    assert [option["label"] for option in rows[-1]["components"][0]["options"]] == [f"Run {n}" for n in range(15, 30)]


def test_the_overflow_is_attached_whole():
    rendered = cards.card(Card("run", "1", "info", "Long", body="word " * 2000))
    assert [item.part for item in rendered.overflow] == ["body"]
    assert details(rendered.overflow).decode().count("word") == 2000


def test_a_row_with_one_action_is_a_section_with_its_button():
    listing = Listing(
        "Flows",
        (Row("company.ai/hello", "Says hello", (Action("p1:rn:1:2", "Run"),)), Row("other")),
        more="list --page=2",
    )
    parts = listings.listing(listing).payload["components"][0]["components"]
    assert [part["type"] for part in parts] == [10, 9, 10, 14, 1]
    assert parts[1]["accessory"]["label"] == "Run"
    assert parts[-1]["components"][0]["custom_id"] == "d1|say|list --page=2"


def test_few_log_lines_are_shown_and_many_attached():
    rendered, content = listings.transcript(Transcript("Log", ("```", "two")))
    assert content is None
    assert rendered.payload["components"][0]["components"][1]["content"].count("```") == 2
    rendered, content = listings.transcript(Transcript("Log", tuple(f"line {n}" for n in range(500))))
    assert content is not None
    assert content.splitlines()[0] == b"line 0"
    assert rendered.payload["attachments"] == [{"id": "0", "filename": "run.log"}]


_TAGS = tuple(Option(f"t{n}", f"T{n}") for n in range(60))
FIELDS = (
    Field("prompt", "STRING", "Prompt", default="line\nline"),
    Field("size", "SELECT", "Size", options=(Option("s", "Small"), Option("l", "Large")), default="l"),
    Field("many", "SELECT", "Country", options=tuple(Option(f"c{n}", f"Country {n}") for n in range(60))),
    Field("tags", "MULTISELECT", "Tags", required=False, options=_TAGS, default=["t1", "t30"]),
    Field("sure", "BOOLEAN", "Sure?", default=True),
    Field("token", "SECRET", "Token"),
    Field("photo", "FILE", "Photo", required=False),
)  # fmt: skip
FORM = Form("draft:01JD", "Make a picture", "Run", FIELDS)


def test_fields_become_the_components_that_fit_them():
    assert fields.pages(FORM) == ((0, 1, 2), (3, 4, 6))
    first = forms.modal(FORM, 0).payload["components"]
    assert [(part["component"]["type"], part["component"]["custom_id"]) for part in first] == [
        (4, "f:0"),
        (21, "f:1"),
        (4, "f:2"),
    ]
    assert first[0]["component"]["style"] == 2
    assert [option.get("default") for option in first[1]["component"]["options"]] == [None, True]
    assert first[2]["description"] == "One of 60: type its name, or part of it."
    second = forms.modal(FORM, 1).payload["components"]
    ids = [part["component"]["custom_id"] for part in second]
    assert ids == ["f:3:0", "f:3:1", "f:3:2", "f:4", "f:6"]
    assert forms.modal(FORM, 1).payload["title"] == "Make a picture (2/2)"


def test_values_come_back_by_field_id():
    raw = {"f:0": "a fox", "f:1": "s", "f:2": "country 59"}
    assert answers.read(FORM, 0, raw) == {"prompt": "a fox", "size": "s", "many": "c59"}
    raw = {"f:3:0": ["t1"], "f:3:1": [], "f:3:2": ["t59"], "f:4": "false", "f:6": []}
    assert answers.read(FORM, 1, raw) == {"tags": ["t1", "t59"], "sure": False}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("c7", "c7"),
        ("COUNTRY 7", "c7"),
        ("country 59", "c59"),
        ("y 58", "c58"),
        ("country", "country"),
        ("", ""),
        ("x", "x"),
    ],
)
def test_a_typed_choice_is_matched_when_it_is_clear(typed, value):
    assert answers.match(FIELDS[2].options, typed) == value


def test_choices_that_discord_refuses_as_values_come_back_all_the_same():
    odd = tuple(Option(value, "same") for value in ("", " ", "x" * 101, "x" * 101, "#0:ab", "plain"))
    field = Field("odd", "MULTISELECT", "Odd", options=odd)
    form = Form("draft:1", "Odd", "Go", (field,))
    wires = fields.wire_values(odd)
    assert len(set(wires)) == len(odd)
    assert answers.read(form, 0, {"f:0": wires}) == {"odd": [option.value for option in odd]}
