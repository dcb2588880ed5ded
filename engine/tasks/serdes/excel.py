"""`io.kestra.plugin.serdes.excel`: spreadsheets."""

import asyncio
import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.conversion import known
from engine.tasks.extras import extra
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.rows import lines_of, values_of
from engine.tasks.runners import WORK, own_file
from engine.tasks.sql_rows import json_value

MAX_ROWS = 1_048_576  # Excel has no more
MAX_TITLE = 31
MAX_UNPACKED = 1_000_000_000  # bytes of one workbook
# What the library raises for a workbook that is none, or whose parts do not fit together.
BROKEN = (
    OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, BadZipFile, ParseError, zlib.error,
)  # fmt: skip
FORMULA = "Formula:"


class Written(Outputs):
    """The spreadsheet, and how many rows went into it."""

    uri: StoredUri
    size: int


class IonToExcel(RunnableTask):
    """Write files of rows as a spreadsheet: one file, or a map of sheets."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.serdes.excel.IonToExcel
from:
  Orders: "{{ outputs.orders.uri }}"
  Customers: "{{ outputs.customers.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.serdes.excel.IonToExcel"]
    from_: Property[JsonMap | Text] = Field(alias="from")
    sheets_title: Property[Text] = "Sheet"
    header: Property[bool] = True
    styles: Property[bool] = True
    charset: Property[Text] = "UTF-8"
    date_format: Property[OptionalText] = None
    time_format: Property[OptionalText] = None
    date_time_format: Property[OptionalText] = None
    time_zone_id: Any = None

    async def run(self, context: RunContext) -> Written:
        openpyxl = extra("openpyxl", "excel")
        known(self.charset)
        given = self.from_ if isinstance(self.from_, Mapping) else {self.sheets_title: self.from_}
        sources = {str(title): context.files.path(str(uri)) for title, uri in given.items()}
        target = own_file(context, "sheets", ".xlsx")

        def work() -> int:
            book = openpyxl.Workbook(write_only=True)
            written = sum(self._sheet(book.create_sheet(title[:MAX_TITLE]), path) for title, path in sources.items())
            book.save(target)
            return written

        try:
            size = await asyncio.to_thread(work)
        except (ValueError, RecursionError, openpyxl.utils.exceptions.IllegalCharacterError) as error:
            raise TaskFailed(f"The rows cannot stand in a spreadsheet: {error}.") from error
        context.metric("records", size)
        return Written(uri=await context.files.put(target, "sheets.xlsx"), size=size)

    def _sheet(self, sheet: Any, source: Path) -> int:
        count = 0
        for value in values_of(source, self.charset):
            if isinstance(value, dict):
                if not count and self.header:
                    sheet.append([_cell(sheet, name) for name in value])
                sheet.append([_cell(sheet, cell) for cell in value.values()])
            elif isinstance(value, list) and not self.header:
                sheet.append([_cell(sheet, cell) for cell in value])
            else:
                raise TaskFailed(
                    f"Row {count + 1} of {source.name} has no names, so there is no header to write.",
                    fix="Set `header: false`.",
                )
            count += 1
            if count >= MAX_ROWS:
                raise TaskFailed(f"A sheet holds no more than {MAX_ROWS} rows.", fix="Write CSV instead.")
        return count


class Read(Outputs):
    """A file of rows a sheet, and how many rows there are."""

    uris: dict[str, StoredUri]
    size: int


class ExcelToIon(RunnableTask):
    """Read the sheets of a spreadsheet into files of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sheets
type: io.kestra.plugin.serdes.excel.ExcelToIon
from: "{{ inputs.workbook }}"
sheetsTitle: [Orders]
""",
    )
    type: Literal["io.kestra.plugin.serdes.excel.ExcelToIon"]
    from_: Property[Text] = Field(alias="from")
    sheets_title: Property[TextList | None] = None
    header: Property[bool] = True
    skip_empty_rows: Property[bool] = False
    skip_rows: Property[int] = Field(default=0, ge=0)
    value_render: Property[Literal["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"]] = "UNFORMATTED_VALUE"
    date_time_render: Property[Literal["SERIAL_NUMBER", "FORMATTED_STRING", "UNFORMATTED_VALUE"]] = "UNFORMATTED_VALUE"
    charset: Property[Text] = "UTF-8"

    async def run(self, context: RunContext) -> Read:
        openpyxl = extra("openpyxl", "excel")
        source = context.files.path(self.from_)
        folder = context.working_dir / WORK
        folder.mkdir(parents=True, exist_ok=True)

        def work() -> tuple[dict[str, Path], int]:
            written: dict[str, Path] = {}
            total = 0
            with source.open("rb") as file:
                if sum(one.file_size for one in ZipFile(file).infolist()) > MAX_UNPACKED:
                    raise ValueError(f"it unpacks to more than {MAX_UNPACKED:,} bytes")
                book = openpyxl.load_workbook(file, read_only=True, data_only=self.value_render != "FORMULA")
                context.metric("sheets", len(book.sheetnames))
                for number, title in enumerate(book.sheetnames):
                    if self.sheets_title and title not in self.sheets_title:
                        continue
                    rows = self._rows(book[title])
                    written[title] = folder / f"sheet-{context.task_run_id}-{number}.jsonl"
                    written[title].write_text("".join(lines_of(rows)), "utf-8")
                    total += len(rows)
                book.close()
            return written, total

        try:
            files, size = await asyncio.to_thread(work)
        except (*BROKEN, openpyxl.utils.exceptions.InvalidFileException) as error:
            raise TaskFailed(
                f"{source.name} is not a spreadsheet (.xlsx): {error}.", fix="Save an older one as .xlsx first."
            ) from error
        uris = {title: await context.files.put(path, f"{title}.jsonl") for title, path in files.items()}
        return Read(uris=uris, size=size)

    def _rows(self, sheet: Any) -> list[Any]:
        found = [[self._value(cell) for cell in row] for row in sheet.iter_rows(values_only=True)][self.skip_rows :]
        while found and not any(cell is not None for cell in found[-1]):
            found.pop()  # rows that only once held something
        if self.skip_empty_rows:
            found = [row for row in found if any(cell not in (None, "") for cell in row)]
        if not self.header or not found:
            return found
        names = [str(name) if name is not None else "" for name in found[0]]
        return [dict(zip(names, row, strict=False)) for row in found[1:]]

    def _value(self, cell: Any) -> Any:
        if isinstance(cell, datetime) and self.date_time_render == "SERIAL_NUMBER":
            return extra("openpyxl", "excel").utils.datetime.to_excel(cell)
        return json_value(cell)


def _cell(sheet: Any, value: Any) -> Any:
    """A value as a cell. A text that begins with `=` stays text; one that begins with `Formula:` is a formula."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or not value.startswith(("=", FORMULA)):
        return value
    if value.startswith(FORMULA):
        return f"={value.removeprefix(FORMULA).strip().lstrip('=')}"
    cell = extra("openpyxl.cell", "excel").WriteOnlyCell(sheet, value=value)
    cell.data_type = "s"
    return cell
