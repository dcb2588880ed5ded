"""Kubernetes: the cluster's API on loopback."""

import base64
import json

import pytest
import yaml

from engine.errors import TaskFailed
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
    with pytest.raises(TaskFailed, match="was not ready within"):
        await run("Get", resourceType="pod", resourcesNames=["two"], waitUntilReady="PT0.1S")
    patch = {"resourceType": "pod", "resourceName": "two", "patch": "{}"}
    with pytest.raises(TaskFailed, match="was not ready within"):
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


async def test_a_certificate_that_is_none_is_told(make_context):
    connection = {"masterUrl": "https://127.0.0.1:1", "caCertData": base64.b64encode(b"no certificate").decode()}
    get = {"type": f"{KUBECTL}.Get", "resourceType": "pods"}
    with pytest.raises(TaskFailed, match="certificate of `connection`"):
        await make_context().run(**get, connection=connection)
    with pytest.raises(TaskFailed, match="can't be reached"):
        await make_context().run(**get, connection={"masterUrl": "https://127.0.0.1:1", "trustCerts": True})
