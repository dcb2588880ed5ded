"""Templates that try to run for ever or to fill the memory: each is stopped with an error of ours."""

import resource

import pytest

from engine.errors import ExpressionFailed
from engine.expressions import Services, evaluate, jq_programs, render
from engine.expressions.limits import MAX_RANGE

SERVICES = Services()
TREE = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60
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
    "huge number as it is": "{{ '1e999999999' | number }}",
    "tiny number as it is": "{{ '1e-999999999' | number('BIGDECIMAL') }}",
    "growing number": "{% set a = '1e999' | number %}" + "{% set a = a * a %}" * 20 + "{{ a is null }}",
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
    "a tree as weekday": TREE + "{{ isDayWeekInMonth(0, a, 'FIRST') }}",
    "a tree as place": TREE + "{{ isDayWeekInMonth('2024-01-01', 'MONDAY', a) }}",
    "a tree as zone": TREE + "{{ 0 | date('iso', a) }}",
    "a tree as locale": TREE + "{{ 0 | date('iso', locale=a) }}",
    "a tree of tasks": "{% macro f(tasks) %}{{ tasksWithState('X') }}{% endmacro %}{% set a = {'x': 1} %}"
    + "{% set a = {'a': a, 'b': a} %}" * 60 + "{{ f(a) }}",
    "a tree in a query": TREE + "{{ http('http://a.test', query={'a': a}) }}",
    "a tree of entries": "{% set a = [1] %}"
    + "{% set m = {'k': [a, a]} %}{% set a = m.entrySet() %}" * 40 + "{{ a | yaml }}",
    "jq on JSON in a text": "{{ [json] | jq('.[0] | fromjson | [paths]') }}",
    "sorting": "{% for a in 1..9999 %}{{ big | sort | first }}{% endfor %}",
    "wide print": "{% for a in 1..9999 %}{{ big }}{% endfor %}",
}  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_template_is_stopped(name):
    values = {"s": "abc", "m": {"a": {"b": 1}}, "cycle": "{{ cycle }}{{ cycle }}", "big": list(range(MAX_RANGE // 2))}
    values["json"] = "[" * 9_990 + "]" * 9_990
    with pytest.raises(ExpressionFailed):
        render(HOSTILE[name], values, SERVICES)


def test_a_value_that_grows_by_sharing_is_not_handed_on():
    with pytest.raises(ExpressionFailed, match="too big to work on"):
        evaluate(TREE + "{{ a }}", {}, SERVICES)


def test_reading_a_jq_program_makes_no_long_text():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    jq_programs.check('"aaaaaaaaaa" * 100000000 | length')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 500_000
    jq_programs.check('"a\\("b" * 2)c" * 3')
    for wrong in ('"a" * 3 |', '"a" * nothing', '"a" * "\\(nothing)"'):
        with pytest.raises(ExpressionFailed, match="cannot be read"):
            jq_programs.check(wrong)


def test_a_number_of_too_many_digits_is_not_handed_on():
    assert evaluate("{{ '1e400' | number }}", {}, SERVICES) == 10**400
    for template in ("{{ x | number }}", "{{ x | number('BIGDECIMAL') }}"):
        with pytest.raises(ExpressionFailed, match="at most 1000 digits"):
            evaluate(template, {"x": "1e999999999"}, SERVICES)


@pytest.mark.parametrize("template", ["{{ t[t] }}", "{{ m[t] }}", "{{ 'x' | escapeChar(t) }}", "{{ t ~ '' | jq(t) }}"])
def test_an_error_stays_readable_whatever_was_given(template):
    with pytest.raises(ExpressionFailed) as raised:
        render(template, {"t": "x" * 100_000, "m": {}}, SERVICES)
    assert len(str(raised.value)) < 5_000


def test_entries_of_a_map_are_handed_on_as_maps():
    found = evaluate("{{ ({'a': 1, 'b': ({'c': 2}).entrySet()}).entrySet() }}", {}, SERVICES)
    assert found == [{"a": 1}, {"b": [{"c": 2}]}]
