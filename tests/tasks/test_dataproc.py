"""Dataproc, as its REST API answers: batches and clusters, whose operations end at the second look."""

import asyncio
from datetime import timedelta

import pytest

from engine.errors import EngineError, TaskFailed
from engine.tasks.gcp.dataproc.batches import batch_id
from tests.wire.gcp import gcp_service
from tests.wire.google import TOKEN
from tests.wire.loopback import Answered, serving

__all__ = ["gcp_service"]

BATCHES, CLUSTERS = (f"io.kestra.plugin.gcp.dataproc.{name}" for name in ("batches", "clusters"))
OPERATION = "projects/parley/regions/eu/operations/o-1"


class Dataproc:
    """Keeps what it was asked; a request that comes twice is begun once."""

    def __init__(self):
        self.asked, self.looks, self.begun = [], 0, []
        self.ends = {"response": {"state": "SUCCEEDED"}}

    def __call__(self, request):
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        if request.path == f"/{OPERATION}":
            self.looks += 1
            is_over = self.ends and self.looks % 2 == 0
            return Answered({"name": OPERATION, **({"done": True, **self.ends} if is_over else {})})
        if request.path == f"/{OPERATION}:cancel":
            self.asked.append(request.path)
            return Answered({"error": {"message": "It is over"}}, 400)
        if request.query["requestId"] not in self.begun:
            self.begun.append(request.query["requestId"])
        body = request.json if request.method == "POST" else None
        self.asked.append((request.method, request.path, request.query.get("batchId"), body))
        return Answered({"name": OPERATION})


@pytest.fixture
def dataproc(make_context, gcp_service, monkeypatch):
    """A service, and a context that reaches it."""
    monkeypatch.setattr("engine.tasks.dataproc_service.EVERY", timedelta(seconds=0.01))
    with serving(Dataproc()) as wire:
        context = make_context({"providers": {"gcp_dataproc": {"base_url": wire.url}}})
        context.who = {"serviceAccount": gcp_service.service_account, "region": "eu"}
        yield wire.handler, context


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        (
            "SparkSubmit",
            {"mainClass": "org.Pi", "jarFileUris": ["gs://b/a.jar"], "args": [1000], "fileUris": ["gs://b/f"]},
            {
                "sparkBatch": {
                    "mainClass": "org.Pi",
                    "jarFileUris": ["gs://b/a.jar"],
                    "args": ["1000"],
                    "fileUris": ["gs://b/f"],
                }
            },
        ),
        (
            "PySparkSubmit",
            {
                "mainPythonFileUri": "gs://b/pi.py",
                "execution": {"subnetworkUri": "s", "networkTags": ["t"], "serviceAccountEmail": "a@b", "kmsKey": "k"},
                "peripherals": {"metastoreService": "m", "sparkHistoryServer": {"dataprocCluster": "c"}},
                "runtime": {"version": "2.2", "containerImage": "i", "properties": {"spark.executor.cores": 4}},
            },
            {
                "pysparkBatch": {"mainPythonFileUri": "gs://b/pi.py"},
                "environmentConfig": {
                    "executionConfig": {
                        "subnetworkUri": "s",
                        "networkTags": ["t"],
                        "serviceAccount": "a@b",
                        "kmsKey": "k",
                    },
                    "peripheralsConfig": {
                        "metastoreService": "m",
                        "sparkHistoryServerConfig": {"dataprocCluster": "c"},
                    },
                },
                "runtimeConfig": {
                    "version": "2.2",
                    "containerImage": "i",
                    "properties": {"spark.executor.cores": "4"},
                },
            },
        ),
        (
            "RSparkSubmit",
            {"mainRFileUri": "gs://b/f.r", "archiveUris": ["gs://b/a.zip"]},
            {"sparkRBatch": {"mainRFileUri": "gs://b/f.r", "archiveUris": ["gs://b/a.zip"]}},
        ),
        ("SparkSqlSubmit", {"queryFileUri": "gs://b/q.sql"}, {"sparkSqlBatch": {"queryFileUri": "gs://b/q.sql"}}),
    ],
)
async def test_batches(dataproc, name, given, told):
    service, context = dataproc
    batch = {"type": f"{BATCHES}.{name}", **context.who, "name": "Nightly Totals", **given}
    assert (await context.run(**batch)).state == "SUCCEEDED"
    path = "/projects/parley/locations/eu/batches"
    assert service.asked == [("POST", path, "nightly-totals-01execution-1", told)]
    assert service.looks == 2
    await context.run(**batch)  # the same attempt, after the bot has died
    assert len(service.begun) == 1
    context.attempt = 2
    service.ends = {"error": {"message": "Out of memory", "code": 8}}
    with pytest.raises(TaskFailed, match="could not do it: Out of memory"):
        await context.run(**batch)
    assert (service.asked[-1][2], len(service.begun)) == ("nightly-totals-01execution-1-2", 2)
    service.ends = {"response": {"state": "CANCELLED", "stateMessage": "by Ann"}}
    with pytest.raises(TaskFailed, match="ended as CANCELLED: by Ann"):
        await context.run(**batch)


async def test_a_batch_is_cancelled_with_the_task(dataproc):
    service, context = dataproc
    service.ends = None
    batch = {"type": f"{BATCHES}.SparkSqlSubmit", **context.who, "name": "n", "queryFileUri": "gs://b/q.sql"}
    running = asyncio.create_task(context.run(**batch))
    while not service.looks:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):  # also when Google refuses
        await running
    assert service.asked[-1] == f"/{OPERATION}:cancel"


def test_ids_of_batches_tell_runs_apart_however_long_the_name():
    assert batch_id("Ünï_x--", "01AB.3", 1) == "uni-x-01ab-3"
    assert batch_id("--", "01AB.3", 1) == "01ab-3"
    assert batch_id("a" * 63, "01AB.3", 1) == "a" * 56 + "-01ab-3"
    assert batch_id("a" * 64, "01AB.3", 12) == "a" * 53 + "-01ab-3-12"
    assert batch_id("a" * 55 + "-b", "01AB.3", 1) == "a" * 55 + "-01ab-3"


async def test_clusters(dataproc):
    service, context = dataproc
    cluster = {"type": f"{CLUSTERS}.Create", **context.who, "clusterName": "night", "projectId": "other"}
    sizes = {"masterMachineType": "n1", "masterDiskSizeGB": 500, "workerMachineType": "n2", "workers": 2}
    service.ends = {"response": {}}
    done = await context.run(**cluster, **sizes, zone="eu-a", bucket="b", imageVersion="2.2-debian12")
    assert (done.clusterName, done.created) == ("night", True)
    (asked,) = service.asked
    assert asked[:2] == ("POST", "/projects/other/regions/eu/clusters")
    assert asked[3] == {
        "projectId": "other",
        "clusterName": "night",
        "config": {
            "masterConfig": {"machineTypeUri": "n1", "diskConfig": {"bootDiskSizeGb": 500}},
            "workerConfig": {"machineTypeUri": "n2", "numInstances": 2},
            "gceClusterConfig": {"zoneUri": "eu-a"},
            "configBucket": "b",
            "softwareConfig": {"imageVersion": "2.2-debian12"},
        },
    }
    await context.run(**cluster, imageVersion="projects/x/global/images/i")
    image = {"imageUri": "projects/x/global/images/i"}
    assert service.asked[-1][3]["config"] == {"masterConfig": image, "workerConfig": image}
    gone = await context.run(type=f"{CLUSTERS}.Delete", **context.who, clusterName="night")
    assert (gone.clusterName, gone.deleted) == ("night", True)
    assert service.asked[-1][:2] == ("DELETE", "/projects/parley/regions/eu/clusters/night")
    await context.run(type=f"{CLUSTERS}.Delete", **context.who, clusterName="a?b")
    assert service.asked[-1][1] == "/projects/parley/regions/eu/clusters/a?b"
    service.ends = {"error": {"message": "It has a lock"}}
    with pytest.raises(TaskFailed, match="It has a lock"):
        await context.run(type=f"{CLUSTERS}.Delete", **context.who, clusterName="night")


@pytest.mark.parametrize("region", ["evil.example/", "a@b", "", "a b"])
async def test_a_region_leads_to_no_other_machine(dataproc, region):
    service, context = dataproc
    for kind, field in [
        (f"{BATCHES}.SparkSqlSubmit", {"name": "n", "queryFileUri": "gs://b/q.sql"}),
        ("io.kestra.plugin.gcp.vertexai.TextCompletion", {"prompt": "Hi"}),
        ("io.kestra.plugin.gcp.vertexai.CustomJob", {"displayName": "n", "spec": {"workerPoolSpecs": []}}),
    ]:
        with pytest.raises(EngineError, match="no name of a region"):
            await context.run(type=kind, **{**context.who, "region": f"{{{{ '{region}' }}}}"}, **field)
    assert service.asked == []
