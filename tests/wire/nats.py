"""A real NATS server with streams, as a process of the test."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.shared import part

PROGRAM = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """
port: -1
host: 127.0.0.1
ports_file_dir: "{folder}"
jetstream {{ store_dir: "{folder}/streams" }}
authorization {{
  users = [
    {{user: flows, password: s3cret}}
    {{user: guest, password: s3cret, permissions: {{publish: ["public.>", "_INBOX.>"], subscribe: ["_INBOX.>"]}}}}
  ]
}}
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The address of a server that wants a password, and its process."""
    part(PROGRAM is not None, "A NATS server", "apt-get install nats-server")
    (folder / "server.conf").write_text(CONFIG.format(folder=folder))
    words = [str(PROGRAM), "-c", str(folder / "server.conf")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ports = folder / f"nats-server_{process.pid}.ports"
        until = time.monotonic() + 60
        while not (ports.exists() and ports.read_text().strip()) and time.monotonic() < until:
            assert process.poll() is None, "The server ended at once."
            time.sleep(0.05)
        yield json.loads(ports.read_text())["nats"][0], process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server."""
    with running(tmp_path_factory.mktemp("nats")) as (url, _):
        yield url
