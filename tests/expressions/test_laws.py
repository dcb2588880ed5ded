"""Laws: only our own errors, no way to Python, nothing evaluated twice, nothing without bounds."""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ExpressionFailed
from engine.expressions import FILTERS, FUNCTIONS, TESTS, Services, evaluate, parse, render, to_text
from engine.expressions.limits import MAX_RANGE
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


HOSTILE = {
    "doubling a text": "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
    "doubling a list": "{% set a = [1] %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "doubling a tree": "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "comparing trees": "{% set a = [1] %}{% set b = [1] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60 + "{{ a == b }}",  # noqa: E501
    "joining trees": "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a ~ '' }}",
    "replacing in trees": "{% set a = ['1'] %}" + "{% set a = [a, a] %}" * 60 + "{{ a | replace({'1': '2'}) }}",
    "loops in loops": "{% for a in 1..9999 %}{% for b in 1..9999 %}{{ a * b }}{% endfor %}{% endfor %}",
    "silent loops": "{% for a in 1..9999 %}{% for b in 1..9999 %}{% endfor %}{% endfor %}",
    "long range": "{{ 1..9999999999 }}",
    "wide format": "{{ '%2000000000d' | format(1) }}",
    "deep indent": "{{ 'a' | indent(2000000000) ~ ('a' | nindent(2000000000)) }}",
    "huge number": "{{ '1e999999999' | number | string }}",
    "huge decimal": "{{ '1e99999999' | number('BIGDECIMAL') }}",
    "huge integer": "{{ '" + "9" * 100_000 + "' | number }}",
    "replacement bomb": "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a | replace({'x': 'xxxxxxxxxx'}) %}" * 12 + "{{ a }}",  # noqa: E501
    "regex bomb": "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' | regexMatch('(a+)+$') }}",
    "regex bomb in split": "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' | split('(a|a)*c') }}",
    "regex bomb in replace": "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' | replace({'(a*)*c': 'x'}, regexp=true) }}",  # noqa: E501
    "endless jq": "{{ '1' | jq('def f: f; f') }}",
    "much jq": "{{ '1' | jq('[range(1000000000)]') }}",
    "growing jq": "{{ '[1]' | jq('" + ".+." + "|.+." * 60 + "') }}",
    "endless macros": "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "many macros": "".join(f"{{% macro f{i}() %}}{{{{ f{i + 1}() }}}}{{{{ f{i + 1}() }}}}{{% endmacro %}}" for i in range(18))  # noqa: E501
    + "{% macro f18() %}{% for a in 1..999 %}x{% endfor %}{% endmacro %}{{ f0() }}",
    "endless render": "{{ render(cycle) }}",
    "deep brackets": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "deep lists": "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "deep json": "{{ fromJson('" + "[" * 50_000 + "]" * 50_000 + "') }}",
    "long chain": "{{ 1" + " + 1" * 20_000 + " }}",
    "many nots": "{{ " + "not " * 20_000 + "true }}",
    "many filters": "{{ s" + " | upper" * 20_000 + " }}",
    "many attributes": "{{ m" + ".a" * 20_000 + " }}",
    "many ternaries": "{{ " + "true ? " * 5_000 + "1" + " : 2" * 5_000 + " }}",
    "deep tags": "{% if true %}" * 5_000 + "{% endif %}" * 5_000,
    "many opened raws": "{% raw %}" * 20_000,
    "many quotes": "{{ " + "\"#" * 20_000 + " }}",
    "yaml bomb": "{% set y = 'a: &a [x,x,x,x,x,x,x,x,x]\n' %}"
    + "".join(f"{{% set y = y ~ '{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n' %}}" for i in range(9))  # noqa: E501
    + "{{ yaml(y) }}",
    "sorting": "{% for a in 1..9999 %}{{ big | sort | first }}{% endfor %}",
    "wide print": "{% for a in 1..9999 %}{{ big }}{% endfor %}",
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_template_is_stopped(name):
    values = {**VALUES, "cycle": "{{ cycle }}{{ cycle }}", "big": list(range(MAX_RANGE // 2))}
    started = time.monotonic()
    with pytest.raises(ExpressionFailed):
        render(HOSTILE[name], values, SERVICES)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    "program", ["env", "$ENV", "env.PATH", "$ENV.PATH", 'import "a" as a; 1', 'include "a"; 1', "input_filename"]
)
def test_jq_does_not_see_the_environment(program):
    with pytest.raises(ExpressionFailed, match="not available"):
        render("{{ '1' | jq(p) }}", {"p": program}, SERVICES)


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
    code = "import sys, engine.expressions; print([m for m in sys.modules if m.startswith('engine.') and not m.startswith(('engine.expressions', 'engine.errors'))])"  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
