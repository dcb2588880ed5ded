from typing import Literal

import pytest
from pydantic import model_validator

from engine.core.flow_source import check, load
from engine.core.property import marker
from engine.core.registry import Registry
from engine.core.task import Task
from engine.errors import FlowInvalid
from engine.plugin import RunnableTask
from engine.tasks import catalogue
from tests.core.language import flow, problems, source
from tests.shared import seed

SEEDS = [
    "check_weather.yaml",
    "add_tasks_to_todoist.yaml",
    "gen_img_approval.yaml",
    "ai-summarize-weekly-git-commits.yaml",
]


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_loads_as_it_stands(name):
    text = seed(name).read_text(encoding="utf-8")
    loaded = load(text, catalogue(), file=name)
    assert loaded.namespace == "company.ai"
    assert loaded.tasks
    assert not [one for one in check(text, catalogue(), name) if one.severity == "error"]


def test_the_seed_with_the_odd_cron_says_how_often_it_runs():
    text = seed("check_weather.yaml").read_text(encoding="utf-8")
    (found,) = [one for one in check(text, catalogue()) if one.code == "cron-burst"]
    assert found.message == "60 runs between 8:00 and 8:59; did you mean `0 8 * * *`?"
    assert (found.severity, found.line, found.column, found.path) == ("warning", 56, 5, "triggers[0].cron")


def test_the_seed_with_sloppy_schema_is_told_where():
    text = seed("add_tasks_to_todoist.yaml").read_text(encoding="utf-8")
    (found,) = [one for one in check(text, catalogue()) if one.code == "lenient-schema"]
    assert (found.severity, found.line, found.path) == ("hint", 23, "tasks[0].jsonResponseSchema")


def test_the_seed_with_shell_text_is_told_what_stands_unquoted():
    text = seed("ai-summarize-weekly-git-commits.yaml").read_text(encoding="utf-8")
    found = [one for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert [one.path for one in found] == [f"tasks[0].tasks[1].commands[{n}]" for n in (1, 2, 3)]
    assert [text.splitlines()[one.line - 1][one.column - 1 :][:2] for one in found] == ["{{"] * 3


def test_the_seed_with_the_missing_subflow_is_told_when_flows_are_known():
    text = seed("gen_img_approval.yaml").read_text(encoding="utf-8")
    found = [
        one for one in check(text, catalogue(), find_flow=lambda namespace, name: None) if one.code == "missing-flow"
    ]
    assert [(one.path, one.message) for one in found] == [
        ("tasks[0].flowId", "There is no flow `demo.generate_image` here."),
        ("tasks[3].else[0].flowId", "There is no flow `demo.generate_image` here."),
    ]
    called = {
        "inputs": [{"id": name, "type": "STRING", "required": False} for name in ("openai_prompt", "image_prompt")]
    }
    found = check(text, catalogue(), find_flow=lambda *name: called)
    assert not [one for one in found if one.code in ("missing-flow", "call-input")]


@pytest.mark.parametrize(
    ("text", "line", "column", "path", "said"),
    [
        ("tasks: []", 3, 1, "tasks", "`tasks` is empty, but needs at least one item"),
        ("disabled: 7", 3, 1, "disabled", "`disabled` should be `true` or `false`, but is `7`"),
        ("quotas: [{duration: PT1H, limit: 2, behavior: FAIL}]", 3, 1, "quotas", "Only Kestra's Enterprise"),
        ("inptus: []", 3, 1, "inptus", "Unknown property `inptus`. Did you mean `inputs`?"),
        (
            "inputs:\n  - id: a\n    type: STRNG",
            5,
            5,
            "inputs[0].type",
            "has the type `STRNG`, which inputs don't have",
        ),
        ("inputs:\n  - id: a\n    type: INT\n    mix: 3", 6, 5, "inputs[0].mix", "Did you mean `min`?"),
        (
            "inputs:\n  - id: a\n    type: INT\n    min: abc",
            6,
            5,
            "inputs[0].min",
            'should be a whole number, but is "abc"',
        ),
        ("tasks:\n  - id: a\n    type: io.kestra.plugin.core.http.Request", 4, 5, "tasks[0].uri", "`uri` is missing."),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.core.http.Requst",
            5,
            5,
            "tasks[0].type",
            "Requst' is installed. Did you mean 'io.kestra.plugin.core.http.Request'?",
        ),
        ("tasks:\n  - id: a\n    type: x\n  - hello", 6, 5, "tasks[1]", "should be a task: a mapping with a `type`"),
        ("tasks:\n  - id: a", 4, 5, "tasks[0]", "is a task without its `type`"),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.core.trigger.Schedule\n    cron: x",
            5,
            5,
            "tasks[0].type",
            "which is a trigger, not a task",
        ),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: {a: 1}",
            6,
            5,
            "tasks[0].message",
            "should be text or a list, but is a mapping",
        ),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: x\n    allow_failure: true",
            7,
            5,
            "tasks[0].allow_failure",
            "Did you mean `allowFailure`?",
        ),
        (
            "tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: x\n"
            "    retry: {type: constant, maxAttemps: 3}",
            7,
            29,
            "tasks[0].retry.maxAttemps",
            "Did you mean `maxAttempts`?",
        ),
        (
            "triggers:\n  - id: s\n    type: io.kestra.plugin.core.trigger.Schedule\n    cron: 61 * * * *",
            6,
            5,
            "triggers[0].cron",
            "minute field",
        ),
        (
            "triggers:\n  - id: s\n    type: io.kestra.plugin.core.trigger.Schedule\n"
            "    cron: '@daily'\n    timezone: Mars/X",
            7,
            5,
            "triggers[0].timezone",
            "there is no time zone 'Mars/X'",
        ),
        (
            "triggers:\n  - id: w\n    type: io.kestra.plugin.core.trigger.Webhook\n    key: k\n    conditions:\n"
            "      - id: m\n        type: io.kestra.plugin.core.condition.MultipleCondition\n"
            "        conditions: {a: {type: "
            "io.kestra.plugin.core.condition.Weekend}}",
            4,
            5,
            "triggers[0]",
            "invalid webhook: conditions of type MultipleCondition are not supported",
        ),
        ("concurrency: {limit: 0}", 3, 15, "concurrency.limit", "should be more than 0"),
        ("labels: {system.foo: bar}", 3, 10, "labels.system.foo", "offending label: system.foo=bar"),
        ("labels: [{key: a}, 5]", 3, 20, "labels[1]", "a label in a list has a `key` and a `value`"),
        (
            "inputs:\n  - {id: a, type: INT, defaults: x}",
            4,
            24,
            "inputs[0].defaults",
            "Expected `INT` but received `x`",
        ),
        ("outputs:\n  - {id: a, type: TXT, value: x}", 4, 13, "outputs[0].type", "there is no output type 'TXT'"),
        (
            "pluginDefaults:\n  - values: {a: 1}",
            4,
            5,
            "pluginDefaults[0]",
            "Invalid Plugin Default: No 'type' provided",
        ),
        ("pluginDefaults:\n  - type: x", 4, 5, "pluginDefaults[0]", "Invalid Plugin Default: No 'values' provided"),
        ("pluginDefaults:\n  - {type: x, values: {a: }}", 4, 5, "pluginDefaults[0]", "No value provided for key 'a'"),
        ("inputs:\n  - {id: a, type: STRING}\n  - {id: a.b, type: STRING}", 5, 6, "inputs[1].id", "rename one of them"),
        (
            "inputs:\n  - {id: a, type: STRING, dependsOn: {inputs: [b]}}",
            4,
            27,
            "inputs[0].dependsOn",
            "Input with id 'a' depends on a non-existent input 'b'.",
        ),
        (
            "inputs:\n  - {id: a, type: STRING, dependsOn: {inputs: [b]}}\n"
            "  - {id: b, type: STRING, dependsOn: {inputs: [a]}}",
            4,
            27,
            "inputs[0].dependsOn",
            "Cycle dependency detected for input with id 'a': [a, b]",
        ),
        (
            "outputs:\n  - {id: a, value: x}\n  - {id: a, value: y}",
            5,
            6,
            "outputs[1].id",
            "Duplicate output with name [a]",
        ),
        (
            "retry: {type: random, minInterval: PT10S, maxInterval: PT5S, maxDuration: PT1M}",
            3,
            1,
            "retry",
            "'minInterval' must be less than 'maxInterval' but is PT10S",
        ),
    ],
)
def test_an_error_has_a_place_and_a_plain_sentence(text, line, column, path, said):
    errors = [one for one in problems(text) if one.severity == "error"]
    found = [one for one in errors if said in f"{one.message} {one.suggestion}"]
    assert found, errors
    assert (found[0].line, found[0].column, found[0].path) == (line, column, path)
    assert not any(
        word in one.message for one in errors for word in ("pydantic", "https://", "Input should", "Value error")
    )


def test_all_errors_come_at_once_in_the_order_of_the_lines():
    with pytest.raises(FlowInvalid) as caught:
        flow("foo: 1\nlabels: 5\ntasks:\n  - id: a\n    type: nope")
    assert [one.path for one in caught.value.problems] == ["foo", "labels", "tasks[0].type"]
    assert "foo" in str(caught.value)
    assert "nope" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [("", "The file is empty: a flow has"), ("- a", "A flow is a mapping"), ("a: b: c", "`:` stands")]
)
def test_a_text_that_is_no_flow(text, said):
    with pytest.raises(FlowInvalid, match=said):
        load(text, catalogue())


def test_names_of_files_are_in_problems():
    (found, *_) = check("a: 'x", catalogue(), "flows/a.yaml")
    assert found.file == "flows/a.yaml"


def test_duplicate_ids_anywhere_are_one_error_at_the_second_place():
    text = """
    tasks:
      - {id: a, type: io.kestra.plugin.core.log.Log, message: x}
      - {id: b, type: io.kestra.plugin.core.log.Log, message: x}
    errors:
      - {id: a, type: io.kestra.plugin.core.log.Log, message: x}
    finally:
      - {id: b, type: io.kestra.plugin.core.log.Log, message: x}
    """
    (found,) = problems(text)
    assert (found.message, found.path, found.line) == ("Duplicate task id with name [a, b]", "errors[0].id", 7)


def test_newer_and_older_names_of_properties_are_read():
    found = flow(
        """
        taskDefaults:
          - {type: io.kestra.plugin.core.log.Log, values: {level: WARN}}
        tasks:
          - {id: a, type: io.kestra.core.tasks.log.Log, message: x, when: "{{ true }}"}
        triggers:
          - id: s
            type: io.kestra.core.models.triggers.types.Schedule
            cron: "@daily"
            scheduleConditions:
              - {type: io.kestra.core.models.conditions.types.WeekendCondition}
        """
    )
    (task,) = found.tasks
    assert (task.run_if, task.level) == ("{{ true }}", "WARN")
    assert found.triggers[0].conditions[0].by_day


def test_an_older_type_name_is_a_warning_with_the_new_one():
    (found,) = problems("tasks:\n  - {id: a, type: io.kestra.core.tasks.log.Log, message: x}")
    assert (found.severity, found.code, found.suggestion) == (
        "warning",
        "old-type",
        "Write `io.kestra.plugin.core.log.Log`.",
    )


def test_a_deprecated_type_of_inputs_is_an_older_name():
    text = """
    inputs:
      - {id: a, type: BOOLEAN}
      - {id: b, type: FORM, inputs: [{id: c, type: ENUM, values: [x]}]}
      - {id: d, type: SELECT, values: [BOOLEAN, ENUM]}
    tasks:
      - {id: ask, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: ok, type: ENUM, values: [x]}]}
    """
    assert [(one.severity, one.path, one.suggestion) for one in problems(text)] == [
        ("warning", "inputs[1].inputs[0].type", "Write `SELECT`."),
        ("warning", "tasks[0].onResume[0].type", "Write `SELECT`."),
    ]


def test_a_default_gives_what_a_task_lacks_and_its_mistakes_are_found_where_it_stands():
    defaults = "pluginDefaults:\n  - type: io.kestra.plugin.core.http\n"
    defaults += "    values:\n      uri: https://a.test\n      methd: GET\n"
    found = problems(defaults + "tasks:\n  - {id: a, type: io.kestra.plugin.core.http.Request}")
    assert [(one.line, one.column, one.message) for one in found] == [(7, 7, "Unknown property `methd`.")]


def test_global_defaults_are_merged_too():
    defaults = [{"type": "io.kestra.plugin.core.http", "values": {"uri": "https://a.test"}}]
    text = source("tasks:\n  - {id: a, type: io.kestra.plugin.core.http.Request}")
    assert load(text, catalogue(), globals_defaults=defaults).tasks[0].uri == "https://a.test"


@pytest.mark.parametrize(
    ("message", "line", "column"),
    [
        ('"{{ a b c"', 6, 15),
        ("|\n      first\n      {{ 1 + }}\n", 8, 7),
    ],
)
def test_a_template_that_can_not_be_read_is_an_error_near_its_place(message, line, column):
    text = f"tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: {message}"
    (found,) = problems(text)
    assert (found.severity, found.code, found.path) == ("error", "template", "tasks[0].message")
    assert found.line == line
    assert found.column >= column


@pytest.mark.parametrize(
    "switched_off",
    [
        "tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    disabled: true\n    message: '{{ 1 || 2 }}'\n"
        "  - id: b\n    type: io.kestra.plugin.core.log.Log\n    message: hi",
        "tasks:\n  - id: a\n    type: io.kestra.plugin.core.flow.Sequential\n    disabled: true\n    tasks:\n"
        "      - id: b\n        type: io.kestra.plugin.core.log.Log\n        message: '{{ 1 || 2 }}'",
        "disabled: true\ntasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: '{{ 1 || 2 }}'",
    ],
)
def test_a_template_that_can_not_be_read_in_what_is_switched_off_is_a_warning(switched_off):
    (found,) = problems(switched_off)
    assert (found.severity, found.code) == ("warning", "template")
    load(source(switched_off), catalogue())


@pytest.mark.parametrize(
    ("message", "code", "said", "suggestion"),
    [
        ("{{ 'a' | uper }}", "unknown-filter", "There is no filter `uper`.", "Did you mean `upper`?"),
        ("{{ secrt('A') }}", "unknown-function", "There is no function `secrt`.", "Did you mean `secret`?"),
        (
            "{{ outputs.aa.value }}",
            "unknown-task",
            "`outputs.aa` names no task of this flow.",
            "Did you mean `outputs.a`?",
        ),
        (
            "{{ inputs.nme }}",
            "unknown-input",
            "`inputs.nme` names no input of this flow.",
            "Did you mean `inputs.name`?",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_a_warning(message, code, said, suggestion):
    text = "inputs:\n  - {id: name, type: STRING}\ntasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n"
    text += f'    message: "{message}"'
    (found,) = problems(text)
    assert (found.severity, found.code, found.message, found.suggestion) == ("warning", code, said, suggestion)


def test_a_default_that_would_be_refused_is_a_warning():
    (found,) = problems("inputs:\n  - {id: a, type: SELECT, values: [x, y], defaults: z}")
    assert (found.severity, found.path) == ("warning", "inputs[0].defaults")
    assert "it must match the values `[x, y]`" in found.message


def test_preconditions_of_one_id_in_two_triggers_are_a_warning():
    flows = "flows: [{namespace: a, flowId: b}]"
    triggers = "".join(
        f"  - id: {name}\n    type: io.kestra.plugin.core.trigger.Flow\n    preconditions: {{id: {own}, {flows}}}\n"
        for name, own in (("one", "p"), ("two", "q"), ("three", "p"))
    )
    [found] = problems(f"triggers:\n{triggers}")
    assert (found.severity, found.path) == ("warning", "triggers[2].preconditions.id")
    assert found.message.startswith("`one` has preconditions of the id `p`, too")


def test_names_of_other_executions_are_not_looked_for_here():
    text = """
    inputs:
      - {id: a, type: STRING}
    triggers:
      - id: t
        type: io.kestra.plugin.core.trigger.Flow
        inputs: {a: "{{ outputs.theirs.value }}"}
    """
    assert problems(text) == []


def test_values_that_no_shell_acts_on_may_stand_unquoted():
    text = """id: f
namespace: a.b
inputs:
  - {id: count, type: INT}
  - {id: name, type: STRING}
variables: {bucket: kestra/inbox, made: "{{ inputs.name }}", two: "a; b"}
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - work {{ inputs.count }} {{vars.bucket}} {{ inputs.name }} {{ vars.made }} {{ vars.two }}
"""
    found = [one.message.split("`")[1] for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert found == ["{{ inputs.name }}", "{{ vars.made }}", "{{ vars.two }}"]


def test_what_the_flow_itself_writes_in_its_variables_may_stand_unquoted():
    text = """id: f
namespace: a.b
inputs:
  - {id: taxi, type: SELECT, values: [yellow, green]}
  - {id: name, type: STRING}
variables:
  client: sqlcmd -S 10.0.0.4 -C
  file: "{{ inputs.taxi }}_tripdata_{{ trigger.date | date('yyyy-MM') }}.csv"
  named: "{{ inputs.taxi }}_{{ inputs.name }}.csv"
  piped: "{{ inputs.taxi }} | sh"
  again: "{{ render(vars.named) }}"
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - "{{ vars.client }} -i a.sql"
      - wget -qO- https://a.example/{{ render(vars.file) }}.gz | gunzip > {{render(vars.file)}}
      - cat {{ render(vars.named) }} {{ render(vars.piped) }} {{ render(vars.again) }} {{ vars.file }}
triggers:
  - {id: monthly, type: io.kestra.plugin.core.trigger.Schedule, cron: "@monthly"}
"""
    found = [one.message.split("`")[1] for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert found == [
        f"{{{{ {one} }}}}" for one in ("render(vars.named)", "render(vars.piped)", "render(vars.again)", "vars.file")
    ]


def test_the_address_of_a_stored_file_may_stand_unquoted():
    text = """id: f
namespace: a.b
tasks:
  - {id: got, type: io.kestra.plugin.core.http.Download, uri: "https://a.test/x"}
  - {id: asked, type: io.kestra.plugin.core.http.Request, uri: "https://a.test/x"}
  - {id: rows, type: io.kestra.plugin.jdbc.duckdb.Query, sql: SELECT 1, fetchType: STORE}
  - {id: made-it, type: io.kestra.plugin.scripts.python.Script, script: "pass", outputFiles: ["*.json"]}
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - {id: one, type: io.kestra.plugin.core.http.Download, uri: "https://a.test/{{ taskrun.value }}"}
      - id: run
        type: io.kestra.plugin.scripts.shell.Commands
        commands:
          - cat {{ outputs.rows.uri }} {{ outputs.got.uri }} {{ outputs['made-it'].outputFiles['a.json'] }}
          - cat {{ outputs.one[taskrun.value].uri }} {{ currentEachOutput(outputs.one).uri }}
          - work {{ outputs.asked.uri }} {{ outputs.got.headers }} {{ outputs['made-it'].vars.uri }}
          - work {{ outputs.got.uri ~ outputs.asked.body }}
"""
    found = [one.message.split("`")[1] for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert found == [
        "{{ outputs.asked.uri }}",
        "{{ outputs.got.headers }}",
        "{{ outputs['made-it'].vars.uri }}",
        "{{ outputs.got.uri ~ outputs.asked.body }}",
    ]


@pytest.mark.parametrize(
    ("task", "expression", "is_told"),
    [
        ("aws.lambda.Invoke, functionArn: a, region: b", "outputs.t.uri", False),
        ("aws.s3.Download, bucket: a, key: b, region: c", "outputs.t.uri", False),
        ("aws.sqs.Consume, queueUrl: a, region: b", "outputs.t.uri", False),
        ("jdbc.postgresql.Query, url: a, sql: b, fetchType: STORE", "outputs.t.uri", False),
        ("jdbc.postgresql.Queries, url: a, sql: b, fetchType: STORE", "outputs.t.outputs[0].uri", False),
        ("jdbc.postgresql.Queries, url: a, sql: b, fetchType: FETCH", "outputs.t.outputs[0].rows", True),
        ("compress.ArchiveDecompress, from: a, algorithm: ZIP", "outputs.t.files['a b.csv']", False),
        ("core.storage.Split, from: a, rows: 1", "outputs.t.uris[0]", False),
        ("gcp.gcs.Download, from: a", "outputs.t.uri", False),
        ("gcp.gcs.Upload, from: a, to: b", "outputs.t.uri", True),
        ("aws.lambda.Invoke, functionArn: a, region: b", "outputs.t", True),
    ],
)
def test_what_a_task_stores_may_stand_unquoted_by_its_address(task, expression, is_told):
    text = f"""id: f
namespace: a.b
tasks:
  - {{id: t, type: io.kestra.plugin.{task}}}
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - cat {{{{ {expression} }}}}
"""
    assert ("shell-quoting" in [one.code for one in check(text, catalogue())]) is is_told


def test_what_the_flow_itself_lists_may_stand_unquoted():
    text = """id: f
namespace: a.b
inputs:
  - {id: env, type: SELECT, values: [dev, prod]}
  - {id: free, type: SELECT, values: [dev, prod], allowCustomValue: true}
  - {id: maybe, type: SELECT, values: [dev, prod], required: false}
  - {id: odd, type: SELECT, values: ["a; b"]}
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [1, two]
    tasks:
      - id: run
        type: io.kestra.plugin.scripts.shell.Commands
        commands:
          - work {{ inputs.env }} {{ taskrun.value }} {{ trigger.date ?? execution.startDate | date('yyyy-MM') }}
          - work {{ inputs.free }} {{ inputs.maybe }} {{ inputs.odd }}
triggers:
  - {id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", inputs: {env: dev, free: dev, odd: x}}
"""
    found = [one.message.split("`")[1] for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert found == ["{{ inputs.free }}", "{{ inputs.maybe }}", "{{ inputs.odd }}"]


@pytest.mark.parametrize(
    ("expression", "is_told"),
    [
        ("taskrun.attemptsCount == 0 ? 1 : 0", False),
        ("inputs.a == 'x' ? '--all' : ''", False),
        ("inputs.a ?? 'b' == 'x' ? 1 : 0", True),
        ("inputs.a == 'x' ? 1 : inputs.a", True),
        ("inputs.a == 'x' ? 'a; b' : 'c'", True),
    ],
)
def test_one_of_two_plain_words_may_stand_unquoted(expression, is_told):
    text = f"""id: f
namespace: a.b
inputs: [{{id: a, type: STRING}}]
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands: ["exit {{{{ {expression} }}}}"]
"""
    assert ("shell-quoting" in [one.code for one in check(text, catalogue())]) is is_told


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ("[1, two]", ["{{ taskrun.items }}"]),
        ("""'["Paris", "Berlin"]'""", ["{{ taskrun.items }}"]),
        ('"{{ range(1, 3) }}"', ["{{ taskrun.items }}"]),
        ("""'["a; b"]'""", ["{{ taskrun.value }}", "{{ parent.taskrun.value }}", "{{ taskrun.items }}"]),
        ('"{{ inputs.list }}"', ["{{ taskrun.value }}", "{{ parent.taskrun.value }}", "{{ taskrun.items }}"]),
        ("'[{\"a\": 1}]'", ["{{ taskrun.value }}", "{{ parent.taskrun.value }}", "{{ taskrun.items }}"]),
    ],
)
def test_a_list_as_json_and_what_the_engine_counts_may_stand_unquoted(values, found):
    text = f"""id: f
namespace: a.b
inputs:
  - {{id: list, type: JSON, defaults: "[]"}}
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: {values}
    tasks:
      - id: run
        type: io.kestra.plugin.scripts.shell.Commands
        commands:
          - work {{{{ taskrun.value }}}} {{{{ parent.taskrun.value }}}}
          - work {{{{ taskrun.iteration }}}} {{{{ taskrun.items }}}}
"""
    assert [one.message.split("`")[1] for one in check(text, catalogue()) if one.code == "shell-quoting"] == found


def test_each_loop_is_as_harmless_as_what_it_goes_over():
    text = """id: f
namespace: a.b
inputs:
  - {id: list, type: JSON, defaults: "[]"}
tasks:
  - id: given
    type: io.kestra.plugin.core.flow.EachSequential
    value: "{{ inputs.list }}"
    tasks:
      - {id: a, type: io.kestra.plugin.scripts.shell.Commands, commands: ["echo {{ taskrun.value }}"]}
  - id: listed
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - {id: b, type: io.kestra.plugin.scripts.shell.Commands, commands: ["echo {{ taskrun.value }}"]}
"""
    assert [one.line for one in check(text, catalogue()) if one.code == "shell-quoting"] == [10]


def test_a_name_that_nothing_gives_is_told_once():
    text = """id: f
namespace: a.b
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ one }} {{ two }} {{ one }} {{ one.more }}"}
"""
    assert [one.message for one in check(text, catalogue())] == [
        "There is no variable `one`.",
        "There is no variable `two`.",
    ]


RENDERED_BY_TASKS = {  # property that a task renders itself → what it sees there beside the usual
    "{type: T.scripts.shell.Commands, commands: ['echo \"%s\"']}": "workingDir outputDir outputFiles.a",
    "{type: T.scripts.python.Script, script: 'print(\"%s\")'}": "workingDir outputDir outputFiles.a",
    "{type: T.scripts.shell.Commands, commands: [ls], inputFiles: {a.txt: '%s'}}": "workingDir",
    "{type: T.jdbc.duckdb.Query, sql: 'SELECT %s'}": "workingDir outputFiles.a dbFilePath",
    "{type: T.jdbc.mysql.Query, url: 'jdbc:mysql://db/a', sql: 'SELECT %s'}": "inputFile",
    "{type: T.core.kv.Set, key: a, value: '%s'}": "",
    "{type: T.core.execution.Assert, conditions: ['%s']}": "",
    "{type: T.core.execution.Count, startDate: '2026-01-01', namespaces: [a.b], expression: '%s'}": "count",
    "{type: T.graalvm.python.FileTransform, from: x, script: '%s'}": "",
}


@pytest.mark.parametrize("task", RENDERED_BY_TASKS)
def test_a_slip_is_told_in_what_a_task_renders_itself_and_its_own_names_are_none(task):
    def said(names):
        written = " ".join(f"{{{{ {name} }}}}" for name in names)
        one = task.replace("{", "{id: one, ", 1).replace("T.", "io.kestra.plugin.") % written
        return [found.message for found in check(f"id: f\nnamespace: a.b\ntasks:\n  - {one}\n", catalogue())]

    own = RENDERED_BY_TASKS[task].split()
    assert said(own) == said([])
    assert [one for one in said(["input.a", "item"]) if one not in said([])] == [
        "There is no variable `input`.",
        "`item` is there only inside a Loop.",
    ]


def test_only_for_rows_and_what_is_made_of_text_may_there_be_any_name():
    def renders_itself(kind):
        return any((mark := marker(field)) is not None and mark.late for field in kind.model_fields.values())

    tasks = [one for one in catalogue().classes() if issubclass(one, Task)]
    assert {one.__name__ for one in tasks if one.sees is None and renders_itself(one)} == {
        "DeduplicateItems", "FilterItems", "TemplatedTask",
    }  # fmt: skip


def test_where_rows_are_seen_any_name_may_be_one():
    text = """id: f
namespace: a.b
tasks:
  - {id: keep, type: io.kestra.plugin.core.storage.FilterItems, from: x, filterCondition: "{{ input.a > 1 }}"}
"""
    assert check(text, catalogue()) == []


def test_a_property_that_stands_there_already_is_not_what_another_was_meant_to_be():
    text = """id: f
namespace: a.b
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, timeout: PT2H, onTimeout: []}
"""
    (found,) = check(text, catalogue())
    own = "`behavior`, `errors`, `finally`, `onPause`, `onResume`, `pauseDuration`, `tasks`"
    assert (found.message, found.suggestion) == ("Unknown property `onTimeout`.", f"Known here: {own}.")


def test_what_several_queries_hand_on_is_in_the_list_of_their_outputs():
    text = """id: f
namespace: a.b
tasks:
  - {id: asked, type: io.kestra.plugin.jdbc.duckdb.Queries, sql: SELECT 1, fetchType: STORE}
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.asked.uri }}"}
"""
    (found,) = check(text, catalogue())
    assert found.suggestion == "Did you mean `outputs.asked.outputs[0].uri`?"


def test_what_a_script_hands_on_is_in_its_vars():
    text = """id: f
namespace: a.b
tasks:
  - id: made
    type: io.kestra.plugin.scripts.python.Script
    script: 'Kestra.outputs({"page": 1})'
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.made.page }} {{ outputs.made.other }}"}
"""
    assert [one.suggestion for one in check(text, catalogue())] == [
        "Did you mean `outputs.made.vars.page`?",
        "It has exitCode, outputFiles, taskRunner, vars.",
    ]


def test_a_command_that_is_given_is_not_to_be_quoted():
    text = """id: f
namespace: a.b
inputs:
  - {id: command, type: STRING}
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands: ["{{ inputs.command }}"]
"""
    (found,) = [one for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert found.message == "`{{ inputs.command }}` is the command itself: whoever gives it says what runs."
    assert "quotes" not in found.suggestion


@pytest.mark.parametrize(
    ("read", "is_own"),
    [
        ("'scripts/install.sh'", True),
        ("'kestra:///one.sh'", False),
        ("inputs.script", False),
        ("'a' ~ inputs.b", False),
    ],
)
def test_a_file_of_the_namespace_that_the_flow_names_is_nobody_else_s_command(read, is_own):
    task = f"""{{id: run, type: io.kestra.plugin.scripts.shell.Commands, commands: ["{{{{ read({read}) }}}}"]}}"""
    text = f"id: f\nnamespace: a.b\ninputs: [{{id: script, type: STRING}}, {{id: b, type: STRING}}]\ntasks: [{task}]\n"
    assert (not [one for one in check(text, catalogue()) if one.code == "shell-quoting"]) is is_own


def test_a_file_by_a_name_that_is_nearly_handed_on_is_meant():
    text = """id: f
namespace: a.b
tasks:
  - {id: make, type: io.kestra.plugin.scripts.shell.Commands, commands: [ls], outputFiles: [ssh-key.pem]}
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.make.outputFiles['ss-key.pem'] }}"}
"""
    assert [one.suggestion for one in check(text, catalogue())] == ["Did you mean `ssh-key.pem`?"]


def test_tasks_below_a_task_that_runs_another_flow_are_unknown_and_what_it_needs_is_missing():
    text = """id: f
namespace: a.b
tasks:
  - {id: each, type: io.kestra.plugin.core.flow.ForEachItem, tasks: []}
"""
    found = {(one.message, one.suggestion) for one in check(text, catalogue())}
    assert found == {
        ("Unknown property `tasks`.", ""),
        *((f"`{name}` is missing.", "") for name in ("items", "namespace", "flowId")),
    }


COMMANDS = """id: f
namespace: a.b
inputs:
  - {id: command, type: SELECT, values: [dbt build, dbt deps && dbt test]%s}
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands: ["%s"]
"""


def test_a_command_that_is_chosen_among_those_of_the_flow_is_no_risk():
    assert check(COMMANDS % ("", "{{ inputs.command }}"), catalogue()) == []
    for more, command in ((", allowCustomValue: true", "{{ inputs.command }}"), ("", "cd dbt && {{ inputs.command }}")):
        assert [one.code for one in check(COMMANDS % (more, command), catalogue())] == ["shell-quoting"]


def test_chosen_words_that_begin_no_command_need_no_quotes():
    text = COMMANDS.replace("dbt deps && dbt test", "dbt test") % ("", "cd dbt && {{ inputs.command }}")
    assert check(text, catalogue()) == []


def test_what_newer_flows_say_about_workers_and_policies_is_accepted():
    text = """id: f
namespace: a.b
workerSelector: {tags: [gpu]}
policyRefs: [safe]
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hi
    workerSelector: {tags: [gpu], match: ALL, fallback: WAIT}
    policyRefs: [safe]
triggers:
  - {id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", workerSelector: {tags: [gpu]}}
"""
    found = check(text, catalogue())
    assert [(one.path, one.severity) for one in found] == [
        ("policyRefs", "warning"),
        ("tasks[0].policyRefs", "warning"),
    ]


def test_what_is_shown_as_it_is_holds_no_templates():
    text = """id: f
namespace: a.b
description: "Its child has {{ inputs.file }} and {{ broken"
inputs:
  - {id: x, type: STRING, required: false, displayName: "{{ inputs.file }}", description: "{{ vars.file }}"}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: hi}
"""
    assert check(text, catalogue()) == []


def test_an_output_is_known_by_the_name_it_is_handed_on_with():
    text = """id: f
namespace: a.b
tasks:
  - {id: get, type: io.kestra.plugin.fs.sftp.Download, host: h, username: u, from: /a}
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.get.from }} {{ outputs.get.uri }}"}
"""
    (found,) = check(text, catalogue())
    assert (found.message, found.suggestion) == ("`get` has no output `uri`.", "It has from, to.")


def test_an_output_whose_words_stand_in_another_order_is_the_one_meant():
    text = """id: f
namespace: a.b
tasks:
  - id: ask
    type: io.kestra.plugin.ai.rag.ChatCompletion
    chatProvider: {type: io.kestra.plugin.ai.provider.Ollama, modelName: m, endpoint: "http://localhost:1"}
    prompt: hi
  - {id: turned, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.ask.outputText }}"}
  - {id: mistyped, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.ask.outputFile }}"}
  - {id: shortened, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.ask.text }}"}
"""
    found = [one.suggestion for one in check(text, catalogue()) if one.code == "unknown-output"]
    assert found == [f"Did you mean `outputs.ask.{name}`?" for name in ("textOutput", "outputFiles", "textOutput")]


def test_a_filter_that_leaves_nothing_for_a_shell_needs_no_quotes():
    text = """id: f
namespace: a.b
inputs:
  - {id: name, type: STRING}
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - aws s3 mb s3://a-{{ inputs.name | slugify }}-b
      - curl https://a.example/?q={{ inputs.name | trim | urlencode }} {{ inputs.name | length }}
      - work {{ inputs.name | upper }} {{ inputs.name ~ inputs.name | slugify }}
      - work {{ inputs.name | slugify ~ inputs.name }}
"""
    found = [one.message.split("`")[1] for one in check(text, catalogue()) if one.code == "shell-quoting"]
    assert found == [
        "{{ inputs.name | upper }}",
        "{{ inputs.name ~ inputs.name | slugify }}",
        "{{ inputs.name | slugify ~ inputs.name }}",
    ]


@pytest.mark.parametrize(
    ("task", "where"),
    [
        ("http.Request, uri: 'https://a.test', options: {auth: {username: a, password: b}}", "options.auth.type"),
        ("kv.PurgeKV, behavior: {expiredOnly: false}", "behavior.type"),
        ("flow.PurgeFlows, behavior: {keepAmount: 2}", "behavior.type"),
        ("namespace.PurgeFiles, behavior: {keepAmount: 2}", "behavior.type"),
    ],
)
def test_what_comes_in_kinds_says_of_which_it_is(task, where):
    text = f"id: f\nnamespace: a\ntasks:\n  - {{id: t, type: io.kestra.plugin.core.{task}}}\n"
    with pytest.raises(FlowInvalid) as refused:
        load(text, catalogue())
    (problem,) = refused.value.problems
    assert (problem.path, problem.message) == (f"tasks[0].{where}", "`type` is missing.")


def test_a_kind_that_there_is_not_is_told_with_those_there_are():
    task = "{id: t, type: io.kestra.plugin.core.kv.PurgeKV, behavior: {type: keys}}"
    with pytest.raises(FlowInvalid, match="`type` is `key` or `version`"):
        load(f"id: f\nnamespace: a\ntasks:\n  - {task}\n", catalogue())


def test_what_stands_in_a_here_document_is_no_command():
    def found(script):
        lines = "".join(f"          {line}\n" for line in script.split("\n"))
        text = f"""id: f
namespace: a.b
inputs:
  - {{id: name, type: STRING}}
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - |
{lines}"""
        return [one.line - 9 for one in check(text, catalogue()) if one.code == "shell-quoting"]

    name = "{{ inputs.name }}"
    assert found(f"cat > a.sh <<'END'\nit's {name}\nEND\necho {name}") == [4]
    assert found(f"cat <<-END\n\t{name}\n\tEND\necho {name}") == [4]
    assert found(f"cat <<A <<B\n{name}\nA\n{name}\nB\necho {name}") == [6]
    assert found(f"true\nbash -s <<END\necho {name}\nEND") == [3]
    assert found(f"cat <<END | ssh host\necho {name}\nEND") == [2]
    assert found(f"echo $((1 << n)) {name}\ncat <<< {name}") == [1, 2]


def test_what_stands_once_in_plugin_defaults_is_told_once():
    text = """id: f
namespace: a.b
tasks:
  - {id: a, type: io.kestra.plugin.core.log.Log, message: a}
  - {id: b, type: io.kestra.plugin.core.log.Log, message: b}
pluginDefaults:
  - type: io.kestra.plugin.core.log.Log
    values:
      retry: {type: constant, interval: PT1S, maxAttempt: 3}
"""
    assert [(one.line, one.path) for one in check(text, catalogue())] == [(9, "tasks[0].retry.maxAttempt")]


def test_a_kubectl_task_takes_what_those_of_pods_have():
    text = """id: f
namespace: a.b
tasks:
  - id: pods
    type: io.kestra.plugin.kubernetes.kubectl.Get
    resourceType: pods
    outputFiles: [pods.json]
    inputFiles: {a.txt: b}
"""
    assert check(text, catalogue()) == []


def test_the_advice_about_the_image_of_a_runner_can_be_followed():
    text = """id: f
namespace: a.b
tasks:
  - id: run
    type: io.kestra.plugin.scripts.shell.Commands
    commands: [ls]
    taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, image: alpine}
"""
    [found] = check(text, catalogue())
    assert found.suggestion == "Write `containerImage` on the task, beside `taskRunner`."


def test_nothing_is_taken_for_a_description_that_does_not_look_like_one():
    text = """id: f
namespace: a.b
tasks:
  - {id: run, type: io.kestra.core.tasks.scripts.Bash, script: ls}
"""
    assert not [one for one in check(text, catalogue()) if "description" in one.suggestion]


@pytest.mark.parametrize("more", ["", "commands: [ls], runner: DOCKER, "])
def test_a_property_that_only_a_task_beside_it_had_is_told_by_its_own_name_and_line(more):
    text = f"""id: f
namespace: a.b
tasks:
  - id: run
    type: io.kestra.core.tasks.scripts.Bash
    {more.replace(", ", chr(10) + "    ").strip()}
    requirements: [requests]
"""
    found = [one for one in check(text, catalogue()) if one.code == "unknown-property"]
    line = text.splitlines().index("    requirements: [requests]") + 1
    assert [(one.message, one.line) for one in found] == [("Unknown property `requirements`.", line)]


def test_a_name_that_came_only_with_an_older_form_is_told_where_that_stands():
    class Older(RunnableTask):
        type: Literal["a.b.Older"]

        @model_validator(mode="before")
        @classmethod
        def _as_it_is_written_today(cls, declaration):
            return {"now" if name == "was" else name: value for name, value in declaration.items()}

    text = "id: f\nnamespace: a.b\ntasks:\n  - {id: run, type: a.b.Older, was: 1}\n"
    (found,) = check(text, Registry([Older]))
    assert (found.message, found.line, found.path) == ("Unknown property `now`.", 4, "tasks[0]")


def test_listeners_are_told_of():
    text = """id: f
namespace: a.b
listeners:
  - tasks: [{id: a, type: no.such.Type}]
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: hi}
"""
    assert [(one.path, one.severity, one.message) for one in check(text, catalogue())] == [
        ("listeners", "warning", "`listeners` are not run.")
    ]
