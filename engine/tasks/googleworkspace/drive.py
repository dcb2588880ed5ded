"""`io.kestra.plugin.googleworkspace.drive`: files of Google Drive."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.core.dates import parse_datetime
from engine.core.durations import Duration
from engine.plugin import Look, Outputs, PollContext, PollingTrigger, Property, RunContext, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.google_rest import WorkspaceFields, WorkspaceTask
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.trigger_fields import fields_of

FIELDS = "id,name,size,version,createdTime,parents,trashed,mimeType"
MORE = "modifiedTime,owners,webViewLink,iconLink,thumbnailLink"
NUMBERS = ("size", "version")
FOLDER = "application/vnd.google-apps.folder"
AT_ONCE, MOST_FOLDERS = 50, 1000  # folders of one question, and in all
LATE = timedelta(minutes=1)  # how much later than it is made a search may know of a file


class FileTask(WorkspaceTask):
    """What tasks have that are about one file."""

    file_id: Property[Text] = Field(description="The file's id, as its address has it.")

    @property
    def path(self) -> str:
        """Where the file lies."""
        return f"/files/{quote(self.file_id, safe='')}"


class DriveFile(Outputs):
    """What Google says of a file."""

    file: dict[str, Any]


class NewFile(WorkspaceTask):
    """What a file is to be."""

    parents: Property[TextList | None] = Field(default=None, description="Ids of its folders.")
    name: Property[OptionalText] = Field(default=None, description="Its name.")
    # `description` is the task's own; Drive gets it too, as the file's.
    mime_type: Property[OptionalText] = Field(
        default=None, description="What it is to be at Google, as application/vnd.google-apps.spreadsheet."
    )
    team_drive_id: Property[OptionalText] = Field(default=None, description="The shared drive it goes to.")

    def about(self) -> dict[str, Any]:
        """The file in Google's words."""
        known = {
            "name": self.name,
            "parents": self.parents or None,
            "mimeType": self.mime_type,
            "driveId": self.team_drive_id,
            "description": self.description,
        }
        return {name: value for name, value in known.items() if value is not None}


class Create(NewFile):
    """Make an empty file or, with the right `mimeType`, a folder."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: folder
type: io.kestra.plugin.googleworkspace.drive.Create
serviceAccount: "{{ secret('GOOGLE_SA') }}"
name: Reports
mimeType: application/vnd.google-apps.folder
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.Create"]

    async def run(self, context: RunContext) -> DriveFile:
        told = {"fields": FIELDS, "supportsAllDrives": "true"}
        return DriveFile(file=_told(await self.ask(context, "drive", "POST", "/files", params=told, json=self.about())))


class Upload(NewFile):
    """Put a file from internal storage into Drive, or its content into one that is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: share
type: io.kestra.plugin.googleworkspace.drive.Upload
serviceAccount: "{{ secret('GOOGLE_SA') }}"
from: "{{ outputs.report.uri }}"
parents: ["{{ secret('REPORTS_FOLDER') }}"]
name: Report
contentType: text/csv
mimeType: application/vnd.google-apps.spreadsheet
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.Upload"]
    from_: Property[Text] = Field(alias="from", description="The file's URI in internal storage.")
    file_id: Property[OptionalText] = Field(default=None, description="The file that gets the content.")
    content_type: Property[Text] = Field(description="What the content is, as text/csv.")

    async def run(self, context: RunContext) -> DriveFile:
        content = await asyncio.to_thread(context.files.path(self.from_).read_bytes)
        mark = uuid.uuid4().hex
        head = f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(self.about())}\r\n"
        kind = " ".join(self.content_type.split())  # a line break would begin another header
        body = f"{head}--{mark}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + f"\r\n--{mark}--\r\n".encode()
        method, path = ("PATCH", f"/files/{quote(self.file_id, safe='')}") if self.file_id else ("POST", "/files")
        told = {"uploadType": "multipart", "fields": FIELDS, "supportsAllDrives": "true"}
        found = await self.ask(
            context, "upload", method, path, params=told, content=body, kind=f"multipart/related; boundary={mark}"
        )
        context.metric("size", len(content))
        return DriveFile(file={**_told(found), "size": len(content)})


class Downloaded(DriveFile):
    """The file, and its content."""

    uri: StoredUri


class Download(FileTask):
    """Fetch the content of a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.googleworkspace.drive.Download
serviceAccount: "{{ secret('GOOGLE_SA') }}"
fileId: "{{ outputs.share.file.id }}"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.Download"]

    async def run(self, context: RunContext) -> Downloaded:
        told = {"fields": FIELDS, "supportsAllDrives": "true"}
        about = _told(await self.ask(context, "drive", "GET", self.path, params=told))
        content = await self.content(context, self.path, {"alt": "media", "supportsAllDrives": "true"})
        context.metric("size", len(content))
        return Downloaded(file=about, uri=await context.files.put(content, _name(about)))


class Export(FileTask):
    """Fetch a document of Google in another format."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.googleworkspace.drive.Export
serviceAccount: "{{ secret('GOOGLE_SA') }}"
fileId: "{{ outputs.share.file.id }}"
contentType: application/pdf
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.Export"]
    content_type: Property[Text] = Field(description="The format, as application/pdf or text/csv.")

    async def run(self, context: RunContext) -> Downloaded:
        told = {"fields": FIELDS, "supportsAllDrives": "true"}
        about = _told(await self.ask(context, "drive", "GET", self.path, params=told))
        content = await self.content(context, f"{self.path}/export", {"mimeType": self.content_type})
        context.metric("size", len(content))
        return Downloaded(file={**about, "size": len(content)}, uri=await context.files.put(content, _name(about)))


class Files(Outputs):
    """Files that were found."""

    files: list[dict[str, Any]]


class List(WorkspaceTask):
    """List files."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reports
type: io.kestra.plugin.googleworkspace.drive.List
serviceAccount: "{{ secret('GOOGLE_SA') }}"
query: "'{{ secret('REPORTS_FOLDER') }}' in parents and trashed = false"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.List"]
    query: Property[OptionalText] = Field(
        default=None, description="Which files, in Drive's own words; all unless given."
    )
    corpora: Property[TextList | None] = Field(
        default=None, description="Where to look: user, domain, teamDrive, allTeamDrives."
    )

    async def run(self, context: RunContext) -> Files:
        asked = {
            "fields": f"nextPageToken,files({FIELDS})",
            "supportsAllDrives": "true",
            "includeItemsFromAllDrives": "true",
        }
        asked |= {"q": " ".join(self.query.split())} if self.query else {}
        asked |= {"corpora": ",".join(self.corpora)} if self.corpora else {}
        found = [_told(file) for file in await listed(self, context, asked)]
        context.metric("size", len(found))
        return Files(files=found)


class Gone(Outputs):
    """The file that was deleted."""

    fileId: str  # noqa: N815 - appears as written


class Delete(FileTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: away
type: io.kestra.plugin.googleworkspace.drive.Delete
serviceAccount: "{{ secret('GOOGLE_SA') }}"
fileId: "{{ outputs.share.file.id }}"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.Delete"]

    async def run(self, context: RunContext) -> Gone:
        await self.ask(context, "drive", "DELETE", self.path, params={"supportsAllDrives": "true"})
        return Gone(fileId=self.file_id)


class NewFiles(WorkspaceFields):
    """Which files are waited for."""

    scopes: Property[TextList] = Field(
        default_factory=lambda: ["https://www.googleapis.com/auth/drive.readonly"],
        description="What the account asks to be allowed.",
    )
    folder_id: Property[OptionalText] = Field(default=None, description="Where they appear; anywhere unless given.")
    include_subfolders: Property[bool] = False
    mime_types: Property[TextList | None] = Field(default=None, description="What they are; anything unless given.")
    owner_email: Property[OptionalText] = None
    max_files_per_poll: Property[int] = Field(default=100, ge=1, description="More wait for the next look.")

    async def made(self, context: RunContext, since: str) -> list[dict[str, Any]]:
        """Files that were made since a moment, the oldest first; TaskFailed."""
        wanted = ["trashed = false", f"mimeType != '{FOLDER}'", f"createdTime >= '{since}'"]
        if self.mime_types:
            wanted.append(f"({' or '.join(f'mimeType = {_quoted(kind)}' for kind in self.mime_types)})")
        if self.owner_email:
            wanted.append(f"{_quoted(self.owner_email)} in owners")
        found = dict[str, dict[str, Any]]()
        for places in await self._places(context):
            for file in await self._search(context, [*wanted, *places], f"{FIELDS},{MORE}"):
                found[file["id"]] = file
        return sorted(found.values(), key=lambda file: str(file["createdTime"]))

    async def _places(self, context: RunContext) -> list[list[str]]:
        """Conditions that say where, each for one question; one that says nothing for everywhere."""
        if not self.folder_id:
            return [[]]
        folders, reached = [self.folder_id], 0
        while self.include_subfolders and reached < len(folders):
            asked = folders[reached : reached + AT_ONCE]
            reached += len(asked)
            below = ["trashed = false", f"mimeType = '{FOLDER}'", _within(asked)]
            folders += [one["id"] for one in await self._search(context, below, "id") if one["id"] not in folders]
            if len(folders) > MOST_FOLDERS:
                raise TaskFailed(f"{self.folder_id} holds more than {MOST_FOLDERS} folders.", fix="Watch one of them.")
        return [[_within(folders[start : start + AT_ONCE])] for start in range(0, len(folders), AT_ONCE)]

    async def _search(self, context: RunContext, wanted: list[str], fields: str) -> list[dict[str, Any]]:
        asked = {
            "q": " and ".join(wanted),
            "orderBy": "createdTime",
            "fields": f"nextPageToken,files({fields})",
            "supportsAllDrives": "true",
            "includeItemsFromAllDrives": "true",
        }
        return await listed(self, context, asked, ["id", "createdTime"] if MORE in fields else ["id"])


class FileCreatedTrigger(NewFiles, PollingTrigger):
    """Start an execution when there are new files; their contents are stored, where Drive gives them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: invoices
type: io.kestra.plugin.googleworkspace.drive.FileCreatedTrigger
interval: PT5M
serviceAccount: "{{ secret('GOOGLE_SA') }}"
folderId: 1a2b3c4d5e6f7g8h9i0j
mimeTypes: [application/pdf]
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.drive.FileCreatedTrigger"]
    interval: Duration = Field(
        default=timedelta(hours=1), ge=timedelta(minutes=1), description="The wait between two looks."
    )

    async def poll(self, context: PollContext) -> Look:
        asked = await fields_of(self, NewFiles, context)
        floor = str(context.memory.get("floor") or _stamp(datetime.now(UTC) - self.interval))
        known = set(context.memory.get("ids", ()))
        there = await asked.made(context, floor)
        fresh = [file for file in there if file["id"] not in known][: asked.max_files_per_poll]
        if not fresh:
            return Look(None, {"floor": floor, "ids": sorted(known & {file["id"] for file in there})})
        known |= {file["id"] for file in fresh}
        floor = max(floor, _stamp(parse_datetime(fresh[-1]["createdTime"]) - LATE))
        ids = sorted(file["id"] for file in there if file["id"] in known and str(file["createdTime"]) >= floor)
        found = [{**file, "kestraFileUri": await _content(asked, context, file)} for file in fresh]
        return Look(Files(files=found), {"floor": floor, "ids": ids})


async def listed(
    asks: WorkspaceFields, context: RunContext, asked: dict[str, str], each: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Files of a search, of all its pages, each with some names; TaskFailed."""
    found, page, pages = list[dict[str, Any]](), "", Pages("Google Drive")
    while True:
        told = {**asked, **({"pageToken": page} if page else {})}
        answer = await asks.ask(context, "drive", "GET", "/files", params=told)
        found += rest_service.listed(answer, "Google Drive", "files", each=each)
        page = pages.after(answer.get("nextPageToken"))
        if not page:
            return found


async def _content(asks: WorkspaceFields, context: RunContext, file: dict[str, Any]) -> str | None:
    if str(file.get("mimeType") or "").startswith("application/vnd.google-apps."):
        return None  # documents of Google have no content of their own: `Export` makes one
    try:
        path = f"/files/{quote(file['id'], safe='')}"
        content = await asks.content(context, path, {"alt": "media", "supportsAllDrives": "true"})
    except TaskFailed as error:
        context.log(f"The content of {file.get('name')!r} could not be fetched: {error}", "WARN")
        return None
    return await context.files.put(content, _name(file))


def _within(folders: list[str]) -> str:
    return f"({' or '.join(f'{_quoted(one)} in parents' for one in folders)})"


def _quoted(text: str) -> str:
    """A text as Drive's searches write it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(file: dict[str, Any]) -> dict[str, Any]:
    """What flows read of a file; Google writes its numbers as text."""
    known = {name: file.get(name) for name in FIELDS.split(",")}
    return {
        name: rest_service.whole(known, "Google Drive", name) if name in NUMBERS and value is not None else value
        for name, value in known.items()
    }


def _name(about: dict[str, Any]) -> str:
    """A name for internal storage: theirs may be a path."""
    name = str(about.get("name") or "")
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name).lstrip(".") or "file"
