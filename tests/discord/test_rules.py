"""The judges themselves: a test that can't fail proves nothing."""

import pytest

from tests.wire.discord_spec import judge

POST = ("POST", "/channels/1/messages")
NO_PINGS = {"parse": []}


def v2(*components):
    return {"flags": 32768, "components": list(components), "allowed_mentions": NO_PINGS}


def button(**more):
    return {"type": 2, "style": 2, "label": "Go", "custom_id": "x", **more}


def row(*components):
    return {"type": 1, "components": list(components)}


def modal(**more):
    field = {"type": 4, "custom_id": "a", "style": 1}
    part = {"type": 18, "label": "A", "component": field}
    return {"type": 9, "data": {"custom_id": "m", "title": "T", "components": [part], **more}}


def command(**more):
    return [{"name": "flow", "description": "Run", "type": 1, **more}]


CALLBACK = ("POST", "/interactions/1/token/callback")
COMMANDS = ("PUT", "/applications/1/commands")

TAKEN = [
    (*POST, {"content": "hello", "allowed_mentions": NO_PINGS}),
    (*POST, v2({"type": 10, "content": "hello"}, row(button()))),
    (*CALLBACK, modal()),
    (*CALLBACK, {"type": 6}),
    (*COMMANDS, command()),
]
REFUSED = [
    (*POST, {"content": "x" * 2001, "allowed_mentions": NO_PINGS}),
    (*POST, {"content": "no word on mentions"}),
    (*POST, v2({"type": 10, "content": "x" * 4001})),
    (*POST, v2({"type": 10, "content": "x" * 2001}, {"type": 10, "content": "y" * 2001})),
    (*POST, v2({"type": 10, "content": " \n"})),
    (*POST, v2(*[{"type": 10, "content": "x"}] * 41)),
    (*POST, v2(row(*[button(custom_id=str(n)) for n in range(6)]))),
    (*POST, v2(row(button(), button()))),
    (*POST, v2(row(button(label="x" * 81)))),
    (*POST, v2(row(button(label="\U0001f600" * 41)))),
    (*POST, v2(row(button(custom_id="x" * 101)))),
    (*POST, v2({"type": 13, "file": {"url": "attachment://missing.txt"}})),
    (*POST, {**v2({"type": 10, "content": "x"}), "content": "both"}),
    (*CALLBACK, modal(title="x" * 46)),
    (*CALLBACK, modal(components=[{"type": 10, "content": "x"}] * 6)),
    (*CALLBACK, modal(components=[])),
    (*COMMANDS, command(name="RUN it")),
    (*COMMANDS, command(description="")),
    (*COMMANDS, command(description="x" * 101)),
    ("POST", "/nowhere", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), TAKEN)
def test_what_discord_takes_passes(method, path, body):
    assert judge(method, path, body) == []


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_what_discord_refuses_is_found(method, path, body):
    assert judge(method, path, body) != []
