"""`io.kestra.plugin.gcp.dataproc.clusters`: clusters of machines with Spark."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask
from engine.tasks.dataproc_service import DataprocConnected, request_id
from engine.tasks.property_types import OptionalInteger, OptionalText, Text
from engine.tasks.rest_service import present


class Created(Outputs):
    """The cluster."""

    clusterName: str  # noqa: N815 - appears as written
    created: bool


class Deleted(Outputs):
    """The cluster."""

    clusterName: str  # noqa: N815 - appears as written
    deleted: bool


class ClusterTask(DataprocConnected, RunnableTask):
    """A cluster of a region."""

    cluster_name: Property[Text]

    def clusters(self, context: RunContext) -> str:
        """Where the clusters of the region are."""
        return f"projects/{self.project(context)}/regions/{self.region}/clusters"


class Create(ClusterTask):
    """Create a cluster, and wait until it runs."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: cluster
type: io.kestra.plugin.gcp.dataproc.clusters.Create
serviceAccount: "{{ secret('GCP_KEY') }}"
clusterName: nightly
region: europe-west3
zone: europe-west3-a
masterMachineType: n1-standard-2
workerMachineType: n1-standard-2
workers: 2
""",
    )
    type: Literal["io.kestra.plugin.gcp.dataproc.clusters.Create"]
    zone: Property[OptionalText] = None
    master_machine_type: Property[OptionalText] = None
    master_disk_size_gb: Property[OptionalInteger] = Field(default=None, alias="masterDiskSizeGB")
    worker_machine_type: Property[OptionalText] = None
    worker_disk_size_gb: Property[OptionalInteger] = Field(default=None, alias="workerDiskSizeGB")
    workers: Property[OptionalInteger] = None
    bucket: Property[OptionalText] = None
    image_version: Property[OptionalText] = Field(
        default=None, description="Such as `2.2-debian12`, or the address of an image."
    )

    async def run(self, context: RunContext) -> Created:
        image, version = (self.image_version, None) if "/" in (self.image_version or "") else (None, self.image_version)
        config: dict[str, Any] = {
            "masterConfig": _machines(self.master_machine_type, self.master_disk_size_gb, None, image),
            "workerConfig": _machines(self.worker_machine_type, self.worker_disk_size_gb, self.workers, image),
            "gceClusterConfig": {"zoneUri": self.zone} if self.zone else None,
            "configBucket": self.bucket,
            "softwareConfig": {"imageVersion": version} if version else None,
        }
        body = {
            "projectId": self.project(context),
            "clusterName": self.cluster_name,
            "config": {name: value for name, value in config.items() if value},
        }
        made = await self.gcp(context, "POST", self.clusters(context), params=request_id(context), json=body)
        await self.ended(context, made)
        return Created(clusterName=self.cluster_name, created=True)


class Delete(ClusterTask):
    """Delete a cluster, and wait until it is gone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: gone
type: io.kestra.plugin.gcp.dataproc.clusters.Delete
serviceAccount: "{{ secret('GCP_KEY') }}"
clusterName: "{{ outputs.cluster.clusterName }}"
region: europe-west3
""",
    )
    type: Literal["io.kestra.plugin.gcp.dataproc.clusters.Delete"]

    async def run(self, context: RunContext) -> Deleted:
        path = f"{self.clusters(context)}/{quote(self.cluster_name, safe='')}"
        await self.ended(context, await self.gcp(context, "DELETE", path, params=request_id(context)))
        return Deleted(clusterName=self.cluster_name, deleted=True)


def _machines(kind: str | None, disk: int | None, count: int | None, image: str | None) -> dict[str, Any]:
    drive = {"bootDiskSizeGb": disk} if disk is not None else None
    return present(machineTypeUri=kind, diskConfig=drive, numInstances=count, imageUri=image)
