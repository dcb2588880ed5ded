"""A message chosen in chat fills the form of a flow; nothing starts by itself."""

import json

import pytest
from pydantic import TypeAdapter

from bot.commands.messages import filled
from bot.conversation import Attachment, Card, Form, Listing
from bot.discord.views import listings
from engine.core.inputs import AnyInput
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_commands import MANY, SECRET, UPLOAD


def sent(folder, name, content):
    (folder / name).write_text(content)
    return Attachment(name, str(folder / name), len(content), "text/plain")


def declared(*types):
    return [TypeAdapter(AnyInput).validate_python({"id": f"i{n}", **one}) for n, one in enumerate(types)]


@pytest.mark.parametrize(
    ("types", "text", "expected"),
    [
        ([{"type": "STRING"}], " hello\nworld ", {"i0": "hello\nworld"}),
        ([{"type": "INT"}, {"type": "STRING"}], "x", {"i1": "x"}),
        ([{"type": "STRING", "defaults": "y"}, {"type": "STRING"}], "x", {"i1": "x"}),
        ([{"type": "STRING", "defaults": "y"}], "x", {"i0": "x"}),
        ([{"type": "URI"}], "see <https://a.test/b>.", {"i0": "https://a.test/b"}),
        ([{"type": "EMAIL"}], "ask ann@a.test today", {"i0": "ann@a.test"}),
        ([{"type": "URI"}], "no address", {}),
        ([{"type": "SECRET"}], "hunter2", {}),
        ([{"type": "STRING"}], "   ", {}),
    ],
)
def test_what_of_a_message_goes_where(types, text, expected):
    assert filled(declared(*types), text, []) == expected


async def test_a_message_is_run_through_a_form(tmp_path):
    rig = await Rig(tmp_path).start(PLAIN, MANY, SECRET, UPLOAD)
    try:
        files = (sent(tmp_path, "message.txt", "Ann Example"), sent(tmp_path, "data.csv", "a,b"))
        listing = await rig.say("run", files=files)
        assert isinstance(listing, Listing)
        assert [row.title for row in listing.rows] == [
            "company.forms/many", "company.forms/token", "company.forms/upload",
        ]  # fmt: skip
        assert "takes it as `name`" in listing.rows[0].text
        press = {row.title: Card("post", "x", "info", "t", actions=row.actions) for row in listing.rows}
        form = await rig.press(press["company.forms/many"], "Run…")
        assert isinstance(form, Form)
        assert form.values["name"] == "Ann Example"
        assert await rig.engine.executions() == []
        assert "belongs to" in (await rig.press(press["company.forms/many"], "Run…", BOB, DEV)).text
        upload = await rig.press(press["company.forms/upload"], "Run…")
        assert isinstance(upload, Form)
        assert upload.values["file"].name == "data.csv"
        rig = await rig.again()
        again = await rig.press(press["company.forms/many"], "Run…", ANN, OPS)
        assert isinstance(again, Form), "the message outlives a restart"
    finally:
        await rig.stop()


async def test_a_message_that_no_flow_takes_says_so(rig, tmp_path):
    said = await rig.say("run", files=(sent(tmp_path, "picture.png", "x"),))
    assert "No flow you may run asks for a text or a file" in said.text


async def test_every_flow_that_takes_a_message_can_be_reached_on_every_platform(tmp_path):
    takes = "id: take{0}\nnamespace: company.many\ninputs: [{{id: text, type: STRING}}]\ntasks: [{1}]\n"
    task = "{id: say, type: io.kestra.plugin.core.debug.Return, format: '{{ inputs.text }}'}"
    rig = await Rig(tmp_path).start(*(takes.format(number, task) for number in range(20)))
    try:
        listing = await rig.say("run", BOB, DEV, files=(sent(tmp_path, "message.txt", "hello"),))
        seen = []
        for _ in range(3):
            drawn = json.dumps(listings.listing(listing).payload)
            assert all(action.id in drawn for row in listing.rows for action in row.actions), "each has its button"
            buttons = {action.label: action for row in listing.rows for action in row.actions}
            seen += [row.title for row in listing.rows if row.actions[0].label == "Run\u2026"]
            last = Card("post", "x", "info", "t", actions=listing.rows[-1].actions)
            if "More\u2026" in buttons:
                listing = await rig.press(last, "More\u2026", BOB, DEV)
        assert sorted(seen) == sorted(f"company.many/take{number}" for number in range(20))
        form = await rig.press(last, "Run\u2026", BOB, DEV)
        assert form.values["text"] == "hello"
    finally:
        await rig.stop()
