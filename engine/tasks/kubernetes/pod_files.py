"""Files in and out of a pod: containers of our own beside those of the flow, with a volume that all of them share.

`init-files` runs before the flow's containers and waits for the input files; `out-files` runs beside them and stays
until the output files are fetched. Names, paths and the marker files at which both end are those of plugin-kubernetes
(`AbstractPod`, `PodService`), so that a flow finds its files where it is used to.
"""

import asyncio
import io
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.compress import MAX_BYTES
from engine.tasks.kubernetes.cluster import SECONDS, Cluster
from engine.tasks.kubernetes.pod_command import run_in
from engine.tasks.property_types import JsonMap, Text
from engine.tasks.runners import own_file
from engine.tasks.working_files import collect, glob, inside, place

INTO, OUT_OF = "init-files", "out-files"
VOLUME, SHARED = "kestra-files", "/kestra"
FOLDER = f"{SHARED}/working-dir"
READY, ENDED = f"{SHARED}/ready", f"{SHARED}/ended"
MAX_FILES = 100_000
PIECE = 1 << 20
PADDING = bytes(1024)  # with which a whole archive ends
UNREADABLE = (tarfile.TarError, OSError, ValueError, OverflowError, EOFError, RecursionError, KeyError)


class FileSidecar(Part):
    """The containers that files go through; their image must have `sh`, `tar` and `head`."""

    image: Property[Text] = "busybox"
    resources: Property[JsonMap | None] = None
    default_spec: Property[JsonMap | None] = None


def names(patterns: Sequence[str]) -> dict[str, Any]:
    """What the templates of a pod see beside the usual: `workingDir`, and the path of every name in `outputFiles`."""
    return {"workingDir": FOLDER, "outputFiles": {name: f"{FOLDER}/{name}" for name in patterns}}


def with_defaults(container: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A container over what all of them share: maps are merged, `volumeMounts` come after the shared ones, and
    variables of `env` take the place of shared ones with the same name."""
    found = dict(container)
    for name, shared in defaults.items():
        own = found.get(name)
        if isinstance(shared, Mapping) and isinstance(own, Mapping):
            found[name] = with_defaults(own, shared)
        elif isinstance(shared, list) and isinstance(own, list) and name == "env":
            taken = {one.get("name") for one in own}
            found[name] = [*own, *(one for one in shared if one.get("name") not in taken)]
        elif isinstance(shared, list) and isinstance(own, list) and name == "volumeMounts":
            found[name] = [*shared, *own]
        elif own is None:
            found[name] = shared
    return found


def with_files(
    spec: Mapping[str, Any], sidecar: FileSidecar, defaults: Mapping[str, Any], *, takes: bool, gives: bool
) -> dict[str, Any]:
    """The specification of a pod whose containers share a volume, with those that fill it and keep it."""
    own = [one for one in spec["containers"] if one.get("name") not in (INTO, OUT_OF)]
    before = [one for one in spec.get("initContainers") or [] if one.get("name") not in (INTO, OUT_OF)]
    prepare = _until(READY) if takes else f"mkdir -p -m 777 {FOLDER}"
    before.append(_helper(INTO, prepare, sidecar, defaults))
    if gives:
        own.append(_helper(OUT_OF, _until(ENDED), sidecar, defaults))
    mount = {"name": VOLUME, "mountPath": SHARED}
    before[-1] = {**before[-1], "volumeMounts": [*before[-1].get("volumeMounts", []), mount]}
    return {
        **spec,
        "initContainers": before,
        "containers": [{**one, "volumeMounts": [*(one.get("volumeMounts") or []), mount]} for one in own],
        "volumes": [*(spec.get("volumes") or []), {"name": VOLUME, "emptyDir": {}}],
    }


def _helper(name: str, script: str, sidecar: FileSidecar, defaults: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "image": sidecar.image, "command": ["sh", "-c", script]}
    if sidecar.resources:
        made["resources"] = sidecar.resources
    return with_defaults(made, sidecar.default_spec or defaults)


def _until(marker: str) -> str:
    return f"while [ ! -f {marker} ]; do sleep 0.5; done"


def awaits_files(pod: Mapping[str, Any]) -> bool:
    """Whether it waits for its input files: what is uploaded already, by an earlier attempt, is not sent again."""
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or []
    return any(one["name"] == INTO and (one.get("state") or {}).get("running") is not None for one in statuses)


def ends(pod: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """How each of the flow's own containers ended, once all have; None before."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    found = {one["name"]: (one.get("state") or {}).get("terminated") for one in statuses}
    own = own_containers(pod)
    ended = {name: state for name in own if (state := found.get(name))}
    return ended if own and len(ended) == len(own) else None


def own_containers(pod: Mapping[str, Any]) -> list[str]:
    """The containers that the flow asked for."""
    return [str(one["name"]) for one in pod["spec"]["containers"] if one["name"] != OUT_OF]


async def packed(context: RunContext, files: Mapping[str, Any]) -> Path:
    """An archive of input files (name → text or storage URI). TaskFailed when one has no content."""
    for name, content in files.items():
        if content is None or content == "":
            raise TaskFailed(f"The input file {name!r} is empty.", fix="See whether what it comes from gave a file.")
    folder, archive = own_file(context, "pod-in"), own_file(context, "pod-in", ".tar")
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await place(context, files, folder)
    await asyncio.to_thread(_pack, folder, archive)
    return archive


def _pack(folder: Path, archive: Path) -> None:
    def open_to_all(member: tarfile.TarInfo) -> tarfile.TarInfo:  # the user of a container is not known
        member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
        member.mode |= 0o777 if member.isdir() else 0o666
        return member

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name, filter=open_to_all)


async def upload(cluster: Cluster, pod: str, archive: Path, limit: float) -> None:
    """Unpack an archive in the working directory of a pod that awaits it, and let it go on. TaskFailed."""
    size = await asyncio.to_thread(lambda: archive.stat().st_size)
    script = f"mkdir -p -m 777 {FOLDER} && head -c {size} | tar -xf - -C {FOLDER} && touch {READY}"
    await run_in(cluster, pod, INTO, script, given=archive, limit=limit)


async def let_go(cluster: Cluster, pod: str) -> None:
    """Let the container that keeps the files end; when it can't be told, the log says so."""
    try:
        await run_in(cluster, pod, OUT_OF, f"touch {ENDED}", limit=SECONDS)
    except TaskFailed as error:
        cluster.context.log(f"{OUT_OF} could not be told to end. {error.message}", "DEBUG")


async def fetch(cluster: Cluster, pod: str, patterns: Sequence[str], limit: float) -> dict[str, str]:
    """Store the files of the working directory that fit; name → URI. What fits nothing is absent. TaskFailed."""
    context = cluster.context
    folder, archive = own_file(context, "pod-out"), own_file(context, "pod-out", ".tar")
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    left = MAX_BYTES
    with archive.open("wb") as file:

        def hear(block: bytes) -> None:
            nonlocal left
            left -= len(block)
            if left < 0:
                raise _too_large()
            file.write(block)

        await run_in(cluster, pod, OUT_OF, f"tar -cf - -C {FOLDER} .", hear=hear, limit=limit)
    for sentence in await asyncio.to_thread(lambda: list(_unpacked(archive, patterns, folder))):
        context.log(sentence, "WARN")
    found = await collect(context, patterns, folder)
    for pattern in patterns:
        if not any(glob(pattern).fullmatch(name) for name in found):
            context.log(f"The pod left no file {pattern!r} below {FOLDER}.", "WARN")
    return found


def _unpacked(archive: Path, patterns: Sequence[str], folder: Path) -> Iterator[str]:
    """Write the files of an archive that fit below a folder; sentences about those that were left out.

    Nobody says that the archive means well: it has only files, and links count as what they lead to inside it.
    """
    wanted = [glob(pattern) for pattern in patterns]
    folder.mkdir(parents=True)
    left = MAX_BYTES
    try:
        with archive.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - len(PADDING)))
            if file.read() != PADDING:
                raise TaskFailed("The files of the pod came back in part only.")
        with _InPieces(archive) as pieces, tarfile.open(fileobj=pieces, mode="r:") as tar:
            for count, member in enumerate(tar):
                name = str(PurePosixPath(member.name))
                if count >= MAX_FILES:
                    raise TaskFailed(f"The pod left more than {MAX_FILES} files.", fix="Write fewer there.")
                if member.isdir() or not any(one.fullmatch(name) for one in wanted):
                    continue
                try:
                    path = inside(folder, name)
                    name.encode()  # names may be bytes that are no UTF-8
                except (TaskFailed, UnicodeEncodeError) as error:
                    yield f"{name!r} was not brought back from the pod: {error}"
                    continue
                try:
                    left -= _written(tar, member, path, left)
                except UNREADABLE as error:
                    yield f"{name!r} was not brought back from the pod: {error}"
    except UNREADABLE as error:
        raise TaskFailed(f"The files of the pod can't be read: {error}") from error


class _InPieces(io.FileIO):
    """A file that nobody reads much of at once: `tarfile` takes a header of any length into memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= PIECE:
            raise tarfile.ReadError("a header is too long")
        return super().read(size) or b""


def _written(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, most: int) -> int:
    """The bytes of a file that were written; TaskFailed when there are more than `most`, ValueError for no file."""
    content = tar.extractfile(member) if member.isreg() or member.islnk() or member.issym() else None
    if content is None:
        raise ValueError("it is no file")
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with content, path.open("wb") as target:
        while block := content.read(PIECE):
            size += len(block)
            if size > most:
                raise _too_large()
            target.write(block)
    return size


def _too_large() -> TaskFailed:
    return TaskFailed(f"The files of the pod are larger than {MAX_BYTES >> 30} GB.", fix="Write less there.")
