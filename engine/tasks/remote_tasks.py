"""What tasks do with files on other machines, whatever they are reached by."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import PurePosixPath
from typing import Any, ClassVar

from pydantic import Field

from engine.plugin import (
    Look,
    Outputs,
    Part,
    PollContext,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
    Typed,
    Unserved,
)
from engine.tasks.arrivals import Arrivals, WatchFields, arrived, away, chosen, placed, unheard
from engine.tasks.checksums import GivenChecksum
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, Text
from engine.tasks.remote_files import ActionFields, Files, ListFields, RemoteFile, listed, moved, put, taken
from engine.tasks.trigger_fields import task_of

NO_PROXY = Unserved("Files are not exchanged by way of a proxy here.", "Reach the machine directly.")


class Remote(Part):
    """A machine that files are exchanged with. A task says what it does there in `example`, a protocol how the machine
    is reached in `reached`: together they are the example of each task of each protocol."""

    example: ClassVar[str] = ""
    reached: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        if issubclass(cls, Typed) and cls.example and cls.reached:
            cls.examples = (f"id: {cls.__name__.lower()}\ntype: {cls.type_names()[0]}\n{cls.reached}{cls.example}",)

    @abstractmethod
    def files(self, context: RunContext) -> AbstractAsyncContextManager[Any]:
        """A client with the acts of SFTP's; TaskFailed when the machine can't be reached or refuses."""

    @abstractmethod
    def place(self, path: str) -> str:
        """A path as the server knows it."""


class Moved(Outputs):
    """Where it came from, and where it is now."""

    from_: str = Field(serialization_alias="from")
    to: str


class UploadTask(Remote, RunnableTask):
    """Upload a file."""

    example = 'from: "{{ outputs.report.uri }}"\nto: /reports/latest.csv\n'
    from_: Property[Text] = Field(alias="from")
    to: Property[OptionalText] = None
    overwrite: Property[bool] = True

    async def run(self, context: RunContext) -> Moved:
        target = self.to or PurePosixPath(self.from_).name
        async with self.files(context) as there:
            target = await put(there, context, self.from_, self.place(target), overwrite=self.overwrite)
        return Moved(from_=self.from_, to=self.to or target)


class Uploaded(Outputs):
    """Where the files are now."""

    files: list[str]


class UploadsTask(Remote, RunnableTask):
    """Upload several files to a folder."""

    example = 'from:\n  - "{{ outputs.report.uri }}"\nto: /reports/\n'
    from_: Property[JsonMap | JsonList] = Field(alias="from", description="URIs, or names and their URIs.")
    to: Property[Text]
    max_files: Property[int | None] = None

    async def run(self, context: RunContext) -> Uploaded:
        given = (
            self.from_ if isinstance(self.from_, dict) else {PurePosixPath(str(uri)).name: uri for uri in self.from_}
        )
        done = []
        async with self.files(context) as there:
            for name, uri in given.items():
                target = f"{self.place(self.to).rstrip('/')}/{name}"
                done.append(await put(there, context, str(uri), target, overwrite=True))
        return Uploaded(files=done)


class DownloadTask(Remote, GivenChecksum, RunnableTask):
    """Download a file."""

    example = "from: /orders/today.csv\n"
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Moved:
        async with self.files(context) as there:
            (found,) = await taken(there, context, [{"serverPath": self.place(self.from_)}])
        await self.checked(context.files.path(found["path"]), self.from_)
        return Moved(from_=self.from_, to=found["path"])


class ListTask(Remote, ListFields, RunnableTask):
    """List a folder."""

    example = "from: /orders/\nregExp: .*\\.csv\n"

    async def run(self, context: RunContext) -> Files:
        async with self.files(context) as there:
            return Files(files=await listed(there, self, self.place(self.from_)))


class EmptyFields(Remote, ActionFields):
    """A folder whose files are taken, and what becomes of them there."""

    example = "from: /in/\naction: MOVE\nmoveDirectory: /archive/\n"

    async def emptied(self, context: RunContext, arrivals: Arrivals | None = None) -> Files:
        """The files, with `arrivals` those that are news, downloaded, and then moved or deleted."""
        goal = None
        if self.action == "MOVE":
            if not self.move_directory:
                raise TaskFailed("It is not said where to move the files.", fix="Give `moveDirectory`.")
            goal = self.place(self.move_directory).rstrip("/")
        async with self.files(context) as there:
            found = [one for one in await listed(there, self, self.place(self.from_)) if one["fileType"] == "FILE"]
            if done := unheard(arrivals, found, name="serverPath", version=_version):
                return _files(done)
            most = self.max_files
            news = chosen(context, found, most, arrivals, kind="files", name="serverPath", version=_version)
            done = await taken(there, context, news)

            async def act(gone: list[RemoteFile]) -> None:
                for one in done:
                    if goal is not None:
                        await moved(there, one["serverPath"], f"{goal}/{one['name']}", overwrite=True)
                    else:
                        await there.remove(one["serverPath"])
                    gone.append(one)

            if self.action in ("MOVE", "DELETE") and done:
                done = await away(context, done, act, arrivals, placed(news, "serverPath", _version))
        return _files(done)


def _files(done: list[RemoteFile]) -> Files:
    return Files(files=done, outputFiles={one["name"]: one["path"] for one in done})


def _version(file: RemoteFile) -> str:
    return f"{file['updatedDate']}_{file['size']}"


class DownloadsTask(EmptyFields, RunnableTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    async def run(self, context: RunContext) -> Files:
        return await self.emptied(context)


class ArrivalTrigger(EmptyFields, WatchFields, PollingTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted. Of files that stay those
    count that are new or have changed."""

    example = f"interval: PT1M\n{EmptyFields.example}"
    taking: ClassVar[type[DownloadsTask]]

    async def poll(self, context: PollContext) -> Look:
        task = await task_of(self, self.taking, context)
        return await arrived(self, context, task.action, partial(task.emptied, context), lambda found: found.files)


class Gone(Outputs):
    """Whether there was one."""

    uri: str
    deleted: bool


class DeleteTask(Remote, RunnableTask):
    """Delete a file."""

    example = "uri: /in/old.csv\n"
    uri: Property[Text]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Gone:
        async with self.files(context) as there:
            path = self.place(self.uri)
            if not await there.exists(path):
                if self.error_on_missing:
                    raise TaskFailed(f"There is no file {self.uri}.", fix="Leave out `errorOnMissing`.")
                return Gone(uri=self.uri, deleted=False)
            await (there.rmtree(path) if await there.isdir(path) else there.remove(path))
        return Gone(uri=self.uri, deleted=True)


class MoveTask(Remote, RunnableTask):
    """Move or rename a file."""

    example = "from: /in/today.csv\nto: /archive/\n"
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    overwrite: Property[bool] = False

    async def run(self, context: RunContext) -> Moved:
        target = self.place(self.to)
        if self.to.endswith("/"):
            target = f"{target.rstrip('/')}/{PurePosixPath(self.from_).name}"
        async with self.files(context) as there:
            await moved(there, self.place(self.from_), target, overwrite=self.overwrite)
        return Moved(from_=self.from_, to=target)
