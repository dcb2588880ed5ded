"""The values shown as examples are taken: by chat, and by the input itself."""

import shlex
from datetime import UTC, datetime

import pytest

from bot.commands.grammar import parse
from bot.conversation import Attachment
from bot.forms.examples import in_chat, in_shell
from bot.forms.questions import fields_of
from bot.forms.values import Reader, value_of
from engine.core.inputs import INPUT_TYPES

READER = Reader(datetime(2026, 3, 25, tzinfo=UTC))
DECLARED = [
    *({"type": name} for name in ("STRING", "INT", "FLOAT", "BOOL", "BOOLEAN", "DATE", "TIME", "DATETIME")),
    *({"type": name} for name in ("DURATION", "JSON", "YAML", "ION", "URI", "EMAIL")),
    {"type": "INT", "min": 7},
    {"type": "DATE", "after": "2027-01-01"},
    {"type": "SELECT", "values": ["a b", "c"]},
    {"type": "MULTISELECT", "values": ["a b", "c", "d"]},
    *({"type": "ARRAY", "itemType": name} for name in ("STRING", "INT", "FLOAT", "DATE", "BOOLEAN", "EMAIL")),
]


def declared(one):
    return INPUT_TYPES[one["type"]].model_validate({"id": "x", **one})


@pytest.mark.parametrize("one", DECLARED, ids=str)
def test_an_example_is_taken(one):
    given = declared(one)
    (asked,) = fields_of([given])
    ((name, typed),) = parse(in_chat(asked)).pairs.items()
    spoken = value_of(asked, typed.value, READER)
    given.check(given.coerce(spoken))
    (word,) = shlex.split(in_shell(asked))
    written, _, value = word.partition("=")
    given.check(given.coerce(value))
    assert name == written == "x"


@pytest.mark.parametrize(
    ("one", "chat", "shell"),
    [
        ({"type": "MULTISELECT", "values": ["a b", "c", "d"]}, """x="a b,c" """.strip(), """x='["a b", "c"]'"""),
        ({"type": "ARRAY", "itemType": "INT"}, "x=1,2", "x='[1, 2]'"),
        ({"type": "FILE"}, "x=@data.csv", "x=@data.csv"),
        ({"type": "FILE", "allowedFileExtensions": [".pdf"]}, "x=@data.pdf", "x=@data.pdf"),
        ({"type": "BOOLEAN"}, "x=yes", "x=true"),
        ({"type": "DURATION"}, "x=1h30m", "x=PT1H30M"),
        ({"type": "SECRET"}, "x=value", "x=…"),
    ],
)
def test_an_example_is_written_as_it_is_given(one, chat, shell):
    (asked,) = fields_of([declared(one)])
    assert (in_chat(asked), in_shell(asked)) == (chat, shell)


def test_a_file_for_a_number_is_told_with_an_example():
    (asked,) = fields_of([declared({"type": "DATE"})])
    with pytest.raises(Exception, match=r"Example: `x=2026-03-31`\."):
        value_of(asked, Attachment("a.png", "/tmp/a", 3), READER)
