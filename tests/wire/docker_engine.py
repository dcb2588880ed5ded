"""A Docker engine of our own for the session, with two small images built from what this machine has installed.

No registry is asked: `bitnami/git:latest` is busybox and git, `python:3.13-slim` adds the Python that runs the tests.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.shared import part

GIT_IMAGE, PYTHON_IMAGE = "bitnami/git:latest", "python:3.13-slim"
LEFT_OUT = ("site-packages", "dist-packages", "test", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3")


@dataclass(frozen=True)
class DockerEngine:
    """Where the engine listens."""

    host: str


def dockerd() -> str | None:
    """The engine's program, also where it is not on the path."""
    return shutil.which("dockerd") or (path if Path(path := "/usr/sbin/dockerd").exists() else None)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """The engine, running, with both images."""
    program = dockerd()
    part(program is not None and os.geteuid() == 0, "A Docker engine", "install docker.io and run as root.")
    part(Path("/bin/busybox").exists(), "busybox", "install busybox-static.")
    root = Path(tempfile.mkdtemp(prefix="parley-docker-"))
    host = f"unix://{root}/d.sock"
    options = ["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", host]
    options += ["--data-root", f"{root}/data", "--exec-root", f"{root}/exec", "--pidfile", f"{root}/d.pid"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([str(program), *options], stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(process, root)
        _import(host, _git_files(root / "git"), GIT_IMAGE)
        _import(host, _python_files(root / "git", root / "python"), PYTHON_IMAGE)
        yield DockerEngine(host)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        for mount in (root / "exec").glob("netns/*"):  # the engine leaves them, and a mount can't be deleted
            subprocess.run(["umount", str(mount)], check=False, capture_output=True)
        shutil.rmtree(root, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], root: Path) -> None:
    """Until the engine answers; a socket that is there may not listen yet."""
    from engine.tasks.scripts.runner import containers

    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if (client := containers.connect(f"unix://{root}/d.sock")) is not None:
            client.close()
            return
        time.sleep(0.05)
    pytest.fail(f"dockerd did not start:\n{(root / 'log').read_text()[-2000:]}")


def _import(host: str, files: Path, name: str) -> None:
    """A file tree as an image."""
    import docker

    archive = files.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(files, arcname=".")
    client = docker.DockerClient(base_url=host, timeout=120)
    try:
        repository, tag = name.split(":")
        client.api.import_image_from_file(
            str(archive), repository=repository, tag=tag, changes=["ENV PATH=/usr/bin:/bin"]
        )
    finally:
        client.close()
        archive.unlink()


def _git_files(root: Path) -> Path:
    """busybox under all its names, git with its HTTP helper, and the libraries they need."""
    for folder in ("bin", "usr/bin", "tmp", "root", "etc", "usr/lib/git-core", "usr/share/git-core/templates"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    names = subprocess.run(["/bin/busybox", "--list"], capture_output=True, check=True, text=True).stdout.split()
    for name in names:
        if name != "busybox":  # a link to itself would replace the program
            (root / "bin" / name).symlink_to("/bin/busybox")
    programs = [Path("/usr/bin/git"), Path("/usr/lib/git-core/git-remote-http")]
    for program in programs:
        shutil.copy2(program, root / program.relative_to("/"))
    (root / "usr/lib/git-core/git-remote-https").symlink_to("git-remote-http")
    for program in programs:
        _libraries(program, root)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    return root


def _python_files(base: Path, root: Path) -> Path:
    """The files of the git image, and the running Python with its standard library."""
    shutil.copytree(base, root, symlinks=True)
    program = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    (root / program.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, root / program.relative_to("/"))
    ignored = shutil.ignore_patterns(*LEFT_OUT, "config-*")
    shutil.copytree(library, root / library.relative_to("/"), symlinks=True, ignore=ignored, dirs_exist_ok=True)
    _libraries(program, root)
    for extension in (library / "lib-dynload").glob("*.so"):
        _libraries(extension, root)
    for name in ("python", "python3"):
        (root / "usr/bin" / name).symlink_to(program)
    return root


def _libraries(program: Path, root: Path) -> None:
    said = subprocess.run(["ldd", str(program)], capture_output=True, check=False, text=True).stdout
    for word in said.split():
        target = root / word.lstrip("/")
        if word.startswith("/") and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(word, target)
