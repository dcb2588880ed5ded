"""Flows as their authors break them: one slip is one finding, at its place, with what to write."""

import pytest

from tests.core.test_beginners import LOG, SAY, cron, flow, inputs, message, said
from tests.core.test_core_types import CORE

COMMANDS = "  - id: s\n    type: io.kestra.plugin.scripts.shell.Commands\n"
PYTHON = "  - id: p\n    type: io.kestra.plugin.scripts.python.Script\n"
SCHEDULE = f"triggers:\n  - id: t\n    type: {CORE}.trigger.Schedule\n"
SAYS = f"type: {CORE}.log.Log, message: hi"
IF = (
    f"tasks:\n  - id: i\n    type: {CORE}.flow.If\n    condition: '{{{{ flow.id }}}}'\n"
    f"    then:\n      - {{id: a, {SAYS}}}\n"
)
ASK = f"tasks:\n  - id: ask\n    type: {CORE}.flow.Pause\n    onResume: [{{id: fine, type: BOOL}}]\n{LOG}"
NEED = "  - id: who\n    type: STRING\n"


def task(more: str) -> str:
    return flow(f"tasks:\n{LOG}    message: hi\n{more}")


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        (
            flow(f"tasks:\n{LOG}message: hi\n"),
            6,
            1,
            "Unknown property `message`. It is a property of `log`: it begins in the same column as its `id`.",
        ),
        (
            task("    triggers:\n      - {id: t}\n"),
            7,
            5,
            "Unknown property `triggers`. It is a property of the flow: it begins in the same column as the `id`.",
        ),
        (
            task("    retry:\n      type: constant\n      interval: PT1S\n    maxAttempts: 3\n"),
            10,
            5,
            "Unknown property `maxAttempts`. It is a property of `retry`.",
        ),
        (
            task("    retry:\n      type: constant\n      interval: PT1S\n      timeout: PT3S\n"),
            10,
            7,
            "Unknown property `timeout`. It is a property of `log`: it begins in the same column as its `id`.",
        ),
        (
            flow(f"tasks:\n  - id: log\n  - type: {CORE}.log.Log\n  - message: hi\n"),
            5,
            5,
            "Items 1 to 3 of `tasks` are one, with a `- ` before each of its lines. Begin only its first line",
        ),
        (
            task(f"    id: other\n    type: {CORE}.log.Log\n"),
            7,
            5,
            "The key `id` is given twice; it stands in line 4 already. Begin this line with `- ` if it is another",
        ),
        (
            flow(
                f"tasks:\n  - id: d\n    type: {CORE}.flow.Dag\n    tasks:\n"
                f"      - {{id: log, type: {CORE}.log.Log, message: hi}}\n"
            ),
            7,
            9,
            "A task of a Dag stands below `task`. Write `- task:`",
        ),
        (
            inputs("  who: STRING\n"),
            3,
            1,
            "Begin each item with `- `, and give it its id: `- id: who` and below it `type",
        ),
        (
            flow(f"{SAY}pluginDefaults:\n  {CORE}.log.Log:\n    level: INFO\n"),
            7,
            1,
            f"Begin each item with `- `, and give it its type: `- type: {CORE}.log.Log`.",
        ),
        (
            flow(f"{SAY}pluginDefaults:\n  - {{type: {CORE}.log.Log, level: INFO}}\n"),
            8,
            5,
            "Put `level` below `values`.",
        ),
        (message("#general"), 6, 5, "is empty. What stands behind a `#` is a comment: put it in quotes."),
        (
            flow(f'tasks:\n  - id: "{{{{ flow.id }}}}"\n    type: {CORE}.log.Log\n    message: hi\n'),
            4,
            5,
            "Templates are not rendered in an `id`: write plain text.",
        ),
        (f"name: f\nnamespace: a.b\n{SAY}", 1, 1, "Unknown property `name`. Did you mean `id`?"),
        ("", 1, 1, "The file is empty: a flow has `id`, `namespace` and `tasks`."),
        (message("*greeting"), 6, 14, "The alias `*greeting` names no anchor above it; put text that starts with `*`"),
        (
            flow(f"variables:\n  a: &greeting hi\ntasks:\n{LOG}    message: *greetng\n"),
            8,
            14,
            "The alias `*greetng` names no anchor above it; did you mean `*greeting`?",
        ),
        (
            flow(f"tasks:\n{LOG}    message: *a\nvariables:\n  a: &a hi\n"),
            6,
            14,
            "`&a` stands below, in line 8: an anchor stands above its aliases.",
        ),
        (
            flow(f"variables:\n  a: &a hi\n  b: &a ho\n{SAY}"),
            5,
            6,
            "The anchor `&a` is given twice; it stands in line 4 already. Rename one of them.",
        ),
        (
            flow("tasks:\n  - {id: log, type: io.kestra.plugin.core.log.log, message: hi}\n"),
            4,
            15,
            f"Did you mean '{CORE}.log.Log'?",
        ),
        (
            flow(f"{SAY}triggers:\n  - {{id: t, type: Schedule, cron: '@daily'}}\n"),
            8,
            13,
            f"No trigger type 'Schedule' is installed. Did you mean '{CORE}.trigger.Schedule'?",
        ),
        (
            flow(f"{SAY}{SCHEDULE}    expression: '@daily'\n"),
            10,
            5,
            "Unknown property `expression`. Did you mean `cron`?",
        ),
        (flow(f"{SAY}{SCHEDULE}    schedule: '@daily'\n"), 10, 5, "Unknown property `schedule`. Did you mean `cron`?"),
        (cron("daily"), 10, 5, "it has 1 field, but needs 5"),
        (cron("'@daily'", "    timezone: europe/paris\n"), 11, 5, "did you mean `Europe/Paris`?"),
        (cron("'@daily'", "    timezone: Tokyo\n"), 11, 5, "did you mean `Asia/Tokyo`?"),
        (
            flow(f"inputs:\n{NEED}{SAY}{SCHEDULE}    cron: '@daily'\n    inputs: {{hwo: x}}\n"),
            14,
            14,
            "`hwo` is no input of this flow. Did you mean `who`?",
        ),
        (task("    disabled: yes\n"), 7, 5, "`yes` is a text, which Kestra does not take for `true`. Write `true`."),
        (inputs("  - {id: a, type: STRING, required: no}\n"), 4, 27, "Write `false`."),
        (
            flow(f"tasks:\n{COMMANDS}    commands:\n      - echo a: b\n"),
            7,
            9,
            "A `: ` inside a text makes a mapping of it",
        ),
        (flow(f"tasks:\n{COMMANDS}    commands: [ls]\n    image: alpine\n"), 7, 5, "Did you mean `containerImage`?"),
        (
            flow(f"tasks:\n{COMMANDS.replace('Commands', 'Script')}    script:\n      - cd a\n      - ls\n"),
            6,
            5,
            "`script` should be text, but is a list. Write `|` behind its name",
        ),
        (task("    timeout: 10m\n"), 7, 5, 'but is "10m". Write `PT10M`.'),
        (task("    timeout: 1 hour\n"), 7, 5, "Write `PT1H`."),
        (task("    timeout: 01:30:00\n"), 7, 5, "Write `PT1H30M`."),
        (task("    timeout: 2 days\n"), 7, 5, "Write `P2D`."),
        (
            task("    retry: 3\n"),
            7,
            5,
            "Write `type: constant`, `interval: PT10S` and `maxAttempts: 3` below it, indented.",
        ),
        (flow(f"{SAY}concurrency: 1\n"), 7, 1, "Write `limit: 1` below it, indented."),
        (
            flow(f"tasks:\n  - {{id: h, type: {CORE}.http.Request, uri: x, headers: 'A: b'}}\n"),
            4,
            63,
            "`headers` must be a list or a map, or JSON text of one.",
        ),
        (
            flow(
                f"tasks:\n  - id: i\n    type: {CORE}.flow.If\n    condition: '{{{{ flow.id }}}}'\n    tasks:\n"
                f"      - {{id: log, type: {CORE}.log.Log, message: hi}}\n"
            ),
            7,
            5,
            "Unknown property `tasks`. Did you mean `then`?",
        ),
        (
            flow(
                f"tasks:\n  - id: e\n    type: {CORE}.flow.ForEach\n    values: a, b\n    tasks:\n"
                f"      - {{id: log, type: {CORE}.log.Log, message: hi}}\n"
            ),
            6,
            5,
            "`values` is a text, and no list. Write `[a, b]`.",
        ),
        (inputs("  - {id: a, type: INT, min: 10, max: 1, defaults: 5}\n"), 4, 24, "its `min` lies beyond its `max`."),
        (inputs("  - {id: a, type: FLOAT, min: 1.5, max: 1}\n"), 4, 26, "No value fits the input `a`"),
        (inputs("  - {id: a, type: DURATION, min: PT2M, max: PT1M}\n"), 4, 29, "No value fits the input `a`"),
        (
            inputs("  - {id: a, type: DATE, after: 2042-01-02, before: 2042-01-01}\n"),
            4,
            25,
            "its `after` lies beyond its `before`. Exchange the two.",
        ),
        (inputs("  - {id: a, type: DATE, after: soon}\n"), 4, 25, "The bound can't be read: Expected `DATE`"),
        (inputs("  - {id: a, type: BOOLEAN, defaults: yes}\n"), 4, 28, "counts as false: it is the text `yes`."),
        (inputs("  - {id: a, type: MULTISELECT, values: [x], defaults: x}\n"), 4, 45, "Write `[x]`."),
        (
            inputs("  - {id: a, type: SELECT, options: [x]}\n"),
            4,
            27,
            "Unknown property `options`. Did you mean `values`?",
        ),
        (inputs("  - {id: a, type: STRING, optional: true}\n"), 4, 27, "Write `required: false`."),
        (
            inputs("  - {id: aa, type: STRING}\n  - {id: b, type: STRING, dependsOn: {inputs: [a]}}\n"),
            5,
            27,
            "depends on a non-existent input 'a'. Write `aa`.",
        ),
        (
            inputs("  - {id: a, type: STRING}\n  - {id: b, type: STRING, dependsOn: {inputs: a}}\n"),
            5,
            39,
            'should be a list, but is "a". Write `[a]`, or each item',
        ),
        (
            inputs("  - {id: a, type: STRING}\n  - {id: b, type: STRING, dependsOn: a}\n"),
            5,
            27,
            "Write `inputs: [a]` below it, indented.",
        ),
        (
            inputs(
                "  - {id: a, type: STRING, dependsOn: {inputs: [b]}}\n"
                "  - {id: b, type: STRING, dependsOn: {inputs: [a]}}\n"
            ),
            4,
            27,
            "Cycle dependency detected for input with id 'a': [a, b]",
        ),
        (message('"{{ flow.id || flow.id }}"'), 6, 27, "found '|'. Two conditions are joined with `or`; what stands"),
        (
            message('"{{ outputs[{{ flow.id }}] }}"'),
            6,
            37,
            "Inside a template a name stands without braces of its own.",
        ),
        (message('"{{ now( }}"'), 6, 23, "'}' closes what '(' opened. A ')' is missing before it."),
        (message('"{{ vars[“a”] }}"'), 6, 23, "Write plain quotes, ' or \"."),
        (message("\"{{ now() | date('YYYY-MM-DD') }}\""), 6, 26, "Write `yyyy-MM-dd`."),
        (
            flow(f"{IF}    elseif:\n      - {{id: b, type: {CORE}.log.Log, message: b}}\n"),
            9,
            5,
            "Unknown property `elseif`. Put another If into `else`.",
        ),
        (
            flow(f"tasks:\n  - {{id: e, type: {CORE}.flow.ForEach, items: [a], tasks: [{{id: a, {SAYS}}}]}}\n"),
            4,
            55,
            "Unknown property `items`. Did you mean `values`?",
        ),
        (
            flow(f"{ASK}    message: '{{{{ outputs.ask.fine }}}}'\n"),
            9,
            18,
            "`ask` has no output `fine`. Did you mean `outputs.ask.onResume.fine`?",
        ),
        (
            flow(f"{ASK}    message: '{{{{ outputs.ask.onresume.fine }}}}'\n"),
            9,
            18,
            "Did you mean `outputs.ask.onResume.fine`?",
        ),
        (
            flow(
                f"tasks:\n  - {{id: h, type: {CORE}.http.Request, uri: x}}\n"
                f"{LOG}    message: '{{{{ outputs.h.body.name }}}}'\n"
            ),
            7,
            18,
            "`outputs.h.body` is a text, which has no `name`. If it is JSON, write `fromJson(outputs.h.body).name`.",
        ),
        (flow(f"{SAY}outputs:\n  - {{id: o, type: string, value: x}}\n"), 8, 13, "Did you mean `STRING`?"),
        (flow(f"env: {{a: b}}\n{SAY}"), 3, 1, "Unknown property `env`. Did you mean `variables`?"),
        (cron("['0 9 * * *']"), 10, 5, "`cron` should be text, but is a list. Write `0 9 * * *`, which is no list."),
        (cron("'{{ vars.cron }}'"), 10, 5, "templates are not rendered in it"),
        (task("    disabled: '{{ true }}'\n"), 7, 5, "Templates are not rendered here; use `runIf`."),
        (
            flow(f"tasks:\n{COMMANDS.replace('Commands', 'Script')}    script:\n      cd a\n      ls\n"),
            6,
            5,
            "The lines of `script` are joined to one. Write `script: |` to keep them apart.",
        ),
        (
            flow(f"tasks:\n{PYTHON}    script: >\n      import sys\n      print(1)\n"),
            6,
            5,
            "`>` joins lines of `script` that stand below each other. Write `script: |` to keep them apart.",
        ),
        (
            flow(
                f"tasks:\n{COMMANDS}    commands: [python a.py]\n"
                "    inputFiles:\n      a.py: >\n        x = 1\n        y = 2\n"
            ),
            8,
            7,
            "`>` joins lines of `a.py` that stand below each other. Write `a.py: |` to keep them apart.",
        ),
        (flow(f"tasks:\n{COMMANDS}    commands:\n      - docker inspect -f {{{{.State}}}} x\n"), 7, 29, "{% raw %}"),
        (flow(f'tasks:\n{COMMANDS}    commands:\n      - "echo "hi""\n'), 7, 15, 'inside of "…" is written `\\"`;'),
        (message('"{{ flow.id == None }}"'), 6, 29, "There is no variable `None`. Write `null`."),
        ("flow:\n  id: f\n  tasks: []\n", 1, 1, "The flow stands below `flow`. Begin `id`, `namespace` and `tasks` in"),
        (message("? what"), 6, 14, "A `? ` at the start of a value begins a key; put the value in quotes."),
        (message("- item"), 6, 14, "put text that starts with `- ` in quotes."),
        (message("!important"), 6, 14, "Put text that starts with `!` in quotes."),
        (
            flow(
                f"tasks:\n{COMMANDS}    commands: [ls]\n    taskRunner:\n"
                "      type: io.kestra.plugin.scripts.runner.docker.Docker\n    pullPolicy: ALWAYS\n"
            ),
            9,
            5,
            "Unknown property `pullPolicy`. It is a property of `taskRunner`.",
        ),
        (inputs("  - who: STRING\n"), 4, 5, "without its `type`. Write `- id: who` and below it `type: STRING`."),
        (
            flow(f"tasks:\n  - {{id: a, typ: {CORE}.log.Log, message: hi}}\n"),
            4,
            5,
            "without its `type`. Did you mean `type` by `typ`?",
        ),
        (task("    dependsOn: [other]\n"), 7, 5, "Tasks run one after another; in an `io.kestra.plugin.core.flow.Dag`"),
        (task("    loop: [a]\n"), 7, 5, "Put the task into an `io.kestra.plugin.core.flow.ForEach`."),
        (task("    if: '{{ flow.id }}'\n"), 7, 5, "Unknown property `if`. Did you mean `runIf`?"),
        (flow(f"tasks:\n{COMMANDS}    run: [ls]\n"), 6, 5, "Unknown property `run`. Did you mean `commands`?"),
        (
            flow(f"tasks:\n{COMMANDS}    commands: [ls]\n    workingDirectory: /x\n"),
            7,
            5,
            "begin the command with `cd FOLDER && `",
        ),
        (flow(f"tasks:\n{COMMANDS}    commands: [ls]\n    environment: {{}}\n"), 7, 5, "Did you mean `env`?"),
        (
            flow(f"cron: '@daily'\n{SAY}"),
            3,
            1,
            f"Write a trigger of the type `{CORE}.trigger.Schedule` under `triggers`.",
        ),
        (
            inputs(NEED, f"tasks:\n{LOG}    message: '{{{{ inputs.who.first }}}}'\n"),
            9,
            18,
            "The input `who` is a STRING, which has no `first`.",
        ),
    ],
)
def test_one_slip_gives_one_finding(text, line, column, sentence):
    (found,) = said(text)
    assert found[:2] == (line, column)
    assert sentence in found[2]


@pytest.mark.parametrize(
    "text",
    [
        inputs("  - {id: a, type: INT, min: 1, max: 1}\n  - {id: b, type: BOOLEAN, defaults: 'TRUE'}\n"),
        flow(
            f"tasks:\n  - id: e\n    type: {CORE}.flow.ForEach\n    values: '[1, 2]'\n    tasks:\n"
            f"      - {{id: log, type: {CORE}.log.Log, message: 'no'}}\n"
        ),
        flow(f"tasks:\n{COMMANDS.replace('Commands', 'Script')}    script: ls  # all\n"),
        flow(f"tasks:\n{COMMANDS.replace('Commands', 'Script')}    script: >\n      ls\n      -l\n"),
        flow(f"tasks:\n{PYTHON}    script: >\n      if True:\n        x = 1\n        y = 2\n\n      print(x)\n"),
        flow(
            f"tasks:\n  - {{id: h, type: {CORE}.http.Request, uri: x}}\n"
            f"{LOG}    message: '{{{{ outputs.h.body.length }}}} {{{{ outputs.h.headers.date }}}}'\n"
        ),
        flow(f"variables: {{a: &a yes, b: *a, disabled: no}}\n{SAY}"),
    ],
)
def test_what_looks_like_a_slip_and_is_none(text):
    assert said(text) == []
