"""Tasks, triggers and conditions, found by the path of their type.

`io.kestra.plugin.core.http.Request` is `Request` in `engine/tasks/core/http.py`. The names are read out of the source
text, so that no module is imported before a flow names one of its types.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from engine.core.registry import Registry
from engine.core.task import Typed
from engine.tasks import everyday_names

ENTRY_POINTS = "parley.tasks"

_CLASS = re.compile(r"^class (?P<name>\w+)\b", re.MULTILINE)
_TYPE = re.compile(r"^    type: Literal\[(?P<names>[^\]]*)\]", re.MULTILINE)
_NAME = re.compile(r'"([^"]+)"')

# Families that moved as a whole: what a name began with → what it begins with now.
MOVED = (
    ("org.kestra.core.", "io.kestra.core."),
    ("org.kestra.task.", "io.kestra.plugin."),
    ("io.kestra.plugin.notifications.mail.", "io.kestra.plugin.email."),
    ("io.kestra.plugin.notifications.teams.", "io.kestra.plugin.microsoft365.teams."),
    ("io.kestra.plugin.notifications.google.", "io.kestra.plugin.googleworkspace.chat."),
    ("io.kestra.plugin.notifications.slack.", "io.kestra.plugin.slack.notifications."),
    ("io.kestra.plugin.slack.chats.", "io.kestra.plugin.slack.app.chats."),
    ("io.kestra.plugin.slack.conversations.", "io.kestra.plugin.slack.app.conversations."),
    ("io.kestra.plugin.slack.files.", "io.kestra.plugin.slack.app.files."),
    ("io.kestra.plugin.slack.reactions.", "io.kestra.plugin.slack.app.reactions."),
    ("io.kestra.plugin.notifications.twilio.", "io.kestra.plugin.twilio.notify."),
    ("io.kestra.plugin.notifications.sendgrid.", "io.kestra.plugin.twilio.sendgrid."),
    ("io.kestra.plugin.notifications.whatsapp.", "io.kestra.plugin.meta.whatsapp."),
    ("io.kestra.plugin.notifications.messenger.", "io.kestra.plugin.meta.messenger."),
    ("io.kestra.plugin.notifications.", "io.kestra.plugin."),
    ("io.kestra.plugin.twilio.Twilio", "io.kestra.plugin.twilio.notify.Twilio"),
    ("io.kestra.plugin.sendgrid.", "io.kestra.plugin.twilio.sendgrid."),
    ("io.kestra.plugin.whatsapp.", "io.kestra.plugin.meta.whatsapp."),
    ("io.kestra.plugin.messenger.", "io.kestra.plugin.meta.messenger."),
    ("io.kestra.plugin.langchain4j.completion.", "io.kestra.plugin.ai.completion."),
    ("io.kestra.plugin.langchain4j.provider.", "io.kestra.plugin.ai.provider."),
    ("io.kestra.plugin.langchain4j.tool.", "io.kestra.plugin.ai.tool."),
    ("io.kestra.plugin.langchain4j.memory.", "io.kestra.plugin.ai.memory."),
    ("io.kestra.plugin.langchain4j.retriever.", "io.kestra.plugin.ai.retriever."),
    ("io.kestra.plugin.langchain4j.embeddings.", "io.kestra.plugin.ai.embeddings."),
    ("io.kestra.plugin.langchain4j.rag.", "io.kestra.plugin.ai.rag."),
    ("io.kestra.plugin.langchain4j.", "io.kestra.plugin.ai.completion."),
    ("io.kestra.plugin.docker.cli.", "io.kestra.plugin.docker."),
    ("io.kestra.plugin.fs.http.", "io.kestra.plugin.core.http."),
    ("io.kestra.core.tasks.log.", "io.kestra.plugin.core.log."),
    ("io.kestra.core.tasks.debugs.", "io.kestra.plugin.core.debug."),
    ("io.kestra.core.tasks.flows.", "io.kestra.plugin.core.flow."),
    ("io.kestra.core.tasks.executions.", "io.kestra.plugin.core.execution."),
    ("io.kestra.core.tasks.storages.", "io.kestra.plugin.core.storage."),
    ("io.kestra.core.tasks.states.", "io.kestra.plugin.core.state."),
    ("io.kestra.core.tasks.trigger.", "io.kestra.plugin.core.trigger."),
    ("io.kestra.core.models.triggers.types.", "io.kestra.plugin.core.trigger."),
    ("io.kestra.core.models.conditions.types.", "io.kestra.plugin.core.condition."),
)

# Types of the language that are not to be had → what does the same here.
ABSENT = {
    "io.kestra.plugin.core.trigger.BatchWebhook": "Use `io.kestra.plugin.core.trigger.Webhook`, which starts an "
    "execution a request; let it keep what came with `core.kv.Set`, and a Schedule work on what is there.",
    "io.kestra.plugin.core.trigger.McpToolTrigger": "Flows are no tools of an MCP server here. Let a "
    "`io.kestra.plugin.core.trigger.Webhook` start the flow, or an AIAgent with the tool "
    "`io.kestra.plugin.ai.tool.KestraFlow`.",
    "io.kestra.plugin.git.SyncDashboards": "There are no dashboards here; leave the task out.",
    "io.kestra.plugin.git.PushDashboards": "There are no dashboards here; leave the task out.",
    **everyday_names.MEANT,
    # Whole families, by what their names begin with.
    "io.kestra.plugin.debezium.": "Debezium is a library for Java and reads a database's own log. Let a `Trigger` of "
    "`io.kestra.plugin.jdbc` look for new rows, or a Debezium Server send the changes to Kafka, which "
    "`io.kestra.plugin.kafka.RealtimeTrigger` hears.",
    **{
        f"io.kestra.plugin.jdbc.{family}.": f"Let a `io.kestra.plugin.scripts.python.Script` ask {database}, "
        f"with `dependencies: [{library}]`."
        for family, database, library in (
            ("db2", "Db2", "ibm-db"),
            ("hana", "SAP HANA", "hdbcli"),
            ("arrowflight", "an Arrow Flight SQL server", "adbc-driver-flightsql"),
            ("vertica", "Vertica", "vertica-python"),
        )
    },
    "io.kestra.plugin.jdbc.as400.": "Let a `io.kestra.plugin.scripts.python.Script` ask Db2 for i, with `dependencies: "
    "[ibm-db]`, for which IBM wants a licence of Db2 Connect.",
    "io.kestra.plugin.jdbc.sybase.": "No library of Python's for it is kept. Let a "
    "`io.kestra.plugin.scripts.shell.Commands` call FreeTDS' `tsql` in an image that holds it.",
    "io.kestra.plugin.jdbc.vectorwise.": "No library of Python's for it is kept. Let a "
    "`io.kestra.plugin.scripts.shell.Commands` call its own `sql` in an image that holds it.",
    "io.kestra.plugin.ai.chat.": "Use `io.kestra.plugin.ai.completion.ChatCompletion`, or an "
    "`io.kestra.plugin.ai.agent.AIAgent`.",
    "io.kestra.plugin.ee.": "It is one of Kestra's Enterprise Edition.",
    "io.kestra.plugin.ee.git.Clone": "Write `io.kestra.plugin.git.Clone`, whose properties are the same.",
    "io.kestra.plugin.microsoft.fabric.pipeline.Run": "Write "
    "`io.kestra.plugin.microsoft.fabric.data.engineering.RunPipeline`, whose properties are the same.",
    **{
        f"io.kestra.plugin.{edition}{cloud}.runner.": "It is one of Kestra's Enterprise Edition. Leave `taskRunner` "
        f"out, and the script runs in a container of Docker's; {there}."
        for cloud, there in (
            ("kubernetes", "`io.kestra.plugin.kubernetes.core.PodCreate` runs one in a cluster"),
            ("aws", "`io.kestra.plugin.aws.cli.AwsCLI` with `aws batch submit-job` starts a job of AWS Batch"),
            ("azure", "`io.kestra.plugin.azure.batch.job.Create` starts a job of Azure Batch"),
            (
                "gcp",
                "`io.kestra.plugin.gcp.cli.GCloudCLI` with `gcloud batch jobs submit` starts a job of Batch",
            ),
        )
        for edition in ("ee.", "")  # without it before they were that edition's
    },
    "io.kestra.plugin.ai.provider.OciGenAI": "Models in Oracle's cloud answer OpenAI's API, too: use "
    "`io.kestra.plugin.ai.provider.OpenAI` with an API key of OCI Generative AI and `baseUrl: "
    "https://inference.generativeai.REGION.oci.oraclecloud.com/openai/v1`.",
    "io.kestra.plugin.ai.provider.Onnx": "No model runs inside the bot. Let Ollama serve it, and use "
    "`io.kestra.plugin.ai.provider.Ollama`.",
    "io.kestra.plugin.ai.embeddings.Tablestore": "Use `io.kestra.plugin.ai.embeddings.PGVector`, or another store: "
    "Chroma, Elasticsearch, KestraKVStore, MariaDB, Milvus, MongoDBAtlas, Pinecone, Qdrant, Redis or Weaviate.",
    "io.kestra.plugin.aws.s3.files.": "Let a `io.kestra.plugin.aws.cli.AwsCLI` do it: `aws s3files help`.",
    "io.kestra.plugin.ee.vmware.": "It is one of Kestra's Enterprise Edition. Let a "
    "`io.kestra.plugin.scripts.shell.Commands` run `govc`, in a container of the image `vmware/govc` for example; "
    "`govc events -json` tells what a trigger would look at.",
    "io.kestra.plugin.ee.salesforce.": "It is one of Kestra's Enterprise Edition. Ask Salesforce's REST API with a "
    "`io.kestra.plugin.core.http.Request`.",
    "io.kestra.plugin.ee.core.log.": "It is one of Kestra's Enterprise Edition. Let `io.kestra.plugin.core.log.Fetch` "
    "gather the logs, and a `io.kestra.plugin.core.http.Request` send them.",
    "io.kestra.plugin.kestra.ee.": "It is one of Kestra's Enterprise Edition.",
    "io.kestra.plugin.kestra.ee.tests.": "Tests of flows are files here: `parley test FILE` runs them, on a machine of "
    "yours or in CI, and says by its exit status whether they hold.",
    "io.kestra.plugin.kestra.dashboards.": "There are no dashboards here; `/metrics` has the numbers for one.",
    "io.kestra.plugin.singer.": "Kestra dropped Singer with 1.0. Let `io.kestra.plugin.dlt.CLI` load the data, or a "
    "`io.kestra.plugin.scripts.shell.Commands` pipe the tap into the target.",
    "io.kestra.plugin.proxmox.": "Let a `io.kestra.plugin.core.http.Request` call the API of Proxmox "
    "(`POST /api2/json/nodes/NODE/qemu/ID/status/start`), with the header `Authorization: "
    "PVEAPIToken=USER@REALM!NAME=SECRET`.",
    "io.kestra.plugin.temporal.": "Let a `io.kestra.plugin.scripts.python.Script` do it with Temporal's own client: "
    "`dependencies: [temporalio]`.",
    "io.kestra.plugin.helm.": "Let a `io.kestra.plugin.scripts.shell.Commands` run `helm`, in a container of the image "
    "`alpine/helm` for example; `helm list --output json` tells what a trigger would look at.",
    "io.kestra.plugin.microsoft.fabric.warehouse.": "A warehouse of Fabric is asked by Microsoft's own driver: let a "
    "`io.kestra.plugin.scripts.python.Script` do it with `mssql-python`, or a pipeline, which "
    "`io.kestra.plugin.microsoft.fabric.data.engineering.RunPipeline` runs.",
    "io.kestra.plugin.github.triggers.": "GitHub calls a `io.kestra.plugin.core.trigger.Webhook`: give its address to "
    "the repository's webhooks, and say with `conditions` which events start the flow.",
    "io.kestra.plugin.github.conditions.": "Use `io.kestra.plugin.core.condition.Expression` on the body of the "
    "Webhook that GitHub calls: `{{ trigger.body.action == 'opened' }}`.",
}

# What does it for a service that there are no tasks for, by the kind of part.
ELSEWHERE = {
    "task": "There is none for it. Let a `io.kestra.plugin.core.http.Request` call its API, or a "
    "`io.kestra.plugin.scripts.python.Script` use its library, named in `dependencies`. `parley plugins` lists what "
    "there is.",
    "trigger": "There is none for it. Let it call a `io.kestra.plugin.core.trigger.Webhook`, or a Schedule start the "
    "flow, whose first task asks it. `parley plugins` lists what there is.",
}


@lru_cache(maxsize=1)
def catalogue() -> Registry:
    """All types of this installation: ours, read out of the source, and those of the entry points `parley.tasks`."""
    return Registry(places=places(), rename=renamed, plugins=_third_party, absent=ABSENT, elsewhere=ELSEWHERE)


def places() -> dict[str, str]:
    """Type name → `module:Class` for every class in this folder that declares its `type`."""
    root = Path(__file__).parent
    found: dict[str, str] = {}
    for file in sorted(root.rglob("*.py")):
        module = ".".join(("engine.tasks", *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        for cls, names in declared(file.read_text(encoding="utf-8")):
            for name in names:
                if name not in found or name.endswith(f".{cls}"):
                    found[name] = f"{module}:{cls}"
    return found


def declared(source: str) -> Iterator[tuple[str, list[str]]]:
    """Class and type names of each class in a module's text whose body begins a `type: Literal[...]`."""
    classes = list(_CLASS.finditer(source))
    for index, found in enumerate(classes):
        end = classes[index + 1].start() if index + 1 < len(classes) else len(source)
        kind = _TYPE.search(source, found.end(), end)
        names = _NAME.findall(kind["names"]) if kind else []
        if any("." in name for name in names):
            yield found["name"], names


def renamed(name: str) -> str | None:
    """The name that a type of a moved family has now, None when it is in none."""
    if name.startswith("io.kestra.plugin.core.condition.") and name.endswith("Condition"):
        return name.removesuffix("Condition")
    return next((new + name.removeprefix(old) for old, new in MOVED if name.startswith(old)), None)


def _third_party() -> Iterator[type[Typed]]:
    for entry in entry_points(group=ENTRY_POINTS):
        found = entry.load()
        yield from (found,) if isinstance(found, type) else found()
