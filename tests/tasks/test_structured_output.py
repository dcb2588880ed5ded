"""Schemas as people write them, and the command line of ollama."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TaskFailed
from engine.tasks.ollama.command_line import NeedsShell, OllamaCommand, parse
from engine.tasks.structured_output import as_asked, parse_schema, unfenced
from tests.shared import seed


@pytest.mark.parametrize(
    ("text", "value", "warns"),
    [
        ('{"type": "object"}', {"type": "object"}, False),
        ('{"type": "object"} }', {"type": "object"}, True),
        (
            '{type: \'object\', "a": [1, 2,] "b": true // why\n, c: null}',
            {"type": "object", "a": [1, 2], "b": True, "c": None},
            True,
        ),
        ("{'it''s': 1}", None, True),
        ('{"a" 1}', None, True),
        ("[1]", None, True),
        ("{", None, True),
        ("{" * 200, None, True),
    ],
)
def test_schemas(text, value, warns):
    if value is None:
        with pytest.raises(TaskFailed, match="jsonResponseSchema"):
            parse_schema(text)
        return
    found = parse_schema(text)
    assert found.value == value
    assert bool(found.warning) is warns


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_good_json_is_read_as_it_is(value):
    assert parse_schema(json.dumps({"x": value})).value == {"x": value}


def test_the_seeds_schemas_can_be_read():
    import yaml

    flows = [yaml.safe_load(seed(name).read_text()) for name in ("check_weather.yaml", "add_tasks_to_todoist.yaml")]
    weather, todoist = (parse_schema(flow["tasks"][0]["jsonResponseSchema"]) for flow in flows)
    assert list(weather.value["properties"]) == ["content", "wind", "go_sailing"]
    assert todoist.value["properties"]["tasks"]["items"]["properties"]["due_date"]["format"] == "date-time"
    assert not todoist.is_array


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("```json\n{}\n```", "{}"), ("```\n[1]\n```\n", "[1]"), ("text ```x```", "text ```x```"), ("{}", "{}")],
)
def test_fences(reply, expected):
    assert unfenced(reply) == expected


def test_only_the_top_level_wraps():
    inner = parse_schema('{"type": "object", "properties": {"x": {"type": "array"}}}')
    assert as_asked('{"x": []}', inner) == '{"x": []}'


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ollama run m hi", OllamaCommand("run", ("m", "hi"))),
        ('ollama run m "a > b; c" > out.txt', OllamaCommand("run", ("m", "a > b; c"), output="out.txt")),
        ("ollama run m 'it''s $HOME' >> o", OllamaCommand("run", ("m", "its $HOME"), output="o", appends=True)),
        ('ollama run m "{{ a["x"] }}" < in', OllamaCommand("run", ("m", '{{ a["x"] }}'), input="in")),
        ("ollama run m {{ {'a': {'b': '}}'}} }} x", OllamaCommand("run", ("m", "{{ {'a': {'b': '}}'}} }}", "x"))),
        ("ollama run --format json m hi", OllamaCommand("run", ("m", "hi"), {"format": "json"})),
        ("ollama run m --keepalive=5m hi", OllamaCommand("run", ("m", "hi"), {"keepalive": "5m"})),
        ('ollama run m "a \\"b\\" \\$c"', OllamaCommand("run", ("m", 'a "b" $c'))),
        ("ollama ls", OllamaCommand("list")),
    ],
)
def test_commands_of_ollama(command, expected):
    assert parse(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        "ollama run m hi | tee x",
        "ollama run m hi && echo done",
        'ollama run m "$(cat x)"',
        'ollama run m "$X"',
        "ollama run m `id`",
        "ollama run m 'open",
        "ollama run m hi > ",
        "ollama run m hi 2> err",
        "ollama run m <<EOF",
        "ollama serve",
        "ollama run",
        "echo hi",
        "ollama run m {% if x %}a{% endif %}",
        "ollama run m {{ open",
        "ollama run m --unknown x",
    ],
)
def test_what_needs_a_shell(command):
    with pytest.raises(NeedsShell):
        parse(command)
