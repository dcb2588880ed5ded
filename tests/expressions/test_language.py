"""The language as its reference describes it: one row a fact, beyond what the conformance cases hold."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from engine.errors import ExpressionFailed, NameMissing
from engine.expressions import Services, evaluate, parse, truthy

NOW = datetime(2026, 3, 5, 12, 30, 15, 123456, tzinfo=UTC)
SERVICES = Services(now=lambda: NOW)
VALUES = {
    "n": 5, "s": "abc", "e": "", "nul": None, "l": [1, 2, 3], "el": [], "m": {"a": 1, "b": {"c": "x"}}, "em": {},
    "d": 1.5,
    "multi": "x\ny", "js": '{"a":1}', "strs": ["b", "a"], "nested": [{"a": [None, 1]}],
    "zdt": datetime(2024, 3, 5, 14, 30, 15, 123456, timezone(timedelta(hours=2))),
    "paris": datetime(2024, 3, 5, 14, 30, tzinfo=ZoneInfo("Europe/Paris")),
    "inst": datetime(2024, 3, 5, 12, 30, tzinfo=UTC), "ld": date(2024, 3, 5), "lt": time(12, 30),
    "dur": timedelta(hours=1, minutes=30),
}  # fmt: skip
FAILS = object()


def show(template, **more):
    return parse(template).render({**VALUES, **more}, SERVICES)


ROWS = [
    # Precedence
    ("{{ 'a' | upper ~ 'b' }}", "Ab"),
    ("{{ -3 | abs }}", "3"),
    ("{{ s | length > 2 }}", "true"),
    ("{{ 1 < 2 == true }}", "true"),
    ("{{ 1..2 + 1 }}", "[1,2,1]"),
    ("{{ 2 * 3 ~ 4 }}", "68"),
    ("{{ not s is empty }}", "false"),
    ("{{ 1 is even or true }}", "true"),
    ("{{ s is  not empty }}", FAILS),
    ("{{ true and 'x' }}", "true"),
    ("{{ {'k': true ? 1 : 2} }}", '{"k":1}'),
    ("{{ true ? 1 }}", FAILS),
    ("{{ 1 if true else 2 }}", FAILS),
    ("{{ a && b }}", FAILS),
    ("{{ !s }}", FAILS),
    ("{{ 2 ** 3 }}", FAILS),
    ("{{ s == 'abc' ? 'y' : 'n' | upper }}", "y"),
    ("{{ false ? 'a' : true ? 'b' : 'c' }}", "b"),
    # Numbers
    ("{{ -7 % 3 }}", "-1"),
    ("{{ 1 / 0 }}", FAILS),
    ("{{ 1.0 / 0 }}", "Infinity"),
    ("{{ 0.0 / 0 }}", "NaN"),
    ("{{ 0.0001 }}", "1.0E-4"),
    ("{{ 123456789.0 }}", "1.23456789E8"),
    ("{{ 1.0 }}/{{ 0.1 + 0.2 }}", "1.0/0.30000000000000004"),
    ("{{ 5L }}", "5"),
    ("{{ 9223372036854775808 }}", FAILS),
    ("{{ 1e5 }}", FAILS),
    ("{{ 5. }}", FAILS),
    ("{{ 1_000 }}", FAILS),
    ("{{ true + 1 }}", FAILS),
    ("{{ 'v' + nul }}", "vnull"),
    ("{{ 'a' < 'b' }}", FAILS),
    ("{{ true > false }}", FAILS),
    ("{{ 5 > 3 > 1 }}", FAILS),
    ("{{ 1 == true }}", "false"),
    ("{{ [5] == [n] }}", "true"),
    ("{{ [1, 2] - [1] }}", "[2]"),
    ("{{ [1] + [2] }}", "[1,2]"),
    # Texts
    (r"{{ 'a\nb' }}", r"a\nb"),
    ("{{ \"#{m}\" }}", '{"a":1,"b":{"c":"x"}}'),
    ("{{ \"x#{m}\" }}", "x{a=1, b={c=x}}"),
    ("{{ \"a#{s | default(\"z\")}b\" }}", "aabcb"),
    ("{{ 'v' + l }}", "v[1, 2, 3]"),
    ("{{ m | upper }}", "{A=1, B={C=X}}"),
    ("{{ nested }}", '[{"a":[null,1]}]'),
    ("{{ [nul, {'a': nul}] }}", "[null,{}]"),
    # Names
    ("{{ True }}", FAILS),
    ("{{ l.0 }}", FAILS),
    ("{{ s[0] }}", FAILS),
    ("{{ l[1:2] }}", FAILS),
    ("{{ {'a': 1,} }}", FAILS),
    ("{{ [1,] }}", FAILS),
    ("{{ {'a': 1}['a'] }}", FAILS),
    ("{{ ({'a': 1})['a'] }}", "1"),
    ("{{ 'abc'.length() }}", "3"),
    ("{{ m.b.c.zz ?? 'd' }}", "d"),
    ("{{ nul ??? 'd' }}", ""),
    ("{{ missing ??? 'd' }}", "d"),
    ("{{ not missing ?? true }}", "true"),
    ("{{ (missing ~ 'a') ?? 'x' }}", "x"),
    ("{{ (missing + 1) ?? 'x' }}", FAILS),
    ("{{ (l | first).foo ?? 1 }}", "1"),
    ("{{ fromJson('x') ?? 'y' }}", FAILS),
    ("{{ (missing | nofilter) ?? 'y' }}", FAILS),
    ("{{ true or (1 | nofilter) }}", "true"),
    ("{{ locale }}", "en_US"),
    ("{{ m.keySet() }}{{ m.size() }}{{ l.isEmpty() }}{{ s.split('b') }}", '["a","b"]2false["a","c"]'),
    ("{{ s.substring(1) }}", FAILS),
    # Tags
    ("{% for e in m %}{{ e }};{% endfor %}", "a=1;b={c=x};"),
    ("{% for k, v in m %}{% endfor %}", FAILS),
    ("{% for x in [] %}{% else %}none{% endfor %}", "none"),
    ("{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "0120;0121;0122;"),
    ("{% for x in l %}{% set n = n + x %}{% endfor %}{{ n }}", "11"),
    ("{% set s = 'x' %}{{ s }}", "x"),
    ("{{ hi('a', b='c') }}{% macro hi(a, b='x', c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}", "ac"),
    ("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", FAILS),
    ("{% filter upper | replace({'A': 'b'}) %}a{{ s }}{% endfilter %}", "bbBC"),
    ("{% verbatim %}  {{ x }}{% endverbatim %}", "{{ x }}"),
    ("{% if nul %}{% endif %}", FAILS),
    ("{% if true %}a", FAILS),
    ("{% endif %}", FAILS),
    ("{{ block('nope') }}", FAILS),
    ("{{ parent() }}", FAILS),
    ("a {#- x -#} b", "ab"),
    ("a\r\n{{ s }}\n", "a\r\nabc\n"),
    ("{ {{ s }} } }} %} #}", "{ abc } }} %} #}"),
    ("{{.Names}}", FAILS),
    # Filters
    ("{{ '2024-03-05' | date('yyyy') | number }}", "2024"),
    ("{{ 'this is a long sentence.' | abbreviate(7) }}", "this..."),
    ("{{ 'hello WORLD' | capitalize }}", "Hello WORLD"),
    ("{{ 0 | default('x') }}{{ '  ' | default('y') }}", "0y"),
    ("[{{ [] | first }}]", "[]"),
    ("{{ '%s-%d %05.2f %%' | format('a', 5, 2.5) }}", "a-5 02.50 %"),
    ("{{ '%s' | format }}", FAILS),
    ("{{ 5 | length }}", "0"),
    ("{{ m | length }}", "2"),
    ("{{ 'abc' | join('-') }}", FAILS),
    ("{{ \"a\r\nb\" | nl2br }}", "a<br />b"),
    ("{{ 1234567.891 | numberFormat('#,##0.00') }}", "1,234,567.89"),
    ("{{ 0.256 | numberFormat('0.0%') }}", "25.6%"),
    ("{{ 1234.5 | numberFormat }}", "1,234.5"),
    ("{{ -1234.5 | numberFormat('0') }}", "-1234"),
    ("{{ 'aa1' | replace({'(\\d)': '-$1-'}, regexp=true) }}", "aa-1-"),
    ("{{ [1] | merge({'a': 2}) }}", '[1,{"a":2}]'),
    ("{{ {'a': 1} | merge(['b']) }}", '{"a":1,"b":"b"}'),
    ("{{ nul | merge(nul) }}", FAILS),
    ("{{ [3,1,2] | sort }}{{ [3,1,2] | rsort }}", "[1,2,3][3,2,1]"),
    ("{{ 'Kestra' | slice(1, 3) }}", "es"),
    ("{{ 'a,b,,' | split(',', -1) }}", '["a","b","",""]'),
    ("{{ '' | split(',') }}", '[""]'),
    ("{{ 'abc' | split('') }}", '["a","b","c"]'),
    ("{{ 'a b/ü' | urlencode }}", "a+b%2F%C3%BC"),
    ("{{ 'a+b%2F' | urldecode }}", "a b/"),
    ("{{ \"it's\" | escapeChar('SINGLE') }}", "it\\'s"),
    ("{{ \"it's\" | escapeChar('shell') }}", "it'\\''s"),
    ("{{ \"it's\" | escapeChar('x') }}", FAILS),
    ("{{ [1,2,3] | chunk(2) }}{{ [[1],[2,[3]]] | flatten }}", "[[1,2],[3]][1,2,[3]]"),
    ("{{ ['x','y'] | keys }}{{ m | keys }}", '[0,1]["a","b"]'),
    ("{{ 'x' | keys }}", FAILS),
    ("{{ '5' | number | className }}", "java.lang.Integer"),
    ("{{ n | className }}", "java.lang.Integer"),
    ("{{ 'a' | className }}{{ true | className }}", "java.lang.Stringjava.lang.Boolean"),
    ("{{ '3.14159265358979' | number('FLOAT') }}", "3.1415927"),
    ("{{ ' 5' | number }}", FAILS),
    ("{{ '5' | number('x') }}", "5"),
    ("{{ 'a.b.c' | substringAfter('.') }}", "b.c"),
    ("{{ 'abc' | substringBefore('x') }}[{{ 'abc' | substringAfter('x') }}]", "abc[]"),
    ("{{ {'a':[1,2]} | yaml }}", "a:\n - 1\n - 2\n"),
    ("{{ {'a':'12','b':nul} | yaml }}", "a: 12\n"),
    ("{{ [{'a': 1, 'b': 'x: y'}] | yaml }}", ' - a: 1\n   b: "x: y"\n'),
    ("{{ nul | yaml }}", "null"),
    ("{{ {'a': 1, 'b': 1.123} | toIon }}", "{a:1,b:1.123e0}"),
    ("{{ fromIon('{a:1,b:\"x\"}').b }}", "x"),
    ("{{ fromIon('1 2 3', allRows=true) }}", "[1,2,3]"),
    ("{{ [1, 1, 'a', 'a', true] | distinct }}", '[1,"a",true]'),
    ("{{ '1.50' | string }}", "1.50"),
    ("{{ 'abc' | string }}", FAILS),
    ("{{ 'a1b2' | regexReplace('[0-9]', '<$0>') }}", "a<1>b<2>"),
    ("{{ 'key=v' | regexExtract('(\\w+)=(\\w+)', 2) }}", "v"),
    ("{{ 'key' | regexMatch('^k') }}", "true"),
    ("{{ js | jq('.a') }}{{ js | json | jq('.a') }}", "[1][1]"),
    ("{{ 'x' | jq('.') }}", FAILS),
    ("{{ '{\"id\": 1234567890123456789, \"a\": [-9007199254740993]}' | jq('.id, .a') }}",
     "[1234567890123456789,[-9007199254740993]]"),
    ("{{ '[\"1234567890123456789\", 9007199254740993, 2]' | jq('.[2], .[1], .[0]') }}",
     '[2,9007199254740993,"1234567890123456789"]'),
    ("{{ m | jq('.[') }}", FAILS),
    ("{{ m | jq }}", FAILS),
    ("{{ yaml('a: yes\nb: 2024-01-01\nc: 12:30:00') }}", '{"a":true,"b":"2024-01-01","c":"12:30:00"}'),
    ("{{ fromJson('') }}", FAILS),
    ("{{ max(1, 2.5, nul) }}/{{ min(3, 2) }}", "2.5/2"),
    ("{{ max('a') }}", FAILS),
    ("{{ range('a', 'c') }}{{ range(0, 4, 2) }}{{ range(3, 1, -1) }}", '["a","b","c"][0,2,4][3,2,1]'),
    ("{{ uuid() | length }}/{{ id() | length }}/{{ ksuid() | length }}", "36/22/27"),
    ("{{ randomInt(1, 2) }}", "1"),
    ("{{ randomInt(2, 1) }}", FAILS),
    ("{{ decrypt('MDEyMzQ1Njc4OTAxMjM0NQ==', encrypt('MDEyMzQ1Njc4OTAxMjM0NQ==', 'hi')) }}", "hi"),
    ("{{ secret('X') }}", FAILS),
    ("{{ appLink('x') }}", FAILS),
    ("{{ 'x' isIn ['x'] }}{{ 1 isIn ['1'] }}{{ nul isIn [1] }}{{ 'x' isIn 'xyz' }}", "truetruefalsefalse"),
    # Dates
    ("{{ now() }}", "2026-03-05T12:30:15.123456Z"),
    ("{{ now(timeZone='Europe/Paris') }}", "2026-03-05T13:30:15.123456+01:00"),
    ("{{ now('yyyy-MM-dd\\'T\\'09:00:00+01:00') }}", "2026-03-05T09:00:00+01:00"),
    ("{{ zdt }} {{ paris }} {{ inst }} {{ ld }} {{ lt }} {{ dur }}",
     "2024-03-05T14:30:15.123456+02:00 2024-03-05T14:30+01:00[Europe/Paris] 2024-03-05T12:30:00Z 2024-03-05 12:30 PT1H30M"),  # noqa: E501
    ("{{ [zdt, inst, dur, ld] }}",
     '["2024-03-05T12:30:15.123456Z","2024-03-05T12:30:00Z",5400.000000000,"2024-03-05"]'),
    ("{{ zdt | date('iso_date_time') }}", "2024-03-05T12:30:15.123456Z[UTC]"),
    ("{{ zdt | date('iso_date') }}", "2024-03-05Z"),
    ("{{ zdt | date('medium') }}", "Mar 5, 2024, 12:30:15\u202fPM"),
    ("{{ zdt | date('short') }}", "3/5/24, 12:30\u202fPM"),
    ("{{ zdt | date('h:mm a EEE D Q w e G A n') }}", "12:30 PM Tue 65 1 10 3 AD 45015123 123456000"),
    ("{{ zdt | date('yy y uuuu MMMMM EEEEE K k') }}", "24 2024 2024 M T 0 12"),
    ("{{ zdt | date('VV O ZZZZ ZZZZZ XX', timeZone='+05:30') }}", "+05:30 GMT+5:30 GMT+05:30 +05:30 +0530"),
    ("{{ zdt | date(\"yyyy[-MM]\") }}", "2024-03"),
    ("{{ zdt | date('yyyy', timeZone='Nowhere/X') }}", FAILS),
    ("{{ 1709641815 | date }}", "2024-03-05T12:30:15.000000Z"),
    ("{{ '2024-03-05' | date }}", "2024-03-05T00:00:00.000000Z"),
    ("{{ '2024-03-05T14:30' | date('sql_seq') }}", "2024-03-05 14:30:00"),
    ("{{ '2024-03-05T14:30:00+0200' | date }}", FAILS),
    ("{{ '2024-03-05T14:30:00Z' | timestamp }}/{{ zdt | timestampMicro }}/{{ zdt | timestampNano }}",
     "1709649000/1709641815123456/1709641815123456000"),
    ("{{ zdt | dateAdd(n, 'DAYS', 'yyyy-MM-dd') }}", "2024-03-10"),
    ("{{ zdt | dateAdd(1, 'days') }}", FAILS),
    ("{{ zdt | dateAdd(-1, 'YEARS', 'd MMM yyyy', locale='fr_FR') }}", "5 mars 2023"),
    ("{{ '5 March 2024' | date('yyyy-MM-dd', existingFormat='d MMMM yyyy') }}", "2024-03-05"),
    ("{{ zdt.year }}/{{ zdt.dayOfWeek }}/{{ ld.plusDays(30) }}", "2024/TUESDAY/2024-04-04"),
    ("{{ dayOfWeek('2024-03-05') }}{{ hourOfDay(inst) }}{{ isLastWorkingDay('2024-03-29') }}", "TUESDAY12true"),
    # render()
    ("{{ render(greet) }}", "hi abc"),
    ("{{ renderOnce(twice) }}|{{ render(twice) }}", "{{ s }}|abc"),
    ("{{ render('x', recursive=1) }}", FAILS),
    ("{{ render([1, '{{ n }}']) }}", '[1,"5"]'),
    ("{% set q = 7 %}{{ render('{{ q }}') }}", "7"),
    ("{{ render('{{ missing }}') }}", FAILS),
    ("{{ render('{% raw %}{{ s }}{% endraw %}') }}", "{{ s }}"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_template(template, expected):
    more = {"greet": "hi {{ s }}", "twice": "{{ once }}", "once": "{{ s }}"}
    if expected is FAILS:
        with pytest.raises(ExpressionFailed):
            show(template, **more)
    else:
        assert show(template, **more) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ n }}", 5), ("{{ l }}", [1, 2, 3]), ("{{ nul }}", None), ("text", "text"), ("{{ s }} x", "abc x"),
        ("{{ n }} x", "5 x"),
        ("{{ n }}\n", 5), ("{{ n }}{{ n }}", "55"), ("{{ n == 5 }}", True),
        ("{% if true %}{{ l }}{% endif %}", [1, 2, 3]),
        ("{{ zdt }}", VALUES["zdt"]),
    ],
)  # fmt: skip
def test_a_typed_value(template, expected):
    found = evaluate(template, VALUES, SERVICES)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("template", "line", "column", "fix"),
    [
        ("a\n{{ inputs.nme }}", 2, 11, "'name'"),
        ("{{ 1 | uper }}", 1, 8, "'upper'"),
        ("x {{ nwo() }}", 1, 6, "'now'"),
        ("{{ s is emty }}", 1, 9, "'empty'"),
        ("\n\n{{ 1 +", 3, 1, "}}"),
        ("{{ a.contains }}", 1, 6, "['contains']"),
        ("{{ a.1-2_each.value }}", 1, 6, "['1-2_each'] instead of .1-2_each."),
        ("{% fro x in y %}", 1, 4, "'for'"),
        ("{{ imputs }}", 1, 4, "'inputs'"),
    ],
)
def test_an_error_says_where_and_what_to_do(template, line, column, fix):
    with pytest.raises(ExpressionFailed) as caught:
        parse(template).render({"inputs": {"name": 1}, "s": ""}, SERVICES)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert fix in caught.value.fix
    assert caught.value.fix in str(caught.value)


def test_a_missing_name_is_told_from_other_failures():
    with pytest.raises(NameMissing):
        show("{{ missing }}")
    with pytest.raises(ExpressionFailed) as caught:
        show("{{ missing == 1 }}")
    assert not isinstance(caught.value, NameMissing)


def test_what_a_template_reads_is_known_without_rendering_it():
    template = parse(
        "{% set a = outputs.x['my key'].value %}{{ a }}{{ inputs.n | upper }}{{ l[i].x ?? now() }}{% macro m(z) %}{{ z }}{% endmacro %}{{ m(1) }}"  # noqa: E501
    )
    assert template.names() == {("outputs", "x", "my key", "value"), ("inputs", "n"), ("l",), ("i",)}
    assert template.functions() == {"now"}
    assert template.filters() == {"upper"}
    assert not template.is_static
    assert parse("a { b").is_static
    assert parse("{% raw %}{{ x }}{% endraw %}").is_static


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("", False), ("0", False), ("-0", False), ("false", False), (False, False), (None, False), (0, False)],
        *[("null", True), (" ", True), ("[]", True), ("FALSE", True), ("0.0", True), (True, True), (1, True)],
    ],
)
def test_truth_of_rendered_text(value, expected):
    assert truthy(value) is expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ a startsWith 'comp' and not (a endsWith 'x') }}", "true"),
        ("{{ a startsWith 'x' or n startsWith 'x' }}", "false"),
        ("{{ a | startsWith('comp') }} {{ a.startsWith('comp') }}", "true true"),
        ("{{ startsWith ?? 'a name as well' }}", "a name as well"),
        ("{{ a starts with 'comp' and not (a ends with 'x') }}", "true"),
        ("{{ starts ?? ends ?? 'names as well' }}", "names as well"),
    ],
)
def test_words_between_two_values(template, expected):
    assert parse(template).render({"a": "company.team", "n": None}, Services()) == expected
