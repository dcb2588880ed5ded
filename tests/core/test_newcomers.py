"""Flows of people who are new to the language: each fault at its place, with what to do, and nothing false beside."""

import pytest

from tests.core.language import problems
from tests.core.test_core_types import CORE
from tests.core.test_list_items import SAY, SHELL

LOG = f"type: {CORE}.log.Log"
DAG = f"tasks:\n  - id: d\n    type: {CORE}.flow.Dag\n    tasks:\n      - task: {{id: a, {LOG}, message: hi}}\n"
BESIDE = f"      - {{id: e, {LOG}, message: '{{{{ inputs.zz }}}}', dependsOn: [a]}}\n"
PAUSE = (
    f"tasks:\n  - id: ask\n    type: {CORE}.flow.Pause\n    onResume:\n      yes_: {{type: BOOL}}\n      why: STRING\n"
)
READ = f"  - {{id: say, {LOG}, message: '{{{{ outputs.ask.why }}}}'}}\n"
FLOW = f"{SAY}triggers:\n  - {{id: t, type: {CORE}.trigger.Flow, states: [%s]}}\n"
IF = f"tasks:\n  - id: i\n    type: {CORE}.flow.If\n    then: [{{id: say, {LOG}, message: hi}}]\n"
EACH = f"tasks:\n  - id: each\n    type: {CORE}.flow.ForEach\n    tasks: [{{id: say, {LOG}, message: '%s'}}]\n"
PARALLEL = f"tasks:\n  - id: p\n    type: {CORE}.flow.Parallel\n    %s: [%s]\n"
PART = f"{{id: a, {LOG}, message: hi}}"
LIST = SHELL.replace(" [ls]", "")
DIRECTORY = f"tasks:\n  - id: w\n    type: {CORE}.flow.WorkingDirectory\n    tasks:\n      - {PART}\n"


def told(text: str) -> list[tuple[str, str]]:
    return [(one.path, one.suggestion) for one in problems(text)]


TIMED = (
    f"tasks:\n  - {{id: g, type: {CORE}.http.Request, uri: 'https://x.y', options: {{timeout: %s}}}}\n"
    f"  - {{id: l, type: {CORE}.flow.LoopUntil, condition: '{{{{ true }}}}', checkFrequency: %s, tasks: [{PART}]}}\n"
)


@pytest.mark.parametrize(
    ("given", "length"),
    [("30000", "PT30S"), ("1500", "PT1.5S"), ("45", "PT45S"), ("10s", "PT10S"), ("PT1M", "PT1M")],
)
def test_a_length_of_time_is_advised_as_a_duration(given, length):
    assert told(TIMED % (given, given)) == [
        ("tasks[0].options.timeout", f"Write `readIdleTimeout: {length}` below it, indented."),
        ("tasks[1].checkFrequency", f"Write `interval: {length}` below it, indented."),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            DAG + BESIDE,
            [
                ("tasks[0].tasks[1]", "Write `- task:`, below it the task, indented, and `dependsOn` beside `task`."),
                ("tasks[0].tasks[1].message", ""),
            ],
        ),
        (
            PAUSE + READ,
            [
                ("tasks[0].onResume", "Begin each item with `- `, and give it its id: `- id: yes_`."),
                ("tasks[1].message", "Did you mean `outputs.ask.onResume.why`?"),
            ],
        ),
        (FLOW % "COMPLETED", [("triggers[0].states[0]", "Did you mean `SUCCESS`?")]),
        (FLOW % "Failure", [("triggers[0].states[0]", "Did you mean `FAILED`?")]),
        (f"{IF}    if: '{{{{ true }}}}'\n", [("tasks[0].if", "Did you mean `condition`?")]),
        (
            f"{IF}    condition: '{{{{ flow.id == prod }}}}'\n",
            [("tasks[0].condition", "A text stands in quotes: `'prod'`.")],
        ),
        (
            f"tasks:\n  - id: s\n    type: {CORE}.flow.Switch\n    value: '{{{{ flow.id }}}}'\n    cases: {{a: say}}\n",
            [("tasks[0].cases.a", "Write each item as a mapping behind `- `, with `id` and `type`.")],
        ),
        (f"{EACH % 'x'}    values: inputs.hosts\n", [("tasks[0].values", "Write `{{ inputs.hosts }}`.")]),
        (f"{EACH % 'x'}    values: a,b\n", [("tasks[0].values", "Write `[a,b]`.")]),
        (
            f"{EACH % '{{ each.value }}'}    values: [a]\n",
            [("tasks[0].tasks[0].message", "The value of a ForEach is `taskrun.value`.")],
        ),
        (PARALLEL % ("branches", PART), [("tasks[0].branches", "Did you mean `tasks`?")]),
        (PARALLEL % ("tasks", f"[{PART}]"), [("tasks[0].tasks[0]", "Begin it with one `- ` alone.")]),
        (f"{PARALLEL % ('tasks', PART)}    parallelism: 2\n", [("tasks[0].parallelism", "Did you mean `concurrent`?")]),
        (
            f"{DIRECTORY}      - {{id: p, type: {CORE}.flow.Parallel, tasks: [{PART.replace('id: a', 'id: b')}]}}\n",
            [("tasks[0].tasks", "Put `p`, of the type Parallel, before it or behind it.")],
        ),
        (
            f"{SHELL}    namespaceFiles: [a/**]\n",
            [("tasks[0].namespaceFiles", "Write `include:` below it, indented, and the list below that.")],
        ),
        (
            f"{SHELL}    namespaceFiles: {{files: [a]}}\n",
            [("tasks[0].namespaceFiles.files", "Did you mean `include`?")],
        ),
        (f"{SHELL}    docker: alpine\n", [("tasks[0].docker", "Write `image: alpine` below it, indented.")]),
        (
            f"tasks:\n  - {{id: g, type: {CORE}.http.Request, uri: 'https://x.y', headers: 'A: b'}}\n",
            [("tasks[0].headers", "Write each as `name: value` below it, indented.")],
        ),
        (
            f"tasks:\n  - {{id: a, {LOG}, message: hi, when: on_failure}}\n",
            [("tasks[0].when", "Write a template, such as `{{ inputs.name == 'value' }}`.")],
        ),
        (
            f"{SAY}checks: [{{condition: '{{{{ true }}}}', message: no, severity: ERROR}}]\n",
            [("checks[0].severity", "Did you mean `style`?")],
        ),
        (f"{SAY}always: [{PART}]\n", [("always", "Did you mean `finally`?")]),
        (
            f"tasks:\n  - {{id: ok, type: {CORE}.flow.Approval, approvers: [ann]}}\n",
            [("tasks[0].approvers", "Who may answer stands under `approvals` in parley.yaml.")],
        ),
    ],
)
def test_what_is_meant_is_told(text, expected):
    assert told(text) == expected


CHOICE = "inputs: [{id: env, type: SELECT, values: [dev, prod]%s}]\n"
SWITCH = (
    f"tasks:\n  - id: s\n    type: {CORE}.flow.Switch\n    value: '%s'\n"
    f"    cases:\n      dev: [{{id: a, {LOG}, message: hi}}]\n      %s: [{{id: b, {LOG}, message: hi}}]\n"
)
CALL = (
    f"tasks:\n  - {{id: call, type: {CORE}.flow.Subflow, namespace: a.b, flowId: c}}\n"
    f"  - {{id: say, {LOG}, message: '{{{{ outputs.call.%s }}}}'}}\n"
)
TYPED = "inputs: [{id: go, type: BOOL}, {id: n, type: INT}, {id: s, type: STRING}]\n"
WHEN = f'{TYPED}tasks:\n  - {{id: say, {LOG}, message: hi, runIf: "{{{{ %s }}}}"}}\n'


@pytest.mark.parametrize(
    ("text", "path", "advice"),
    [
        (CHOICE % "" + SWITCH % ("{{ inputs.env }}", "Prod"), "tasks[0].cases.Prod", "Did you mean `prod`?"),
        (CHOICE % "" + SWITCH % ("{{inputs.env}}", "default"), "tasks[0].cases.default", "`defaults` beside `cases`."),
        (CHOICE % "" + SWITCH % ("{{ inputs.env }}", "x"), "tasks[0].cases.x", "It is one of dev, prod."),
        (CHOICE % "" + SWITCH % ("inputs.env", "prod"), "tasks[0].value", "Write `{{ inputs.env }}`."),
        (CALL % "executionID", "tasks[1].message", "Did you mean `outputs.call.executionId`?"),
        (CALL % "total", "tasks[1].message", "What the flow hands on is in `outputs.call.outputs`."),
        (WHEN % "inputs.go == 'true'", "tasks[0].runIf", "Write `inputs.go`."),
        (WHEN % "'false' == inputs.go", "tasks[0].runIf", "Write `not inputs.go`."),
        (WHEN % "inputs.go != 'true'", "tasks[0].runIf", "Write `not inputs.go`."),
        (WHEN % "inputs.n == '3'", "tasks[0].runIf", "Write `3` without quotes."),
        (
            f"tasks:\n  - {{id: say, {LOG}, message: hi, runIf: '{{{{ flow.id }}}} = prod'}}\n",
            "tasks[0].runIf",
            "Put all of it between one {{ and }}.",
        ),
        (
            f"tasks:\n  - {{id: g, type: {CORE}.http.Request, uri: 'https://x.y', headers: {{A: secret('T')}}}}\n",
            "tasks[0].headers.A",
            "Write `{{ secret('T') }}` for its value.",
        ),
        (f"{SAY}inputs: [{{id: f, type: FILE, defaults: a.csv}}]\n", "inputs[0].defaults", "one of the namespace."),
    ],
)
def test_what_can_never_be_is_told(text, path, advice):
    ((where, said),) = told(text)
    assert where == path
    assert said.endswith(advice)


@pytest.mark.parametrize(
    "text",
    [
        CHOICE % ", required: false" + SWITCH % ("{{ inputs.env }}", "other"),
        CHOICE % ", allowCustomValue: true" + SWITCH % ("{{ inputs.env }}", "other"),
        CHOICE % "" + SWITCH % ("{{ inputs.env | upper }}", "PROD"),
        CHOICE % "" + SWITCH % ("{{ inputs.env }}", "prod"),
        *(CALL % name for name in ("executionId", "state", "outputs.total", "outputs")),
        *(
            WHEN % one
            for one in ("inputs.go == true", "inputs.s == 'true'", "inputs.n == 3", "inputs.go", "inputs.s == '3'")
        ),
        f"tasks:\n  - {{id: say, {LOG}, message: \"a = {{{{ flow.id }}}} and secret('T')\"}}\n",
    ],
)
def test_what_may_be_is_left_alone(text):
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        (
            f'tasks:\n  - id: a\n    {LOG}\n    message: "He said "hi" to all"\n',
            6,
            23,
            'inside of "…" is written `\\"`',
        ),
        (f"tasks:\n  - id: a\n    {LOG}\n    message: hi\n   - id: b\n     {LOG}\n", 7, 4, "here probably 3."),
        (f"tasks:\n  - id: a\n    {LOG}\n   message: hi\n", 6, 4, "here probably 5."),
        (
            DAG.replace("task: {", "task:\n            {").replace("}\n", "}\n          dependsOn: [b]\n"),
            9,
            11,
            "here probably 9 or 13.",
        ),
        (f'{LIST}      - echo "at: {{{{ flow.id }}}}"\n', 7, 9, "the whole text in quotes, '…'."),
        (f"{LIST}      - echo 'at: {{{{ flow.id }}}}' | cat\n", 7, 9, 'in quotes, "…".'),
        ('tasks:\n  - {id: a}\n    message: say "at: {{ flow.id }}"\n', 5, 14, "'say \"at: {{ … }}'."),
        (f"{LIST}      - f \"at: {{{{ kv('a') }}}}\"\n", 7, 9, "write `- |`, and the text below it."),
    ],
)
def test_text_that_is_no_yaml_is_told_where_and_how(text, line, column, sentence):
    (one,) = problems(text)
    assert (one.line, one.column) == (line, column)
    assert sentence in one.message


@pytest.mark.parametrize(
    "text",
    [
        f"tasks:\n  - {{id: a, {LOG}, message: hi, runIf: \"{{{{ flow.id == 'prod' }}}}\"}}\n",
        DIRECTORY,
        f"{DAG}      - {{task: {{id: e, {LOG}, message: hi}}, dependsOn: [a]}}\n",
        f"{SHELL}    namespaceFiles: {{include: [a/**]}}\n",
        f"{EACH % '{{ taskrun.value }}'}    values: '{{{{ [1, 2] }}}}'\n",
    ],
)
def test_what_is_right_is_left_alone(text):
    assert told(text) == []


HTTP = f"tasks:\n  - {{id: g, type: {CORE}.http.Request, uri: '%s'}}\n"
FILES = "tasks:\n  - {id: w, type: io.kestra.plugin.scripts.shell.Commands, commands: [ls], outputFiles: [a.txt]}\n"
TAKES = "  - {id: r, type: io.kestra.plugin.scripts.shell.Commands, commands: [ls], inputFiles: %s}\n"
RETRIED = f"tasks:\n  - {{id: a, {LOG}, message: hi, retry: {{maxAttempts: 2, interval: PT1S%s}}}}\n"
ITSELF = "inputs: [{id: a, type: STRING, defaults: '{{ vars.x }}'}]\nvariables: {x: '{{ inputs.%s }}'}\n"


@pytest.mark.parametrize(
    ("text", "severity", "path", "advice"),
    [
        (HTTP % "example.com/x", "warning", "tasks[0].uri", "Write `https://example.com/x`."),
        (HTTP % "localhost:8080", "warning", "tasks[0].uri", "Write `https://localhost:8080`."),
        (HTTP % "x.y.z/{{ flow.id }}", "warning", "tasks[0].uri", "Write `https://x.y.z/{{ flow.id }}`."),
        (HTTP % "ftp://example.com", "warning", "tasks[0].uri", "Begin it with `https://`."),
        (FILES + TAKES % "{b.txt: {x: 1}}", "warning", "tasks[1].inputFiles.b.txt", "what stands below it is its text"),
        (
            FILES + TAKES % "[b.txt: '{{ flow.id }}']",
            "warning",
            "tasks[1].inputFiles",
            "Write `name: text` in each line",
        ),
        (
            HTTP % "https://x.y', headers: ['A: {{ 1 }}'], body: '",
            "warning",
            "tasks[0].headers",
            "Write `name: value` in",
        ),
        (FILES.replace("outputFiles", "env"), "error", "tasks[0].env", "Write `name: value` in each line"),
        (FILES.replace("outputFiles: [a.txt]", "env: ['A={{ 1 }}']"), "warning", "tasks[0].env", "Write `name: value`"),
        (
            f"tasks:\n  - {{id: k, type: {CORE}.kv.Set, key: my key, value: x}}\n",
            "warning",
            "tasks[0].key",
            "Write for example `my-key`.",
        ),
        (
            f"{SAY}outputs: [{{id: o, type: STRING, value: flow.id}}]\n",
            "hint",
            "outputs[0].value",
            "Write `{{ flow.id }}` for its value.",
        ),
        (
            f"{SAY}inputs: [{{id: a, type: SELECT, expression: kv('x')}}]\n",
            "hint",
            "inputs[0].expression",
            "Write `{{ kv('x') }}` for its value.",
        ),
        (FILES + TAKES % "{b.txt: [1]}", "warning", "tasks[1].inputFiles.b.txt", "what stands below it is its text"),
        (
            FILES + TAKES % "{b.txt: '{{ outputs.w.outputFiles }}'}",
            "hint",
            "tasks[1].inputFiles.b.txt",
            "Write `outputs.w.outputFiles['b.txt']` for one of them.",
        ),
        (RETRIED % "", "hint", "tasks[0].retry.type", "Add `type: constant`."),
        (ITSELF % "a" + SAY, "hint", "inputs[0].defaults", "It reads this very input: write a default that does not."),
    ],
)
def test_what_a_run_would_refuse_is_told(text, severity, path, advice):
    [found] = problems(text)
    assert (found.severity, found.path) == (severity, path)
    assert advice in found.suggestion


@pytest.mark.parametrize(
    "text",
    [
        *(
            HTTP % one
            for one in ("{{ flow.id }}/x", "http{{ flow.id }}://x.y", "HTTPS://x.y", " https://x.y", "https://{{ 1 }}")
        ),
        FILES + TAKES % "{b.txt: \"{{ outputs.w.outputFiles['a.txt'] }}\"}",
        FILES + TAKES % "'{{ outputs.w.outputFiles }}'",
        RETRIED % ", type: constant",
    ],
)
def test_what_a_run_takes_is_left_alone(text):
    assert told(text) == []


GIT = "tasks:\n  - {id: c, type: io.kestra.plugin.git.%s, url: 'https://x.y', %s}\n"
TRIGGERED = f"{SAY}triggers:\n  - {{id: t, type: {CORE}.trigger.%s}}\n"
CHOSEN = f"{SAY}inputs:\n  - {{id: a, type: %s}}\n"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (GIT % ("Clone", "token: x"), "Did you mean `password`?"),
        (GIT % ("SyncFlows", "targetNamespace: a.b, path: _flows"), "Did you mean `gitDirectory`?"),
        (
            f"tasks:\n  - {{id: g, type: {CORE}.http.Request, uri: 'https://x.y', options: {{verify: false}}}}\n",
            "Write `insecureTrustAllCertificates: true` below `ssl`, indented.",
        ),
        (
            f"tasks:\n  - {{id: s, type: {CORE}.flow.Subflow, namespace: a, flowId: b, waitForCompletion: true}}\n",
            "Did you mean `wait`?",
        ),
        (TRIGGERED % "Flow, namespace: a.b", "Write `flows` below `preconditions`, indented."),
        (
            TRIGGERED % "Flow, preconditions: {id: p, timeWindow: PT1H}",
            "Write `type: DURATION_WINDOW` and `window: PT1H` below it, indented.",
        ),
        (
            TRIGGERED % "Schedule, cron: '0 9 * * *', conditions: '{{ trigger.date }}'",
            'Write `when: "{{ trigger.date }}"` in its place.',
        ),
        (
            TRIGGERED % "Schedule, cron: '0 9 * * *', conditions: ['{{ trigger.date }}']",
            'Write `when: "{{ trigger.date }}"` beside `conditions`, or in their place.',
        ),
        (CHOSEN % "SELECT, values: '{{ vars.x ?? [] }}'", 'Write `expression: "{{ vars.x ?? [] }}"` in its place.'),
        (CHOSEN % "INT, maximum: 3", "Did you mean `max`?"),
        (CHOSEN % "STRING, label: x", "Did you mean `displayName`?"),
        (
            f"tasks:\n  - {{id: say, {LOG}, message: '{{{{ now() | date(yyyy-MM-dd) }}}}'}}\n",
            "A pattern of dates stands in quotes: `date('yyyy-MM-dd')`.",
        ),
        (
            f"tasks:\n  - {{id: say, {LOG}, message: '{{{{ execution.status }}}}'}}\n",
            "Did you mean `execution.state`?",
        ),
    ],
)
def test_words_of_other_places_are_told_by_the_name_here(text, advice):
    assert [one.suggestion for one in problems(text)] == [advice]


def test_a_part_of_a_payload_is_told_as_one():
    webhook = "io.kestra.plugin.discord.DiscordIncomingWebhook"
    found = told(f"tasks:\n  - {{id: d, type: {webhook}, url: 'https://x.y', content: hi}}\n")
    assert ("tasks[0].content", 'It is a part of the `payload`, which is JSON: `{"content": …}`.') in found


def test_a_schedule_as_in_go_is_told_as_cron():
    [found] = problems(TRIGGERED % "Schedule, cron: '@every 5m'")
    assert found.message.endswith("write `*/5 * * * *`")
