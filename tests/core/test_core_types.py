"""Every type of the core, by area, and every older name of the types there are: one that goes missing shows here."""

import json

import pytest

from engine.core import older_names
from engine.core.flow_source import check
from engine.core.flow_source import older_names as told_names
from engine.core.task import Typed
from engine.tasks import ABSENT, catalogue, places

CORE = "io.kestra.plugin.core"
TYPES = {
    "condition": (
        "DateTimeBetween DayWeek DayWeekInMonth ExecutionFlow ExecutionLabels ExecutionNamespace ExecutionOutputs "
        "ExecutionStatus Expression HasRetryAttempt MultipleCondition Not Or PublicHoliday TimeBetween Weekend"
    ),
    "debug": "Echo Return",
    "execution": ("Assert Count Exit Fail Kill Labels PurgeExecutions Resume SetVariables UnsetVariables"),
    "flow": (
        "AllowFailure Approval Dag EachParallel EachSequential ForEach ForEachItem If Loop LoopUntil Parallel Pause "
        "PurgeFlows Sequential Sleep Subflow Switch Template WorkingDirectory"
    ),
    "http": "Download Request SseRequest Trigger",
    "kv": "Delete Get GetKeys PurgeKV Put Set",
    "log": "Fetch Log PurgeLogs",
    "metric": "Publish PurgeMetrics",
    "namespace": "DeleteFiles DownloadFiles PurgeFiles UploadFiles",
    "output": "OutputValues",
    "runner": "Process",
    "state": "Delete Get Set",
    "storage": (
        "Concat DeduplicateItems Delete FilterItems LocalFiles PurgeCurrentExecutionFiles PurgeStorage Reverse Size "
        "Split Write"
    ),
    "templating": "TemplatedTask",
    "trigger": "Flow Schedule ScheduleOnDates Toggle Webhook",
}

CONDITIONS = [name for name in TYPES["condition"].split() if name != "MultipleCondition"]


def same(old: str, new: str, names: str) -> dict[str, str]:
    """Classes that kept their names when they moved."""
    return {f"{old}.{name}": f"{new}.{name}" for name in names.split()}


COMPLETIONS = "ChatCompletion Classification ImageGeneration JSONStructuredExtraction"
OLDER = {
    **same(f"{CORE[:-5]}.fs.http", f"{CORE}.http", "Request Download Trigger"),
    **same("io.kestra.core.tasks.log", f"{CORE}.log", "Log Fetch"),
    **same("io.kestra.core.tasks.debugs", f"{CORE}.debug", "Return Echo"),
    **same(
        "io.kestra.core.tasks.flows",
        f"{CORE}.flow",
        "If Dag Switch Parallel Sequential Pause ForEachItem AllowFailure EachParallel EachSequential Template Subflow "
        "WorkingDirectory",
    ),
    **same("io.kestra.core.tasks.executions", f"{CORE}.execution", "Fail Labels"),
    **same(
        "io.kestra.core.tasks.storages",
        f"{CORE}.storage",
        "Size Delete Concat DeduplicateItems FilterItems Reverse Split LocalFiles",
    ),
    **same("io.kestra.core.tasks.states", f"{CORE}.state", "Get Set Delete"),
    **same("io.kestra.core.models.triggers.types", f"{CORE}.trigger", "Schedule Flow Webhook"),
    **{f"{CORE}.condition.{name}Condition": f"{CORE}.condition.{name}" for name in CONDITIONS},
    **{f"io.kestra.core.models.conditions.types.{name}Condition": f"{CORE}.condition.{name}" for name in CONDITIONS},
    "io.kestra.core.models.conditions.types.MultipleCondition": f"{CORE}.condition.MultipleCondition",
    "io.kestra.core.models.conditions.types.VariableCondition": f"{CORE}.condition.Expression",
    f"{CORE}.condition.VariableCondition": f"{CORE}.condition.Expression",
    f"{CORE}.condition.FlowCondition": f"{CORE}.condition.ExecutionFlow",
    "io.kestra.core.models.conditions.types.FlowCondition": f"{CORE}.condition.ExecutionFlow",
    f"{CORE}.condition.FlowNamespaceCondition": f"{CORE}.condition.ExecutionNamespace",
    "io.kestra.core.models.conditions.types.FlowNamespaceCondition": f"{CORE}.condition.ExecutionNamespace",
    "io.kestra.core.tasks.flows.Flow": f"{CORE}.flow.Subflow",
    f"{CORE}.flow.Flow": f"{CORE}.flow.Subflow",
    "io.kestra.core.tasks.flows.Worker": f"{CORE}.flow.WorkingDirectory",
    f"{CORE}.flow.Worker": f"{CORE}.flow.WorkingDirectory",
    f"{CORE}.flow.WaitFor": f"{CORE}.flow.LoopUntil",
    "io.kestra.core.tasks.flows.WaitFor": f"{CORE}.flow.LoopUntil",
    f"{CORE}.flow.Wait": f"{CORE}.flow.Sleep",
    f"{CORE}.debug.Wait": f"{CORE}.flow.Sleep",
    "io.kestra.core.tasks.executions.Counts": f"{CORE}.execution.Count",
    f"{CORE}.execution.Counts": f"{CORE}.execution.Count",
    "io.kestra.core.tasks.storages.Purge": f"{CORE}.execution.PurgeExecutions",
    f"{CORE}.storage.Purge": f"{CORE}.execution.PurgeExecutions",
    "io.kestra.core.tasks.storages.PurgeExecution": f"{CORE}.storage.PurgeCurrentExecutionFiles",
    f"{CORE}.storage.PurgeExecution": f"{CORE}.storage.PurgeCurrentExecutionFiles",
    f"{CORE}.storage.PurgeInternalStorage": f"{CORE}.storage.PurgeCurrentExecutionFiles",
    "io.kestra.core.tasks.trigger.Toggle": f"{CORE}.trigger.Toggle",
    "io.kestra.core.tasks.templating.TemplatedTask": f"{CORE}.templating.TemplatedTask",
    f"{CORE}.runner.ProcessTaskRunner": f"{CORE}.runner.Process",
    "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner": f"{CORE}.runner.Process",
    "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner": "io.kestra.plugin.scripts.runner.docker.Docker",
    "org.kestra.core.tasks.scripts.Bash": "io.kestra.plugin.scripts.shell.Commands",
    "org.kestra.core.tasks.debugs.Return": f"{CORE}.debug.Return",
    "io.kestra.core.tasks.scripts.Bash": "io.kestra.plugin.scripts.shell.Commands",
    "io.kestra.core.tasks.scripts.Python": "io.kestra.plugin.scripts.python.Commands",
    "io.kestra.core.tasks.scripts.Node": "io.kestra.plugin.scripts.node.Commands",
    **same(
        "io.kestra.plugin.notifications.slack",
        "io.kestra.plugin.slack.notifications",
        "SlackIncomingWebhook SlackExecution",
    ),
    **same("io.kestra.plugin.slack", "io.kestra.plugin.slack.notifications", "SlackIncomingWebhook SlackExecution"),
    **same("io.kestra.plugin.datagen", "io.kestra.plugin.datagen.core", "Generate"),
    **same(
        "io.kestra.plugin.notifications.discord", "io.kestra.plugin.discord", "DiscordIncomingWebhook DiscordExecution"
    ),
    **same("io.kestra.plugin.notifications.mail", "io.kestra.plugin.email", "MailSend MailExecution"),
    **same(
        "io.kestra.plugin.notifications.teams",
        "io.kestra.plugin.microsoft365.teams",
        "TeamsIncomingWebhook TeamsExecution",
    ),
    **same("io.kestra.plugin.notifications.telegram", "io.kestra.plugin.telegram", "TelegramSend TelegramExecution"),
    **same("io.kestra.plugin.notifications.zulip", "io.kestra.plugin.zulip", "ZulipIncomingWebhook ZulipExecution"),
    **same(
        "io.kestra.plugin.notifications.pagerduty", "io.kestra.plugin.pagerduty", "PagerDutyAlert PagerDutyExecution"
    ),
    **same("io.kestra.plugin.notifications.sentry", "io.kestra.plugin.sentry", "SentryAlert SentryExecution"),
    **same("io.kestra.plugin.notifications.opsgenie", "io.kestra.plugin.opsgenie", "OpsgenieAlert OpsgenieExecution"),
    **same("io.kestra.plugin.notifications.zenduty", "io.kestra.plugin.zenduty", "ZendutyAlert ZendutyExecution"),
    **same("io.kestra.plugin.notifications.line", "io.kestra.plugin.line", "LineExecution"),
    **same(
        "io.kestra.plugin.notifications.squadcast",
        "io.kestra.plugin.squadcast",
        "SquadcastIncomingWebhook SquadcastExecution",
    ),
    **same(
        "io.kestra.plugin.notifications.google",
        "io.kestra.plugin.googleworkspace.chat",
        "GoogleChatIncomingWebhook GoogleChatExecution",
    ),
    **same("io.kestra.plugin.langchain4j", "io.kestra.plugin.ai.completion", COMPLETIONS),
    **same("io.kestra.plugin.langchain4j.completion", "io.kestra.plugin.ai.completion", COMPLETIONS),
    **same(
        "io.kestra.plugin.langchain4j.provider",
        "io.kestra.plugin.ai.provider",
        "OpenAI DeepSeek OpenRouter MistralAI GoogleGemini Ollama Anthropic",
    ),
    **same(
        "io.kestra.plugin.langchain4j.tool",
        "io.kestra.plugin.ai.tool",
        "KestraFlow KestraTask TavilyWebSearch StdioMcpClient SseMcpClient",
    ),
    "io.kestra.plugin.langchain4j.tool.HttpMcpClient": "io.kestra.plugin.ai.tool.SseMcpClient",
    **same("io.kestra.plugin.langchain4j.memory", "io.kestra.plugin.ai.memory", "KestraKVStore"),
    "io.kestra.plugin.langchain4j.memory.KestraKVMemory": "io.kestra.plugin.ai.memory.KestraKVStore",
    "io.kestra.plugin.ai.memory.KestraKVMemory": "io.kestra.plugin.ai.memory.KestraKVStore",
}


def test_the_core_is_there_as_a_whole_and_nothing_else_goes_by_its_name():
    wanted = {f"{CORE}.{area}.{name}" for area, names in TYPES.items() for name in names.split()}
    there = {name for name in catalogue().canonical_names() if name.startswith(f"{CORE}.")}
    assert sorted(wanted - there) == []
    assert sorted(there - wanted) == []


@pytest.mark.parametrize(("old", "new"), OLDER.items())
def test_an_older_name_is_the_same_class_and_validation_says_the_new_one(old, new):
    cls = catalogue().find(new)
    assert cls is not None, "the table names a type that is not there"
    assert catalogue().find(old) is cls
    assert catalogue().canonical(old) == new
    (found,) = older_names.findings({"tasks": [{"id": "a", "type": old}]}, catalogue())
    assert (found.severity, found.code, found.path) == ("warning", "old-type", ("tasks", 0, "type"))
    assert found.suggestion.startswith(f"Write `{cls.instead or new}`")


def test_no_older_name_of_a_core_type_is_missing_in_the_table():
    for cls in catalogue().classes():
        for name in cls.type_names()[1:]:
            assert name in OLDER or not name.startswith((CORE, "io.kestra.core.")), name


def test_every_class_of_the_core_shows_how_it_is_used():
    for cls in catalogue().classes():
        if cls.type_names()[0].startswith(f"{CORE}.") and cls.type_names()[0] != f"{CORE}.flow.Template":
            assert cls.examples, cls


FLOW = """
id: old
namespace: company.team
taskDefaults:
  - {type: io.kestra.plugin.core.log.Log, values: {level: WARN}}
tasks:
  - id: call
    type: io.kestra.plugin.fs.http.Request
    uri: https://example.com
    allowFailed: true
    auth: {type: BEARER, token: "{{ secret('TOKEN') }}"}
    options:
      basicAuthUser: ann
      basicAuthPassword: "{{ secret('PASSWORD') }}"
      timeout: {connectTimeout: PT5S}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    delay: PT1S
  - id: each
    type: io.kestra.plugin.core.flow.EachSequential
    value: [a, b]
    tasks:
      - {id: echo, type: io.kestra.plugin.core.debug.Echo, format: "{{ taskrun.value }}"}
      - {id: echo2, type: io.kestra.plugin.core.debug.Echo, format: again, when: "{{ true }}"}
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    warningOnStdErr: false
    commands: [echo hello]
triggers:
  - id: schedule
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "@daily"
    scheduleConditions:
      - type: io.kestra.plugin.core.condition.WeekendCondition
"""


def test_older_properties_are_warned_about_where_they_stand():
    found = {
        one.path: (one.severity, one.suggestion) for one in check(FLOW, catalogue()) if one.code.startswith("old-")
    }
    assert found == {
        "taskDefaults": ("warning", "Write `pluginDefaults`."),
        "tasks[0].type": ("warning", f"Write `{CORE}.http.Request`."),
        "tasks[0].allowFailed": ("warning", "Write `options.allowFailed`."),
        "tasks[0].auth": ("warning", "Write `options.auth`."),
        "tasks[0].options.basicAuthUser": ("warning", "Write `auth.username` beside `type: BASIC`."),
        "tasks[0].options.basicAuthPassword": ("warning", "Write `auth.password` beside `type: BASIC`."),
        "tasks[1].delay": ("warning", "Write `pauseDuration`."),
        "tasks[2].type": ("warning", f"Write `{CORE}.flow.ForEach` with `values` for `value`."),
        "tasks[2].tasks[0].type": ("warning", f"Write `{CORE}.log.Log` with `message` for `format`."),
        "tasks[2].tasks[1].type": ("warning", f"Write `{CORE}.log.Log` with `message` for `format`."),
        "tasks[3].runner": (
            "warning",
            "Write `taskRunner.type` with the type of a runner: `io.kestra.plugin.core.runner.Process` or "
            "`io.kestra.plugin.scripts.runner.docker.Docker`.",
        ),
        "tasks[3].warningOnStdErr": ("warning", "Leave it out."),
        "triggers[0].scheduleConditions": ("warning", "Write `conditions`."),
        "triggers[0].scheduleConditions[0].type": ("warning", f"Write `{CORE}.condition.Weekend`."),
    }


def test_each_older_name_is_told_once_however_often_it_is_used():
    told = told_names(FLOW, catalogue())
    assert len(told) == len(set(told)) == 13
    assert f"`{CORE}.debug.Echo` (write `{CORE}.log.Log` with `message` for `format`)" in told


FIRST = """
id: first
namespace: a.b
tasks:
  - id: made
    type: io.kestra.core.tasks.scripts.Python
    inputFiles: {main.py: print(1)}
    requirements: [requests]
    dockerOptions: {image: python}
  - id: said
    type: io.kestra.core.tasks.scripts.Python
    commands: [./bin/python etl.py]
  - id: plain
    type: io.kestra.core.tasks.scripts.Bash
    commands: [ls]
"""


def test_a_script_of_the_first_releases_is_told_all_that_changes():
    python = "Write `io.kestra.plugin.scripts.python.Commands`"
    here = "`taskRunner: {type: io.kestra.plugin.core.runner.Process}`"
    assert {one.path: one.suggestion for one in check(FIRST, catalogue())} == {
        "tasks[0].type": f"{python} with `commands: [python main.py]` and `dependencies` for `requirements`.",
        "tasks[0].dockerOptions": "Write `containerImage` for its `image`, `taskRunner` for the rest.",
        "tasks[1].type": f"{python} with `python` for `./bin/python` and {here}.",
        "tasks[2].type": f"Write `io.kestra.plugin.scripts.shell.Commands` with {here}.",
    }


def test_the_options_of_docker_of_dbt_are_told_what_takes_their_place_not_their_next_older_name():
    dbt = {"id": "d", "type": "io.kestra.plugin.dbt.cli.Build", "dockerOptions": {"image": "dbt"}}
    (found,) = check(json.dumps({"id": "f", "namespace": "a.b", "tasks": [dbt]}), catalogue())
    assert found.suggestion == "Write `containerImage` for its `image`, `taskRunner` for the rest."


def test_every_type_says_what_it_is_by_one_name_only():
    for cls in catalogue().classes():
        assert issubclass(cls, Typed)
        assert len(set(cls.type_names())) == len(cls.type_names())


LOG = {"id": "a", "type": f"{CORE}.log.Log", "message": "x"}
AT_EIGHT = {"id": "t", "type": f"{CORE}.trigger.Schedule", "cron": "0 8 * * *"}
SHELL = {"id": "a", "type": "io.kestra.plugin.scripts.shell.Commands", "commands": ["ls"]}
WEEKEND = {"type": f"{CORE}.condition.Weekend"}


@pytest.mark.parametrize(
    ("parts", "path", "said", "advice"),
    [
        ({"tasks": [AT_EIGHT]}, "tasks[0].type", "a trigger, not a task", "`triggers`"),
        ({"tasks": [LOG], "triggers": [LOG]}, "triggers[0].type", "a task, not a trigger", "`tasks`"),
        ({"tasks": [{"id": "a", **WEEKEND}]}, "tasks[0].type", "a condition, not a task", "`conditions` of a trigger"),
        (
            {"tasks": [LOG], "triggers": [{**AT_EIGHT, "conditions": [LOG]}]},
            "triggers[0].conditions[0].type",
            "a task, not a condition",
            "`tasks`",
        ),
        (
            {"tasks": [{**SHELL, "taskRunner": LOG}]},
            "tasks[0].taskRunner.type",
            "a task, not a task runner",
            "`tasks`",
        ),
        (
            {"tasks": [{"id": "a", "type": f"{CORE}.runner.Process"}]},
            "tasks[0].type",
            "a task runner, not a task",
            "`taskRunner` of a script",
        ),
    ],
)
def test_a_type_in_the_wrong_place_is_told_where_it_belongs(parts, path, said, advice):
    (found,) = check(json.dumps({"id": "f", "namespace": "a.b", **parts}), catalogue())
    assert (found.code, found.path, found.severity) == ("wrong-place", path, "error")
    assert f"which is {said}." in found.message
    assert found.suggestion == f"Move it to {advice}."


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("core.trigger.BatchWebhook", "trigger.Webhook`, which starts"),
        ("core.trigger.McpToolTrigger", "ai.tool.KestraFlow"),
    ],
)
def test_triggers_that_are_not_to_be_had_say_what_to_use(name, advice):
    trigger = {"id": "t", "type": f"io.kestra.plugin.{name}", "key": "x", "eventsCount": 3}
    (found,) = check(json.dumps({"id": "f", "namespace": "a.b", "tasks": [LOG], "triggers": [trigger]}), catalogue())
    assert (found.code, found.path) == ("unknown-type", "triggers[0].type")
    assert advice in found.suggestion


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("kestra.ee.tests.RunTest", "`parley test FILE` runs them"),
        ("kestra.ee.assets.List", "Enterprise Edition"),
        ("ee.vmware.vcenter.CreateVmSnapshot", "run `govc`"),
        ("ee.salesforce.SoqlQuery", "Salesforce's REST API"),
        ("ee.core.log.LogShipper", "`io.kestra.plugin.core.log.Fetch` gather the logs"),
        ("ee.jenkins.Trigger", "Enterprise Edition."),
        ("kestra.dashboards.Export", "`/metrics` has the numbers"),
        ("singer.taps.PipelinewisePostgres", "io.kestra.plugin.dlt.CLI"),
        ("jdbc.db2.Query", "scripts.python.Script` ask Db2, with `dependencies: [ibm-db]`"),
        ("jdbc.hana.Trigger", "ask SAP HANA, with `dependencies: [hdbcli]`"),
        ("jdbc.as400.Query", "a licence of Db2 Connect"),
        ("jdbc.sybase.Queries", "FreeTDS' `tsql`"),
        ("jdbc.vectorwise.Query", "call its own `sql`"),
        ("git.SyncDashboards", "no dashboards here"),
        ("helm.Upgrade", "`alpine/helm`"),
        ("proxmox.vm.Start", "PVEAPIToken"),
        ("temporal.workflow.Signal", "`dependencies: [temporalio]`"),
        ("aws.s3.files.CreateFileSystem", "`aws s3files help`"),
        ("microsoft.fabric.warehouse.Query", "`mssql-python`"),
    ],
)
def test_tasks_that_are_not_to_be_had_say_what_to_use(name, advice):
    task = {"id": "t", "type": f"io.kestra.plugin.{name}"}
    (found,) = check(json.dumps({"id": "f", "namespace": "a.b", "tasks": [task]}), catalogue())
    assert (found.code, found.path) == ("unknown-type", "tasks[0].type")
    assert advice in found.suggestion


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ai.provider.OciGenAI", "REGION.oci.oraclecloud.com/openai/v1"),
        ("ai.provider.Onnx", "Let Ollama serve it"),
        ("ai.embeddings.Tablestore", "MongoDBAtlas, Pinecone"),
    ],
)
def test_parts_for_models_that_are_not_to_be_had_say_what_to_use(name, advice):
    assert advice in catalogue().unknown(f"io.kestra.plugin.{name}", "provider").fix


@pytest.mark.parametrize(
    ("runner", "advice"),
    [
        ("kubernetes.runner.Kubernetes", "`io.kestra.plugin.kubernetes.core.PodCreate` runs one"),
        ("aws.runner.Batch", "`aws batch submit-job`"),
        ("azure.runner.Batch", "`io.kestra.plugin.azure.batch.job.Create`"),
        ("gcp.runner.CloudRun", "`io.kestra.plugin.gcp.cli.GCloudCLI`"),
    ],
)
@pytest.mark.parametrize("edition", ["ee.", ""])
def test_runners_that_are_not_to_be_had_say_where_a_script_runs_instead(edition, runner, advice):
    task = SHELL | {"taskRunner": {"type": f"io.kestra.plugin.{edition}{runner}", "region": "x"}}
    (found,) = check(json.dumps({"id": "f", "namespace": "a.b", "tasks": [task]}), catalogue())
    assert (found.code, found.path) == ("unknown-type", "tasks[0].taskRunner.type")
    assert "Leave `taskRunner` out, and the script runs in a container" in found.suggestion
    assert advice in found.suggestion


@pytest.mark.parametrize(
    ("name", "ours"),
    [("ee.git.Clone", "git.Clone"), ("microsoft.fabric.pipeline.Run", "microsoft.fabric.data.engineering.RunPipeline")],
)
def test_a_type_that_is_another_by_now_names_the_one_that_is_here(name, ours):
    assert f"Write `io.kestra.plugin.{ours}`" in catalogue().unknown(f"io.kestra.plugin.{name}", "task").fix


def test_a_type_looked_for_too_deep_in_its_service_is_found():
    asked = catalogue().unknown("io.kestra.plugin.dbt.cli.commands.DbtCli", "task")
    assert asked.fix == "Did you mean 'io.kestra.plugin.dbt.cli.DbtCLI'?"
    assert "Did you mean" not in catalogue().unknown("io.kestra.plugin.cloudflare.zerotrust.tunnels.Create", "task").fix


def test_nothing_that_is_there_is_said_not_to_be_had():
    assert not set(ABSENT) & set(places())


def test_the_short_prefix_of_a_namespace_is_no_older_name():
    condition = {"type": f"{CORE}.condition.ExecutionNamespace", "namespace": "a", "prefix": True}
    trigger = {"id": "t", "type": f"{CORE}.trigger.Flow", "conditions": [condition]}
    assert check(json.dumps({"id": "f", "namespace": "a.b", "tasks": [LOG], "triggers": [trigger]}), catalogue()) == []


def test_an_older_form_says_what_else_changes_so_that_its_advice_can_be_followed():
    each = {"id": "e", "type": f"{CORE}.flow.EachParallel", "value": [1], "tasks": [LOG]}
    script = {
        "id": "s",
        "type": "io.kestra.plugin.scripts.shell.Commands",
        "commands": ["ls"],
        "docker": {"image": "alpine"},
    }
    found = check(json.dumps({"id": "f", "namespace": "a.b", "tasks": [each, script]}), catalogue())
    assert [(one.message, one.suggestion) for one in found] == [
        (
            f"`{CORE}.flow.EachParallel` is an older form of `{CORE}.flow.ForEach`.",
            f"Write `{CORE}.flow.ForEach` with `values` for `value`, and `concurrencyLimit: 0` to run all at once.",
        ),
        (
            "`docker` is an older form of `containerImage`.",
            "Write `containerImage` for its `image`, `taskRunner` for the rest.",
        ),
    ]


PAUSE = {"id": "p", "type": f"{CORE}.flow.Pause"}
FAIL = {"id": "a", "type": f"{CORE}.execution.Fail"}
FLOW_TRIGGER = {"id": "t", "type": f"{CORE}.trigger.Flow"}
CONSTANT = {"type": "constant", "interval": "PT1S"}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"tasks": [{**LOG, "runIf": "{{ true }}"}]}, {"tasks": [{**LOG, "when": "{{ true }}"}]}),
        ({"tasks": [{**PAUSE, "delay": "PT1S"}]}, {"tasks": [{**PAUSE, "pauseDuration": "PT1S"}]}),
        (
            {"tasks": [{**FAIL, "retry": {**CONSTANT, "maxAttempt": 2}}]},
            {"tasks": [{**FAIL, "retry": {**CONSTANT, "maxAttempts": 2}}]},
        ),
        (
            {"tasks": [LOG], "checks": [{"condition": "{{ true }}", "message": "m"}]},
            {"tasks": [LOG], "checks": [{"when": "{{ true }}", "message": "m"}]},
        ),
        (
            {"tasks": [LOG], "taskDefaults": [{"type": f"{CORE}.log.Log", "values": {"level": "WARN"}}]},
            {"tasks": [LOG], "pluginDefaults": [{"type": f"{CORE}.log.Log", "values": {"level": "WARN"}}]},
        ),
        (
            {"tasks": [LOG], "triggers": [{**AT_EIGHT, "conditions": [WEEKEND]}]},
            {"tasks": [LOG], "triggers": [{**AT_EIGHT, "when": "{{ isWeekend(trigger.date) }}"}]},
        ),
        (
            {
                "tasks": [LOG],
                "triggers": [
                    {**FLOW_TRIGGER, "preconditions": {"id": "p", "flows": [{"namespace": "n", "flowId": "x"}]}}
                ],
            },
            {"tasks": [LOG], "triggers": [{**FLOW_TRIGGER, "dependsOn": [{"flowId": "x"}]}]},
        ),
        (
            {"tasks": [LOG], "inputs": [{"name": "b", "type": "BOOLEAN"}]},
            {"tasks": [LOG], "inputs": [{"id": "b", "type": "BOOL"}]},
        ),
        (
            {"tasks": [{**LOG, "message": "{{ json('1') }}"}]},
            {"tasks": [{**LOG, "message": "{{ fromJson('1') }}"}]},
        ),
    ],
)
def test_both_generations_of_the_language_are_read(older, newer):
    for parts in (older, newer):
        found = check(json.dumps({"id": "f", "namespace": "a.b", **parts}), catalogue())
        assert [one.message for one in found if one.severity == "error" or not one.code.startswith("old-")] == []
