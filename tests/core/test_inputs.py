from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engine.core.dates import to_text
from engine.core.durations import LONGEST
from engine.core.inputs import AnyInput, FlowOutput, Input, Resolved, coerce_outputs, nest, resolve
from engine.errors import InputInvalid
from tests.core.language import renderer

INPUTS: TypeAdapter[tuple[Input, ...]] = TypeAdapter(tuple[AnyInput, ...])


def resolved(declared: list[dict[str, Any]], given: dict[str, Any] | None = None) -> Resolved:
    return resolve(INPUTS.validate_python(declared), given or {}, renderer())


def one(value: Any, **properties: Any) -> Resolved:
    return resolved([{"id": "x", **properties}], {"x": value})


@pytest.mark.parametrize(
    ("properties", "given", "typed"),
    [
        ({"type": "STRING"}, "a", "a"),
        ({"type": "STRING"}, "", ""),
        ({"type": "STRING"}, 5, "5"),
        ({"type": "STRING"}, True, "true"),
        ({"type": "STRING"}, "{{ secret('X') }}", "{{ secret('X') }}"),
        ({"type": "INT"}, "42", 42),
        ({"type": "INT"}, " +7 ", 7),
        ({"type": "INT"}, 7, 7),
        ({"type": "INT", "min": 10, "max": 20}, "10", 10),
        ({"type": "INT", "min": 10, "max": 20}, "20", 20),
        ({"type": "FLOAT"}, "42.5", 42.5),
        ({"type": "FLOAT"}, 3, 3.0),
        ({"type": "FLOAT"}, "1e3", 1000.0),
        ({"type": "BOOLEAN"}, "TRUE", True),
        ({"type": "BOOLEAN"}, "yes", False),
        ({"type": "BOOL"}, False, False),
        ({"type": "DATETIME"}, "2019-10-06T18:27:49+02:00", datetime(2019, 10, 6, 16, 27, 49, tzinfo=UTC)),
        ({"type": "DATE"}, "2019-10-06", date(2019, 10, 6)),
        ({"type": "TIME"}, "18:27:49", time(18, 27, 49)),
        ({"type": "TIME"}, "18:27", time(18, 27)),
        ({"type": "DURATION"}, "PT5M6S", timedelta(minutes=5, seconds=6)),
        ({"type": "JSON"}, '{"a": [1]}', {"a": [1]}),
        ({"type": "JSON"}, {"a": 1}, {"a": 1}),
        ({"type": "YAML"}, "a: 010\nb: [on]", {"a": "010", "b": ["on"]}),
        ({"type": "URI"}, "https://www.google.com/a?b=c", "https://www.google.com/a?b=c"),
        ({"type": "URI"}, "http://localhost:8080/api", "http://localhost:8080/api"),
        ({"type": "URI"}, "kestra:///a/b/executions/1/rows.ion", "kestra:///a/b/executions/1/rows.ion"),
        ({"type": "URI"}, "jdbc:duckdb:", "jdbc:duckdb:"),
        ({"type": "URI"}, "file:///tmp/rows.csv", "file:///tmp/rows.csv"),
        ({"type": "FILE"}, "kestra:///a/b.txt", "kestra:///a/b.txt"),
        ({"type": "SECRET"}, "s3cret", "s3cret"),
        ({"type": "EMAIL"}, "a@b", "a@b"),
        ({"type": "EMAIL"}, "", ""),
        ({"type": "ARRAY", "itemType": "INT"}, "[1, 2]", [1, 2]),
        ({"type": "ARRAY", "itemType": "DATE"}, ["2024-01-01"], [date(2024, 1, 1)]),
        ({"type": "SELECT", "values": ["a", 1]}, 1, "1"),
        ({"type": "SELECT", "values": ["a"], "allowCustomValue": True}, "z", "z"),
        ({"type": "SELECT", "values": ["a"], "required": False}, "z", "z"),
        ({"type": "ENUM", "values": ["a"]}, "a", "a"),
        ({"type": "MULTISELECT", "values": ["a", "b"]}, '["a"]', ["a"]),
        ({"type": "MULTISELECT", "options": ["a", "b"]}, ["b", "a"], ["b", "a"]),
        ({"type": "MULTISELECT", "values": ["1", "2"], "itemType": "INT"}, '["1"]', [1]),
        ({"type": "INT", "required": False}, "", None),
        ({"type": "INT", "defaults": 4}, "", 4),
    ],
)
def test_a_value_becomes_its_type(properties, given, typed):
    found = one(given, **properties)
    assert found.problems == ()
    assert (found.values["x"], type(found.values["x"])) == (typed, type(typed))


@pytest.mark.parametrize(
    ("properties", "given", "message"),
    [
        ({"type": "STRING", "validator": r"A\d+"}, "A1b", r"it must match the pattern `A\d+`, but received `A1b`"),
        (
            {"type": "INT"},
            "abc",
            "Expected `INT` but received `abc` with errors: it is not a whole number, but received `abc`",
        ),
        ({"type": "INT"}, "", "missing required input, but received ``"),
        ({"type": "BOOL"}, "", "missing required input, but received ``"),
        ({"type": "INT"}, "5.0", "Expected `INT`"),
        ({"type": "INT"}, True, "Expected `INT` but received `true`"),
        ({"type": "INT", "min": 10}, "9", "it must be more than `10`, but received `9`"),
        ({"type": "INT", "max": 20}, 21, "it must be less than `20`, but received `21`"),
        ({"type": "FLOAT", "max": 20.5}, "20.6", "it must be less than `20.5`"),
        ({"type": "FLOAT"}, "nan", "Expected `FLOAT`"),
        ({"type": "FLOAT"}, "1e999", "it is too large"),
        ({"type": "DATETIME"}, "2019-10-06T18:27:49", "has no time zone"),
        (
            {"type": "DATETIME", "before": "2020-01-01T00:00:00Z"},
            "2021-01-01T00:00:00Z",
            "it must be before `2020-01-01T00:00:00Z`",
        ),
        ({"type": "DATE", "after": "2023-01-01"}, "2022-12-31", "it must be after `2023-01-01`"),
        ({"type": "DATE"}, "2022-13-31", "Expected `DATE` but received `2022-13-31`"),
        ({"type": "TIME", "after": "01:00:00"}, "00:00:01", "it must be after `01:00`, but received `00:00:01`"),
        ({"type": "DURATION", "max": "PT20S"}, "PT30S", "It must be less than `PT20S`, but received `PT30S`"),
        ({"type": "DURATION"}, "20s", "Expected `DURATION` but received `20s`"),
        ({"type": "JSON"}, "{a", "Expected `JSON` but received `{a` with errors:"),
        ({"type": "YAML"}, "a: b: c", "Expected `YAML`"),
        ({"type": "URI"}, "http:/bla", "Expected `URI` but received `http:/bla`, but received `http:/bla`"),
        ({"type": "URI"}, "example.com", "Expected `URI`"),
        ({"type": "URI"}, "not a uri", "Expected `URI`"),
        ({"type": "URI"}, "urn:a b", "Expected `URI`"),
        ({"type": "URI"}, "https://", "Expected `URI`"),
        ({"type": "EMAIL"}, "nope", "The input must be a valid email"),
        ({"type": "SELECT", "values": ["A", "B"]}, "C", "it must match the values `[A, B]`, but received `C`"),
        ({"type": "MULTISELECT", "values": ["A", "B"]}, '["A","X"]', "it must match the values `[A, B]`"),
        ({"type": "MULTISELECT", "values": ["A"]}, "A", "Expected `MULTISELECT` but received `A`"),
        (
            {"type": "ARRAY", "itemType": "INT"},
            '["s1"]',
            'Unable to parse array element as `INT` on `s1`, but received `["s1"]`',
        ),
        ({"type": "ARRAY", "itemType": "INT"}, '{"a": 1}', "it is not a list"),
        ({"type": "FILE", "allowedFileExtensions": [".csv"]}, "kestra:///a.txt", "Accepted extensions: .csv"),
        ({"type": "STRING"}, None, "Invalid input for `x`, missing required input, but received `null`"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_kestras_words(properties, given, message):
    found = one(given, **properties)
    (problem,) = found.problems
    assert problem.input == "x"
    assert problem.message.startswith("Invalid input for `x`, ")
    assert message in problem.message
    assert "x" not in found.values


def test_a_secret_is_never_in_its_own_refusal():
    found = one("hunter2", type="SECRET", validator=r"\d+")
    assert "hunter2" not in repr(found.problems)
    assert "******" in found.problems[0].message


def test_all_problems_come_in_the_order_of_the_declaration():
    found = resolved(
        [
            {"id": "b", "type": "INT"},
            {"id": "a", "type": "STRING"},
            {"id": "c", "type": "DATE", "dependsOn": {"inputs": ["a"]}},
        ],
        {"b": "x", "c": "y"},
    )
    assert [problem.input for problem in found.problems] == ["b", "a", "c"]


def test_dots_nest_and_unknown_names_are_left_out():
    found = resolved(
        [{"id": "a.b.c", "type": "INT"}, {"id": "a.d", "type": "STRING"}], {"a.b.c": "1", "a": {"d": "x"}, "zz": 1}
    )
    assert found.values == {"a": {"b": {"c": 1}, "d": "x"}}
    assert found.flat == {"a.b.c": 1, "a.d": "x"}


def test_a_default_is_rendered_and_may_look_at_what_came_before():
    declared = [
        {"id": "n", "type": "INT", "defaults": 3},
        {"id": "day", "type": "DATE", "defaults": "{{ now() | date('yyyy-MM-dd') }}"},
        {"id": "text", "type": "STRING", "defaults": "n is {{ inputs.n }}"},
    ]
    assert resolved(declared).values == {"n": 3, "day": date(2024, 3, 1), "text": "n is 3"}
    assert resolved(declared).defaults == {"n": 3, "day": "2024-03-01", "text": "n is 3"}


@pytest.mark.parametrize(
    ("properties", "default", "typed"),
    [
        ({"type": "STRING"}, "{{ 'a' ~ 1 }}", "a1"),
        ({"type": "INT"}, "{{ 1 + 1 }}", 2),
        ({"type": "FLOAT"}, "{{ 1 / 2.0 }}", 0.5),
        ({"type": "BOOL"}, "{{ 1 == 1 }}", True),
        ({"type": "BOOLEAN"}, "{{ 1 == 2 }}", False),
        ({"type": "DATETIME"}, "{{ now() }}", datetime(2024, 3, 1, 10, 30, tzinfo=UTC)),
        ({"type": "DATE"}, "{{ now() | date('yyyy-MM-dd') }}", date(2024, 3, 1)),
        ({"type": "TIME"}, "{{ now() | date('HH:mm:ss') }}", time(10, 30)),
        ({"type": "DURATION"}, "PT{{ 5 }}M", timedelta(minutes=5)),
        ({"type": "JSON"}, '{"a": {{ 1 }}}', {"a": 1}),
        ({"type": "YAML"}, "a: {{ 1 }}", {"a": 1}),
        ({"type": "URI"}, "https://a.test/{{ 1 }}", "https://a.test/1"),
        ({"type": "SECRET"}, "{{ 's' }}", "s"),
        ({"type": "EMAIL"}, "{{ 'a' }}@b.test", "a@b.test"),
        ({"type": "ARRAY", "itemType": "INT"}, "{{ [1, 2] }}", [1, 2]),
        ({"type": "ARRAY", "itemType": "STRING"}, ["{{ 'x' }}", "y"], ["x", "y"]),
        ({"type": "ENUM", "values": ["a"]}, "{{ 'a' }}", "a"),
        ({"type": "SELECT", "values": ["a", "b"]}, "{{ 'b' }}", "b"),
        ({"type": "SELECT", "expression": "{{ ['p', 'q'] }}"}, "{{ 'q' }}", "q"),
        ({"type": "MULTISELECT", "values": ["a", "b"]}, "{{ ['a'] }}", ["a"]),
        ({"type": "MULTISELECT", "expression": "{{ ['a', 'b'] }}"}, ["{{ 'a' }}"], ["a"]),
    ],
)
def test_a_default_of_every_type_may_be_an_expression(properties, default, typed):
    found = resolved([{"id": "x", "defaults": default, **properties}])
    assert (found.flat, found.problems) == ({"x": typed}, ())


def test_a_rendered_default_is_held_to_the_rules():
    found = resolved([{"id": "x", "type": "INT", "min": 5, "defaults": "{{ 3 }}"}])
    assert [one.message for one in found.problems] == [
        "Invalid input for `x`, it must be more than `5`, but received `3`"
    ]


CHAIN = [
    {"id": "a", "type": "SELECT", "values": ["x", "y"], "defaults": "x"},
    {
        "id": "b",
        "type": "SELECT",
        "expression": "{{ inputs.a == 'x' ? ['1', '2'] : ['3'] }}",
        "autoSelectFirst": True,
        "dependsOn": {"inputs": ["a"]},
    },
    {
        "id": "c",
        "type": "INT",
        "defaults": "{{ inputs.b }}",
        "dependsOn": {"inputs": ["b", "a"], "condition": "{{ inputs.b != '2' }}"},
    },
    {"id": "d", "type": "STRING", "dependsOn": {"inputs": ["c"], "condition": "{{ inputs.c > 2 }}"}},
    {"id": "e", "type": "ARRAY", "itemType": "STRING", "defaults": "{{ [inputs.a] }}", "dependsOn": {"inputs": ["d"]}},
]


@pytest.mark.parametrize(
    ("given", "flat", "missing"),
    [
        ({}, {"a": "x", "b": "1", "c": 1}, []),
        ({"b": "2"}, {"a": "x", "b": "2"}, []),
        ({"a": "y"}, {"a": "y", "b": "3", "c": 3, "e": ["y"]}, ["d"]),
        ({"a": "y", "d": "z"}, {"a": "y", "b": "3", "c": 3, "d": "z", "e": ["y"]}, []),
        ({"d": "z"}, {"a": "x", "b": "1", "c": 1}, []),
    ],
)
def test_what_each_input_needs_leads_to_the_next(given, flat, missing):
    found = resolved(CHAIN, given)
    assert found.flat == flat
    assert [one.input for one in found.problems] == missing


def test_what_was_given_is_never_rendered():
    found = resolved(
        [{"id": "a", "type": "STRING"}, {"id": "b", "type": "STRING", "defaults": "{{ inputs.a }}"}],
        {"a": "{{ 1 + 1 }}"},
    )
    assert found.values == {"a": "{{ 1 + 1 }}", "b": "{{ 1 + 1 }}"}


def test_a_disabled_input_is_absent_even_when_required_and_given():
    declared = [
        {"id": "kind", "type": "SELECT", "values": ["file", "url"]},
        {"id": "url", "type": "URI", "dependsOn": {"inputs": ["kind"], "condition": "{{ inputs.kind == 'url' }}"}},
        {"id": "depth", "type": "INT", "dependsOn": {"inputs": ["url"]}},
    ]
    found = resolved(declared, {"kind": "file", "url": "nonsense", "depth": "x"})
    assert (found.values, found.problems) == ({"kind": "file"}, ())
    assert found.enabled == {"kind": True, "url": False, "depth": False}


def test_only_dependencies_are_seen_by_a_condition():
    declared = [
        {"id": "a", "type": "STRING"},
        {"id": "b", "type": "STRING", "dependsOn": {"inputs": [], "condition": "{{ inputs.a == 'x' }}"}},
    ]
    found = resolved(declared, {"a": "x", "b": "y"})
    assert found.enabled["b"] is False
    assert found.problems[0].message.startswith("Invalid condition: ")


def test_a_circle_of_dependencies_ends():
    declared = [
        {"id": "a", "type": "STRING", "dependsOn": {"inputs": ["b"]}},
        {"id": "b", "type": "STRING", "dependsOn": {"inputs": ["a", "b", "zz"]}},
    ]
    assert resolved(declared, {"a": "1", "b": "2"}).values == {"a": "1", "b": "2"}


def test_options_come_from_an_expression():
    declared = [
        {"id": "team", "type": "SELECT", "values": ["red", "blue"], "autoSelectFirst": True},
        {
            "id": "who",
            "type": "SELECT",
            "expression": "{{ [inputs.team ~ '-1', null, 2] }}",
            "dependsOn": {"inputs": ["team"]},
        },
    ]
    found = resolved(declared, {"who": "red-1"})
    assert found.options == {"team": ["red", "blue"], "who": ["red-1", "2"]}
    assert found.values == {"team": "red", "who": "red-1"}


def test_options_may_be_json_text_with_expressions_in_it():
    found = one("b", type="SELECT", expression='["a", "{{ \'b\' }}"]')
    assert (found.options, found.values) == ({"x": ["a", "b"]}, {"x": "b"})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("{{ 'a' }}", "Expected a list of strings, but received"),
        ("{{ nothing.here }}", "Cannot render 'expression'. Cause:"),
    ],
)
def test_an_expression_without_a_list_is_a_problem(expression, message):
    assert message in one("a", type="SELECT", expression=expression).problems[0].message


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"id": "a", "type": "ARRAY", "itemType": "ARRAY"}, "`itemType` cannot be `ARRAY`"),
        ({"id": "a", "type": "FILE", "defaults": "x"}, "no `defaults` can be set for inputs of type 'FILE'"),
        ({"id": "a", "type": "STRING", "validator": "["}, r"invalid pattern \[\[\]"),
        (
            {"id": "a", "type": "MULTISELECT", "values": ["a"], "options": ["b"]},
            "can't define both `values` and `options`",
        ),
        ({"id": "a", "type": "DATE", "after": "soon"}, "Expected `DATE`"),
        ({"id": "a", "type": "STRNG"}, "Did you mean `STRING`"),
        ({"id": "-a", "type": "STRING"}, "pattern"),
        ({"id": "a", "type": "STRING", "displayName": "x" * 65}, "at most 64"),
    ],
)
def test_a_wrong_declaration_is_refused(declared, message):
    with pytest.raises(ValidationError, match=message):
        INPUTS.validate_python([declared])


def test_name_is_an_older_word_for_id():
    assert INPUTS.validate_python([{"name": "a", "type": "STRING"}])[0].id == "a"


def test_outputs_are_typed_as_inputs_are():
    outputs = [FlowOutput(id="n", type="INT"), FlowOutput(id="l", type="JSON"), FlowOutput(id="t")]
    assert coerce_outputs(outputs, {"n": "5", "l": '["a"]', "t": "x"}) == {"n": 5, "l": ["a"], "t": "x"}
    with pytest.raises(InputInvalid, match="Invalid output for `n`, Expected `INT` but received `x`"):
        coerce_outputs(outputs, {"n": "x", "l": "[]", "t": ""})


TYPED = {
    "INT": st.integers(-(10**17), 10**17),
    "FLOAT": st.floats(allow_nan=False, allow_infinity=False),
    "DATE": st.dates(),
    "TIME": st.times(),
    "DURATION": st.timedeltas(-LONGEST, LONGEST),
    "DATETIME": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    "STRING": st.text(),
    "BOOLEAN": st.booleans(),
}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(TYPED)).flatmap(lambda kind: st.tuples(st.just(kind), TYPED[kind])))
def test_typing_is_stable(pair):
    kind, value = pair
    first = one(value, type=kind)
    assert first.problems == ()
    assert first.values["x"] == value
    text = to_text(value) if kind != "BOOLEAN" else str(value).lower()
    assert one(text, type=kind).values["x"] == value


@given(st.dictionaries(st.from_regex(r"\A[a-z](\.[a-z]){0,2}\Z"), st.integers(), max_size=6))
def test_nesting_keeps_what_does_not_collide(flat):
    names = sorted(flat)
    free = {
        n: flat[n] for n in names if not any(m != n and (m.startswith(f"{n}.") or n.startswith(f"{m}.")) for m in names)
    }
    nested = nest(free)
    for name, value in free.items():
        found: Any = nested
        for step in name.split("."):
            found = found[step]
        assert found == value


@pytest.mark.parametrize(
    ("pattern", "given", "fits"),
    [
        ("a|ab", "ab", True),
        ("a|ab", "abc", False),
        ("(?i)ab", "AB", True),
        ("(?x) a b # both", "ab", True),
        (r"\p{Lu}\p{L}+", "Ärger", True),
        ("a.c", "a\nc", False),
        ("a", "a\n", False),
    ],
)
def test_a_pattern_is_read_as_java_reads_it_and_holds_for_the_whole_text(pattern, given, fits):
    assert (not one(given, type="STRING", validator=pattern).problems) is fits


def test_a_pattern_that_would_run_for_ages_is_given_up():
    (problem,) = one("a" * 40 + "b", type="STRING", validator="(a+)+").problems
    assert "takes longer than 3 s" in problem.message
