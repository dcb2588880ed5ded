"""`io.kestra.plugin.databricks.cluster`: machines of Databricks that jobs run on."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.databricks_service import DatabricksConnected, Workspace
from engine.tasks.property_types import OptionalInteger, OptionalText, Text

EVERY, MOST = timedelta(seconds=5), timedelta(minutes=20)
ENDED = frozenset({"TERMINATED", "ERROR", "UNKNOWN"})


class Created(Outputs):
    """The cluster."""

    clusterId: str  # noqa: N815 - appears as written
    clusterURI: str  # noqa: N815
    clusterState: str  # noqa: N815


class CreateCluster(DatabricksConnected, RunnableTask):
    """Create a cluster, and wait until it runs."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: cluster
type: io.kestra.plugin.databricks.cluster.CreateCluster
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
clusterName: nightly
nodeTypeId: n2-highmem-4
numWorkers: 1
sparkVersion: 13.0.x-scala2.12
autoTerminationMinutes: 30
""",
    )
    type: Literal["io.kestra.plugin.databricks.cluster.CreateCluster"]
    cluster_name: Property[Text]
    spark_version: Property[Text]
    node_type_id: Property[OptionalText] = None
    auto_termination_minutes: Property[OptionalInteger] = None
    num_workers: Property[OptionalInteger] = None
    min_workers: Property[OptionalInteger] = Field(default=None, description="With `maxWorkers`: as many as it needs.")
    max_workers: Property[OptionalInteger] = None

    async def run(self, context: RunContext) -> Created:
        workspace = await self.workspace(context)
        wanted: dict[str, Any] = {
            "cluster_name": self.cluster_name,
            "spark_version": self.spark_version,
            "node_type_id": self.node_type_id,
            "autotermination_minutes": self.auto_termination_minutes,
            "num_workers": self.num_workers,
        }
        if self.min_workers is not None and self.max_workers is not None:
            wanted["autoscale"] = {"min_workers": self.min_workers, "max_workers": self.max_workers}
        body = {name: value for name, value in wanted.items() if value is not None}
        made = await workspace.ask("POST", "api/2.1/clusters/create", json=body)
        cluster = str(rest_service.held(made, "Databricks", "cluster_id"))
        address = f"{workspace.host}/#setting/clusters/{cluster}/configuration"
        context.log(f"The cluster: {address}")
        state, said = await settled(workspace, cluster, ENDED | {"RUNNING"})
        if state != "RUNNING":
            raise TaskFailed(f"The cluster {cluster} did not start, it is {state}. {said}".strip(), fix=address)
        return Created(clusterId=cluster, clusterURI=address, clusterState=state)


class DeleteCluster(DatabricksConnected, RunnableTask):
    """End a cluster, and wait until it has ended."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: gone
type: io.kestra.plugin.databricks.cluster.DeleteCluster
host: https://dbc-1234.cloud.databricks.com
authentication:
  token: "{{ secret('DATABRICKS_TOKEN') }}"
clusterId: "{{ outputs.cluster.clusterId }}"
""",
    )
    type: Literal["io.kestra.plugin.databricks.cluster.DeleteCluster"]
    cluster_id: Property[Text]

    async def run(self, context: RunContext) -> None:
        workspace = await self.workspace(context)
        await workspace.ask("POST", "api/2.1/clusters/delete", json={"cluster_id": self.cluster_id})
        state, said = await settled(workspace, self.cluster_id, ENDED)
        if state != "TERMINATED":
            raise TaskFailed(f"The cluster {self.cluster_id} is {state}. {said}".strip())


async def settled(workspace: Workspace, cluster: str, states: frozenset[str]) -> tuple[str, str]:
    """The first of these states that a cluster comes to, and what Databricks says of it."""

    async def look() -> tuple[str, str] | None:
        found = await workspace.ask("GET", "api/2.1/clusters/get", params={"cluster_id": cluster})
        state = str(rest_service.held(found, "Databricks", "state"))
        return (state, found.get("state_message") or "") if state in states else None

    what, fix = f"The change of the cluster {cluster}", "Look at its events in Databricks."
    return await rest_service.waited(workspace.context, look, every=EVERY, most=MOST, what=what, fix=fix)
