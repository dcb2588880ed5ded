"""Cloud Storage and BigQuery, as their JSON APIs answer."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from engine.errors import TaskFailed
from engine.plugin import Message
from engine.tasks import catalogue
from tests.tasks.context import heard, in_hand, let_go, taken
from tests.wire.gcp import gcp_service
from tests.wire.loopback import Answered, serving

__all__ = ["gcp_service"]

GCS, BIGQUERY, PUBSUB = (f"io.kestra.plugin.gcp.{name}" for name in ("gcs", "bigquery", "pubsub"))


@pytest.fixture
def gcp(make_context, gcp_service):
    """A context that reaches the service, and who asks."""
    context = make_context(gcp_service.settings)
    context.who = {"serviceAccount": gcp_service.service_account}
    return context


async def test_objects_there_and_back(gcp, gcp_service):
    uri = await gcp.files.put(b"id;total\n1;2\n", "report.csv")
    to = "gs://reports/2026/a report.csv"
    done = await gcp.run(type=f"{GCS}.Upload", **gcp.who, from_=uri, to=to, contentType="text/csv")
    assert done.uri == to
    assert gcp_service.objects["reports", "2026/a report.csv"][1]["contentType"] == "text/csv"
    found = await gcp.run(type=f"{GCS}.Download", **gcp.who, from_=to)
    assert (found.bucket, found.path, gcp.files.text(found.uri)) == ("reports", "2026/a report.csv", "id;total\n1;2\n")
    copied = await gcp.run(type=f"{GCS}.Copy", **gcp.who, from_=to, to="gs://archive/b.csv", delete=True)
    assert copied.uri == "gs://archive/b.csv"
    assert list(gcp_service.objects) == [("archive", "b.csv")]
    gone = await gcp.run(type=f"{GCS}.Delete", **gcp.who, uri="gs://archive/b.csv")
    assert (gone.deleted, gcp_service.objects) == (True, {})
    assert not (await gcp.run(type=f"{GCS}.Delete", **gcp.who, uri="gs://archive/b.csv")).deleted
    with pytest.raises(TaskFailed, match="There is no object"):
        await gcp.run(type=f"{GCS}.Delete", **gcp.who, uri="gs://archive/b.csv", errorOnMissing=True)
    with pytest.raises(TaskFailed, match=r"answered 404 for gs://archive/b\.csv"):
        await gcp.run(type=f"{GCS}.Download", **gcp.who, from_="gs://archive/b.csv")
    with pytest.raises(TaskFailed, match="Write it as gs://bucket/object"):
        await gcp.run(type=f"{GCS}.Upload", **gcp.who, from_=uri, to="reports/a.csv")
    with pytest.raises(TaskFailed, match="over itself"):
        await gcp.run(type=f"{GCS}.Copy", **gcp.who, from_=to, to=to, delete=True)


def filled(service, *names):
    for name in names:
        service.objects["inbox", name] = (name.encode(), {})


async def test_lists_over_pages(gcp, gcp_service):
    filled(gcp_service, "in/a.csv", "in/b.csv", "in/c.txt", "in/old/d.csv", "other.csv")
    asked = {"type": f"{GCS}.List", **gcp.who, "from_": "gs://inbox/in/"}

    async def names(**more):
        return [blob["name"] for blob in (await gcp.run(**asked, **more)).blobs]

    assert await names() == ["in/a.csv", "in/b.csv", "in/c.txt", "in/old/"]
    assert await names(filter="FILES", regExp=r".*\.csv") == ["in/a.csv", "in/b.csv"]
    assert await names(filter="DIRECTORY") == ["in/old/"]
    assert (await names(listingType="RECURSIVE"))[3:] == ["in/old/d.csv"]
    with pytest.raises(TaskFailed, match=r"regular expression .* cannot be read"):
        await names(regExp="(")


async def test_all_objects_below_a_place_are_deleted(gcp, gcp_service):
    filled(gcp_service, "in/a.csv", "in/b.csv", "in/c.txt", "in/old/d.csv")
    delete = {"type": f"{GCS}.DeleteList", **gcp.who, "from_": "gs://inbox/in/"}
    done = await gcp.run(**delete, regExp=r".*\.csv", concurrent=2)
    assert (done.count, done.size) == (2, len("in/a.csv") + len("in/b.csv"))
    assert {name for _, name in gcp_service.objects} == {"in/c.txt", "in/old/d.csv"}
    assert (await gcp.run(**delete, listingType="RECURSIVE")).count == 2
    assert (await gcp.run(**delete)).count == 0
    with pytest.raises(TaskFailed, match="nothing to delete"):
        await gcp.run(**delete, errorOnEmpty=True)


async def test_objects_are_taken_and_moved(gcp, gcp_service):
    filled(gcp_service, "in/a.csv", "in/b.csv", "in/c.csv")
    take = {"type": f"{GCS}.Downloads", **gcp.who, "from_": "gs://inbox/in/"}
    found = await gcp.run(**take, action="MOVE", moveDirectory="gs://archive/done/", maxFiles=2)
    assert [gcp.files.text(blob["uri"]) for blob in found.blobs] == ["in/a.csv", "in/b.csv"]
    assert list(found.outputFiles) == ["in/a.csv", "in/b.csv"]
    kept = {("archive", "done/a.csv"), ("archive", "done/b.csv"), ("inbox", "in/c.csv")}
    assert set(gcp_service.objects) == kept
    assert gcp.said("the first 2 are taken")
    with pytest.raises(TaskFailed, match="where to move"):
        await gcp.run(**take, action="MOVE")
    cls = catalogue().find(f"{GCS}.Trigger")
    given = {"id": "t", "type": f"{GCS}.Trigger", **gcp.who, "from": "gs://inbox/{{ 'in' }}/", "action": "DELETE"}
    trigger = cls.model_validate(given, context={"registry": catalogue()})
    stays = cls.model_validate({**given, "action": "NONE"}, context={"registry": catalogue()})
    seen = await stays.poll(gcp)
    assert [(blob["name"], blob["changeType"]) for blob in seen.found.blobs] == [("in/c.csv", "CREATE")]
    gcp.memory = seen.memory
    assert (await stays.poll(gcp)).found is None
    gcp.memory = dict.fromkeys(seen.memory, "older")
    assert [blob["changeType"] for blob in (await stays.poll(gcp)).found.blobs] == ["UPDATE"]
    assert [blob["name"] for blob in (await trigger.poll(gcp)).found.blobs] == ["in/c.csv"]
    assert (await trigger.poll(gcp)).found is None


@pytest.mark.parametrize("more", [{"action": "DELETE"}, {"action": "MOVE", "moveDirectory": "gs://archive/done/"}])
async def test_objects_that_are_gone_start_an_execution_also_when_the_next_cannot_be_taken(gcp, gcp_service, more):
    filled(gcp_service, "in/a.csv", "in/b.csv", "in/c.csv")
    gcp_service.objects["inbox", "in/b.csv"][1]["temporaryHold"] = True
    given = {"id": "t", "type": f"{GCS}.Trigger", **gcp.who, "from": "gs://inbox/in/", **more}
    trigger = catalogue().find(f"{GCS}.Trigger").model_validate(given, context={"registry": catalogue()})
    found = (await trigger.poll(gcp)).found
    assert ([one["name"] for one in found.blobs], list(found.outputFiles)) == (["in/a.csv"], ["in/a.csv"])
    assert gcp.said("in/b.csv and what comes after it are left where they are: .*Temporary hold", "WARN")
    gcp.memory = gcp.remembered[-1]  # the process dies now
    assert (await trigger.poll(gcp)).found == found
    gcp.memory = {}
    with pytest.raises(TaskFailed, match="Temporary hold"):
        await trigger.poll(gcp)
    assert {name for bucket, name in gcp_service.objects if bucket == "inbox"} == {"in/b.csv", "in/c.csv"}


async def test_what_was_known_of_objects_stays_known_while_those_that_are_gone_are_told(gcp, gcp_service):
    filled(gcp_service, "in/b.csv", "in/c.csv")

    def look(**more):
        given = {"id": "t", "type": f"{GCS}.Trigger", **gcp.who, "from": "gs://inbox/in/", **more}
        return catalogue().find(f"{GCS}.Trigger").model_validate(given, context={"registry": catalogue()}).poll(gcp)

    gcp.memory = (await look(action="NONE")).memory
    filled(gcp_service, "in/a.csv")
    gcp_service.objects["inbox", "in/b.csv"][1]["temporaryHold"] = True
    await look(action="DELETE")
    gcp.memory = gcp.remembered[-1]  # the process dies now, and the flow is written anew
    told = await look(action="NONE")
    assert [one["name"] for one in told.found.blobs] == ["in/a.csv"]
    gcp.memory = told.memory
    assert (await look(action="NONE")).found is None


async def test_buckets(gcp, gcp_service):
    make = {"type": f"{GCS}.CreateBucket", **gcp.who, "name": "reports", "location": "EU"}
    rules = [{"condition": {"age": 30}, "action": {"type": "DELETE"}}]
    made = await gcp.run(**make, versioningEnabled=True, lifecycleRules=rules)
    assert (made.created, made.bucket["project"]) == (True, "parley")
    assert made.bucket["lifecycle"] == {"rule": [{"condition": {"age": 30}, "action": {"type": "Delete"}}]}
    with pytest.raises(TaskFailed, match="answered 409"):
        await gcp.run(**make)
    skipped = await gcp.run(**make, ifExists="SKIP")
    assert (skipped.created, skipped.updated, skipped.bucket["name"]) == (False, False, "reports")
    changed = await gcp.run(**make, ifExists="UPDATE", labels={"team": "ops"}, projectId="other")
    assert (changed.updated, changed.bucket["labels"]) == (True, {"team": "ops"})
    await gcp.run(type=f"{GCS}.DeleteBucket", **gcp.who, name="reports")
    assert gcp_service.buckets == {}


FIELDS = [
    {"name": "id", "type": "INTEGER"},
    {"name": "price", "type": "NUMERIC"},
    {"name": "at", "type": "TIMESTAMP"},
    {"name": "ok", "type": "BOOLEAN"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    {"name": "who", "type": "RECORD", "fields": [{"name": "name", "type": "STRING"}]},
]
CELLS = [
    ["1", "2.50", "1.7675712E9", "true", [{"v": "a"}, {"v": "b"}], {"f": [{"v": "Ann"}]}],
    ["2", "3", None, "false", [], None],
]
ROWS = [
    {"id": 1, "price": 2.5, "at": "2026-01-05T00:00:00+00:00", "ok": True, "tags": ["a", "b"], "who": {"name": "Ann"}},
    {"id": 2, "price": 3, "at": None, "ok": False, "tags": [], "who": None},
]


async def test_queries(gcp, gcp_service):
    gcp_service.results["orders"] = (FIELDS, CELLS)
    query = {"type": f"{BIGQUERY}.Query", **gcp.who, "sql": "SELECT * FROM shop.orders"}
    found = await gcp.run(**query, fetchType="FETCH", labels={"team": "ops"})
    assert (found.rows, found.size, found.jobId) == (ROWS, 2, "parley_01EXECUTION_1_1")
    asked = gcp_service.jobs[found.jobId]
    assert asked["jobReference"]["projectId"] == "parley"
    assert asked["configuration"]["labels"] == {"team": "ops"}
    assert asked["configuration"]["query"]["useLegacySql"] is False
    again = await gcp.run(**query, fetchOne=True)  # the same attempt after a crash: its job is there
    assert (again.row, again.size, len(gcp_service.jobs)) == (ROWS[0], 1, 1)
    gcp.attempt = 2
    stored = await gcp.run(**query, store=True, location="EU")
    assert [json.loads(line) for line in gcp.files.text(stored.uri).splitlines()] == ROWS
    gcp.attempt = 3
    target = {"destinationTable": "p.shop.copy", "writeDisposition": "WRITE_TRUNCATE", "timePartitioningField": "at"}
    await gcp.run(**query, **target, clusteringFields=["id"], defaultDataset="p.shop")
    told = gcp_service.jobs["parley_01EXECUTION_1_3"]["configuration"]["query"]
    assert told["destinationTable"] == {"projectId": "p", "datasetId": "shop", "tableId": "copy"}
    assert told["timePartitioning"] == {"type": "DAY", "field": "at"}
    assert told["defaultDataset"] == {"datasetId": "shop", "projectId": "p"}
    gcp.attempt = 4
    with pytest.raises(TaskFailed, match="BigQuery: Syntax error"):
        await gcp.run(**{**query, "sql": "broken"})
    assert gcp.said(r"at \[1:1\]", "ERROR")
    with pytest.raises(TaskFailed, match=r"project\.dataset\.table"):
        await gcp.run(**query, destinationTable="orders")


async def test_a_killed_task_cancels_its_job_and_one_that_goes_on_begins_another(gcp, gcp_service):
    query = {"type": f"{BIGQUERY}.Query", **gcp.who, "sql": "SELECT endless"}
    running = asyncio.create_task(gcp.run(**query))
    while not any(gcp_service.looks.values()):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gcp_service.cancelled == {"parley_01EXECUTION_1_1"}
    assert gcp_service.wire.last.query == {"location": "EU"}
    assert (await gcp.run(**{**query, "sql": "SELECT 1"})).jobId == "parley_01EXECUTION_1_1_2"


async def test_a_query_starts_executions(gcp, gcp_service):
    gcp_service.results |= {"refunds": (FIELDS[:1], [["7"]]), "nothing": (FIELDS[:1], [])}
    cls = catalogue().find(f"{BIGQUERY}.Trigger")
    given = {"id": "t", "type": f"{BIGQUERY}.Trigger", **gcp.who, "fetchType": "FETCH"}
    for sql, rows in (("SELECT 1 FROM {{ 'refunds' }}", [{"id": 7}]), ("nothing", None)):
        gcp.task_run_id += "x"
        trigger = cls.model_validate({**given, "sql": sql}, context={"registry": catalogue()})
        found = await trigger.poll(gcp)
        assert (found.rows if found else None) == rows


async def test_loads(gcp, gcp_service):
    uri = await gcp.files.put(b"1;2\n", "rows.csv")
    load = {"type": f"{BIGQUERY}.Load", **gcp.who, "destinationTable": "p.shop.orders", "format": "CSV"}
    options = {"fieldDelimiter": ";", "skipLeadingRows": 1, "allowQuotedNewLines": True}
    schema = {"fields": [{"name": "id", "type": "INT64"}]}
    done = await gcp.run(**load, from_=uri, csvOptions=options, schema=schema, writeDisposition="WRITE_APPEND")
    assert (done.rows, done.destinationTable, gcp_service.loaded) == (3, "p.shop.orders", [b"1;2\n"])
    told = gcp_service.jobs[done.jobId]["configuration"]["load"]
    assert (told["fieldDelimiter"], told["skipLeadingRows"], told["allowQuotedNewlines"]) == (";", 1, True)
    assert (told["schema"], told["sourceFormat"]) == (schema, "CSV")
    assert gcp.metrics["output.rows"] == 3
    empty = await gcp.files.put(b"", "empty.csv")
    with pytest.raises(TaskFailed, match="empty file"):
        await gcp.run(**load, from_=empty)
    assert (await gcp.run(**load, from_=empty, failedOnEmpty=False)).rows == 0
    with pytest.raises(TaskFailed, match="no `fields`"):
        await gcp.run(**load, from_=uri, schema={"id": "INT64"})
    with pytest.raises(TaskFailed, match="`format` is missing"):  # Kestra loads such a flow, too
        await gcp.run(**{**load, "format": None}, from_=uri)
    gcp.attempt = 2
    given = {**load, "type": f"{BIGQUERY}.LoadFromGcs", "format": "JSON", "from_": ["gs://inbox/*.jsonl"]}
    done = await gcp.run(**given, autodetect=True, impersonatedServiceAccount="robot@x.test")
    told = gcp_service.jobs[done.jobId]["configuration"]["load"]
    assert (told["sourceUris"], told["sourceFormat"]) == (["gs://inbox/*.jsonl"], "NEWLINE_DELIMITED_JSON")
    assert gcp_service.wire.last.headers["authorization"] == "Bearer as-another"


async def test_datasets(gcp, gcp_service):
    make = {"type": f"{BIGQUERY}.CreateDataset", **gcp.who, "name": "shop", "location": "EU"}
    assert (await gcp.run(**make)).created
    with pytest.raises(TaskFailed, match="answered 409"):
        await gcp.run(**make)
    assert not (await gcp.run(**make, ifExists="SKIP")).created
    assert not (await gcp.run(**make, ifExists="UPDATE", friendlyName="Shop")).created
    assert gcp_service.datasets["shop"]["friendlyName"] == "Shop"
    skipped = await gcp.run(**make, ifExists="SKIP")
    assert (skipped.friendlyName, skipped.location, skipped.created) == ("Shop", "EU", False)
    key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
    people = [
        ("USER", "{{ 'ann' }}@x.test"),
        ("GROUP", "team@x.test"),
        ("DOMAIN", "x.test"),
        ("IAM_MEMBER", "allUsers"),
    ]
    acl = [{"entity": {"type": kind, "value": who}, "role": "READER"} for kind, who in people]
    change = {"type": f"{BIGQUERY}.UpdateDataset", **gcp.who, "name": "shop"}
    changed = await gcp.run(
        **change, acl=acl, defaultEncryptionConfiguration={"kmsKeyName": key}, defaultTableLifetime=3600000
    )
    assert changed.model_dump() == {
        "dataset": "shop", "project": "parley", "friendlyName": "Shop", "description": None, "location": "EU",
    }  # fmt: skip
    kept = gcp_service.datasets["shop"]
    assert (kept["defaultEncryptionConfiguration"], kept["defaultTableExpirationMs"]) == (
        {"kmsKeyName": key},
        "3600000",
    )
    names = ("userByEmail", "groupByEmail", "domain", "iamMember")
    whom = ("ann@x.test", "team@x.test", "x.test", "allUsers")
    assert kept["access"] == [{"role": "READER", name: value} for name, value in zip(names, whom, strict=True)]
    with pytest.raises(TaskFailed, match="answered 404"):
        await gcp.run(**{**change, "name": "other"})


CONFIG = "projects/p/locations/eu/transferConfigs/c1"


@pytest.fixture
def transfers(make_context, gcp_service):
    """Runs of a transfer as they are listed, and what each look at the one that is waited for says."""
    known = SimpleNamespace(listed=[], said=[], begun=[])

    def handle(request):
        path = request.path.removeprefix("/v1/")
        if path == f"{CONFIG}/runs":
            known.states = request.parameters["states"]
            return Answered({"transferRuns": known.listed})
        if path == f"{CONFIG}:startManualRuns":
            known.begun.append(request.json)
            return Answered({"runs": [{"name": f"{CONFIG}/runs/new", "state": "PENDING"}]})
        if path == CONFIG:
            return Answered({"destinationDatasetId": "shop"})
        return Answered({"name": path, **(known.said.pop(0) if len(known.said) > 1 else known.said[0])})

    with serving(handle) as wire:
        settings = gcp_service.settings
        settings["providers"]["bigquery_transfers"] = {"base_url": f"{wire.url}/v1"}
        context = make_context(settings)
        who = {"serviceAccount": gcp_service.service_account, "transferConfigName": CONFIG, "pollInterval": "PT0.01S"}
        context.transfer = {"type": f"{BIGQUERY}.RunTransferConfig", **who}
        yield known, context


async def test_a_transfer_is_run_and_waited_for(transfers):
    known, context = transfers
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    known.listed = [{"name": f"{CONFIG}/runs/queued", "state": "PENDING", "scheduleTime": later}]
    known.said = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]
    done = await context.run(**context.transfer)
    assert done.model_dump() == {
        "runName": f"{CONFIG}/runs/new", "state": "SUCCEEDED", "reattached": False,
        "destinationDatasetId": "shop", "projectId": "p", "location": "eu",
    }  # fmt: skip
    assert (known.states, len(known.begun)) == (["PENDING", "RUNNING"], 1)
    known.said = [{"state": "FAILED", "errorStatus": {"message": "No such table."}}]
    with pytest.raises(TaskFailed, match=r"runs/new ended as FAILED: No such table\."):
        await context.run(**context.transfer)
    known.said = [{"state": "RUNNING"}]
    assert (await context.run(**context.transfer, wait=False)).state == "PENDING"
    with pytest.raises(TaskFailed, match=r"did not end within 0:00:00\.020000.*maxDuration"):
        await context.run(**context.transfer, maxDuration="PT0.02S")
    with pytest.raises(TaskFailed, match="names no transfer"):
        await context.run(**{**context.transfer, "transferConfigName": "../secrets"})


async def test_a_transfer_that_is_under_way_is_not_run_twice(transfers):
    known, context = transfers
    old, new = ((datetime.now(UTC) - timedelta(hours=hours)).isoformat() for hours in (3, 1))
    known.listed = [
        {"name": f"{CONFIG}/runs/a", "state": "RUNNING", "scheduleTime": old},
        {"name": f"{CONFIG}/runs/b", "state": "PENDING", "scheduleTime": new},
    ]
    known.said = [{"state": "SUCCEEDED"}]
    done = await context.run(**context.transfer)
    assert (done.runName, done.reattached, known.begun) == (f"{CONFIG}/runs/a", True, [])
    assert (await context.run(**context.transfer, reattachMaxAge="PT2H")).runName == f"{CONFIG}/runs/b"
    assert (await context.run(**context.transfer, reattach=False)).runName == f"{CONFIG}/runs/new"


async def test_tables(gcp, gcp_service):
    at = {**gcp.who, "projectId": "p", "dataset": "shop", "table": "orders"}
    columns = [
        {"name": "id", "type": "INT64", "mode": "REQUIRED"},
        {"name": "who", "type": "STRUCT", "subFields": [{"name": "{{ 'name' }}", "type": "STRING"}]},
    ]
    kept = {"clustering": ["id"], "timePartitioning": {"type": "DAY", "field": "day", "expiration": "P1D"}}
    kept |= {"rangePartitioning": {"field": "id", "range": {"start": 0, "end": 100, "interval": 10}}}
    definition = {"type": "TABLE", "schema": {"fields": columns}, "standardTableDefinition": kept}
    make = {"type": f"{BIGQUERY}.CreateTable", **at, "labels": {"n": 1}}
    made = await gcp.run(**make, tableDefinition=definition, friendlyName="Orders", expirationDuration="P1D")
    told = gcp_service.tables["shop", "orders"]
    record = {"name": "who", "type": "RECORD", "fields": [{"name": "name", "type": "STRING"}]}
    assert told["schema"]["fields"] == [{"name": "id", "type": "INT64", "mode": "REQUIRED"}, record]
    assert told["timePartitioning"] == {"type": "DAY", "field": "day", "expirationMs": "86400000"}
    assert told["rangePartitioning"]["range"] == {"start": "0", "end": "100", "interval": "10"}
    assert (told["clustering"], told["labels"]) == ({"fields": ["id"]}, {"n": "1"})
    assert (made.projectId, made.datasetId, made.table, made.friendlyName) == ("p", "shop", "orders", "Orders")
    assert (made.creationTime, made.numRows) == ("2026-01-01T00:00:00+00:00", 0)
    assert made.definition["schema"]["fields"][1]["subFields"] == [{"name": "name", "type": "STRING"}]
    with pytest.raises(TaskFailed, match="answered 409"):
        await gcp.run(**make, tableDefinition=definition)
    changed = await gcp.run(type=f"{BIGQUERY}.UpdateTable", **at, requirePartitionFilter=True)
    assert (changed.requirePartitionFilter, changed.friendlyName) == (True, "Orders")
    view = {"type": "VIEW", "viewDefinition": {"query": "SELECT 1"}}
    seen = await gcp.run(**{**make, "table": "v", "tableDefinition": view})
    assert seen.definition == {"type": "VIEW", "viewDefinition": {"query": "SELECT 1"}}
    external = {"sourceUris": ["gs://x/*.json"], "formatType": "JSON", "autodetect": True}
    await gcp.run(**{**make, "table": "x"}, tableDefinition={"type": "EXTERNAL", "externalTableDefinition": external})
    assert gcp_service.tables["shop", "x"]["externalDataConfiguration"]["sourceFormat"] == "NEWLINE_DELIMITED_JSON"
    often = {"query": "SELECT 1", "refreshInterval": "PT1H"}
    await gcp.run(
        **{**make, "table": "m"}, tableDefinition={"type": "MATERIALIZED_VIEW", "materializedViewDefinition": often}
    )
    assert gcp_service.tables["shop", "m"]["materializedView"]["refreshIntervalMs"] == "3600000"
    with pytest.raises(TaskFailed, match="Give `viewDefinition`"):
        await gcp.run(**{**make, "table": "w"}, tableDefinition={"type": "VIEW"})
    assert (await gcp.run(type=f"{BIGQUERY}.TableMetadata", **at)).etag == "e1"
    await gcp.run(type=f"{BIGQUERY}.DeleteTable", **at)
    meta = {"type": f"{BIGQUERY}.TableMetadata", **at}
    assert (await gcp.run(**meta, ifNotExists="SKIP")).table is None
    with pytest.raises(TaskFailed, match="answered 404"):
        await gcp.run(**meta)
    with pytest.raises(TaskFailed, match="answered 404"):
        await gcp.run(type=f"{BIGQUERY}.DeleteTable", **at)
    gcp_service.datasets["shop"] = {}
    gone = {"type": f"{BIGQUERY}.DeleteDataset", **gcp.who, "projectId": "p", "name": "shop"}
    with pytest.raises(TaskFailed, match="still in use"):
        await gcp.run(**gone)
    assert (await gcp.run(**gone, deleteContents=True)).dataset == "shop"
    assert (gcp_service.datasets, gcp_service.tables) == ({}, {})


async def test_tables_are_copied_and_exported(gcp, gcp_service):
    copy = {"type": f"{BIGQUERY}.Copy", **gcp.who, "sourceTables": ["p.shop.orders$2026"], "labels": {"a": 1}}
    done = await gcp.run(**copy, destinationTable="p.shop.kept", operationType="SNAPSHOT", jobTimeout="PT1M")
    told = gcp_service.jobs[done.jobId]["configuration"]
    source = {"projectId": "p", "datasetId": "shop", "tableId": "orders$2026"}
    assert told["copy"]["sourceTables"] == [source]
    assert (told["copy"]["operationType"], told["jobTimeoutMs"], told["labels"]) == ("SNAPSHOT", "60000", {"a": "1"})
    gcp_service.jobs.clear()
    export = {"type": f"{BIGQUERY}.ExtractToGcs", **gcp.who, "sourceTable": "p.shop.orders", "format": "JSON"}
    done = await gcp.run(**export, destinationUris=["gs://reports/o-*.json"], printHeader=False)
    told = gcp_service.jobs[done.jobId]["configuration"]["extract"]
    assert (told["destinationFormat"], told["printHeader"]) == ("NEWLINE_DELIMITED_JSON", False)
    assert (done.sourceTable, done.fileCounts, done.destinationUris) == ("orders", [2], ["gs://reports/o-*.json"])


async def test_who_asks_and_where(gcp, gcp_service):
    with pytest.raises(TaskFailed, match=r"is not JSON"):
        await gcp.run(type=f"{GCS}.List", serviceAccount="{", from_="gs://x/")
    key = json.dumps({**json.loads(gcp_service.service_account), "project_id": None})
    with pytest.raises(TaskFailed, match="in which project"):
        await gcp.run(type=f"{BIGQUERY}.Query", serviceAccount=key, sql="SELECT 1")
    assert key in gcp.masked


@pytest.mark.usefixtures("young_heap")
async def test_messages_go_to_the_file_as_they_come(gcp, gcp_service, monkeypatch):
    where = {**gcp.who, "projectId": "p", "topic": "orders"}
    await gcp.run(type=f"{PUBSUB}.Publish", **where, from_=[str(number) for number in range(9)])
    monkeypatch.setattr("engine.tasks.gcp.pubsub.AT_ONCE", 2)
    held = in_hand(monkeypatch, "engine.tasks.gcp.pubsub.ListenFields.message", lambda one: isinstance(one, Message))
    found = await gcp.run(type=f"{PUBSUB}.Consume", **where, subscription="flows", maxRecords=9)
    assert [json.loads(line)["data"] for line in gcp.files.text(found.uri).splitlines()] == list("012345678")
    assert max(held) <= 3


async def test_messages_there_and_back(gcp, gcp_service):
    where = {**gcp.who, "projectId": "p", "topic": "orders"}
    rows = [{"data": "one", "attributes": {"a": "b"}}, {"data": {"n": 2}}, "three"]
    assert (await gcp.run(type=f"{PUBSUB}.Publish", **where, from_=rows)).messagesCount == 3
    read = {**where, "subscription": "flows"}
    found = await gcp.run(type=f"{PUBSUB}.Consume", **read, maxRecords=2)
    lines = [json.loads(line) for line in gcp.files.text(found.uri).splitlines()]
    assert [(one["data"], one["attributes"]) for one in lines] == [("one", {"a": "b"}), ('{"n": 2}', {})]
    assert gcp_service.subscriptions == {"projects/p/subscriptions/flows": "projects/p/topics/orders"}
    assert [one["messageId"] for one in gcp_service.waiting] == ["m2"]
    declared = {"id": "t", "type": f"{PUBSUB}.Trigger", **read, "maxRecords": 5}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert (await let_go(trigger, gcp)).count == 1
    assert (await taken(trigger, gcp)).count == 1
    assert await taken(trigger, gcp) is None
    await gcp.run(
        type=f"{PUBSUB}.Publish", **where, from_=[{"data": {"n": 4}, "orderingKey": "k"}, {"data": "no JSON"}]
    )
    ears = {"type": f"{PUBSUB}.RealtimeTrigger", **read, "serdeType": "JSON"}
    messages = await heard(gcp, 2, **ears, acknowledged=lambda: not gcp_service.waiting)
    assert (messages[0].variables["data"], messages[0].variables["orderingKey"]) == ({"n": 4}, "k")
    assert [one.problem is None for one in messages] == [True, False]
    assert [one.key for one in messages] == ["m0", "m1"]
    with pytest.raises(TaskFailed, match="answered 404"):
        await gcp.run(
            type=f"{PUBSUB}.Consume", **{**read, "subscription": "x"}, maxRecords=1, autoCreateSubscription=False
        )
    with pytest.raises(TaskFailed, match="when to stop"):
        await gcp.run(type=f"{PUBSUB}.Consume", **read)


async def test_a_token_for_calls_of_ones_own(gcp):
    found = await gcp.run(type="io.kestra.plugin.gcp.auth.OauthAccessToken", **gcp.who)
    token = found.accessToken["tokenValue"]
    assert token in gcp.masked
    assert found.accessToken["scopes"] == ["https://www.googleapis.com/auth/cloud-platform"]
    assert datetime.fromisoformat(found.accessToken["expirationTime"]) > datetime.now(UTC)
