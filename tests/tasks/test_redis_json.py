"""Documents in Redis: the commands at the wire, as the server at hand has no module for them."""

import asyncio
from contextlib import asynccontextmanager, closing

import pytest

from engine.errors import TaskFailed

PLUGIN = "io.kestra.plugin.redis"


@asynccontextmanager
async def answering(answers):
    """A server of documents, by the answer to each command; gives its address and what it heard."""
    heard = []

    async def serve(reader, writer):
        with closing(writer):  # also when the test ends before we see that the client is gone
            while head := await reader.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].decode())
                if words[0].startswith("JSON."):
                    heard.append(words)
                answer = answers.get(tuple(words), "+OK")
                writer.write(answer.encode() + b"\r\n")
                await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", heard
    finally:
        server.close()


def text(value):
    return f"${len(value)}\r\n{value}"


async def test_documents(context):
    answers = {
        ("JSON.GET", "o", "$"): text('[{"a":1}]'),
        ("JSON.GET", "o", "$..a"): text("[1,2]"),
        ("JSON.GET", "o", "$.none"): text("[]"),
        ("JSON.GET", "o", ".list"): text("[3]"),
        ("JSON.GET", "none", "$"): "_",
        ("JSON.NUMINCRBY", "o", "$.a", "3"): "*1\r\n:8",
        ("JSON.NUMINCRBY", "o", ".a", "0.5"): text("8.5"),
        ("JSON.NUMINCRBY", "o", "$.b", "1"): text("[null]"),
        ("JSON.NUMINCRBY", "o", "$.c", "1"): "*1\r\n_",
        ("JSON.DEL", "o", "$.a"): ":1",
        ("JSON.DEL", "o", "$.b"): ":0",
        ("JSON.DEL", "p", "$"): ":1",
        ("PEXPIRE", "o", "3600000"): ":1",
        ("JSON.SET", "full", "$", "1"): "-OOM no memory",
    }
    async with answering(answers) as (url, heard):

        async def run(name, **given):
            return await context.run(type=f"{PLUGIN}.json.{name}", url=url, **given)

        assert (await run("Set", key="o", value='{"a": 1}')).oldValue is None
        assert (await run("Set", key="o", value={"ä": [1]}, get=True, options={"mustExist": True})).oldValue == [
            {"a": 1}
        ]
        await run("Set", key="o", path="$.b", value=5, options={"mustNotExist": True})
        assert heard == [
            ["JSON.SET", "o", "$", '{"a": 1}'],
            ["JSON.GET", "o", "$"],
            ["JSON.SET", "o", "$", '{"\\u00e4": [1]}', "XX"],
            ["JSON.SET", "o", "$.b", "5", "NX"],
        ]
        found = [(await run("Get", key="o", path=path)).data for path in ("$", "$..a", "$.none", ".list")]
        assert found == [{"a": 1}, [1, 2], None, [3]]
        assert (await run("Get", key="none")).data is None
        with pytest.raises(TaskFailed, match="nothing at '\\$' of 'none'"):
            await run("Get", key="none", failedOnMissing=True)
        counted = await run("Increment", key="o", path="$.a", amount=3, options={"expirationDuration": "PT1H"})
        assert (counted.value, counted.key) == (8, "o")
        assert (await run("Increment", key="o", path=".a", amount=0.5)).value == 8.5
        for path in ("$.b", "$.c"):
            with pytest.raises(TaskFailed, match="no number at"):
                await run("Increment", key="o", path=path)
        assert (await run("Delete", keys={"o": ["$.a", "$.b"], "p": []})).count == 2
        with pytest.raises(TaskFailed, match="only 0 of 1"):
            await run("Delete", keys={"o": "$.b"}, failedOnMissing=True)
        with pytest.raises(TaskFailed, match="no memory"):
            await run("Set", key="full", value=1)
        with pytest.raises(TaskFailed, match="not JSON: 'x'"):
            await run("Set", key="o", value="x")


async def test_a_server_without_documents(make_context, redis_server):
    with pytest.raises(TaskFailed, match=r"unknown command .JSON\.GET"):
        await make_context().run(type=f"{PLUGIN}.json.Get", url=redis_server, key="o")
