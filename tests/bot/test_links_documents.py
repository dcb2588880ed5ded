"""Action ids, and conversation values as documents."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bot import documents
from bot.conversation import (
    Action,
    Attachment,
    Card,
    Click,
    Command,
    Confirm,
    Fact,
    Field,
    FieldErrors,
    FileRef,
    Form,
    Listing,
    MessageRef,
    Notice,
    Option,
    Person,
    Reply,
    Room,
    Row,
    Step,
    Submission,
    Transcript,
)
from bot.links import MOST_NUMBER, VERBS, ActionIds, Pages, flow_target

ULIDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)


@given(st.sampled_from(sorted(VERBS)), ULIDS, st.integers(-1, MOST_NUMBER - 1))
def test_an_action_id_is_short_and_reads_back(verb, target, choice):
    ids = ActionIds(b"one")
    made = ids(verb, target, choice)
    assert len(made) <= 45
    read = ids.read(made)
    assert (read.verb, read.target, read.choice, read.is_ours) == (verb, target, choice, True)
    assert not ActionIds(b"two").read(made).is_ours


@given(st.text(max_size=60))
def test_what_is_no_action_id_is_none(text):
    read = ActionIds(b"one").read(text)
    assert read is None or text.startswith("p1:")


def test_the_choice_is_part_of_the_check():
    ids = ActionIds(b"one")
    first = ids("ch", "0" * 26, 1)
    assert not ids.read(f"{first[:-1]}2").is_ours


@given(st.text(min_size=1, max_size=300))
def test_a_flow_of_any_name_fits_a_button(name):
    assert len(ActionIds(b"one")("rn", flow_target(name))) <= 45


def test_pages_exist_only_with_a_public_address():
    assert Pages(None).execution("a.b", "c", "d") is None
    assert Pages("https://p.test/").execution("a.b", "c d", "e") == "https://p.test/ui/executions/a.b/c%20d/e"


PERSON = Person("slack:U1", "Ann", "slack", "<@U1>", "Europe/London", ("admin",))
ROOM = Room("slack", "C1", "17.1", "T1")
BODIES = [
    Card(
        "pause", "01", "paused", "T", "s", "b", (Fact("a", "b", at=datetime(2026, 1, 1, tzinfo=UTC)),),
        (Step("RUNNING", "x"),), (FileRef("kestra:///a.png", "a.png"),),
        (Action("p1:ap:0:000000", "Approve", "primary", Confirm("a", "b")),), datetime(2026, 1, 1, tzinfo=UTC), "f", 3,
        "fb",
    ),
    Notice("warning", "text", (Action("x", "y"),), "E21"),
    Listing("t", (Row("a", "b", (Action("x", "y"),)),), "n", "list --page=2"),
    Transcript("t", ("a", "b"), "run.log"),
    Form(
        "draft:1", "t", "Run", (Field("a", "SELECT", "A", options=(Option("x", "X"),), default=["1"]),),
        values={"a": ["1"], "f": Attachment("n", "/p", 3), "b": True},
    ),
]  # fmt: skip


def test_every_answer_survives_the_store():
    for body in BODIES:
        reply = Reply(body, public=True, replaces=True)
        assert documents.load_reply(json.loads(json.dumps(documents.dump_reply(reply)))) == reply
    errors = FieldErrors(BODIES[-1], {"a": "wrong"})
    assert documents.load_reply(json.loads(json.dumps(documents.dump_reply(errors)))) == errors


def test_every_delivery_survives_the_store():
    for kind, event in {
        "command": Command("run x", PERSON, ROOM, "r1", (Attachment("n", "/p", 3),), "https://a.test"),
        "click": Click("p1:ap:0:0", PERSON, ROOM, "r1", MessageRef("slack", "C1", "m")),
        "submission": Submission("draft:1", {"a": ["x"], "f": Attachment("n", "/p", 3), "b": None}, PERSON, ROOM, "r1"),
    }.items():
        assert documents.event(kind, json.loads(json.dumps(documents.dump(event)))) == event


def test_a_thread_is_another_place_than_its_channel():
    assert documents.place(ROOM) != documents.place(Room("slack", "C1", None, "T1"))
