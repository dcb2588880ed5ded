"""Messages in Kafka: the mock cluster of the client's own library answers, over sockets."""

import json
import struct
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.kafka_connection import headers_of, login, reader, writer
from tests.tasks.context import heard, let_go, taken

KAFKA = "io.kestra.plugin.kafka"


@pytest.fixture(scope="module")
def servers():
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    yield ",".join(f"{broker.host}:{broker.port}" for broker in cluster.list_topics(timeout=10).brokers.values())
    del cluster


@pytest.fixture
def properties(servers):
    """The mock cluster lets a member of a group in when the one before has timed out, whether or not it has left."""
    return {
        "bootstrap.servers": servers,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "key.serializer": "x",
    }


@pytest.fixture
def topic():
    return f"orders-{uuid.uuid4().hex[:8]}"


def held(servers, topic):
    """Key, value and headers of what another client reads."""
    reading = Consumer({"bootstrap.servers": servers, "group.id": uuid.uuid4().hex, "log_level": 0})
    reading.assign(
        [TopicPartition(topic, n, 0) for n in reading.list_topics(topic, timeout=10).topics[topic].partitions]
    )
    found = []
    while message := reading.poll(2):
        assert message.error() is None
        found.append((message.key() or b"", message.value(), message.headers() or []))
    reading.close()
    return sorted(found)


@pytest.mark.parametrize("transactional", [True, False])
async def test_messages_are_sent(context, servers, properties, topic, transactional):
    rows = [
        {"key": 1, "value": {"a": "ä"}, "headers": {"from": "flow"}, "timestamp": "2026-01-31T09:00:00Z"},
        {"key": "2", "value": [1], "partition": 0, "headers": [{"x": "1"}, {"x": "2"}]},
    ]
    uri = await context.files.put("".join(json.dumps(row) + "\n" for row in rows).encode(), "rows.jsonl")
    given = {"type": f"{KAFKA}.Produce", "properties": properties, "topic": topic, "transactional": transactional}
    kinds = {"keySerializer": "INTEGER", "valueSerializer": "JSON"}
    assert (await context.run(**given, **kinds, from_=uri)).messagesCount == 2
    assert (await context.run(**given, from_={"value": "text"})).messagesCount == 1
    assert held(servers, topic) == [
        (b"", b"text", []),
        (struct.pack(">i", 1), '{"a": "ä"}'.encode(), [("from", b"flow")]),
        (struct.pack(">i", 2), b"[1]", [("x", b"1"), ("x", b"2")]),
    ]


async def test_a_group_goes_on_where_it_was(context, servers, properties, topic):
    where = {"properties": properties, "topic": topic}
    read = {"type": f"{KAFKA}.Consume", **where, "groupId": f"g-{topic}", "valueDeserializer": "JSON"}
    read |= {"pollDuration": "PT20S"}  # what is expected ends by `maxRecords`, however slow the machine is

    async def send(*values):
        await context.run(
            type=f"{KAFKA}.Produce", **where, valueSerializer="JSON", from_=[{"key": "k", "value": v} for v in values]
        )

    async def rows(**more):
        found = await context.run(**read, **more)
        lines = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
        assert found.messagesCount == len(lines)
        return lines

    await send(1, 2, 3)
    first = await rows(maxRecords=2)
    assert [row["value"] for row in first] == [1, 2]
    assert (first[0]["key"], first[0]["topic"], first[1]["offset"] - first[0]["offset"]) == ("k", topic, 1)
    assert first[0]["timestamp"].endswith("+00:00")
    assert [row["value"] for row in await rows(maxRecords=1)] == [3]
    assert await rows(maxDuration="PT1S") == []
    no_times = ({"since": "2026-01-31T09:00:00Z", "pollDuration": "PT1S"}, 0)
    # the mock cluster says "nothing since then" to every time
    three = {"maxRecords": 3}
    for more, expected in ((three, 3), (three | {"partitions": [first[0]["partition"]]}, 3), no_times):
        again = await context.run(**{name: value for name, value in read.items() if name != "groupId"} | more)
        assert again.messagesCount == expected
    await send(4)
    given = {"id": "t", "type": f"{KAFKA}.Trigger", **where, "groupId": f"{{{{ 'g-{topic}' }}}}", "maxRecords": 1}

    def trigger(patience):
        known = catalogue()
        model = known.find(f"{KAFKA}.Trigger")
        return model.model_validate({**given, "pollDuration": patience}, context={"registry": known})

    assert (await let_go(trigger("PT20S"), context)).messagesCount == 1
    assert (await taken(trigger("PT20S"), context)).messagesCount == 1
    assert await taken(trigger("PT1S"), context) is None


async def test_messages_are_heard_as_they_come(context, servers, properties, topic):
    where = {"properties": properties, "topic": topic}
    send = {"type": f"{KAFKA}.Produce", **where}
    await context.run(**send, from_=[{"key": "k", "value": '{"a": 1}'}, {"value": "no JSON"}])
    group = {"type": f"{KAFKA}.RealtimeTrigger", **where, "groupId": f"g-{topic}", "valueDeserializer": "JSON"}
    place = Consumer({"bootstrap.servers": servers, "group.id": f"g-{topic}", "log_level": 0})
    numbers = place.list_topics(topic, timeout=10).topics[topic].partitions

    def committed():
        return sum(max(at.offset, 0) for at in place.committed([TopicPartition(topic, n) for n in numbers], timeout=10))

    assert committed() == 0
    found = await heard(context, 2, **group, acknowledged=lambda: committed() == 2)
    place.close()
    read = next(one for one in found if one.problem is None)
    assert (read.variables["key"], read.variables["value"], read.variables["topic"]) == ("k", {"a": 1}, topic)
    bad = next(one for one in found if one.problem is not None)
    assert (bad.variables["value"], "is no JSON" in bad.problem.message) == ("no JSON", True)
    assert len({one.key for one in found}) == 2
    assert read.key.startswith(f"{topic}/")


async def test_what_cannot_be_read_is_not_lost(context, properties, topic):
    where = {"properties": {**properties, "group.id": f"g-{topic}"}, "topic": topic}
    await context.run(type=f"{KAFKA}.Produce", **where, from_={"value": "no JSON"})
    with pytest.raises(TaskFailed, match="A message is no JSON"):
        await context.run(type=f"{KAFKA}.Consume", **where, valueDeserializer="JSON", pollDuration="PT20S")
    found = await context.run(type=f"{KAFKA}.Consume", **where, pollDuration="PT20S", maxRecords=1)
    assert found.messagesCount == 1


async def test_what_cannot_be_read_may_be_skipped_stored_or_sent_on(context, servers, properties, topic):
    where = {"properties": {**properties, "group.id": f"g-{topic}"}, "topic": topic}
    bad = {"key": "k", "value": "no JSON", "headers": {"from": "till"}}
    await context.run(type=f"{KAFKA}.Produce", **where, from_=[bad, {"value": "[1]"}])
    ways = (
        ({"type": "STORE"}, ["no JSON", [1]]),
        ({}, [[1]]),
        ({"type": "DLQ", "topic": f"{topic}-bad"}, [[1]]),
    )
    read = {"type": f"{KAFKA}.Consume", "topic": topic, "valueDeserializer": "JSON", "pollDuration": "PT1S"}
    for way, expected in ways:
        found = await context.run(**read, properties=properties, onSerdeError=way)
        rows = [json.loads(line)["value"] for line in context.files.text(found.uri).splitlines()]
        assert (sorted(rows, key=str, reverse=True), found.messagesCount) == (expected, len(expected))
    assert held(servers, f"{topic}-bad") == [(b"k", b"no JSON", [("from", b"till")])]
    ears = {"type": f"{KAFKA}.RealtimeTrigger", **where, "valueDeserializer": "JSON"}
    (heard_one,) = await heard(context, 1, **ears, onSerdeError={"type": "DLQ", "topic": f"{topic}-bad"})
    assert heard_one.variables["value"] == [1]
    assert len(held(servers, f"{topic}-bad")) == 2
    with pytest.raises(TaskFailed, match="names no topic"):
        await context.run(**read, properties=properties, onSerdeError={"type": "DLQ"})
    with pytest.raises(TaskFailed, match="share groups as a preview"):
        await context.run(**read, properties=properties, groupId="g", groupType="SHARE")


async def test_half_a_character_and_what_is_nested_too_deeply_hold_up_no_group(context, properties, topic):
    values = ['"half \\ud83d"', "[" * 2000 + "]" * 2000, "[" * 200 + "]" * 200, '"whole"']
    await context.run(type=f"{KAFKA}.Produce", properties=properties, topic=topic, from_=[{"value": v} for v in values])
    read = {"type": f"{KAFKA}.Consume", "topic": topic, "valueDeserializer": "JSON", "pollDuration": "PT1S"}
    found = await context.run(**read, properties=properties, onSerdeError={})
    rows = [json.loads(line)["value"] for line in context.files.text(found.uri).splitlines()]
    assert sorted(rows) == ["half ?", "whole"]
    with pytest.raises(TaskFailed, match="A message is no JSON"):
        await context.run(**read, properties=properties)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"properties": {}}, "lack `bootstrap.servers`"),
        ({"properties": {"bootstrap.servers": "127.0.0.1:1", "nonsense": "1"}}, "nonsense"),
        ({"properties": {"bootstrap.servers": "127.0.0.1:1", "plugin.library.paths": "/x.so"}}, "may not have"),
        ({"properties": {"bootstrap.servers": "127.0.0.1:1", "ssl.keystore.location": "/x"}}, "may not have"),
        ({"properties": {"bootstrap.servers": "127.0.0.1:1", "sasl.kerberos.kinit.cmd": "id"}}, "may not have"),
        ({"topic": None}, "Either `topic` or `topicPattern`"),
        ({"topic": None, "topicPattern": "a.*"}, "needs `groupId`"),
        ({"valueDeserializer": "AVRO"}, "schema registry"),
        ({"since": "yesterday"}, "no point in time"),
    ],
)
async def test_what_cannot_be_read_says_why(context, properties, topic, given, said):
    with pytest.raises(TaskFailed, match=said):
        await context.run(**{"type": f"{KAFKA}.Consume", "properties": properties, "topic": topic, **given})


async def test_a_broker_that_is_not_there_says_so(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.kafka_sending.PATIENCE", 1)
    monkeypatch.setattr("engine.tasks.kafka_reading.PATIENCE", 1)
    given = {"properties": {"bootstrap.servers": "127.0.0.1:1"}, "topic": "t"}
    for kind, more in (("Produce", {"from_": {"value": "x"}}), ("Consume", {})):
        with pytest.raises(TaskFailed, match="Kafka: "):
            await context.run(type=f"{KAFKA}.{kind}", **given, **more)
    for wrong in ("no map", [{"topic": "", "value": 1}]):
        with pytest.raises(TaskFailed, match=r"is no map|which topic"):
            await context.run(type=f"{KAFKA}.Produce", properties=given["properties"], from_=wrong)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("STRING", "ä"),
        ("JSON", {"a": 1}),
        ("LONG", 2**40),
        ("SHORT", -3),
        ("DOUBLE", 1.5),
        ("BYTES", "AAE="),
        ("VOID", None),
    ],
)
def test_values_are_bytes_and_back(kind, value):
    assert reader(kind)(writer(kind)(value)) == value


def test_logins_and_headers_of_java():
    line = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="ann" password="a\\"b;c";'
    assert login(line) == {"sasl.username": "ann", "sasl.password": 'a"b;c'}
    with pytest.raises(TaskFailed, match="no user and password"):
        login("nothing")
    assert headers_of({"a": 1}) == [("a", b"1")]
    with pytest.raises(TaskFailed, match="is no INTEGER"):
        writer("INTEGER")("x")
    with pytest.raises(TaskFailed, match="neither a map"):
        headers_of("x")


async def test_headers_tell_which_messages_are_read(context, properties, topic):
    where = {"properties": properties, "topic": topic}
    rows = [
        {"value": "a", "headers": {"kind": "new", "of": "x"}},
        {"value": "b", "headers": {"kind": "old"}},
        {"value": "c", "headers": [{"kind": "old"}, {"kind": "new"}]},
        {"value": "d"},
    ]
    await context.run(type=f"{KAFKA}.Produce", **where, from_=rows)
    read = {"type": f"{KAFKA}.Consume", **where, "pollDuration": "PT1S"}
    found = await context.run(**read, headerFilters={"kind": "new"}, maxRecords=2)
    assert found.messagesCount == 2
    lines = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
    assert sorted(row["value"] for row in lines) == ["a", "c"]
    assert (await context.run(**read, headerFilters={"kind": "new", "of": "x"})).messagesCount == 1
