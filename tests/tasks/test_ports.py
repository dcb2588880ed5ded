"""`fs.tcp` and `fs.udp` on the loopback address: text sent to a port, and executions for what comes to one."""

import asyncio
import socket

import pytest

from engine.errors import TaskFailed
from tests.tasks.context import heard

FS = "io.kestra.plugin.fs"


def free(kind):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def reached(context, name, port, **given):
    """Send as soon as somebody listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await context.run(type=f"{FS}.{name}.Send", host="127.0.0.1", port=port, **given)
            except TaskFailed:
                await asyncio.sleep(0.02)


async def test_a_line_over_tcp(context):
    said = asyncio.get_running_loop().create_future()

    async def hear(reader, writer):
        said.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sent = await context.run(
            type=f"{FS}.tcp.Send", host="127.0.0.1", port=port, payload="Grüße", encoding="ISO-8859-1"
        )
        assert (await said, sent.sentBytes, sent.port) == ("Grüße\n".encode("latin-1"), 5, port)
    with pytest.raises(TaskFailed, match=r"could not be reached: .*Check host, port"):
        await context.run(type=f"{FS}.tcp.Send", host="127.0.0.1", port=free(socket.SOCK_STREAM), payload="x")
    with pytest.raises(TaskFailed, match="link-local"):
        await context.run(type=f"{FS}.tcp.Send", host="169.254.169.254", port=80, payload="x")
    with pytest.raises(TaskFailed, match="no character set 'klingon'"):
        await context.run(type=f"{FS}.tcp.Send", host="127.0.0.1", port=1, payload="x", encoding="klingon")
    with pytest.raises(TaskFailed, match="no character set 'hex'"):
        await context.run(type=f"{FS}.tcp.Send", host="127.0.0.1", port=1, payload="x", encoding="hex")
    with pytest.raises(TaskFailed, match="can't be written in ascii"):
        await context.run(type=f"{FS}.tcp.Send", host="127.0.0.1", port=1, payload="ü", encoding="ascii")


async def test_a_server_that_never_reads_is_left(context):
    ended = asyncio.get_running_loop().create_future()
    may_read = asyncio.Event()

    async def hear(reader, writer):
        await may_read.wait()
        try:
            ended.set_result(len(await reader.read()))
        except ConnectionError as error:
            ended.set_result(type(error))
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TaskFailed, match="it took longer than 100 ms"):
            await context.run(
                type=f"{FS}.tcp.Send", host="127.0.0.1", port=port, payload="x" * (32 << 20), timeoutMs=100
            )
        may_read.set()
        assert await asyncio.wait_for(ended, 30) != (32 << 20) + 1  # what it had no room for is not told later


async def test_an_execution_for_what_each_caller_says(context):
    port = free(socket.SOCK_STREAM)
    ears = asyncio.create_task(heard(context, 2, type=f"{FS}.tcp.RealtimeTrigger", host="127.0.0.1", port=port))
    await reached(context, "tcp", port, payload="one")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"two\nlines ")
    writer.write_eof()
    assert await reader.read() == b""  # closed when its execution is there
    own = writer.get_extra_info("sockname")[1]
    writer.close()
    first, second = (message.variables for message in await ears)
    assert (first.payload, second.payload, second.sourceIp) == ("one", "two\nlines", "127.0.0.1")
    assert second.sourcePort == own


async def test_who_calls_beside_too_many_is_not_heard(context, monkeypatch):
    monkeypatch.setattr("engine.tasks.fs.tcp.MOST", 2)
    port = free(socket.SOCK_STREAM)
    ears = asyncio.create_task(heard(context, 3, type=f"{FS}.tcp.RealtimeTrigger", host="127.0.0.1", port=port))
    await reached(context, "tcp", port, payload="first")
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    assert context.said("not heard: 2 others call", "WARN")
    for _, one in [*silent, (reader, writer)]:
        one.write(b"late")
        one.close()
    assert [message.variables.payload for message in await ears] == ["first", "late", "late"]


async def test_who_says_too_much_or_nothing_starts_nothing(make_context):
    context = make_context({"limits": {"output_bytes": 10}})
    port = free(socket.SOCK_STREAM)
    ears = asyncio.create_task(heard(context, 1, type=f"{FS}.tcp.RealtimeTrigger", host="127.0.0.1", port=port))
    await reached(context, "tcp", port, payload="far more than ten")
    await reached(context, "tcp", port, payload=" ")
    await reached(context, "tcp", port, payload="ten bytes")  # and the end of its line
    assert [message.variables.payload for message in await ears] == ["ten bytes"]
    assert context.said(r"127\.0\.0\.1 was not heard: it said more than 10 bytes", "WARN")


async def test_a_port_that_is_taken(context):
    for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            declared = {"type": f"{FS}.{name}.RealtimeTrigger", "host": "127.0.0.1", "port": taken.getsockname()[1]}
            with pytest.raises(TaskFailed, match=r"Nobody can listen at .*Choose a port that is free"):
                await heard(context, 1, **declared)


async def test_an_execution_for_each_datagram(context):
    port = free(socket.SOCK_DGRAM)
    ears = asyncio.create_task(
        heard(context, 3, type=f"{FS}.udp.RealtimeTrigger", host="127.0.0.1", port=port, bufferSize=4)
    )
    async with asyncio.timeout(30):
        while not ears.done():  # nobody may listen yet, and nobody says so
            for payload in ("one", "longer", "one"):
                sent = await context.run(type=f"{FS}.udp.Send", host="127.0.0.1", port=port, payload=payload)
            await asyncio.sleep(0.02)
    found = [message.variables for message in await ears]
    assert [one.payload for one in found[:3]] == ["one", "long", "one"]
    assert (sent.sentBytes, found[0].sourceIp) == (3, "127.0.0.1")
    assert context.said(r"sent 6 bytes, cut to 4 \(`bufferSize`\)", "WARN")
