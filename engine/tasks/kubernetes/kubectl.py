"""`io.kestra.plugin.kubernetes.kubectl`: resources of a Kubernetes cluster."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import filed
from engine.tasks.kubernetes.cluster import Cluster, Connection, connected
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.serdes.yaml import parsed

PATCHES = {
    "STRATEGIC_MERGE": "application/strategic-merge-patch+json",
    "JSON_MERGE": "application/merge-patch+json",
    "JSON_PATCH": "application/json-patch+json",
}
MANAGER = "parley"
POLL = 1.0


class KubectlTask(RunnableTask):
    """Which cluster, and which namespace of it."""

    connection: Property[Connection | None] = None
    namespace: Property[OptionalText] = None
    wait_until_ready: Property[timedelta] = timedelta(0)
    wait_until_running: Any = None  # these are for pods that run something: taken with every task, without effect here
    wait_running: Any = None
    namespace_files: Any = None
    input_files: Any = None
    output_files: Any = None
    file_sidecar: Any = None
    container_default_spec: Any = None

    @property
    def place(self) -> str:
        """The namespace: the task's, else the connection's."""
        return self.namespace or (self.connection and self.connection.namespace) or "default"

    @property
    def patience(self) -> timedelta:
        """How long it is waited for a resource to be ready."""
        return self.wait_until_ready

    @asynccontextmanager
    async def cluster(self, context: RunContext) -> AsyncIterator[Cluster]:
        """The cluster's API."""
        async with connected(context, self.connection) as cluster:
            yield cluster

    async def ready(self, cluster: Cluster, path: str, found: dict[str, Any]) -> dict[str, Any]:
        """A resource as soon as it is ready; TaskFailed when that takes longer than `waitUntilReady`."""
        most = self.patience.total_seconds()
        if not most:
            return found
        loop = asyncio.get_running_loop()
        until = loop.time() + most
        while not _is_ready(found):
            if loop.time() >= until:
                raise TaskFailed(
                    f"{found['metadata']['name']} was not ready within {self.patience}.",
                    fix="Give it longer, or look at its events.",
                )
            await asyncio.sleep(POLL)
            found = await cluster.call("GET", path)
        return found


class KindTask(KubectlTask):
    """Which kind of resource."""

    resource_type: Property[Text]
    api_group: Property[OptionalText] = None
    api_version: Property[OptionalText] = None

    async def path(self, cluster: Cluster) -> str:
        """Where its resources are."""
        version = self.api_version or "v1"
        return await cluster.path(self.resource_type, group=self.api_group or "", version=version, namespace=self.place)


class Found(Outputs):
    """What the resources say of themselves."""

    metadataItems: list[dict[str, Any]] | None = None  # noqa: N815 - appears as written
    metadataItem: dict[str, Any] | None = None  # noqa: N815
    statusItems: list[dict[str, Any]] | None = None  # noqa: N815
    statusItem: dict[str, Any] | None = None  # noqa: N815
    uri: StoredUri | None = None
    size: int | None = None


class Get(KindTask):
    """Look resources up."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pods
type: io.kestra.plugin.kubernetes.kubectl.Get
connection:
  masterUrl: https://cluster.example.com:6443
  oauthToken: "{{ secret('K8S_TOKEN') }}"
namespace: shop
resourceType: pods
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.kubernetes.kubectl.Get"]
    resources_names: Property[TextList | None] = None
    fetch_type: Property[Literal["FETCH", "FETCH_ONE", "STORE", "NONE"]] = "NONE"

    async def run(self, context: RunContext) -> Found:
        async with self.cluster(context) as cluster:
            path = await self.path(cluster)
            items = []
            if not self.resources_names:
                items = rest_service.listed(await cluster.call("GET", path), "Kubernetes", "items")
            for name in self.resources_names or []:
                one = await cluster.call("GET", f"{path}/{name}", missing=True)
                if one is None:
                    context.log(f"There is no {self.resource_type} {name!r} in {self.place!r}.", "WARN")
                else:
                    items.append(await self.ready(cluster, f"{path}/{name}", one))
        found = [{"metadata": one.get("metadata", {}), "status": {"status": one.get("status")}} for one in items]
        size = 0 if self.fetch_type == "NONE" else len(found)
        context.metric("fetch.size", size)
        if self.fetch_type == "STORE":
            return Found(uri=await filed(context, found, "resources.jsonl"), size=size)
        if self.fetch_type == "FETCH":
            both = ([one[part] for one in found] for part in ("metadata", "status"))
            return Found(**dict(zip(("metadataItems", "statusItems"), both, strict=True)), size=size)
        if self.fetch_type == "FETCH_ONE":
            first = found[0] if found else {"metadata": None, "status": None}
            return Found(metadataItem=first["metadata"], statusItem=first["status"], size=size)
        return Found()


class Applied(Outputs):
    """What each resource says of itself."""

    metadata: list[dict[str, Any]]


class Apply(KubectlTask):
    """Create or change the resources of a specification."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: settings
type: io.kestra.plugin.kubernetes.kubectl.Apply
connection:
  masterUrl: https://cluster.example.com:6443
  oauthToken: "{{ secret('K8S_TOKEN') }}"
namespace: shop
spec: |
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings}
  data: {colour: blue}
""",
    )
    type: Literal["io.kestra.plugin.kubernetes.kubectl.Apply"]
    spec: Property[Text]

    async def run(self, context: RunContext) -> Applied:
        metadata = []
        async with self.cluster(context) as cluster:
            for resource in _resources(self.spec):
                group, _, version = resource["apiVersion"].rpartition("/")
                place = resource["metadata"].get("namespace") or self.place
                path = await cluster.path(resource["kind"], group=group, version=version, namespace=place)
                path = f"{path}/{resource['metadata']['name']}"
                found = await cluster.call(
                    "PATCH",
                    path,
                    params={"fieldManager": MANAGER, "force": "true"},
                    content=json.dumps(resource),
                    headers={"Content-Type": "application/apply-patch+yaml"},
                )
                metadata.append((await self.ready(cluster, path, found))["metadata"])
        return Applied(metadata=metadata)


class Delete(KindTask):
    """Delete resources."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: remove
type: io.kestra.plugin.kubernetes.kubectl.Delete
connection:
  masterUrl: https://cluster.example.com:6443
  oauthToken: "{{ secret('K8S_TOKEN') }}"
namespace: shop
resourceType: configmaps
resourcesNames: [settings]
""",
    )
    type: Literal["io.kestra.plugin.kubernetes.kubectl.Delete"]
    resources_names: Property[TextList]

    async def run(self, context: RunContext) -> None:
        async with self.cluster(context) as cluster:
            path = await self.path(cluster)
            for name in self.resources_names:
                if await cluster.call("DELETE", f"{path}/{name}", missing=True) is None:
                    context.log(f"There is no {self.resource_type} {name!r} in {self.place!r}.", "WARN")


class Patched(Outputs):
    """What the resource says of itself after it."""

    metadata: dict[str, Any]
    status: dict[str, Any]


class Patch(KindTask):
    """Change a part of a resource."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: scale
type: io.kestra.plugin.kubernetes.kubectl.Patch
connection:
  masterUrl: https://cluster.example.com:6443
  oauthToken: "{{ secret('K8S_TOKEN') }}"
namespace: shop
resourceType: deployment
resourceName: api
apiGroup: apps
patch: '{"spec": {"replicas": 5}}'
""",
    )
    type: Literal["io.kestra.plugin.kubernetes.kubectl.Patch"]
    resource_name: Property[Text]
    patch: Property[Text]
    patch_strategy: Property[Literal["STRATEGIC_MERGE", "JSON_MERGE", "JSON_PATCH"]] = "STRATEGIC_MERGE"
    wait: Property[bool] = False
    wait_timeout: Property[timedelta] = timedelta(minutes=10)

    @property
    def patience(self) -> timedelta:
        return self.wait_until_ready or (self.wait_timeout if self.wait else timedelta(0))

    async def run(self, context: RunContext) -> Patched:
        headers = {"Content-Type": PATCHES[self.patch_strategy]}
        async with self.cluster(context) as cluster:
            path = f"{await self.path(cluster)}/{self.resource_name}"
            found = await cluster.call("PATCH", path, content=self.patch, headers=headers)
            found = await self.ready(cluster, path, found)
        return Patched(metadata=found["metadata"], status={"status": found.get("status")})


class Restart(KubectlTask):
    """Replace the pods of deployments or stateful sets, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: restart
type: io.kestra.plugin.kubernetes.kubectl.Restart
connection:
  masterUrl: https://cluster.example.com:6443
  oauthToken: "{{ secret('K8S_TOKEN') }}"
namespace: shop
resourceType: Deployment
resourcesNames: [api]
""",
    )
    type: Literal["io.kestra.plugin.kubernetes.kubectl.Restart"]
    resource_type: Property[Literal["Deployment", "StatefulSet"]]
    resources_names: Property[TextList]

    async def run(self, context: RunContext) -> None:
        mark = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
        body = {"spec": {"template": {"metadata": {"annotations": mark}}}}
        headers = {"Content-Type": PATCHES["STRATEGIC_MERGE"]}
        async with self.cluster(context) as cluster:
            path = await cluster.path(self.resource_type, group="apps", namespace=self.place)
            for name in self.resources_names:
                await cluster.call("PATCH", f"{path}/{name}", content=json.dumps(body), headers=headers)


def _resources(spec: str) -> list[dict[str, Any]]:
    try:
        found = [one for one in parsed(spec, "`spec`") if one]
        listed = [item for one in found for item in (one["items"] if one["kind"].endswith("List") else [one])]
        if all(one["apiVersion"] and one["kind"] and one["metadata"]["name"] for one in listed) and listed:
            return listed
    except (KeyError, TypeError, AttributeError):
        pass
    raise TaskFailed("`spec` is no resource.", fix="Each has `apiVersion`, `kind` and `metadata.name`.")


def _is_ready(found: dict[str, Any]) -> bool:
    status = found.get("status") or {}
    if any(
        one.get("type") in ("Ready", "Available") and one.get("status") == "True"
        for one in status.get("conditions", [])
    ):
        return True
    wanted = (found.get("spec") or {}).get("replicas")
    return wanted is not None and status.get("readyReplicas", 0) >= wanted
