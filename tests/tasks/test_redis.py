"""Redis: against a real server."""

import asyncio
import json

import pytest
import redis

from engine.errors import TaskFailed
from engine.tasks import catalogue
from tests.tasks.context import heard, let_go, taken

PLUGIN = "io.kestra.plugin.redis"


async def test_values(make_context, redis_server):
    context = make_context()

    async def run(name, **given):
        return await context.run(type=f"{PLUGIN}.{name}", url=redis_server, **given)

    key = {"key": "orders:last"}
    assert (await run("string.Set", **key, value='{"a": 1}', get=True)).oldValue is None
    options = {"mustExist": True, "expirationDuration": "PT1H"}
    old = await run("string.Set", **key, value='{"a": [2]}', serdeType="JSON", get=True, options=options)
    assert old.oldValue == '{"a": 1}'
    assert (await run("Get", **key)).data == '{"a": [2]}'
    assert (await run("string.Get", **key, serdeType="JSON")).data == {"a": [2]}
    assert (await run("string.Increment", key="n", amount=5)).value == 5
    assert (await run("string.Increment", key="n", amount=0.5, options={"expirationDuration": "PT1H"})).value == 5.5
    client = redis.Redis.from_url(redis_server)
    assert 0 < client.ttl("n") <= 3600
    assert 0 < (await run("string.Ttl", key="n")).ttl <= 3600
    assert (await run("string.Ttl", key="none")).ttl == -2
    assert 0 < client.ttl("orders:last") <= 3600
    assert (await run("string.Set", **key, value="x", options={"mustNotExist": True})).oldValue is None
    assert (await run("string.Get", **key)).data == '{"a": [2]}'
    assert (await run("string.Delete", keys=["orders:last", "n", "none"])).count == 2
    assert (await run("string.Get", **key)).data is None
    with pytest.raises(TaskFailed, match="no key 'orders:last'"):
        await run("string.Get", **key, failedOnMissing=True)
    with pytest.raises(TaskFailed, match="only 0 of 1"):
        await run("string.Delete", keys=["none"], failedOnMissing=True)
    with pytest.raises(TaskFailed, match="not JSON: 'x'"):
        await run("string.Set", **key, value="x", serdeType="JSON")


async def test_lists_and_messages(make_context, redis_server):
    context = make_context()

    async def run(name, **given):
        return await context.run(type=f"{PLUGIN}.{name}", url=redis_server, **given)

    given = {"key": "queue", "from": [{"n": 1}, {"n": 2}, {"n": 3}], "serdeType": "JSON"}
    assert (await run("list.ListPush", **given)).count == 3
    popped = await run("list.ListPop", key="queue", serdeType="JSON", maxRecords=2, count=1)
    assert popped.count == 2
    assert [json.loads(line) for line in context.files.text(popped.uri).splitlines()] == [{"n": 3}, {"n": 2}]
    assert (await run("list.ListPush", key="queue", **{"from": popped.uri})).count == 2
    assert (await run("list.ListPop", key="queue", maxDuration="PT5S")).count == 3
    listener = redis.Redis.from_url(redis_server).pubsub()
    listener.subscribe("news")
    listener.get_message(timeout=5)
    assert (await run("pubsub.Publish", channel="news", **{"from": ["one", "two"]})).count == 2
    heard = [await asyncio.to_thread(listener.get_message, timeout=5) for _ in range(2)]
    assert [one["data"] for one in heard] == [b"one", b"two"]
    with pytest.raises(TaskFailed, match="may never become empty"):
        await run("list.ListPop", key="queue")


@pytest.mark.parametrize(("bad", "said"), [(b"no JSON", "not JSON: 'no JSON'"), (b"\xff", "no text: b'.xff'")])
async def test_values_that_cannot_be_read_stay_in_the_list(make_context, redis_server, bad, said):
    context = make_context()
    client = redis.Redis.from_url(redis_server)
    client.rpush("mixed", "1", "2", "3", bad, "5")
    pop = {"type": f"{PLUGIN}.list.ListPop", "url": redis_server, "key": "mixed", "serdeType": "JSON"}
    popped = await context.run(**pop, maxRecords=5, count=2)
    assert (popped.count, context.files.text(popped.uri)) == (3, "1\n2\n3\n")
    assert context.said(f"What comes after 3 values stays in mixed: .*{said}", "WARN")
    declared = {**pop, "id": "watch", "type": f"{PLUGIN}.list.Trigger", "maxRecords": 5}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    for take in (lambda: context.run(**pop, maxRecords=5), lambda: trigger.poll(context)):
        with pytest.raises(TaskFailed, match=said):
            await take()
    assert client.lrange("mixed", 0, -1) == [bad, b"5"]
    assert not client.exists("mixed:parley:company.ai:a_flow:the_task")
    ears = {"type": f"{PLUGIN}.list.RealtimeTrigger", "url": redis_server, "key": "mixed", "serdeType": "JSON"}
    first, second = await heard(context, 2, **ears, acknowledged=lambda: not client.exists("mixed"))
    assert (second.variables, second.problem) == ({"value": 5}, None)
    assert said.split(":")[0] in str(first.problem)
    client.close()


async def test_what_redis_refuses_is_told(make_context, redis_server):
    get = {"type": f"{PLUGIN}.string.Get", "key": "x"}
    with pytest.raises(TaskFailed, match=r"Redis: .*(password|auth)"):
        await make_context().run(**get, url=redis_server.replace("secret", "wrong"))
    with pytest.raises(TaskFailed, match="no address of Redis"):
        await make_context().run(**get, url="nonsense")
    with pytest.raises(TaskFailed, match=r"169.254.169.254"):
        await make_context().run(**get, url="redis://169.254.169.254:6379/0")
    with pytest.raises(TaskFailed, match=r"Redis: "):
        await make_context().run(**get, url="redis://127.0.0.1:1/0")


async def test_values_are_heard_as_they_come(make_context, redis_server, monkeypatch):
    monkeypatch.setattr("engine.tasks.redis.list.PATIENCE", 1)
    context = make_context()
    client = redis.Redis.from_url(redis_server, decode_responses=True)
    ears = {"type": f"{PLUGIN}.list.RealtimeTrigger", "url": redis_server, "key": "ears", "serdeType": "JSON"}
    client.rpush("ears", '{"n": 1}', "no JSON")
    kind = catalogue().resolve(ears)
    trigger = kind.model_validate({"id": "the_trigger", **ears}, context={"registry": catalogue()})
    dying = trigger.listen(context)
    first = await anext(dying)
    await dying.aclose()  # it died with both in hand
    client.rpush("ears", '{"n": 2}')
    again = await heard(context, 3, **ears, acknowledged=lambda: not client.exists("ears"))
    assert [one.variables["value"] for one in again] == [{"n": 1}, "no JSON", {"n": 2}]
    assert [one.problem is None for one in again] == [True, False, True]
    assert [one.key for one in again[:2]] == [one.key for one in first]
    assert len({one.key for one in again}) == 3
    client.rpush("polled", "a", "b")
    polled = {"id": "watch", "type": f"{PLUGIN}.list.Trigger", "url": redis_server, "key": "polled", "maxRecords": 10}
    found = catalogue().resolve(polled).model_validate(polled, context={"registry": catalogue()})
    assert (await let_go(found, context)).count == 2
    client.rpush("polled", "c")
    third = await taken(found, context)
    assert context.files.text(third.uri).split() == ['"a"', '"b"', '"c"']
    assert await taken(found, context) is None
    assert not client.keys("polled*")
    client.rpush("polled", *"defgh")
    assert (await let_go(found, context)).count == 5
    fewer = found.model_copy(update={"max_records": 2})
    looks = [await taken(fewer, context) for _ in range(3)]
    assert [context.files.text(one.uri).split() for one in looks] == [['"d"', '"e"'], ['"f"', '"g"'], ['"h"']]
    assert not client.keys("polled*")
    client.close()
