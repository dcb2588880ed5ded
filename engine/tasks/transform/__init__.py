"""`io.kestra.plugin.transform`: records picked, changed, joined and added up by expressions."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.property_types import JsonList, OptionalText, Text, TextList
from engine.tasks.record_expressions import ABSENT, Compute, Unfit, cast, compiled, holds
from engine.tasks.record_tasks import (
    Aggregates,
    Done,
    Fields,
    OnError,
    OnErrorKeep,
    Projection,
    Record,
    RecordsTask,
    Tally,
    Transformed,
    count,
    count_passed,
    each,
    failed,
    is_file,
    upper,
    without_nulls,
)
from engine.tasks.rows import lines_of
from engine.tasks.sql_rows import json_value
from engine.tasks.threads import in_own_thread


class Map(RecordsTask):
    """Make each record anew out of expressions."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.transform.Map
from: "{{ outputs.fetch.uri }}"
fields:
  customer: user.id
  created:
    expr: createdAt
    type: TIMESTAMP
  total:
    expr: sum(items[].price)
    type: DECIMAL
onError: SKIP
""",
    )
    type: Literal["io.kestra.plugin.transform.Map"]
    from_: Property[Any] = Field(alias="from")
    fields: Property[Fields]
    keep_original_fields: Property[bool] = False
    drop_nulls: Property[bool] = True
    on_error: Property[OnError] = "FAIL"

    async def run(self, context: RunContext) -> Transformed:
        rows, fields = await self.given(context, self.from_), Projection(self.fields)

        def made(record: Record, tolerant: bool = False) -> list[Record]:
            kept = (
                {name: record[name] for name in record if name not in self.fields} if self.keep_original_fields else {}
            )
            found = kept | fields.of(record, tolerant=tolerant)
            return [without_nulls(found) if self.drop_nulls else found]

        done = await in_own_thread(lambda: each(rows, made, lambda row: made(row, True), self.on_error))
        count(context, processed=done.processed, failed=done.failed, dropped=done.dropped)
        return await self.handed_on(context, done.found, is_file(self.from_))


class Filter(RecordsTask):
    """Keep the records that meet a condition."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: large
type: io.kestra.plugin.transform.Filter
from: "{{ outputs.orders.records }}"
where: active && total > 100 && country in ("FR", "DE")
onError: SKIP
""",
    )
    type: Literal["io.kestra.plugin.transform.Filter"]
    from_: Property[Any] = Field(alias="from")
    where: Property[Text]
    on_error: Property[OnErrorKeep] = "FAIL"

    async def run(self, context: RunContext) -> Transformed:
        rows, where = await self.given(context, self.from_), compiled(self.where)
        done = await in_own_thread(
            lambda: each(rows, lambda row: [row] if holds(where(row)) else [], lambda row: [row], self.on_error)
        )
        count_passed(context, done)
        return await self.handed_on(context, done.found, is_file(self.from_))


class Unnest(RecordsTask):
    """Make a record for each entry of a list inside a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: items
type: io.kestra.plugin.transform.Unnest
from: "{{ outputs.fetch.uri }}"
path: items[]
as: item
""",
    )
    type: Literal["io.kestra.plugin.transform.Unnest"]
    from_: Property[Any] = Field(alias="from")
    path: Property[Text]
    as_: Property[Text] = Field(alias="as")
    keep_original_fields: Property[bool] = True
    on_error: Property[OnError] = "FAIL"

    async def run(self, context: RunContext) -> Transformed:
        rows, path = await self.given(context, self.from_), compiled(self.path)
        names = self.path.strip().removesuffix("[]").split(".")

        def one(record: Record, value: Any) -> Record:
            return (_without(record, names) if self.keep_original_fields else {}) | {self.as_: value}

        def made(record: Record) -> list[Record]:
            found = path(record)
            if found is None or found is ABSENT:
                return []
            if not isinstance(found, list):
                raise Unfit(f"`{self.path}` is no list")
            return [one(record, value) for value in found]

        done = await in_own_thread(lambda: each(rows, made, lambda row: [one(row, None)], self.on_error))
        count(context, processed=done.processed, failed=done.failed, dropped=done.dropped)
        return await self.handed_on(context, done.found, is_file(self.from_))


def _without(record: Record, names: Sequence[str]) -> Record:
    """A copy without the field at the end of a path; unchanged where the path leads elsewhere."""
    inner = record.get(names[0])
    if len(names) > 1:
        return {**record, names[0]: _without(inner, names[1:])} if isinstance(inner, dict) else dict(record)
    return {name: value for name, value in record.items() if name != names[0]}


class Aggregate(RecordsTask):
    """Add records up, group by group."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: totals
type: io.kestra.plugin.transform.Aggregate
from: "{{ outputs.orders.records }}"
groupBy: [customer, country]
aggregates:
  orders: count()
  spent:
    expr: sum(total)
    type: DECIMAL
""",
    )
    type: Literal["io.kestra.plugin.transform.Aggregate"]
    from_: Property[Any] = Field(alias="from")
    group_by: Property[TextList]
    aggregates: Property[Aggregates]
    on_error: Property[OnError] = "FAIL"

    async def run(self, context: RunContext) -> Transformed:
        rows = await self.given(context, self.from_)
        if not self.group_by or not self.aggregates:
            raise TaskFailed("`groupBy` and `aggregates` need an entry each.")
        done = await in_own_thread(lambda: self.grouped(rows))
        count(context, processed=done.processed, groups=len(done.found), failed=done.failed)
        return await self.handed_on(context, done.found, is_file(self.from_))

    def grouped(self, rows: list[Record]) -> Done:
        """A record for each group; TaskFailed."""
        keys = [compiled(one) for one in self.group_by]
        works = {name: _aggregate(one.expr) for name, one in self.aggregates.items()}
        groups: dict[str, tuple[Record, dict[str, Tally]]] = {}
        done = Done()
        for row in rows:
            done.processed += 1
            try:
                values = [None if (value := key(row)) is ABSENT else json_value(value) for key in keys]
            except Unfit as error:
                raise failed(done.processed, error) from error
            fresh = (
                dict(zip(self.group_by, values, strict=True)),
                {name: Tally(*work) for name, work in works.items()},
            )
            _, tallies = groups.setdefault("".join(lines_of(values)), fresh)
            for tally in tallies.values():
                try:
                    tally.add(row)
                except Unfit as error:
                    done.failed += 1
                    if self.on_error == "FAIL":
                        raise failed(done.processed, error) from error
                    if self.on_error == "SKIP":
                        break
                    tally.is_null = True
        for place, (found, tallies) in enumerate(groups.values(), 1):
            try:
                for name, tally in tallies.items():
                    found[name] = self.typed(name, tally.result(), done)
            except Unfit as error:
                if self.on_error == "FAIL":
                    raise TaskFailed(f"Group {place}: {error}.") from error
                continue
            done.found.append(found)
        return done

    def typed(self, name: str, value: Any, done: Done) -> Any:
        """The value of an aggregate as its type; Unfit unless what does not fit is null."""
        kind = self.aggregates[name].type
        try:
            return value if kind is None else cast(value, kind)
        except Unfit:
            done.failed += 1
            if self.on_error == "NULL":
                return None
            raise


def _aggregate(text: str) -> tuple[str, Compute | None]:
    name, _, rest = text.strip().partition("(")
    inner = rest.removesuffix(")").strip()
    if not rest.endswith(")") or name not in ("count", "sum", "min", "max", "avg", "first", "last"):
        raise TaskFailed(
            f"{text!r} adds nothing up.", fix="Write `count()`, or sum, min, max, avg, first, last of a field."
        )
    if (name == "count") is bool(inner):
        raise TaskFailed(f"{text!r}: `count` takes no field, and every other one does.")
    return name, compiled(inner) if inner else None


class InputsTask(RecordsTask):
    """Several lists of records, side by side."""

    inputs: Property[JsonList]

    async def beside(self, context: RunContext, least: int, *, shortest: bool) -> list[tuple[Record, ...]]:
        """The first records of all inputs, the second ones …; TaskFailed when there is not the same number of each."""
        if len(self.inputs) < least:
            raise TaskFailed(f"`inputs` needs {least} entries at least.")
        found = [await self.given(context, one, "inputs") for one in self.inputs]
        if not shortest and len({len(one) for one in found}) > 1:
            sizes = ", ".join(str(len(one)) for one in found)
            raise TaskFailed(f"The `inputs` differ in length: {sizes}.", fix="They are joined by place in the list.")
        return list(zip(*found, strict=False))

    async def joined(self, context: RunContext, found: list[Record]) -> Transformed:
        """The records as the task hands them on."""
        return await self.handed_on(context, found, any(is_file(one) for one in self.inputs))


class Select(InputsTask):
    """Join lists by place, keep what meets a condition, and make fields of it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: joined
type: io.kestra.plugin.transform.Select
inputs:
  - "{{ outputs.orders.records }}"
  - "{{ outputs.customers.records }}"
where: amount > 100 && $2.active
fields:
  order: order_id
  customer: $2.name
""",
    )
    type: Literal["io.kestra.plugin.transform.Select"]
    where: Property[OptionalText] = None
    fields: Property[Fields] = Field(default_factory=dict)
    keep_input_fields: Property[Annotated[list[int], BeforeValidator(lambda value: value or [])]] = Field(
        default_factory=list
    )
    drop_nulls: Property[bool] = True
    on_length_mismatch: Property[Annotated[Literal["FAIL", "SKIP"], BeforeValidator(upper)]] = "FAIL"
    on_error: Property[OnErrorKeep] = "FAIL"

    async def run(self, context: RunContext) -> Transformed:
        rows = await self.beside(context, 1, shortest=self.on_length_mismatch == "SKIP")
        where = compiled(self.where) if self.where and self.where.strip() else None
        fields = Projection(self.fields)
        if bad := [one for one in self.keep_input_fields if not 1 <= one <= len(self.inputs)]:
            raise TaskFailed(f"`keepInputFields` names input {bad[0]} of {len(self.inputs)}.")

        def tidy(record: Record) -> list[Record]:
            return [without_nulls(record) if self.drop_nulls else record]

        def made(row: tuple[Record, ...]) -> list[Record]:
            merged = _merged(row)
            seen = merged | {f"${place}": one for place, one in enumerate(row, 1)}
            if where is not None and not holds(where(seen)):
                return []
            if not self.fields:
                return tidy(merged)
            return tidy(_merged([row[place - 1] for place in self.keep_input_fields]) | fields.of(seen))

        done = await in_own_thread(lambda: each(rows, made, lambda row: tidy(_merged(row)), self.on_error))
        count_passed(context, done)
        return await self.joined(context, done.found)


def _merged(records: Sequence[Record]) -> Record:
    return {name: value for record in records for name, value in record.items()}


class Zip(InputsTask):
    """Join lists of records by place."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: zip
type: io.kestra.plugin.transform.Zip
inputs:
  - "{{ outputs.left.records }}"
  - "{{ outputs.right.records }}"
onConflict: RIGHT
""",
    )
    type: Literal["io.kestra.plugin.transform.Zip"]
    on_conflict: Property[Annotated[Literal["FAIL", "LEFT", "RIGHT"], BeforeValidator(upper)]] = "FAIL"
    on_error: Property[Annotated[Literal["FAIL", "SKIP"], BeforeValidator(upper)]] = "FAIL"

    async def run(self, context: RunContext) -> Transformed:
        rows = await self.beside(context, 2, shortest=False)

        def made(row: tuple[Record, ...]) -> list[Record]:
            found = _merged(row if self.on_conflict == "RIGHT" else row[::-1])
            if self.on_conflict == "FAIL" and len(found) < sum(len(one) for one in row):
                twice = next(name for name in found if sum(name in one for one in row) > 1)
                raise Unfit(f"`{twice}` is in several inputs; say with `onConflict` which counts")
            return [found]

        done = await in_own_thread(lambda: each(rows, made, lambda row: [], self.on_error))
        count(context, processed=done.processed, failed=done.failed, dropped=done.dropped)
        return await self.joined(context, done.found)
