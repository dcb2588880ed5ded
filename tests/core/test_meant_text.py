"""What validation says about texts that mean something else than it seems, and about types that are misspelt."""

import pytest

from tests.core.language import problems

LOG = "io.kestra.plugin.core.log.Log"


def told(text, *severities):
    return [(one.code, one.path, one.suggestion) for one in problems(text) if one.severity in severities]


@pytest.mark.parametrize(
    ("condition", "advice"),
    [
        ("inputs.a == 1", "Write `{{ inputs.a == 1 }}`."),
        ("no", "Write a template, such as `{{ inputs.name == 'value' }}`."),
        ("'{{ flow.id }} == 1'", "Put all of it between one {{ and }}."),
        ("'{{ flow.id }} and {{ flow.namespace }}'", "Put all of it between one {{ and }}."),
    ],
)
def test_a_condition_that_is_always_true_is_told(condition, advice):
    text = f"tasks:\n  - {{id: a, type: {LOG}, message: x, runIf: {condition}}}"
    assert told(text, "hint") == [("constant-condition", "tasks[0].runIf", advice)]


def test_so_is_each_condition_of_an_assertion():
    kind = "type: io.kestra.plugin.core.execution.Assert"
    text = f"tasks:\n  - {{id: a, {kind}, conditions: ['{{{{ 1 == 1 }}}}', '{{{{ flow.id }}}} > 1']}}"
    advice = "Put all of it between one {{ and }}."
    assert told(text, "hint") == [("constant-condition", "tasks[0].conditions[1]", advice)]


@pytest.mark.parametrize(
    "condition",
    [
        "true", "false", "'0'", "'{{ flow.id == 1 }}'", "'{{ flow.id }}'", "'  {{ 1 < 2 and true }}  '",
        """'{{ render("{{ flow.id }}") == render("{{ 1 }}") }}'""", "'{% if \"%}\" == flow.id %}a{% endif %}'",
        "'{% if flow.id == 1 %}true{% else %}false{% endif %}'", "'{# a > b #}{{ true }}'",
    ],
)  # fmt: skip
def test_other_conditions_are_left_alone(condition):
    assert problems(f"tasks:\n  - {{id: a, type: {LOG}, message: x, runIf: {condition}}}") == []


def test_values_that_only_go_by_the_name_of_a_condition_are_left_alone():
    sub = "type: io.kestra.plugin.core.flow.Subflow, namespace: a.b, flowId: c, inputs: {condition: new, when: later}"
    assert problems(f"variables: {{condition: good}}\ntasks:\n  - {{id: a, {sub}}}") == []
    text = f"checks: [{{condition: inputs.a > 1, message: m}}]\ntasks:\n  - {{id: a, type: {LOG}, message: x}}"
    assert told(text, "hint") == [("constant-condition", "checks[0].condition", "Write `{{ inputs.a > 1 }}`.")]


@pytest.mark.parametrize(
    ("pattern", "severity", "advice"),
    [
        ("yyyy-MM-ddT", "warning", "Put text between single quotes, such as 'T'."),
        ("YYYY-MM-dd", "hint", "Write `yyyy-MM-dd`."),
        ("yyyy-MM-DD", "hint", "Write `yyyy-MM-dd`."),
        ("yyyy-mm-dd", "hint", "Write `yyyy-MM-dd`."),
        ("dd/mm/yyyy", "hint", "Write `dd/MM/yyyy`."),
        ("X", "hint", "Write `| timestamp` for the seconds since 1970."),
    ],
)
def test_a_date_pattern_is_looked_at(pattern, severity, advice):
    text = f"tasks:\n  - {{id: a, type: {LOG}, message: \"{{{{ now() | date('{pattern}') }}}}\"}}"
    assert told(text, severity) == [("date-pattern", "tasks[0].message", advice)]


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd HH:mm", "HH:mm", "iso", "YYYY-'W'ww", "dd.MM.yyyy", "full", "HH:mmX"])
def test_other_date_patterns_are_left_alone(pattern):
    text = f'tasks:\n  - {{id: a, type: {LOG}, message: "{{{{ now() | date(format=\\"{pattern}\\") }}}}"}}'
    assert problems(text) == []


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("Log", f"Did you mean '{LOG}'?"),
        ("io.kestra.plugin.core.log.Logg", f"Did you mean '{LOG}'?"),
        ("io.kestra.plugin.core.logs.Log", f"Did you mean '{LOG}'?"),
        ("io.kestra.plugin.http.Request", "Did you mean 'io.kestra.plugin.core.http.Request'?"),
        ("io.kestra.plugin.githb.issues.Create", "Did you mean 'io.kestra.plugin.github.issues.Create'?"),
        ("io.kestra.plugin.gitlub.issues.Create", "Did you mean 'io.kestra.plugin.gitlab.issues.Create'?"),
        ("io.kestra.plugin.ai.chat.ChatCompletion", "Use `io.kestra.plugin.ai.completion.ChatCompletion`"),
        ("io.kestra.plugin.ai.rag.Query", "Beside it there is `io.kestra.plugin.ai.rag.ChatCompletion`, "),
        ("io.kestra.plugin.jdbc.clickhouse.flow.If", "Did you mean 'io.kestra.plugin.core.flow.If'?"),
        ("io.kesra.plugin.jdbc.clockhouse.Query", "Did you mean 'io.kestra.plugin.jdbc.clickhouse.Query'?"),
        ("io.kestra.plugins.core.log.Log", f"Did you mean '{LOG}'?"),
        ("io.kestra.plugin.docker.Execute", "Beside it there is `io.kestra.plugin.docker."),
        ("io.kestra.plugin.core.flow.While", "Use `io.kestra.plugin.core.flow.LoopUntil`."),
        ("io.kestra.plugin.core.http.Get", "Use `io.kestra.plugin.core.http.Request`."),
        ("io.kestra.plugin.core.flow.Retry", "Every task has the property `retry`"),
        (
            "io.kestra.plugin.gitea.issues.Create",
            "There is none for it. Let a `io.kestra.plugin.core.http.Request` call",
        ),
        (
            "io.kestra.plugin.spotify.orders.List",
            "There is none for it. Let a `io.kestra.plugin.core.http.Request` call",
        ),
        ("io.kestra.plugin.jdbc.postgres.Query", "Did you mean 'io.kestra.plugin.jdbc.postgresql.Query'?"),
        (
            "io.kestra.plugin.jdbc.firebird.Query",
            "There is none for it. Let a `io.kestra.plugin.core.http.Request` call",
        ),
        (
            "io.kestra.plugin.aws.timestream.Query",
            "There is none for it. Let a `io.kestra.plugin.core.http.Request` call",
        ),
        ("io.kestra.plugin.fs.webdav.Upload", "There is none for it. Let a `io.kestra.plugin.core.http.Request` call"),
        ("io.kestra.plugin.core.flow.Log", f"Did you mean '{LOG}'?"),
        ("io.kestra.plugin.core.zoology.Feed", "Run `parley plugins` to list them."),
        ("company.zoology.Feed", "Run `parley plugins` to list them."),
        ("io.kestra.plugin.zoology.Feed", "There is none for it. Let a `io.kestra.plugin.core.http.Request` call"),
    ],
)
def test_a_type_that_is_not_there_names_the_nearest_of_the_same_service(kind, advice):
    ((_, path, suggestion),) = told(f"tasks:\n  - {{id: a, type: {kind}, message: x}}", "error")
    assert path == "tasks[0].type"
    assert suggestion.startswith(advice)


def test_a_trigger_of_a_service_that_is_not_there_says_what_starts_the_flow():
    text = (
        f"tasks: [{{id: a, type: {LOG}, message: x}}]\ntriggers:\n  - {{id: t, type: io.kestra.plugin.zoology.Trigger}}"
    )
    ((_, path, suggestion),) = told(text, "error")
    assert (path, "core.trigger.Webhook`, or a Schedule" in suggestion) == ("triggers[0].type", True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tasks:\n  - {id: a, type: x.y.z.None}", "task type"),
        ("triggers:\n  - {id: a, type: x.y.z.None}\ntasks: [@]", "trigger type"),
        (
            "triggers:\n  - {id: a, type: io.kestra.plugin.core.trigger.Flow, conditions: [{type: x.y.z.None}]}"
            "\ntasks: [@]",
            "condition type",
        ),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.scripts.shell.Commands\n    commands: [a]\n"
            "    taskRunner: {type: x.y.z.None}",
            "task runner type",
        ),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.ai.agent.AIAgent\n    prompt: a\n"
            "    provider: {type: x.y.z.None}",
            "type",
        ),
        ("tasks:\n  - {id: a, type: x.y.z.Some, tasks: [{id: b, type: x.y.z.None}]}", "task type"),
        ("triggers:\n  - {id: a, type: x.y.z.Some, conditions: [{type: x.y.z.None}]}\ntasks: [@]", "condition type"),
    ],
)
def test_an_unknown_type_is_told_with_what_it_would_be(text, kind):
    found = problems(text.replace("@", f"{{id: b, type: {LOG}, message: x}}"))
    messages = [one.message for one in found if "None" in one.message]
    assert messages == [f"No {kind} 'x.y.z.None' is installed."]


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("NUMBER", "FLOAT"), ("integer", "INT"), ("Text", "STRING"), ("STRNG", "STRING"), ("LIST", "ARRAY")],
)
def test_an_input_type_of_another_tool_is_named_as_it_is_called_here(kind, advice):
    text = f"inputs: [{{id: a, type: {kind}}}]\ntasks:\n  - {{id: a, type: {LOG}, message: x}}"
    assert told(text, "error") == [("unknown-type", "inputs[0].type", f"Did you mean `{advice}`?")]


def test_a_duration_that_is_none_says_how_one_is_written():
    (found,) = problems(f"tasks:\n  - {{id: a, type: {LOG}, message: x, timeout: 5 minutes}}")
    assert found.message == '`timeout` should be a duration such as `PT30S` or `P1D`, but is "5 minutes".'


def test_a_mapping_in_the_place_of_a_list_says_how_a_list_is_written():
    (found,) = problems(f"tasks:\n  a: {{type: {LOG}, message: x}}")
    assert (found.message, found.suggestion) == (
        "`tasks` should be a list, but is a mapping.",
        "Begin each item with `- `, and give it its id: `- id: a`.",
    )


def test_a_default_of_a_family_that_nothing_here_takes_is_told():
    text = "pluginDefaults:\n  - type: io.kestra.plugin.core\n    values: {level: WARN, levl: INFO, quite_other: 1}\n"
    text += f"tasks:\n  - {{id: a, type: {LOG}, message: x}}"
    assert told(text, "warning") == [
        ("unknown-property", "pluginDefaults[0].values.levl", "Did you mean `level`?"),
        ("unknown-property", "pluginDefaults[0].values.quite_other", f"None of these has it: {LOG}."),
    ]


@pytest.mark.parametrize("named", [LOG, "io.kestra.core.tasks.log.Log"])
def test_a_default_of_a_type_that_lacks_the_property_is_told_and_is_no_error(named):
    text = f"pluginDefaults:\n  - type: {named}\n    values: {{level: WARN, levl: INFO}}\n"
    text += f"tasks:\n  - {{id: a, type: {LOG}, message: x}}"
    assert told(text, "error") == []
    assert told(text, "warning") == [
        ("unknown-property", "pluginDefaults[0].values.levl", "Did you mean `level`?"),
    ]


def test_a_type_of_a_service_that_shares_a_task_is_not_called_older():
    search = "connection: {hosts: ['http://o:9200']}, request: {}"
    text = f"tasks:\n  - {{id: a, type: io.kestra.plugin.@.Search, {search}}}"
    assert problems(text.replace("@", "opensearch")) == problems(text.replace("@", "elasticsearch")) == []
