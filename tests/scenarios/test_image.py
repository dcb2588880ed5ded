"""The Dockerfile, built for real on a local base image, and the container it makes."""

import io
import os
import shutil
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
        environment = {**os.environ, "DOCKER_HOST": docker_engine.host, "DOCKER_BUILDKIT": "1"}
        program = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker")
        built = subprocess.run(
            [program, "build", "--network", "host", "-t", "parley-test", str(ROOT)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
        config = client.images.get("parley-test").attrs["Config"]
        assert config["User"] == "10001:10001"
        container = client.containers.run("parley-test", ["demo", "--port", "0"], detach=True, network_mode="none")
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
