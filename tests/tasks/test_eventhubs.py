"""Azure Event Hubs over AMQP; how far was read lies in Microsoft's own emulator of Azure Storage."""

import asyncio
import json

import pytest
from azure.storage.blob import BlobServiceClient

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.tasks.context import heard, let_go, taken
from tests.wire.azurite import ACCOUNT, KEY, azurite

pytest.importorskip("azure.eventhub")
from tests.wire.eventhubs import ENQUEUED, event_hub

HUBS = "io.kestra.plugin.azure.eventhubs"

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    with azurite(tmp_path_factory.mktemp("azurite")) as endpoint:
        connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint}"
        with BlobServiceClient.from_connection_string(connection) as client:
            yield client, connection


@pytest.fixture
def hub():
    with event_hub() as made:
        yield made


@pytest.fixture
def who(hub, blobs, request):
    """Which hub, as which reader, and where it is kept how far was read."""
    client, connection = blobs
    container = request.node.name.replace("_", "-")[:50].strip("-")
    client.create_container(container)
    kept = {"connectionString": connection, "containerName": container}
    found = {"namespace": "shop", "eventHubName": "Orders", "connectionString": hub.connection, "clientMaxRetries": 0}
    return {**found, "maxWaitTimePerPartition": "PT0.5S", "checkpointStoreProperties": kept}


def read_so_far(blobs, who):
    """What lies in the container: the partition, and how far it was read."""
    there = blobs[0].get_container_client(who["checkpointStoreProperties"]["containerName"])
    return {blob.name: blob.metadata for blob in there.list_blobs(include=["metadata"])}


async def test_events_are_sent(context, hub, who):
    rows = [
        {"body": {"a": 1}, "messageId": 7, "correlationId": "c", "contentType": "text/x", "properties": {"n": 1}},
        {"body": "two"},
        {"body": [3]},
    ]
    uri = await context.files.put("".join(json.dumps(row) + "\n" for row in rows).encode(), "rows.jsonl")
    send = {
        "type": f"{HUBS}.Produce",
        **{name: who[name] for name in ("namespace", "eventHubName", "connectionString")},
    }
    sent = await context.run(
        **send,
        from_=uri,
        bodySerializer="JSON",
        maxEventsPerBatch=2,
        partitionKey="k",
        eventProperties={"source": "flow"},
    )
    assert (sent.eventsCount, sent.sendBatchesCount) == (3, 2)
    (key, first), (_, second) = hub.batches
    assert (key, [one.data for one in first + second]) == ("k", [[b'{"a": 1}'], [b'"two"'], [b"[3]"]])
    told = first[0].properties
    assert (told.message_id, told.correlation_id, told.content_type) == (b"7", b"c", b"text/x")
    assert first[0].application_properties == {b"n": 1, b"source": b"flow"}
    assert (context.metrics["events.sent.count"], context.metrics["batches.sent.count"]) == (3, 2)
    plain = await context.run(**send, from_=[{"body": "aGk="}], bodySerializer="BINARY", bodyContentType="image/png")
    assert plain.eventsCount == 1
    assert (hub.batches[-1][1][0].data, hub.batches[-1][1][0].properties.content_type) == ([b"hi"], b"image/png")
    assert (await context.run(**send, from_=[])).sendBatchesCount == 0
    assert hub.tokens[0].startswith("SharedAccessSignature sr=")
    for given, why in (
        ({"from_": [{"text": "x"}]}, "An event has no `body`"),
        ({"from_": [{"body": "x", "properties": "y"}]}, "`properties` of an event are no map"),
        ({"from_": [{"body": "%"}], "bodySerializer": "BINARY"}, "A body is not in base64"),
        ({"from_": [{"body": "x" * 500}], "maxBatchSizeInBytes": 300}, "too large for a batch"),
        ({"from_": rows, "maxBatchSizeInBytes": 10**9}, "(?s)too large, acceptable max.*Check what the message names"),
        ({"from_": rows, "connectionString": None}, "not said who asks"),
        ({"from_": rows, "connectionString": "Endpoint=sb://127.0.0.1:1;x=y"}, "Event Hubs can't be asked like this"),
    ):
        with pytest.raises(TaskFailed, match=why):
            await context.run(**{**send, **given})
    assert {"aHVzaA==", hub.connection} <= context.masked
    hub.listening.close()
    nobody = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=me;SharedAccessKey=aHVzaA==;UseDevelopmentEmulator=true"
    with pytest.raises(TaskFailed, match="Check the credentials"):
        await context.run(**{**send, "connectionString": nobody, "clientMaxRetries": 0}, from_=rows)


async def test_events_are_read_once(context, hub, who, blobs):
    hub.put("0", b'{"a": 1}', b'{"a": 2}', b'{"a": 3}', key="k", kind="application/json", id="m", properties={"n": "x"})
    hub.put("1", b'{"b": 1}')
    read = {"type": f"{HUBS}.Consume", **who, "bodyDeserializer": "JSON", "maxBatchSizePerPartition": 2}
    found = await context.run(**read)
    rows = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
    assert found.eventsCount == 3
    assert sorted(json.dumps(row["body"]) for row in rows) == ['{"a": 1}', '{"a": 2}', '{"b": 1}']
    assert next(row for row in rows if row["body"] == {"a": 2}) == {
        "partitionKey": "k",
        "body": {"a": 2},
        "contentType": "application/json",
        "correlationId": None,
        "messageId": "m",
        "enqueuedTimestamp": ENQUEUED + 1000,
        "offset": 1,
        "sequenceNumber": 1,
        "properties": {"n": "x"},
    }
    assert read_so_far(blobs, who) == {
        "127.0.0.1/orders/$default/checkpoint/0": {"offset": "1", "sequencenumber": "1"},
        "127.0.0.1/orders/$default/checkpoint/1": {"offset": "0", "sequencenumber": "0"},
    }
    rest = await context.run(**read)
    assert [json.loads(line)["body"] for line in context.files.text(rest.uri).splitlines()] == [{"a": 3}]
    assert ("0", "amqp.annotation.x-opt-offset > '1'") in hub.starts
    hub.put("1", b"no json")
    with pytest.raises(TaskFailed, match="An event is no JSON"):
        await context.run(**read)
    again = await context.run(**{**read, "bodyDeserializer": "STRING"})  # it is still to be read
    assert json.loads(context.files.text(again.uri))["body"] == "no json"
    hub.starts.clear()
    other = {**read, "consumerGroup": "late", "bodyDeserializer": "BINARY"}
    moment = {"partitionStartingPosition": "INSTANT", "enqueueTime": "2026-01-01T00:00:00.000"}
    await context.run(**{**other, **moment})
    assert hub.starts[0][1] == f"amqp.annotation.x-opt-enqueued-time > '{ENQUEUED}'"
    nothing = await context.run(**{**other, "consumerGroup": "new", "partitionStartingPosition": "LATEST"})
    assert nothing.eventsCount == 0
    for given, why in (
        ({"partitionStartingPosition": "INSTANT", "consumerGroup": "x"}, "wants a time"),
        ({"checkpointStoreProperties": {"containerName": "c"}}, "lack `connectionString`"),
        ({"checkpointStoreProperties": {"connectionString": "c"}}, "lack `containerName`"),
    ):
        with pytest.raises(TaskFailed, match=why):
            await context.run(**{**read, **given})


async def test_a_read_ends_in_time_and_when_it_is_killed(context, hub, who):
    read = {"type": f"{HUBS}.Consume", **who, "maxWaitTimePerPartition": "PT1M"}
    hub.put("0", b"one")
    found = await context.run(**read, maxDuration="PT3S")  # the other partition has nothing
    assert found.eventsCount == 1
    running = asyncio.ensure_future(context.run(**read, maxDuration="PT1H"))
    while len(hub.starts) < 4:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    hub.refuses = "no such key"
    with pytest.raises(TaskFailed, match="Event Hubs:"):
        await context.run(**read)


async def test_events_start_executions(context, hub, who, blobs):
    declared = {"id": "t", "type": f"{HUBS}.Trigger", **who, "interval": "PT1M"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert await taken(trigger, context) is None
    hub.put("0", b"one", b"two")
    assert (await let_go(trigger, context)).eventsCount == 2
    assert (await taken(trigger, context)).eventsCount == 2
    assert await taken(trigger, context) is None
    hub.put("0", b'{"a": 1}', b"no json")
    given = {name: value for name, value in who.items() if not name.startswith("max")}
    kept = "127.0.0.1/orders/$default/checkpoint/0"
    messages = await heard(
        context,
        2,
        acknowledged=lambda: read_so_far(blobs, who)[kept] == {"offset": "3", "sequencenumber": "3"},
        id="t",
        type=f"{HUBS}.RealtimeTrigger",
        **given,
        bodyDeserializer="JSON",
    )
    first, second = messages
    assert (first.variables["body"], first.key, first.problem) == ({"a": 1}, "127.0.0.1/Orders/0/2", None)
    assert second.variables["body"] == "no json"
    assert "An event is no JSON" in str(second.problem)


async def test_a_listener_that_is_stopped_leaves_nothing_behind(context, hub, who):
    given = {name: value for name, value in who.items() if not name.startswith("max")}
    before = asyncio.all_tasks()
    listening = asyncio.ensure_future(heard(context, 1, id="t", type=f"{HUBS}.RealtimeTrigger", **given))
    while len(hub.starts) < 2:
        await asyncio.sleep(0.01)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert {task.get_coro().__qualname__ for task in asyncio.all_tasks() - before} == set()
