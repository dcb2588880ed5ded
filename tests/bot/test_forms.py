"""Inputs as forms, and forms as values."""

from datetime import UTC, datetime

import pytest
import yaml
from pydantic import TypeAdapter

from bot.approvals.answering import answer_fields, shape
from bot.forms import questions
from bot.forms.values import Reader
from engine.core.inputs import Inputs, resolve
from engine.errors import InputProblem

READER = Reader(datetime(2026, 3, 24, 12, tzinfo=UTC))
INPUTS = TypeAdapter(Inputs)


def declared(text):
    """Inputs as a flow would have them: numbers stay numbers."""
    return INPUTS.validate_python(tuple(yaml.safe_load(text)))


def as_is(text, extra, typed):
    return {"{{ list }}": ["a", "b"]}.get(text, text)


def fields(text, **given):
    every = declared(text)
    return questions.fields_of(every, resolve(every, given, as_is))


NAMES = "prompt colour size tags count day wait sure data list file token code"


def test_each_type_has_its_field():
    made = fields(
        """
        - {id: prompt, type: STRING, displayName: What to draw, description: Be precise}
        - {id: colour, type: ENUM, values: [red, green]}
        - {id: size, type: SELECT, values: [small, large], isRadio: true, allowCustomValue: true, defaults: small}
        - {id: tags, type: MULTISELECT, expression: "{{ list }}", defaults: [a]}
        - {id: count, type: INT, min: 1, max: 9, defaults: 3}
        - {id: day, type: DATE, after: "2026-01-01"}
        - {id: wait, type: DURATION, max: PT1H, required: false}
        - {id: sure, type: BOOL, defaults: true}
        - {id: data, type: JSON, defaults: '{"a": 1}'}
        - {id: list, type: ARRAY, itemType: INT, defaults: [1, 2]}
        - {id: file, type: FILE, allowedFileExtensions: [csv]}
        - {id: token, type: SECRET, defaults: hunter2}
        - {id: code, type: STRING, validator: "[a-z]+", description: A word}
        """
    )
    by_id = {one.id: one for one in made}
    assert " ".join(one.id for one in made) == NAMES
    assert (by_id["prompt"].label, by_id["prompt"].help, by_id["prompt"].multiline) == (
        "What to draw",
        "Be precise",
        True,
    )
    assert by_id["colour"].type == "SELECT"
    assert [option.value for option in by_id["colour"].options] == ["red", "green"]
    assert by_id["size"].radio
    assert by_id["size"].allow_custom
    assert by_id["size"].default == "small"
    assert [option.value for option in by_id["tags"].options] == ["a", "b"]
    assert by_id["tags"].default == ["a"]
    assert (by_id["count"].minimum, by_id["count"].maximum, by_id["count"].default) == ("1", "9", "3")
    assert by_id["day"].minimum == "2026-01-01"
    assert (by_id["wait"].maximum, by_id["wait"].required) == ("PT1H", False)
    assert by_id["sure"].type == "BOOLEAN"
    assert by_id["sure"].default is True
    assert by_id["data"].multiline
    assert by_id["list"].default == ["1", "2"]
    assert by_id["list"].item_type == "INT"
    assert by_id["file"].extensions == (".csv",)
    assert by_id["token"].default is None, "a secret's default is never shown"
    assert by_id["code"].pattern == "[a-z]+"


DEPENDENT = """
- {id: kind, type: SELECT, values: [plain, fancy]}
- {id: colour, type: STRING, dependsOn: {inputs: [kind], condition: "fancy?"}}
"""


GROUPED = """
- {id: who, type: STRING}
- id: place
  type: FORM
  displayName: Where it runs
  inputs:
    - {id: region, type: STRING, displayName: Region}
    - id: disk
      type: OBJECT
      properties: [{id: size, type: INT, min: 10}, {id: mount, type: STRING, required: false}]
- id: people
  type: TABLE
  description: Who comes
  columns: [{id: name, type: STRING}, {id: age, type: INT, required: false}]
  defaults: [{name: "Ann, too", age: 3}, {name: Bob}]
- {id: raw, type: ION, required: false}
"""


def test_a_choice_is_shown_by_its_label_and_hands_on_its_value():
    text = "- {id: to, type: SELECT, values: [{label: Production, value: 123}, {value: dev}, test]}"
    (field,) = fields(text)
    assert [(one.value, one.label) for one in field.options] == [
        ("123", "Production"), ("dev", "dev"), ("test", "test"),
    ]  # fmt: skip
    assert questions.read_pairs([field], {"to": "production"}, READER).given == {"to": "123"}
    found = resolve(declared(text), {"to": "Production"}, as_is)
    assert "it must match the values `[123, dev, test]`" in found.problems[0].message


def test_a_form_and_an_object_are_asked_for_as_what_is_in_them():
    made = fields(GROUPED)
    assert [(one.id, one.type, one.label, one.group) for one in made] == [
        ("who", "STRING", "who", ""),
        ("place.region", "STRING", "Region", "Where it runs"),
        ("place.disk.size", "INT", "size", "Where it runs \u203a disk"),
        ("place.disk.mount", "STRING", "mount", "Where it runs \u203a disk"),
        ("people", "TABLE", "people", ""),
        ("raw", "ION", "raw", ""),
    ]
    table = made[4]
    assert table.multiline
    assert table.help == "Who comes\nColumns: name (STRING), age (INT, optional)."
    assert table.default == 'name,age\n"Ann, too",3\nBob,'


def test_rows_and_ion_are_read_as_they_are_typed():
    every = declared(GROUPED)
    made = fields(GROUPED)
    typed = {"who": "a", "place.region": "eu", "place.disk.size": "12", "people": made[4].default, "raw": "{a: 1}"}
    read = questions.read_form(made, typed, READER)
    assert not read.errors
    found = resolve(every, read.given, as_is)
    assert not found.problems
    assert found.values == {
        "who": "a",
        "place": {"region": "eu", "disk": {"size": 12, "mount": None}},
        "people": [{"name": "Ann, too", "age": 3}, {"name": "Bob", "age": None}],
        "raw": {"a": 1},
    }
    listed = questions.read_pairs(made, {"people": [{"name": "Cy"}], "raw": {"a": 1}}, READER)
    assert resolve(every, {**read.given, **listed.given}, as_is).values["people"] == [{"name": "Cy", "age": None}]


def test_an_input_that_is_not_asked_for_has_no_field():
    every = declared(DEPENDENT)

    def answers(text, extra, typed):
        return extra["inputs"].get("kind") == "fancy"

    assert [one.id for one in questions.fields_of(every, resolve(every, {}, answers))] == ["kind"]
    fancy = resolve(every, {"kind": "fancy"}, answers)
    assert [one.id for one in questions.fields_of(every, fancy)] == ["kind", "colour"]
    plain = resolve(every, {"kind": "plain"}, answers)
    assert [one.id for one in questions.fields_of(every, plain, ids=["colour"])] == ["colour"], "a shown field stays"


SEED = """
- {id: approve, type: BOOLEAN, description: "Are you happy with the photo or not?"}
- {id: feedback, type: STRING, description: Write the prompt again with more detail}
"""


@pytest.mark.parametrize(
    ("raw", "blank_texts", "given", "wrong"),
    [
        ({"approve": True, "feedback": "more"}, False, {"approve": True, "feedback": "more"}, []),
        ({"approve": False, "feedback": ""}, True, {"approve": False, "feedback": ""}, []),
        ({"approve": True}, False, {"approve": True}, ["feedback"]),
        ({"approve": None, "feedback": "x"}, True, {"feedback": "x"}, ["approve"]),
        ({"approve": "perhaps", "feedback": "x"}, True, {"feedback": "x"}, ["approve"]),
        ({}, True, {"feedback": ""}, ["approve"]),
    ],
)
def test_reading_a_filled_form(raw, blank_texts, given, wrong):
    read = questions.read_form(fields(SEED), raw, READER, blank_texts=blank_texts)
    assert dict(read.given) == given
    assert list(read.errors) == wrong


def test_an_emptied_default_is_an_empty_text_and_an_untouched_one_is_the_default():
    asked = fields("- {id: name, type: STRING, defaults: Ann}\n- {id: n, type: INT, defaults: 3}")
    assert questions.read_form(asked, {"name": "", "n": ""}, READER).given == {"name": ""}
    assert questions.read_form(asked, {}, READER).given == {}


def test_on_the_command_line_an_empty_text_is_a_value():
    asked = fields(SEED)
    assert questions.read_pairs(asked, {"feedback": "", "approve": "yes"}, READER).given == {
        "feedback": "",
        "approve": True,
    }


def test_a_refused_form_keeps_what_was_typed_but_no_secret():
    asked = fields("- {id: n, type: INT}\n- {id: token, type: SECRET}")
    raw = {"n": "three", "token": "hunter2"}
    form = questions.form("draft:1", "Run", "Run", asked, raw=raw, errors={"n": "no number"})
    assert form.values == {"n": "three"}
    assert [one.error for one in form.fields] == ["no number", None]
    assert "hunter2" not in repr(form)


def test_masked_values_hide_secrets_and_name_files():
    every = declared("- {id: token, type: SECRET}\n- {id: n, type: INT}")
    assert questions.masked({"token": "hunter2", "n": 3}, questions.secret_ids(every)) == {"token": "******", "n": "3"}


@pytest.mark.parametrize(
    ("message", "value", "says"),
    [
        ("Invalid input for `feedback`, missing required input, but received `null`", None, "`feedback` is required."),
        (
            "Invalid input for `feedback`, it must match the pattern `[a-z]+`, but received `A`",
            "A",
            "`feedback`: `A`: it must match",
        ),
        ("Invalid condition: no such thing", None, "`feedback`: Invalid condition: no such thing."),
    ],
)
def test_the_engines_refusals_are_told_in_our_words(message, value, says):
    assert says in questions.explain(InputProblem("feedback", message, value), fields(SEED)[1])


def test_a_list_with_nothing_in_it_is_said_to_be_so():
    every = fields("- {id: to, type: SELECT, expression: '{{ [] }}'}")
    said = "`to`: there is nothing to choose from, for its list is empty now."
    for typed in ({}, {"to": "prod"}):
        assert questions.read_form(every, typed, READER).errors == {"to": said}
    refusal = "Invalid input for `to`, it must match the values `[]`, but received `prod`"
    assert questions.explain(InputProblem("to", refusal, "prod"), every[0]) == said
    assert "boom" in questions.explain(InputProblem("to", "Invalid expression: boom", None), every[0])


def test_the_seeds_question_needs_only_a_button_when_quick():
    assert shape(fields(SEED)).kind == "yes_no"
    assert shape(fields(SEED), quick=False).kind == "form"
    assert [one.required for one in answer_fields(fields(SEED), quick=True)] == [True, False]
