"""`io.kestra.plugin.fs.sftp`: files on other machines, over SSH."""

from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, Text
from engine.tasks.remote_files import ActionFields, Files, ListFields, listed, moved, put, taken
from engine.tasks.ssh_connection import KeyFields
from engine.tasks.trigger_fields import task_of


class Moved(Outputs):
    """Where it came from, and where it is now."""

    from_: str = Field(serialization_alias="from")
    to: str


class Upload(KeyFields, RunnableTask):
    """Upload a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.sftp.Upload
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: "{{ outputs.report.uri }}"
to: /reports/latest.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Upload"]
    from_: Property[Text] = Field(alias="from")
    to: Property[OptionalText] = None
    overwrite: Property[bool] = True

    async def run(self, context: RunContext) -> Moved:
        target = self.to or PurePosixPath(self.from_).name
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            target = await put(sftp, context, self.from_, self.place(target), overwrite=self.overwrite)
        return Moved(from_=self.from_, to=self.to or target)


class Uploaded(Outputs):
    """Where the files are now."""

    files: list[str]


class Uploads(KeyFields, RunnableTask):
    """Upload several files to a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.fs.sftp.Uploads
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from:
  - "{{ outputs.report.uri }}"
to: /reports/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Uploads"]
    from_: Property[JsonMap | JsonList] = Field(alias="from", description="URIs, or names and their URIs.")
    to: Property[Text]
    max_files: Property[int | None] = None

    async def run(self, context: RunContext) -> Uploaded:
        given = (
            self.from_ if isinstance(self.from_, dict) else {PurePosixPath(str(uri)).name: uri for uri in self.from_}
        )
        done = []
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            for name, uri in given.items():
                target = f"{self.place(self.to).rstrip('/')}/{name}"
                done.append(await put(sftp, context, str(uri), target, overwrite=True))
        return Uploaded(files=done)


class Download(KeyFields, RunnableTask):
    """Download a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.fs.sftp.Download
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /orders/today.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Download"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Moved:
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            (found,) = await taken(sftp, context, [{"serverPath": self.place(self.from_)}])
        return Moved(from_=self.from_, to=found["path"])


class List(KeyFields, ListFields, RunnableTask):
    """List a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.sftp.List
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /orders/
regExp: .*\\.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.List"]

    async def run(self, context: RunContext) -> Files:
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            return Files(files=await listed(sftp, self, self.place(self.from_)))


class Downloads(KeyFields, ActionFields, RunnableTask):
    """Download all files of a folder, and move or delete them there if asked to."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: inbox
type: io.kestra.plugin.fs.sftp.Downloads
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Downloads"]

    async def run(self, context: RunContext) -> Files:
        return await self.emptied(context)

    async def emptied(self, context: RunContext) -> Files:
        """The files, downloaded, and then moved or deleted."""
        goal = None
        if self.action == "MOVE":
            if not self.move_directory:
                raise TaskFailed("It is not said where to move the files.", fix="Give `moveDirectory`.")
            goal = self.place(self.move_directory).rstrip("/")
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            found = [one for one in await listed(sftp, self, self.place(self.from_)) if one["fileType"] == "FILE"]
            if len(found) > self.max_files:
                context.log(f"There are {len(found)} files; the first {self.max_files} are taken (`maxFiles`).", "WARN")
            done = await taken(sftp, context, found[: self.max_files])
            for one in done:
                if goal is not None:
                    await moved(sftp, one["serverPath"], f"{goal}/{one['name']}", overwrite=True)
                elif self.action == "DELETE":
                    await sftp.remove(one["serverPath"])
        return Files(files=done, outputFiles={one["name"]: one["path"] for one in done})


class Trigger(KeyFields, ActionFields, PollingTrigger):
    """Start an execution when there are files; they are downloaded, and moved or deleted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.fs.sftp.Trigger
interval: PT1M
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /in/
action: MOVE
moveDirectory: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Trigger"]
    on: Property[OptionalText] = None
    state_key: Any = None
    state_ttl: Any = None

    async def poll(self, context: RunContext) -> Files | None:
        found = await (await task_of(self, Downloads, context)).emptied(context)
        return found if found.files else None


class Gone(Outputs):
    """Whether there was one."""

    uri: str
    deleted: bool


class Delete(KeyFields, RunnableTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.fs.sftp.Delete
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
uri: /in/old.csv
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Delete"]
    uri: Property[Text]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Gone:
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            path = self.place(self.uri)
            if not await sftp.exists(path):
                if self.error_on_missing:
                    raise TaskFailed(f"There is no file {self.uri}.", fix="Leave out `errorOnMissing`.")
                return Gone(uri=self.uri, deleted=False)
            await (sftp.rmtree(path) if await sftp.isdir(path) else sftp.remove(path))
        return Gone(uri=self.uri, deleted=True)


class Move(KeyFields, RunnableTask):
    """Move or rename a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.fs.sftp.Move
host: files.example.com
username: shop
password: "{{ secret('SFTP_PASSWORD') }}"
from: /in/today.csv
to: /archive/
""",
    )
    type: Literal["io.kestra.plugin.fs.sftp.Move"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    overwrite: Property[bool] = False

    async def run(self, context: RunContext) -> Moved:
        target = self.place(self.to)
        if self.to.endswith("/"):
            target = f"{target.rstrip('/')}/{PurePosixPath(self.from_).name}"
        async with self.connected(context) as connection, connection.start_sftp_client() as sftp:
            await moved(sftp, self.place(self.from_), target, overwrite=self.overwrite)
        return Moved(from_=self.from_, to=target)
