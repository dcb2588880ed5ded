"""The schema in a real editor's language server: what it finds, proposes and shows."""

import json

import pytest
import yaml

from engine.core.flow_schema import flow_schema
from engine.core.flow_source import check
from engine.core.yaml_text import plain, read
from engine.tasks import catalogue
from tests.editor.language_server import LanguageServer, server_program
from tests.shared import ROOT, seed, shared

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("language server")]

SEEDS = (
    "check_weather.yaml",
    "add_tasks_to_todoist.yaml",
    "gen_img_approval.yaml",
    "ai-summarize-weekly-git-commits.yaml",
)
HEAD = "id: f\nnamespace: a.b\n"
REQUEST = HEAD + "tasks:\n  - id: a\n    type: io.kestra.plugin.core.http.Request\n"


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    program = server_program()
    schema = tmp_path_factory.mktemp("schema") / "flow.schema.json"
    schema.write_text(json.dumps(flow_schema(catalogue())), encoding="utf-8")
    server = LanguageServer(program, schema)
    yield server
    server.close()


def test_nothing_is_wrong_with_the_seeds_and_the_shipped_flows(editor):
    files = [*(seed(name) for name in SEEDS), *sorted((ROOT / "flows").rglob("*.yaml"))]
    found = {file.name: editor.diagnostics(file.name, file.read_text(encoding="utf-8")) for file in files}
    assert len(found) == len(files) > 14
    assert {name: said for name, said in found.items() if said} == {}


def test_nothing_is_wrong_with_flows_of_the_conformance_cases(editor):
    cases = plain(read(shared("conformance/engine_cases.yaml").read_text(encoding="utf-8")))["cases"]
    flows = [case["flow"] for case in cases if case["kind"] == "run"][::4]
    texts = [yaml.safe_dump(flow, sort_keys=False, allow_unicode=True) for flow in flows]
    found = {text: editor.diagnostics(f"case{number}.yaml", text) for number, text in enumerate(texts)}
    assert {text: said for text, said in found.items() if said} == {}


TEMPLATES = """
concurrency: {limit: 2}
inputs:
  - {id: seconds, type: INT, defaults: "{{ 1 + 1 }}"}
  - {id: choice, type: SELECT, values: [a, b], defaults: "{{ 'a' }}"}
tasks:
  - id: request
    type: io.kestra.plugin.core.http.Request
    uri: "{{ inputs.uri }}"
    method: "{{ inputs.method }}"
    timeout: "PT{{ inputs.seconds }}S"
    headers: "{{ outputs.x.headers }}"
    allowFailure: true
    options:
      allowFailed: "{{ inputs.lenient }}"
      timeout: {connectTimeout: "{{ inputs.wait }}", readIdleTimeout: PT30S}
  - id: script
    type: io.kestra.plugin.scripts.python.Script
    script: print(1)
    env: {A: 1, B: true, C: "{{ inputs.c }}"}
    outputFiles: "{{ inputs.files }}"
    failFast: "{{ inputs.fast }}"
    taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, pullPolicy: "{{ inputs.pull }}"}
  - id: chat
    type: io.kestra.plugin.openai.ChatCompletion
    apiKey: "{{ secret('KEY') }}"
    model: gpt-4o
    temperature: "{{ inputs.warmth }}"
    maxTokens: "{{ inputs.length }}"
    messages: "{{ outputs.build.vars.messages }}"
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{ inputs.names }}"
    tasks:
      - {id: log, type: io.kestra.core.tasks.log.Log, message: ["{{ taskrun.value }}", b], level: "{{ vars.level }}"}
triggers:
  - {id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: "@daily", lateMaximumDelay: "{{ vars.late }}"}
"""


TEXTS = """
description: 5
inputs:
  - {id: size, type: SELECT, values: [1, true, big], defaults: 1}
tasks:
  - {id: set, type: io.kestra.plugin.core.kv.Set, key: 123, value: x}
  - {id: log, type: io.kestra.plugin.core.log.Log, message: 5}
"""


def test_numbers_may_stand_for_texts(editor):
    assert editor.diagnostics("texts.yaml", HEAD + TEXTS) == []


FORMS = """
tasks:
  - {id: mail, type: io.kestra.plugin.email.MailSend, host: h, from: f, to: t, attachments: ["{{ outputs.a.file }}"]}
  - {id: push, type: io.kestra.plugin.git.PushFlows, url: u, branch: b, flows: "*"}
  - id: switch
    type: io.kestra.plugin.core.flow.Switch
    value: x
    cases:
      a:
        - {id: c, type: io.kestra.plugin.core.log.Log, message: x}
    defaults:
    errors:
  - {id: old, type: io.kestra.core.tasks.scripts.Python, inputFiles: {main.py: "print(1)"}, requirements: [requests]}
  - {id: older, type: org.kestra.core.tasks.debugs.Return, format: x}
  - id: quoted
    type: io.kestra.plugin.core.log.Log
    message: x
    allowFailure: "true"
    timeout: 90
    retry: {type: constant, interval: 1.5, maxAttempts: "3"}
  - {id: ask, type: io.kestra.plugin.nats.Request, url: "nats://h", subject: a, from: {data: x}, requestTimeout: 2000}
labels:
triggers:
  - id: window
    type: io.kestra.plugin.core.trigger.Flow
    preconditions: {id: p, timeWindow: {type: DAILY_TIME_DEADLINE, deadline: "09:00:00"}}
  - {id: dates, type: io.kestra.plugin.core.trigger.ScheduleOnDates, dates: ["2026-03-02T08:00:00"]}
"""


def test_what_the_engine_takes_is_no_mistake(editor):
    assert [one for one in check(HEAD + FORMS, catalogue()) if one.severity == "error"] == []
    assert editor.diagnostics("forms.yaml", HEAD + FORMS) == []


def test_a_word_is_still_no_number(editor):
    (found,) = editor.diagnostics(
        "word.yaml", REQUEST + "    uri: x\n    retry: {type: constant, interval: PT1S, maxAttempts: many}\n"
    )
    assert found.startswith("7:")


def test_templates_in_typed_fields_are_no_mistakes(editor):
    assert editor.diagnostics("templates.yaml", HEAD + TEMPLATES) == []


DEFAULTED = """
tasks:
  - {id: tell, type: io.kestra.plugin.slack.notifications.SlackIncomingWebhook, messageText: x}
  - id: gate
    type: io.kestra.plugin.core.flow.If
    condition: "{{ true }}"
    then:
      - {id: inner, type: io.kestra.plugin.core.http.Request}
"""
DEFAULTS = """
pluginDefaults:
  - {type: io.kestra.plugin.slack, values: {url: "https://s.test"}}
  - {type: io.kestra.plugin.core.http, values: {uri: "https://a.test"}}
"""


def test_what_defaults_give_is_not_missing(editor):
    said = editor.diagnostics("lacking.yaml", HEAD + DEFAULTED)
    assert sorted(one.partition(" ")[2] for one in said) == [
        'Missing property "uri".',
        'Missing property "url".',
    ]
    assert editor.diagnostics("defaulted.yaml", HEAD + DEFAULTED + DEFAULTS) == []
    wrong = editor.diagnostics("wrong.yaml", HEAD + DEFAULTED.replace("id: inner", "idd: inner") + DEFAULTS)
    assert [one.partition(" ")[2] for one in wrong] == ['Missing property "id".', "Property idd is not allowed."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (REQUEST + "    uri: x\n    methd: GET\n", "7:5 Property methd is not allowed."),
        (REQUEST + "    method: GET\n", '4:5 Missing property "uri".'),
        (REQUEST.replace("Request", "Requst") + "    uri: x\n", '5:11 Value must be "io.kestra.'),
        (REQUEST + "    uri: x\n    method: GTE\n", "7:13 "),
        (HEAD + "tasks: []\n", "3:8 Array has too few items."),
        (HEAD + "foo: 1\n" + REQUEST.removeprefix(HEAD) + "    uri: x\n", "3:1 Property foo is not allowed."),
        (HEAD + "inputs:\n  - {id: a, type: INT, min: x}\n" + REQUEST.removeprefix(HEAD) + "    uri: x\n", "4:29 "),
        ("id: f\ntasks:\n  - {id: a, type: io.kestra.plugin.core.log.Log, message: x}\n", '"namespace"'),
    ],
)
def test_mistakes_are_found_where_they_stand(editor, text, said):
    (found,) = editor.diagnostics("mistake.yaml", text)
    assert said in found


def test_types_are_proposed_with_what_they_do_and_without_older_names(editor):
    found = editor.complete("types.yaml", HEAD + "tasks:\n  - id: a\n    type: |")
    assert found["io.kestra.plugin.core.http.Request"] == "Send one HTTP request and hand on the answer."
    assert "io.kestra.plugin.core.trigger.Schedule" not in found
    assert not [name for name in found if name.startswith("io.kestra.core.") or ".langchain4j." in name]
    assert not [name for name, about in found.items() if not about]
    inner = HEAD + "tasks:\n  - id: a\n    type: io.kestra.plugin.core.flow.If\n    condition: x\n    then:\n"
    assert set(editor.complete("inner.yaml", inner + "      - id: b\n        type: |")) == set(found)
    triggers = editor.complete("triggers.yaml", HEAD + "triggers:\n  - id: a\n    type: |")
    assert "io.kestra.plugin.core.trigger.Schedule" in triggers
    assert "io.kestra.plugin.core.http.Request" not in triggers
    assert {"STRING", "SELECT", "FILE"} <= set(editor.complete("inputs.yaml", HEAD + "inputs:\n  - id: a\n    type: |"))


def test_properties_of_the_chosen_type_are_proposed_with_their_meaning(editor):
    found = editor.complete("properties.yaml", REQUEST + "    uri: x\n    |")
    assert {"method", "headers", "body", "timeout", "retry", "runIf"} <= set(found)
    assert not {"uri", "id", "type", "cron", "commands"} & set(found)
    assert found["timeout"].startswith("How long an attempt may take")
    schedule = HEAD + "triggers:\n  - id: a\n    type: io.kestra.plugin.core.trigger.Schedule\n    |"
    proposed = set(editor.complete("schedule.yaml", schedule))
    assert "cron" in proposed
    assert "dates" not in proposed
    assert {"GET", "POST"} <= set(editor.complete("method.yaml", REQUEST + "    uri: x\n    method: |\n"))
    assert {"inputs", "tasks", "triggers", "errors"} <= set(editor.complete("top.yaml", HEAD + "\n|"))


def test_hovering_tells_what_a_type_and_a_property_are_for(editor):
    typed = REQUEST.replace("http.Request", "http.Req|uest") + "    uri: x\n    readTimeout: PT5S\n"
    assert "Send one HTTP request and hand on the answer." in editor.hover("type.yaml", typed)
    assert "Allowed Values" not in editor.hover("type.yaml", typed)
    property_ = REQUEST + "    uri: x\n    al|lowFailure: true\n"
    assert "Go on after a failure" in editor.hover("property.yaml", property_)
    assert "The tasks, in order." in editor.hover("top.yaml", REQUEST.replace("tasks", "ta|sks") + "    uri: x\n")


CORE = "io.kestra.plugin.core"
LOG_TYPE = f"{CORE}.log.Log"
SHELL = HEAD + "tasks:\n  - id: a\n    type: io.kestra.plugin.scripts.shell.Commands\n    commands: [ls]\n"
AGENT = HEAD + "tasks:\n  - id: a\n    type: io.kestra.plugin.ai.agent.AIAgent\n    prompt: x\n"
LOGGED = HEAD + f"tasks:\n  - id: a\n    type: {LOG_TYPE}\n    message: x\n"


def flowable(kind: str, more: str) -> str:
    return HEAD + f"tasks:\n  - id: a\n    type: {CORE}.flow.{kind}\n{more}"


def trigger(kind: str, more: str) -> str:
    return HEAD + f"triggers:\n  - id: t\n    type: {CORE}.trigger.{kind}\n{more}"


@pytest.mark.parametrize(
    ("text", "offered", "not_offered"),
    [
        (flowable("Dag", "    tasks:\n      - task:\n          id: b\n          type: |"), {LOG_TYPE}, {"STRING"}),
        (flowable("Dag", "    tasks:\n      - |"), {"task", "dependsOn"}, {"message"}),
        (
            flowable("Switch", "    value: x\n    cases:\n      k:\n        - id: b\n          type: |"),
            {LOG_TYPE},
            set(),
        ),
        (flowable("Loop", "    values: [1]\n    |"), {"breakWhen", "outputs", "fetchType"}, {"values", "cron"}),
        (flowable("Pause", "    onResume:\n      - id: b\n        type: |"), {"BOOL", "SELECT", "FILE"}, {LOG_TYPE}),
        (
            flowable("Pause", "    onResume:\n      - id: b\n        type: SELECT\n        |"),
            {"values", "expression"},
            {"min"},
        ),
        (HEAD + "errors:\n  - id: e\n    type: |", {LOG_TYPE}, {f"{CORE}.trigger.Schedule"}),
        (HEAD + "inputs:\n  - id: x\n    type: INT\n    |", {"min", "max", "defaults", "dependsOn"}, {"validator"}),
        (HEAD + "inputs:\n  - id: x\n    type: INT\n    dependsOn:\n      |", {"inputs", "condition"}, {"min"}),
        (HEAD + "outputs:\n  - id: x\n    type: |", {"STRING", "JSON", "FILE"}, {LOG_TYPE}),
        (HEAD + "pluginDefaults:\n  - |", {"type", "values", "forced"}, {"id"}),
        (HEAD + "concurrency:\n  limit: 1\n  behavior: |", {"QUEUE", "CANCEL", "FAIL"}, set()),
        (HEAD + "sla:\n  - id: a\n    type: |", {"MAX_DURATION", "EXECUTION_ASSERTION"}, set()),
        (HEAD + "checks:\n  - |", {"when", "message", "style", "behavior"}, {"type"}),
        (LOGGED + "    retry:\n      type: |", {"constant", "exponential", "random"}, set()),
        (LOGGED + "    retry:\n      type: constant\n      |", {"interval", "maxAttempts", "behavior"}, {"message"}),
        (LOGGED + "    level: |", {"DEBUG", "WARN"}, set()),
        (SHELL + "    taskRunner:\n      type: |", {f"{CORE}.runner.Process"}, {LOG_TYPE, f"{CORE}.trigger.Schedule"}),
        (SHELL + f"    taskRunner:\n      type: {CORE}.runner.Process\n      |", set(), {"commands", "image"}),
        (AGENT + "    provider:\n      type: |", {"io.kestra.plugin.ai.provider.OpenAI"}, {LOG_TYPE}),
        (AGENT + "    tools:\n      - type: |", {"io.kestra.plugin.ai.tool.KestraFlow"}, {LOG_TYPE}),
        (REQUEST + "    uri: x\n    options:\n      auth:\n        type: |", {"BASIC", "BEARER"}, set()),
        (
            trigger("Schedule", "    cron: x\n    conditions:\n      - type: |"),
            {f"{CORE}.condition.DayWeek"},
            {LOG_TYPE},
        ),
        (trigger("Flow", "    preconditions:\n      |"), {"flows", "where", "timeWindow"}, {"cron"}),
        (
            trigger("Flow", "    preconditions:\n      id: x\n      timeWindow:\n        type: |"),
            {"SLIDING_WINDOW"},
            set(),
        ),
    ],
)
def test_what_fits_is_proposed_at_every_depth(editor, text, offered, not_offered):
    found = set(editor.complete("deep.yaml", text))
    assert offered <= found
    assert not not_offered & found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (trigger("Schedule", "    cr|on: x\n"), "Five Unix fields"),
        (
            trigger("Schedule", f"    cron: x\n    conditions:\n      - type: {CORE}.condition.Day|Week\n"),
            "day of the week",
        ),
        (LOGGED + "    retry:\n      type: constant\n      inter|val: PT1S\n", "How long to wait"),
        (HEAD + "inputs:\n  - id: x\n    type: SEL|ECT\n    values: [a]\n", "One of a list."),
        (HEAD + "inputs:\n  - id: x\n    type: INT\n    depe|ndsOn: {inputs: [a]}\n", "When an input is asked for"),
        (HEAD + "concurr|ency: {limit: 1}\n", "How many executions of the flow"),
        (HEAD + "plugin|Defaults: [{type: x}]\n", "Values for everything whose"),
        (flowable("Loop", "    values: [1]\n    break|When: x\n    tasks: []\n"), "no further item"),
        (
            flowable("Dag", f"    tasks:\n      - task:\n          id: b\n          type: {CORE}.log.L|og\n"),
            "execution's log",
        ),
    ],
)
def test_hovering_tells_at_every_depth(editor, text, said):
    assert said in editor.hover("deep.yaml", text).replace("\\", "")
