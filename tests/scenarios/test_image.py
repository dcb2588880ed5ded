"""The Dockerfile, built for real on a local base image, and the container it makes, by the words of the README."""

import io
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.shared import ROOT
from tests.wire.docker_engine import PYTHON_IMAGE, docker_engine

__all__ = ["docker_engine"]


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_the_image_runs_as_nobody_special(docker_engine, tmp_path):
    import docker

    client = docker.DockerClient(base_url=docker_engine.host, timeout=600)
    try:
        _base_image(client, tmp_path)
        older = "/usr/bin" if Path("/usr/bin/docker").exists() else ""  # Debian's client takes least
        path = os.pathsep.join(filter(None, (older, os.environ["PATH"])))
        environment = {**os.environ, "DOCKER_HOST": docker_engine.host, "DOCKER_BUILDKIT": "1", "PATH": path}
        build, run = re.findall(r"^docker .+$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
        on_this_engine = build.replace("docker build", "docker build --network host")  # it has no bridge
        built = subprocess.run(
            on_this_engine, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
        config = client.images.get("parley").attrs["Config"]
        assert config["User"] == "10001:10001"
        _run_by_the_readme(run, environment, tmp_path, client)
        container = client.containers.run("parley", ["demo", "--port", "0"], detach=True, network_mode="none")
        try:
            until = time.monotonic() + 60
            while b"ready http" not in (said := container.logs()) and time.monotonic() < until:
                time.sleep(0.2)
            assert b"ready http" in said, said
            container.stop(timeout=20)
            container.reload()
            assert container.attrs["State"]["ExitCode"] == 0
        finally:
            container.remove(force=True)
    finally:
        client.close()


FLOW = """
id: hello
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: hi}
"""
COUNT = """
import sqlite3
print(sqlite3.connect("file:/data/parley.db?mode=ro", uri=True).execute("SELECT id FROM flow").fetchall())
"""


def _run_by_the_readme(words: str, environment: dict[str, str], folder: Path, client) -> None:
    """The README's own line, beside a folder of flows: the bot is there, has the flow, and ends as it is told."""
    (folder / "flows").mkdir()
    (folder / "flows" / "hello.yaml").write_text(FLOW)
    said = folder / "said"
    with said.open("wb") as out:
        bot = subprocess.Popen(f"exec {words}", shell=True, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 300
        while b"ready http" not in said.read_bytes() and bot.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        assert b"ready http" in said.read_bytes(), said.read_text()
        (container,) = client.containers.list()
        listed = container.exec_run(["python", "-c", COUNT])
        assert b"('hello',)" in listed.output, listed.output
        bot.terminate()
        assert bot.wait(120) == 0, said.read_text()
        container.remove(force=True)
        client.volumes.get("parley").remove()
    finally:
        if bot.poll() is None:
            bot.kill()
            bot.wait()


def _base_image(client, folder: Path) -> None:
    """`python:3.11-slim` as the Dockerfile wants it: the tests' Python image with pip, useradd and certificates."""
    import ensurepip

    context = folder / "base"
    context.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(Path(ensurepip.__file__).parent, arcname=str(Path(ensurepip.__file__).parent).lstrip("/"))
        for file in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", *_runtime_libraries()):
            if Path(file).exists():
                tar.add(os.path.realpath(file), arcname=file.lstrip("/"))
    container = client.containers.create(PYTHON_IMAGE, ["sh", "-c", "python -m ensurepip && python -m pip --version"])
    try:
        container.put_archive("/", buffer.getvalue())
        container.start()
        status = container.wait(timeout=300)["StatusCode"]
        assert status == 0, container.logs()
        programs = Path(os.path.realpath(sys.executable)).parent
        container.commit("python", "3.11-slim", changes=[f"ENV PATH={programs}:/usr/bin:/bin"])
    finally:
        container.remove(force=True)


def _runtime_libraries() -> list[str]:
    """What wheels with compiled parts expect of any Linux: the compiler's own libraries."""
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    names = ("libgcc_s.so", "libstdc++.so", "librt.so", "libpthread.so", "libdl.so", "libutil.so", "libm.so")
    return [line.split()[-1] for line in listed.splitlines() if line.strip().startswith(names)]
