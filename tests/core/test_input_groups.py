"""Inputs made of other inputs, and those whose values have an inner form: FORM, OBJECT, TABLE, ION, a JSON Schema."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from engine.core.flow_source import check
from engine.core.inputs import FlowOutput, Inputs, coerce_outputs, resolve, standing_defaults
from engine.errors import InputInvalid
from engine.tasks import catalogue
from tests.core.language import renderer

DECLARED = TypeAdapter(Inputs)


def declared(*inputs):
    return DECLARED.validate_python(list(inputs))


def resolved(*inputs, **given):
    return resolve(declared(*inputs), given, renderer())


def said(found):
    return [(one.input, one.message) for one in found.problems]


DISK = {
    "id": "disk",
    "type": "OBJECT",
    "properties": [
        {"id": "size_gb", "type": "INT", "min": 10},
        {"id": "mountpoint", "type": "STRING", "validator": "^/.*", "required": False},
    ],
}
PLACE = {
    "id": "environment",
    "type": "FORM",
    "displayName": "Where it runs",
    "inputs": [
        {"id": "center", "type": "SELECT", "values": ["eu", "us"]},
        {
            "id": "zone",
            "type": "STRING",
            "dependsOn": {"inputs": ["environment.center"], "condition": "{{ inputs.environment.center == 'eu' }}"},
        },
    ],
}
NOTE = {"id": "note", "type": "STRING"}
DISKS = {"id": "disks", "type": "TABLE", "rows": {"min": 1, "max": 2}, "columns": DISK["properties"]}


def test_a_form_is_asked_for_as_its_inputs_and_nests_their_values():
    assert [one.id for one in declared(PLACE)] == ["environment.center", "environment.zone"]
    assert [one.heading for one in declared(PLACE)] == ["Where it runs", "Where it runs"]
    for given in (
        {"environment": {"center": "eu", "zone": "b"}},
        {"environment.center": "eu", "environment.zone": "b"},
        {"environment": '{"center": "eu", "zone": "b"}'},
    ):
        assert resolved(PLACE, **given).values == {"environment": {"center": "eu", "zone": "b"}}
    assert resolved(PLACE, **{"environment.center": "us"}).values == {"environment": {"center": "us"}}
    assert said(resolved(PLACE))[0] == (
        "environment.center",
        "Invalid input for `environment.center`, missing required input, but received `null`",
    )


def test_a_form_that_is_not_asked_for_asks_for_none_of_its_inputs():
    switch = {"id": "own", "type": "BOOL", "defaults": False}
    form = PLACE | {"dependsOn": {"inputs": ["own"], "condition": "{{ inputs.own }}"}}
    assert resolved(switch, form).values == {"own": False}
    on = resolved(switch, form, own=True, environment={"center": "eu"})
    assert [one.input for one in on.problems] == ["environment.zone"]
    after = {"id": "after", "type": "STRING", "dependsOn": {"inputs": ["environment"]}, "required": False}
    seen = {
        "id": "seen",
        "type": "STRING",
        "dependsOn": {"inputs": ["disk"], "condition": "{{ inputs.disk.size_gb > 50 }}"},
    }
    found = resolved(PLACE, after, DISK, seen, environment={"center": "us"}, disk={"size_gb": 60}, after="x", seen="y")
    assert (found.values["after"], found.values["seen"]) == ("x", "y")


@pytest.mark.parametrize(
    "given",
    [
        {"disk": {"size_gb": "12", "mountpoint": "/data", "more": 1}},
        {"disk": '{"size_gb": 12, "mountpoint": "/data"}'},
        {"disk.size_gb": "12", "disk.mountpoint": "/data"},
    ],
)
def test_an_object_is_given_whole_or_by_its_properties(given):
    assert resolved(DISK, **given).values == {"disk": {"size_gb": 12, "mountpoint": "/data"}}


def test_each_property_of_an_object_has_its_own_rules():
    found = resolved(DISK, disk={"size_gb": 5, "mountpoint": "data"})
    assert said(found) == [
        ("disk.size_gb", "Invalid input for `disk.size_gb`, it must be more than `10`, but received `5`"),
        (
            "disk.mountpoint",
            "Invalid input for `disk.mountpoint`, it must match the pattern `^/.*`, but received `data`",
        ),
    ]
    (first, _) = said(resolved(DISK, disk="[1]"))
    assert "Expected `OBJECT` but received `[1]` with errors: it is not a mapping" in first[1]


def test_an_object_that_may_be_left_out_is_null_or_whole():
    optional = DISK | {"required": False}
    assert resolved(optional).values == {"disk": None}
    assert resolved(optional).flat == {"disk": None}
    (problem,) = said(resolved(optional, disk={"mountpoint": "/x"}))
    assert "Invalid input for `disk.size_gb`, missing required input" in problem[1]


def test_defaults_of_an_object_stand_when_it_is_not_given():
    with_defaults = DISK | {"defaults": {"size_gb": 20, "mountpoint": "/{{ 'a' | upper }}"}}
    assert resolved(with_defaults).values == {"disk": {"size_gb": 20, "mountpoint": "/A"}}
    assert resolved(with_defaults, disk={"size_gb": 30}).values == {"disk": {"size_gb": 30, "mountpoint": None}}
    assert resolved(with_defaults, **{"disk.size_gb": 30}).values["disk"] == {"size_gb": 30, "mountpoint": "/A"}
    rendered = DISK | {"defaults": "{{ {'size_gb': 40} | toJson }}"}
    assert resolved(rendered).values == {"disk": {"size_gb": 40, "mountpoint": None}}


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ([{"size_gb": "12", "more": 1}], [{"size_gb": 12, "mountpoint": None}]),
        ('[{"size_gb": 12, "mountpoint": "/a"}]', [{"size_gb": 12, "mountpoint": "/a"}]),
        (
            '{"size_gb": 12}\n{"size_gb": 13}\n',
            [{"size_gb": 12, "mountpoint": None}, {"size_gb": 13, "mountpoint": None}],
        ),
        (
            "mountpoint, size_gb\n/a, 12\n\n/b, 13",
            [{"size_gb": 12, "mountpoint": "/a"}, {"size_gb": 13, "mountpoint": "/b"}],
        ),
        ('12,"/a,b"', [{"size_gb": 12, "mountpoint": "/a,b"}]),
        (
            '{"size_gb": 12, "mountpoint": "/5\\""}\n\n{"size_gb": 13}',
            [{"size_gb": 12, "mountpoint": '/5"'}, {"size_gb": 13, "mountpoint": None}],
        ),
    ],
)
def test_rows_of_a_table_come_in_many_shapes(given, rows):
    assert resolved(DISKS, disks=given).values == {"disks": rows}


def test_cells_keep_their_lines():
    (notes,) = declared({"id": "notes", "type": "TABLE", "columns": [{"id": "n", "type": "INT"}, NOTE]})
    rows = [{"n": 1, "note": "a\n\n  b"}, {"n": 2, "note": 'a "word"'}]
    assert notes.coerce(notes.as_lines(rows)) == rows
    assert notes.coerce(f"{notes.as_lines(rows)}\n\n3,c\n") == [*rows, {"n": 3, "note": "c"}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "it must have at least `1` rows"),
        ("12\n13\n14", "it must have at most `2` rows"),
        ("12\n9", "row 2: `size_gb`: it must be more than `10`"),
        ([{"mountpoint": "/a"}], "row 1: `size_gb` is missing"),
        ("12,/a,x", "row 1 has 3 values, and there are 2 columns"),
        ("[1", "Expected `TABLE` but received `[1` with errors: "),
        ("12," + "a" * 200_000, "field larger than field limit"),
        ("7,", "row 1: `size_gb`: it must be more than `10`"),
        ({"size_gb": 12}, "it is not a list of rows"),
        ([12], "row 1: Expected `OBJECT` but received `12`"),
    ],
)
def test_a_table_that_does_not_fit_names_the_row(given, message):
    ((name, told),) = said(resolved(DISKS, disks=given))
    assert name == "disks"
    assert message in told


def test_defaults_of_a_table_are_kept_as_texts_and_numbers():
    days = {"id": "t", "type": "TABLE", "columns": [{"id": "day", "type": "DATE"}], "defaults": [{"day": "2026-01-02"}]}
    assert resolved(days).values == {"t": [{"day": date(2026, 1, 2)}]}
    assert standing_defaults(declared(days)) == {"t": [{"day": "2026-01-02"}]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, true, null]}', {"a": [1, True, None]}),
        ("{name: 'it\\'s', list: [1, 2.5, 3d2, 0xff, 1_000], s: sym, n: null.int}",
         {"name": "it's", "list": [1, 2.5, 300.0, 255, 1000], "s": "sym", "n": None}),
        ("cents::5 // a note", 5),
        ("{at: 2026-01-02T03:04:05Z, day: 2026-01-02, 'odd name': \"\\u00e9\",}",
         {"at": "2026-01-02T03:04:05Z", "day": "2026-01-02", "odd name": "é"}),
        ("'''long ''' '''text'''", "long text"),
        ("(a b {{ aGk= }})", ["a", "b", "aGk="]),
        ("{a: 1} {a: 2}", [{"a": 1}, {"a": 2}]),
        ("[{{ \"a}}b\" }}, {{ '''c}}''' }}, {{\naGk=\n}}]", ["a}}b", "c}}", "aGk="]),
    ],
)  # fmt: skip
def test_ion_becomes_plain_values(text, value):
    assert resolved({"id": "x", "type": "ION"}, x=text).values == {"x": value}


@pytest.mark.parametrize(
    "text", ["{a 1}", "[1, 2", "{a: }", "\u20ac", "[" * 100_000, "{a:" * 5_000, "{{ !! }}", "{" * 200_000]
)
def test_broken_ion_is_refused(text):
    ((_, told),) = said(resolved({"id": "x", "type": "ION"}, x=text))
    assert "Expected `ION` but received" in told


def test_broken_ion_says_in_which_line():
    ((_, told),) = said(resolved({"id": "x", "type": "ION"}, x="{a: 1,\n /* \n */ b: '''\n''',\n\u20ac}"))
    assert "line 5 can't be read" in told


def test_what_may_take_long_to_read_or_check_is_told():
    plain = {"id": "x", "type": "TABLE", "columns": [NOTE]}
    checked = plain | {"columns": [NOTE | {"validator": "a+"}]}
    assert [one.may_take_time for one in declared(plain, checked, {"id": "y", "type": "ION"})] == [False, True, True]


@pytest.mark.parametrize("kind", ["JSON", "ION"])
def test_a_value_is_taken_as_it_is(kind):
    assert resolved({"id": "x", "type": kind}, x={"a": 1}).values == {"x": {"a": 1}}


SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "ages": {"$ref": "#/$defs/ages"}},
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": False,
    "$defs": {"ages": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}},
}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "ann", "ages": [1, 2], "x-a": "b"}, None),
        ('{"name": "ann"}', None),
        ({}, "it must match the json schema: 'name' is a required property"),
        ({"name": "Ann"}, "`name`: 'Ann' does not match '^[a-z]+$'"),
        ({"name": "a", "ages": [1, "x"]}, "`ages[1]`: 'x' is not of type 'integer'"),
        ({"name": "a", "ages": [1, 1.0]}, "`ages`: has an item twice"),
        ({"name": "a", "x-a": 1}, "`x-a`: 1 is not of type 'string'"),
        ({"name": "a", "b": 1}, "'b' is no property of it"),
        ({"name": "A" * 9999}, "\u2026"),
    ],
)
@pytest.mark.parametrize("written", [SCHEMA, json.dumps(SCHEMA)], ids=["mapping", "text"])
def test_json_is_held_against_its_schema(written, value, message):
    found = said(resolved({"id": "x", "type": "JSON", "jsonSchema": written}, x=value))
    assert (message is None and not found) or message in found[0][1]
    assert all(len(told) < 1000 + len(str(value)) for _, told in found)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "`jsonSchema` is no JSON"),
        ('{"type": "text"}', "`jsonSchema` is no JSON Schema: `type`"),
        ('{"$ref": "https://example.com/a.json"}', "may not read `https://example.com/a.json` from elsewhere"),
        ('{"items": {"pattern": "("}}', "has a pattern that can't be read"),
        ('{"patternProperties": {"(": {}}}', "has a pattern that can't be read"),
        ("[]", "is no schema"),
    ],
)
def test_a_schema_that_can_not_be_held_to_is_refused_with_the_flow(schema, message):
    with pytest.raises(ValidationError) as refused:
        declared({"id": "x", "type": "JSON", "jsonSchema": schema})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"$ref": "#/$defs/none"}, 1, "names `#/$defs/none`, which is not in it"),
        ({"$ref": "other.json"}, 1, "names `other.json`, which is not in it"),
        ({"$ref": "#"}, 1, "refers to itself without end"),
        ({"pattern": "^(a+)+$"}, "a" * 40 + "b", "takes longer than"),
    ],
)
def test_a_schema_without_an_end_refuses_and_stops(schema, value, message):
    ((_, told),) = said(resolved({"id": "x", "type": "JSON", "jsonSchema": schema}, x=json.dumps(value)))
    assert message in told


def test_the_schema_library_is_imported_for_flows_that_have_one_only():
    code = (
        "import sys; from engine.core.flow import Flow; import engine.core.flow_source\n"
        "assert not {'jsonschema', 'referencing'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


FLOW = "id: a\nnamespace: b\ninputs:\n{}\ntasks:\n  - {{id: t, type: io.kestra.plugin.core.log.Log, message: '{}'}}\n"


def findings(inputs, message="hi"):
    return check(FLOW.format(inputs, message), catalogue())


def test_kestras_own_object_and_table_are_valid_and_read():
    text = """\
  - {id: disk, type: OBJECT, required: false, properties: [{id: size_gb, type: INT, min: 10}]}
  - {id: disks, type: TABLE, required: false, rows: {max: 2}, columns: [{id: size_gb, type: INT}]}
  - {id: raw, type: ION, required: false}
  - {id: env, type: FORM, inputs: [{id: region, type: STRING, defaults: eu}]}"""
    assert (
        findings(text, "{{ inputs.disk }} {{ inputs.disks[0].size_gb }} {{ inputs.env.region }} {{ inputs.raw }}") == []
    )


@pytest.mark.parametrize(
    ("written", "path", "message", "advice"),
    [
        (
            "  - {id: e, type: FORM, inputs: [{id: a, type: STRNG}]}",
            "inputs[0].inputs[0].type", "has the type `STRNG`", "Did you mean `STRING`?",
        ),
        (
            "  - {id: z, type: INT}\n  - {id: e, type: FORM, inputs: [{id: a, type: INT, mn: 1}]}",
            "inputs[1].inputs[0].mn", "Unknown property `mn`", "Did you mean `min`?",
        ),
        (
            "  - {id: e, type: FORM, inputs: [{id: a, type: INT}, {id: b, type: INT, dependsOn: {inputs: [a]}}]}",
            "inputs[0].inputs[1].dependsOn", "'e.b' depends on a non-existent input 'a'", "Write `e.a`.",
        ),
        (
            "  - {id: e, type: FORM, inputs: [{id: a, type: INT}]}\n  - {id: e.a, type: INT}",
            "inputs[1].id", "Duplicate input with name [e.a]", "Rename one of them, and what refers to it.",
        ),
        (
            "  - {id: e, type: FORM, inputs: [{id: a, type: FORM, inputs: [{id: b, type: INT}]}]}",
            "inputs[0].inputs", "a FORM can't hold another FORM", "",
        ),
        ("  - {id: e, type: FORM}", "inputs[0].inputs", "`inputs` is missing", ""),
        (
            "  - {id: o, type: OBJECT, properties: [{id: a, type: SECRET}]}",
            "inputs[0].properties", "field `a` cannot be of type SECRET", "",
        ),
        (
            "  - {id: o, type: OBJECT, properties: [{id: a, type: INT, defaults: 1}]}",
            "inputs[0].properties", "field `a` cannot declare `defaults`", "",
        ),
        (
            "  - {id: o, type: TABLE, columns: [{id: a, type: INT}, {id: a, type: INT}]}",
            "inputs[0].columns", "declares the id `a` more than once", "",
        ),
        ("  - {id: o, type: TABLE, columns: []}", "inputs[0].columns", "must declare at least one field", ""),
        (
            "  - {id: o, type: TABLE, rows: {min: 3, max: 2}, columns: [{id: a, type: INT}]}",
            "inputs[0]", "leaves no number of rows", "",
        ),
        (
            "  - {id: o, type: OBJECT, defaults: {a: 1}, properties: [{id: a, type: INT, min: 5}]}",
            "inputs[0].defaults", "The default of input `o.a` does not fit", "",
        ),
        (
            "  - {id: r, type: REUSABLE_INPUTS, ref: common}",
            "inputs[0].type", "only Kestra's Enterprise Edition keeps",
            "Write the inputs of the block `common` here: as `inputs` of an input of the type `FORM` with the id `r`, "
            "their values have the same names.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_inside_is_told_where_it_stands(written, path, message, advice):
    found = findings(written)
    assert [(one.path, one.suggestion) for one in found] == [(path, advice)]
    assert message in found[0].message
    assert found[0].line >= 4


def test_items_have_plain_types_only():
    for kind in ("FORM", "OBJECT", "TABLE"):
        with pytest.raises(ValidationError):
            declared({"id": "a", "type": "ARRAY", "itemType": kind})
        with pytest.raises(ValidationError):
            FlowOutput(id="a", type="ARRAY", item_type=kind)
    with pytest.raises(ValidationError):
        FlowOutput(id="a", type="REUSABLE_INPUTS")


ROWS = [{"a": 1}, {"a": 2, "b": "x"}]


@pytest.mark.parametrize(
    ("kind", "rendered", "typed"),
    [
        ("ION", "{b: 1}", {"b": 1}),
        ("OBJECT", '{"b": {"c": [1]}}', {"b": {"c": [1]}}),
        ("OBJECT", {"b": 1}, {"b": 1}),
        ("FORM", '{"b": 1}', {"b": 1}),
        ("TABLE", json.dumps(ROWS), ROWS),
        ("TABLE", ROWS, ROWS),
        ("TABLE", "[]", []),
        ("OBJECT", "[1]", "Expected `OBJECT` but received `[1]` with errors: it is not a mapping"),
        ("OBJECT", "b", "Expected `OBJECT` but received `b`"),
        ("TABLE", '{"a": 1}', 'Expected `TABLE` but received `{"a": 1}` with errors: it is not a list of rows'),
        ("TABLE", "[1]", "Expected `OBJECT` but received `1`"),
        ("TABLE", "a,b", "Expected `TABLE` but received `a,b`"),
    ],
)
def test_an_output_may_have_parts(kind, rendered, typed):
    outputs = [FlowOutput(id="a", type=kind)]
    if isinstance(typed, str):
        with pytest.raises(InputInvalid) as caught:
            coerce_outputs(outputs, {"a": rendered})
        assert typed in caught.value.problems[0].message
    else:
        assert coerce_outputs(outputs, {"a": rendered}) == {"a": typed}
