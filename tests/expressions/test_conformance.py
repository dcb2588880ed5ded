"""The conformance cases, their runner, and the examples of the page for flow authors."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.expressions import Services, evaluate, parse
from tests.conformance.expressions import cases_of, check
from tests.shared import ROOT

CASES = cases_of(ROOT / "tests" / "conformance" / "expression_cases.yaml")
PAGE = ROOT / "bot" / "docs" / "expressions.md"
# Accidents of Java that are not copied; each is a row of the page for flow authors.
DEVIATIONS = {"whitespace-raw-multiline", "compare-contains-ctx-int"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case(case):
    wrong = check(case)
    if case["id"] in DEVIATIONS:
        assert "quirk" in case["tags"]
        assert wrong
    else:
        assert wrong == ""


EXAMPLES = re.findall(r"^- `(.+)` prints (?:`(.*)`|(nothing))(?::.*)?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_has_examples():
    assert len(EXAMPLES) > 15


# What the page says about every accident of Java among the cases: kept, with an example, or a row on what differs.
QUIRKS = {
    "literal-hash-keeps-escapes": '{{ "#1 \\"x\\"" }}',
    "arithmetic-overflow": "{{ 9223372036854775807 + 1 }}",
    "concat-concat-map": "{{ 'v' ~ {'a': 1} }}",
    "str-abbreviate-equal": "{{ 'abcdef' | abbreviate(6) }}",
    "number-octal": "{{ '010' | number }}",
    "json-fromjson-trailing": "{{ fromJson('{\"a\": 1} and more') }}",
    "whitespace-raw-multiline": "| `{% raw %}` over several lines |",
    "compare-contains-ctx-int": "| `contains` and `==` of lists with numbers |",
}


@pytest.mark.parametrize("quirk", [case["id"] for case in CASES if "quirk" in case.get("tags", ())])
def test_the_page_tells_of_every_accident(quirk):
    told = QUIRKS[quirk]
    assert told in PAGE.read_text(encoding="utf-8")
    assert told.startswith("|") is (quirk in DEVIATIONS)
    assert told.startswith("|") or told in [example[0] for example in EXAMPLES]


@pytest.mark.parametrize(
    ("template", "values", "printed"),
    [
        ("{% raw %}{{ x }}\n{{ y }}{% endraw %}", {}, "{{ x }}\n{{ y }}"),
        ("{{ l contains 1 }}{{ l contains 1.0 }}{{ l contains '1' }}", {"l": [1, 2, 3]}, "truetruefalse"),
        ("{{ [5] == [n] }}{{ {'a': 5} == {'a': n} }}{{ l - [1] }}", {"n": 5, "l": [1, 2]}, "truetrue[2]"),
        ("{{ 9007199254740993 == 9007199254740992 }}", {}, "false"),
        ("{{ l | chunk(n) }}{{ 'x' | nindent(n) }}{{ randomInt(n, 2) }}", {"l": [1, 2], "n": 1}, "[[1],[2]]\n x1"),
        ("{{ l | sort }}{{ l }}{{ l | reverse }}{{ l }}", {"l": [2, 1.5]}, "[1.5,2][2,1.5][1.5,2][2,1.5]"),
        ("{{ {'z': 1, 'a': 2} }}{{ {'z': 1} | merge({'a': 2}) }}", {}, '{"z":1,"a":2}{"z":1,"a":2}'),
        ("{{ '2024-03-05T00:00:00.123456Z' | timestampMicro }}", {}, "1709596800123456"),
        ("{{ '2024-03-05' | dateFormat('dd.MM.') }}", {}, "05.03."),
        ("{{ '\"[1]\"' | jq('.[0]') }}", {}, "[1]"),
        ("{{ '😀' | length }}", {}, "1"),
        ("{{ '2024-03-05T00:00:00.123456789Z' | date('n') }}", {}, "123456000"),
    ],
)
def test_where_we_differ(template, values, printed):
    assert parse(template).render(values, Services()) == printed


def test_typed_rendering_of_text_around_a_value_is_text():
    assert evaluate("{{ n }} apples", {"n": 5}, Services()) == "5 apples"


@pytest.mark.parametrize(("template", "printed", "nothing"), EXAMPLES, ids=[example[0][:50] for example in EXAMPLES])
def test_an_example_of_the_page(template, printed, nothing):
    values = {
        "inputs": {"name": "Ann", "days": 2, "note": "{{ secret('TOKEN') }}"},
        "outputs": {"ask": {"body": '{"tasks": [{"title": "shop"}]}', "lines": ["a", "b"]}},
        "vars": {"greeting": "Hello {{ inputs.name }}", "quote": "He wrote {{ inputs.note }}"},
    }
    services = Services(now=lambda: datetime(2026, 3, 5, 12, 30, tzinfo=UTC))
    assert parse(template).render(values, services) == ("" if nothing else printed)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.conformance", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


ONE = "cases:\n- {id: a, template: '{{ 1 + 1 }}', context: {}, expect: '2', tags: [newer]}\n"


def test_the_runner_counts_and_says_what_failed(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(ONE)
    bad.write_text(
        "cases:\n- {id: wrong, template: '{{ 1 }}', context: {}, expect: '2'}\n"
        "- {id: odd, template: '{{ 1 }}', context: {}, expect: '1', weather: fine}\n"
        "- {id: zone, template: '{{ x }}', context: {x: {$moon: full}}, expect: '1'}\n"
        "- {id: fails, template: '{{ y }}', context: {}, error: true}\n"
    )
    done = run("--expressions", good)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 passed, 0 failed, 0 skipped")
    done = run(bad, good)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 passed, 3 failed, 0 skipped")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == ["wrong", "odd", "zone"]
    done = run("-v", "--skip-tag", "newer", good)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 passed, 0 failed, 1 skipped")


def test_a_wrong_call_of_the_runner(tmp_path):
    assert run().returncode == 2
    assert run("--engine", "--expressions", "x").returncode == 2
    assert run(tmp_path / "absent.yaml").returncode == 2
    (tmp_path / "text.yaml").write_text("just text")
    assert run(tmp_path / "text.yaml").returncode == 2
