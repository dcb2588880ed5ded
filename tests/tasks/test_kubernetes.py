"""Kubernetes: the cluster's API on loopback."""

import base64
import json
import re

import pytest
import yaml

from engine.errors import TaskFailed
from engine.tasks.kubernetes.core import pod_name
from tests.wire.loopback import Answered, serving

KUBECTL = "io.kestra.plugin.kubernetes.kubectl"

CORE = {
    "resources": [
        {"name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": True, "shortNames": ["po"]},
        {"name": "pods/log", "singularName": "", "kind": "Pod", "namespaced": True},
        {"name": "nodes", "singularName": "node", "kind": "Node", "namespaced": False},
    ]
}
APPS = {"resources": [{"name": "deployments", "singularName": "deployment", "kind": "Deployment", "namespaced": True}]}
GROUPS = {"groups": [{"name": "apps", "preferredVersion": {"groupVersion": "apps/v1"}}]}


class Cluster:
    """A cluster that keeps what it is given, and speaks its API."""

    def __init__(self):
        self.kept = {
            "/api/v1/namespaces/shop/pods/one": {"metadata": {"name": "one"}, "status": {"phase": "Pending"}},
            "/api/v1/namespaces/shop/pods/two": {"metadata": {"name": "two"}},
            "/api/v1/nodes/machine": {"metadata": {"name": "machine"}},
        }
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        fixed = {"/api/v1": CORE, "/apis/apps/v1": APPS, "/apis": GROUPS}
        if request.headers["authorization"] != "Bearer token":
            return Answered({"message": "Unauthorized"}, 401)
        path = request.path.rstrip("/")
        if path in fixed:
            return Answered(fixed[path])
        items = [one for at, one in self.kept.items() if at.rpartition("/")[0] == path]
        if request.method == "GET" and items:
            return Answered({"items": items})
        if request.method == "PATCH" and "apply" in request.headers["content-type"]:
            self.kept[path] = json.loads(request.body)
        elif path not in self.kept:
            return Answered({"message": f"{path} not found"}, 404)
        elif request.method == "DELETE":
            return Answered(self.kept.pop(path))
        elif request.method == "PATCH":
            self.kept[path]["patched"] = json.loads(request.body)
        found = self.kept[path]
        if found["metadata"]["name"] == "one" and sum(seen.path == path for seen in self.asked) > 1:
            found["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return Answered(found)


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def run(make_context, cluster, monkeypatch):
    monkeypatch.setattr("engine.tasks.kubernetes.kubectl.POLL", 0.01)
    context = make_context()
    with serving(cluster) as server:

        async def call(name, token="token", **given):
            connection = {"masterUrl": server.url, "oauthToken": token}
            return await context.run(type=f"{KUBECTL}.{name}", connection=connection, namespace="shop", **given)

        call.context = context
        yield call


async def test_resources_are_looked_up(run):
    found = await run("Get", resourceType="pods", fetchType="FETCH")
    assert [one["name"] for one in found.metadataItems] == ["one", "two"]
    assert found.statusItems[0] == {"status": {"phase": "Pending"}}
    given = {"resourceType": "Pod", "resourcesNames": ["one", "none"], "waitUntilReady": "PT10S"}
    one = await run("Get", **given, fetchType="FETCH_ONE")
    assert (one.metadataItem["name"], one.statusItem["status"]["phase"], one.size) == ("one", "Running", 1)
    assert ("WARN", "There is no Pod 'none' in 'shop'.") in run.context.lines
    stored = await run("Get", resourceType="node", fetchType="STORE")
    assert json.loads(run.context.files.text(stored.uri))["metadata"] == {"name": "machine"}
    assert (await run("Get", resourceType="po")).size is None
    with pytest.raises(TaskFailed, match="no resources of the kind 'shirts'"):
        await run("Get", resourceType="shirts")
    with pytest.raises(TaskFailed, match="answered 401: Unauthorized"):
        await run("Get", resourceType="pods", token="wrong")
    with pytest.raises(TaskFailed, match=r"was not ready within.*Give it longer"):
        await run("Get", resourceType="pod", resourcesNames=["two"], waitUntilReady="PT0.1S")
    patch = {"resourceType": "pod", "resourceName": "two", "patch": "{}"}
    with pytest.raises(TaskFailed, match=r"was not ready within.*Give it longer"):
        await run("Patch", **patch, wait=True, waitTimeout="PT0.1S")
    assert (await run("Patch", **patch, waitTimeout="PT0.1S")).metadata["name"] == "two"


async def test_resources_are_applied_changed_and_deleted(run, cluster):
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 2}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "three", "namespace": "other"}}
    applied = await run("Apply", spec=yaml.safe_dump_all([deployment, pod]))
    assert [one["name"] for one in applied.metadata] == ["api", "three"]
    assert "/api/v1/namespaces/other/pods/three" in cluster.kept
    at = "/apis/apps/v1/namespaces/shop/deployments/api"
    patch = {"resourceType": "deployment", "resourceName": "api"}
    changed = await run("Patch", **patch, patch='{"spec": {"replicas": 5}}')
    assert (changed.metadata["name"], cluster.kept[at]["patched"]) == ("api", {"spec": {"replicas": 5}})
    assert cluster.asked[-1].headers["content-type"] == "application/strategic-merge-patch+json"
    await run("Restart", resourceType="Deployment", resourcesNames=["api"])
    assert cluster.kept[at]["patched"]["spec"]["template"]["metadata"]["annotations"]
    await run("Delete", resourceType="deployments", apiGroup="apps", resourcesNames=["api", "gone"])
    assert at not in cluster.kept
    assert ("WARN", "There is no deployments 'gone' in 'shop'.") in run.context.lines
    for wrong in ("a: [", "just text", "kind: Pod"):
        with pytest.raises(TaskFailed, match="`spec` is no"):
            await run("Apply", spec=wrong)
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(9))
    with pytest.raises(TaskFailed, match="aliases of `spec` make more than"):
        await run("Apply", spec=f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\n{laughs}")


class Pods:
    """A cluster whose pods run for a few looks and end as their command says."""

    def __init__(self):
        self.pods, self.looks, self.deleted = {}, {}, []

    def __call__(self, request):
        name = request.path.removeprefix("/api/v1/namespaces/shop/pods").strip("/")
        if request.method == "POST":
            pod = request.json
            self.pods[pod["metadata"]["name"]], self.looks[pod["metadata"]["name"]] = pod, 0
            return Answered(pod, 201)
        if name.endswith("/log"):
            said = f'{request.query["container"]} says hello\n::{{"outputs": {{"n": 3}}}}::\n'
            return Answered(said)
        if name not in self.pods:
            return Answered({"message": f'pods "{name}" not found'}, 404)
        if request.method == "DELETE":
            self.deleted.append(name)
            return Answered(self.pods.pop(name))
        pod, self.looks[name] = self.pods[name], self.looks[name] + 1
        bad = pod["spec"]["containers"][0]["image"] == "bad"
        state = {"terminated": {"reason": "Error", "exitCode": 3}} if bad else {"terminated": {"exitCode": 0}}
        ended = {"phase": "Failed" if bad else "Succeeded", "containerStatuses": [{"name": "main", "state": state}]}
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        pulls = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": waiting}]}
        if pod["spec"]["containers"][0]["image"] == "none":
            return Answered({**pod, "status": pulls})
        return Answered({**pod, "status": {1: pulls, 2: {"phase": "Running"}}.get(self.looks[name], ended)})


@pytest.fixture
def pods(make_context, monkeypatch):
    monkeypatch.setattr("engine.tasks.kubernetes.core.POLL", 0.01)
    context, cluster = make_context(), Pods()
    with serving(cluster) as server:

        async def create(image, **given):
            spec = {"containers": [{"name": "main", "image": image}]}
            where = {"connection": {"masterUrl": server.url}, "namespace": "shop"}
            return await context.run(type="io.kestra.plugin.kubernetes.core.PodCreate", **where, spec=spec, **given)

        create.context, create.cluster = context, cluster
        yield create


async def test_a_pod_runs_to_its_end(pods):
    done = await pods("good", metadata={"labels": {"team": "ops"}})
    assert (done.status["phase"], done.vars) == ("Succeeded", {"n": 3})
    assert done.metadata["labels"] == {"parley/flow": "a_flow", "parley/execution": "01EXECUTION",
                                       "parley/task": "the_task", "team": "ops"}  # fmt: skip
    assert pods.context.said("main says hello")
    name = done.metadata["name"]
    assert (name, pods.cluster.deleted) == (pod_name("a_flow", "the_task", "01EXECUTION.1"), [name])
    kept = await pods("good", metadata={"name": "mine"}, delete=False)
    assert kept.metadata["name"] in pods.cluster.pods
    await pods("good", metadata={"name": "mine"})  # which is there, and is not made again
    assert pods.context.said("Going on with the pod mine")


async def test_a_pod_that_does_not_do_well(pods):
    with pytest.raises(TaskFailed, match=r"The pod failed\. main: Error \(exit code 3\)") as caught:
        await pods("bad")
    assert caught.value.outputs["status"]["phase"] == "Failed"
    with pytest.raises(TaskFailed, match=r"not running within .* main: ImagePullBackOff\. no such image"):
        await pods("none", waitUntilRunning="PT0.05S")
    assert len(pods.cluster.deleted) == 2


def test_a_pod_s_name_is_one_that_kubernetes_takes():
    name = pod_name("A_very.long flow" * 6, "the_task", "01HX.Y7")
    assert 50 < len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert name.endswith("-01hx-y7")


async def test_a_key_store_of_java_is_told_as_what_is_not_read(make_context):
    connection = {"masterUrl": "https://127.0.0.1:1", "keyStoreFile": "{{ 'a.jks' }}", "keyStorePassphrase": "x"}
    with pytest.raises(TaskFailed, match="Key stores of Java are not read here"):
        await make_context().run(type=f"{KUBECTL}.Get", resourceType="pod", connection=connection)


async def test_a_certificate_that_is_none_is_told(make_context):
    connection = {"masterUrl": "https://127.0.0.1:1", "caCertData": base64.b64encode(b"no certificate").decode()}
    get = {"type": f"{KUBECTL}.Get", "resourceType": "pods"}
    with pytest.raises(TaskFailed, match="certificate of `connection`"):
        await make_context().run(**get, connection=connection)
    with pytest.raises(TaskFailed, match="can't be reached"):
        await make_context().run(**get, connection={"masterUrl": "https://127.0.0.1:1", "trustCerts": True})
