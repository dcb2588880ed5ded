"""`io.kestra.plugin.serdes.json`: JSON, one value a line or one document."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from engine.core.json_text import any_json, where
from engine.plugin import Property, TaskFailed
from engine.tasks.conversion import ConversionTask, Warn
from engine.tasks.extras import extra
from engine.tasks.rows import lines_of, values_of


class JsonToIon(ConversionTask):
    """Read JSON (one value a line, or one array) into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.json.JsonToIon
from: "{{ outputs.download.uri }}"
newLine: false
""",
    )
    type: Literal["io.kestra.plugin.serdes.json.JsonToIon", "io.kestra.plugin.serdes.json.JsonReader"]
    new_line: Property[bool] = True

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        count = 0
        with target.open("w", encoding="utf-8") as made:
            for line in lines_of(values_of(source, self.charset) if self.new_line else self._document(source)):
                made.write(line)
                count += 1
        return count

    def _document(self, source: Path) -> list[Any]:
        text = source.read_text(self.charset)
        try:
            found = any_json(text)
        except ValueError as error:
            raise TaskFailed(
                f"{source.name} is not JSON: {where(error)}.",
                fix="Leave out `newLine: false` when it holds one value a line.",
            ) from error
        return found if isinstance(found, list) else [found]


class IonToJson(ConversionTask):
    """Write a file of rows as JSON: one value a line, or one array."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: document
type: io.kestra.plugin.serdes.json.IonToJson
from: "{{ outputs.query.uri }}"
newLine: false
""",
    )
    suffix: ClassVar[str] = ".json"
    type: Literal["io.kestra.plugin.serdes.json.IonToJson", "io.kestra.plugin.serdes.json.JsonWriter"]
    new_line: Property[bool] = True
    should_keep_annotations: Any = None
    time_zone_id: Any = None

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        count = 0
        with target.open("w", encoding=self.charset) as made:
            made.write("" if self.new_line else "[")
            for line in lines_of(values_of(source)):
                made.write(line if self.new_line else (", " if count else "") + line.rstrip("\n"))
                count += 1
            made.write("" if self.new_line else "]")
        return count


class JsonToJsonl(ConversionTask):
    """Write a JSON array as JSON with one value a line."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: lines
type: io.kestra.plugin.serdes.json.JsonToJsonl
from: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.serdes.json.JsonToJsonl"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        count = 0
        with target.open("w", encoding=self.charset) as made:
            for line in lines_of(values_of(source, self.charset)):
                made.write(line)
                count += 1
        return count


class JsonToToon(ConversionTask):
    """Write a JSON document as TOON, which takes a language model fewer tokens to read."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: short
type: io.kestra.plugin.serdes.json.JsonToToon
from: "{{ outputs.download.uri }}"
""",
    )
    suffix: ClassVar[str] = ".toon"
    type: Literal["io.kestra.plugin.serdes.json.JsonToToon"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        toon = extra("toon_format", "toon")
        given = source.read_text(self.charset)
        try:
            found = any_json(given)
        except ValueError as error:
            raise TaskFailed(
                f"{source.name} is not JSON: {where(error)}.",
                fix="Make one document of rows with `IonToJson` and `newLine: false`.",
            ) from error
        try:
            text = toon.encode(found)
        except ValueError as error:
            raise TaskFailed(f"{source.name} can't be written as TOON: {error}.") from error
        target.write_text(text, self.charset)
        return len(found) if isinstance(found, list) else 1


class ToonToJson(ConversionTask):
    """Write a document in TOON as JSON; small faults, as models make them, are passed over with a warning."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.json.ToonToJson
from: "{{ outputs.answer.uri }}"
""",
    )
    suffix: ClassVar[str] = ".json"
    type: Literal["io.kestra.plugin.serdes.json.ToonToJson"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        toon = extra("toon_format", "toon")
        text = source.read_text(self.charset)
        try:
            found = toon.decode(text)
        except toon.ToonDecodeError as refused:
            try:
                found = toon.decode(text, strict=False)
            except toon.ToonDecodeError as error:
                raise TaskFailed(f"{source.name} is not TOON: {error}.", fix="Check what wrote it.") from error
            warn(f"{source.name} is not quite TOON: {refused}.")
        target.write_text(json.dumps(found, ensure_ascii=False, indent=2), self.charset)
        return len(found) if isinstance(found, list) else 1
