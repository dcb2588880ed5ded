"""Calls in templates that fail whatever the values are, told when the flow is checked."""

import pytest

from engine.core import flow_templates


def told(template: str) -> list[tuple[str, str, str, str]]:
    found = flow_templates.findings({"tasks": [{"id": "t", "message": template}]}, None)
    return [(one.severity, one.code, one.message, one.suggestion) for one in found]


@pytest.mark.parametrize(
    ("template", "said", "advice"),
    [
        (
            "{{ x | default('none', true) }}",
            "The filter `default` takes one argument, not 2.",
            "It takes (default).",
        ),
        (
            "{{ 'a,b' | split(pat=',') }}",
            "The filter `split` has no argument 'pat'.",
            "It takes (delimiter, limit).",
        ),
        ("{{ 'a,b' | split }}", "The filter `split` needs the argument 'delimiter'.", "It takes (delimiter, limit)."),
        (
            """{{ x | replace('"', "'") }}""",
            "The filter `replace` takes a map of texts and what to put there.",
            r"""Write `replace({'"': '\''})`.""",
        ),
        (
            "{{ x | replace('\n', '<br/>\n') }}",
            "The filter `replace` takes a map of texts and what to put there.",
            r"Write `replace({'\n': '<br/>\n'})`.",
        ),
        (
            "{{ x | replace('a', regexp=true) }}",
            "The filter `replace` takes a map of texts and what to put there.",
            "Write `replace({'a': 'b'})`.",
        ),
        (
            "{% for x in [1] %}{{ now(zone='UTC') }}{% endfor %}",
            "The function `now` has no argument 'zone'.",
            "It takes (format, timeZone, existingFormat, locale).",
        ),
        (
            "{{ assets(type='x') }}",
            "assets() belongs to Kestra's enterprise edition and is not supported.",
            "Write the assets into the flow, or keep them as a key of the namespace and use kv().",
        ),
        (
            "{{ credential('x') }}",
            "credential() belongs to Kestra's enterprise edition and is not supported.",
            "Use secret() instead.",
        ),
        ("{{ flow.id.upper() }}", "No value has a method `upper()`.", "Write `value | upper`."),
        (
            "{{ inputs.a.frob(1) }}",
            "No value has a method `frob()`.",
            "Values are changed by filters: `value | filter`.",
        ),
        (
            "{{ ((outputs.counter.value ?? 0) | number) + 1 }} {{ (inputs.n ?? '0') | number }}",
            "The filter `number` reads texts, and 0 is a number already.",
            "Leave the filter out, or write a text: `'0'`.",
        ),
        ("{{ now() | dateAdd(-1, 'DAY') }}", "There is no date unit 'DAY'.", "Did you mean 'DAYS'?"),
        (
            "{{ tasksWithState('FAILED')[0].id }} {{ tasksWithState('FAILED')[0].taskId }}",
            "What `tasksWithState` tells of a task has no `id`.",
            "Write `taskId`.",
        ),
        (
            "{{ (tasksWithState('FAILED') | first).message }} {{ (tasksWithState('FAILED') | last).state }}",
            "What `tasksWithState` tells of a task has no `message`.",
            "It has taskId, state, value.",
        ),
    ],
)
def test_arguments_that_nothing_takes(template: str, said: str, advice: str) -> None:
    assert told(template) == [("warning", "template-call", said, advice)]


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' | upper(1, 2) }}",  # declares none, so that whatever is given is ignored
        "{{ x | replace({'a': 'b'}, regexp=true) }} {{ x | replace(pairs) }}",
        "{{ x | replace(regexp=true, replace_pairs=y) }}",
        "{{ max(1, 2, 3) }} {{ '%s' | format(1) }}",
        "{{ 'a,b' | split(',', limit=1) }} {{ 'a,b' | split(delimiter=',') }} {{ x is not empty }}",
        "{% macro now(zone) %}{{ zone }}{% endmacro %}{{ now(zone='UTC') }}",  # the template's own
        "{{ x.toUpperCase() }} {{ x.getYear() }} {{ x.split(',') }} {{ x | dateAdd(1, unit) }}",
        "{{ x | jq(program) }} {{ x | jq('.' ~ name) }}",  # known when it is rendered
        """{{ x | jq('map(select(.kind == "A") | "\\(.name)") | join(", ")') | first }}""",
    ],
)
def test_what_can_be_called_is_not_told(template: str) -> None:
    assert told(template) == []


def test_a_jq_program_that_cannot_be_read() -> None:
    ((severity, code, said, advice),) = told(r"""{{ x | jq('map(.name) | join(\", \")') | first }}""")
    assert (severity, code, advice) == ("warning", "template-call", 'Write " without the backslash.')
    assert said.startswith("The jq program 'map(.name) | join(")
    assert "cannot be read: syntax error" in said
    assert told("{{ x | jq(expression='.a | nothere') }}")[0][2].endswith(
        "nothere/0 is not defined at <top-level>, line 1, column 6:."
    )
    assert told("{{ x | jq('env') }}")[0][2].startswith("jq's 'env' is not available")


def test_both_arguments_and_names_are_told() -> None:
    assert [code for _, code, _, _ in told("{{ x | nothing(1) | split }}")] == ["unknown-filter", "template-call"]
