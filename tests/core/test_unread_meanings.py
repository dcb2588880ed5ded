"""What a flow says and cannot mean: outputs that no task hands on, names of other tools, texts that are none."""

import pytest

from tests.core.test_author_slips import task
from tests.core.test_beginners import LOG, SAY, flow, inputs, message, said
from tests.core.test_core_types import CORE

QUERY = "  - id: q\n    type: io.kestra.plugin.jdbc.duckdb.Query\n    sql: SELECT 1\n"
AGENT = (
    "  - id: a\n    type: io.kestra.plugin.ai.agent.AIAgent\n    prompt: hi\n"
    "    provider: {type: io.kestra.plugin.ai.provider.OpenAI, apiKey: x, modelName: y}\n"
)
SHELL = "  - id: s\n    type: io.kestra.plugin.scripts.shell.Commands\n"
JIRA = "  - id: j\n    type: io.kestra.plugin.jira.issues.Create\n"
WEBHOOK = f"triggers:\n  - {{id: w, type: {CORE}.trigger.Webhook, key: abc}}\n"
DAILY = f"triggers:\n  - id: t\n    type: {CORE}.trigger.Schedule\n    cron: '@daily'\n"
RETURN = f"      - {{id: r, type: {CORE}.debug.Return, format: x}}\n"
EACH = f"  - id: each\n    type: {CORE}.flow.ForEach\n    values: [{{name: a}}]\n    tasks:\n{RETURN}"
SLACK = "  - id: s\n    type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook\n    url: https://x.test\n"


def each(template: str, loop: str = "ForEach") -> str:
    return flow("tasks:\n" + EACH.replace("ForEach", loop).replace("format: x", f"format: '{template}'"))


def reads(tasks: str, template: str) -> str:
    return flow(f"tasks:\n{tasks}{LOG}    message: '{{{{ {template} }}}}'\n")


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        (
            flow(f"{SAY}outputs:\n  - result: x\n"),
            8,
            5,
            "Unknown property `result`. Write `- id: result`, and below it `value: x`.",
        ),
        (
            flow(f"{SAY}outputs:\n  - result: '{{{{ flow.id }}}}'\n    type: STRING\n"),
            8,
            5,
            "Write `- id: result`, and its `value` below it.",
        ),
        (
            flow(f"tasks:\n  - {{id: p, type: {CORE}.flow.Pause, delay: 5m}}\n"),
            4,
            53,
            'but is "5m". Write `PT5M`. `delay` is an older name of `pauseDuration`.',
        ),
        (
            flow(f"tasks:\n{SHELL}    commands: [ls]\n    runner: docker\n"),
            7,
            5,
            "Did you mean `DOCKER`? `runner` is an older form of `taskRunner.type`.",
        ),
        (
            message("'{{ trigger.payload.x }}'") + WEBHOOK,
            6,
            18,
            "`trigger` has no `payload`. Did you mean `trigger.body`?",
        ),
        (
            message("'{{ trigger.query.x }}'") + WEBHOOK,
            6,
            18,
            "`trigger` has no `query`. Did you mean `trigger.parameters`?",
        ),
        (
            message("'{{ trigger.scheduledDate }}'") + DAILY,
            6,
            18,
            "`trigger` has no `scheduledDate`. Did you mean `trigger.date`?",
        ),
        (message("'run of { flow.id }'"), 6, 22, "`{ flow.id }` is plain text. Write `{{ flow.id }}` for its value."),
        (
            inputs("  - {id: a, type: STRING}\n", f"tasks:\n{LOG}    message: hi ${{inputs.a}}\n"),
            8,
            17,
            "`${inputs.a}` is plain text. Write `{{ inputs.a }}` for its value.",
        ),
        (
            flow(f"tasks:\n{SHELL}    commands: ls\n"),
            6,
            5,
            "`commands` is one text, where Kestra wants a list. Begin each command with `- `.",
        ),
        (
            flow(f"tasks:\n{SHELL}    beforeCommands: |\n      ls\n      pwd\n    commands: [ls]\n"),
            6,
            5,
            "`beforeCommands` is one text, where Kestra wants a list.",
        ),
        (
            reads(EACH, "outputs.each.value"),
            11,
            18,
            "`each` has no outputs of its own; each of its tasks has. Read those of a task in it, such as `outputs.r`,",
        ),
        (reads(EACH, "outputs.each.r.value"), 11, 18, "Write `outputs.r['a value'].value`."),
        (reads(EACH, "outputs.each"), 11, 18, "such as `outputs.r`, which has them by value."),
        (
            reads(f"{QUERY}    fetchType: STORE\n", "outputs.q.rows"),
            10,
            18,
            "`q` hands on no `rows`: its `fetchType` is `STORE`. Write `fetchType: FETCH`, or read `outputs.q.uri`.",
        ),
        (
            reads(f"{QUERY}    fetchType: FETCH\n", "outputs.q.uri"),
            10,
            18,
            "Write `fetchType: STORE`, or read `outputs.q.rows`.",
        ),
        (reads(QUERY, "outputs.q.rows"), 9, 18, "its `fetchType` is `NONE`. Write `fetchType: FETCH`."),
        (
            reads(QUERY.replace("Query", "Queries"), "outputs.q.rows"),
            9,
            18,
            "`q` has no output `rows`. Did you mean `outputs.q.outputs[0].rows`?",
        ),
        (
            flow(f"inputs:\n  - {{id: who, type: STRING}}\n{SAY}{DAILY}    inputs: {{name: x}}\n"),
            13,
            14,
            "`name` is no input of this flow. Did you mean `who`?",
        ),
        (
            flow(f"{SAY}pluginDefaults:\n  - {{type: {CORE}.http.Request, values: {{uri: x}}}}\n"),
            8,
            6,
            f"of the type `{CORE}.http.Request`: these defaults change nothing. Leave them out.",
        ),
        (
            flow(
                f"tasks:\n{QUERY.replace('Query', 'Queries')}pluginDefaults:\n"
                "  - {type: io.kestra.plugin.jdbc.duckdb.Query, values: {fetchType: FETCH}}\n"
            ),
            8,
            6,
            "change nothing. Did you mean `io.kestra.plugin.jdbc.duckdb.Queries`?",
        ),
        (
            flow(
                f'tasks:\n{SLACK}    payload: |\n      {{"a": "{{{{ flow.id }}}}",\n       "b": "Hello\n       you"}}\n'
            ),
            9,
            13,
            "`payload` is not JSON: a line ends inside a text. Close the text in the line where it begins,",
        ),
        (
            each("{{ taskrun.value.name }}{{ taskrun.value.id }}"),
            8,
            71,
            "`taskrun.value` is a text, which has no `name`. Write `fromJson(taskrun.value).name`.",
        ),
        (
            each("{{ item.value.name }}", "Loop"),
            8,
            71,
            "`item.value` is a text, which has no `name`. Write `fromJson(item.value).name`.",
        ),
        (
            flow(f"tasks:\n{JIRA}    domain: https://x.test\n    projectKey: A\n    summary: b\n"),
            6,
            5,
            "Unknown property `domain`. Did you mean `baseUrl`?",
        ),
        (
            flow(f"tasks:\n{JIRA}    baseUrl: https://x.test\n    projectKey: A\n    issueType: Bug\n"),
            8,
            5,
            "`issueType` is an older form of `issueTypeId`. Write `issueTypeId` with the number of the type.",
        ),
        (
            flow(f"tasks:\n{AGENT}    configuration: {{chatConfiguration: {{temperature: 1}}}}\n"),
            8,
            21,
            "`chatConfiguration` is an older form of `configuration`. Write `configuration` and put what stands",
        ),
        (reads(AGENT, "outputs.a.text"), 10, 18, "`a` has no output `text`. Did you mean `outputs.a.textOutput`?"),
        (
            reads(f"{AGENT}    configuration: {{responseFormat: {{type: JSON}}}}\n", "outputs.a.response"),
            11,
            18,
            "Did you mean `outputs.a.jsonOutput`?",
        ),
        (
            message("'{{ flow.id | truncate(9) }}'"),
            6,
            28,
            "There is no filter `truncate`. Write `value | abbreviate(100)`.",
        ),
        (
            flow(f"tasks:\n  - id: w\n    type: {CORE}.storage.Write\n    content: x\n    fileName: a.txt\n"),
            7,
            5,
            "Unknown property `fileName`. Known here: `content`, `extension`.",
        ),
        (
            flow(f"tasks:\n  - {{id: l, type: {CORE}.log.Fetch, zone: x}}\n"),
            4,
            52,
            "Unknown property `zone`. Known here: `executionId`, `flowId`,",
        ),
    ],
)
def test_one_slip_is_one_finding_that_says_what_to_write(text, line, column, sentence):
    found = said(text)
    assert [one[:2] for one in found] == [(line, column)], found
    assert sentence in found[0][2]


@pytest.mark.parametrize(
    "text",
    [
        reads(f"{QUERY}    fetchType: STORE\n", "outputs.q.uri"),
        reads(f"{QUERY}    fetchType: '{{{{ flow.id }}}}'\n", "outputs.q.rows"),
        reads(
            "  - {id: q, type: io.kestra.plugin.gcp.bigquery.Query, sql: a, fetchType: FETCH_ONE}\n", "outputs.q.row.a"
        ),
        reads(QUERY, "outputs.q.rows ?? []"),
        reads(EACH, "outputs.r"),
        each("{{ fromJson(taskrun.value).name }}"),
        each("{{ taskrun.value | length }}"),
        message("'costs ${{ flow.revision }}'"),
        message("'{ flow.other } { inputs.none } {{ flow.id }} #{flow.id} ${HOME}'"),
        flow("tasks:\n  - {id: s, type: io.kestra.plugin.scripts.node.Script, script: 'let a = `${flow.id}`'}\n"),
        flow(f"tasks:\n{SHELL}    commands: '[\"ls\"]'\n"),
        flow(f"tasks:\n{SHELL}    commands: '{{{{ [flow.id] }}}}'\n"),
        flow(f"{SAY}pluginDefaults:\n  - {{type: io.kestra.plugin.core, values: {{level: WARN}}}}\n"),
        flow(f'tasks:\n{SLACK}    payload: |\n      {{"text": "{{{{ flow.id\n        | upper }}}}"}}\n'),
        message("'{{ trigger.body.x ?? trigger.payload }}'") + WEBHOOK,
    ],
)
def test_what_may_well_be_meant_is_not_told(text):
    assert said(text) == []


def test_wrong_names_in_one_text_are_each_told_in_their_place():
    text = message("'{{ inputs.a }} {{ inputs.b }} {{ inputs.a }} {{ nowhere }} {{ flow.nam }} {{ elsewhere }}'")
    assert [(line, column) for line, column, _ in said(text)] == [(6, 18), (6, 33), (6, 63), (6, 77), (6, 92)]


def test_two_properties_that_are_not_there_are_two_slips():
    found = said(task("    one: a\n    two: b\n"))
    assert [one[:2] for one in found] == [(7, 5), (8, 5)]
