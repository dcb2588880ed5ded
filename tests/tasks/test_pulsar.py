"""Messages of Apache Pulsar: its own client against a broker that speaks its protocol."""

import asyncio
import gc
import json
import weakref

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue, pulsar_connection
from tests.tasks.context import heard, let_go, taken
from tests.wire.pulsar import TOKEN, pulsar

KIND = "io.kestra.plugin.pulsar"
NAME = "persistent://public/default/orders"


@pytest.fixture
def broker():
    with pulsar() as running:
        yield running


def at(broker, **given):
    uri = f"pulsar://127.0.0.1:{broker.port}"
    return {"uri": uri, "topic": "orders", "authenticationToken": TOKEN, **given}


def rows(context, uri):
    return [json.loads(line) for line in context.files.text(uri).splitlines()]


async def test_messages_there_and_back(context, broker):
    first = {"key": "k", "value": {"id": 1}, "properties": {"source": "flow"}, "eventTime": "2026-01-02T03:04:05Z"}
    send = {"type": f"{KIND}.Produce", **at(broker), "serializer": "JSON", "compressionType": "ZSTD"}
    sent = await context.run(**send, from_=[first, {"value": "plain"}])
    assert (sent.messagesCount, len(broker.topics[NAME].frames)) == (2, 2)
    await context.run(type=f"{KIND}.Produce", **at(broker), from_={"value": "7"})

    look = await context.run(type=f"{KIND}.Reader", **at(broker), pollDuration="PT0.3S", deserializer="JSON")
    assert [row["value"] for row in rows(context, look.uri)] == [{"id": 1}, "plain", 7]
    broker.topics[NAME].arrived[:2] = [0, 0]
    late = await context.run(type=f"{KIND}.Reader", **at(broker), pollDuration="PT0.3S", since="PT1H")
    assert [row["value"] for row in rows(context, late.uri)] == ["7"]
    take = {"type": f"{KIND}.Consume", **at(broker), "subscriptionName": "flows", "pollDuration": "PT0.3S"}
    two = await context.run(**take, deserializer="JSON", maxRecords=2)
    one, _ = rows(context, two.uri)
    assert (one["key"], one["value"], one["properties"]) == ("k", {"id": 1}, {"source": "flow"})
    assert (one["topic"], one["eventTime"], two.messagesCount) == (NAME, "2026-01-02T03:04:05+00:00", 2)
    rest = await context.run(**take)  # what was taken is acknowledged, and does not come again
    assert [row["value"] for row in rows(context, rest.uri)] == ["7"]
    assert (await context.run(**take, maxDuration="PT0.3S")).messagesCount == 0
    assert TOKEN in context.masked


async def test_messages_that_cannot_be_read_are_not_taken(context, broker):
    await context.run(type=f"{KIND}.Produce", **at(broker), from_=["no json"])
    take = {"type": f"{KIND}.Consume", **at(broker), "subscriptionName": "flows", "pollDuration": "PT0.3S"}
    with pytest.raises(TaskFailed, match=r"\(1,0,-1,-1\) is not JSON.*deserializer: STRING"):
        await context.run(**take, deserializer="JSON")
    assert rows(context, (await context.run(**take, deserializer="BYTES")).uri)[0]["value"] == "bm8ganNvbg=="


@pytest.mark.usefixtures("young_heap")
async def test_messages_go_to_the_file_as_they_come(context, broker, monkeypatch):
    in_hand = []

    async def received(hears, most, patience):
        gc.collect()
        assert sum(one() is not None for one in in_hand) <= 2  # the lot before
        found = await pulsar_connection.received(hears, most, patience)
        in_hand.extend(map(weakref.ref, found))
        return found

    monkeypatch.setattr("engine.tasks.pulsar.received", received)
    monkeypatch.setattr("engine.tasks.pulsar.AT_ONCE", 2)
    monkeypatch.setattr("engine.tasks.pulsar.MOST", 5)
    await context.run(type=f"{KIND}.Produce", **at(broker), from_=list("abcdefg"))
    take = {"type": f"{KIND}.Consume", **at(broker, topic=["orders", "more"]), "subscriptionName": "s"}
    take["pollDuration"] = "PT0.3S"
    found = await context.run(**take)
    assert [row["value"] for row in rows(context, found.uri)] == list("abcde")
    assert context.said("5 messages are taken, the rest the next time", "WARN")
    assert broker.topics[NAME].subscriptions["s"].acked == set(range(5))
    assert [row["value"] for row in rows(context, (await context.run(**take)).uri)] == ["f", "g"]
    assert len(in_hand) == 7


async def test_a_trigger_looks_for_messages(context, broker):
    declared = {"id": "t", "type": f"{KIND}.Trigger", **at(broker), "subscriptionName": "s", "maxDuration": "PT0.5S"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert await taken(trigger, context) is None
    await context.run(type=f"{KIND}.Produce", **at(broker), from_=["a", "b"])
    assert (await let_go(trigger, context)).messagesCount == 2
    assert (await taken(trigger, context)).messagesCount == 2
    assert await taken(trigger, context) is None


async def test_each_message_is_heard_and_acknowledged_when_it_is_kept(context, broker):
    await context.run(type=f"{KIND}.Produce", **at(broker), from_=["{}", "nonsense"])

    def acknowledged():
        return broker.topics[NAME].subscriptions["s"].acked == {0, 1}

    declared = {"type": f"{KIND}.RealtimeTrigger", **at(broker), "subscriptionName": "s", "deserializer": "JSON"}
    first, second = await heard(context, 2, acknowledged=acknowledged, **declared)
    assert (first.variables["value"], first.key, first.problem) == ({}, f"{NAME}:(1,0,-1,-1)", None)
    assert "is not JSON" in str(second.problem)


async def test_who_is_refused(context, broker, monkeypatch):
    monkeypatch.setattr("engine.tasks.pulsar_connection.PATIENCE", 1)
    send = {"type": f"{KIND}.Produce", **at(broker), "from_": ["x"]}
    for wrong, said in [
        ({"topic": "none"}, "refused: TopicNotFound"),
        ({"authenticationToken": "wrong"}, "Check .*`authenticationToken`"),
        ({"topic": ["a", "b"]}, "go to one topic"),
        ({"uri": "pulsar://127.0.0.1:1"}, "did not answer.*Check host"),
        ({"uri": "http://127.0.0.1"}, "no address of Pulsar"),
        ({"uri": "pulsar://169.254.169.254:6650"}, "link-local"),
        ({"schemaType": "AVRO", "schemaString": "{}"}, "Schemas of Pulsar are not supported"),
        ({"encryptionKey": "k"}, "Encrypted messages are not supported"),
        ({"serializer": "BYTES"}, "not Base64"),
        ({"tlsOptions": {"ca": "%"}}, "`tlsOptions.ca` is neither PEM nor Base64"),
    ]:
        with pytest.raises(TaskFailed, match=said):
            await context.run(**{**send, **wrong})
    read = {"type": f"{KIND}.Reader", **at(broker)}
    with pytest.raises(TaskFailed, match="`messageId` is not supported"):
        await context.run(**read, messageId="1:2")
    declared = {"type": f"{KIND}.RealtimeTrigger", **at(broker), "subscriptionName": "s"}
    ears = asyncio.create_task(heard(context, 1, **declared))
    async with asyncio.timeout(30):
        while NAME not in broker.topics:
            await asyncio.sleep(0.02)
    with pytest.raises(TaskFailed, match="refused: ConsumerBusy"):
        await context.run(type=f"{KIND}.Consume", **at(broker), subscriptionName="s")
    ears.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ears
