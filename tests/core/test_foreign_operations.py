"""Filters and functions of other tools: what is said to write instead can be written."""

import pytest

from engine.core.foreign_operations import MEANT, NAMES, instead
from engine.expressions import FILTERS, FUNCTIONS, Services, parse
from tests.core.language import problems

VALUES = {
    "value | number": "1",
    "fromJson(value)": "[1]",
    "value | base64decode": "YQ==",
    "value | dateAdd(1, 'DAYS')": "2024-01-02T03:04:05Z",
    "value | date('yyyy-MM-dd')": "2024-01-02T03:04:05Z",
    "value | dateAdd(-1, 'DAYS')": "2024-01-02T03:04:05Z",
    "(later | timestamp) - (value | timestamp)": "2024-01-02T03:04:05Z",
    "value | timestamp": "2024-01-02T03:04:05Z",
    "value | timestampMilli": "2024-01-02T03:04:05Z",
    "value | jq('ceil') | first": 1.5,
    "value | jq('floor') | first": 1.5,
    "value | numberFormat('0.00')": 1.5,
    "value | numberFormat('000')": 7,
    "value['name']": {"name": 1},
    **{key: [{"name": 1}] for key in (one for one in MEANT if "jq('" in one and "name" in one)},
    **{key: [1, 2] for key in (one for one in MEANT if "'add" in one or "merge" in one)},
    **{key: [1, 2] for key in ("value | flatten", "value | sort", "value | reverse", "value | distinct")},
    "value | jq('.name') | first": {"name": 1},
}
VALUES |= {"value | slice(0, 10)": "a longer text", "value | jq('to_entries') | first": {"name": 1}}
OF_SERVICES = ("secret(", "kv(", "read(")


@pytest.mark.parametrize("advice", [one for one in MEANT if not one.endswith(".")])
def test_what_is_said_can_be_written(advice):
    template = parse(advice if advice.startswith("{{") else f"{{{{ {advice} }}}}")
    assert template.filters() <= FILTERS.keys()
    assert template.functions() <= FUNCTIONS.keys()
    names = {
        "value": VALUES.get(advice, "text"),
        "later": "2024-01-03T03:04:05Z",
        "item": 3,
        "condition": True,
        "other": 1,
    }
    names |= {one: {"name": 1, "id": 1, "task": {"name": 1}} for one in ("inputs", "vars", "outputs", "envs")}
    names |= {one: {"id": 1} for one in ("execution", "flow")}
    if not advice.startswith(OF_SERVICES):
        assert template.render(names, Services()) != ""


def test_no_name_has_two_meanings():
    assert len(NAMES) == sum(len(names.split()) for names in MEANT.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_there_is_needs_no_other(name):
    assert name not in FILTERS.keys() & FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("filter", "starts_with", "Did you mean `startsWith`?"),
        ("filter", "to_json", "Write `value | toJson`."),
        ("filter", "tojson", "Write `value | toJson`."),
        ("function", "fromJSON", "Write `fromJson(value)`."),
        ("filter", "str", "Write `'' ~ value`."),
        ("filter", "truncate", "Write `value | abbreviate(100)`."),
        ("filter", "strftime", "Write `value | date('yyyy-MM-dd')`."),
        ("function", "strftime", "Write `now() | date('yyyy-MM-dd')`."),
        ("filter", "contains", "Write `value contains 'text'`."),
        ("function", "contains", "Write `value contains 'text'`."),
        ("filter", "fromjson", "Write `fromJson(value)`."),
        ("function", "print", "Write `{{ value }}`."),
        ("function", "starts_with", "It is a filter: write `value | startsWith`."),
        ("function", "isEmpty", "Write `value is empty`."),
        ("function", "always", "Tasks under `errors` run when one has failed, those under `finally` always."),
        ("filter", "uper", "Did you mean `upper`?"),
        ("filter", "zzz", ""),
    ],
)
def test_a_name_is_told_with_what_does_the_same_here(kind, name, advice):
    assert instead(kind, name, FILTERS if kind == "filter" else FUNCTIONS) == advice


def test_it_is_told_where_it_stands():
    (found,) = problems(
        'tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: "{{ flow.id | uper }}"\n'
    )
    assert (found.message, found.suggestion) == ("There is no filter `uper`.", "Did you mean `upper`?")
