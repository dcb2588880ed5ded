"""Messages of Azure's Service Bus, over its own HTTP."""

import json

import pytest

from engine.errors import TaskFailed
from engine.plugin import Message
from engine.tasks import catalogue
from engine.tasks.servicebus_connection import Received
from tests.tasks.context import heard, in_hand, let_go, taken
from tests.wire.servicebus import KEY, service_bus

__all__ = ["service_bus"]

BUS = "io.kestra.plugin.azure.servicebus"


@pytest.fixture
def at(service_bus):
    return {"connectionString": service_bus.connection_string, "queueName": "work"}


def trigger(**declared):
    given = {"id": "watch", **declared}
    return catalogue().resolve(given).model_validate(given, context={"registry": catalogue()})


async def test_messages_there_and_back(context, service_bus, at):
    send = {"type": f"{BUS}.Publish", **at}
    own = {"x-own-level": "high", "x-own-count": 3}
    first = {"body": "one", "messageId": "a", "subject": "s", "timeToLive": "PT1M", "applicationProperties": own}
    assert (await context.run(**send, from_=[first, {"body": {"n": "ä"}}])).messagesCount == 2
    told = service_bus.waiting["/work"][0]
    assert (told["about"]["Label"], told["about"]["TimeToLive"], told["about"]["MessageId"]) == ("s", 60, "a")
    assert told["own"] == {"x-own-level": '"high"', "x-own-count": "3"}
    read = {"type": f"{BUS}.Consume", **at, "maxReceiveDuration": "PT2S"}
    found = await context.run(**read)
    rows = [json.loads(line) for line in context.files.text(found.uri).splitlines()]
    assert (found.count, rows) == (2, ["one", '{"n": "ä"}'])
    assert (service_bus.waiting["/work"], service_bus.locked) == ([], {})
    assert (await context.run(**read)).count == 0
    assert KEY in context.masked


@pytest.mark.usefixtures("young_heap")
async def test_messages_go_to_the_file_as_they_come(context, service_bus, at, monkeypatch):
    await context.run(type=f"{BUS}.Publish", **at, from_=[{"body": str(number)} for number in range(9)])
    held = in_hand(
        monkeypatch,
        "engine.tasks.azure.servicebus.ReceiveFields.value",
        lambda one: isinstance(one, Message) or (isinstance(one, Received) and bool(one.body)),
    )
    found = await context.run(type=f"{BUS}.Consume", **at, maxReceiveDuration="PT20S", maxMessages=9)
    assert [json.loads(line) for line in context.files.text(found.uri).splitlines()] == list("012345678")
    assert max(held) <= 3


async def test_what_cannot_be_read_is_let_go(context, service_bus, at):
    send = {"type": f"{BUS}.Publish", **at}
    await context.run(**send, from_=[{"body": "[1]"}, {"body": "no JSON"}])
    read = {"type": f"{BUS}.Consume", **at, "maxReceiveDuration": "PT2S"}
    with pytest.raises(TaskFailed, match="A message is not JSON: 'no JSON'"):
        await context.run(**read, serdeType="JSON")
    assert (len(service_bus.waiting["/work"]), service_bus.locked) == (2, {})
    assert (await context.run(**read, maxMessages=1, receiveMode="RECEIVE_AND_DELETE")).count == 1
    assert len(service_bus.waiting["/work"]) == 1


async def test_executions_begin_with_messages(context, service_bus, at):
    there = {"connectionString": at["connectionString"], "topicName": "orders"}
    ear = {**there, "subscriptionName": "flows", "serdeType": "JSON"}
    watch = trigger(type=f"{BUS}.Trigger", **ear, maxReceiveDuration="PT1S")
    assert await taken(watch, context) is None
    send = {"type": f"{BUS}.Publish", **there, "serdeType": "JSON"}
    await context.run(**send, from_={"body": {"n": 1}})
    assert (await let_go(watch, context)).count == 1
    found = await taken(watch, context)
    assert (found.count, json.loads(context.files.text(found.uri))) == (1, {"n": 1})
    await context.run(**send, from_={"body": {"n": 2}, "subject": "s"})
    await context.run(**{**send, "serdeType": "STRING"}, from_={"body": "no JSON"})
    queue = "/orders/subscriptions/flows"
    messages = await heard(
        context,
        2,
        type=f"{BUS}.RealTimeTrigger",
        **ear,
        acknowledged=lambda: not service_bus.waiting[queue] and not service_bus.locked,
    )
    assert [one.variables["body"] for one in messages] == [{"n": 2}, "no JSON"]
    assert [one.problem is None for one in messages] == [True, False]
    assert (messages[0].variables["subject"], len({one.key for one in messages})) == ("s", 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"connectionString": None}, "Give `connectionString`"),
        ({"queueName": None}, "Either `queueName` or `topicName`"),
        ({"queueName": None, "topicName": "orders"}, "Give `subscriptionName`"),
        ({"connectionString": "SharedAccessKey=x"}, "names no `Endpoint`"),
        ({"connectionString": "Endpoint=http://127.0.0.1:9/"}, "It is not said who asks"),
        ({"queueName": "other"}, "answered 404"),
    ],
)
async def test_what_goes_wrong_is_told(context, at, given, said):
    with pytest.raises(TaskFailed, match=said):
        await context.run(type=f"{BUS}.Consume", **{**at, **given})


async def test_who_asks_is_checked(context, at):
    wrong = at["connectionString"].replace(KEY, "d3Jvbmc=")
    with pytest.raises(TaskFailed, match=r"answered 401.*InvalidSignature"):
        await context.run(type=f"{BUS}.Publish", **{**at, "connectionString": wrong}, from_={"body": "x"})
    with pytest.raises(TaskFailed, match="no `body`"):
        await context.run(type=f"{BUS}.Publish", **at, from_={"text": "x"})
