"""Flows as somebody writes them for the first time: each finding says what is wrong, where, and what to write."""

import pytest

from engine.core.flow_source import check
from engine.core.triggers import Trigger
from engine.tasks import catalogue
from tests.core.test_core_types import CORE

LOG = f"  - id: log\n    type: {CORE}.log.Log\n"
PYTHON = "io.kestra.plugin.scripts.python"
SAY = f"tasks:\n{LOG}    message: hi\n"


def flow(text: str) -> str:
    return f"id: f\nnamespace: a.b\n{text}"


def said(text):
    return [(one.line, one.column, f"{one.message} {one.suggestion}".strip()) for one in check(text, catalogue(), "")]


def message(value: str) -> str:
    return flow(f"tasks:\n{LOG}    message: {value}\n")


def cron(value: str, more: str = "") -> str:
    return flow(f"{SAY}triggers:\n  - id: t\n    type: {CORE}.trigger.Schedule\n    cron: {value}\n{more}")


def dag(**needs: str) -> str:
    """A Dag of tasks that say something, each with what it waits for in its second line."""
    lines = (
        f"      - task: {{id: {task}, type: {CORE}.log.Log, message: x}}\n        dependsOn: [{others}]\n"
        for task, others in needs.items()
    )
    return flow(f"tasks:\n  - id: d\n    type: {CORE}.flow.Dag\n    tasks:\n{''.join(lines)}")


def inputs(text: str, tasks: str = SAY) -> str:
    return flow(f"inputs:\n{text}{tasks}")


@pytest.mark.parametrize(
    "text",
    [
        f"  - id: b\n    type: {CORE}.log.Log\n    message: 'a\n      b\n",
        f"triggers:\n  - id: 't\n      type: {CORE}.trigger.Schedule\n",
        "    description: 'a\n      b\n",
    ],
)
def test_a_quote_that_stays_open_below_a_block_of_text_is_no_part_of_it(text):
    text = f"tasks:\n  - id: a\n    type: {PYTHON}.Script\n    script: |\n      x\n{text}"
    for one in (text, text.replace("\n  ", "\n")):
        ((_, _, sentence),) = said(flow(one))
        assert sentence == "A quote is opened but never closed."


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        (flow(f"tasks:\n  - id: log\n   type: {CORE}.log.Log\n"), 5, 4, "in which nothing above it begins; what"),
        (
            flow(f"tasks:\n  - id: log\n      type: {CORE}.log.Log\n"),
            5,
            7,
            "deeper than the one above, which has a value",
        ),
        (flow("tasks:\n\t- id: log\n"), 4, 1, "A tab stands in the indentation"),
        (flow(f"tasks:\n  - id: log\n\t  type: {CORE}.log.Log\n"), 5, 1, "A tab stands in the indentation"),
        (
            flow(f"tasks:\n  - id:log\n    type: {CORE}.log.Log\n"),
            4,
            7,
            "A blank is missing after the `:`; write `id: log`",
        ),
        (
            flow(f"tasks:\n  - id: log\n    type:{CORE}.log.Log\n    message: a\n"),
            5,
            9,
            "A blank is missing after the `:`",
        ),
        (
            flow(f"tasks:\n  -id: log\n   type: {CORE}.log.Log\n"),
            4,
            4,
            "A blank is missing after the `-`; write `- id: …`",
        ),
        (message("{{ flow.id }}"), 6, 14, "put it in quotes"),
        (message("{{ flow.id }} is here"), 6, 14, "put it in quotes"),
        (message("[a, b"), 6, 14, "A `[` without its `]`"),
        (message('"never closed'), 6, 14, "A quote is opened but never closed"),
        (message("@here look"), 6, 14, "A value can't start with `@`; put it in quotes."),
        (message("%hello"), 6, 14, "A value can't start with `%`; put it in quotes."),
        (message('"C:\\dir"'), 6, 17, "A backslash"),
        (message("|\n    hello"), 7, 5, "The text of a block is indented deeper than its key."),
        (message("a\n    message: b"), 7, 5, "The key `message` is given twice; it stands in line 6 already."),
        (flow(f"description: note: this\n{SAY}"), 3, 18, "put text that holds `: ` in quotes"),
        (flow(f"extend:\n  title: note: this\n{SAY}"), 4, 14, "put text that holds `: ` in quotes"),
        (flow(f"labels: # ours\n    team: note: this\n{SAY}"), 4, 15, "put text that holds `: ` in quotes"),
        (flow(f"labels:\n  - key: note: this\n{SAY}"), 4, 14, "put text that holds `: ` in quotes"),
        (cron("* 9 * * *"), 10, 12, "A `*` at the start of a value names an anchor; put the value in quotes."),
        (message('"hello {{ flow.id"'), 6, 21, "{{ is not closed. Close it with }}."),
        (message('"hello {{ flow.id }"'), 6, 32, "'}' has no opening bracket. A template ends with `}}`."),
        (message("\"{{ flow.id = 'x' }}\""), 6, 26, "found '='. Two values are compared with `==`."),
        (message("\"{{ 'x' in flow.id }}\""), 6, 22, "found 'in'. Write `list contains value`."),
        (message("\"{{ 'x' not in ['y'] }}\""), 6, 22, "found 'not'. Write `not (list contains value)` for `not in`."),
        (message("\"{{ flow.id matches 'a.*' }}\""), 6, 26, "found 'matches'. Write `value | regexMatch('pattern')`."),
        (message("\"{{ 'in' 'in' }}\""), 6, 23, "an operator but found"),
        (message('"{{ flow.id if true else 1 }}"'), 6, 26, "found 'if'. Write `condition ? value : other`."),
        (message('"body {{ color: red }}"'), 6, 28, "found ':'. Text for other programs that holds {{"),
        (
            message('"{% if true %}a{% else if false %}b{% endif %}"'),
            6,
            37,
            "found 'if'. Write `elseif`.",
        ),
        (message('"{{ len(flow.id) }}"'), 6, 18, "There is no function `len`. Write `value | length`."),
        (message('"{{ upper(flow.id) }}"'), 6, 18, "It is a filter: write `value | upper`."),
        (message('"{{ flow.id | secret }}"'), 6, 28, "It is a function: write `secret(…)`."),
        (message('"{{ flow.id | tojson }}"'), 6, 28, "There is no filter `tojson`. Write `value | toJson`."),
        (message('"{{ flow.id | truncate(9) }}"'), 6, 28, "filter `truncate`. Write `value | abbreviate(100)`."),
        (message('"{{ flow.id | strip }}"'), 6, 28, "There is no filter `strip`. Write `value | trim`."),
        (message('"{{ flow.id | base64 }}"'), 6, 28, "There is no filter `base64`. Write `value | base64encode`."),
        (message('"{{ secrets.TOKEN }}"'), 6, 18, "There is no variable `secrets`. Write `secret('TOKEN')`."),
        (message('"{{ log.value }}"'), 6, 18, "There is no variable `log`. Write `outputs.log.value`."),
        ("namespace: a.b\n" + SAY, 1, 1, "`id` is missing."),
        (flow("tasks:\n"), 3, 1, "`tasks` should be a list, but is empty."),
        (
            flow(f"tasks:\n  log:\n    type: {CORE}.log.Log\n    message: hi\n"),
            3,
            1,
            "should be a list, but is a mapping. Begin each item with `- `, and give it its id: `- id: log`.",
        ),
        (flow(f"variables:\n  - a: 1\n{SAY}"), 3, 1, "but is a list. Write `name: value` in each line, without `- `."),
        (f"id: my flow\nnamespace: a.b\n{SAY}", 1, 1, "begins with a letter or digit. Write for example `my-flow`."),
        (f"id: f\nnamespace: Company.Team\n{SAY}", 2, 1, "Write for example `company.team`."),
        (flow(f"tasks:\n{LOG}    message: a\n    run_if: x\n"), 7, 5, "Did you mean `runIf`?"),
        (
            flow(f"tasks:\n  - id: s\n    type: {CORE}.flow.Subflow\n    flow_id: g\n    namespace: a.b\n"),
            6,
            5,
            "`flowId`?",
        ),
        (flow(f"tasks:\n{LOG}    message: a\n    level: warning\n"), 7, 5, 'is "warning". Did you mean `WARN`?'),
        (
            flow("tasks:\n  - id: log\n    type: core.log.Log\n    message: a\n"),
            5,
            5,
            f"Did you mean '{CORE}.log.Log'?",
        ),
        (cron('"0 0 9 * * *"'), 10, 5, "it has 6 fields, but needs 5"),
        (cron("every day at 9"), 10, 5, "every day at nine is `0 9 * * *`"),
        (cron('"0 9 ? * MON"'), 10, 5, "write `*`"),
        (
            cron('"0 9 * * *"', "    timezone: Berlin\n"),
            11,
            5,
            "there is no time zone 'Berlin'; did you mean `Europe/Berlin`?",
        ),
        (inputs("  name:\n    type: STRING\n"), 3, 1, "should be a list, but is a mapping. Begin each item with `- `"),
        (inputs("  - id: a\n    type: string\n"), 5, 5, "Did you mean `STRING`?"),
        (inputs("  - id: a\n    type: STRING\n    default: x\n"), 6, 5, "Did you mean `defaults`?"),
        (
            inputs("  - id: a\n    type: SELECT\n"),
            4,
            5,
            "has nothing to choose from. Give it `values`, or an `expression`.",
        ),
        (
            flow(
                f"tasks:\n  - id: s\n    type: {CORE}.flow.Switch\n    value: '{{{{ flow.id }}}}'\n    cases:\n"
                f"      '{{{{ flow.namespace }}}}': [{{id: a, type: {CORE}.log.Log, message: hi}}]\n"
            ),
            8,
            7,
            "is compared as it is written: a template in it is not rendered. Compare in an",
        ),
        (
            inputs("  - id: my-name\n    type: STRING\n", f'tasks:\n{LOG}    message: "{{{{ inputs.my-name }}}}"\n'),
            9,
            18,
            "read as minus; write `inputs['my-name']`.",
        ),
        (
            inputs("  - id: who\n    type: STRING\n", f'tasks:\n{LOG}    message: "{{{{ who }}}}"\n'),
            9,
            18,
            "There is no variable `who`. Write `inputs.who`.",
        ),
        (flow(f"{SAY}outputs:\n  - id: a\n    type: STRING\n"), 8, 5, "The output `a` has no `value`"),
        (
            message("[draft] hello"),
            6,
            22,
            "The value that `[` opens has ended before this; put the whole value in quotes.",
        ),
        (
            flow(
                f'tasks:\n{LOG}    message: "{{{{ trigger.boddy }}}}"\ntriggers:\n'
                f"  - {{id: t, type: {CORE}.trigger.Webhook, key: k}}\n"
            ),
            6,
            18,
            "`trigger` has no `boddy`. Did you mean `trigger.body`?",
        ),
        (message("'it' is"), 6, 19, "The value that `'` opens has ended before this"),
        (message("> quoted"), 6, 16, "A `>` or `|` at the start of a value begins a block of text"),
        (message('"C:\\Users"'), 6, 19, "A backslash in"),
        ("id f\nnamespace: a.b\n" + SAY, 1, 3, "A `:` is missing; write `id: f`."),
        (flow("tasks: [\n"), 3, 8, "A `[` is opened but never closed."),
        (
            flow(
                "tasks:\n  - id: a\n    type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook\n    url: u\n"
                '    payload: |\n      {"text": "{{ flow.id }}",\n       "n": {{ 1 + 1 }},}\n'
            ),
            9,
            25,
            "`payload` is not JSON: Expecting property name",
        ),
        (message("'a\x07b'"), 6, 16, "A control character (U+0007) stands in the text"),
        (
            flow(f"tasks:\n  - id: log\n\u00a0   type: {CORE}.log.Log\n    message: hi\n"),
            5,
            1,
            "A special blank (U+00A0) stands in the indentation",
        ),
        (
            flow(f"tasks:\n  - id: a\n    type: {PYTHON}.Script\n    script: |\n      import os\n    print('x')\n"),
            8,
            5,
            "The text that line 6 begins has ended before this line, which is not indented as deep; if it belongs",
        ),
        (
            flow(
                f'tasks:\n  - id: a\n    type: {PYTHON}.Script\n    script: |\n      text = """kind: a\n'
                'name: b\nspec:\n  at: c\n"""\n\n      print(text)\n'
            ),
            8,
            1,
            "The text that line 6 begins has ended before this line, which is not indented as deep; if it belongs to "
            "the text, it and those below begin in column 7.",
        ),
        (
            flow(
                f"tasks:\n  - id: a\n    type: {PYTHON}.Script\n    script: |\n      text = 'kind: a\nname: b\n"
                "that's it\n\n      print(text)\n"
            ),
            8,
            1,
            "it and those below begin in column 7.",
        ),
        (
            flow(f"{SAY}    - id: b\n      type: {CORE}.log.Log\n"),
            7,
            5,
            "A list item stands among keys; it begins in the same column as the dashes",
        ),
        (
            flow(f"tasks:\n  - id: a\n    type: {PYTHON}.Commands\n    script: print(1)\n"),
            6,
            5,
            f"Unknown property `script`. It is a property of `{PYTHON}.Script`.",
        ),
        (
            flow(f"tasks:\n  - id: a\n    type: {PYTHON}.Script\n    commands: [ls]\n"),
            6,
            5,
            f"Unknown property `commands`. It is a property of `{PYTHON}.Commands`.",
        ),
        (
            inputs("  - id: a\n    name: a\n    type: STRING\n"),
            5,
            5,
            "`name` is another name of `id`, which is given already. Leave `name` out.",
        ),
        (dag(a="a"), 8, 9, "Cyclic dependency detected: a One of them must not wait for the others."),
        (dag(a="", b="c", c="b"), 10, 9, "Cyclic dependency detected: b, c One of them"),
        (dag(a="", b="aa"), 10, 9, "Not existing task id in dependency: aa The tasks of this Dag are a, b."),
        (
            flow(f"tasks:\n  - {{id: a, type: “{CORE}.log.Log”, message: hi}}\n"),
            4,
            13,
            f"Did you mean '{CORE}.log.Log'?",
        ),
        (cron('"*/90 * * * *"'), 10, 5, "The minute `*/90` is always 0: minutes start anew after 59. Write `0`"),
        (cron('"0 */36 * * *"'), 10, 5, "The hour `*/36` is always 0: hours start anew after 23. Write `0`"),
        (message("\"{{ secret['A'] }}\""), 6, 18, "There is no variable `secret`. Write `secret('A')`."),
        (
            flow(f"{SAY}pluginDefaults:\n  - {{type: {CORE}.lg.Log, values: {{level: WARN}}}}\n"),
            8,
            6,
            f"No type '{CORE}.lg.Log' is installed. Did you mean '{CORE}.log.Log'?",
        ),
        (
            flow(
                f"tasks:\n  - id: ask\n    type: {CORE}.flow.Pause\n    onResume: [{{id: fine, type: BOOL}}]\n"
                f'{LOG}    message: "{{{{ outputs.ask.onResume.fin }}}}"\n'
            ),
            9,
            18,
            "`ask` does not ask for `fin`. Did you mean `outputs.ask.onResume.fine`?",
        ),
        (
            flow(
                f"tasks:\n  - {{id: sums, type: {CORE}.output.OutputValues, values: {{total: 3}}}}\n"
                f'{LOG}    message: "{{{{ outputs.sums.total }}}}"\n'
            ),
            7,
            18,
            "`sums` has no output `total`. Did you mean `outputs.sums.values.total`?",
        ),
        (
            flow(
                "tasks:\n  - id: a\n    type: io.kestra.plugin.openai.ChatCompletion\n    apiKey: k\n    model: m\n"
                '    messages:\n      - {role: user, content: "{{ flow.id }}", nam: x}\n'
            ),
            9,
            48,
            "Unknown property `nam`. Did you mean `name`?",
        ),
    ],
)
def test_one_slip_gives_one_sentence(text, line, column, sentence):
    (found,) = said(text)
    assert found[:2] == (line, column)
    assert sentence in found[2]


FINE = """
id: 12
namespace: a.b
labels: [{key: team, value: 7}]
variables: {who: Ann, deep: {list: [1, {a: "{{ 1 }}"}]}}
inputs:
  - {id: item, type: STRING, defaults: x}
  - {id: response, type: STRING, required: false}
  - {id: pick, type: SELECT, expression: "{{ ['a', 'b'] }}", required: false}
  - {id: a.b, type: INT, defaults: 1}
tasks:
  - {id: 1, type: io.kestra.plugin.core.log.Log, message: ["{{ item ?? 'none' }}", "{% set who = 'me' %}{{ who }}"]}
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{ range(1, 3) }}"
    tasks:
      - {id: inner, type: io.kestra.plugin.core.log.Log, message: "{% for n in [1] %}{{ n }}{% endfor %}"}
  - id: text
    type: io.kestra.plugin.core.log.Log
    message: |
      key:value and -dash, * star, @at, 12:30:00, {% raw %}{{ who }} ${{ secrets.X }}{% endraw %}
       deeper
    timeout: 30
  - {id: long, type: io.kestra.plugin.core.log.Log, message: 'it''s "quoted": yes', logLevel: WARN, disabled: true}
  - id: &name anchored
    type: io.kestra.plugin.core.debug.Return
    format: *name
triggers:
  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", timezone: Europe/Berlin}
outputs:
  - {id: nothing, type: STRING, required: false}
"""


def test_each_slip_in_a_text_is_told():
    request = f"  - {{id: call, type: {CORE}.http.Request, uri: x}}\n"
    read = "{{ outputs.call.boddy }} {{ outputs.call.hedders }} {{ outputs.call.boddy }}"
    found = said(flow(f'tasks:\n{request}{LOG}    message: "{read}"\n'))
    assert [one[:2] for one in found] == [(7, 18), (7, 43)]


def test_a_wrong_value_does_not_hide_what_else_is_wrong():
    found = said(flow(f'tasks:\n{LOG}    message: "{{{{ inputs.who }}}}"\n    timeout: soon\n'))
    assert [(one[0], one[2].partition(".")[0]) for one in found] == [
        (6, "`inputs"),
        (7, '`timeout` should be a duration such as `PT30S` or `P1D`, but is "soon"'),
    ]


def test_a_name_that_is_only_a_little_like_another_is_not_taken_for_it():
    (found,) = said(flow(f"tasks:\n  - {{id: a, type: {CORE}.log.Log, message: x, query: y}}\n"))
    assert found[2].strip() == "Unknown property `query`. Known here: `level`, `message`."
    (found,) = said(message('"{{ flow.id | pivot(3) }}"'))
    assert found[2].strip() == "There is no filter `pivot`."


def test_a_task_that_has_all_it_needs_is_not_taken_for_another():
    (found,) = said(flow(f"tasks:\n  - {{id: end, type: {CORE}.execution.Fail, executionId: x}}\n"))
    assert found[2].strip() == "Unknown property `executionId`. Known here: `condition`, `errorMessage`."


def test_defaults_for_a_family_of_types_are_told_when_nothing_is_of_it():
    core, aws = f"{{type: {CORE}, values: {{level: WARN}}}}", "{type: io.kestra.plugin.aws, values: {region: r}}"
    text = f"{SAY}pluginDefaults:\n  - {core}\n  - {aws}\n"
    ((line, _, told),) = said(flow(text))
    assert (line, "`io.kestra.plugin.aws`: these defaults change nothing" in told) == (9, True)


@pytest.mark.parametrize(
    "payload",
    [
        '{"a": {{ 1 }}, "b": "x {{ 2 }}"}',
        "{{ flow.id }}",
        "{ {{ x }} }",
        '{"a": [{% for x in [1] %}{% endfor %}]}',
        '{ {{ x }}, "b": "x {{ y ?? "none" }}", "c": {{ z }} }',
        '{"a": {{ {"b": {"c": 1}} | toJson }} }',
        '{# a note #} {"a": 1}',
    ],
)
def test_what_templates_can_make_json_is_no_slip(payload):
    task = "  - {id: a, type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook, url: u}\n"
    text = flow(f"tasks:\n{task.replace('url: u', f'url: u, payload: {payload!r}')}")
    assert not [one for one in said(text) if "JSON" in one[2]]


def test_what_looks_odd_and_is_right():
    assert said(FINE.lstrip()) == []


def test_variables_a_task_sets_are_no_slips():
    set_ = f"{{id: set, type: {CORE}.execution.SetVariables, variables: {{log: 1}}}}"
    read = f'{{id: read, type: {CORE}.log.Log, message: "{{{{ who }}}} {{{{ read.x }}}}"}}'
    assert said(flow(f"inputs: [{{id: who, type: STRING}}]\ntasks:\n  - {set_}\n  - {read}\n")) == []


def test_labels_of_a_trigger_are_those_of_what_it_starts():
    """Whatever a service calls its own labels."""
    for cls in catalogue().classes():
        if issubclass(cls, Trigger):
            assert cls.model_fields["labels"].annotation == Trigger.model_fields["labels"].annotation, cls


def test_properties_that_nothing_here_serves_are_told_beforehand():
    sftp = "  - {id: in, type: io.kestra.plugin.fs.sftp.Trigger, host: h, from: /in, action: NONE, proxyHost: p}\n"
    log = f"  - {{id: l, type: {CORE}.log.Log, message: m}}\n"
    text = flow(f"tasks:\n{log}triggers:\n{sftp}")
    assert [(line, words) for line, _, words in said(text)] == [
        (6, "Files are not exchanged by way of a proxy here. Reach the machine directly."),
    ]
