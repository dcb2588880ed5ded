"""Whatever is typed into whatever input: a value that can be kept and shown, or a refusal that can be shown."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engine.core.inputs import Inputs, resolve
from engine.core.inputs.declaration import LONGEST
from engine.errors import Refused
from engine.key_values import fit
from engine.store.documents import plain
from tests.core.language import renderer

DECLARED = TypeAdapter(Inputs)
FIELD = {"id": "a", "type": "STRING"}
DECLARATIONS = [
    *({"type": kind} for kind in ("STRING", "INT", "FLOAT", "BOOLEAN", "DATETIME", "DATE", "TIME", "DURATION", "FILE")),
    *({"type": kind} for kind in ("JSON", "YAML", "ION", "URI", "SECRET", "EMAIL")),
    *({"type": "ARRAY", "itemType": kind} for kind in ("STRING", "INT", "FLOAT", "DATETIME", "JSON", "YAML", "ION")),
    {"type": "SELECT", "values": ["a"]},
    {"type": "MULTISELECT", "values": ["a"]},
    {"type": "MULTISELECT", "values": ["a"], "itemType": "JSON", "allowCustomValue": True},
    {"type": "OBJECT", "properties": [FIELD]},
    {"type": "TABLE", "columns": [FIELD, {"id": "b", "type": "DATETIME", "required": False}]},
    {"type": "FORM", "inputs": [FIELD]},
    {"type": "DATETIME", "after": "2020-01-01T00:00:00Z"},
    {"type": "STRING", "validator": "[a-z]+"},
    {"type": "JSON", "jsonSchema": {"multipleOf": 1e-300}},
    {"type": "JSON", "jsonSchema": {"uniqueItems": True, "items": {"type": "string", "maxLength": 3}}},
]
ODD = [
    "", " ", "\0", "\ud800", "a\0b", "9" * 5000, "1e999", "NaN", "-Infinity", "٣", "0x", "1d999", "+inf", ".nan",
    "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-10:00", "2024-01-01T00:00:00+99:99", "24:00", "P999999999D",
    "PT" + "9" * 5000 + "S", "P", "[" * 100_000, "[" * 150 + "]" * 150, '{"a":' * 900 + "1" + "}" * 900, "[NaN]",
    '{"a": [1e999]}', '["\\ud800"]', '{"\\ud800": "\\u0000"}', "[" + "9" * 5000 + "]", "a: &a [*a]", "a: .inf",
    "!!python/name:os.system", '"\\uD800"', "'''" * 1000, "{{" * 1000, 'a\n"unclosed', "a\n" + "x" * 200_000,
    "\ufeff{}", "http://" + "a." * 5000, "@" * 5000, "/" * 5000, "x" * 100_000, True, 10**400, -(10**400), 1e308,
    float("nan"), float("inf"), [], {}, [None], {"a": None}, ["\ud800"], {"\ud800": "\0"}, {"a": [float("nan")]},
]  # fmt: skip


def settle(declared, value=None):
    given = {} if value is None else {"x": value}
    return resolve(DECLARED.validate_python([{"id": "x", **declared}]), given, renderer())


def holds(found):
    """What every answer must be fit for, whatever was given."""
    json.dumps(plain(dict(found.values)), allow_nan=False).encode()
    for problem in found.problems:
        problem.message.encode()
        (problem.value or "").encode()
        assert len(problem.message) < 4 * LONGEST


@pytest.mark.parametrize("declared", DECLARATIONS, ids=str)
def test_a_value_is_read_or_refused_in_words(declared):
    for value in ODD:
        holds(settle(declared, value))
        if isinstance(value, str):
            with suppress(ValidationError):  # the flow is refused
                holds(settle({**declared, "defaults": value}))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(DECLARATIONS), st.text(max_size=30) | st.text("0123456789-:TZ+.PDHMSe[]{}\"',", max_size=30))
def test_any_text_is_read_or_refused_in_words(declared, text):
    holds(settle(declared, text))


@pytest.mark.parametrize("kind", ["JSON", "YAML", "ION"])
@pytest.mark.parametrize("text", ["NaN", '{"a": [1e999]}', "[.nan]", "[" * 130 + "]" * 130])
def test_a_document_keeps_what_was_typed_or_is_refused(kind, text):
    found = settle({"type": kind}, text)
    assert found.problems or "null" not in json.dumps(plain(dict(found.values)))


def test_a_long_value_is_cut_in_the_message_and_whole_beside_it():
    ((problem),) = settle({"type": "INT"}, "x" * 50_000).problems
    assert len(problem.message) < 4 * LONGEST
    assert problem.value == "x" * 50_000


def test_inputs_may_depend_on_each_other_in_a_chain_of_any_length():
    chain = [{"id": f"a{n}", "type": "STRING", "dependsOn": {"inputs": [f"a{n + 1}"]}} for n in range(1500)]
    declared = DECLARED.validate_python([*chain, {"id": "a1500", "type": "STRING"}])
    found = resolve(declared, {f"a{n}": "x" for n in range(1501)}, renderer())
    assert (len(found.flat), found.problems) == (1501, ())


def test_many_chosen_of_many_options_are_looked_up_and_not_compared_one_by_one():
    options = "{{ range(1, 60000) }}"
    found = settle({"type": "MULTISELECT", "expression": options}, [str(n) for n in range(60000, 0, -1)])
    assert len(found.flat["x"]) == 60_000


def doubling(keyword, ends):
    steps = {f"a{n}": {keyword: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    return {"$defs": {**steps, "a40": ends}, "$ref": "#/$defs/a0"}


UNEVALUATED = {**doubling("allOf", {"properties": {"a": {}}}), "unevaluatedProperties": False}
NOT_IN_NOT = {"type": "integer"}
for _ in range(110):
    NOT_IN_NOT = {"not": NOT_IN_NOT}
DEEP = "[" * 100 + "]" * 100


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        (doubling("allOf", {"type": "integer"}), "1", "takes too long"),
        (doubling("oneOf", {"type": "integer"}), "1", "takes too long"),
        (doubling("anyOf", {"type": "integer"}), '"a"', "takes too long"),
        (UNEVALUATED, '{"b": 1}', "takes too long"),
        ({"oneOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, DEEP, "takes too long"),
        ({"items": {"enum": list(range(5000))}}, json.dumps([4999] * 20_000), "takes too long"),
        ({"anyOf": [{"const": n} for n in range(3000)]}, json.dumps("x" * 1_000_000), "the json schema"),
        ({"anyOf": [{"type": "null", "const": n} for n in range(3000)]}, json.dumps("x" * 400_000), "takes too long"),
        ({"not": {"not": {"multipleOf": 0.1}}}, "0.3", None),
        ({"multipleOf": 0.1}, "1" + "0" * 400, None),
        ({"multipleOf": 5e-324}, "1" + "0" * 300, None),
        ({"multipleOf": 10**400}, "1.5", "is not a multiple of"),
        ({"if": {"$ref": "#"}, "then": False}, "1", "refers to itself without end"),
        ({"enum": [1, {"a": [0]}]}, "true", "is not one of"),
        ({"enum": [1, {"a": [0]}]}, '{"a": [false]}', "is not one of"),
        ({"enum": [1, {"a": [0]}]}, '{"a": [0.0]}', None),
        ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, "4", "only one, but 2"),
        ({"if": {"minimum": 3}, "then": {"maximum": 5}, "else": {"const": 1}}, "2", "1 was expected"),
        (NOT_IN_NOT, "1", None),
    ],
    ids=range(19),
)
def test_a_schema_takes_no_more_than_a_moment(schema, text, said):
    found = settle({"type": "JSON", "jsonSchema": schema}, text)
    holds(found)
    assert [said in problem.message for problem in found.problems] == ([True] if said else [])


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "#/a", "a": 5}, "what `#/a` of `jsonSchema` names is no JSON Schema"),
        ({"$ref": "#/a", "a": {"type": 5}}, "what `#/a` of `jsonSchema` names is no JSON Schema"),
        ({"$ref": "#/a", "a": {"multipleOf": 0}}, "what `#/a` of `jsonSchema` names is no JSON Schema"),
        ({"$ref": "#/type", "type": "integer"}, "what `#/type` of `jsonSchema` names is no JSON Schema"),
        ({"$ref": "#/prefixItems/x", "prefixItems": [{}]}, None),
        ({"$defs": {"a": {"$id": "http://[::"}}, "$ref": "z"}, "`http://[::`, which is no address"),
        ('{"multipleOf": NaN}', "is no JSON"),
        ('{"minimum": 1e999}', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"not":' * 150 + "{}" + "}" * 150, "levels deep"),
    ],
)
def test_a_schema_that_breaks_when_it_is_used_is_refused_with_the_flow_or_with_the_value(schema, said):
    if said is None:
        ((problem),) = settle({"type": "JSON", "jsonSchema": schema}, "1").problems
        assert "a part of its `jsonSchema` can't be read" in problem.message
        return
    with pytest.raises(ValidationError) as refused:
        settle({"type": "JSON", "jsonSchema": schema}, "1")
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "NaN", "1e999", "9" * 5000, "[-Infinity]", "[" * 130 + "]" * 130])
def test_a_value_for_the_kv_store_is_refused_when_it_can_not_be_kept(text):
    with pytest.raises(Refused, match="is not of kind JSON"):
        fit(text, "JSON", "k")
