"""Joins the standard streams of this process with those of a container and starts it: `python container_bridge.py ID`.

A program of its own, which imports nothing of ours: the MCP library talks to it as to a server that is a process.
"""

import os
import socket
import sys
import threading
from typing import Any, cast

BLOCK = 1 << 16


def main(number: str) -> None:
    """Pass on what is said, both ways, until the container has ended."""
    import docker
    from docker.utils import socket as streams

    api: Any = docker.from_env(version="auto").api
    wire = api.attach_socket(number, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    line = getattr(wire, "_sock", wire)
    line.settimeout(None)  # a server may be silent for long
    api.start(number)
    threading.Thread(target=_feed, args=(line,), daemon=True).start()
    for stream, data in cast("Any", streams).frames_iter(wire, tty=False):
        target = sys.stdout if stream == 1 else sys.stderr
        target.buffer.write(data)
        target.buffer.flush()


def _feed(line: socket.socket) -> None:
    while data := os.read(0, BLOCK):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(sys.argv[1])
