"""A real directory: OpenLDAP's `slapd`, with the suffix `dc=orga,dc=en`."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SLAPD, SCHEMAS = Path("/usr/sbin/slapd"), Path("/etc/ldap/schema")
ADMIN, PASSWORD, SUFFIX = "cn=admin,dc=orga,dc=en", "s3cret", "dc=orga,dc=en"


@contextmanager
def slapd(folder: Path, certificate: Path | None = None) -> Iterator[tuple[int, int]]:
    """The ports of an empty directory, in the clear and (with a certificate) over TLS."""
    if not SLAPD.exists():
        if os.environ.get("CI"):
            pytest.fail("OpenLDAP is not installed: apt-get install slapd")
        pytest.skip("OpenLDAP is not installed")
    (folder / "data").mkdir(parents=True)
    lines = [
        *(f"include {SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson")),
        "modulepath /usr/lib/ldap",
        "moduleload back_mdb",
        f"pidfile {folder}/pid",
        *([f"TLSCertificateFile {certificate}", f"TLSCertificateKeyFile {certificate}"] if certificate else []),
        "database mdb",
        f'suffix "{SUFFIX}"',
        f'rootdn "{ADMIN}"',
        f"rootpw {PASSWORD}",
        f"directory {folder}/data",
    ]
    (folder / "slapd.conf").write_text("\n".join(lines) + "\n")
    plain, secure = _free(), _free()
    listening = f"ldap://127.0.0.1:{plain}/" + (f" ldaps://127.0.0.1:{secure}/" if certificate else "")
    server = subprocess.Popen(
        [str(SLAPD), "-d", "0", "-f", str(folder / "slapd.conf"), "-h", listening],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert server.stderr is not None
    try:
        until = time.monotonic() + 60
        while not _answers(plain):
            assert server.poll() is None, server.stderr.read().decode()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield plain, secure
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
