"""Loads of BigQuery: which files, into which table."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, TaskFailed
from engine.tasks.bigquery_queries import Destination
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text


class CsvOptions(Part):
    """How a CSV file is read."""

    allow_jagged_rows: Property[bool | None] = None
    allow_quoted_new_lines: Property[bool | None] = None
    encoding: Property[OptionalText] = None
    field_delimiter: Property[OptionalText] = None
    quote: Property[OptionalText] = None
    skip_leading_rows: Property[OptionalInteger] = None


class AvroOptions(Part):
    """How an Avro file is read."""

    use_avro_logical_types: Property[bool | None] = None


class Loaded(Outputs):
    """How many rows the table got."""

    jobId: str | None = None  # noqa: N815 - appears as written
    rows: int = 0
    destinationTable: str | None = None  # noqa: N815


class LoadFields(Destination):
    """What is read, and into which table."""

    needed_to_run: ClassVar[tuple[str, ...]] = ("destination_table", "format")
    destination_table: Property[Text] = ""
    format: Property[Literal["CSV", "JSON", "AVRO", "PARQUET", "ORC"] | None] = None
    autodetect: Property[bool | None] = None
    ignore_unknown_values: Property[bool | None] = None
    max_bad_records: Property[OptionalInteger] = None
    schema_: Property[JsonMap | None] = Field(default=None, alias="schema")
    csv_options: CsvOptions | None = None
    avro_options: AvroOptions | None = None

    def load(self) -> dict[str, Any]:
        """The load in Google's JSON."""
        if self.schema_ is not None and "fields" not in self.schema_:
            raise TaskFailed("`schema` has no `fields`.", fix="Write it as `fields: [{name: id, type: INT64}]`.")
        csv = self.csv_options or CsvOptions()
        given = {
            "sourceFormat": "NEWLINE_DELIMITED_JSON" if self.format == "JSON" else self.format,
            "autodetect": self.autodetect,
            "ignoreUnknownValues": self.ignore_unknown_values,
            "maxBadRecords": self.max_bad_records,
            "schema": self.schema_,
            "allowJaggedRows": csv.allow_jagged_rows,
            "allowQuotedNewlines": csv.allow_quoted_new_lines,
            "encoding": csv.encoding,
            "fieldDelimiter": csv.field_delimiter,
            "quote": csv.quote,
            "skipLeadingRows": csv.skip_leading_rows,
            "useAvroLogicalTypes": self.avro_options.use_avro_logical_types if self.avro_options else None,
            **self.written(self.destination_table),
        }
        return {name: value for name, value in given.items() if value is not None}

    def loaded(self, context: RunContext, job: dict[str, Any]) -> Loaded:
        """The outcome of a job that has ended."""
        statistics = (job.get("statistics") or {}).get("load") or {}
        for metric, name in (
            ("output.rows", "outputRows"),
            ("output.bytes", "outputBytes"),
            ("bad.records", "badRecords"),
            ("input.bytes", "inputFileBytes"),
            ("input.files", "inputFiles"),
        ):
            if name in statistics:
                context.metric(metric, float(statistics[name]))
        rows = int(statistics.get("outputRows", 0))
        return Loaded(jobId=job["jobReference"]["jobId"], rows=rows, destinationTable=self.destination_table)
