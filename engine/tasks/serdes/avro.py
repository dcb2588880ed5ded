"""`io.kestra.plugin.serdes.avro`: rows in a binary form, with their schema."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.dates import parse_date, parse_datetime
from engine.core.json_text import any_json
from engine.plugin import Part, Property, TaskFailed
from engine.tasks.conversion import ConversionTask, OnBadLines, Warn
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.rows import lines_of, values_of
from engine.tasks.sql_rows import json_value

TRUE = ("t", "true", "enabled", "1", "on", "yes")
FALSE = ("f", "false", "disabled", "0", "off", "no", "")
NOTHING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "1.#IND",
    "1.#QNAN",
    "NA",
    "n/a",
    "nan",
    "null",
)


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """A record, as its schema describes it."""

    document: dict[str, Any]

    def columns(self) -> Iterator[tuple[str, str]]:
        """Names and kinds of its fields; the kind is the logical type where there is one."""
        for field in self.document["fields"]:
            yield field["name"], _kind(field["type"])

    def is_optional(self, name: str) -> bool:
        """Whether a field may hold nothing."""
        found = next((field["type"] for field in self.document["fields"] if field["name"] == name), None)
        return isinstance(found, list) and "null" in found


class AvroFields(Part):
    """The schema, and how texts are read."""

    avro_schema: Property[OptionalText] = Field(default=None, alias="schema")
    number_of_rows_to_scan: Property[int] = 100
    true_values: Property[TextList] = Field(default_factory=lambda: list(TRUE))
    false_values: Property[TextList] = Field(default_factory=lambda: list(FALSE))
    null_values: Property[TextList] = Field(default_factory=lambda: list(NOTHING))
    date_format: Property[OptionalText] = None
    time_format: Property[OptionalText] = None
    datetime_format: Property[OptionalText] = None
    decimal_separator: Property[Text] = "."
    strict_schema: Property[bool] = False
    infer_all_fields: Property[bool] = False
    time_zone_id: Any = None
    on_bad_lines: Property[OnBadLines] = "ERROR"

    def parsed_schema(self) -> AvroSchema | None:
        """The schema, None when none is given; TaskFailed says what it lacks."""
        if not (self.avro_schema or "").strip():
            return None
        try:
            found = any_json(self.avro_schema or "")
        except ValueError as error:
            raise TaskFailed(f"`schema` is not JSON: {error}.") from error
        if not isinstance(found, dict) or found.get("type") != "record" or not isinstance(found.get("fields"), list):
            raise TaskFailed("`schema` is not an Avro record.", fix='Write {"type": "record", "fields": […]}.')
        for number, field in enumerate(found["fields"], 1):
            if not isinstance(field, dict) or not {"name", "type"} <= field.keys():
                raise TaskFailed(f"Field {number} of `schema` has no name or no type.")
        return AvroSchema(found)

    def shaped(self, rows: Iterable[Any], schema: AvroSchema | None, warn: Warn) -> Iterator[Any]:
        """The rows with their texts as the schema wants them; those that do not fit are refused or left out."""
        for number, row in enumerate(rows, 1):
            if schema is None:
                yield row
                continue
            try:
                yield self._shaped(row, schema)
            except (ValueError, TypeError) as error:
                if self.on_bad_lines == "ERROR":
                    raise TaskFailed(f"Row {number} does not fit the schema: {error}.") from error
                if self.on_bad_lines == "WARN":
                    warn(f"Row {number} does not fit the schema and is left out: {error}.")

    def _shaped(self, row: Any, schema: AvroSchema) -> dict[str, Any]:
        kinds = dict(schema.columns())
        if isinstance(row, list):
            row = dict(zip(kinds, row, strict=False))
        if not isinstance(row, dict):
            raise TypeError("it is neither a map nor a list")
        if self.strict_schema and (unknown := row.keys() - kinds.keys()):
            raise ValueError(f"the schema has no field {sorted(unknown)[0]!r}")
        return {name: self._field(row.get(name), kind, name, schema) for name, kind in kinds.items()}

    def _field(self, value: Any, kind: str, name: str, schema: AvroSchema) -> Any:
        if isinstance(value, str) and schema.is_optional(name) and value in self.null_values and kind != "string":
            value = None
        if value is None:
            if schema.is_optional(name) or kind == "null":
                return None
            raise ValueError(f"{name!r} holds nothing")
        if not isinstance(value, str):
            return value
        if kind == "boolean":
            return self._boolean(value, name)
        if kind in ("int", "long"):
            return int(value)
        if kind in ("float", "double"):
            return float(value.replace(self.decimal_separator, "."))
        return value

    def _boolean(self, value: str, name: str) -> bool:
        if value.lower() in self.true_values:
            return True
        if value.lower() in self.false_values:
            return False
        raise ValueError(f"{name!r} holds {value!r}, which is neither true nor false")


class IonToAvro(AvroFields, ConversionTask):
    """Write a file of rows as Avro; without `schema` it is found in the rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: packed
type: io.kestra.plugin.serdes.avro.IonToAvro
from: "{{ outputs.query.uri }}"
schema: |
  {"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "customer", "type": ["null", "string"]}]}
""",
    )
    suffix: ClassVar[str] = ".avro"
    type: Literal["io.kestra.plugin.serdes.avro.IonToAvro", "io.kestra.plugin.serdes.avro.AvroWriter"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        fastavro = extra("fastavro", "avro")
        schema = self.parsed_schema() or inferred(values_of(source, self.charset), self.number_of_rows_to_scan)
        kinds = dict(schema.columns())
        count = 0

        def records() -> Iterator[dict[str, Any]]:
            nonlocal count
            for row in self.shaped(values_of(source, self.charset), schema, warn):
                yield {name: _avro_value(value, kinds[name]) for name, value in row.items()}
                count += 1

        try:
            with target.open("wb") as made:
                fastavro.writer(made, fastavro.parse_schema(schema.document), records(), codec="deflate")
        except (ValueError, TypeError, AttributeError, fastavro.schema.SchemaParseException) as error:
            raise TaskFailed(f"Row {count + 1} does not fit the schema: {error}.") from error
        return count


class AvroToIon(ConversionTask):
    """Read an Avro file into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.avro.AvroToIon
from: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.serdes.avro.AvroToIon", "io.kestra.plugin.serdes.avro.AvroReader"]
    on_bad_lines: Property[OnBadLines] = "ERROR"

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        fastavro = extra("fastavro", "avro")
        count = 0
        try:
            with source.open("rb") as file, target.open("w", encoding="utf-8") as made:
                for line in lines_of(json_value(row) for row in fastavro.reader(file)):
                    made.write(line)
                    count += 1
        except (ValueError, EOFError, LookupError, TypeError, OverflowError) as error:
            raise TaskFailed(f"{source.name} is no Avro file: {error}.") from error
        return count


class InferAvroSchemaFromIon(ConversionTask):
    """Find the Avro schema of a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: schema
type: io.kestra.plugin.serdes.avro.InferAvroSchemaFromIon
from: "{{ outputs.query.uri }}"
""",
    )
    suffix: ClassVar[str] = ".avsc"
    type: Literal["io.kestra.plugin.serdes.avro.InferAvroSchemaFromIon"]
    number_of_rows_to_scan: Property[int] = 100

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        schema = inferred(values_of(source, self.charset), self.number_of_rows_to_scan)
        target.write_text(json.dumps(schema.document, indent=2), "utf-8")
        return 1


def inferred(rows: Iterable[Any], most: int) -> AvroSchema:
    """The schema of the first rows: every field may hold nothing; numbers are long or double."""
    kinds: dict[str, set[str]] = {}
    for number, row in enumerate(rows):
        if number >= max(most, 1):
            break
        if not isinstance(row, dict):
            raise TaskFailed("The rows have no names, so no schema can be found.", fix="Give `schema`.")
        for name, value in row.items():
            kinds.setdefault(str(name), set()).add(_kind_of(value))
    fields = [
        {"name": name, "type": ["null", _widest(found - {"null"})], "default": None} for name, found in kinds.items()
    ]
    return AvroSchema({"type": "record", "name": "Row", "fields": fields})


def _kind(declared: Any) -> str:
    if isinstance(declared, list):
        kept = [one for one in declared if one != "null"]
        return _kind(kept[0]) if kept else "null"
    if isinstance(declared, dict):
        if declared.get("logicalType") == "decimal":
            return f"decimal({declared.get('precision', 18)},{declared.get('scale', 0)})"
        return str(declared.get("logicalType") or declared.get("type"))
    return str(declared)


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "long"
    return "double" if isinstance(value, float) else "string"


def _widest(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "double" if kinds == {"long", "double"} else "string"


def _avro_value(value: Any, kind: str) -> Any:
    """A value as the library takes it."""
    if value is None:
        return None
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if kind == "date":
        return parse_date(str(value))
    if kind.startswith("timestamp"):
        moment = parse_datetime(str(value), zoned=False)
        return moment if isinstance(moment, datetime) and moment.tzinfo else moment.replace(tzinfo=UTC)
    if kind.startswith("decimal("):
        return Decimal(str(value))
    return value
