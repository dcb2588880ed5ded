"""What a table of BigQuery is to be: its columns, its parts, or the query behind it."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from engine.plugin import Part, Property, TaskFailed
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.rest_service import present


class Encryption(Part):
    """With which key of Google's key service data is encrypted."""

    kms_key_name: OptionalText = None

    def told(self) -> dict[str, str] | None:
        """The same in Google's JSON; None without a key."""
        return {"kmsKeyName": self.kms_key_name} if self.kms_key_name else None


class PolicyTags(Part):
    """Who may see a column."""

    names: Property[TextList] = Field(default_factory=list)


class Column(Part):
    """A column, or a part of one."""

    name: Property[Text]
    type: Property[Text]
    mode: Property[Literal["NULLABLE", "REQUIRED", "REPEATED"] | None] = None
    description: Property[OptionalText] = None
    sub_fields: Property[list["Column"] | None] = None
    policy_tags: PolicyTags | None = None

    def told(self) -> dict[str, Any]:
        """The column in Google's JSON."""
        return present(
            name=self.name,
            type={"STRUCT": "RECORD"}.get(self.type, self.type),
            mode=self.mode,
            description=self.description,
            fields=[one.told() for one in self.sub_fields] if self.sub_fields else None,
            policyTags={"names": self.policy_tags.names} if self.policy_tags else None,
        )


class TableSchema(Part):
    """The columns."""

    fields_: Property[list[Column]] = Field(default_factory=list, alias="fields")


class TimePartitioning(Part):
    """Parts of a table by time."""

    type: Property[Literal["HOUR", "DAY", "MONTH", "YEAR"]] = "DAY"
    expiration: Property[timedelta | None] = None
    field: Property[OptionalText] = Field(default=None, description="Without it, by when rows came.")
    require_partition_filter: Property[bool | None] = None


class Range(Part):
    """From where to where, and how wide a part is."""

    start: Property[int]
    end: Property[int]
    interval: Property[int]


class RangePartitioning(Part):
    """Parts of a table by a number."""

    field: Property[Text]
    range: Range


class StandardTable(Part):
    """How a table is kept."""

    clustering: Property[TextList | None] = None
    time_partitioning: TimePartitioning | None = None
    range_partitioning: RangePartitioning | None = None
    streaming_buffer: Any = None

    def told(self) -> dict[str, Any]:
        """It in Google's JSON."""
        time, numbers = self.time_partitioning, self.range_partitioning
        return present(
            clustering={"fields": self.clustering} if self.clustering else None,
            timePartitioning=present(
                type=time.type,
                field=time.field,
                expirationMs=milliseconds(time.expiration),
                requirePartitionFilter=time.require_partition_filter,
            )
            if time
            else None,
            rangePartitioning={
                "field": numbers.field,
                "range": {name: str(value) for name, value in numbers.range.model_dump().items()},
            }
            if numbers
            else None,
        )


class View(Part):
    """A query by a name."""

    query: Property[Text]
    view_user_defined_functions: Any = None


class MaterializedView(Part):
    """A query whose rows are kept."""

    query: Property[Text]
    enable_refresh: Property[bool | None] = None
    refresh_interval: Property[timedelta | None] = None
    last_refresh_date: Any = None


class ExternalTable(Part):
    """Rows that lie elsewhere."""

    source_uris: Property[TextList]
    format_type: Property[
        Literal["CSV", "JSON", "BIGTABLE", "DATASTORE_BACKUP", "AVRO", "GOOGLE_SHEETS", "PARQUET", "ORC"]
    ]
    autodetect: Property[bool | None] = None
    compression: Property[OptionalText] = None
    max_bad_records: Property[OptionalInteger] = None
    ignore_unknown_values: Property[bool | None] = None

    def told(self) -> dict[str, Any]:
        """It in Google's JSON."""
        return present(
            sourceUris=self.source_uris,
            sourceFormat={"JSON": "NEWLINE_DELIMITED_JSON"}.get(self.format_type, self.format_type),
            autodetect=self.autodetect,
            compression=self.compression,
            maxBadRecords=self.max_bad_records,
            ignoreUnknownValues=self.ignore_unknown_values,
        )


class TableDefinition(Part):
    """What kind of table it is."""

    type: Property[Literal["TABLE", "VIEW", "MATERIALIZED_VIEW", "EXTERNAL"]] = "TABLE"
    schema_: TableSchema | None = Field(default=None, alias="schema")
    standard_table_definition: StandardTable | None = None
    view_definition: View | None = None
    materialized_view_definition: MaterializedView | None = None
    external_table_definition: ExternalTable | None = None

    def told(self) -> dict[str, Any]:
        """The table in Google's JSON; TaskFailed when what its type needs is missing."""
        schema = {"fields": [one.told() for one in self.schema_.fields_]} if self.schema_ else None
        match self.type:
            case "TABLE":
                standard = self.standard_table_definition
                return present(schema=schema, **(standard.told() if standard else {}))
            case "EXTERNAL" if self.external_table_definition:
                return present(schema=schema, externalDataConfiguration=self.external_table_definition.told())
            case "VIEW" if self.view_definition:
                return {"view": {"query": self.view_definition.query, "useLegacySql": False}}
            case "MATERIALIZED_VIEW" if self.materialized_view_definition:
                kept = self.materialized_view_definition
                every = milliseconds(kept.refresh_interval)
                return {
                    "materializedView": present(
                        query=kept.query, enableRefresh=kept.enable_refresh, refreshIntervalMs=every
                    )
                }
        name = {"EXTERNAL": "externalTableDefinition", "VIEW": "viewDefinition"}
        missing = name.get(self.type, "materializedViewDefinition")
        raise TaskFailed(f"`tableDefinition` of the type {self.type} has no `{missing}`.", fix=f"Give `{missing}`.")


def milliseconds(length: timedelta | None) -> str | None:
    """A length of time as Google writes it."""
    return str(round(length.total_seconds() * 1000)) if length is not None else None
