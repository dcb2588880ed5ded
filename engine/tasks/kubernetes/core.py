"""`io.kestra.plugin.kubernetes.core`: pods that run to their end."""

import asyncio
import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed, Unserved
from engine.tasks.kubernetes.cluster import Cluster, Connection, connected
from engine.tasks.property_types import JsonMap, OptionalText
from engine.tasks.script_output import ScriptOutput

POLL = 1.0
ENDED = frozenset({"Succeeded", "Failed"})
NAME = re.compile(r"[^a-z0-9-]+")
LONGEST_NAME = 63
NO_FILES = Unserved(
    "Files do not go in and out of a pod here.",
    "Let the pod fetch and store them itself, or run the task with the Docker runner.",
)


class Pod(Outputs):
    """The pod as it ended, and the outputs that its log carries."""

    metadata: dict[str, Any]
    status: dict[str, Any]
    vars: dict[str, Any]


class PodCreate(RunnableTask):
    """Create a pod, tell its log, and wait for its end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.kubernetes.core.PodCreate
connection:
  masterUrl: https://cluster.example.com:6443
  oauthToken: "{{ secret('K8S_TOKEN') }}"
namespace: shop
metadata:
  labels:
    team: shop
spec:
  containers:
    - name: count
      image: debian:stable-slim
      command: [bash, -c, "for i in {1..10}; do echo $i; done"]
  restartPolicy: Never
""",
    )
    type: Literal["io.kestra.plugin.kubernetes.core.PodCreate", "io.kestra.plugin.kubernetes.PodCreate"]
    connection: Property[Connection | None] = None
    namespace: Property[OptionalText] = None
    metadata: Property[JsonMap | None] = None
    spec: Property[JsonMap]
    wait_until_running: Property[timedelta] = timedelta(minutes=10)
    wait_running: Property[timedelta] = timedelta(hours=1)
    wait_for_log_interval: Property[timedelta] = timedelta(seconds=2)
    delete: Property[bool] = True
    resume: Property[bool] = Field(
        default=True, description="Go on with the pod of an earlier attempt or of a bot that died, if it is there."
    )
    input_files: Annotated[Any, NO_FILES] = None
    output_files: Annotated[Any, NO_FILES] = None
    file_sidecar: Any = None

    async def run(self, context: RunContext) -> Pod:
        place = self.namespace or (self.connection and self.connection.namespace) or "default"
        heard = ScriptOutput(context)
        async with connected(context, self.connection) as cluster:
            base = f"/api/v1/namespaces/{place}/pods"
            path = f"{base}/{(await self._made(context, cluster, base))['metadata']['name']}"
            try:
                ended = await self._ended(cluster, path, heard)
            finally:
                heard.end()
                if self.delete:
                    await asyncio.shield(cluster.call("DELETE", path, missing=True))
        status = dict(ended.get("status") or {})
        found = Pod(metadata=dict(ended["metadata"]), status=status, vars=heard.variables)
        if status.get("phase") != "Succeeded":
            raise TaskFailed(f"The pod failed. {_why(status)}".strip(), outputs=found.model_dump())
        return found

    async def _made(self, context: RunContext, cluster: Cluster, base: str) -> dict[str, Any]:
        about = dict(self.metadata or {})
        labels = {
            "parley/flow": context.flow_id,
            "parley/execution": context.execution_id,
            "parley/task": context.task_id,
        }
        about["labels"] = {**labels, **(about.get("labels") or {})}
        about.setdefault("name", pod_name(context.flow_id, context.task_id, context.task_run_id))
        if self.resume and (there := await cluster.call("GET", f"{base}/{about['name']}", missing=True)):
            context.log(f"Going on with the pod {about['name']}.")
            return dict(there)
        spec = {"restartPolicy": "Never", **self.spec}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}
        made = await cluster.call("POST", base, json=body)
        context.log(f"The pod {about['name']} was created.")
        return dict(made)

    async def _ended(self, cluster: Cluster, path: str, heard: ScriptOutput) -> dict[str, Any]:
        """The pod once it has ended, its log told meanwhile; TaskFailed when that takes longer than it may."""
        loop = asyncio.get_running_loop()
        pod = await cluster.call("GET", path)
        until = loop.time() + self.wait_until_running.total_seconds()
        while (phase := _phase(pod)) not in ENDED | {"Running"}:
            if loop.time() >= until:
                said = _why(pod.get("status") or {})
                raise TaskFailed(
                    f"The pod was not running within {self.wait_until_running}. {said}".strip(),
                    fix="Raise `waitUntilRunning`.",
                )
            await asyncio.sleep(POLL)
            pod = await cluster.call("GET", path)
        names = [str(one["name"]) for one in pod["spec"]["containers"]]
        logs = [asyncio.create_task(_tell(cluster, path, name, heard)) for name in names]
        until = loop.time() + self.wait_running.total_seconds()
        try:
            while phase not in ENDED:
                if loop.time() >= until:
                    raise TaskFailed(f"The pod did not end within {self.wait_running}.", fix="Raise `waitRunning`.")
                await asyncio.sleep(POLL)
                pod = await cluster.call("GET", path)
                phase = _phase(pod)
            await asyncio.wait(logs, timeout=self.wait_for_log_interval.total_seconds())
        finally:
            for log in logs:
                log.cancel()
            await asyncio.gather(*logs, return_exceptions=True)
        return dict(pod)


async def _tell(cluster: Cluster, path: str, container: str, heard: ScriptOutput) -> None:
    """A container's log, line by line until it ends."""
    asked = {"container": container, "follow": "true"}
    try:
        async with cluster.client.stream("GET", f"{path}/log", params=asked, timeout=None) as response:
            if response.status_code < 400:
                async for line in response.aiter_lines():
                    heard.line(line, "stdout")
    except httpx.HTTPError as error:
        cluster.context.log(f"The log of {container} could not be read: {error}", "WARN")


def pod_name(flow: str, task: str, task_run: str) -> str:
    """The name of a task run's pod: the same for every attempt, so that one that is there is found again."""
    tail = NAME.sub("-", task_run.lower()).strip("-")[-26:].strip("-")
    head = NAME.sub("-", f"{flow}-{task}".lower()).strip("-")
    return f"{head[: LONGEST_NAME - len(tail) - 1].rstrip('-')}-{tail}".strip("-")


def _phase(pod: dict[str, Any]) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _why(status: dict[str, Any]) -> str:
    """What Kubernetes says of a pod that does not do well."""
    said = [str(status[name]) for name in ("reason", "message") if status.get(name)]
    for one in status.get("containerStatuses") or []:
        for state in (one.get("state") or {}).values():
            if state.get("reason") or "exitCode" in state:
                code = f" (exit code {state['exitCode']})" if "exitCode" in state else ""
                said.append(
                    f"{one['name']}: {state.get('reason') or 'ended'}{code}. {state.get('message') or ''}".strip()
                )
    return " ".join(said)
