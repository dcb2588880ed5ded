"""Laws: only our own errors, no way to Python, nothing evaluated twice, nothing without bounds."""

import contextlib
import os
import subprocess
import sys
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ExpressionFailed
from engine.expressions import FILTERS, FUNCTIONS, TESTS, Services, evaluate, nodes, parse, render, to_text
from engine.expressions.parser import parse_template
from tests.expressions.grammar import AT, DOCUMENTS, NAMES, TIGHT, document, shape
from tests.expressions.grammar import VALUES as ANY
from tests.shared import ROOT

SERVICES = Services()


class Opaque:
    """A value of a class that templates know nothing of."""

    password = "hunter2"

    def leak(self):
        return self.password

    def __str__(self):
        return "opaque"


VALUES = {
    "s": "abc", "n": 5, "l": [1, "two", None], "m": {"a": {"b": 1}, "items": 2}, "nul": None, "t": True, "d": 1.5,
    "o": Opaque(),
    "inputs": {"x": "{{ s }}"},
}  # fmt: skip
WORDS = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-}}", "if", "endif", "else", "elseif", "for", "endfor", "in", "set",
    "macro", "endmacro",
    "filter", "endfilter", "block", "endblock", "raw", "endraw", "verbatim", "is", "is not", "not", "and", "or",
    "contains", "==", "!=",
    "<", ">=", "+", "-", "*", "/", "%", "~", "|", "??", "???", "..", "?", ":", ",", ".", "(", ")", "[", "]", "{",
    "}", "=", "'", '"',
    "#{", "\\", "1", "0", "2.5", "99999999999999999999", "'x'", "'a,b'", "'yyyy'", "true", "null", "s", "n", "l",
    "m", "nul", "t", "d", "o",
    "loop", " ", "\n", "é", "__class__", *sorted(FILTERS), *sorted(FUNCTIONS),
    *sorted(TESTS),
]  # fmt: skip
OPERANDS = [
    "s",
    "n",
    "l",
    "m",
    "nul",
    "t",
    "d",
    "o",
    "'a,b'",
    "''",
    "-1",
    "0",
    "[]",
    "{}",
    "'2024-03-05'",
    "'{\"a\":1}'",
    "99999",
]


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_what_is_printed_is_parsed_to_the_same(tree):
    text = document(tree)
    assert shape(parse_template(text)) == shape(tree)
    assert document(parse_template(text)) == text


def _nested():
    """Each operator inside each other, on both sides."""
    a, b, c = (nodes.Name(AT, name) for name in "abc")
    none = nodes.Arguments(AT)

    def binary(operator, left, right):
        return nodes.Concat(AT, (left, right)) if operator == "~" else nodes.Binary(AT, operator, left, right)

    def inner(x, y):
        yield from (binary(operator, x, y) for operator in sorted(set(TIGHT) - {"|"}))
        yield nodes.Filter(AT, x, "upper", none)
        yield nodes.Test(AT, x, "empty", none, negated=True)
        yield nodes.Unary(AT, "not", x)
        yield nodes.Conditional(AT, x, y, x)

    for one in inner(a, b):
        yield from inner(c, one)
        if not isinstance(one, nodes.Concat):
            yield from inner(one, c)
        yield nodes.Attribute(AT, one, nodes.Constant(AT, "key"))
        yield nodes.MapLiteral(AT, ((one, one),))


def test_every_operator_inside_every_other_is_parsed_to_the_same():
    for tree in _nested():
        text = document(nodes.Body(AT, (nodes.Print(AT, tree),)))
        assert shape(parse_template(text).statements[0].expression) == shape(tree), text


class Wired:
    """A value that tells when anything of it is touched but its class."""

    touched: ClassVar[list[str]] = []

    def __getattribute__(self, name):
        if name not in ("__class__", "__str__", "__hash__", "__eq__"):
            Wired.touched.append(name)
        return object.__getattribute__(self, name)

    def __str__(self):
        return "wired"


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS, st.dictionaries(st.sampled_from(NAMES), ANY, max_size=5), st.sampled_from(["none", "json", "shell"]))
def test_any_template_on_any_values_gives_text_or_our_error_and_touches_nothing(tree, values, guard):
    text, asked = document(tree), []
    services = Services(secret=lambda *given, **named: asked.append(given) or "x")
    Wired.touched.clear()
    values = {"o": Wired(), **values, "inputs": {"x": "{{ secret('X') }}", "y": "secret('X')", "w": Wired()}}
    with contextlib.suppress(ExpressionFailed):
        assert type(render(text, values, services, guard=guard)) is str
    with contextlib.suppress(ExpressionFailed):
        evaluate(text, values, services)
    assert Wired.touched == []
    # No template above calls secret(): only the text of a value does, and that is never evaluated.
    assert "secret(" in text or asked == []


_INPUT = st.sampled_from(["inputs.x", "inputs['x']", "l[0]", "trigger.body", "outputs.a.b", "(inputs.x ~ '')"])
_WRAPS = st.sampled_from([
    "render({})", "renderOnce({})", "render(vars.plain ~ {})", "render([{}]) | first", "render({{'k': {}}}).k",
    "({} | trim)", "({} ?? 'z')", "(true ? {} : '')", '"#{{{}}}"', "render(render({}))", "f({})", "([{}] | first)",
    "render('{{{{ ' ~ inputs.y ~ ' }}}}' ~ {})", "(fromJson({} | toJson))", "render(fetchContext().inputs.x ~ {})",
])  # fmt: skip
_STATEMENTS = st.sampled_from([
    "{{{{ {} }}}}", "{{% set q = {} %}}{{{{ render(q) }}}}", "{{% for q in [{}] %}}{{{{ render(q) }}}}{{% endfor %}}",
    "{{% filter trim %}}{{{{ {} }}}}{{% endfilter %}}", "{{% block b %}}{{{{ {} }}}}{{% endblock %}}{{{{ render(block('b')) }}}}",  # noqa: E501
    "{{{{ render(vars.again) }}}}{{{{ {} }}}}", "{{% set q = 'a' %}}{{% set q = {} %}}{{{{ render('<{{{{ q }}}}>') }}}}",  # noqa: E501
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(_INPUT, st.lists(_WRAPS, max_size=4), st.lists(_STATEMENTS, min_size=1, max_size=3))
def test_a_value_is_never_evaluated_however_it_is_handed_around(source, wraps, statements):
    asked = []
    services = Services(secret=lambda *given, **named: asked.append(given) or "hunter2")
    bad = "{{ secret('X') }}{% set z = secret('X') %}"
    values = {
        "inputs": {"x": bad, "y": "secret('X')"}, "outputs": {"a": {"b": bad}}, "trigger": {"body": bad},
        "vars": {"plain": "p", "again": "{{ render(vars.deep) }}", "deep": "[{{ inputs.x }}{{ outputs.a.b }}]"},
    }  # fmt: skip
    for wrap in wraps:
        source = wrap.format(source)
    text = "{% macro f(q) %}{{ render(q) }}{{ render('{{ q }}') }}{% endmacro %}{% set l = [inputs.x] %}"
    text += "".join(statement.format(source) for statement in statements)
    with contextlib.suppress(ExpressionFailed):
        found = render(text, values, services)
        assert "hunter2" not in found
    assert asked == []


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_renders_or_fails_as_an_expression(text):
    for template in (text, "{{ " + text + " }}"):
        try:
            found = parse(template).render(VALUES, SERVICES)
        except ExpressionFailed:
            continue
        assert type(found) is str


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(sorted(FILTERS)), st.sampled_from(OPERANDS), st.lists(st.sampled_from(OPERANDS), max_size=4), st.booleans()  # noqa: E501
)  # fmt: skip
def test_any_filter_on_any_value_gives_a_value_or_our_error(name, operand, arguments, as_function):
    template = f"{{{{ {operand} | {name}({', '.join(arguments)}) }}}}"
    if as_function and name in FUNCTIONS:
        template = f"{{{{ {name}({', '.join([operand, *arguments])}) }}}}"
    try:
        render(template, VALUES, SERVICES)
    except ExpressionFailed:
        return


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(st.sampled_from(OPERANDS), max_size=5))
def test_any_function_on_any_values_gives_a_value_or_our_error(name, arguments):
    try:
        render(f"{{{{ {name}({', '.join(arguments)}) }}}}", VALUES, SERVICES)
    except ExpressionFailed:
        return


PYTHON_NAMES = sorted(
    {
        name
        for value in ("", 0, [], {}, Opaque(), test_any_text_renders_or_fails_as_an_expression)
        for name in dir(value)
    }
    | {"mro", "func_globals", "gi_frame", "cr_frame", "f_locals", "leak", "password"}
)
ALLOWED = {"replace", "split", "startswith", "endswith", "strip", "isempty"}


@pytest.mark.parametrize("target", ["s", "n", "l", "m", "o", "d", "t", "range(1, 2)", "loop", "now"])
def test_no_template_reaches_a_python_attribute(target):
    for name in PYTHON_NAMES:
        for form in (f"{target}.{name}", f"{target}['{name}']", f"{target}.{name}()", f"{target}.{name}('a')"):
            if name.lower() in ALLOWED or (target == "m" and name in ("items",)):
                continue
            try:
                found = evaluate(f"{{{{ {form} }}}}", VALUES, SERVICES)
            except ExpressionFailed:
                continue
            # What is left are the allow-listed methods, which give plain values.
            assert name in ("get", "size", "values", "key", "value"), (form, found)
            assert isinstance(found, (str, int, float, list, dict, type(None)))


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=20),
    st.sampled_from(["{{ 1 + 1 }}", "{% if true %}x{% endif %}", "{# x #}", "{{ secret('X') }}", "{{", "%}"]),
)
def test_a_value_that_holds_a_template_is_printed_as_it_is(text, template):
    value = text + template + text
    values = {
        "inputs": {"x": value},
        "vars": {"hello": "<{{ inputs.x }}>", "again": "{{ render(vars.hello) }}"},
        "outputs": {"a": [value]},
    }
    assert render("{{ inputs.x }}", values, SERVICES) == value
    assert render("{{ render(inputs.x) }}", values, SERVICES) == value
    assert render("{{ render(vars.hello) }}", values, SERVICES) == f"<{value}>"
    assert render("{{ render(vars.again) }}", values, SERVICES) == f"<{value}>"
    assert render("{{ render(render(vars.hello)) }}", values, SERVICES) == f"<{value}>"
    assert render("{% set y = inputs.x %}{{ render('[{{ y }}]') }}", values, SERVICES) == f"[{value}]"
    assert render("{% for y in outputs.a %}{{ render('[{{ y }}]') }}{% endfor %}", values, SERVICES) == f"[{value}]"
    assert render("{{ render([outputs.a, '{{ inputs.x }}']) | last }}", values, SERVICES) in (value, "{{ inputs.x }}")
    assert render("{{ render('{% filter trim %}a{{ inputs.x }}b{% endfilter %}') }}", values, SERVICES) == f"a{value}b"
    assert render("{% macro q(z) %}{{ z }}{% endmacro %}{{ render(q(inputs.x)) }}", values, SERVICES) == value


def test_more_places_can_be_named_as_outside():
    told = []
    services = Services(outside=frozenset({"row", "vars.answer"}), warn=told.append)
    values = {"row": {"a": "{{ s }}"}, "vars": {"answer": "{{ s }}", "own": "{{ s }}"}, "s": "abc"}
    assert (
        render("{{ render(row.a) }}{{ render(vars.answer) }}{{ render(vars.own) }}", values, services)
        == "{{ s }}{{ s }}abc"
    )
    assert len(told) == 2


@pytest.mark.parametrize(
    "program", ["env", "$ENV", "env.PATH", "$ENV.PATH", 'import "a" as a; 1', 'include "a"; 1', "input_filename"]
)
def test_jq_does_not_see_the_environment(program):
    with pytest.raises(ExpressionFailed, match="not available"):
        render("{{ '1' | jq(p) }}", {"p": program}, SERVICES)


@pytest.mark.parametrize(
    "hidden",
    [
        '. # "\n| env # "',
        '. # "\n| $ENV # "',
        '. # \\\\"\n| env # "',
        '# "\nimport "a" as $a {search: "/"}; # "\n$a',
        '"\\(1 # "\n | env # "\n)"',
        '"\\("a" | env)"',
    ],
)
def test_no_comment_and_no_text_hides_what_jq_may_not_see(hidden):
    with pytest.raises(ExpressionFailed, match="not available"):
        render("{{ '1' | jq(p) }}", {"p": hidden}, SERVICES)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ('.a # it\'s "env" (', 1),
        (".a # goes on \\\n| env", 1),
        (".a # ends \\\\\n+ 1", 2),
        ('"#env" # of a text', "#env"),
        ('"a\\(.a + 1 # one (more)\n)b\\("c\\(.a)")"', "a2bc1"),
    ],
)
def test_jq_programs_may_have_comments(program, expected):
    assert evaluate("{{ '{\"a\": 1}' | jq(p) | first }}", {"p": program}, SERVICES) == expected


@pytest.mark.parametrize("program", ["", " ", '"', '"\\', '"\\(', "# a\\", ".a)", '.a)"b"'])
def test_half_a_jq_program_is_told(program):
    with pytest.raises(ExpressionFailed, match="cannot be read") as told:
        render("{{ '1' | jq(p) }}", {"p": program}, SERVICES)
    assert len(str(told.value)) < 300


def test_jq_that_may_run_long_runs_elsewhere_and_still_answers(monkeypatch):
    monkeypatch.setenv("PARLEY_TEST_SECRET", "hunter2")
    assert evaluate("{{ '3' | jq('[range(.)] | add') }}", {}, SERVICES) == [3]
    assert evaluate("{{ '{\"a\": [1, 2]}' | jq('.env, .a[] as $x | $x * 2') }}", {}, SERVICES) == [None, 2, 4]
    assert "hunter2" not in str(evaluate("{{ 'null' | jq('[splits(\"a\")?], (\"\\(1)\")') }}", {}, SERVICES))


def test_patterns_that_may_run_long_run_elsewhere_and_still_answer():
    assert evaluate("{{ t | replace({'(\\d+,)+': '<$1>'}, regexp=true) }}", {"t": "1,2,3," * 10}, SERVICES) == "<3,>"
    assert evaluate("{{ t | split('(?:,\\s*)+') }}", {"t": "a,  b,, c" + "," * 30}, SERVICES) == ["a", "b", "c"]
    assert evaluate("{{ t | regexExtract('(?:a|b)*(c)', 1) }}", {"t": "ab" * 20 + "c"}, SERVICES) == "c"


@given(st.floats(allow_nan=False))
def test_a_printed_number_reads_back_as_the_same(number):
    assert float(to_text(number).replace("Infinity", "inf")) == number


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
        lambda inner: st.lists(inner, max_size=4),
    )
)
def test_json_reads_back_as_the_same(value):
    assert evaluate("{{ fromJson(v | toJson) }}", {"v": value}, SERVICES) == value


def test_the_package_needs_nothing_above_it():
    code = "import sys, engine.expressions; print([m for m in sys.modules if m.startswith('engine.') and not m.startswith(('engine.expressions', 'engine.errors', 'engine.whole_text'))])"  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
