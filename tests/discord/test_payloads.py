"""Discord's JSON read, without a connection."""

from urllib.parse import parse_qs, urlsplit

import pytest

from bot.commands import grammar
from bot.conversation import Room
from bot.discord import ids, payloads, posts
from bot.discord.invite import PERMISSIONS, invite_url
from bot.discord.transport import short_nonce
from bot.frontend import Unreachable
from engine.errors import SettingInvalid
from engine.plugin import ChatPost
from tests.shared import ROOT


def interaction(options, **more):
    data = {"name": "flow", "options": [{"name": options[0], "type": 1, "options": options[1:]}]}
    user = {"id": "42", "username": "ann", "global_name": "Ann"}
    base = {
        "id": "900",
        "application_id": "1",
        "token": "t-0",
        "type": 2,
        "data": data,
        "channel_id": "5",
        "user": user,
    }
    return {**base, **more}


def option(name, value, kind=3):
    return {"name": name, "type": kind, "value": value}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["run", option("flow", "company.ai/hello")], "run company.ai/hello"),
        (["run", option("inputs", 'a="b c" --quiet'), option("flow", "x/y")], 'run x/y a="b c" --quiet'),
        (["run", option("flow", "odd name=1")], 'run "odd name=1"'),
        (["run", option("flow", "x"), option("form", True, 5)], "run x --form"),
        (["run", option("flow", "x"), option("form", False, 5)], "run x"),
        (["run", option("flow", "x"), option("file", "99", 11)], "run x"),
        (["logs", option("grep", "no file"), option("run", "#a1"), option("task", "t")], 'logs #a1 t --grep="no file"'),
        (["reject", option("pause", "01J"), option("reason", 'too "loud"')], 'reject 01J "too \\"loud\\""'),
        (
            ["kv", option("value", "1"), option("action", "set"), option("key", "k"), option("namespace", "ns")],
            "kv set ns k 1",
        ),
        (["pending", option("all", True, 5)], "pending --all"),
        (["help"], "help"),
    ],
)  # fmt: skip
def test_a_slash_command_is_the_text_it_stands_for(options, text):
    assert payloads.command_text(interaction(options)) == text


def test_values_in_options_can_not_become_other_arguments():
    line = grammar.parse(payloads.command_text(interaction(["run", option("flow", "x --quiet a=b")])))
    assert line.word(0) == "x --quiet a=b"
    assert not line.flags
    assert not line.pairs


def test_who_and_where():
    in_server = interaction(["help"], guild_id="7", channel={"id": "5", "type": 0})
    in_server["member"] = {"user": in_server.pop("user"), "nick": "Annie", "roles": ["8", "9"]}
    person = payloads.person(in_server)
    assert (person.id, person.name, person.mention, person.roles) == ("discord:42", "Annie", "<@42>", ("8", "9"))
    assert payloads.room(in_server) == Room("discord", "5", None, "7")
    thread = {**in_server, "channel_id": "6", "channel": {"id": "6", "type": 11, "parent_id": "5"}}
    assert payloads.room(thread) == Room("discord", "5", "6", "7")
    direct = interaction(["help"], channel={"id": "5", "type": 1})
    assert payloads.room(direct) == Room("discord", "5", is_direct=True)
    assert payloads.person(direct).name == "Ann"


def test_the_address_of_a_late_answer_reads_back():
    url = payloads.answer_url(interaction(["help"]))
    assert payloads.webhook(url) == ("1", "t-0")
    assert payloads.webhook("https://example.com/other") is None


def test_a_filled_modal_gives_every_kind_of_value():
    parts = [
        {"type": 18, "component": {"type": 4, "custom_id": "f:0", "value": "text"}},
        {"type": 18, "component": {"type": 3, "custom_id": "f:1", "values": ["a", "b"]}},
        {"type": 18, "component": {"type": 21, "custom_id": "f:2", "value": None}},
        {"type": 18, "component": {"type": 23, "custom_id": "f:3", "value": True}},
        {"type": 10},
        {"type": 1, "components": [{"type": 4, "custom_id": "f:4", "value": "old"}]},
    ]
    filled = payloads.filled({"data": {"components": parts}})
    assert filled == {"f:0": "text", "f:1": ["a", "b"], "f:2": "", "f:3": True, "f:4": "old"}


def test_the_label_of_a_button_is_found_in_its_message():
    button = {"type": 2, "custom_id": "x", "label": "Kill"}
    section = {"type": 9, "components": [], "accessory": button}
    message = {"id": "1", "flags": 64, "components": [{"type": 17, "components": [section]}]}
    pressed = {"data": {"custom_id": "x"}, "message": message}
    assert payloads.label(pressed) == "Kill"
    assert payloads.is_private(pressed)
    assert payloads.label({"data": {"custom_id": "y"}, "message": message}) == ""


@pytest.mark.parametrize("said", ["<@1> run x", "run <@!1>   x", "<@1>run x"])
def test_a_mention_is_taken_out(said):
    assert payloads.mention_text(said, "1").split() == ["run", "x"]


def test_choices_keep_to_their_limits():
    rows = payloads.choices([("x" * 101, "value"), ("a", "y" * 101), ("b", "")] + [("c", "c")] * 40)
    assert rows[0] == {"name": "value", "value": "value"}
    assert len(rows) == 25


@pytest.mark.parametrize(
    ("verb", "parts"),
    [("open", (2, "", "draft:01J")), ("form", (0, "abc", "o", "draft:01J")), ("pick", (3, 0, "draft:01J", "a|b: c")),
     ("say", ("list --page=2 a|b",)), ("sure", ("p1:kl:01J:3f7a",)), ("no", ())],
)  # fmt: skip
def test_ids_read_back(verb, parts):
    local = ids.read(ids.write(verb, *parts))
    assert local is not None
    assert local.verb == verb
    assert [local.part(index) for index in range(len(parts))] == [str(part) for part in parts]


@pytest.mark.parametrize("other", ["p1:ap:01J:3f7a", "", "d1", "d1|", "d1|nonsense|x", "d2|open|1"])
def test_other_ids_are_not_ours(other):
    assert ids.read(other) is None


def test_an_id_is_cut_at_its_end():
    written = ids.write("pick", 3, 0, "draft:" + "0" * 26, "ä" * 200)
    assert len(written) == 100
    local = ids.read(written)
    assert local is not None
    assert local.part(2) == "draft:" + "0" * 26


@pytest.mark.parametrize("nonce", ["", "short", "x" * 25, "x" * 26, "ü", "x" * 500])
def test_a_nonce_fits_and_stays_itself(nonce):
    short = short_nonce(nonce)
    assert len(short) <= 25
    assert short.isascii()
    assert short == short_nonce(nonce)
    assert nonce == "" or short != short_nonce(nonce + "1")


PLACES = [("1", "general", "Team"), ("2", "general", "Other"), ("3", "reviews", "Team")]


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("123", "123"),
        ("<#77>", "77"),
        ("#reviews", "3"),
        ("Reviews", "3"),
        ("Other/general", "2"),
        ("team/#general", "1"),
    ],
)
def test_a_channel_is_found_by_what_people_write(name, id_):
    assert posts.channel_id(name, PLACES) == id_


@pytest.mark.parametrize(
    ("name", "why"), [("#general", "exists 2 times"), ("#nowhere", "sees no channel"), ("", "sees no")]
)
def test_a_channel_that_is_not_clear_is_said(name, why):
    with pytest.raises(Unreachable, match=why):
        posts.channel_id(name, PLACES)


def test_a_flow_pings_only_whom_it_names_itself():
    quiet, _ = posts.draw(ChatPost("discord", "1", body={"content": "@everyone"}), ())
    assert quiet.payload["allowed_mentions"] == {"parse": []}
    loud, _ = posts.draw(ChatPost("discord", "1", body={"content": "x", "allowed_mentions": {"users": ["4"]}}), ())
    assert loud.payload["allowed_mentions"] == {"users": ["4"]}


def test_the_invite_asks_for_what_the_bot_needs_and_the_guide_says_the_same():
    query = parse_qs(urlsplit(invite_url("123456789012345678")).query)
    assert query == {
        "client_id": ["123456789012345678"],
        "permissions": [str(PERMISSIONS)],
        "scope": ["bot applications.commands"],
    }
    assert PERMISSIONS & (1 << 3) == 0  # never administrator
    assert f"`{PERMISSIONS}`" in (ROOT / "bot/docs/discord.md").read_text()
    with pytest.raises(SettingInvalid, match="General Information"):
        invite_url("my app")
