"""A TCP server on loopback, a thread a connection: what the servers of the wire folder that speak no HTTP run on. Some
have a loop of their own."""

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Server(socketserver.ThreadingTCPServer):
    """Let go of its port and its threads at once."""

    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port of a server whose connections `handler` answers."""
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)


def close(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop that was stopped, and all connections that are open on it: nobody else would."""

    async def end() -> None:
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in list(loop._transports.values()):  # type: ignore[attr-defined]
            transport.abort()
        await asyncio.sleep(0)  # one turn of the loop, in which they are closed

    loop.run_until_complete(end())
    loop.close()
