import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.yaml_text import Map, Seq, locate, plain, read, spell, walk
from engine.errors import FlowInvalid


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("1.5e3", 1500.0),
        ("-7", -7),
        ("0", 0),
        ("3.0", 3.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("!!float -42.2", -42.2),
        ("!!timestamp 2024-04-24T02:42:00+02:00", "2024-04-24T02:42:00+02:00"),
        (".inf", float("inf")),
        ("=", "="),
    ],
)
def test_a_scalar(text, value):
    found = read(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_keys_are_text():
    assert read("1: a\ntrue: b\non: c\nnull: d") == {"1": "a", "true": "b", "on": "c", "null": "d"}


def test_anchors_and_merge_keys():
    text = "base: &b {x: 1, y: 2}\nmore: &m {x: 9, z: 3}\nuse: {<<: [*b, *m], y: 5}\nlist: [*b]"
    found = read(text)
    assert found["use"] == {"x": 1, "y": 5, "z": 3}
    assert found["list"] == [{"x": 1, "y": 2}]


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "`a` is given twice; it stands in line 1"),
        ("a:\n  b: {{ x }}", 2, 6, "put it in quotes"),
        ("a: {{ x }} y", 1, 4, "put it in quotes"),
        ("a: b: c", 1, 5, "`:` stands where"),
        ("a: 'x", 1, 4, "never closed"),
        ("a:\n\tb: 1", 2, 1, "wants blanks"),
        ('a:\n  b: "x\n', 2, 6, "never closed"),
        ("a: [1, 2", 1, 4, "without its `]`"),
        ("a: *x", 1, 4, "names no anchor"),
        ("a: &x [*x]", 1, 4, "inside the value"),
        ("a: !secret b", 1, 4, "tag"),
        ("a: !!float b", 1, 4, "tag"),
        ("a: 1\n---\nb: 2", 2, 1, "second document"),
        ("a: @x", 1, 4, "put it in quotes"),
        ("a:\n  - b\n - c", 3, 2, "probably 3"),
        ("? [a]\n: b", 1, 3, "A key must be text"),
        ('a: "\\q"', 1, 5, "backslash"),
        ("<<: 5", 1, 5, "takes a mapping"),
    ],
)
def test_broken_text_says_where_and_what(text, line, column, said):
    with pytest.raises(FlowInvalid) as caught:
        read(text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (line, column)
    assert said in problem.message


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: 1\nb: 2\na: 3\nb: 4\na: 5", [(3, "a", 1), (4, "b", 2), (5, "a", 1)]),
        ("t:\n  - {a: 1, a: 2}\nt:\n  - {b: 1,\n     b: 2}", [(2, "a", 2), (3, "t", 1), (5, "b", 4)]),
        ("t:\n  - id: x\n    type: y\n    id: z\n    type: q\nt: []", [(4, "id", 2), (6, "t", 1)]),  # a dash lacks
        ("a: &a {x: 1, x: 2}\nb: *a\nc: {<<: *a}", [(1, "x", 1)]),
    ],
)
def test_every_key_that_stands_twice_is_told(text, places):
    with pytest.raises(FlowInvalid) as caught:
        read(text)
    said = [
        (line, f"The key `{key}` is given twice; it stands in line {first} already.") for line, key, first in places
    ]
    assert sorted((one.line, one.message) for one in caught.value.problems) == sorted(said)


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 200_000, "{a: " * 50_000, "[" * 300 + "]" * 300])
def test_deep_nesting_is_refused(text):
    with pytest.raises(FlowInvalid, match="nested more than"):
        read(text)


def test_aliases_that_multiply_are_refused():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(FlowInvalid, match="use fewer aliases"):
        read("\n".join(lines))


def test_a_place_is_found_by_its_path():
    document = read("id: f\ntasks:\n  - id: a\n    then:\n      - {id: b, uri: x}\n")
    spot = locate(document, ("tasks", 0, "then", 0, "uri"))
    assert (spot.line, spot.column) == (5, 17)
    assert locate(document, ("tasks", 0, "nothing", "here")).line == 3
    assert spell(("tasks", 0, "then", 1, "uri")) == "tasks[0].then[1].uri"


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")))
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
)


@given(DOCUMENTS)
def test_json_is_read_as_it_stands(value):
    assert plain(read(json.dumps(value, ensure_ascii=False))) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text):
    try:
        found, places = read(text), [1]
    except FlowInvalid as error:
        found, places = None, [problem.line for problem in error.problems]
    assert places
    assert min(places) >= 1
    assert all(len(value.spots) == len(value) for _, value in walk(found) if isinstance(value, Map | Seq))


FLOW = "id: f\nnamespace: a.b\ntasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n"


@pytest.mark.parametrize("words", ["yaml", "YAML", "yml", "Copy code", "flow.yaml"])
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_words_that_were_copied_with_a_flow_are_told_where_they_stand(words, between):
    with pytest.raises(FlowInvalid) as broken:
        read(f"{words}{between}{FLOW}")
    (problem,) = broken.value.problems

    assert (problem.line, problem.column) == (1, 1)
    assert problem.message == f"`{words}` was copied with the flow, and is no part of it: leave the line out."


@pytest.mark.parametrize("fence", ["```", "```yaml", "~~~"])
def test_so_is_a_fence_above_and_below(fence):
    for text, line in ((f"{fence}\n{FLOW}", 1), (f"{FLOW}{fence}\n", 7)):
        with pytest.raises(FlowInvalid) as broken:
            read(text)
        (problem,) = broken.value.problems
        assert (problem.line, problem.message[:9]) == (line, "The fence")


@pytest.mark.parametrize(
    ("head", "sign", "rest"), [("|\\", "|", "\\"), (">:", ">", ":"), ('|-"', "|", '"'), ("|,", "|", ",")]
)
def test_what_stands_at_the_head_of_a_block_of_text_is_to_be_left_out(head, sign, rest):
    with pytest.raises(FlowInvalid) as broken:
        read(FLOW.replace("message: hi", f"message: {head}\n      hi"))
    (problem,) = broken.value.problems
    assert (problem.line, problem.column) == (6, 13 + len(head))
    assert problem.message == f"Nothing stands behind the `{sign}` that begins a block of text: leave `{rest}` out."
