"""Flows as hands used to other tools, keyboards and alphabets write them: each slip is told once, with the way out."""

import pytest

from tests.core.test_author_slips import SCHEDULE, task
from tests.core.test_beginners import LOG, SAY, cron, flow, inputs, message, said
from tests.core.test_core_types import CORE

SHELL = "  - id: s\n    type: io.kestra.plugin.scripts.shell.Commands\n"
PYTHON = "  - id: p\n    type: io.kestra.plugin.scripts.python.Script\n"
REQUEST = f"  - {{id: r, type: {CORE}.http.Request, uri: x}}\n"
BARE = f"  - id: r\n    type: {CORE}.http.Request\n"
CALL = f"{BARE}    uri: x\n"
SLACK = "  - id: p\n    type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook\n    url: x\n"
SWITCH = f"  - id: i\n    type: {CORE}.flow.Switch\n    value: '{{{{ flow.id }}}}'\n"
EACH = f"  - id: e\n    type: {CORE}.flow.ForEach\n    values: [a]\n"
RETRY = "    retry:\n      type: constant\n      interval: PT1S\n      maxAttempts: 3\n"


def typed(kind: str, more: str = "message: hi") -> str:
    return flow(f"tasks:\n  - id: log\n    type: {kind}\n    {more}\n")


def asked(more: str) -> str:
    return inputs(f"  - {{id: a, {more}}}\n")


def output(name: str) -> str:
    return flow(f"tasks:\n{REQUEST}{LOG}    message: '{{{{ outputs.r.{name} }}}}'\n")


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        # Columns, tabs and signs
        (flow(f"tasks:\n\t- id: log\n\t  type: {CORE}.log.Log\n"), 4, 1, "A tab stands in the indentation"),
        (flow(f"tasks:\n  -\tid: log\n    type: {CORE}.log.Log\n"), 4, 4, "A tab stands where YAML wants blanks."),
        (
            flow(f"{SAY}  triggers:\n  - {{id: t, type: {CORE}.trigger.Schedule, cron: '@daily'}}\n"),
            7,
            3,
            "`triggers` begins in the column of the dashes above it: a property of the last item begins in column 5, "
            "one of what holds the list in column 1.",
        ),
        (flow(f"{SAY}{RETRY.replace('    retry', '  retry')}"), 7, 3, "a property of the last item begins in column 5"),
        (flow(f"inputs:\n- id: a\ntype: STRING\n{SAY}"), 5, 1, "Unknown property `type`. It is a property of `a`"),
        (
            flow(f"tasks:\n  – id: log\n    type: {CORE}.log.Log\n"),
            4,
            3,
            "`–` is no `-`: an item begins with a plain `- `.",
        ),
        (
            flow(f"tasks:\n  - id： log\n    type: {CORE}.log.Log\n"),
            4,
            7,
            "`：` is no `:`: write a plain `:` and a blank.",
        ),
        (typed(f"{CORE}.log.Log").replace("type: ", "type:\u00a0"), 5, 10, "blank (U+00A0) stands behind the `:`"),
        (f"// a flow\n{flow(SAY)}", 1, 1, "`//` begins no comment here: write `#`."),
        (f"```yaml\n{flow(SAY)}```\n", 1, 1, "The fence of a block of Markdown is no part of the flow"),
        (message("'it's'"), 6, 17, "A `'` inside of '…' is written `''`; or put the text in \"…\"."),
        (message("`hi`"), 6, 14, "A value can't start with a backtick; put it in quotes."),
        (
            flow(f"tasks:\n  - {{id: a, type: {CORE}.log.Log, message: #general}}\n"),
            4,
            59,
            "Behind a blank a `#` begins a comment: put text that holds one in quotes.",
        ),
        (message('"C:\\temp\\a.csv"'), 6, 5, '`\\t` is no part of a path here: a backslash in "…" starts an escape.'),
        (message('"C:\\Users"'), 6, 19, 'A backslash in "…" starts an escape'),
        (flow(f"tasks:\n{LOG}    mesage: hi\n").replace("\n", "\r\n"), 6, 5, "Did you mean `message`?"),
        (f"\ufeff{flow(SAY)}message: hi\n", 7, 1, "Unknown property `message`."),
        # Alphabets and case
        (flow(f"tasks:\n  - {{id: größe, type: {CORE}.log.Log, message: hi}}\n"), 4, 6, "Write for example `grosse`."),
        (typed("io.kestra.plugin.core.lоg.Log"), 5, 5, "Did you mean 'io.kestra.plugin.core.log.Log'?"),
        (typed("io.kestra.plugin.Core.log.Log"), 5, 5, "Did you mean 'io.kestra.plugin.core.log.Log'?"),
        (typed("io.kestra.plugin.core.log.Log."), 5, 5, "Did you mean 'io.kestra.plugin.core.log.Log'?"),
        (flow(f"trigger:\n  - {{id: t, type: {CORE}.trigger.Webhook, key: a}}\n{SAY}"), 3, 1, "mean `triggers`?"),
        (message("'{{ inputs[‘a’] }}'"), 6, 25, "Write plain quotes, ' or \"."),
        # Keys, lists and anchors
        (flow(f"{SAY}{LOG}    message: ho\n"), 7, 5, "Rename one of them, and what refers to it."),
        (flow(f"x-defaults: &d\n  level: INFO\n{SAY}"), 3, 1, "what anchors need stands under `variables`."),
        (
            flow(f"tasks:\n  - log:\n      type: {CORE}.log.Log\n      message: hi\n"),
            4,
            5,
            "Write `- id: log`, and what stands below it in the column of that `id`.",
        ),
        (asked("type: SELECT, values: {a: b}"), 4, 27, "Begin each value with `- `."),
        (asked("type: STRING, default: x"), 4, 27, "Did you mean `defaults`?"),
        (asked("type: DROPDOWN, values: [a]"), 4, 13, "Did you mean `SELECT`?"),
        (asked("type: DATE, defaults: 01/02/2024"), 4, 25, "write it as `2042-12-03`."),
        (asked("type: DURATION, defaults: 5m"), 4, 29, "write it as `PT30S`, `PT10M`"),
        (flow(f"tasks:\n{EACH}{LOG}    message: hi\n"), 4, 5, "Below it, indented, stand the tasks that it runs."),
        (flow(f"tasks:\n{SWITCH}    cases:\n      - a: []\n"), 7, 5, "`cases` should be a mapping, but is a list."),
        (
            flow(f"tasks:\n{CALL}    headers:\n      - Accept: a\n"),
            7,
            5,
            "Write `name: value` in each line, without `- `.",
        ),
        (flow(f"tasks:\n{CALL}    json: {{a: 1}}\n"), 7, 5, "Did you mean `body`?"),
        (flow(f"tasks:\n{CALL}    method: post\n"), 7, 5, "Did you mean `POST`?"),
        (flow(f"tasks:\n{CALL.replace('uri', 'url')}"), 6, 5, "Did you mean `uri`?"),
        (flow(f"tasks:\n{SLACK}    message: hi\n"), 7, 5, "Did you mean `messageText`?"),
        (flow(f"tasks:\n{LOG}    msg: hi\n"), 6, 5, "Did you mean `message`? It is missing."),
        (flow(f"tasks:\n{BARE}    target: http://a\n"), 6, 5, "Did you mean `uri`? It is missing."),
        (flow(f"tasks:\n{SHELL}    command: ls\n"), 6, 5, "Did you mean `commands`?"),
        (flow(f"tasks:\n{PYTHON}    script: a\n    requirements: [b]\n"), 7, 5, "Did you mean `dependencies`?"),
        (task(RETRY.replace("interval", "delay")), 9, 7, "Did you mean `interval`?"),
        (task("    level: WARNING\n"), 7, 5, "Did you mean `WARN`?"),
        (cron("'0 0 9 * * *'"), 10, 5, "it has 6 fields, but needs 5"),
        (cron("every day"), 10, 5, "every day at nine is `0 9 * * *`"),
        (flow(f"{SAY}{SCHEDULE}    cron: * * * * *\n"), 10, 12, "put the value in quotes."),
        # Templates of other tools
        (
            message("'${{ github.sha }}'"),
            6,
            19,
            "What started the run is in `trigger`, for a Webhook in `trigger.body`.",
        ),
        (message("'${{ matrix.os }}'"), 6, 19, "Run the task in a ForEach, and write `taskrun.value`."),
        (message("'{{ steps.build.outputs.tag }}'"), 6, 18, "Write `outputs.build.tag`."),
        (message("'{{ ds }}'"), 6, 18, "Write `trigger.date | date('yyyy-MM-dd')`."),
        (message("'{{ execution_date }}'"), 6, 18, "Write `trigger.date`."),
        (message("'{{ dag_run.conf }}'"), 6, 18, "Write `execution.id`; what a run is given is in `inputs`."),
        (message("'{{ $json.body }}'"), 6, 18, "Names stand without a `$`."),
        (message("'{{ flow.id == True }}'"), 6, 29, "Write `true`."),
        (message("\"{{ 'a' if flow.id else 'b' }}\""), 6, 22, "Write `condition ? value : other`."),
        (message("\"{{ f'{flow.id}' }}\""), 6, 19, "Expected '}}' or an operator"),
        (message("'{{ flow.id | upper() ?? }}'"), 6, 39, "The template can't be read"),
        (message("'{{ inputs.my-name }}'"), 6, 18, "`inputs.my` names no input of this flow."),
        (message("'{{ flow.name }}'"), 6, 18, "`flow` has no `name`. Did you mean `flow.id`?"),
        (output("statusCode"), 7, 18, "`r` has no output `statusCode`. Did you mean `outputs.r.code`?"),
        (output("body.id"), 7, 18, "If it is JSON, write `fromJson(outputs.r.body).id`."),
        (
            flow(
                f"tasks:\n{EACH}    tasks:\n      - {{id: x, type: {CORE}.log.Log, message: '{{{{ each.value }}}}'}}\n"
            ),
            8,
            67,
            "The value of a ForEach is `taskrun.value`.",
        ),
    ],
)
def test_a_habit_is_told_once_and_in_its_place(text, line, column, sentence):
    found = said(text)
    assert [one[:2] for one in found] == [(line, column)], found
    assert sentence in found[0][2]


def test_a_realtime_trigger_has_no_interval_and_what_it_lacks_is_told_beside():
    listens = "  - {id: t, type: io.kestra.plugin.azure.eventhubs.RealtimeTrigger, eventHubName: a, interval: PT10S}\n"
    found = {one for _, _, one in said(flow(f"{SAY}triggers:\n{listens}"))}
    assert "Unknown property `interval`. It hears each message as it comes: leave `interval` out." in found
    assert any(one.startswith("`namespace` is missing.") for one in found)


def test_a_task_among_the_outputs_is_told_once():
    found = said(flow(f"{SAY}outputs:\n  - id: o\n    type: {CORE}.log.Log\n    message: hi\n    level: INFO\n"))
    assert found == [
        (
            9,
            5,
            f"Item 1 of `outputs` is of the type `{CORE}.log.Log`, which outputs don't have. "
            "A task stands under `tasks`; an output has an `id`, a `type` such as `STRING`, and a `value`.",
        )
    ]


def test_the_name_of_a_file_is_not_taken_for_the_script():
    found = said(flow(f"tasks:\n{PYTHON}    file: main.py\n"))
    assert [one[2].partition(".")[0] for one in found] == ["`script` is missing", "Unknown property `file`"]


def test_a_word_is_not_taken_for_an_address():
    found = said(flow(f"tasks:\n{BARE}    kind: FAST\n"))
    assert [one[2].partition(".")[0] for one in found] == ["`uri` is missing", "Unknown property `kind`"]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{flow(SAY)}",
        flow(SAY).replace("\n", "\r\n"),
        f"---\n{flow(SAY)}...\n",
        message("“hi” – it costs 5 $"),
        message("C:\\temp\\a.csv"),
        message("'C:\\temp\\a.csv'"),
        message('"a:\\tb\\nc:\\td"'),
        message("|\n      ```\n      // code\n      – dash\n      ```\n"),
        flow(f"variables:\n  d: &d {{level: INFO}}\ntasks:\n{LOG}    message: hi\n    <<: *d\n"),
        flow(f"tasks:\n- id: log\n  type: {CORE}.log.Log\n  message: hi\n"),
    ],
)
def test_what_is_right_is_left_alone(text):
    assert said(text) == []
