"""`io.kestra.plugin.dropbox.files`: files and folders in Dropbox."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.dropbox_service import CONTENT, DropboxConnected, DropboxFile, as_written, path_of, told_of
from engine.tasks.fetched_rows import Fetched, FetchType, stored
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.runners import own_file
from engine.tasks.working_files import STORAGE

BLOCK = 16 << 20  # bytes that are sent at once; Dropbox takes ten times as much


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Mode = Annotated[Literal["ADD", "OVERWRITE"], BeforeValidator(_upper)]


class One(Outputs):
    """The file or folder: its `name`, `id`, `path`, `type`, `size` and `clientModified`."""

    file: DropboxFile


class Uploaded(Outputs):
    """What Dropbox tells of the file: `id`, `name`, `pathLower`, `pathDisplay`, `rev`, `size` and more."""

    metadata: dict[str, Any]


class Downloaded(Uploaded):
    """The file, and what Dropbox tells of it."""

    uri: StoredUri


class Upload(DropboxConnected, RunnableTask):
    """Put a file into Dropbox."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: put
type: io.kestra.plugin.dropbox.files.Upload
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
from: "{{ outputs.report.uri }}"
to: /reports/july.csv
mode: OVERWRITE
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.Upload"]
    from_: Property[Text] = Field(alias="from")
    to: Property[Text]
    mode: Property[Mode] = "ADD"
    autorename: Property[bool] = Field(default=False, description="Find another name when there is one of that name.")

    async def run(self, context: RunContext) -> Uploaded:
        if not self.from_.strip().startswith(STORAGE):
            raise TaskFailed("`from` is no file of a flow.", fix="Give the `uri` that another task hands on.")
        source = context.files.path(self.from_.strip())
        place = {"path": path_of(context, self.to, "to"), "mode": self.mode.lower(), "autorename": self.autorename}
        size = source.stat().st_size
        if size <= BLOCK:
            told = await self._send(context, "upload", place, await asyncio.to_thread(source.read_bytes))
        else:
            told = await self._in_blocks(context, source, size, place)
        if not told.get("name"):
            raise TaskFailed("Dropbox answered without a file.")
        return Uploaded(metadata=as_written(told))

    async def _in_blocks(self, context: RunContext, source: Path, size: int, place: dict[str, Any]) -> dict[str, Any]:
        """What Dropbox tells of a large file, which is sent piece by piece; TaskFailed."""
        with source.open("rb") as file:
            block = await asyncio.to_thread(file.read, BLOCK)
            begun = await self._send(context, "upload_session/start", {"close": False}, block)
            sent, session = len(block), begun.get("session_id")
            while True:
                block = await asyncio.to_thread(file.read, BLOCK)
                cursor = {"session_id": session, "offset": sent}
                if sent + len(block) >= size:
                    return await self._send(
                        context, "upload_session/finish", {"cursor": cursor, "commit": place}, block
                    )
                await self._send(context, "upload_session/append_v2", {"cursor": cursor, "close": False}, block)
                sent += len(block)

    async def _send(self, context: RunContext, path: str, argument: dict[str, Any], block: bytes) -> dict[str, Any]:
        url = f"{self.base(context, CONTENT)}/2/files/{path}"
        headers = {**self.signed(context, argument), "Content-Type": "application/octet-stream"}
        return await rest_service.mapping(context, "Dropbox", "POST", url, headers=headers, content=block)


class Download(DropboxConnected, RunnableTask):
    """Get a file out of Dropbox."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: get
type: io.kestra.plugin.dropbox.files.Download
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
from: /reports/july.csv
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.Download"]
    from_: Property[Text] = Field(alias="from", description="Its path, or a file that holds it.")

    async def run(self, context: RunContext) -> Downloaded:
        path = path_of(context, self.from_, "from", is_absolute=False)
        target = own_file(context, "download")
        try:
            headers = await rest_service.downloaded(
                context,
                "Dropbox",
                f"{self.base(context, CONTENT)}/2/files/download",
                target,
                of=path,
                headers=self.signed(context, {"path": path}),
            )
            try:
                told = json.loads(headers.get("dropbox-api-result") or "{}")
            except ValueError as error:
                raise TaskFailed("Dropbox answered without a file.") from error
            name = str(told.get("name") or path.rpartition("/")[2] or "file")
            return Downloaded(uri=await context.files.put(target, name), metadata=as_written(told))
        finally:
            target.unlink(missing_ok=True)


class ListTask(DropboxConnected, RunnableTask):
    """A list, and what becomes of it."""

    fetch_type: Property[FetchType] = "FETCH"

    async def fetched(self, context: RunContext, found: AsyncIterator[DropboxFile]) -> Fetched:
        """The entries as asked for; of one, no more is asked than there is need for."""
        kind = self.fetch_type
        if kind == "STORE":
            uri, size = await stored(context, (one.model_dump() async for one in found), "files.jsonl")
            result = Fetched(uri=uri, size=size)
        elif kind == "FETCH_ONE":
            first = await anext(found, None)
            result = Fetched(row=first.model_dump() if first else None, size=1 if first else 0)
        else:
            rows = [one.model_dump() async for one in found]
            result = Fetched(rows=rows if kind == "FETCH" else None, size=len(rows))
        context.metric("files.count", result.size)
        return result


class List(ListTask):
    """The files and folders of a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reports
type: io.kestra.plugin.dropbox.files.List
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
from: /reports
recursive: true
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.List"]
    from_: Property[OptionalText] = Field(default=None, alias="from", description="All there is without it.")
    recursive: Property[bool] = False
    limit: Property[int] = Field(default=2000, ge=1, le=2000, description="How many are asked for at once.")

    async def run(self, context: RunContext) -> Fetched:
        place = (self.from_ or "").strip()
        path = "" if place in ("", "/") else path_of(context, place, "from", is_absolute=False)
        asked = {"path": path, "recursive": self.recursive, "limit": self.limit}
        pages = self.pages(context, "list_folder", "list_folder/continue", asked)
        return await self.fetched(
            context,
            (DropboxFile.of(one) async for page in pages for one in rest_service.listed(page, "Dropbox", "entries")),
        )


class Search(ListTask):
    """Look for files and folders by their names, and by what is in them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: look
type: io.kestra.plugin.dropbox.files.Search
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
query: july
path: /reports
fileExtensions: [csv]
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.Search"]
    query: Property[Text]
    path: Property[OptionalText] = None
    max_results: Property[OptionalInteger] = Field(default=None, description="How many are asked for at once.")
    file_extensions: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Fetched:
        options: dict[str, Any] = (
            {"path": path_of(context, self.path, "path")} if self.path and self.path.strip() else {}
        )
        options |= {"max_results": self.max_results} if self.max_results is not None else {}
        options |= {"file_extensions": self.file_extensions} if self.file_extensions else {}
        pages = self.pages(context, "search_v2", "search/continue_v2", {"query": self.query, "options": options})
        matches = (match async for page in pages for match in rest_service.listed(page, "Dropbox", "matches"))
        return await self.fetched(context, (_match(one) async for one in matches))


def _match(found: dict[str, Any]) -> DropboxFile:
    """The file that a search has found."""
    about = rest_service.mapped(found.get("metadata"), "Dropbox")
    return DropboxFile.of(rest_service.mapped(about.get("metadata"), "Dropbox"))


class RelocationTask(DropboxConnected, RunnableTask):
    """From where to where."""

    from_: Property[Text] = Field(alias="from", description="Its path, or a file that holds it.")
    to: Property[Text] = Field(description="A path, or a file that holds it.")
    autorename: Property[bool] = Field(default=False, description="Find another name when there is one of that name.")

    async def relocated(self, context: RunContext, how: str, **more: Any) -> One:
        """Do it; TaskFailed when Dropbox refuses."""
        asked = {"from_path": path_of(context, self.from_, "from"), "to_path": path_of(context, self.to, "to")}
        return One(file=told_of(await self.ask(context, how, {**asked, "autorename": self.autorename, **more})))


class Copy(RelocationTask):
    """Copy a file or a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: copy
type: io.kestra.plugin.dropbox.files.Copy
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
from: /templates/report.csv
to: /reports/july.csv
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.Copy"]

    async def run(self, context: RunContext) -> One:
        return await self.relocated(context, "copy_v2")


class Move(RelocationTask):
    """Move a file or a folder, or give it another name."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: archive
type: io.kestra.plugin.dropbox.files.Move
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
from: /reports/july.csv
to: /archive/july.csv
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.Move"]
    allow_ownership_transfer: Property[bool] = False

    async def run(self, context: RunContext) -> One:
        return await self.relocated(context, "move_v2", allow_ownership_transfer=self.allow_ownership_transfer)


class Delete(DropboxConnected, RunnableTask):
    """Delete a file, or a folder with all that is in it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.dropbox.files.Delete
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
from: /reports/june.csv
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.Delete"]
    from_: Property[Text] = Field(alias="from", description="Its path, or a file that holds it.")

    async def run(self, context: RunContext) -> One:
        return One(file=told_of(await self.ask(context, "delete_v2", {"path": path_of(context, self.from_, "from")})))


class CreateFolder(DropboxConnected, RunnableTask):
    """Make a folder, with those above it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: folder
type: io.kestra.plugin.dropbox.files.CreateFolder
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
path: /reports/2026
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.CreateFolder"]
    path: Property[Text] = Field(description="A path, or a file that holds it.")
    autorename: Property[bool] = Field(default=False, description="Find another name when there is one of that name.")

    async def run(self, context: RunContext) -> One:
        asked = {"path": path_of(context, self.path, "path"), "autorename": self.autorename}
        return One(file=told_of(await self.ask(context, "create_folder_v2", asked)))


class GetMetadata(DropboxConnected, RunnableTask):
    """Read what is known of a file or a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: about
type: io.kestra.plugin.dropbox.files.GetMetadata
accessToken: "{{ secret('DROPBOX_TOKEN') }}"
path: /reports/july.csv
""",
    )
    type: Literal["io.kestra.plugin.dropbox.files.GetMetadata"]
    path: Property[Text] = Field(description="A path, or a file that holds it.")
    include_media_info: Property[bool] = Field(default=False, description="Of no effect: no output tells it.")

    async def run(self, context: RunContext) -> One:
        asked = {"path": path_of(context, self.path, "path"), "include_media_info": self.include_media_info}
        return One(file=told_of({"metadata": await self.ask(context, "get_metadata", asked)}))
