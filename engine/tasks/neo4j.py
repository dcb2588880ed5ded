"""`io.kestra.plugin.neo4j`: statements in Cypher."""

import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, PollingTrigger, Property, RunContext, RunnableTask
from engine.tasks import given_rows
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.neo4j_service import Neo4jFields, rows_of
from engine.tasks.property_types import JsonMap, Text, document_from_text
from engine.tasks.trigger_fields import fields_of

StoreType = Literal["STORE", "FETCH", "FETCHONE", "NONE"]
KINDS: dict[str, FetchType] = {"STORE": "STORE", "FETCH": "FETCH", "FETCHONE": "FETCH_ONE", "NONE": "NONE"}
CHANGES = (
    "nodesCreated", "nodesDeleted", "relationshipsCreated", "relationshipsDeleted",
    "propertiesSet", "labelsAdded", "labelsRemoved",
)  # fmt: skip


class QueryFields(Neo4jFields):
    """One statement, and what becomes of its rows."""

    query: Property[Text]
    parameters: Property[JsonMap | None] = None
    store_type: Property[StoreType] = "NONE"

    async def queried(self, context: RunContext) -> Fetched:
        """The rows: nodes and maps as they are, other values by their names. TaskFailed when it is refused."""
        rows = rows_of(await self.asked(context, self.query, self.parameters))
        found = await fetched(context, rows, KINDS[self.store_type])
        if self.store_type == "FETCHONE":
            found.size, found.row = len(rows), found.row or {}
        return found


class Query(QueryFields, RunnableTask):
    """Run one statement."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: people
type: io.kestra.plugin.neo4j.Query
url: bolt://neo4j.example.com:7687
username: neo4j
password: "{{ secret('NEO4J_PASSWORD') }}"
query: MATCH (p:Person) RETURN p
storeType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.neo4j.Query"]

    async def run(self, context: RunContext) -> Fetched:
        return await self.queried(context)


class Trigger(QueryFields, PollingTrigger):
    """Start an execution when a statement gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.neo4j.Trigger
interval: PT5M
url: bolt://neo4j.example.com:7687
username: neo4j
password: "{{ secret('NEO4J_PASSWORD') }}"
query: MATCH (o:Order) WHERE NOT o.seen SET o.seen = true RETURN o
""",
    )
    type: Literal["io.kestra.plugin.neo4j.Trigger"]
    store_type: Property[StoreType] = "FETCH"

    async def poll(self, context: RunContext) -> Fetched | None:
        fields = await fields_of(self, QueryFields, context)
        if "store_type" not in self.model_fields_set:
            fields = fields.model_copy(update={"store_type": self.store_type})
        found = await fields.queried(context)
        return found if found.size and fields.store_type != "NONE" else None


class Loaded(Outputs):
    """How many statements were run, and how many rows they gave."""

    rowCount: int  # noqa: N815 - appears as written
    updatedCount: int  # noqa: N815


class Batch(Neo4jFields, RunnableTask):
    """Run a statement for the rows of a file, many at a time: `$props` is a list of them. All or nothing."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.neo4j.Batch
url: bolt://neo4j.example.com:7687
username: neo4j
password: "{{ secret('NEO4J_PASSWORD') }}"
from: "{{ outputs.events.uri }}"
query: |
  UNWIND $props AS properties
  MERGE (e:Event {id: properties.id})
  RETURN e.id
""",
    )
    type: Literal["io.kestra.plugin.neo4j.Batch"]
    from_: Property[Any] = Field(alias="from")
    query: Property[Text]
    chunk: Property[Annotated[int, Field(ge=1)]] = 1000

    async def run(self, context: RunContext) -> Loaded:
        rows = await given_rows.rows(context, self.from_)
        parts = [rows[begin : begin + self.chunk] for begin in range(0, len(rows), self.chunk)]
        updated = 0
        if parts:
            async with self.transaction(context) as transaction:
                for part in parts:
                    told = await transaction.run(self.query, {"props": part})
                    updated += len((told.get("data") or {}).get("values") or [])
        context.metric("records.processed", len(parts), origin="Batch")
        context.metric("records.updated", updated, origin="Batch")
        return Loaded(rowCount=len(parts), updatedCount=updated)


class Statement(Part):
    """One statement of several."""

    query: Property[Text]
    parameters: Property[JsonMap | None] = None


class Changed(Outputs):
    """What the statements changed together, and how long they took (milliseconds)."""

    nodesCreated: int  # noqa: N815 - appears as written
    nodesDeleted: int  # noqa: N815
    relationshipsCreated: int  # noqa: N815
    relationshipsDeleted: int  # noqa: N815
    propertiesSet: int  # noqa: N815
    labelsAdded: int  # noqa: N815
    labelsRemoved: int  # noqa: N815
    resultAvailableAfter: int  # noqa: N815


class Transaction(Neo4jFields, RunnableTask):
    """Run several statements, all or none of them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: joined
type: io.kestra.plugin.neo4j.Transaction
url: bolt://neo4j.example.com:7687
username: neo4j
password: "{{ secret('NEO4J_PASSWORD') }}"
statements:
  - query: "CREATE (:Person {name: $name})"
    parameters:
      name: "{{ inputs.name }}"
  - query: "MATCH (p:Person {name: $name}), (t:Team {name: 'core'}) MERGE (p)-[:MEMBER_OF]->(t)"
    parameters:
      name: "{{ inputs.name }}"
""",
    )
    type: Literal["io.kestra.plugin.neo4j.Transaction"]
    statements: Property[Annotated[list[Statement], BeforeValidator(document_from_text)]] = Field(min_length=1)

    async def run(self, context: RunContext) -> Changed:
        began = time.monotonic()
        counts = dict.fromkeys(CHANGES, 0)
        async with self.transaction(context) as transaction:
            for one in self.statements:
                told = await transaction.run(one.query, one.parameters or {})
                counters = told.get("counters") or {}
                counts = {name: count + int(counters.get(name) or 0) for name, count in counts.items()}
        for name, count in counts.items():
            context.metric("".join(f".{c.lower()}" if c.isupper() else c for c in name), count)
        return Changed(**counts, resultAvailableAfter=round((time.monotonic() - began) * 1000))
