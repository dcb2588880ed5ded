"""What tasks over records share: where records come from and go, and what happens with one that does not fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import given_rows
from engine.tasks.fetched_rows import filed
from engine.tasks.property_types import Text
from engine.tasks.record_expressions import ABSENT, Compute, Unfit, cast, compiled, mean, number, order, total
from engine.tasks.rows import documents_of
from engine.tasks.sql_rows import json_value
from engine.tasks.threads import in_own_thread
from engine.tasks.working_files import STORAGE

T = TypeVar("T")
Record = dict[str, Any]


def upper(value: Any) -> Any:
    """A word as constants are written."""
    return value.strip().upper() if isinstance(value, str) else value


def _with_expr(value: Any) -> Any:
    return {"expr": value} if isinstance(value, str) else value


Kind = Literal["INT", "FLOAT", "DECIMAL", "STRING", "BOOLEAN", "BOOL", "TIMESTAMP", "LIST", "STRUCT"]
OnError = Annotated[Literal["FAIL", "SKIP", "NULL"], BeforeValidator(upper)]
OnErrorKeep = Annotated[Literal["FAIL", "SKIP", "KEEP"], BeforeValidator(upper)]


class Definition(Part):
    """An expression, and of which type its value is."""

    expr: Text
    type: Annotated[Kind | None, BeforeValidator(upper)] = None


class FieldDefinition(Definition):
    """A field made by an expression; one that is `optional` may point at nothing."""

    optional: bool = False


Aggregates = dict[str, Annotated[Definition, BeforeValidator(_with_expr, json_schema_input_type=Definition | str)]]
Fields = dict[
    str, Annotated[FieldDefinition, BeforeValidator(_with_expr, json_schema_input_type=FieldDefinition | str)]
]


class Transformed(Outputs):
    """The records, or the file that has one a line."""

    records: list[Any] | None = None
    uri: StoredUri | None = None


@dataclass
class Done:
    """What became of records."""

    found: list[Record] = field(default_factory=list)
    processed: int = 0
    failed: int = 0
    dropped: int = 0


class RecordsTask(RunnableTask):
    """Where the records go: `AUTO` is a file when they came out of one."""

    output_type: Property[Annotated[Literal["AUTO", "RECORDS", "STORE"], BeforeValidator(upper)]] = "AUTO"
    # Either way the file is text, which every task reads.
    output_format: Property[Annotated[Literal["TEXT", "BINARY"], BeforeValidator(upper)]] = "TEXT"

    async def given(self, context: RunContext, given: Any, name: str = "from") -> list[Record]:
        """The records that a task is given; TaskFailed."""
        if is_file(given):
            path = context.files.path(given.strip())
            rows = await in_own_thread(lambda: documents_of(path))
        else:
            rows = await given_rows.rows(context, given, name)
        found = [one for row in rows for one in (row if isinstance(row, list) else [row])]
        for count, one in enumerate(found, 1):
            if not isinstance(one, dict):
                raise TaskFailed(f"Record {count} of `{name}` is no map.", fix="Give a list of maps or a file of them.")
        return found

    async def handed_on(self, context: RunContext, found: list[Record], stored: bool) -> Transformed:
        """The records as the task hands them on."""
        rows = [json_value(one) for one in found]
        if self.output_type == "RECORDS" or (self.output_type == "AUTO" and not stored):
            return Transformed(records=rows)
        return Transformed(uri=await filed(context, rows, "records.jsonl"))


def is_file(given: Any) -> bool:
    """Whether what is given is the URI of a file."""
    return isinstance(given, str) and given.strip().startswith(STORAGE)


def each(
    rows: Sequence[T], make: Callable[[T], list[Record]], spare: Callable[[T], list[Record]], on_error: str
) -> Done:
    """What is made of each row; of one that nothing can be made of, `spare` unless it is skipped. TaskFailed."""
    done = Done()
    for row in rows:
        done.processed += 1
        try:
            done.found += make(row)
        except Unfit as error:
            done.failed += 1
            if on_error == "FAIL":
                raise failed(done.processed, error) from error
            if on_error == "SKIP":
                done.dropped += 1
            else:
                done.found += spare(row)
    return done


def failed(place: int, error: Unfit) -> TaskFailed:
    """What fails the task, for a record that nothing can be made of."""
    return TaskFailed(f"Record {place}: {error}.", fix="`onError: SKIP` leaves such records out.")


def without_nulls(record: Record) -> Record:
    """The fields that are not null."""
    return {name: value for name, value in record.items() if value is not None}


class Projection:
    """Fields by their expressions."""

    def __init__(self, fields: Fields) -> None:
        self.fields = [(name, compiled(one.expr), one) for name, one in fields.items()]

    def of(self, record: Record, *, tolerant: bool = False) -> Record:
        """The fields; those that can't be made raise Unfit, or are null."""
        found: Record = {}
        for name, compute, one in self.fields:
            try:
                value = compute(record)
                if value is ABSENT and not one.optional:
                    raise Unfit(f"there is nothing for `{name}`")
                value = None if value is ABSENT else value
                found[name] = value if one.type is None else cast(value, one.type)
            except Unfit as error:
                if not tolerant:
                    raise Unfit(f"`{name}`: {error}") from error
                found[name] = None
        return found


def count(context: RunContext, **counts: int) -> None:
    """Tell metrics."""
    for name, count in counts.items():
        context.metric(name, count)


def count_passed(context: RunContext, done: Done) -> None:
    """Tell how many records a condition let through."""
    passed = len(done.found)
    count(context, processed=done.processed, passed=passed, dropped=done.processed - passed, failed=done.failed)


@dataclass
class Tally:
    """One aggregate of one group, as records come."""

    work: str
    compute: Compute | None
    count: int = 0
    value: Any = None
    is_null: bool = False

    def add(self, record: Record) -> None:
        """Take a record in; Unfit."""
        value = self.compute(record) if self.compute is not None else record
        if self.is_null or value is None or value is ABSENT:
            return
        if self.work in ("sum", "avg"):
            self.value = total([self.value, number(value)])
        elif self.work in ("min", "max"):
            way = 0 if self.value is None else order(value, self.value)
            if self.value is None or way == (1 if self.work == "max" else -1):
                self.value = value
        elif self.work == "last" or (self.work == "first" and self.count == 0):
            self.value = value
        self.count += 1

    def result(self) -> Any:
        """What the records make."""
        if self.is_null:
            return None
        if self.work == "count":
            return self.count
        if self.work == "sum":
            return Decimal(0) if self.value is None else self.value
        return mean(self.value, self.count) if self.work == "avg" and self.count else self.value
