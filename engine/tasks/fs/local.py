"""`io.kestra.plugin.fs.local`: files of this machine, in the folders of `local_files.allowed_paths`."""

import asyncio
from functools import partial
from pathlib import Path, PurePosixPath
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
    StoredUri,
)
from engine.tasks import local_files, local_watch
from engine.tasks.arrivals import Arrivals, WatchFields, cut
from engine.tasks.local_files import Gone, LocalFile, Reach, about, deleted, reached
from engine.tasks.name_patterns import fitting
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, Text
from engine.tasks.remote_files import ActionFields, ListFields
from engine.tasks.trigger_fields import fields_of


class Stored(Outputs):
    """The file, and how many bytes it has."""

    uri: StoredUri
    size: int


class Download(RunnableTask):
    """Take a file into internal storage."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.fs.local.Download
from: /data/in/orders.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Download"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Stored:
        uri, size = await local_files.stored(context, await reached(context, lambda reach: reach.place(self.from_)))
        return Stored(uri=uri, size=size)


class Listed(Outputs):
    """The files, by path."""

    files: list[LocalFile]
    count: int


class List(ListFields, RunnableTask):
    """List the files of a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.local.List
from: /data/in
regExp: .*\\.csv
recursive: true
""",
    )
    type: Literal["io.kestra.plugin.fs.local.List"]

    async def run(self, context: RunContext) -> Listed:
        look = partial(local_files.listed, fields=self)
        files = await reached(context, lambda reach: [about(path) for path in look(reach)])
        taken = cut(context, files, self.max_files)
        return Listed(files=list(taken), count=len(taken))


class Downloaded(Outputs):
    """The files with the URIs of their contents, also by where they lay."""

    files: list[LocalFile]
    outputFiles: dict[str, StoredUri]  # noqa: N815 - appears as written


class Downloads(ActionFields, RunnableTask):
    """Take the files of a folder into internal storage, and move or delete them if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.fs.local.Downloads
from: /data/in
regExp: .*\\.csv
action: MOVE
moveDirectory: /data/archive
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Downloads"]

    async def run(self, context: RunContext) -> Downloaded:
        found = await reached(context, partial(local_files.listed, fields=self))
        done = await local_watch.taken(context, self, cut(context, found, self.max_files))
        return Downloaded(files=done, outputFiles={one["localPath"]: one["uri"] for one in done})


class Upload(RunnableTask):
    """Write a file of internal storage to a folder; it is there whole or not at all."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.local.Upload
from: "{{ outputs.report.uri }}"
to: /data/out/report.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Upload"]
    from_: Property[Text] = Field(alias="from")
    to: Property[OptionalText] = None
    overwrite: Property[bool] = True

    async def run(self, context: RunContext) -> Stored:
        name, source = PurePosixPath(self.from_).name, context.files.path(self.from_)

        def write(reach: Reach) -> Stored:
            target = _target(reach, self.to or name, name)
            made = local_files.copied(reach, source, target, overwrite=self.overwrite, keep_mode=False)
            return Stored(uri=made.as_uri(), size=made.stat().st_size)

        return await reached(context, write)


class Uploaded(Outputs):
    """Where the files are now."""

    files: list[str]


class Uploads(RunnableTask):
    """Write files of internal storage to a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.local.Uploads
from:
  report.csv: "{{ outputs.report.uri }}"
to: /data/out
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Uploads"]
    from_: Property[JsonMap | JsonList] = Field(alias="from", description="URIs, or names and their URIs.")
    to: Property[Text]
    reg_exp: Property[OptionalText] = Field(default=None, description="Only URIs that it fits, from end to end.")
    max_files: Property[int] = Field(default=25, ge=1)
    overwrite: Property[bool] = True

    async def run(self, context: RunContext) -> Uploaded:
        given = self.from_ if isinstance(self.from_, dict) else {PurePosixPath(str(u)).name: u for u in self.from_}
        uris = [str(uri) for uri in given.values()]
        fits = set(await asyncio.to_thread(fitting, uris, self.reg_exp, "regExp"))
        wanted = [(str(name), str(uri)) for name, uri in given.items() if str(uri) in fits]
        sources = [(name, context.files.path(uri)) for name, uri in cut(context, wanted, self.max_files)]

        def write(reach: Reach) -> list[str]:
            done = []
            for name, source in sources:
                target = reach.place(f"{self.to.rstrip('/')}/{name}", through=False)
                made = local_files.copied(reach, source, target, overwrite=self.overwrite, keep_mode=False)
                done.append(made.as_uri())
            return done

        return Uploaded(files=await reached(context, write))


class Copy(RunnableTask):
    """Copy a file, or the files of a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.fs.local.Copy
from: /data/in/orders.csv
to: /data/archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Copy"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    overwrite: Property[bool] = False

    async def run(self, context: RunContext) -> None:
        def copy(reach: Reach) -> list[Path]:
            source = reach.place(self.from_)
            target = _target(reach, self.to, source.name)
            if source.is_dir():
                return local_files.copied_folder(reach, source, target, overwrite=self.overwrite)
            local_files.copied(reach, source, target, overwrite=self.overwrite)
            return []

        for path in await reached(context, copy):
            context.log(f"There is a file {path} already; it stays. `overwrite: true` replaces it.", "WARN")


class Move(RunnableTask):
    """Move or rename a file or a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.local.Move
from: /data/in/orders.csv
to: /data/archive/
overwrite: true
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Move"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    overwrite: Property[bool] = False

    async def run(self, context: RunContext) -> None:
        def move(reach: Reach) -> None:
            source = reach.whole(self.from_)
            target = _target(reach, self.to, source.name)
            local_files.moved(reach, source, target, overwrite=self.overwrite)

        await reached(context, move)


class Delete(RunnableTask):
    """Delete a file, or a folder and all that is in it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.local.Delete
from: /data/in/old.csv
errorOnMissing: true
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Delete"]
    from_: Property[Text] = Field(alias="from")
    error_on_missing: Property[bool] = False
    recursive: Property[bool] = False

    async def run(self, context: RunContext) -> Gone:
        return await deleted(context, self.from_, must_exist=self.error_on_missing, recursive=self.recursive)


class Trigger(ActionFields, WatchFields, PollingTrigger):
    """Start an execution when there are new files, or changed ones; they are taken into internal storage."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.local.Trigger
interval: PT10S
from: /data/in
regExp: .*\\.csv
action: MOVE
moveDirectory: /data/archive
""",
    )
    type: Literal["io.kestra.plugin.fs.local.Trigger"]

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, _Watched, context)
        arrivals = Arrivals(context, fields.on, takes=fields.action in ("MOVE", "DELETE"))
        if taken := await reached(context, lambda _: local_watch.unheard(arrivals)):
            return Look(taken, arrivals.memory)
        look = partial(local_watch.fresh, fields=fields, arrivals=arrivals, most=fields.max_files)
        fresh = await reached(context, look)
        memory = arrivals.memory
        done = await local_watch.taken(context, fields, [path for path, _ in fresh], arrivals)
        if arrivals.takes:  # one that comes by this name again is a new one
            memory = {path: seen for path, seen in memory.items() if path not in {str(one) for one, _ in fresh}}
        files = [{**one, "changeType": change} for one, (_, change) in zip(done, fresh, strict=False)]
        return Look(local_watch.Changed(files=files, count=len(files)) if files else None, memory)


class _Watched(ActionFields, WatchFields):
    """What the trigger looks at, and what becomes of it."""


def _target(reach: Reach, to: str, name: str) -> Path:
    """Where a file is to go: a path that ends in `/` is a folder."""
    return reach.place(f"{to}{name}" if to.endswith("/") else to, through=False)
