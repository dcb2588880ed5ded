"""`io.kestra.plugin.core.storage`: files in internal storage."""

import asyncio
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from engine.errors import ExpressionFailed, NotFound
from engine.plugin import LateProperty, Outputs, Property, RunContext, RunnableTask, Selection, StoredUri, TaskFailed
from engine.tasks.core.execution import records_of
from engine.tasks.property_types import (
    JsonMap,
    Moment,
    OptionalInteger,
    OptionalMoment,
    OptionalText,
    Text,
    TextList,
    is_true,
)
from engine.tasks.rows import by_pattern, row_variables, rows_of
from engine.tasks.sizes import parse_bytes
from engine.tasks.working_files import collect, place


class File(Outputs):
    """The file that was written."""

    uri: StoredUri


class Write(RunnableTask):
    """Write a text as a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.core.storage.Write
content: "{{ outputs.fetch.body }}"
extension: .json
""",
    )
    type: Literal["io.kestra.plugin.core.storage.Write"]
    content: Property[Text]
    extension: Property[OptionalText] = None

    async def run(self, context: RunContext) -> File:
        extension = self.extension or ""
        name = f"content{extension if extension.startswith('.') or not extension else '.' + extension}"
        return File(uri=await context.files.put(self.content.encode(), name))


class Concat(RunnableTask):
    """Join files into one; the separator follows every one of them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.core.storage.Concat
files: ["{{ outputs.first.uri }}", "{{ outputs.second.uri }}"]
separator: "\\n"
""",
    )
    type: Literal["io.kestra.plugin.core.storage.Concat", "io.kestra.core.tasks.storages.Concat"]
    files: Property[TextList]
    separator: Property[OptionalText] = None
    extension: Property[Text] = ".tmp"

    async def run(self, context: RunContext) -> File:
        separator = (self.separator or "").encode()
        joined = context.working_dir / f".concat{self.extension}"

        def join(sources: list[Path]) -> None:
            with joined.open("wb") as target:
                for source in sources:
                    with source.open("rb") as part:
                        while block := part.read(1 << 20):
                            target.write(block)
                    target.write(separator)

        await asyncio.to_thread(join, [context.files.path(uri) for uri in self.files])
        return File(uri=await context.files.put(joined, f"concat{self.extension}"))


class Measured(Outputs):
    """Bytes."""

    size: int


class Size(RunnableTask):
    """Tell how many bytes a file has."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: size
type: io.kestra.plugin.core.storage.Size
uri: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.core.storage.Size", "io.kestra.core.tasks.storages.Size"]
    uri: Property[Text]

    async def run(self, context: RunContext) -> Measured:
        return Measured(size=context.files.path(self.uri).stat().st_size)


class Removed(Outputs):
    """Whether there was a file."""

    uri: str
    deleted: bool


class Delete(RunnableTask):
    """Delete a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.storage.Delete
uri: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.core.storage.Delete", "io.kestra.core.tasks.storages.Delete"]
    uri: Property[Text]
    error_on_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Removed:
        try:
            await context.files.delete(self.uri)
        except (NotFound, FileNotFoundError) as error:
            if self.error_on_missing:
                raise TaskFailed(
                    f"There is no file {self.uri}.", fix="Drop `errorOnMissing` if that is fine."
                ) from error
            return Removed(uri=self.uri, deleted=False)
        return Removed(uri=self.uri, deleted=True)


class Uris(Outputs):
    """The files, in order."""

    uris: list[StoredUri]


class Split(RunnableTask):
    """Cut a file of rows into several, by bytes, rows or number of parts."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: parts
type: io.kestra.plugin.core.storage.Split
from: "{{ outputs.download.uri }}"
rows: 1000
""",
    )
    type: Literal["io.kestra.plugin.core.storage.Split", "io.kestra.core.tasks.storages.Split"]
    from_: Property[Text] = Field(alias="from")
    size: Property[OptionalText] = Field(default=None, alias="bytes")
    partitions: Property[OptionalInteger] = None
    rows: Property[OptionalInteger] = None
    separator: Property[Text] = "\n"
    regex_pattern: Property[OptionalText] = Field(
        default=None, description="Rows for which the pattern's first group is the same text make a file."
    )

    async def run(self, context: RunContext) -> Uris:
        if not (self.size or self.partitions or self.rows or self.regex_pattern):
            raise TaskFailed(
                "Split needs to know where to cut.", fix="Give `bytes`, `partitions`, `rows` or `regexPattern`."
            )
        source = context.files.path(self.from_)
        pieces = await asyncio.to_thread(self._cut, source)
        suffix = source.suffix or ".txt"
        return Uris(uris=[await context.files.put(piece, f"part-{n}{suffix}") for n, piece in enumerate(pieces, 1)])

    def _cut(self, source: Path) -> list[bytes]:
        rows = rows_of(source.read_text("utf-8"), self.separator)
        if self.regex_pattern:
            groups = by_pattern(rows, self.regex_pattern)
        elif self.size:
            groups, filled, limit = [[]], 0, parse_bytes(self.size)
            for row in rows:
                length = len(row.encode()) + len(self.separator)
                if groups[-1] and filled + length > limit:
                    groups.append([])
                    filled = 0
                groups[-1].append(row)
                filled += length
        elif self.partitions:
            groups = [group for n in range(self.partitions) if (group := rows[n :: self.partitions])]
        else:
            step = self.rows or len(rows) or 1
            groups = [rows[at : at + step] for at in range(0, len(rows), step)]
        return ["".join(row + self.separator for row in group).encode() for group in groups if group]


class Reverse(RunnableTask):
    """Write a file's rows last first."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: newest_first
type: io.kestra.plugin.core.storage.Reverse
from: "{{ outputs.download.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.core.storage.Reverse", "io.kestra.core.tasks.storages.Reverse"]
    from_: Property[Text] = Field(alias="from")
    separator: Property[Text] = "\n"
    charset: Property[Text] = "UTF-8"

    async def run(self, context: RunContext) -> File:
        source = context.files.path(self.from_)
        rows = rows_of(await asyncio.to_thread(source.read_text, self.charset), self.separator)
        text = "".join(row + self.separator for row in reversed(rows))
        return File(uri=await context.files.put(text.encode(self.charset), source.name))


class Filtered(Outputs):
    """The rows that stayed, and the counts."""

    uri: StoredUri
    processedItemsTotal: int  # noqa: N815 - appears as written
    droppedItemsTotal: int  # noqa: N815


class DeduplicateItems(RunnableTask):
    """Keep, of all rows for which `expr` gives the same text, the last."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: unique
type: io.kestra.plugin.core.storage.DeduplicateItems
from: "{{ outputs.download.uri }}"
expr: "{{ key }}"
""",
    )
    type: Literal["io.kestra.plugin.core.storage.DeduplicateItems", "io.kestra.core.tasks.storages.DeduplicateItems"]
    from_: Property[Text] = Field(alias="from")
    expr: LateProperty[str]

    async def run(self, context: RunContext) -> dict[str, object]:
        source = context.files.path(self.from_)
        rows = rows_of(await asyncio.to_thread(source.read_text, "utf-8"), "\n")
        kept: dict[str, str] = {}
        for row in rows:
            key = await context.render(self.expr, **row_variables(row))
            kept.pop(key, None)
            kept[key] = row
        uri = await context.files.put("".join(row + "\n" for row in kept.values()).encode(), source.name)
        return {
            "uri": uri,
            "numKeys": len(kept),
            "processedItemsTotal": len(rows),
            "droppedItemsTotal": len(rows) - len(kept),
        }


class FilterItems(RunnableTask):
    """Keep or drop the rows for which a condition holds."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: large
type: io.kestra.plugin.core.storage.FilterItems
from: "{{ outputs.download.uri }}"
filterCondition: "{{ amount > 100 }}"
""",
    )
    type: Literal["io.kestra.plugin.core.storage.FilterItems", "io.kestra.core.tasks.storages.FilterItems"]
    from_: Property[Text] = Field(alias="from")
    filter_condition: LateProperty[str]
    filter_type: Property[Literal["INCLUDE", "EXCLUDE"]] = "INCLUDE"
    error_or_null_behavior: Property[Literal["FAIL", "INCLUDE", "EXCLUDE"]] = "FAIL"

    async def run(self, context: RunContext) -> Filtered:
        source = context.files.path(self.from_)
        rows = rows_of(await asyncio.to_thread(source.read_text, "utf-8"), "\n")
        kept = [row for row in rows if await self._keeps(row, context)]
        uri = await context.files.put("".join(row + "\n" for row in kept).encode(), source.name)
        return Filtered(uri=uri, processedItemsTotal=len(rows), droppedItemsTotal=len(rows) - len(kept))

    async def _keeps(self, row: str, context: RunContext) -> bool:
        try:
            text = await context.render(self.filter_condition, **row_variables(row))
        except ExpressionFailed as error:
            if self.error_or_null_behavior == "FAIL":
                raise TaskFailed(
                    f"The condition failed for the row {row[:200]!r}: {error.message}", fix=error.fix
                ) from error
            text = ""
        if text.strip() in ("", "null"):
            if self.error_or_null_behavior == "FAIL":
                raise TaskFailed(
                    f"The condition gave nothing for the row {row[:200]!r}.", fix="Set `errorOrNullBehavior`."
                )
            return self.error_or_null_behavior == "INCLUDE"
        return is_true(text) == (self.filter_type == "INCLUDE")


class PurgeCurrentExecutionFiles(RunnableTask):
    """Delete every file of this execution, whichever task stored it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget_files
type: io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles
""",
    )
    type: Literal[
        "io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles",
        "io.kestra.plugin.core.storage.PurgeExecution",
        "io.kestra.plugin.core.storage.PurgeInternalStorage",
        "io.kestra.core.tasks.storages.PurgeExecution",
    ]

    async def run(self, context: RunContext) -> Uris:
        return Uris(uris=await context.files.purge_execution())


class PurgedStorage(Outputs):
    """Executions looked at, those with files that are meant, and files deleted."""

    scannedCount: int  # noqa: N815 - appears as written
    purgedCount: int  # noqa: N815
    deletedFilesCount: int  # noqa: N815


class PurgeStorage(RunnableTask):
    """Delete files of executions by the date they were written, also of flows that are gone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.storage.PurgeStorage
namespace: company.team
endDate: "{{ now() | dateAdd(-7, 'DAYS') }}"
dryRun: false
""",
    )
    type: Literal["io.kestra.plugin.core.storage.PurgeStorage"]
    namespace: Property[OptionalText] = Field(
        default=None, description="With its child namespaces; none: all namespaces."
    )
    flow_id: Property[OptionalText] = None
    start_date: Property[OptionalMoment] = None
    end_date: Property[Moment] = Field(
        description="Files written later are kept, and those of other executions under way."
    )
    dry_run: Property[bool] = Field(default=True, description="True: only count what would go.")

    async def run(self, context: RunContext) -> PurgedStorage:
        if self.flow_id and not self.namespace:
            raise TaskFailed("'namespace' is required when 'flowId' is set.", fix="Give `namespace` too.")
        chosen = Selection(self.namespace, self.flow_id, since=self.start_date, until=self.end_date, below=True)
        scanned, matched, deleted = await records_of(context).purge_files(
            chosen, asking=context.execution_id, dry=self.dry_run
        )
        for name, number in (("scanned", scanned), ("purged", matched), ("deleted.files", deleted)):
            context.metric(name, number)
        said = "would be purged (`dryRun`)" if self.dry_run else f"purged, {deleted} files"
        context.log(f"{matched} of {scanned} executions {said}.")
        return PurgedStorage(scannedCount=scanned, purgedCount=matched, deletedFilesCount=deleted)


class LocalFiles(RunnableTask):
    """Put files into the working directory, and store files from it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: files
type: io.kestra.plugin.core.storage.LocalFiles
inputs:
  greeting.txt: "Hello, {{ inputs.name }}"
outputs: ["*.txt"]
""",
    )
    type: Literal["io.kestra.plugin.core.storage.LocalFiles", "io.kestra.core.tasks.storages.LocalFiles"]
    inputs: Property[JsonMap | None] = None
    outputs: Property[TextList | None] = None

    async def run(self, context: RunContext) -> dict[str, object]:
        await place(context, self.inputs or {})
        return {"uris": await collect(context, self.outputs or [])}
