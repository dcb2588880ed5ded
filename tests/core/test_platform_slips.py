"""Flows of people who come from other tools, or know Kestra by half: each fault at its place, with what to do."""

import pytest

from engine.core.flow_source import check
from engine.tasks import catalogue
from tests.core.language import problems
from tests.core.test_core_types import CORE

LOG = f"  - id: log\n    type: {CORE}.log.Log\n    message: hi\n"
DAILY = f"triggers:\n  - {{id: t, type: {CORE}.trigger.Schedule, cron: '0 9 * * *'}}\n"
HALF = 'when: "{{ flow.id == 1 }", cron'
HOOK = f"triggers:\n  - {{id: t, type: {CORE}.trigger.Webhook, key: abcdef}}\n"
QUERY = "  - {id: q, type: io.kestra.plugin.jdbc.postgresql.Query, url: jdbc:x, sql: select 1, fetchType: FETCH_ONE}\n"
SCRIPT = "  - id: py\n    type: io.kestra.plugin.scripts.python.Script\n"


def told(text: str) -> list[tuple[str, str]]:
    return [(one.path, f"{one.message} {one.suggestion}".strip()) for one in problems(text)]


def say(template: str, before: str = "") -> str:
    return f"tasks:\n{before}  - id: say\n    type: {CORE}.log.Log\n    message: '{{{{ {template} }}}}'\n"


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (
            f"tasks:\n{LOG}    retries: 3\n",
            "tasks[0].retries",
            "Unknown property `retries`. Write `retry`, and below it, indented, `type: constant`, `interval: PT10S`",
        ),
        (
            f"tasks:\n{LOG}    depends_on: [x]\n",
            "tasks[0].depends_on",
            "Tasks run one after another; in an `io.kestra.",
        ),
        (
            f"tasks:\n{LOG}    trigger_rule: all_done\n",
            "tasks[0].trigger_rule",
            "Tasks under `errors` run when one has",
        ),
        (
            f"tasks:\n{LOG}    retry: {{type: constant, interval: PT1S, count: 3}}\n",
            "tasks[0].retry.count",
            "Did you mean `maxAttempts`?",
        ),
        (
            f"tasks:\n{LOG}    retry: {{type: exponential, interval: PT1S, maxInterval: PT9S, multiplier: 2}}\n",
            "tasks[0].retry.multiplier",
            "Did you mean `delayFactor`?",
        ),
        (
            f"tasks:\n{LOG}    retry: {{type: fixed, interval: PT1S}}\n",
            "tasks[0].retry.type",
            "Did you mean `constant`?",
        ),
        (f"tasks:\n{LOG}    timeout: P5M\n", "tasks[0].timeout", "minutes stand behind a `T`: write `PT5M`."),
        (f"tasks:\n{LOG}    timeout: P30S\n", "tasks[0].timeout", "Write `PT30S`."),
        (f"tasks:\n{LOG}    timeout: PT1D\n", "tasks[0].timeout", "Write `P1D`."),
        (f"tasks:\n{LOG}    timeout: 1 week\n", "tasks[0].timeout", "Write `P7D`."),
        (
            f"tasks:\n{LOG}{DAILY.replace('cron', 'timezone: CEST, cron')}",
            "triggers[0].timezone",
            "there is no time zone 'CEST'; write it as `Europe/Paris` or `UTC`",
        ),
        (
            f"checks: [{{condition: 'true', message: x, behavior: BLOCK}}]\ntasks:\n{LOG}",
            "checks[0].behavior",
            "Did you mean `BLOCK_EXECUTION`?",
        ),
        (
            f"sla: [{{id: s, type: MAX_DURATION, duration: PT1H, behavior: KILL}}]\ntasks:\n{LOG}",
            "sla[0].behavior",
            "Did you mean `CANCEL`?",
        ),
        (
            f"sla: [{{id: s, type: EXECUTION_ASSERTION, condition: 'true'}}]\ntasks:\n{LOG}",
            "sla[0].condition",
            "Did you mean `assert`?",
        ),
        (
            f"tasks:\n  - id: sw\n    type: {CORE}.flow.Switch\n    expression: x\n    cases: {{a: [{{id: b, type: "
            f"{CORE}.log.Log, message: x}}]}}\n",
            "tasks[0].expression",
            "Did you mean `value`?",
        ),
        (
            f"tasks:\n  - id: sw\n    type: {CORE}.flow.Switch\n    value: x\n    cases:\n      a:\n        tasks:\n"
            f"          - {{id: b, type: {CORE}.log.Log, message: x}}\n",
            "tasks[0].cases.a",
            "`a` should be a list, but is a mapping. The tasks stand below `a` itself: leave `tasks` out.",
        ),
        (
            f"tasks:\n  - id: sw\n    type: {CORE}.flow.Switch\n    value: x\n    cases: [{{case: a}}]\n",
            "tasks[0].cases",
            "Write each value as a name, `value:`, and below it, indented, its tasks.",
        ),
        (
            say("trigger.body") + DAILY,
            "tasks[0].message",
            "`trigger` has no `body`. It has date, next, previous, backfill.",
        ),
        (say("outputs.q.outputs.row", QUERY), "tasks[1].message", "Did you mean `outputs.q.row`?"),
        (
            say("fromJson(outputs.q.row).x", QUERY),
            "tasks[1].message",
            "`outputs.q.row` is read already, and `fromJson()`",
        ),
        (
            f"inputs: [{{id: j, type: JSON}}]\n{say('fromJson(inputs.j).x')}",
            "tasks[0].message",
            "`inputs.j` is read already, and `fromJson()` takes a text alone. Write `inputs.j`.",
        ),
        (
            "tasks:\n  - id: c\n    type: io.kestra.plugin.git.Clone\n    repository: x\n    branch: y\n",
            "tasks[0].repository",
            "Did you mean `url`?",
        ),
        (
            f"tasks:\n{LOG}    workingDirectory: x\n",
            "tasks[0].workingDirectory",
            "Each task has a folder of its own",
        ),
        (f"tags: [a]\ntasks:\n{LOG}", "tags", "Did you mean `labels`?"),
        (
            f"tasks:\n{LOG}triggers:\n  - {{id: t, type: {CORE}.trigger.Flow, flowId: x}}\n",
            "triggers[0].flowId",
            "Write `flows` below `preconditions`, indented.",
        ),
        (f"tasks:\n{LOG.replace('id: log', 'id: a.b')}", "tasks[0].id", "Write for example `a-b`."),
        (say("trigger.headers.X-Token") + HOOK, "tasks[0].message", "write such a name in brackets, `['…-Token']`."),
        (say("resume.fine"), "tasks[0].message", "What a Pause was answered is in `outputs`, by its id: `outputs.ask."),
        (say("now().strftime(1)"), "tasks[0].message", "Write `value | date('yyyy-MM-dd')`."),
        (say("flow.id[0:3]"), "tasks[0].message", "A part of a text or a list is `value | slice(0, 3)`"),
        (
            f"pluginDefaults: [{{type: {CORE}.log.Log, value: {{level: WARN}}}}]\ntasks:\n{LOG}",
            "pluginDefaults[0]",
            "Write `values`.",
        ),
        (
            f"pluginDefaults: [{{{CORE}.log.Log: {{level: WARN}}}}]\ntasks:\n{LOG}",
            "pluginDefaults[0]",
            f"Write `- type: {CORE}.log.Log`, and below it `values`.",
        ),
        (
            f"pluginDefaults: [{{type: {CORE}.log.Log, values: [{{level: WARN}}]}}]\ntasks:\n{LOG}",
            "pluginDefaults[0]",
            "Write `name: value` in each line below `values`, without `- `.",
        ),
        (
            say("outputs.py.outputFiles.out.csv", f"{SCRIPT}    script: x\n    outputFiles: [out.csv]\n"),
            "tasks[1].message",
            "Write `outputs.py.outputFiles['out.csv']`.",
        ),
        (
            say("outputs.r.output", f"  - {{id: r, type: {CORE}.debug.Return, format: x}}\n"),
            "tasks[1].message",
            "Did you mean `outputs.r.value`?",
        ),
        (
            f"tasks:\n{LOG}{DAILY.replace('cron', HALF)}",
            "triggers[0].when",
            "A template ends with `}}`.",
        ),
        (
            f"tasks:\n  - id: d\n    type: {CORE}.flow.Dag\n    tasks:\n"
            f"      - task: {{id: a, type: {CORE}.debug.Return, format: x}}\n"
            f"      - task: {{id: b, type: {CORE}.log.Log, message: '{{{{ outputs.a.value }}}}', dependsOn: a}}\n",
            "tasks[0].tasks[1].task.dependsOn",
            "It stands beside `task`, and begins in the same column.",
        ),
        (
            f"tasks:\n{SCRIPT}    script: print('{{{{ ds }}}}')\n",
            "tasks[0].script",
            "There is no variable `ds`. Write `trigger.date | date('yyyy-MM-dd')`.",
        ),
        (
            f"tasks:\n  - id: log\n    type: {CORE}.log.Log\n    message: Result: {{{{ flow.id }}}}\n",
            "",
            'A `: ` inside a text makes a mapping of it: put the whole value in quotes, "Result: {{ … }}".',
        ),
        (
            f"tasks:\n  - id: log\n    type: {CORE}.log.Log:\n    message: hi\n",
            "",
            "The `:` at the end makes a key of the value: leave it out, or put the value in quotes.",
        ),
        (f"tasks:\n  - id log\n    type: {CORE}.log.Log\n    message: hi\n", "", "A `:` is missing; write `id: log`."),
        (say("flow?.id"), "tasks[0].message", "Write `.` for `?.`, and behind the whole `?? ''`"),
    ],
)
def test_one_slip_is_told_once_with_what_to_do(text, path, sentence):
    ((found, said),) = told(text)
    assert found == path
    assert sentence in said


def test_a_flow_with_the_words_of_github_is_looked_at():
    jobs = f"jobs:\n{LOG}    needs: [x]\n".replace("hi", "'{{ inputs.gone }}'")
    found = check(f"id: f\nnamespace: company.team\n{jobs}", catalogue())
    assert [one.path for one in found] == ["jobs", "jobs[0].message", "jobs[0].needs"]


@pytest.mark.parametrize(
    "block",
    ["concurrency: {max: 1, behaviour: QUEUE}", "concurrency: {limit: x}", "sla: [{id: s, type: MAX_DURATION}]"],
)
def test_what_nothing_refers_to_hides_nothing(block):
    assert told(f"{block}\n{say('inputs.gone')}")[-1][1] == "`inputs.gone` names no input of this flow."


def test_two_names_of_one_part_are_each_told_with_what_is_meant():
    found = told(f"concurrency: {{max: 1, behaviour: QUEUE}}\ntasks:\n{LOG}")
    assert [said.partition("Did you mean ")[2] for _, said in found] == ["`limit`?", "`behavior`?"]


@pytest.mark.parametrize(
    "template", ["fromJson(inputs.text).x", "fromJson(outputs.call.body).x", "outputs.q.row.x", "trigger.date"]
)
def test_what_is_right_is_left_alone(template):
    call = f"  - {{id: call, type: {CORE}.http.Request, uri: 'https://example.com'}}\n"
    text = f"inputs: [{{id: text, type: STRING, defaults: x}}]\n{say(template, QUERY + call)}{DAILY}"
    assert told(text) == []


@pytest.mark.parametrize("name", ["id: my input, ", "", "id: [a], "])
def test_an_input_without_an_id_hides_nothing(name):
    inputs = f"inputs:\n  - {{{name}type: STRING}}\n  - {{id: n, type: INT, defaults: x}}\n"
    reads = "inputs['my input']" if "my" in name else "inputs.n"
    found = told(inputs + say(reads).replace("message: '", 'message: "').replace("}}'", '}}"'))
    assert [path for path, _ in found][1:] == ["inputs[1].defaults"]


def test_a_trigger_that_lacks_something_is_still_of_its_kind():
    hook = HOOK.replace(", key: abcdef", "")
    assert [path for path, _ in told(f"{say('trigger.payload')}{hook}")] == ["tasks[0].message", "triggers[0].key"]


def test_inputs_of_a_call_that_are_a_list_hide_no_other_fault_of_it():
    call = f"  - {{id: c, type: {CORE}.flow.Subflow, namespace: company.team, flowId: f, inputs: [{{a: 1}}]}}\n"
    assert [path for path, _ in told(f"tasks:\n{call}")] == ["tasks[0].flowId", "tasks[0].inputs"]


def test_a_text_in_a_list_is_no_key_without_its_colon():
    shell = "tasks:\n  - id: sh\n    type: io.kestra.plugin.scripts.shell.Commands\n    commands:\n"
    ((_, said),) = told(f"{shell}      - echo hello\n        what: x\n")
    assert "is missing" not in said


def test_cases_that_are_a_list_hide_nothing():
    head = f"tasks:\n  - id: which\n    type: {CORE}.flow.Switch\n    value: '{{{{ flow.id }}}}'\n    cases:\n"
    log = f"type: {CORE}.log.Log"
    one = f"      - case: a\n        tasks:\n          - {{id: x, {log}, message: '{{{{ inputs.zz }}}}'}}\n"
    other = f"      - b:\n          - {{id: y, {log}, mesage: hi}}\n"
    assert [path for path, _ in told(head + one + other)] == [
        "tasks[0].cases",
        "tasks[0].cases[0].tasks[0].message",
        "tasks[0].cases[1].b[0].mesage",
    ]


def request(body: str, more: str = "") -> str:
    head = f"tasks:\n  - id: a\n    type: {CORE}.http.Request\n    uri: http://x\n    method: POST\n"
    return f"{head}    body: |\n      {body}\n{more}"


@pytest.mark.parametrize("body", ["{'a': '{{ flow.id }}'}", "['a']", "[ { 'a': 1 } ]"])
def test_a_body_in_single_quotes_is_no_json(body):
    ((path, said),) = told(request(body))
    assert (path, said.endswith('in double quotes: `"…"`.')) == ("tasks[0].body", True)


@pytest.mark.parametrize(
    "text",
    [
        request("{'a': 1}", "    contentType: text/plain\n"),
        request("{'a': 1}", "    headers: {content-type: application/x-python}\n"),
        request('{"a": "\'{{ flow.id }}\'"}'),
        request("{{ 'a' | toJson }}"),
        request("[{{ 'a' | toJson }}]"),
        request("it's 'a'"),
    ],
)
def test_another_body_is_left_alone(text):
    assert told(text) == []


def test_a_payload_in_single_quotes_says_how_json_is_written():
    kind = "io.kestra.plugin.slack.notifications.SlackIncomingWebhook"
    ((_, said),) = told(
        f"tasks:\n  - id: a\n    type: {kind}\n    url: http://x\n    payload: |\n      {{'text': 'a'}}\n"
    )
    assert said.endswith('in double quotes: `"…"`.')


@pytest.mark.parametrize(
    ("template", "sentences"),
    [
        ("{% if true %}a{% else if false %}b{% endfor %}", ["Write `elseif`.", "There is no tag 'endfor' here."]),
        (
            "{{ flow.id || inputs.zz }}",
            ["Two conditions are joined with `or`;", "`inputs.zz` names no input of this flow."],
        ),
        ("{% if true %}a{% else if false %}b{% endif %}", ["Write `elseif`."]),
        ("{{ nix( }} {% else if %}", ["closes what"]),
    ],
)
def test_what_stands_behind_a_slip_in_a_template_is_told(template, sentences):
    found = told(f'tasks:\n  - id: say\n    type: {CORE}.log.Log\n    message: "{template}"\n')
    assert len(found) == len(sentences)
    assert all(sentence in said for sentence, (_, said) in zip(sentences, found, strict=True))
