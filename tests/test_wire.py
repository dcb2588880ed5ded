"""What a server for tests leaves behind falls back on whichever test runs when rubbish is collected."""

import asyncio
import gc
import socket
import sys

from tests.wire.tcp import close


def test_a_loop_is_closed_with_what_is_open_on_it(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    loop = asyncio.new_event_loop()

    async def one_calls():
        called = asyncio.Event()

        async def hear(reader, writer):
            called.set()
            await reader.read()

        server = await asyncio.start_server(hear, "127.0.0.1", 0)
        calls = socket.create_connection(server.sockets[0].getsockname())
        await called.wait()
        server.close()
        return calls

    with loop.run_until_complete(one_calls()) as calls:
        close(loop)
        assert calls.recv(1) == b""
    gc.collect()
    assert [str(one.exc_value) for one in said] == []
