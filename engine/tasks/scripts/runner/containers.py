"""Containers, by blocking calls (each is made in a thread of its own)."""

import io
import os
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.plugin import TaskFailed
from engine.tasks.runners import Stream

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

DEFAULT_HOST = "unix:///var/run/docker.sock"
TIMEOUT = 60  # seconds for one answer of the engine
WAIT = 30  # seconds of one look whether a container has ended
SPOOL = 16 << 20  # archives larger than this go through a file


def connect(host: str | None) -> "DockerClient | None":
    """A client of the engine; None when there is no engine."""
    import docker
    from docker.errors import DockerException

    host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    if host.startswith("unix://") and not _listens(host.removeprefix("unix://")):
        return None
    try:
        if host == os.environ.get("DOCKER_HOST"):
            return docker.from_env(version="auto", timeout=TIMEOUT)  # with its certificates
        return docker.DockerClient(base_url=host, version="auto", timeout=TIMEOUT)
    except DockerException:
        return None


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def has_image(client: "DockerClient", name: str) -> bool:
    """Whether an image is on this machine."""
    from docker.errors import APIError, ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    except APIError as error:
        raise _failed(f"The image {name} could not be looked up", error) from error
    return True


def pull(client: "DockerClient", name: str, auth: Mapping[str, str] | None, limit: float) -> None:
    """Fetch an image within `limit` seconds; tries again when the registry stumbles."""
    from docker.errors import APIError, NotFound
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(name)
    deadline = time.monotonic() + limit
    pause = 5.0
    while True:
        try:
            for step in client.api.pull(
                repository, tag=tag or "latest", stream=True, decode=True, auth_config=dict(auth) if auth else None
            ):
                if "error" in step:
                    raise TaskFailed(f"The image {name} could not be pulled: {step['error']}", fix=_PULL_ADVICE)
                if time.monotonic() > deadline:
                    raise TaskFailed(
                        f"Pulling {name} took longer than {limit:g} s.",
                        fix="Pull it beforehand, or raise `docker.pull_timeout`.",
                    )
        except NotFound as error:
            raise TaskFailed(f"There is no image {name}: {error.explanation}", fix=_PULL_ADVICE) from error
        except APIError as error:
            text = str(error.explanation or error)
            final = not error.is_server_error() or "no such host" in text or "denied" in text or "not found" in text
            if final or time.monotonic() + pause > deadline:
                raise TaskFailed(f"The image {name} could not be pulled: {text}", fix=_PULL_ADVICE) from error
            time.sleep(pause)
            pause = min(pause * 2, 120)
        else:
            return


_PULL_ADVICE = "Check the name and the network, or map it to another in `images`."


def create(client: "DockerClient", image: str, command: Sequence[str], options: Mapping[str, Any]) -> "Container":
    """A container that has not started."""
    from docker.errors import DockerException

    try:
        return client.containers.create(image, command=list(command), **options)
    except (DockerException, TypeError) as error:
        raise _failed(f"The container of {image} could not be made", error) from error


def upload(container: "Container", folder: Path, user: str | None) -> None:
    """Put a folder at the same absolute path of the container."""
    owner = int(user.split(":")[0]) if user and user.split(":")[0].isdigit() else 0
    shared = bool(user) and not owner

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid, member.uname, member.gname = owner, owner, "", ""
        if shared:  # we cannot know the number of a named user
            member.mode |= 0o777 if member.isdir() else 0o666
        return member

    from docker.errors import DockerException

    with tempfile.SpooledTemporaryFile(max_size=SPOOL) as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            at = Path()
            for part in folder.parts[1:-1]:  # folders on the way, which the image may lack
                at /= part
                way = tarfile.TarInfo(str(at))
                way.type, way.mode, way.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
                tar.addfile(way)
            tar.add(folder, arcname=str(folder).lstrip("/"), filter=owned)
        archive.seek(0)
        try:
            container.put_archive("/", archive)
        except DockerException as error:
            raise _failed("The working directory could not be put into the container", error) from error


def follow(container: "Container", hear: Callable[[bytes, Stream], None]) -> int:
    """Start, pass on the output as it comes, and return the exit code."""
    import requests
    from docker.errors import DockerException

    try:
        # Attached before it starts: of a container that ends at once nothing is missed, and the call cannot hang.
        api: Any = container.client.api  # type: ignore[union-attr]
        output = api.attach(container.id, stdout=True, stderr=True, stream=True, logs=True, demux=True)
        try:
            container.start()
            for out, err in output:
                if out:
                    hear(out, "stdout")
                if err:
                    hear(err, "stderr")
        finally:
            output._response.close()  # the stream's own `close` leaves it open
        return _exit_code(container)
    except (DockerException, requests.exceptions.RequestException) as error:
        raise _failed("The container could not be run", error) from error


def left_behind(client: "DockerClient", labels: Mapping[str, str]) -> "Container | None":
    """The container with these labels that runs or has ended; one that never started is removed."""
    import requests
    from docker.errors import DockerException

    try:
        found = client.containers.list(all=True, filters={"label": [f"{key}={value}" for key, value in labels.items()]})
    except (DockerException, requests.exceptions.RequestException) as error:
        raise _failed("The containers could not be listed", error) from error
    usable = [container for container in found if container.status in ("running", "exited")]
    for container in found:
        if container not in usable[:1]:
            end(container, 0, delete=True)
    return usable[0] if usable else None


def rejoin(container: "Container", hear: Callable[[bytes, Stream], None]) -> int:
    """Pass on everything a container that was started earlier says, from its beginning; its exit code."""
    import requests
    from docker.errors import DockerException

    def read(stream: Stream) -> None:
        own = {"stdout": stream == "stdout", "stderr": stream == "stderr"}
        for block in container.logs(stream=True, follow=True, **own):
            hear(block, stream)

    try:
        with ThreadPoolExecutor(2) as readers:  # read apart: together the engine mixes the two
            for done in [readers.submit(read, "stdout"), readers.submit(read, "stderr")]:
                done.result()
        return _exit_code(container)
    except (DockerException, requests.exceptions.RequestException) as error:
        raise _failed("The container could not be followed", error) from error


def _exit_code(container: "Container") -> int:
    import requests

    while True:
        try:
            return int(container.wait(timeout=WAIT)["StatusCode"])
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
            container.reload()  # raises when the container, or the engine, is gone


def download(container: "Container", folder: Path) -> list[str]:
    """Bring back what changed in the folder; sentences about what was left out for safety."""
    from docker.errors import DockerException

    try:
        blocks, _ = container.get_archive(str(folder))
        with tarfile.open(fileobj=_Blocks(blocks), mode="r|", bufsize=1 << 16) as tar:
            return list(_extracted(tar, folder))
    except (DockerException, tarfile.TarError) as error:
        raise _failed("The working directory could not be brought back from the container", error) from error


def _extracted(tar: tarfile.TarFile, folder: Path) -> Iterator[str]:
    seen = set()
    for member in tar:
        _, _, name = member.name.partition("/")  # the archive begins with the folder's own name
        if not name:
            continue
        target = folder / name
        seen.add(target)
        try:
            if member.isreg() and target.is_file() and not target.is_symlink() and _same(target, member):
                continue
            safe = tarfile.data_filter(member.replace(name=name, deep=False), str(folder))
            if safe is None:
                continue
            if not member.isdir() and (target.is_symlink() or target.is_file()):
                target.unlink()
            tar.extract(safe, folder, filter="fully_trusted", set_attrs=not member.isdir())
        except (tarfile.FilterError, OSError) as error:
            yield f"{name} was not brought back from the container: {error}."
    for path in sorted(folder.rglob("*"), reverse=True):  # what the command deleted, children first
        if path not in seen:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _same(target: Path, member: tarfile.TarInfo) -> bool:
    found = target.stat()
    return found.st_size == member.size and int(found.st_mtime) == int(member.mtime)


def end(container: "Container", grace: float, *, delete: bool) -> None:
    """Stop a container if it runs, and remove it."""
    import requests
    from docker.errors import DockerException

    try:
        if grace > 0:
            container.stop(timeout=int(grace))
        if delete:
            container.remove(force=True, v=True)
        elif grace <= 0:
            container.reload()
            if container.status == "running":
                container.kill()
    except (DockerException, requests.exceptions.RequestException):
        return  # it is gone already, or so is the engine


class _Blocks(io.RawIOBase):
    """The blocks of an answer as a file that is read once."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks = iter(blocks)
        self.rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self.rest) < size:
            block = next(self.blocks, None)
            if block is None:
                break
            self.rest += block
        found, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
        return found


def _failed(what: str, error: Exception) -> TaskFailed:
    reason = getattr(error, "explanation", None) or error
    return TaskFailed(f"{what}: {reason}")
