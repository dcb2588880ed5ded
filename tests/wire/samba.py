"""A real file server of Windows' kind: Samba, with two shares in folders of the test."""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SMBD = Path("/usr/sbin/smbd")
USER = getpass.getuser()  # whom the server's machine must know too
PASSWORD = "s3cret"


@contextmanager
def samba(folder: Path) -> Iterator[int]:
    """The port of a server with the shares `office` and `archive` below the folder; only `USER` is let in."""
    if not SMBD.exists():
        if os.environ.get("CI"):
            pytest.fail("Samba is not installed: apt-get install samba")
        pytest.skip("Samba is not installed")
    for name in ("office", "archive", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state, config = folder / "state", folder / "smb.conf"
    places = ("private dir", "lock directory", "state directory", "cache directory", "pid directory", "ncalrpc dir")
    lines = [
        "[global]",
        "interfaces = 127.0.0.1",
        "bind interfaces only = yes",
        "server role = standalone server",
        "disable netbios = yes",
        f"smb ports = {port}",
        "load printers = no",
        "printing = bsd",
        "printcap name = /dev/null",
        "disable spoolss = yes",
        f"passdb backend = tdbsam:{state}/passdb.tdb",
        f"log file = {state}/log",
        *(f"{place} = {state}" for place in places),
    ]
    for name in ("office", "archive"):
        lines += [f"[{name}]", f"path = {folder / name}", "read only = no", f"valid users = {USER}"]
    config.write_text("\n".join(lines) + "\n")
    subprocess.run(
        ["smbpasswd", "-c", str(config), "-a", "-s", USER],
        input=f"{PASSWORD}\n{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    server = subprocess.Popen(
        [str(SMBD), "--foreground", f"--configfile={config}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not _answers(port):
            assert server.poll() is None, (state / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
