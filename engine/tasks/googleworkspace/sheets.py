"""`io.kestra.plugin.googleworkspace.sheets`: spreadsheets of Google."""

import asyncio
import csv
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.core.durations import Duration
from engine.plugin import Look, Outputs, Part, PollContext, PollingTrigger, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.fetched_rows import filed
from engine.tasks.google_rest import SHEETS, WorkspaceFields, WorkspaceTask
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.rest_service import held, listed, lists, mapped, whole
from engine.tasks.rows import values_of
from engine.tasks.sheet_changes import Sheet
from engine.tasks.trigger_fields import fields_of

SERVICE = "Google Sheets"
FORMATS = ("ION", "CSV", "JSON")


class SheetTask(WorkspaceTask):
    """What every task has that is about one spreadsheet."""

    spreadsheet_id: Property[Text] = Field(description="The spreadsheet's id, as its address has it.")

    def path(self, *rest: str) -> str:
        """Where something of the spreadsheet lies; the last part may name an act after a colon."""
        return "/".join(("/spreadsheets", quote(self.spreadsheet_id, safe=""), *rest))


class ReadTask(SheetTask):
    """What both tasks have that read."""

    value_render: Property[Literal["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"]] = Field(
        default="UNFORMATTED_VALUE", description="How values are read."
    )
    date_time_render: Property[Literal["SERIAL_NUMBER", "FORMATTED_STRING"]] = Field(
        default="FORMATTED_STRING", description="How dates are read."
    )
    header: Property[bool] = Field(default=True, description="The first row names the columns.")
    fetch: Property[bool] = Field(default=False, description="Hand the rows on as outputs, not as a file.")
    store: Property[bool] = Field(default=True, description="Write the rows to a file; `fetch` goes before.")

    def asked(self) -> list[tuple[str, str]]:
        """How values are to be read, for the address."""
        return [("valueRenderOption", self.value_render), ("dateTimeRenderOption", self.date_time_render)]

    def rows(self, values: Sequence[Sequence[Any]]) -> list[Any]:
        """The rows of a range: maps when the first names the columns; what is left out at its end is null."""
        if not self.header:
            return [list(row) for row in values]
        names = [str(name) for name in values[0]] if values else []
        return [dict(zip(names, [*row, *([None] * len(names))], strict=False)) for row in values[1:]]


class RangeRead(Outputs):
    """The rows of a range."""

    size: int
    rows: list[Any] | None = None
    uri: StoredUri | None = None


class ReadRange(ReadTask):
    """Read a range of a spreadsheet."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: on_call
type: io.kestra.plugin.googleworkspace.sheets.ReadRange
serviceAccount: "{{ secret('GOOGLE_SA') }}"
spreadsheetId: "{{ secret('ROTA_SHEET') }}"
range: Rota!A1:C
fetch: true
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.sheets.ReadRange"]
    range: Property[Text] = Field(description="As Sheet1!A1:D10.")

    async def run(self, context: RunContext) -> RangeRead:
        path = self.path("values", quote(self.range, safe=""))
        answer = await self.ask(context, "sheets", "GET", path, params=self.asked())
        rows = self.rows(lists(answer, SERVICE, "values"))
        context.metric("rows", len(rows))
        if self.fetch:
            return RangeRead(size=len(rows), rows=rows)
        return RangeRead(size=len(rows), uri=await _kept(context, rows, "range"))


class SheetsRead(Outputs):
    """The rows of sheets, by the sheets' titles."""

    size: int
    rows: dict[str, list[Any]] | None = None
    uris: dict[str, StoredUri] | None = None


class Read(ReadTask):
    """Read the sheets of a spreadsheet."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: budget
type: io.kestra.plugin.googleworkspace.sheets.Read
serviceAccount: "{{ secret('GOOGLE_SA') }}"
spreadsheetId: "{{ secret('BUDGET_SHEET') }}"
selectedSheetsTitle: [Costs]
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.sheets.Read"]
    selected_sheets_title: Property[TextList | None] = Field(
        default=None, description="Which sheets; all unless given."
    )

    async def run(self, context: RunContext) -> SheetsRead:
        about = await self.ask(context, "sheets", "GET", self.path(), params=[("fields", "sheets.properties")])
        there = [str(held(sheet, SERVICE, "properties", "title")) for sheet in listed(about, SERVICE, "sheets")]
        missing = [title for title in self.selected_sheets_title or [] if title not in there]
        if missing:
            raise TaskFailed(f"The spreadsheet has no sheet {missing[0]!r}.", fix=f"It has {', '.join(there)}.")
        titles = [title for title in there if not self.selected_sheets_title or title in self.selected_sheets_title]
        ranges = [("ranges", "'" + title.replace("'", "''") + "'") for title in titles]
        asked = [*ranges, *self.asked()]
        found = await self.ask(context, "sheets", "GET", self.path("values:batchGet"), params=asked)
        values = [lists(one, SERVICE, "values") for one in listed(found, SERVICE, "valueRanges")]
        if len(values) != len(titles):
            raise TaskFailed(f"{SERVICE} was asked for {len(titles)} sheets and answered with {len(values)}.")
        size = sum(map(len, values))
        context.metric("sheets", len(there))
        context.metric("rows", size)
        rows = {title: self.rows(held) for title, held in zip(titles, values, strict=True)}
        if self.fetch:
            return SheetsRead(size=size, rows=rows)
        return SheetsRead(size=size, uris={title: await _kept(context, held, title) for title, held in rows.items()})


class CsvOptions(Part):
    """How a CSV file is written."""

    field_delimiter: Text = ","
    skip_leading_rows: OptionalInteger = None
    quote: OptionalText = None
    encoding: Text = "UTF-8"


class Written(Outputs):
    """What was written where."""

    range: str
    rows: int
    columns: int


class Load(SheetTask):
    """Write the rows of a file into a sheet."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.googleworkspace.sheets.Load
serviceAccount: "{{ secret('GOOGLE_SA') }}"
spreadsheetId: "{{ secret('REPORT_SHEET') }}"
from: "{{ outputs.query.uri }}"
range: Report
header: true
insertType: APPEND
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.sheets.Load"]
    from_: Property[Text] = Field(alias="from", description="The file's URI in internal storage.")
    range: Property[Text] = Field(default="Sheet1", description="A sheet, or a range as Sheet1!A1:D10.")
    insert_type: Property[Literal["UPDATE", "OVERWRITE", "APPEND"]] = Field(
        default="UPDATE", description="Write over what is there, empty it first, or write below."
    )
    header: Property[bool] = Field(default=False, description="Write the names of the columns too (not for CSV).")
    format: Property[OptionalText] = Field(
        default=None, description=f"{', '.join(FORMATS)}; told by the file's name unless given."
    )
    csv_options: Property[CsvOptions | None] = Field(default=None, description="How a CSV file is written.")
    avro_schema: Property[OptionalText] = Field(
        default=None, description="Has no effect: other formats are converted first."
    )

    async def run(self, context: RunContext) -> Written:
        source = context.files.path(self.from_)
        values = await asyncio.to_thread(self._values, source)
        where, told = quote(self.range, safe=""), [("valueInputOption", "RAW")]
        body = {"values": values}
        if self.insert_type == "APPEND":
            told.append(("insertDataOption", "INSERT_ROWS"))
            path = self.path("values", f"{where}:append")
            answer = await self.ask(context, "sheets", "POST", path, params=told, json=body)
            done = mapped(answer, SERVICE, "updates")
        else:
            if self.insert_type == "OVERWRITE":
                await self.ask(context, "sheets", "POST", self.path("values", f"{where}:clear"), json={})
            done = await self.ask(context, "sheets", "PUT", self.path("values", where), params=told, json=body)
        return Written(
            range=str(done.get("updatedRange") or self.range),
            rows=whole(done, SERVICE, "updatedRows", missing=0),
            columns=whole(done, SERVICE, "updatedColumns", missing=0),
        )

    def _values(self, source: Path) -> list[list[Any]]:
        kind = (self.format or source.suffix.removeprefix(".")).upper()
        if kind == "CSV":
            given = self.csv_options or CsvOptions()
            with source.open(encoding=given.encoding, newline="") as file:
                lines = list(csv.reader(file, delimiter=given.field_delimiter, quotechar=given.quote or '"'))
            return [list(line) for line in lines[given.skip_leading_rows or 0 :]]
        if kind not in ("ION", "JSON", "JSONL"):
            raise TaskFailed(
                f"{source.name} is no {', '.join(FORMATS)} file.",
                fix="Convert it first, for instance with ParquetToIon.",
            )
        found = list(values_of(source))
        names = list(dict.fromkeys(name for row in found if isinstance(row, dict) for name in row))
        rows: list[Any] = [[row.get(name) for name in names] if isinstance(row, dict) else row for row in found]
        head = [names] if self.header and names else []
        return [[_cell(value) for value in (row if isinstance(row, list) else [row])] for row in [*head, *rows]]


class Created(Outputs):
    """The new spreadsheet."""

    spreadsheetId: str  # noqa: N815 - appears as written
    spreadsheetUrl: str  # noqa: N815


class CreateSpreadsheet(WorkspaceTask):
    """Make a spreadsheet."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.googleworkspace.sheets.CreateSpreadsheet
serviceAccount: "{{ secret('GOOGLE_SA') }}"
title: Report of {{ now() | date("yyyy-MM-dd") }}
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.sheets.CreateSpreadsheet"]
    title: Property[Text] = Field(description="Its title.")

    async def run(self, context: RunContext) -> Created:
        made = await self.ask(context, "sheets", "POST", "/spreadsheets", json={"properties": {"title": self.title}})
        return Created(
            spreadsheetId=str(held(made, SERVICE, "spreadsheetId")),
            spreadsheetUrl=str(made.get("spreadsheetUrl", "")),
        )


class DeleteSpreadsheet(SheetTask):
    """Delete a spreadsheet."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: away
type: io.kestra.plugin.googleworkspace.sheets.DeleteSpreadsheet
serviceAccount: "{{ secret('GOOGLE_SA') }}"
spreadsheetId: "{{ outputs.report.spreadsheetId }}"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.sheets.DeleteSpreadsheet"]

    async def run(self, context: RunContext) -> Created:
        await self.ask(context, "drive", "DELETE", f"/files/{quote(self.spreadsheet_id, safe='')}")
        return Created(spreadsheetId=self.spreadsheet_id, spreadsheetUrl="")


async def _kept(context: RunContext, rows: list[Any], name: str) -> str:
    file = "".join(letter if letter.isalnum() else "-" for letter in name)
    return await filed(context, rows, f"{file}.jsonl")


def _cell(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, str | int | float | bool) else str(value)


class WatchFields(WorkspaceFields):
    """Which spreadsheet is looked at, and what of it."""

    scopes: Property[TextList] = Field(
        default_factory=lambda: [SHEETS, "https://www.googleapis.com/auth/drive.metadata.readonly"],
        description="What the account asks to be allowed.",
    )
    spreadsheet_id: Property[Text] = Field(description="The spreadsheet's id, as its address has it.")
    sheet_name: Property[OptionalText] = Field(default=None, description="Which sheet; the first unless given.")
    range: Property[OptionalText] = Field(default=None, description="As Sheet1!A1:D100; the whole sheet unless given.")
    on: Property[Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]] = Field(
        default="CREATE_OR_UPDATE", description="Accepted for flows that carry it: what is there when it begins is old."
    )
    include_details: Property[bool] = Field(
        default=True, description="Accepted for flows that carry it: what has changed is always told."
    )
    state_key: Any = Field(default=None, description="Of no effect: each trigger remembers by itself.")
    state_ttl: Any = Field(default=None, description="Of no effect: the last look is remembered.")

    async def where(self, context: RunContext, path: str) -> str:
        """The range in Google's words."""
        if self.range and ("!" in self.range or not self.sheet_name):
            return self.range
        title = self.sheet_name
        if not title:
            about = await self.ask(context, "sheets", "GET", path, params=[("fields", "sheets.properties")])
            first = next(iter(listed(about, SERVICE, "sheets")), None)
            title = str(held(first, SERVICE, "properties", "title"))
        quoted = "'" + title.replace("'", "''") + "'"
        return f"{quoted}!{self.range}" if self.range else quoted

    async def revisions(self, context: RunContext, path: str, since: str) -> list[dict[str, Any]]:
        """The revisions in Drive that came after a moment, oldest first; none when the account may not see them."""
        asked = {
            "fields": "nextPageToken,revisions(id,modifiedTime,lastModifyingUser(displayName))",
            "pageSize": "1000",
        }
        found: list[dict[str, Any]] = []
        page, pages = "", Pages("Google Drive")
        while True:
            told = {**asked, **({"pageToken": page} if page else {})}
            try:
                answer = await self.ask(context, "drive", "GET", f"{path}/revisions", params=told)
            except TaskFailed:  # who may only read a spreadsheet is not told of its revisions
                return found
            there = listed(answer, "Google Drive", "revisions")
            found += [one for one in there if str(one.get("modifiedTime")) > since]
            page = pages.after(answer.get("nextPageToken"))
            if not page:
                return found


class SheetModifiedTrigger(WatchFields, PollingTrigger):
    """Start an execution when values of a spreadsheet have changed: `trigger.diff` tells which, and
    `trigger.modifications` by whom."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: on_change
type: io.kestra.plugin.googleworkspace.sheets.SheetModifiedTrigger
interval: PT2M
serviceAccount: "{{ secret('GOOGLE_SA') }}"
spreadsheetId: "{{ secret('ROTA_SHEET') }}"
range: Rota!A1:D100
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.sheets.SheetModifiedTrigger"]
    interval: Duration = Field(
        default=timedelta(minutes=5), ge=timedelta(seconds=1), description="The wait between two looks."
    )

    async def poll(self, context: PollContext) -> Look:
        fields, memory = await fields_of(self, WatchFields, context), context.memory
        one = quote(fields.spreadsheet_id, safe="")
        wanted = "name,modifiedTime,version,lastModifyingUser(displayName)"
        asked = {"fields": wanted, "supportsAllDrives": "true"}
        about = await fields.ask(context, "drive", "GET", f"/files/{one}", params=asked)
        stamp = f"{about.get('modifiedTime')} {about.get('version')}"
        if memory.get("stamp") == stamp:
            return Look(None, memory)
        where = await fields.where(context, f"/spreadsheets/{one}")
        path = f"/spreadsheets/{one}/values/{quote(where, safe='')}"
        values = lists(await fields.ask(context, "sheets", "GET", path), SERVICE, "values")
        now = Sheet.of(values)
        kept = {"stamp": stamp, "where": where, **now.document()}
        if memory.get("where") != where or memory["mark"] == now.mark:
            return Look(None, kept)
        told: dict[str, Any] = {"spreadsheetId": fields.spreadsheet_id, "sheetName": fields.sheet_name, "range": where}
        since = str(memory["stamp"]).partition(" ")[0]
        details = {
            "affectedRange": where,
            "rowCount": len(values),
            "columnCount": max(map(len, values), default=0),
            "hasData": bool(values),
        }
        changes = [
            {
                "revisionId": one.get("id"),
                "modifiedTime": one.get("modifiedTime"),
                "spreadsheetTitle": about.get("name"),
                "spreadsheetId": fields.spreadsheet_id,
                "lastModifyingUser": (one.get("lastModifyingUser") or {}).get("displayName"),
                "sheetName": fields.sheet_name,
                "changeDetails": details,
            }
            for one in await fields.revisions(context, f"/files/{one}", since) or [about]
        ]
        told |= {"count": len(changes), "modifications": changes}
        return Look({**told, "diff": Sheet.read(memory).changes(now)}, kept)
