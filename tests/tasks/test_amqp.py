"""Messages of AMQP 0-9-1: aio-pika against a broker on loopback."""

import itertools
import json
from types import SimpleNamespace

import pytest
from aio_pika import IncomingMessage

from engine.errors import TaskFailed
from engine.plugin import Message
from engine.tasks import catalogue
from engine.tasks.amqp_connection import AmqpConnected
from tests.tasks.context import heard, in_hand, taken
from tests.wire.amqp import amqp_broker
from tests.wire.certificates import self_signed

AMQP = "io.kestra.plugin.amqp"


@pytest.fixture
def broker():
    with amqp_broker("s3cret") as running:
        yield running


@pytest.fixture
def at(broker):
    """What every task says."""
    return {"host": "127.0.0.1", "port": broker.port, "username": "flows", "password": "s3cret", "virtualHost": "shop"}


async def test_messages_there_and_back(context, broker, at):
    assert (await context.run(type=f"{AMQP}.CreateQueue", **at, name="orders")).queue == "orders"
    made = await context.run(type=f"{AMQP}.DeclareExchange", **at, name="shop", exchangeType="TOPIC")
    assert (made.exchange, broker.exchanges) == ("shop", {"shop": "topic"})
    await context.run(type=f"{AMQP}.QueueBind", **at, exchange="shop", queue="orders", routingKey="new")
    rows = [
        {"data": {"id": 17}, "messageId": "m1", "headers": {"a": "b"}, "timestamp": "2026-01-31T09:00:00Z"},
        {"data": "ä", "contentType": "text/plain"},
    ]
    send = {"type": f"{AMQP}.Publish", **at, "serdeType": "JSON"}
    assert (await context.run(**send, exchange="shop", routingKey="new", from_=rows)).messagesCount == 2
    read = {"url": broker.url, "queue": "orders", "serdeType": "JSON"}
    found = await context.run(type=f"{AMQP}.Consume", **read, maxRecords=2)
    first, second = (json.loads(line) for line in context.files.text(found.uri).splitlines())
    assert (first["data"], first["messageId"], first["headers"]) == ({"id": 17}, "m1", {"a": "b"})
    assert first["timestamp"].startswith("2026-01-31T09:00:00")
    assert (second["data"], second["contentType"], broker.unsaid) == ("ä", "text/plain", 0)
    declared = {"id": "t", "type": f"{AMQP}.Trigger", **read, "maxDuration": "PT0.3S"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert await taken(trigger, context) is None
    await context.run(**{**send, "serdeType": "STRING"}, routingKey="orders", from_="no JSON")
    with pytest.raises(TaskFailed, match="A message is not JSON: 'no JSON'"):
        await taken(trigger, context)
    kept = await context.run(type=f"{AMQP}.Consume", **{**read, "serdeType": "STRING"}, maxRecords=1)
    assert json.loads(context.files.text(kept.uri))["data"] == "no JSON"  # it was not lost
    assert "s3cret" in context.masked


async def test_a_busy_queue_is_read_for_as_long_as_it_says(context, at, monkeypatch):
    await context.run(type=f"{AMQP}.CreateQueue", **at, name="orders")
    await context.run(type=f"{AMQP}.Publish", **at, routingKey="orders", from_=[str(n) for n in range(9)])
    seconds = itertools.count()
    for module in ("amqp", "message_files"):
        monkeypatch.setattr(f"engine.tasks.{module}.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    found = await context.run(type=f"{AMQP}.Consume", **at, queue="orders", maxDuration="PT3S")
    assert found.count == 3


@pytest.mark.usefixtures("young_heap")
async def test_messages_go_to_the_file_as_they_come(context, at, monkeypatch):
    await context.run(type=f"{AMQP}.CreateQueue", **at, name="orders")
    await context.run(type=f"{AMQP}.Publish", **at, routingKey="orders", from_=[str(n) for n in range(9)])
    held = in_hand(monkeypatch, "engine.tasks.amqp.read", lambda one: isinstance(one, IncomingMessage | Message))
    found = await context.run(type=f"{AMQP}.Consume", **at, queue="orders", maxRecords=8)
    assert [json.loads(line)["data"] for line in context.files.text(found.uri).splitlines()] == list("01234567")
    assert max(held) <= 4  # what is not written yet, as it came and as it is read


async def test_what_a_look_took_comes_again_until_it_is_written(context, broker, at):
    await context.run(type=f"{AMQP}.CreateQueue", **at, name="orders")
    await context.run(type=f"{AMQP}.Publish", **at, routingKey="orders", from_=["a", "b"])
    declared = {"id": "t", "type": f"{AMQP}.Trigger", **at, "queue": "orders", "maxRecords": 10}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    look = await trigger.poll(context)
    assert look.found.count == 2
    await look.taking.aclose()  # it could not be written
    assert (await taken(trigger, context)).count == 2
    assert await taken(trigger, context) is None


async def test_messages_are_heard_as_they_come(context, broker, at):
    await context.run(type=f"{AMQP}.CreateQueue", **at, name="orders")
    send = {"type": f"{AMQP}.Publish", **at, "routingKey": "orders"}
    await context.run(**send, from_=[{"data": '{"n": 1}', "messageId": "m1"}, {"data": "no JSON"}])
    ears = {"type": f"{AMQP}.RealtimeTrigger", **at, "queue": "orders", "serdeType": "JSON", "consumerTag": "flows"}
    kind = catalogue().resolve(ears)
    trigger = kind.model_validate({"id": "the_trigger", **ears}, context={"registry": catalogue()})
    dying = trigger.listen(context)
    first = list(await anext(dying))
    await dying.aclose()  # it died with them in hand
    found = await heard(context, 2, **ears, acknowledged=lambda: broker.unsaid == 0 and not broker.queues["orders"])
    assert [one.variables["data"] for one in found] == [{"n": 1}, "no JSON"]
    assert [one.problem is None for one in found] == [True, False]
    assert [one.key for one in found][: len(first)] == [one.key for one in first]
    assert len({one.key for one in found}) == 2


async def test_what_goes_wrong_is_told(context, broker, at):
    take = {"type": f"{AMQP}.Consume", "queue": "nowhere", "maxRecords": 1}
    with pytest.raises(TaskFailed, match=r"The broker refused: .*no queue 'nowhere'"):
        await context.run(**take, **at)
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(**take, **{**at, "password": "wrong"})
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(**take, **{**at, "port": 9})
    with pytest.raises(TaskFailed, match="which broker"):
        await context.run(**take)
    with pytest.raises(TaskFailed, match="when to stop"):
        await context.run(type=f"{AMQP}.Consume", **at, queue="x")


async def test_a_broker_is_heard_over_tls(context, tmp_path):
    tls = self_signed(tmp_path)
    pem = (tmp_path / "server.pem").read_text()
    own = {"sslCaCertificate": pem[pem.index("-----BEGIN CERTIFICATE") :]}
    with amqp_broker("s3cret", tls) as broker:
        at = {"host": "127.0.0.1", "port": broker.port, "username": "flows", "password": "s3cret", "ssl": True}
        make = {"type": f"{AMQP}.CreateQueue", "name": "orders"}
        assert (await context.run(**make, **at, **own)).queue == "orders"
        assert (await context.run(**make, url=broker.url, ssl=True, **own)).queue == "orders"
        assert (await context.run(**make, url=broker.url.replace("amqp:", "amqps:"), **own)).queue == "orders"
        with pytest.raises(TaskFailed, match="could not be reached"):
            await context.run(**make, **at)  # nobody vouches for it
        with pytest.raises(TaskFailed, match="`sslCaCertificate` is no certificate"):
            await context.run(**make, **at, sslCaCertificate="")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"host": "h"}, "amqp://guest:guest@h:5672/%2F"),
        ({"host": "h", "ssl": True}, "amqps://guest:guest@h:5671/%2F"),
        ({"host": "h", "ssl": True, "port": "99"}, "amqps://guest:guest@h:99/%2F"),
        ({"url": "amqps://a:b@h/v"}, "amqps://a:b@h/v"),
        ({"url": "amqps://a:b@h/v", "ssl": False}, "amqp://a:b@h/v"),
    ],
)
def test_where_a_broker_is(given, address):
    assert AmqpConnected(**given).address == address
