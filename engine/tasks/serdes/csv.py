"""`io.kestra.plugin.serdes.csv`: tables as text."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from engine.plugin import Property, TaskFailed
from engine.tasks.conversion import ConversionTask, OnBadLines, TextWriterTask, Warn
from engine.tasks.property_types import OptionalInteger, Text, scalar_to_text
from engine.tasks.rows import lines_of, values_of

NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+|[-+]?[0-9]+\.")
MISSING = r"\N"  # how databases write that there is no value


class CsvToIon(ConversionTask):
    """Read a CSV file into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.csv.CsvToIon
from: "{{ outputs.download.uri }}"
fieldSeparator: ";"
""",
    )
    type: Literal["io.kestra.plugin.serdes.csv.CsvToIon", "io.kestra.plugin.serdes.csv.CsvReader"]
    header: Property[bool] = True
    field_separator: Property[Text] = ","
    text_delimiter: Property[Text] = '"'
    skip_empty_rows: Property[bool] = False
    skip_rows: Property[OptionalInteger] = 0
    on_bad_lines: Property[OnBadLines] = "ERROR"
    error_on_different_field_count: Property[bool | None] = None
    on_empty_header: Any = None
    max_buffer_size: Any = None
    max_field_size: Property[OptionalInteger] = 16 * 1024 * 1024
    allow_extra_chars_after_closing_quote: Any = None

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        csv.field_size_limit(min(max(self.max_field_size or 0, csv.field_size_limit()), 2**31 - 1))
        count = 0
        with (
            source.open(encoding=_charset(self.charset), newline="") as given,
            target.open("w", encoding="utf-8") as made,
        ):
            reader = csv.reader(given, delimiter=_one(self.field_separator), quotechar=_one(self.text_delimiter))
            for row in self._rows(reader, warn):
                made.writelines(lines_of([row]))
                count += 1
        return count

    def _rows(self, reader: Any, warn: Warn) -> Iterator[Any]:
        names: list[str] | None = None
        skipped = 0
        for cells in self._lines(reader, warn):
            if self.header and names is None:
                names = cells
                continue
            if skipped < (self.skip_rows or 0):
                skipped += 1
                continue
            if not cells and self.skip_empty_rows:
                continue
            cells = cells or [""]
            if names is not None and len(cells) != len(names):
                self._bad(f"Line {reader.line_num} has {len(cells)} fields, the header {len(names)}.", warn)
                continue
            values = [None if cell == MISSING else cell for cell in cells]
            yield values if names is None else dict(zip(names, values, strict=True))

    def _lines(self, reader: Any, warn: Warn) -> Iterator[list[str]]:
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._bad(f"Line {reader.line_num} is no CSV: {error}.", warn)

    def _bad(self, said: str, warn: Warn) -> None:
        if self.on_bad_lines == "ERROR":
            raise TaskFailed(said, fix="Correct the file, or set `onBadLines: WARN`.")
        if self.on_bad_lines == "WARN":
            warn(f"{said} It is left out.")


class IonToCsv(TextWriterTask):
    """Write a file of rows as CSV."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: table
type: io.kestra.plugin.serdes.csv.IonToCsv
from: "{{ outputs.query.uri }}"
""",
    )
    suffix: ClassVar[str] = ".csv"
    type: Literal["io.kestra.plugin.serdes.csv.IonToCsv", "io.kestra.plugin.serdes.csv.CsvWriter"]
    header: Property[bool] = True
    field_separator: Property[Text] = ","
    text_delimiter: Property[Text] = '"'
    line_delimiter: Property[Text] = "\n"
    always_delimit_text: Property[bool] = False
    quote_mode: Property[Literal["ALWAYS", "REQUIRED", "NON_NUMERIC"] | None] = None

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        count = 0
        with target.open("w", encoding=self.charset, newline="") as made:
            for value in values_of(source):
                if isinstance(value, dict):
                    if not count and self.header:
                        made.write(self._line([str(name) for name in value]))
                    made.write(self._line([_text(cell) for cell in value.values()]))
                elif isinstance(value, list) and not self.header:
                    made.write(self._line([_text(cell) for cell in value]))
                else:
                    raise TaskFailed(
                        f"Row {count + 1} of {source.name} has no names, so there is no header to write.",
                        fix="Set `header: false`." if isinstance(value, list) else "Rows are maps or lists.",
                    )
                count += 1
        return count

    def _line(self, cells: list[str | None]) -> str:
        return self.field_separator.join(map(self._cell, cells)) + self.line_delimiter

    def _cell(self, cell: str | None) -> str:
        mark = self.text_delimiter
        if cell is None:
            return mark * 2 if self._mode == "ALWAYS" else ""
        special = any(part and part in cell for part in (self.field_separator, mark, "\n", "\r", self.line_delimiter))
        edges = cell == "" or cell[0].isspace() or cell[-1].isspace()
        wanted = self._mode == "ALWAYS" or (self._mode == "NON_NUMERIC" and not NUMBER.fullmatch(cell))
        return f"{mark}{cell.replace(mark, mark * 2)}{mark}" if special or edges or wanted else cell

    @property
    def _mode(self) -> str:
        return self.quote_mode or ("ALWAYS" if self.always_delimit_text else "REQUIRED")


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    text = scalar_to_text(cell)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def _charset(name: str) -> str:
    return "utf-8-sig" if name.upper().replace("-", "") == "UTF8" else name  # a mark at the start is no data


def _one(character: str) -> str:
    if len(character) != 1:
        raise TaskFailed(f"{character!r} is not one character.", fix="Give a single one, such as `;`.")
    return character
