"""`io.kestra.plugin.kubernetes.core`: pods that run to their end."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import httpx
from pydantic import Field

from engine.plugin import LateProperty, Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.kubernetes import pod_files
from engine.tasks.kubernetes.cluster import Cluster, Connection, connected
from engine.tasks.kubernetes.pod_files import FileSidecar
from engine.tasks.property_types import JsonMap, OptionalText, TextList
from engine.tasks.script_output import ScriptOutput
from engine.tasks.working_files import rendered_map

POLL = 1.0
ENDED = frozenset({"Succeeded", "Failed"})
NAME = re.compile(r"[^a-z0-9-]+")
LONGEST_NAME = 63
UPLOADS = 3  # tries: a container that has just begun may not take a command yet


class Pod(Outputs):
    """The pod as it ended, and the outputs that its log carries."""

    metadata: dict[str, Any]
    status: dict[str, Any]
    vars: dict[str, Any]
    outputFiles: dict[str, StoredUri] | None = None  # noqa: N815 - appears as written


class PodCreate(RunnableTask):
    """Create a pod, tell its log, and wait for its end.

    `{{ workingDir }}` (`/kestra/working-dir`) is where `inputFiles` lie and where `outputFiles` are looked for, once
    every container has ended well. They go through two containers of ours, `init-files` and `out-files`, whose image
    (`fileSidecar.image`) has `sh`, `tar` and `head`; the account may `get` and `create` `pods/exec`.
    """

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
        """
id: copy
type: io.kestra.plugin.kubernetes.core.PodCreate
spec:
  containers:
    - name: copy
      image: debian:stable-slim
      command: [cp, "{{ workingDir }}/data.txt", "{{ workingDir }}/out.txt"]
inputFiles:
  data.txt: "{{ inputs.file }}"
outputFiles: [out.txt]
""",
    )
    sees: ClassVar[frozenset[str] | None] = frozenset({"workingDir", "outputFiles"})
    type: Literal["io.kestra.plugin.kubernetes.core.PodCreate", "io.kestra.plugin.kubernetes.PodCreate"]
    connection: Property[Connection | None] = None
    namespace: Property[OptionalText] = None
    metadata: LateProperty[JsonMap | None] = None
    spec: LateProperty[JsonMap]
    wait_until_running: Property[timedelta] = timedelta(minutes=10)
    wait_until_ready: Any = Field(default=None, description="Of no effect: its end is waited for.")
    wait_running: Property[timedelta] = timedelta(hours=1)
    wait_for_log_interval: Property[timedelta] = timedelta(seconds=2)
    delete: Property[bool] = Field(
        default=True, description="Delete the pod once it has ended; that of a killed task is deleted in any case."
    )
    resume: Property[bool] = Field(
        default=True, description="Go on with the pod of an earlier attempt or of a bot that died, if it is there."
    )
    input_files: LateProperty[JsonMap | None] = None
    output_files: Property[TextList | None] = None
    file_sidecar: Property[FileSidecar | None] = None
    container_default_spec: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Pod:
        place = self.namespace or (self.connection and self.connection.namespace) or "default"
        heard = ScriptOutput(context)
        given = await self._given(context, self.input_files, "inputFiles")
        archive = await pod_files.packed(context, given) if given else None
        async with connected(context, self.connection) as cluster:
            base = f"/api/v1/namespaces/{place}/pods"
            path = f"{base}/{(await self._made(context, cluster, base, takes=archive is not None))['metadata']['name']}"
            is_killed = False
            try:
                ended = await self._ended(cluster, path, heard, archive)
                found = await self._found(cluster, path, ended, heard)
            except asyncio.CancelledError:
                is_killed = True
                raise
            finally:
                heard.end()
                leaving = asyncio.create_task(self._leave(cluster, path, is_killed=is_killed))
                try:
                    await asyncio.shield(leaving)
                except asyncio.CancelledError:
                    await leaving
                    raise
        return found

    async def _found(self, cluster: Cluster, path: str, ended: dict[str, Any], heard: ScriptOutput) -> Pod:
        """What comes of a pod that has ended; TaskFailed when it did not end well."""
        heard.end()
        status = dict(ended.get("status") or {})
        found = Pod(metadata=dict(ended["metadata"]), status=status, vars=heard.variables)
        ends = pod_files.ends(ended) if self.output_files else None
        if _phase(ended) != "Succeeded" and (ends is None or any(one.get("exitCode") != 0 for one in ends.values())):
            raise TaskFailed(f"The pod failed. {_why(status)}".strip(), outputs=found.model_dump())
        if self.output_files is None:
            return found
        limit = self.wait_running.total_seconds()
        files = await pod_files.fetch(cluster, path, self.output_files, limit) if self.output_files else {}
        return found.model_copy(update={"outputFiles": files})

    async def _leave(self, cluster: Cluster, path: str, *, is_killed: bool) -> None:
        """Delete the pod, or leave it to its end; that of a killed task is always deleted, and at once."""
        if is_killed:
            await cluster.call("DELETE", path, missing=True, params={"gracePeriodSeconds": 0})
            return
        if self.output_files:
            await pod_files.let_go(cluster, path)
        if self.delete:
            await cluster.call("DELETE", path, missing=True)

    async def _given(self, context: RunContext, written: Any, name: str) -> dict[str, Any]:
        """A map whose templates see where the pod's files are."""
        return await rendered_map(context, written, name, pod_files.names(self.output_files or []))

    async def _made(self, context: RunContext, cluster: Cluster, base: str, *, takes: bool) -> dict[str, Any]:
        about = await self._given(context, self.metadata, "metadata")
        labels = {
            "parley/flow": context.flow_id,
            "parley/execution": context.execution_id,
            "parley/task": context.task_id,
        }
        about["labels"] = {**labels, **(about.get("labels") or {})}
        about.setdefault("name", pod_name(context.flow_id, context.task_id, context.task_run_id))
        there = await self._remaining(cluster, f"{base}/{about['name']}")
        if self.resume and there:
            context.log(f"Going on with the pod {about['name']}.")
            return dict(there)
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": await self._spec(context, takes)}
        made = await cluster.call("POST", base, json=body)
        context.log(f"The pod {about['name']} was created.")
        return dict(made)

    async def _remaining(self, cluster: Cluster, path: str) -> dict[str, Any] | None:
        """The pod of that name, if it is there to stay: it is waited until one that is being deleted is gone."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.wait_until_running.total_seconds()
        while (there := await cluster.call("GET", path, missing=True)) and there["metadata"].get("deletionTimestamp"):
            if loop.time() >= until:
                raise TaskFailed(
                    f"The pod {there['metadata']['name']} of an earlier attempt was not gone within"
                    f" {self.wait_until_running}.",
                    fix="Raise `waitUntilRunning`.",
                )
            await asyncio.sleep(POLL)
        return dict(there) if there else None

    async def _spec(self, context: RunContext, takes: bool) -> dict[str, Any]:
        """The pod's specification, with what all containers share and with those that files go through."""
        spec = {"restartPolicy": "Never", **await self._given(context, self.spec, "spec")}
        defaults = self.container_default_spec or {}
        for kind in ("containers", "initContainers"):
            listed = spec.get(kind) or []
            if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
                raise TaskFailed(f"`{kind}` of `spec` is no list of containers.")
            if listed or kind == "containers":
                spec[kind] = [pod_files.with_defaults(one, defaults) for one in listed]
        if not takes and not self.output_files:
            return spec
        sidecar = self.file_sidecar or FileSidecar()
        return pod_files.with_files(spec, sidecar, defaults, takes=takes, gives=bool(self.output_files))

    async def _ended(self, cluster: Cluster, path: str, heard: ScriptOutput, archive: Path | None) -> dict[str, Any]:
        """The pod once its own containers have ended, its log told meanwhile; TaskFailed when that takes too long."""
        loop = asyncio.get_running_loop()
        pod = await self._running(cluster, path, archive)
        logs = [asyncio.create_task(_tell(cluster, path, name, heard)) for name in pod_files.own_containers(pod)]
        until = loop.time() + self.wait_running.total_seconds()
        try:
            while _phase(pod) not in ENDED and not (self.output_files and pod_files.ends(pod)):
                if loop.time() >= until:
                    raise TaskFailed(f"The pod did not end within {self.wait_running}.", fix="Raise `waitRunning`.")
                await asyncio.sleep(POLL)
                pod = await cluster.call("GET", path)
            await asyncio.wait(logs, timeout=self.wait_for_log_interval.total_seconds())
        finally:
            for log in logs:
                log.cancel()
            await asyncio.gather(*logs, return_exceptions=True)
        return dict(pod)

    async def _running(self, cluster: Cluster, path: str, archive: Path | None) -> dict[str, Any]:
        """The pod once it runs, with its input files, or has ended; TaskFailed when that takes too long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.wait_until_running.total_seconds()
        pod = await cluster.call("GET", path)
        tries = UPLOADS
        while _phase(pod) not in ENDED | {"Running"}:
            if loop.time() >= until:
                said = _why(pod.get("status") or {})
                raise TaskFailed(
                    f"The pod was not running within {self.wait_until_running}. {said}".strip(),
                    fix="Raise `waitUntilRunning`.",
                )
            if archive is not None and pod_files.awaits_files(pod):
                tries -= 1
                try:
                    await pod_files.upload(cluster, path, archive, until - loop.time())
                except TaskFailed:
                    if not tries:
                        raise
                else:
                    archive = None
            await asyncio.sleep(POLL)
            pod = await cluster.call("GET", path)
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
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        for state in (one.get("state") or {}).values():
            if state.get("reason") or "exitCode" in state:
                code = f" (exit code {state['exitCode']})" if "exitCode" in state else ""
                said.append(
                    f"{one['name']}: {state.get('reason') or 'ended'}{code}. {state.get('message') or ''}".strip()
                )
    return " ".join(said)
