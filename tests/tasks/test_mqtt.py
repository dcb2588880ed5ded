"""Messages over MQTT: paho's client against a broker on loopback, in both versions of the protocol."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from engine.errors import TaskFailed
from engine.plugin import Message
from engine.tasks import catalogue
from engine.tasks.mqtt_connection import read
from tests.tasks.context import heard, in_hand, taken
from tests.wire.mqtt import mqtt_broker

MQTT = "io.kestra.plugin.mqtt"


@pytest.fixture(scope="module")
def broker():
    with mqtt_broker("s3cret") as running:
        yield running


@pytest.fixture(params=["V3", "V5"])
def at(broker, request):
    """What every task says."""
    who = {"username": "flows", "password": "s3cret", "mqttVersion": request.param}
    return {"server": f"tcp://127.0.0.1:{broker.port}", "clientId": f"c-{request.node.name[-40:]}", **who}


async def test_messages_there_and_back(context, broker, at, monkeypatch):
    monkeypatch.setattr("engine.tasks.mqtt.IDLE", 0.3)
    read = {**at, "topic": "kitchen/#", "maxRecords": 10}
    assert (await context.run(type=f"{MQTT}.Subscribe", **read)).messagesCount == 0  # from now on the broker keeps them
    send = {"type": f"{MQTT}.Publish", **at, "clientId": "sender", "topic": "kitchen/oven"}
    assert (await context.run(**send, from_=[{"t": 180}, {"t": "ä"}], retain=True)).messagesCount == 2
    assert json.loads(broker.retained["kitchen/oven"]) == {"t": "ä"}
    found = await context.run(type=f"{MQTT}.Subscribe", **read)
    rows = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
    assert [(row["topic"], row["payload"], row["qos"]) for row in rows] == [
        ("kitchen/oven", {"t": 180}, 1),
        ("kitchen/oven", {"t": "ä"}, 1),
    ]
    async with asyncio.timeout(20):  # MQTT answers no acknowledgement: the broker may take it after the client has left
        while broker.waiting(at["clientId"]):
            await asyncio.sleep(0.02)
    declared = {"id": "t", "type": f"{MQTT}.Trigger", **read}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    assert await taken(trigger, context) is None
    await context.run(**send, from_={"t": 200})
    look = await trigger.poll(context)
    assert (look.found.messagesCount, broker.waiting(at["clientId"])) == (1, 1)
    await anext(look.taking, None)
    async with asyncio.timeout(20):
        while broker.waiting(at["clientId"]):
            await asyncio.sleep(0.02)
    await context.run(**send, from_="warm", serdeType="STRING")
    with pytest.raises(TaskFailed, match="A message is not JSON: 'warm'"):
        await trigger.poll(context)
    found = await context.run(type=f"{MQTT}.Subscribe", **read, serdeType="STRING")  # it was not lost
    assert json.loads(context.files.text(found.uri))["payload"] == "warm"
    assert "s3cret" in context.masked
    with pytest.raises(TaskFailed, match="when to stop"):
        await context.run(type=f"{MQTT}.Subscribe", **at, topic="x")
    with pytest.raises(TaskFailed, match=r"refused secret \(.*Check `topic`"):
        await context.run(type=f"{MQTT}.Subscribe", **at, topic=["x", "secret"], maxRecords=1)


@pytest.mark.usefixtures("young_heap")
async def test_messages_go_to_the_file_as_they_come(context, broker, at, monkeypatch):
    broker.sessions[at["clientId"]] = {"topics": ["many"], "unsaid": {}, "connection": None, "lasting": True}
    for number in range(9):
        broker.publish("many", f"{number}".encode())
    monkeypatch.setattr("engine.tasks.mqtt.AT_ONCE", 1)
    held = in_hand(monkeypatch, "engine.tasks.mqtt.read", lambda one: isinstance(one, Message))
    found = await context.run(type=f"{MQTT}.Subscribe", **at, topic="many", maxRecords=9)
    assert [json.loads(line)["payload"] for line in context.files.text(found.uri).splitlines()] == list(range(9))
    assert max(held) <= 2


async def test_messages_are_heard_as_they_come(context, broker, at):
    ears = {"type": f"{MQTT}.RealtimeTrigger", **at, "topic": ["a/b", "c"]}
    kind = catalogue().resolve(ears)
    trigger = kind.model_validate({"id": "the_trigger", **ears}, context={"registry": catalogue()})
    client = at["clientId"]
    broker.sessions[client] = {"topics": ["a/b", "c"], "unsaid": {}, "connection": None, "lasting": True}
    broker.publish("a/b", b'{"n": 1}')
    dying = trigger.listen(context)
    (first,) = await anext(dying)
    await dying.aclose()  # it died with the message in hand
    assert (first.variables["payload"], broker.waiting(client)) == ({"n": 1}, 1)
    broker.publish("c", b"no JSON")
    messages = await heard(context, 2, **ears, acknowledged=lambda: broker.waiting(client) == 0)
    assert [one.variables["payload"] for one in messages] == [{"n": 1}, "no JSON"]
    assert [one.problem is None for one in messages] == [True, False]


async def test_where_a_message_is_to_be_answered(context, broker, at):
    send = {"type": f"{MQTT}.Publish", **at, "topic": "ask", "from_": {"q": 1}, "responseTopic": "told"}
    await context.run(**send, correlationData="aWQ=")
    said = broker.properties["ask"]
    assert said == (b"\x08\x00\x04told\x09\x00\x02id" if at["mqttVersion"] == "V5" else b"")
    with pytest.raises(TaskFailed, match="not Base64"):
        await context.run(**send, correlationData="i d")


def test_what_a_message_says_of_its_answer():
    properties = SimpleNamespace(ResponseTopic="told", CorrelationData=b"id")
    message = SimpleNamespace(mid=1, topic="ask", qos=1, retain=0, payload=b"x", properties=properties)
    row = read(message, "STRING").variables
    assert (row["responseTopic"], row["correlationData"]) == ("told", "aWQ=")
    message.properties = None
    assert "responseTopic" not in read(message, "STRING").variables


async def test_what_goes_wrong_is_told(context, at, monkeypatch):
    send = {"type": f"{MQTT}.Publish", **at, "topic": "t", "from_": "x"}
    with pytest.raises(TaskFailed, match=r"refused the connection: .*Check `username`"):
        await context.run(**{**send, "password": "wrong"})
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(**{**send, "server": "tcp://127.0.0.1:9"})
    with pytest.raises(TaskFailed, match="is no address of a broker"):
        await context.run(**{**send, "server": "tcp://"})
