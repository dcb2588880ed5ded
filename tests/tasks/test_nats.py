"""Messages, streams and buckets, on a real NATS server."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import nats
import pytest
from nats.js.api import StreamConfig

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.tasks.context import heard, taken
from tests.wire.nats import nats_server, running

__all__ = ["nats_server"]

CORE, KV = "io.kestra.plugin.nats.core", "io.kestra.plugin.nats.kv"


@asynccontextmanager
async def connected(url):
    connection = await nats.connect(url, user="flows", password="s3cret", allow_reconnect=False)
    try:
        yield connection
    finally:
        await connection.close()


async def stream(url, name):
    async with connected(url) as connection:
        await connection.jetstream().add_stream(StreamConfig(name=name, subjects=[f"{name}.>"]))


@pytest.fixture
def at(nats_server):
    return {"url": nats_server, "username": "flows", "password": "s3cret"}


async def test_messages_there_and_back(context, at):
    await stream(at["url"], "shop")
    produce = {"type": f"{CORE}.Produce", **at, "subject": "shop.new"}
    rows = [{"data": "one", "headers": {"Source": "flow", "Tags": ["a", "b"]}}, {"data": {"n": 2}}, "three"]
    assert (await context.run(**produce, from_=rows)).messagesCount == 3
    packed = base64.b64encode(b"\x01\x02").decode()
    await context.run(**produce, from_={"data": packed}, serializationType="BASE64")
    uri = await context.files.put(b"a file", "x.bin")
    await context.run(**produce, from_={"data": uri}, serializationType="BINARY")
    with pytest.raises(TaskFailed, match="not Base64"):
        await context.run(**produce, from_={"data": "no!"}, serializationType="BASE64")

    consume = {"type": f"{CORE}.Consume", **at, "subject": "shop.>", "durableId": "d", "pollDuration": "PT0.3S"}
    some = await context.run(**consume, maxRecords=2, batchSize=1)
    first, second = (json.loads(line) for line in context.files.text(some.uri).splitlines())
    assert (first["subject"], first["data"]) == ("shop.new", "one")
    assert first["headers"] == {"Source": ["flow"], "Tags": ["a, b"]}
    assert (second["data"], some.messagesCount) == ('{"n": 2}', 2)
    rest = await context.run(**consume)  # those that are left
    assert [json.loads(line)["data"] for line in context.files.text(rest.uri).splitlines()] == [
        "three",
        "\x01\x02",
        "a file",
    ]
    assert (await context.run(**consume)).messagesCount == 0
    everything = {**consume, "durableId": None}
    assert (await context.run(**everything)).messagesCount == 5
    assert (await context.run(**everything, deliverPolicy="Last")).messagesCount == 1
    told = [
        json.loads(line)["timestamp"] for line in context.files.text((await context.run(**everything)).uri).splitlines()
    ]
    for place, moment in enumerate(told):  # whichever way it was rounded
        assert (await context.run(**everything, since=moment)).messagesCount >= 5 - place
    assert (await context.run(**everything, since="2099-01-01T00:00:00Z")).messagesCount == 0
    assert "s3cret" in context.masked


async def test_what_is_not_stored_comes_again(context, at):
    await stream(at["url"], "lost")
    await context.run(type=f"{CORE}.Produce", **at, subject="lost.a", from_=["one"])
    consume = {"type": f"{CORE}.Consume", **at, "subject": "lost.>", "durableId": "d", "pollDuration": "PT0.3S"}

    async def full(*_):
        raise TaskFailed("The disk is full.")

    kept, context.files.put = context.files.put, full
    with pytest.raises(TaskFailed, match="disk is full"):
        await context.run(**consume)
    context.files.put = kept
    async with connected(at["url"]) as connection:
        info = await connection.jetstream().consumer_info("lost", "d")
        assert (info.num_ack_pending, info.ack_floor.stream_seq) == (1, 0)


async def test_a_trickle_is_taken_once(context, at, monkeypatch):
    """What is on its way for longer than the server waits for an acknowledgement."""
    monkeypatch.setattr("engine.tasks.nats_connection.ACKNOWLEDGED_IN", 3)
    monkeypatch.setattr("engine.tasks.nats.core.RENEWED_IN", 0)
    await stream(at["url"], "drops")
    consume = {"type": f"{CORE}.Consume", **at, "subject": "drops.>", "durableId": "d", "pollDuration": "PT30S"}
    taking = asyncio.create_task(context.run(**consume, batchSize=1, maxRecords=16))
    async with connected(at["url"]) as connection:
        for number in range(16):
            await connection.publish("drops.a", str(number).encode())
            await connection.flush()
            await asyncio.sleep(0.25)
    lines = context.files.text((await taking).uri).splitlines()
    assert [json.loads(line)["data"] for line in lines] == [str(number) for number in range(16)]


async def test_a_request_and_its_answer(context, at):
    async with connected(at["url"]) as connection:

        async def answer(message):
            await message.respond(message.data.upper() + (message.headers or {}).get("X", "").encode())

        async def silent(_):
            pass

        await connection.subscribe("greet.*", cb=answer)
        await connection.subscribe("silent", cb=silent)
        await connection.flush()
        ask = {"type": f"{CORE}.Request", **at, "requestTimeout": 200}
        asked = {"data": "hello", "headers": {"X": "!"}}
        assert (await context.run(**ask, subject="greet.ann", from_=asked)).response == "HELLO!"
        assert (await context.run(**ask, subject="silent", from_="x")).response is None
        assert context.said("Nobody answers silent", "WARN")
        assert (await context.run(**ask, subject="nobody", from_="x")).response is None
        assert context.said("Nobody hears nobody", "WARN")


async def test_who_is_refused(context, at):
    produce = {"type": f"{CORE}.Produce", "subject": "shop.x", "from_": "x"}
    with pytest.raises(TaskFailed, match=r"can't be used: .*Authorization"):
        await context.run(**produce, **{**at, "password": "wrong"})
    with pytest.raises(TaskFailed, match=r"refused: .*[Pp]ermissions"):
        await context.run(**produce, **{**at, "username": "guest"})
    with pytest.raises(TaskFailed, match="can't be used"):
        await context.run(**produce, url="nats://127.0.0.1:9")
    with pytest.raises(TaskFailed, match="no address of a server"):
        await context.run(**produce, url="nats://")
    with pytest.raises(TaskFailed, match=r"must be a stream"):
        await context.run(type=f"{CORE}.Consume", **at, subject="nothing.here")


async def test_triggers(make_context, at):
    context = make_context()
    await stream(at["url"], "ears")
    look = {"id": "t", "type": f"{CORE}.Trigger", **at, "subject": "ears.>", "durableId": "looks"}
    look |= {"pollDuration": "PT0.3S"}
    trigger = catalogue().resolve(look).model_validate(look, context={"registry": catalogue()})
    assert await taken(trigger, context) is None
    await context.run(type=f"{CORE}.Produce", **at, subject="ears.a", from_=["one", "two"])
    found = await trigger.poll(context)
    async with connected(at["url"]) as connection:
        pending = (await connection.jetstream().consumer_info("ears", "looks")).num_ack_pending
    assert (found.found.messagesCount, pending) == (2, 2)
    await anext(found.taking, None)
    assert await taken(trigger, context) is None

    ears = {"type": f"{CORE}.RealtimeTrigger", **at, "subject": "ears.>", "durableId": "hears"}

    def acknowledged():
        async def ask():
            async with connected(at["url"]) as connection:
                return (await connection.jetstream().consumer_info("ears", "hears")).ack_floor.stream_seq == 2

        return asyncio.run(ask())

    messages = await heard(context, 2, acknowledged=acknowledged, **ears)
    assert [one.variables["data"] for one in messages] == ["one", "two"]
    assert [one.key for one in messages] == ["ears:1", "ears:2"]


async def test_a_server_that_dies_ends_the_listening(context, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.tasks.nats.core.QUIET", 0.2)
    with running(tmp_path) as (url, process):
        await stream(url, "gone")
        ears = {"id": "t", "type": f"{CORE}.RealtimeTrigger", "url": url, "username": "flows", "password": "s3cret"}
        ears |= {"subject": "gone.>"}
        trigger = catalogue().resolve(ears).model_validate(ears, context={"registry": catalogue()})
        listening = trigger.listen(context)
        async with connected(url) as connection:
            await connection.publish("gone.a", b"last")
        assert [one.variables["data"] for one in await anext(listening)] == ["last"]
        process.kill()
        with pytest.raises(TaskFailed, match="NATS refused"):
            async with asyncio.timeout(60):
                await anext(listening)


async def test_buckets(context, at):
    made = await context.run(type=f"{KV}.CreateBucket", **at, name="prices", description="D", historyPerKey=2)
    assert (made.bucket, made.description, made.history, made.entryCount) == ("prices", "D", 2, 0)
    put = {"type": f"{KV}.Put", **at, "bucketName": "prices"}
    done = await context.run(**put, values={"apple": 2, "pear": {"price": "3 €"}})
    assert done.revisions == {"apple": 1, "pear": 2}
    assert (await context.run(**put, values=[{"apple": 4}])).revisions == {"apple": 3}
    get = {"type": f"{KV}.Get", **at, "bucketName": "prices"}
    assert (await context.run(**get, keys=["apple", "pear", "none"])).output == {"apple": 4, "pear": {"price": "3 €"}}
    assert (await context.run(**get, keyRevisions=[{"apple": 1}])).output == {"apple": 2}
    await context.run(type=f"{KV}.Delete", **at, bucketName="prices", keys=["apple"])
    assert (await context.run(**get, keys=["apple"])).output == {}
    with pytest.raises(TaskFailed, match=r"must be a stream \(or a bucket\)"):
        await context.run(**{**get, "bucketName": "nothing"}, keys=["a"])
    with pytest.raises(TaskFailed, match="is no map"):
        await context.run(**put, values=["a"])
