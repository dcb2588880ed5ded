"""Every bound of `limits`, at it and past it; what counts is counted, not timed."""

import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import pytest

from engine.errors import ExpressionFailed
from engine.expressions import Services, evaluate, limits, parse, regexes, render, templates
from engine.expressions.frame import Frame
from tests.shared import ROOT

SERVICES = Services()


def refused(template, values, message):
    with pytest.raises(ExpressionFailed, match=message):
        render(template, values, SERVICES)


def lists(depth):
    found = []
    for _ in range(depth - 1):
        found = [found]
    return found


def chained(length):
    """Variables that each hold a template for the next: render() needs a pass for each, and one to see the end."""
    return {f"v{number}": f"{{{{ v{number + 1} }}}}" for number in range(length - 2)} | {f"v{length - 2}": "end"}


LOOP = {"a": {}}
LOOP["a"]["a"] = LOOP["a"]
MACROS = "{{% macro f(n) %}}{{% if n > 1 %}}{{{{ f(n - 1) }}}}{{% endif %}}{{% endmacro %}}{{{{ f({}) }}}}"
# The bound, a template or value for each size, and what is said past it.
BOUNDS = {
    "MAX_TEMPLATE": (lambda size: ("{{ 1 }}".ljust(size), {}), "longer than 1,000,000 characters"),
    "MAX_NESTING": (lambda size: ("{{ " + "(" * (size - 2) + "1" + ")" * (size - 2) + " }}", {}), "nested more than 60"),  # noqa: E501
    "MAX_CHAIN": (lambda size: ("{{ 1" + " + 1" * size + " }}", {}), "more than 200 operators"),
    "MAX_CHAIN attributes": (lambda size: ("{{ a" + ".a" * size + " is map }}", LOOP), "more than 200 attributes"),
    "MAX_CHAIN filters": (lambda size: ("{{ 'a'" + " | upper" * size + " }}", {}), "more than 200 operators"),
    "MAX_TEXT printed": (lambda size: ("{{ t }}", {"t": "x" * size}), "prints more than 20,000,000"),
    "MAX_TEXT joined": (lambda size: ("{{ (t ~ 'x') | length }}", {"t": "x" * (size - 1)}), "longer than 20,000,000"),
    "MAX_TEXT replaced": (
        lambda size: ("{{ t | replace({'a': b}) | length }}", {"t": "a" * 10, "b": "x" * (size // 10 - 1 + size % 10)}),
        "more than 20,000,000 characters",
    ),
    "MAX_TEXT interpolated": (
        lambda size: ('{{ "#{t}y" | length }}', {"t": "x" * (size - 1)}), "longer than 20,000,000"
    ),
    "MAX_ITEMS": (lambda size: ("{{ l | first }}", {"l": [1] * size}), "more than 1,000,000 items"),
    "MAX_ITEMS of JSON": (lambda size: ("{{ fromJson(t) | length }}", {"t": f"[{'1,' * (size - 2)}1]"}), "1,000,000 values"),  # noqa: E501
    "MAX_ITEMS split": (lambda size: ("{{ t | split(',') | length }}", {"t": "a," * (size - 1) + "a"}), "more than 1,000,000"),  # noqa: E501
    "MAX_ITEMS flattened": (
        lambda size: ("{{ l | flatten | length }}", {"l": [[1] * (size // 10)] * 10 + [1] * (size % 10)}), "1,000,000 items",  # noqa: E501
    ),
    "MAX_RANGE": (lambda size: (f"{{{{ 1..{size} | length }}}}", {}), "more than 100,000 items"),
    "MAX_RANGE range()": (lambda size: (f"{{{{ range(0, {2 * size - 2}, 2) | length }}}}", {}), "more than 100,000 items"),  # noqa: E501
    "MAX_DEPTH": (lambda size: ("{{ l }}", {"l": lists(size + 1)}), "120 levels deep"),
    "MAX_DEPTH texts": (lambda size: ("{{ l ~ '' }}", {"l": lists(size + 1)}), "120 levels deep"),
    "MAX_DEPTH compared": (lambda size: ("{{ a == b }}", {"a": lists(size + 1), "b": lists(size + 1)}), "120 levels deep"),  # noqa: E501
    "MAX_CALLS": (lambda size: (MACROS.format(size), {}), "more than 20 deep"),
    "MAX_PASSES": (lambda size: ("{{ render(v0) }}", chained(size + 1)), "Too many rendering attempts.*100 passes"),
    "MAX_DIGITS": (lambda size: ("{{ t | number | string | length }}", {"t": "9" * size}), "at most 1000 characters"),
    "MAX_PATTERN": (lambda size: ("{{ 'a' | regexMatch(p) }}", {"p": "a" * size}), "longer than 1,000 characters"),
    "MAX_PATTERN date": (lambda size: ("{{ 0 | date(p) }}", {"p": "-" * size}), "longer than 1000 characters"),
    "MAX_PATTERN number": (lambda size: ("{{ 0 | numberFormat(p) }}", {"p": "0" * size}), "short text"),
    "MAX_YAML": (lambda size: ("{{ yaml(t) | length }}", {"t": "a" * size}), "at most 500,000 characters"),
    "MAX_PROGRAM": (lambda size: ("{{ 1 | jq(p) }}", {"p": ".".ljust(size)}), "longer than 5,000 characters"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_a_bound_holds_at_it_and_past_it(name):
    make, message = BOUNDS[name]
    size = getattr(limits, name.split()[0])
    render(*make(size), SERVICES)
    refused(*make(size + 1), message)


def test_the_page_tells_the_bounds():
    page = (ROOT / "bot" / "docs" / "expressions.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([^|]+) \| ([0-9,]+)(?: steps| s| MiB)? \|$", page, re.MULTILINE))
    numbers = [int(number.replace(",", "")) for number in told.values()]
    bounds = {name: value for name, value in vars(limits).items() if name.startswith("MAX_")}
    bounds["MAX_MEMORY"] //= 1024 * 1024
    assert sorted(numbers) == sorted(bounds.values())


def test_the_number_of_tokens_is_bounded():
    size = limits.MAX_TOKENS // 2 - 2
    assert len(evaluate("{{ [" + "1," * (size - 1) + "1] }}", {}, SERVICES)) == size
    refused("{{ [" + "1," * (size + 4) + "1] }}", {}, "more than 100,000 parts")


def used(template, values, steps=limits.MAX_STEPS):
    frame = Frame(values, SERVICES)
    frame.left.steps = steps
    parse(template).run(frame, [])
    return steps - frame.left.steps


COUNTED = [
    "{% for a in 1..50 %}{{ a + 1 }}{% if a is even %}{% set b = [a, 'x' ~ a] %}{% endif %}{% endfor %}",
    "{% macro f(n) %}{{ n | upper }}{% endmacro %}{{ f('a') }}{{ render(v) }}{{ {'a': [1, 2]} | toJson }}",
    "{{ t | upper | length }}{{ l | sort | reverse | join(',') }}{{ l == l }}{{ l contains 3 }}{{ t ~ t }}",
    "{{ '2024-03-05' | date('yyyy') }}{{ 'a1' | regexReplace('[0-9]', '') }}{{ fromJson('[1,2]') }}{{ '[1]' | jq('.[]') }}",  # noqa: E501
]


@pytest.mark.parametrize("template", COUNTED)
def test_the_same_template_takes_the_same_steps_and_not_one_more(template):
    values = {"v": "{{ 1 }}{{ v2 }}", "v2": "x", "t": "abc" * 100, "l": list(range(100))}
    used(template, values)  # patterns and programs are read once
    steps = used(template, values)
    assert 0 < steps == used(template, values, steps)
    with pytest.raises(ExpressionFailed, match="needs more than 2,000,000 steps"):
        used(template, values, steps - 1)


def tree(name, depth=14):
    return f"{{% set {name} = [1] %}}" + f"{{% set {name} = [{name}, {name}] %}}" * depth


LOOPED = "{% for i in 1..9999 %}BODY{% endfor %}"
# What goes through big values must cost steps, or a loop would multiply it: here with a twentieth of the allowance.
COSTLY = {
    "comparing trees": (tree("a") + tree("b"), "{% if a == b %}{% endif %}"),
    "looking into trees": (tree("a") + tree("b"), "{% if [b] contains a %}{% endif %}"),
    "subtracting trees": (tree("a") + tree("b"), "{% set x = [b] - [a] %}"),
    "JSON of trees": (tree("a"), "{% set x = a | toJson | length %}"),
    "texts of trees": (tree("a"), "{% set x = a | upper | length %}"),
    "replacing in trees": (tree("a"), "{% set x = a | replace({'1': '2'}) %}"),
    "YAML of trees": (tree("a"), "{% set x = a | yaml %}"),
    "Ion of trees": (tree("a"), "{% set x = a | toIon %}"),
    "distinct trees": (tree("a"), "{% set x = a | distinct %}"),
    "comparing texts": "{% if text == other %}{% endif %}",
    "texts in lists": "{% if [text] == [other] %}{% endif %}",
    "a row of texts": "{% set x = text ~ text %}",
    "an interpolated text": '{% set x = "#{text}#{text}" %}',
    "sorting": "{% set x = numbers | sort %}",
    "sorting what is mixed": "{% set x = mixed | sort %}",
    "splitting": "{% set x = text | split(' ') %}",
    "titles": "{% set x = text | title %}",
    "hashes": "{% set x = text | sha512 %}",
    "patterns": "{% set x = short | regexMatch('a+b') %}",
    "new patterns": "{% set x = 'a' | regexMatch('[a-z]{3}(x|y)' ~ i) %}",
    "new jq programs": "{% set x = '1' | jq('.+' ~ i) %}",
    "jq": "{% set x = document | jq('.[]') %}",
    "reading JSON": "{% set x = fromJson(document) %}",
    "reading YAML": "{% set x = yaml(rows) %}",
    "reading Ion": "{% set x = fromIon(document) %}",
    "reading a long Ion text": "{% set x = fromIon(quoted) %}",
    "slugs": "{% set x = foreign | slugify %}",
    "patterns with wide sets": "{% set x = 'a' | regexMatch('(?i)[ā-ｰ]' ~ i) %}",
    "many replacements": "{% set x = short | replace(pairs) %}",
    "replacing in many": "{% set x = texts | replace(pairs) %}",
    "testing JSON": "{% if document is json %}{% endif %}",
    "marks of formats": "{% set x = marks | format('') %}",
    "long date patterns": "{% set x = 0 | date(pattern) %}",
    "ids": "{% set x = nanoId(1000) %}",
    "holidays of many years": "{% set x = isPublicHoliday(i * 31556952, 'US') %}",
    "rendering again": "{% set x = render('{{ 1 }}{{ 2 }}{{ 3 }}' ~ i) %}",
    "macros": ("{% macro f(a=1..99999) %}{{ a | length }}{% endmacro %}", "{{ f() }}"),
    "requests": "{% set x = http('http://service.test') %}",
    "files": "{% set x = read('a.txt') %}{% set x = kv('a') %}",
    "waiting for logs": "{% set x = errorLogs() %}",
}
BIG = {
    "text": "a b " * 50_000, "other": "".join(["a b "] * 50_000), "short": "a" * 2_000, "numbers": list(range(20_000, 0, -1)),  # noqa: E501
    "mixed": [True, False] * 1_000, "document": f"[{'1,' * 5_000}1]", "rows": "- a\n" * 1_000,
    "marks": "%1$s" * 5_000, "pattern": "yyyy-" * 150, "pairs": {f"b{number}": "" for number in range(1_000)},
    "texts": ["a"] * 1_000, "quoted": f'"{"x" * 100_000}"', "foreign": "é" * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(COSTLY))
def test_what_goes_through_much_costs_steps(name):
    counted = []
    services = Services(
        http=lambda *given, **named: counted.append(1), read=lambda *given, **named: counted.append(1) or "",
        kv=lambda *given, **named: counted.append(1), error_logs=lambda: counted.append(1) or [],
    )  # fmt: skip
    set_up, body = COSTLY[name] if isinstance(COSTLY[name], tuple) else ("", COSTLY[name])
    frame = Frame(BIG, services)
    frame.left.steps //= 20
    frame.left.wait = 0.001  # what cannot be paid with steps would go outside
    with pytest.raises(ExpressionFailed, match=r"needs more than 2,000,000 steps|keeps the template waiting"):
        parse(set_up + LOOPED.replace("BODY", body)).run(frame, [])
    assert len(counted) < 500


def test_what_runs_outside_is_waited_for_only_so_long():
    frame = Frame({}, SERVICES)
    frame.left.wait = 0.01
    with pytest.raises(ExpressionFailed, match="keeps the template waiting for more than 30 s"):
        parse("{{ '1' | jq('[range(2; 3)]') }}").run(frame, [])
    assert frame.left.wait == 0.0


def test_a_typed_result_is_bounded_like_a_printed_one():
    with pytest.raises(ExpressionFailed, match="prints more than 20,000,000"):
        evaluate("{% for i in 1..999 %}{{ l }}{% endfor %}", {"l": ["x" * 30_000]}, SERVICES)


def test_kept_templates_are_bounded_by_number_and_parts(monkeypatch):
    cache = templates._Cache()
    monkeypatch.setattr(templates, "_CACHE", cache)
    for number in range(limits.CACHED_TEMPLATES + 5):
        parse(f"{{{{ {number} }}}}")
    assert len(cache.found) == limits.CACHED_TEMPLATES
    assert parse("{{ 5 }}") is parse("{{ 5 }}")
    monkeypatch.setattr(templates, "CACHED_PARTS", 5_000)
    for number in range(30):
        parse(f"{{{{ {number} }}}}{{{{ 1 }}}}" * 200)
        assert sum(one.parts for one in cache.found.values()) == cache.parts <= 5_000


def test_the_nearest_name_is_looked_for_among_few():
    wide = {f"a_key_of_many_{number}": 1 for number in range(200_000)}
    refused("{{ m.a_key_of_manny_5 }}", {"m": wide}, "Did you mean 'a_key_of_many_5'")
    refused("{{ m[t] }}", {"m": wide, "t": "x" * 1_000_000}, "There is no 'x+' in the map")


# Searches that take for ever: they run outside, where processor time and memory are bounded, or are seen to be quick.
CATASTROPHES = [
    r"(a+)+$", r"(a|aa)+$", r"(a|a?)+$", r"(.*a){12}x", r"([a-z]+)*$x", r"(\w+\s?)*;", r"(?:a?){30}a{40}b",
    r"(a+)\1+b", r"(?=(a+)+b)", r"((a+)+)+c", r"(.*)(.*)(.*)(.*)(.*)(.*)(.*)x", r"b?(\w+.){20}x",
]  # fmt: skip


@pytest.mark.parametrize("pattern", CATASTROPHES)
def test_a_pattern_that_may_run_for_ever_is_told_from_others(pattern):
    assert regexes.effort(regexes.compiled(pattern), "a" * 60 + "!") > limits.SAFE_EFFORT


@pytest.mark.parametrize(
    "pattern", [r"\d{4}-\d\d-\d\d", r"[^,]+", r"^\s*#.*", r"(\w+)=(\w+)", "a|b|c", r"https?://\S+"]
)
def test_everyday_patterns_run_at_once(pattern):
    assert regexes.effort(regexes.compiled(pattern), "a" * 2_000) <= limits.SAFE_EFFORT


# Each character of these may cost as much as the pattern is long.
WIDE = [r"[ab]{100000}c", r"(?:[ab]{1000}){100}c", r"(?<=[ab]{50000})c?d", "[ab]" * 200 + "c", "[ab]{5000,}"]


@pytest.mark.parametrize("pattern", WIDE)
def test_a_pattern_that_looks_far_ahead_from_each_place_is_told_from_others(pattern):
    assert regexes.effort(regexes.compiled(pattern), "a" * 300_000) > limits.SAFE_EFFORT


def test_a_pattern_whose_sets_take_long_to_build_is_refused():
    ranges = "".join(f"{chr(number)}-\uffff" for number in range(200, 500))
    refused("{{ 'x' | regexMatch(p) }}", {"p": f"(?i)[{ranges}]"}, "needs more than 2,000,000 steps")
    refused("{{ 'x' | regexMatch(p) }}", {"p": f"(?i)(?:a|[{ranges}])"}, "needs more than 2,000,000 steps")


@pytest.mark.parametrize("way", [
    "regexMatch(p)", "regexExtract(p)", "regexReplace(p, 'x')", "split(p)", "replace({p: 'x'}, regexp=true)",
])  # fmt: skip
def test_every_filter_with_patterns_sends_such_a_pattern_outside(way):
    frame = Frame({"t": "a" * 60 + "!", "p": CATASTROPHES[0]}, SERVICES)
    frame.left.wait = 0.001
    with pytest.raises(ExpressionFailed, match="keeps the template waiting"):
        parse(f"{{{{ t | {way} }}}}").run(frame, [])


LONG = json.dumps(list(range(100_000)))
DEEP = "[" * 100 + "1," * 100_000 + "1" + "]" * 100
FAR = {  # programs of plain words that take long, or make much, of a document
    "contains(.)": LONG, "inside(.)": LONG, "index(.)": LONG, ".[.]": LONG, ".-.": LONG, "[.[]] | .[.]": LONG,
    'join(",")': LONG, "tojson" + "|tojson" * 30: '"a"', "tojson|explode" + "|tojson|explode" * 9: '"a"',
    "to_entries" + "|to_entries" * 40: LONG, "group_by(.)" + "|group_by(.)" * 40: LONG,
    "sort|reverse|" * 200 + ".": LONG, "[paths]": DEEP, "[..|tojson]": DEEP,
    "[..]": '["]",' * 100 + "1," * 100_000 + "1" + "]" * 100,
    "./\"\"": '"' + "a" * 9_000_000 + '"',
    ".,." * 900: "1", ".[]?|" * 900 + ".": "[1]",
}  # fmt: skip


@pytest.mark.parametrize("program", FAR, ids=lambda program: program[:20])
def test_a_jq_program_that_may_run_long_or_make_much_goes_outside(program):
    frame = Frame({"document": FAR[program], "program": program}, SERVICES)
    frame.left.wait = 0.001
    with pytest.raises(ExpressionFailed, match="keeps the template waiting"):
        parse("{{ document | jq(program) }}").run(frame, [])


def test_few_processes_run_at_once(monkeypatch):
    run, lock, under_way, most = subprocess.run, threading.Lock(), 0, 0

    def counted(*args, **given):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        try:
            return run(*args, **given)
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr("engine.expressions.bounded.subprocess.run", counted)
    template = "{{ n | jq('[range(.)] | length') | first }}"
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda number: evaluate(template, {"n": number}, SERVICES), range(12)))
    assert found == list(range(12))
    assert 1 < most <= limits.MAX_PROCESSES


@pytest.mark.parametrize("program", [
    ".[].title", "map(select(.done == true)) | length", '[.[] | select(.title | contains("x1"))]',
    "map(.tags) | flatten", 'map(.title) | join(", ")', "group_by(.done)", "sort_by(.title) | reverse | first",
    ".[-1]", '.[0]["title"]', ".[1:3]", "to_entries | map(.value)",
    '.[].tags | contains(["a"])', "[.. | .title?]", 'map(has("title"))',
])  # fmt: skip
def test_everyday_jq_programs_run_at_once(program):
    row = {"title": "x1", "done": True, "tags": ["a", "b"]}
    frame = Frame({"document": [row] * 200, "program": program}, SERVICES)
    frame.left.wait = 0.0
    parse("{{ document | jq(program) }}").run(frame, [])


@pytest.mark.parametrize("name", ["substringAfterLast", "substringBeforeLast"])
def test_a_text_that_is_nearly_everywhere_is_soon_found_from_the_end(name):
    values = {"t": "ab" + "a" * 3_000_000, "p": "ab" + "a" * 1_500_000}
    assert render(f"{{{{ t | {name}(p) | length }}}}", values, SERVICES) == {"substringAfterLast": "1500000"}.get(
        name, "0"
    )


OUTSIDE = {
    "pattern": ("{{ t | regexMatch('(a+)+$') }}", {"t": "a" * 60 + "!"}),
    "until": ("{{ '1' | jq('until(. < 0; .)') }}", {}),
    "doubling": ("{{ '\"aaaaaaaaaa\"' | jq('reduce range(40) as $i (.; . + .)') }}", {}),
}
LONG_TEXT = "{% set t = 'TEXT' %}" + "{% set t = t ~ t %}" * 21
INSIDE = {
    "yaml": (LONG_TEXT.replace("TEXT", "xxxxxxxx") + "{{ t | yaml | length }}", {}),
    "jq": (LONG_TEXT.replace("TEXT", "\\u007f") + "{{ ('\"' ~ t ~ '\"') | jq('length') | first }}", {}),
    "ion": (LONG_TEXT.replace("TEXT", "x") + "{{ fromIon('\"' ~ t ~ '\"') | length }}", {}),
}
# Generous: the processor seconds inside are what is bounded.
CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
from engine.expressions import Services, render
from engine.errors import ExpressionFailed
told = {}
for name, (template, values) in json.load(sys.stdin).items():
    try:
        told[name] = "printed " + render(template, values, Services())[:20]
    except ExpressionFailed as error:
        told[name] = error.message
json.dump(told, sys.stdout)
"""


def in_little_memory(templates):
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=json.dumps(templates), cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.timeout(300)
def test_long_texts_are_read_and_written_in_little_memory():
    told = in_little_memory(INSIDE)
    assert told == {"yaml": "printed 16777217", "jq": "printed 2097152", "ion": "printed 2097152"}


@pytest.mark.timeout(300)
def test_what_runs_outside_ends_and_does_not_fill_the_memory():
    told = in_little_memory(OUTSIDE)
    assert "takes longer than 3 s" in told["pattern"]
    assert "takes longer than 3 s" in told["until"]
    assert not [one for one in told.values() if one.startswith("printed")]


def test_a_year_past_the_calendar_is_an_error_of_ours():
    for unit in ("SECONDS", "DAYS", "MONTHS", "CENTURIES"):
        refused("{{ 0 | dateAdd(a, u) }}", {"a": -(2**63), "u": unit}, "leaves the years")
    refused("{{ a | date }}", {"a": 2**63}, "outside the years")
    assert render("{{ 253402300799 | date('iso_sec') }}", {}, Services(zone=UTC)) == "9999-12-31T23:59:59Z"
    refused("{{ 253402300799 | date('iso_sec', '+18:00') }}", {}, "outside the years")
