"""`io.kestra.plugin.gcp.dataproc.batches`: Spark programs that Google runs, without a cluster of one's own."""

import re
import unicodedata
from abc import abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.dataproc_service import DataprocConnected, request_id
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.rest_service import present

MOST_OF_A_NAME = 63  # Dataproc takes no longer ids


class Ran(Outputs):
    """How it ended."""

    state: str


class Execution(Part):
    """Where it runs, and as whom."""

    network_uri: Property[OptionalText] = None
    subnetwork_uri: Property[OptionalText] = None
    network_tags: Property[TextList | None] = None
    service_account_email: Property[OptionalText] = None
    kms_key: Property[OptionalText] = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        return present(
            networkUri=self.network_uri,
            subnetworkUri=self.subnetwork_uri,
            networkTags=self.network_tags,
            serviceAccount=self.service_account_email,
            kmsKey=self.kms_key,
        )


class HistoryServer(Part):
    """A cluster that shows how it went."""

    dataproc_cluster: Property[OptionalText] = None


class Peripherals(Part):
    """Services it works with."""

    metastore_service: Property[OptionalText] = None
    spark_history_server: HistoryServer | None = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        server = self.spark_history_server
        history = {"dataprocCluster": server.dataproc_cluster} if server and server.dataproc_cluster else None
        return present(metastoreService=self.metastore_service, sparkHistoryServerConfig=history)


class Runtime(Part):
    """The Spark it runs in."""

    container_image: Property[OptionalText] = None
    version: Property[OptionalText] = None
    properties: Property[JsonMap | None] = None

    def told(self) -> dict[str, Any]:
        """In Google's words."""
        given = {name: str(value) for name, value in (self.properties or {}).items()}
        return present(containerImage=self.container_image, version=self.version, properties=given or None)


class BatchTask(DataprocConnected, RunnableTask):
    """A program that Google runs; the task waits for its end, and a task that is killed cancels it."""

    name: Property[Text] = Field(description="How its id begins; that of the task's run follows.")
    execution: Execution | None = None
    peripherals: Peripherals | None = None
    runtime: Runtime | None = None
    file_uris: Property[TextList | None] = None
    archive_uris: Property[TextList | None] = None
    jar_file_uris: Property[TextList | None] = None
    args: Property[TextList | None] = None

    @abstractmethod
    def program(self) -> dict[str, Any]:
        """The program, in Google's words."""

    async def run(self, context: RunContext) -> Ran:
        batch = batch_id(self.name, context.task_run_id, context.attempt)
        environment = present(
            executionConfig=self.execution.told() if self.execution else None,
            peripheralsConfig=self.peripherals.told() if self.peripherals else None,
        )
        runtime = self.runtime.told() if self.runtime else None
        body = {**self.program(), **present(environmentConfig=environment or None, runtimeConfig=runtime)}
        path = f"projects/{self.project(context)}/locations/{self.region}/batches"
        operation = await self.gcp(context, "POST", path, params={"batchId": batch, **request_id(context)}, json=body)
        context.log(f"The batch {batch} is begun.")
        done = await self.ended(context, operation, stops=True)
        state = (done.get("response") or {}).get("state") or "SUCCEEDED"
        if state != "SUCCEEDED":
            why = (done.get("response") or {}).get("stateMessage") or "nothing more is said"
            raise TaskFailed(f"The batch {batch} ended as {state}: {why}", outputs={"state": state})
        return Ran(state=state)

    def files(self) -> dict[str, Any]:
        """What comes along, in Google's words."""
        return present(fileUris=self.file_uris, archiveUris=self.archive_uris, args=self.args)


class SparkSubmit(BatchTask):
    """Run a program of Spark for Java or Scala."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: spark
type: io.kestra.plugin.gcp.dataproc.batches.SparkSubmit
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west3
name: pi
mainClass: org.apache.spark.examples.SparkPi
jarFileUris:
  - file:///usr/lib/spark/examples/jars/spark-examples.jar
args: ["1000"]
""",
    )
    type: Literal["io.kestra.plugin.gcp.dataproc.batches.SparkSubmit"]
    main_class: Property[Text]

    def program(self) -> dict[str, Any]:
        return {"sparkBatch": present(mainClass=self.main_class, jarFileUris=self.jar_file_uris) | self.files()}


class PySparkSubmit(BatchTask):
    """Run a program of Spark for Python."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: spark
type: io.kestra.plugin.gcp.dataproc.batches.PySparkSubmit
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west3
name: pi
mainPythonFileUri: gs://spark-jobs/pi.py
runtime:
  version: "2.2"
""",
    )
    type: Literal["io.kestra.plugin.gcp.dataproc.batches.PySparkSubmit"]
    main_python_file_uri: Property[Text]

    def program(self) -> dict[str, Any]:
        main = present(mainPythonFileUri=self.main_python_file_uri, jarFileUris=self.jar_file_uris)
        return {"pysparkBatch": main | self.files()}


class RSparkSubmit(BatchTask):
    """Run a program of Spark for R."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: spark
type: io.kestra.plugin.gcp.dataproc.batches.RSparkSubmit
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west3
name: frames
mainRFileUri: gs://spark-jobs/frames.r
""",
    )
    type: Literal["io.kestra.plugin.gcp.dataproc.batches.RSparkSubmit"]
    main_r_file_uri: Property[Text]

    def program(self) -> dict[str, Any]:
        return {"sparkRBatch": present(mainRFileUri=self.main_r_file_uri) | self.files()}


class SparkSqlSubmit(BatchTask):
    """Run a file of SQL with Spark."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: spark
type: io.kestra.plugin.gcp.dataproc.batches.SparkSqlSubmit
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west3
name: totals
queryFileUri: gs://spark-jobs/totals.sql
""",
    )
    type: Literal["io.kestra.plugin.gcp.dataproc.batches.SparkSqlSubmit"]
    query_file_uri: Property[Text]

    def program(self) -> dict[str, Any]:
        return {"sparkSqlBatch": present(queryFileUri=self.query_file_uri, jarFileUris=self.jar_file_uris)}


def batch_id(name: str, run: str, attempt: int) -> str:
    """An id of Dataproc, small letters, digits and hyphens: as much of a name as has room beside the task run, which is
    never cut, and the number of each attempt but the first."""
    tail = f"-{_plain(run)}" + (f"-{attempt}" if attempt > 1 else "")
    return (_plain(name)[: MOST_OF_A_NAME - len(tail)].rstrip("-") + tail).lstrip("-")


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
