"""`io.kestra.plugin.googleworkspace.drive`: files of Google Drive."""

import asyncio
import json
import uuid
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.google_rest import WorkspaceTask
from engine.tasks.property_types import OptionalText, Text, TextList

FIELDS = "id,name,size,version,createdTime,parents,trashed,mimeType"
NUMBERS = ("size", "version")


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

    uri: str


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
        found, page = list[dict[str, Any]](), ""
        while True:
            told = {**asked, **({"pageToken": page} if page else {})}
            answer = await self.ask(context, "drive", "GET", "/files", params=told)
            found += [_told(file) for file in answer.get("files") or []]
            page = str(answer.get("nextPageToken") or "")
            if not page:
                break
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


def _told(file: dict[str, Any]) -> dict[str, Any]:
    """What flows read of a file; Google writes its numbers as text."""
    known = {name: file.get(name) for name in FIELDS.split(",")}
    return {name: int(value) if name in NUMBERS and value is not None else value for name, value in known.items()}


def _name(about: dict[str, Any]) -> str:
    """A name for internal storage: theirs may be a path."""
    name = str(about.get("name") or "")
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name).lstrip(".") or "file"
