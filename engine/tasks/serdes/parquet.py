"""`io.kestra.plugin.serdes.parquet`: columnar files, written and read by DuckDB."""

from pathlib import Path
from typing import ClassVar, Literal

from engine.plugin import Property, TaskFailed
from engine.tasks.conversion import ConversionTask, Warn
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText
from engine.tasks.rows import lines_of, values_of
from engine.tasks.serdes.avro import AvroFields, AvroSchema
from engine.tasks.sql_rows import row_of
from engine.tasks.sql_task import one_line

CODECS = {"UNCOMPRESSED": "uncompressed", "SNAPPY": "snappy", "GZIP": "gzip", "ZSTD": "zstd", "LZ4": "lz4"}
TYPES = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "bytes": "BLOB",
    "date": "DATE",
    "time-millis": "TIME",
    "time-micros": "TIME",
    "timestamp-millis": "TIMESTAMPTZ",
    "timestamp-micros": "TIMESTAMPTZ",
    "uuid": "UUID",
}


class IonToParquet(AvroFields, ConversionTask):
    """Write a file of rows as Parquet; the columns are those of `schema` (in Avro's form), else found in the rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: columns
type: io.kestra.plugin.serdes.parquet.IonToParquet
from: "{{ outputs.query.uri }}"
""",
    )
    suffix: ClassVar[str] = ".parquet"
    type: Literal["io.kestra.plugin.serdes.parquet.IonToParquet", "io.kestra.plugin.serdes.parquet.ParquetWriter"]
    compression_codec: Property[Literal["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4"]] = "GZIP"
    parquet_version: Property[OptionalText] = None
    version: Property[OptionalText] = None
    row_group_size: Property[int | None] = None
    page_size: Property[int | None] = None
    dictionary_page_size: Property[int | None] = None

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        duckdb = extra("duckdb", "duckdb")
        schema = self.parsed_schema()
        lines = target.with_suffix(".rows")
        count = 0
        with lines.open("w", encoding="utf-8") as file:
            for line in lines_of(self.shaped(values_of(source, self.charset), schema, warn)):
                file.write(line)
                count += 1
        columns = (
            f", columns = {_columns(schema)}" if schema else f", sample_size = {max(self.number_of_rows_to_scan, 1)}"
        )
        reading = f"read_json('{_quoted(lines)}', format = 'newline_delimited'{columns})"
        writing = f"'{_quoted(target)}' (FORMAT parquet, COMPRESSION {CODECS[self.compression_codec]})"
        try:
            with duckdb.connect(":memory:") as connection:
                connection.execute(f"COPY (SELECT * FROM {reading}) TO {writing}")  # noqa: S608 - our own file names
        except duckdb.Error as error:
            raise TaskFailed(f"The rows do not fit: {one_line(error)}") from error
        finally:
            lines.unlink(missing_ok=True)
        return count


class ParquetToIon(ConversionTask):
    """Read a Parquet file into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.parquet.ParquetToIon
from: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.serdes.parquet.ParquetToIon", "io.kestra.plugin.serdes.parquet.ParquetReader"]

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        duckdb = extra("duckdb", "duckdb")
        count = 0
        try:
            with duckdb.connect(":memory:") as connection, target.open("w", encoding="utf-8") as made:
                cursor = connection.execute(f"SELECT * FROM read_parquet('{_quoted(source)}')")  # noqa: S608
                names = [column[0] for column in cursor.description]
                while found := cursor.fetchmany(10_000):
                    for row in found:
                        made.writelines(lines_of([row_of(names, row, None)]))
                    count += len(found)
        except duckdb.Error as error:
            raise TaskFailed(f"{source.name} is no Parquet file: {one_line(error)}") from error
        return count


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _columns(schema: AvroSchema) -> str:
    """The columns of a record in DuckDB's words."""
    named = (f"'{name.replace(chr(39), chr(39) * 2)}': '{_type(kind)}'" for name, kind in schema.columns())
    return "{" + ", ".join(named) + "}"


def _type(kind: str) -> str:
    if kind.startswith("decimal("):
        return kind.upper()
    return TYPES.get(kind, "JSON")
