"""Data is shown as it is, wherever it stands: no value, name, title or log line becomes format, a mention or a masked
link, on Slack, on Discord or on the page. What the author of a flow wrote as Markdown keeps its format."""

import html
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.cards.graphemes import clean
from bot.cards.parts import value_text
from bot.cards.pause_cards import plain_lines
from bot.conversation import Action, Card, Fact, Field, FileRef, Form, Listing, Notice, Room, Row, Step
from bot.discord.files import TooLarge
from bot.discord.limits import MIB
from bot.discord.views import cards as discord_cards
from bot.discord.views import listings as discord_listings
from bot.discord.views.markdown import escape as discord_escape
from bot.discord.views.markdown import markdown as discord_markdown
from bot.slack import views as slack_views
from bot.slack.forms import Origin, form_view
from bot.slack.mrkdwn import inline, literal, sections
from bot.texts import bare, code, plain
from bot.texts import literal as markdown_of
from bot.web import views as web_views
from tests.wire import discord_seeing, slack_seeing
from tests.wire.discord_rules import walk
from tests.wire.slack_rules import check_blocks

HOSTILE = (
    "*x*", "_x_", "~x~", "`x`", "**x**", "__x__", "~~x~~", "||x||", "```x```", "* x", "- x", "+ x", "1. x", "2) x",
    "# x", "-# x", "> x", ">>> x", "\uff1e x", "\uff0ax\uff0a", "\u2022 x", "<@U1>", "<@1>", "<#C1>", "<!here>",
    "@here", "@everyone", "<t:1:R>", "<https://a.test|x>", "[x](https://a.test)", "![x](https://a.test)", "&lt;",
    "&amp;", "&#42;", ":tada:", ":100:", "12:30:45", "<:a:1>", "\\", "\\*x\\*", "a_b_c", "2 * 3 * 4", "_", "===", "---",
    "<!date^0^{date}|x>", "https://a.test/_x_*y*", "(https://a.test/x).", "x", " ", "\u0645", "\U0001f98a", "|", "^",
)  # fmt: skip
DATA = (
    st.one_of(
        st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=6).map("".join),
        st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=4).map(" ".join),
        st.text(alphabet="*_~`<>&:@|[]()#-+=.1! \\ahere\uff3f", min_size=1, max_size=30),
        st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30),
    )
    .map(lambda text: " ".join(clean(text).split()))
    .filter(bool)
)
many = settings(max_examples=80, deadline=None)


def is_itself(links, text):
    return all(address == label and address in text for address, label in links)


def as_seen(text):
    return text.replace("\u2060", "").replace("\u00ad", "")


@many
@given(DATA)
@example("*x* _y_ ~z~ `c` :tada: <@U1> &amp; @here")
@example("\\*a\\* **")
def test_on_slack(data):
    for drawn in (inline(plain(data)), literal(data), sections(plain(data), 3000, 9000)[0][0]):
        seen = slack_seeing.read(drawn)
        assert (seen.text, seen.looks) == (as_seen(data), ()), drawn
        assert is_itself(seen.links, data)
        check_blocks([{"type": "section", "text": {"type": "mrkdwn", "text": drawn}}], 50, modal=False)


@many
@given(DATA)
@example("x\uff40 *x* \uff40x")
def test_in_code_on_slack(data):
    assert slack_seeing.read(inline(code(data))).looks == ("code",)


@many
@given(DATA)
@example("https://a.test/_x_*y**x*")
def test_on_slack_in_bold(data):
    seen = slack_seeing.read(inline(f"**{plain(data)}** said"))
    assert seen.text.replace("*", "") == f"{as_seen(data)} said".replace("*", "")
    assert set(seen.looks) <= {"bold"}


@many
@given(DATA)
@example("__init__ ||x|| -# y")
@example("\\@here [x](https://a.test)@everyone")
def test_on_discord(data):
    for drawn in (discord_markdown(plain(data)), discord_escape(data)):
        seen = discord_seeing.read(drawn)
        assert (seen.text.replace("@\u200b", "@"), seen.looks) == (data, ()), drawn
        assert all(link in data for link in seen.links)


def test_the_name_of_a_file_that_is_too_large_on_discord():
    said = discord_seeing.read(discord_markdown(TooLarge("__x__.pdf", 3 * MIB, 2 * MIB).text))
    assert (said.text.startswith("__x__.pdf is 3.0 MB;"), said.looks) == (True, ("code",))


@many
@given(DATA)
def test_on_the_page(data):
    drawn = str(web_views.markdown(plain(data)))
    assert set(re.findall(r"</?(\w+)", drawn)) <= {"p", "a"}, drawn
    told = html.unescape(re.sub(r"<[^>]+>", "", drawn)).strip()
    if "https://" not in data:  # a browser shows addresses decoded
        assert told == data


@many
@given(DATA)
def test_without_marks(data):
    assert bare(plain(data)) == data


def texts_of(payload):
    """Every mrkdwn text of a Slack payload."""
    if isinstance(payload, dict):
        if payload.get("type") == "mrkdwn":
            assert payload["verbatim"]
            return [payload["text"]]
        return [text for inner in payload.values() for text in texts_of(inner)]
    return [text for inner in payload for text in texts_of(inner)] if isinstance(payload, list) else []


def bodies(data):
    """Everything that shows data, each place of it filled."""
    action = Action("p1:ap:01JD", data, url=None)
    card = Card(
        "run", "e1", "info", data, subtitle=plain(data), body=plain_lines(f"{data}\n{data}", 900),
        facts=(Fact(data, value_text(data), short=False), Fact(data, plain(data))),
        steps=(Step("RUNNING", plain(data), plain(data)),), files=(FileRef("kestra:///f", data, alt=data),),
        actions=(action,), footer=plain(data), fallback=data,
    )  # fmt: skip
    listing = Listing(data, (Row(plain(data), plain(data), (action,)),), plain(data))
    return card, listing, Notice("info", f"It is {plain(data)}.", (action,))


@settings(max_examples=30, deadline=None)
@given(DATA)
def test_in_whatever_slack_shows(data):
    form = Form("draft:1", data, "Send", (Field("f", "STRING", data, help=markdown_of(data)),), plain(data))
    view = form_view(form, Origin(Room("slack", "C1"), None, "")).payload
    for payload in (*(slack_views.message(body).payload for body in bodies(data)), view):
        for text in texts_of(payload["blocks"]):
            seen = slack_seeing.read(text)
            assert set(seen.looks) <= {"bold"}, text  # labels and rows are
            assert is_itself(seen.links, data)


@settings(max_examples=30, deadline=None)
@given(DATA)
def test_in_whatever_discord_shows(data):
    card, listing, notice = bodies(data)
    for view in (discord_cards.card(card), discord_listings.listing(listing), discord_cards.notice(notice)):
        for component in view.payload["components"]:
            for each in walk(component):
                seen = discord_seeing.read(str(each.get("content") or ""))
                assert set(seen.looks) <= {"bold", "heading", "small"}, each
                assert all(link in data for link in seen.links)


def test_a_time_in_data_that_is_kept_as_it_is_stays_and_one_of_ours_is_drawn_in_the_readers_zone():
    data = "*2026-01-01 10:00 UTC*"
    (block,) = slack_views.notice(Notice("info", f"{plain(data)} until 2026-01-01 10:00 UTC")).payload["blocks"]
    text = block["text"]["text"]
    assert text.startswith(f"<!date^00000000^{{_}}|{data}> until <!date^")
    check_blocks([block], 50, modal=False)


@pytest.mark.parametrize("data", HOSTILE)
def test_what_did_not_fit_is_data_below_too(data):
    data = " ".join(data.split())
    rendered = slack_views.card(Card("run", "e1", "info", f"{data} " * 60, fallback="x"))
    messages, _ = slack_views.spill(rendered.overflow)
    for message in messages:
        for text in texts_of(message["blocks"]):
            assert set(slack_seeing.read(text).looks) <= {"bold"}, text


@pytest.mark.parametrize(
    ("written", "looks"),
    [
        ("**x**", ("bold",)), ("*x*", ("italic",)), ("~~x~~", ("struck",)), ("`x`", ("code",)), (":tada:", ("emoji",)),
        ("# x", ("bold",)), ("> x", ("quote",)), ("~x~", ("struck",)),
    ],
)  # fmt: skip
def test_what_an_author_wrote_as_markdown_keeps_its_format_on_slack(written, looks):
    assert slack_seeing.read(sections(written, 3000, 9000)[0][0]).looks == looks


@pytest.mark.parametrize(
    "written", ["**x**", "*x*", "~~x~~", "`x`", ":tada:", "# x", "> x", "||x||", "[x](https://a.test)"]
)
def test_what_an_author_wrote_as_markdown_keeps_its_format_on_discord(written):
    assert discord_seeing.read(discord_markdown(written)).looks
