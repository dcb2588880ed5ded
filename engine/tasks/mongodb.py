"""`io.kestra.plugin.mongodb`: documents of MongoDB."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import given_rows
from engine.tasks.extras import extra
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.mongodb_connection import Collected, document, plain
from engine.tasks.property_types import JsonList, JsonMap, OptionalInteger, OptionalText
from engine.tasks.trigger_fields import fields_of

AT_ONCE = 1000
Document = JsonMap | str  # as text it is MongoDB's extended JSON


class FindFields(Collected):
    """Which documents, which of their fields, in which order, and what becomes of them."""

    filter: Property[Document | None] = None
    projection: Property[Document | None] = None
    sort: Property[Document | None] = None
    limit: Property[OptionalInteger] = None
    skip: Property[OptionalInteger] = None
    store: Property[bool] = False

    async def found(self, context: RunContext) -> Fetched:
        """The documents."""
        said = {"filter": self.filter, "projection": self.projection, "sort": self.sort}
        given = {name: document(value, name) for name, value in said.items() if value}
        order = list(given.get("sort", {}).items()) or None
        which = {"filter": given.get("filter"), "projection": given.get("projection"), "sort": order}
        some = {"skip": self.skip or 0, "limit": self.limit or 0}
        rows = await self.using(context, lambda kept: [plain(one) for one in kept.find(**which, **some)])
        context.metric("records", len(rows))
        return await fetched(context, rows, "STORE" if self.store else "FETCH")


class Find(FindFields, RunnableTask):
    """Look for documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: late
type: io.kestra.plugin.mongodb.Find
connection:
  uri: "mongodb://flows:{{ secret('MONGODB_PASSWORD') }}@mongo.example.com/?authSource=admin"
database: shop
collection: orders
filter:
  state: OPEN
  due:
    $lt:
      $date: "{{ now() }}"
sort:
  due: 1
limit: 50
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Find"]

    async def run(self, context: RunContext) -> Fetched:
        return await self.found(context)


class Trigger(FindFields, PollingTrigger):
    """Start an execution when there are such documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.mongodb.Trigger
interval: PT5M
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
filter:
  seen: false
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Trigger"]

    async def poll(self, context: RunContext) -> Fetched | None:
        found = await (await fields_of(self, FindFields, context)).found(context)
        return found if found.size else None


class Aggregate(Collected, RunnableTask):
    """Let documents go through a pipeline of stages."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: totals
type: io.kestra.plugin.mongodb.Aggregate
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
pipeline:
  - $match: {state: PAID}
  - $group:
      _id: $city
      total: {$sum: $amount}
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Aggregate"]
    pipeline: Property[JsonList]
    allow_disk_use: Property[bool] = True
    max_time_ms: Property[int] = 60_000
    batch_size: Property[int] = 1000
    store: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Fetched:
        stages = [document(stage, "pipeline") for stage in self.pipeline]
        options: dict[str, Any] = {"allowDiskUse": self.allow_disk_use}
        options |= {"maxTimeMS": self.max_time_ms} if self.max_time_ms > 0 else {}
        options |= {"batchSize": self.batch_size} if self.batch_size > 0 else {}
        rows = await self.using(context, lambda kept: [plain(one) for one in kept.aggregate(stages, **options)])
        context.metric("records", len(rows))
        return await fetched(context, rows, self.store)


class Inserted(Outputs):
    """The new document."""

    insertedId: str | None  # noqa: N815 - appears as written
    wasAcknowledged: bool = True  # noqa: N815


class InsertOne(Collected, RunnableTask):
    """Keep a document."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.mongodb.InsertOne
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
document:
  city: Lyon
  amount: 12
""",
    )
    type: Literal["io.kestra.plugin.mongodb.InsertOne"]
    document: Property[Document]

    async def run(self, context: RunContext) -> Inserted:
        given = document(self.document, "document")
        done = await self.using(context, lambda collection: collection.insert_one(given))
        context.metric("inserted.count", 1)
        return Inserted(insertedId=str(done.inserted_id), wasAcknowledged=done.acknowledged)


class Updated(Outputs):
    """How many documents matched, and how many were changed."""

    upsertedId: str | None = None  # noqa: N815 - appears as written
    wasAcknowledged: bool = True  # noqa: N815
    matchedCount: int  # noqa: N815
    modifiedCount: int  # noqa: N815


class Update(Collected, RunnableTask):
    """Change or replace documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: mark
type: io.kestra.plugin.mongodb.Update
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
operation: UPDATE_MANY
filter:
  seen: false
document:
  $set: {seen: true}
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Update"]
    document: Property[Document]
    filter: Property[Document]
    operation: Property[Literal["REPLACE_ONE", "UPDATE_ONE", "UPDATE_MANY"]] = "UPDATE_ONE"

    async def run(self, context: RunContext) -> Updated:
        which, given = document(self.filter, "filter"), document(self.document, "document")
        try:
            done = await self.using(context, lambda kept: getattr(kept, self.operation.lower())(which, given))
        except ValueError as error:  # pymongo's own words about operators
            fix = "Give operators such as `$set`, or `operation: REPLACE_ONE`."
            raise TaskFailed(f"MongoDB can't do that: {error}.", fix=fix) from error
        context.metric("updated.count", done.modified_count)
        made = None if done.upserted_id is None else str(done.upserted_id)
        return Updated(upsertedId=made, matchedCount=done.matched_count, modifiedCount=done.modified_count)


class Deleted(Outputs):
    """How many documents are gone."""

    wasAcknowledged: bool = True  # noqa: N815 - appears as written
    deletedCount: int  # noqa: N815


class Delete(Collected, RunnableTask):
    """Delete documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.mongodb.Delete
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
operation: DELETE_MANY
filter:
  state: CANCELLED
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Delete"]
    filter: Property[Document | None] = Field(default=None, description="Which documents; all without one.")
    operation: Property[Literal["DELETE_ONE", "DELETE_MANY"]] = "DELETE_ONE"

    async def run(self, context: RunContext) -> Deleted:
        # One that is given and renders to nothing must not delete all.
        which = document(self.filter, "filter") if "filter" in self.model_fields_set else {}
        done = await self.using(context, lambda collection: getattr(collection, self.operation.lower())(which))
        context.metric("deleted.count", done.deleted_count)
        return Deleted(deletedCount=done.deleted_count)


class Written(Outputs):
    """How many lines were read, and what became of them."""

    size: int
    insertedCount: int = 0  # noqa: N815 - appears as written
    matchedCount: int = 0  # noqa: N815
    modifiedCount: int = 0  # noqa: N815
    deletedCount: int = 0  # noqa: N815


class WriteFields(Collected):
    """A file, and how many of its lines are sent at once."""

    from_: Property[Any] = Field(alias="from")
    chunk: Property[int] = Field(default=AT_ONCE, ge=1)

    async def written(self, context: RunContext, requests: Sequence[Any]) -> Written:
        """Carry out writes, many at a time; TaskFailed at the first that MongoDB refuses."""
        chunks = [requests[begin : begin + self.chunk] for begin in range(0, len(requests), self.chunk)]
        done = await self.using(context, lambda collection: [collection.bulk_write(chunk) for chunk in chunks])
        context.metric("requests.count", len(chunks))
        context.metric("records", len(requests))
        return Written(
            size=len(requests),
            insertedCount=sum(one.inserted_count for one in done),
            matchedCount=sum(one.matched_count for one in done),
            modifiedCount=sum(one.modified_count for one in done),
            deletedCount=sum(one.deleted_count for one in done),
        )


class Load(WriteFields, RunnableTask):
    """Keep the rows of a file as documents."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.mongodb.Load
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
from: "{{ outputs.orders.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Load"]
    id_key: Property[OptionalText] = None
    remove_id_key: Property[bool] = True

    async def run(self, context: RunContext) -> Written:
        insert = extra("pymongo", "mongodb").InsertOne
        rows = await given_rows.rows(context, self.from_)
        return await self.written(context, [insert(self._document(row)) for row in rows])

    def _document(self, row: Any) -> dict[str, Any]:
        found = document(row, "from")
        if self.id_key:
            bson = extra("bson", "mongodb")
            key = str(found.get(self.id_key))
            if not bson.ObjectId.is_valid(key):
                raise TaskFailed(f"`{self.id_key}` of a row is no id of MongoDB: {key!r}.", fix="Leave out `idKey`.")
            found["_id"] = bson.ObjectId(key)
            if self.remove_id_key and self.id_key != "_id":
                del found[self.id_key]
        return found


class Bulk(WriteFields, RunnableTask):
    """Carry out the writes that stand in the lines of a file, as `bulkWrite` of MongoDB's shell takes them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: writes
type: io.kestra.plugin.mongodb.Bulk
connection:
  uri: mongodb://mongo.example.com
database: shop
collection: orders
from: "{{ outputs.writes.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.mongodb.Bulk"]

    async def run(self, context: RunContext) -> Written:
        rows = await given_rows.rows(context, self.from_)
        return await self.written(context, list(_writes(rows)))


WRITES = ("insertOne", "deleteOne", "deleteMany")
OPTIONS = {"upsert": "upsert", "arrayFilters": "array_filters", "collation": "collation"}
CHANGES = {"replaceOne": "replacement", "updateOne": "update", "updateMany": "update"}


def _writes(rows: Iterable[Any]) -> Iterable[Any]:
    pymongo = extra("pymongo", "mongodb")
    for row in rows:
        name, body = next(iter(document(row, "from").items()), ("", None))
        kind = getattr(pymongo, name[:1].upper() + name[1:], None) if name in (*CHANGES, *WRITES) else None
        if kind is None or not isinstance(body, dict):
            known = ", ".join((*WRITES, *CHANGES))
            raise TaskFailed(f"{json.dumps(plain(row))[:100]} is no write.", fix=f"A line holds one of {known}.")
        if name == "insertOne":
            wrapped = list(body) == ["document"] and isinstance(body["document"], dict)
            yield kind(body["document"] if wrapped else body)
            continue
        needed = ["filter", *([CHANGES[name]] if name in CHANGES else [])]
        if missing := [one for one in needed if not isinstance(body.get(one), dict | list)]:
            raise TaskFailed(f"{name} has no `{missing[0]}`: {json.dumps(plain(body))[:100]}.", fix="Give it a map.")
        options = {given: body[one] for one, given in OPTIONS.items() if one in body and name in CHANGES}
        yield kind(*(body[one] for one in needed), **options)
