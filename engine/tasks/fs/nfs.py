"""`io.kestra.plugin.fs.nfs`: files of a disk of the network that is mounted on this machine, in the folders of
`local_files.allowed_paths`."""

import re
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import (
    Look,
    Outputs,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
)
from engine.tasks import local_files, local_watch
from engine.tasks.arrivals import MOST_KNOWN, Arrivals, WatchFields
from engine.tasks.local_files import Gone, LocalFile, Reach, about, deleted, reached
from engine.tasks.property_types import Text
from engine.tasks.remote_files import FolderFields
from engine.tasks.trigger_fields import fields_of

MOUNTS = Path("/proc/self/mountinfo")


class Mount(Outputs):
    """Whether a path lies on a disk of the network, and what kind of disk it is."""

    isNfsMount: bool  # noqa: N815 - appears as written
    nfsMount: bool  # noqa: N815 - the same, as Kestra's own output is named
    fileStoreType: str  # noqa: N815 - appears as written


class CheckMount(RunnableTask):
    """Tell whether a path lies on a mounted disk of the network."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: check
type: io.kestra.plugin.fs.nfs.CheckMount
path: /mnt/nfs/shared
""",
    )
    type: Literal["io.kestra.plugin.fs.nfs.CheckMount"]
    path: Property[Text]

    async def run(self, context: RunContext) -> Mount:
        kind = await reached(context, lambda reach: _kind(reach.place(self.path)))
        is_nfs = "nfs" in kind.lower()
        return Mount(isNfsMount=is_nfs, nfsMount=is_nfs, fileStoreType=kind)


class Listed(Outputs):
    """The files and folders, by path."""

    files: list[LocalFile]


class List(FolderFields, RunnableTask):
    """List a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.nfs.List
from: /mnt/nfs/shared/in
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.nfs.List"]

    async def run(self, context: RunContext) -> Listed:
        look = partial(local_files.listed, fields=self, folders=True)
        return Listed(files=await reached(context, lambda reach: [about(path) for path in look(reach)]))


class Moved(Outputs):
    """Where it came from, and where it is now."""

    from_: str = Field(serialization_alias="from")
    to: str


class Copy(RunnableTask):
    """Copy a file over what is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.fs.nfs.Copy
from: /mnt/nfs/shared/in/orders.csv
to: /mnt/nfs/shared/archive/orders.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.nfs.Copy"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]

    async def run(self, context: RunContext) -> Moved:
        def copy(reach: Reach) -> Moved:
            source, target = reach.place(self.from_), reach.place(self.to, through=False)
            made = local_files.copied(reach, source, target, overwrite=True)
            return Moved(from_=source.as_uri(), to=made.as_uri())

        return await reached(context, copy)


class Move(RunnableTask):
    """Move or rename a file over what is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.nfs.Move
from: /mnt/nfs/shared/in/orders.csv
to: /mnt/nfs/shared/archive/orders.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.nfs.Move"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]

    async def run(self, context: RunContext) -> Moved:
        def move(reach: Reach) -> Moved:
            source, target = reach.whole(self.from_), reach.place(self.to, through=False)
            made = local_files.moved(reach, source, target, overwrite=True)
            return Moved(from_=source.as_uri(), to=made.as_uri())

        return await reached(context, move)


class Delete(RunnableTask):
    """Delete a file, or an empty folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.nfs.Delete
uri: /mnt/nfs/shared/in/old.csv
errorOnMissing: false
""",
    )
    type: Literal["io.kestra.plugin.fs.nfs.Delete"]
    uri: Property[Text]
    error_on_missing: Property[bool] = True

    async def run(self, context: RunContext) -> Gone:
        return await deleted(context, self.uri, must_exist=self.error_on_missing)


class Trigger(FolderFields, WatchFields, PollingTrigger):
    """Start an execution when there are new files, or changed ones; they stay where they are."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.nfs.Trigger
interval: PT10S
from: /mnt/nfs/shared/in
regExp: .*\\.csv
on: CREATE
""",
    )
    type: Literal["io.kestra.plugin.fs.nfs.Trigger"]

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, _Watched, context)
        arrivals = Arrivals(context, fields.on)

        def look(reach: Reach) -> list[LocalFile]:
            news = local_watch.fresh(reach, fields, arrivals, MOST_KNOWN)
            return [{**about(path), "changeType": change} for path, change in news]

        files = await reached(context, look)
        return Look(local_watch.Changed(files=files, count=len(files)) if files else None, arrivals.memory)


class _Watched(FolderFields, WatchFields):
    """What the trigger looks at."""


def kind_of(path: Path, mounts: str) -> str:
    """The kind of file system a path lies on, out of Linux' table of mounts; `unknown` where that doesn't say."""
    found, longest = "unknown", -1
    for line in mounts.splitlines():
        place, _, rest = line.partition(" - ")
        fields, kind = place.split(" "), rest.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = kind, len(point.parts)
    return found


def _kind(path: Path) -> str:
    path.stat()
    return kind_of(path, MOUNTS.read_text("utf-8"))
