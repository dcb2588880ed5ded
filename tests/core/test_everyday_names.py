"""Words of other tools and of every day: what they are called here is said, and exists."""

import re

import pytest

from engine.tasks import catalogue
from engine.tasks.everyday_names import MEANT
from tests.core.language import problems

CORE = "io.kestra.plugin.core"
TYPE = re.compile(r"`(io\.kestra\.plugin\.[\w.]+\w)\.?`")
LOOP = f"type: {CORE}.flow.LoopUntil, condition: '{{{{ true }}}}', tasks: [{{id: b, type: {CORE}.log.Log, message: x}}]"


def told(task: str) -> list[tuple[str, str, str]]:
    found = problems(f"tasks:\n  - {{id: a, {task}}}\n")
    return [(one.severity, one.path.removeprefix("tasks[0]."), one.suggestion) for one in found]


@pytest.mark.parametrize("name", MEANT)
def test_what_is_said_for_a_name_that_is_none_exists(name):
    assert catalogue().find(name) is None
    for kind in TYPE.findall(MEANT[name]):
        assert catalogue().find(kind) or any(one.startswith(f"{kind}.") for one in catalogue().names())


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("io.kestra.plugin.gcp.calendar.CreateEvent", "Use `io.kestra.plugin.googleworkspace.calendar.InsertEvent`."),
        (
            "io.kestra.plugin.gcp.calendar.ListEvents",
            "Its types begin with `io.kestra.plugin.googleworkspace.calendar.`, and `parley plugins` lists them.",
        ),
        ("io.kestra.plugin.core.flow.Case", f"Use `{CORE}.flow.Switch`."),
        ("io.kestra.plugin.core.flow.Trigger", f"Use `{CORE}.flow.Subflow`."),
        ("BashOperator", "Use `io.kestra.plugin.scripts.shell.Commands`."),
        ("airflow.operators.email.EmailOperator", "Operators of Airflow are not run here; `parley plugins` lists the"),
        ("n8n-nodes-base.httpRequest", f"Use `{CORE}.http.Request`."),
        ("org.kestra.task.away.Copy", "Types begin with `io.kestra.plugin.` today."),
        ("io.kestra.plugin.core.secret.Get", "No task is needed for it: write `{{ secret('NAME') }}`"),
    ],
)
def test_a_name_of_another_tool_is_told_with_what_does_it_here(name, advice):
    ((severity, path, said),) = told(f"type: {name}, message: x")
    assert (severity, path) == ("error", "type")
    assert said.startswith(advice)


SCRIPTS = "io.kestra.plugin.scripts"


@pytest.mark.parametrize(
    ("task", "advice"),
    [
        ("type: python, script: print(1)", f"Did you mean '{SCRIPTS}.python.Script'?"),
        ("type: python, commands: [ls]", f"Did you mean '{SCRIPTS}.python.Commands'?"),
        ("type: shell, script: ls", f"Use `{SCRIPTS}.shell.Script`."),
        ("type: docker, containerImage: a", "Use `io.kestra.plugin.docker.Run`."),
        (f"type: {SCRIPTS}.node, script: x", f"This is a package, in which there is `{SCRIPTS}.node.Script`."),
        (
            f"type: {SCRIPTS}.node, a: x",
            f"This is a package, in which there is `{SCRIPTS}.node.Commands`, `{SCRIPTS}.node.Script`.",
        ),
        (f"type: {CORE}.debug, format: x", "This is a package, in which there is"),
        ("type: io.kestra.plugin.dbt", "This is a package, in which there is `io.kestra.plugin.dbt.cli`"),
    ],
)
def test_what_is_no_type_is_told_by_what_stands_beside_it(task, advice):
    ((severity, path, said),) = told(task)
    assert (severity, path) == ("error", "type")
    assert said.startswith(advice)


def test_a_type_of_the_first_plugins_is_an_older_name():
    now = "io.kestra.plugin.gcp.bigquery.Query"
    assert told("type: org.kestra.task.gcp.bigquery.Query, sql: select 1") == [("warning", "type", f"Write `{now}`.")]


@pytest.mark.parametrize(
    ("task", "name", "advice"),
    [
        (f"interval: PT5S, {LOOP}", "interval", "Write `interval` below `checkFrequency`, indented."),
        (f"maxIterations: 5, {LOOP}", "maxIterations", "Write `maxIterations` below `checkFrequency`, indented."),
        (
            "type: io.kestra.plugin.scripts.shell.Commands, commands: [ls], requirements: [x]",
            "requirements",
            "Did you mean `beforeCommands`?",
        ),
        (
            "type: io.kestra.plugin.ai.agent.AIAgent, prompt: x, instructions: y, "
            "provider: {type: io.kestra.plugin.ai.provider.OpenAI, apiKey: x, modelName: m}",
            "instructions",
            "Did you mean `systemMessage`?",
        ),
        (
            "type: io.kestra.plugin.ai.agent.AIAgent, prompt: x, model: y, "
            "provider: {type: io.kestra.plugin.ai.provider.OpenAI, apiKey: x, modelName: m}",
            "model",
            "Write `modelName` below `provider`, indented.",
        ),
    ],
)
def test_a_property_that_is_called_otherwise_or_stands_deeper_is_told_so(task, name, advice):
    assert told(task) == [("error", name, advice)]


@pytest.mark.parametrize("call", ["ti.xcom_pull('b')", "task_instance.xcom_pull('b')", "macros.ds_add(1, 2)"])
def test_a_call_of_airflow_is_told_once(call):
    ((severity, path, _),) = told(f'type: {CORE}.log.Log, message: "{{{{ {call} }}}}"')
    assert (severity, path) == ("warning", "message")


@pytest.mark.parametrize("name", ["fetch", "fetchOne", "store"])
@pytest.mark.parametrize(
    "kind", ["type: io.kestra.plugin.jdbc.postgresql.Query, url: x", "type: io.kestra.plugin.gcp.bigquery.Query"]
)
def test_older_ways_to_say_what_becomes_of_rows_are_told_with_the_new_one(kind, name):
    now = {"fetch": "FETCH", "fetchOne": "FETCH_ONE", "store": "STORE"}[name]
    assert told(f"{kind}, sql: select 1, {name}: true") == [("warning", name, f"Write `fetchType: {now}`.")]
    assert told(f"{kind}, sql: select 1, {name}: false") == [("warning", name, "Leave it out.")]


@pytest.mark.parametrize(("flag", "wrong"), [("fetch", "row"), ("store", "rows"), ("fetchOne", "uri")])
def test_they_still_say_what_there_is_to_read(flag, wrong):
    query = f"{{id: q, type: io.kestra.plugin.jdbc.postgresql.Query, url: x, sql: a, {flag}: true}}"
    log = f"{{id: a, type: {CORE}.log.Log, message: '{{{{ outputs.q.%s }}}}'}}"
    found = problems(f"tasks:\n  - {query}\n  - {log % wrong}\n")
    assert [one.code for one in found] == ["old-property", "unknown-output"]
    right = {"fetch": "rows", "store": "uri", "fetchOne": "row"}[flag]
    assert [one.code for one in problems(f"tasks:\n  - {query}\n  - {log % right}\n")] == ["old-property"]


WAITS = "options: {connectTimeout: PT5S, readTimeout: PT9S, readIdleTimeout: PT9S, headers: {A: b}}"


@pytest.mark.parametrize(
    "kind",
    [
        "slack.notifications.SlackIncomingWebhook, url: u, payload: '{}'",
        "slack.notifications.SlackExecution, url: u",
        "discord.DiscordIncomingWebhook, url: u, payload: '{}'",
        "microsoft365.teams.TeamsIncomingWebhook, url: u, payload: '{}'",
        "telegram.TelegramSend, token: t, channel: c, payload: '{}'",
        "opsgenie.OpsgenieAlert, url: u, authorizationToken: t, payload: '{}'",
    ],
)
def test_waits_of_what_sends_messages_are_no_older_names(kind):
    task = f"tasks:\n  - {{id: say, type: io.kestra.plugin.{kind}, {WAITS}}}\n"
    assert problems(task) == []
    idle = task.replace("readIdleTimeout: PT9S", "maxContentLength: 9, connectionPoolIdleTimeout: PT1S")
    names = ["maxContentLength", "connectionPoolIdleTimeout"]
    assert [one.path.rpartition(".")[2] for one in problems(idle)] == names
    assert {(one.severity, one.code, one.suggestion) for one in problems(idle)} == {
        ("warning", "no-effect", "Leave it out.")
    }


def test_waits_of_a_request_are_written_below_timeout():
    task = f"tasks:\n  - {{id: get, type: {CORE}.http.Request, uri: http://x, {WAITS}}}\n"
    found = {one.path: one.suggestion for one in problems(task)}
    assert found["tasks[0].options.connectTimeout"] == "Write `timeout.connectTimeout`."
