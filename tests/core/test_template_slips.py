"""Templates in the words of other languages: each slip where it stands, and what is behind it."""

import pytest

from engine.core.template_slips import MOST, errors, spelt
from engine.expressions import parse
from tests.core.language import problems
from tests.core.test_core_types import CORE

ZZ = "`inputs.zz` names no input of this flow. "


def told(template: str, name: str = "message") -> list[tuple[int, str]]:
    text = f"tasks:\n  - id: say\n    type: {CORE}.log.Log\n    {name}: >-\n{template}\n    level: INFO\n"
    if name != "message":
        text += "    message: hi\n"
    return [(one.column, f"{one.message} {one.suggestion}") for one in problems(text)]


@pytest.mark.parametrize(
    ("template", "sentences"),
    [
        ("{{ flow.id && inputs.zz }}", {12: "has no meaning in an expression. Write `and`.", 15: ZZ}),
        ("{{ !inputs.zz }}", {4: "has no meaning in an expression. Write `not`.", 5: ZZ}),
        ("{{ inputs.zz = 'a' }}", {4: ZZ, 14: "found '='. Two values are compared with `==`."}),
        ("{{ inputs.zz === 'a' }}", {4: ZZ, 16: "found '='. Write `==`."}),
        ("{{ inputs.zz !== 'a' }}", {4: ZZ, 16: "found '='. Write `!=`."}),
        ("{{ inputs.zz <> 'a' }}", {4: ZZ, 15: "found '>'. Write `!=`."}),
        ("{{ inputs.zz => 3 }}", {4: ZZ, 14: "found '='. Write `>=`."}),
        ("{{ inputs.zz =< 3 }}", {4: ZZ, 14: "found '='. Write `<=`."}),
        ("{{ flow?.id?.a || inputs.zz }}", {9: "Write `.` for `?.`", 13: "Write `.` for `?.`", 17: "`??`.", 19: ZZ}),
        (
            "{{ inputs.zz AND true OR NOT false }}",
            {4: ZZ, 14: "found 'AND'. Write `and`.", 23: "found 'OR'. Write `or`.", 26: "found 'NOT'. Write `not`."},
        ),
        ("{{ 'x' in inputs.zz }}", {8: "Write `list contains value`.", 11: ZZ}),
        ("{{ 'x' not in inputs.zz }}", {8: "Write `not (list contains value)`", 15: ZZ}),
        ("{% if (inputs.zz = 1) %}a{% endif %}", {8: ZZ, 18: "found '='. Two values are compared with `==`."}),
        ("{{ if flow.id }}", {7: "found 'flow'. `if` stands in a tag: {% if … %}."}),
        ("{{ flow.id ? 'x' }}", {18: "Write `condition ? value : other`."}),
        ("{{ flow.id | default: 'x' }}", {21: "Arguments stand in brackets: `default(…)`."}),
        ("{{ `x` }}", {4: "has no meaning in an expression. Texts stand in quotes, ' or \"."}),
        ("{{ 1 & 2 }}", {6: "Two conditions are joined with `and`, two texts with `~`."}),
        ("{{ 'a && b || !c = d' }}", {}),
        ("{{ 'a && b' }} {{ flow.id && true }}", {27: "Write `and`."}),
    ],
)
def test_each_slip_is_told_and_what_stands_behind_it(template, sentences):
    found = dict(told(f"      {template}"))
    assert {column - 6 for column in found} == set(sentences)
    assert all(sentence in found[column + 6] for column, sentence in sentences.items())


def test_a_template_full_of_slips_ends():
    broken, template = errors(f"{{{{ {'a && ' * 50}a }}}}")
    assert (len(broken), template) == (MOST, None)


def test_what_can_be_read_is_left_as_it_is():
    text = "{{ a and not b ? c : d }}{% set x = 1 %}{{ f(a=1) ?? ''}}"
    broken, template = errors(text)
    assert broken == []
    assert template is not None
    assert template.tree == parse(text).tree


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("inputs.a && !inputs.b||c", "inputs.a and not inputs.b or c"),
        ("a === 'x && y' && b !== \"=\"", "a == 'x && y' and b != \"=\""),
        ("a = 1", "a == 1"),
        ("a <> 1 and b >= 2 or c <= 3 and d == 4 and e != 5", "a != 1 and b >= 2 or c <= 3 and d == 4 and e != 5"),
    ],
)
def test_a_condition_is_spelt_as_it_is_here(condition, expected):
    assert spelt(condition) == expected
    assert errors(f"{{{{ {expected} }}}}")[0] == []


def test_a_condition_without_braces_is_written_with_the_signs_there_are():
    assert "Write `{{ inputs.a and not inputs.b }}`." in told("      inputs.a && !inputs.b", "runIf")[0][1]


def test_a_condition_that_yaml_takes_for_a_tag_is_written_with_not():
    ((_, said),) = [(one.line, one.suggestion) for one in problems("runIf: !inputs.a\n")]
    assert said == 'Write "{{ not inputs.a }}", in quotes.'
