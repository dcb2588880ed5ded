"""`io.kestra.plugin.surrealdb`: statements in SurrealQL, over HTTP."""

import base64
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Part, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.http_bodies import form_field
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.trigger_fields import fields_of


class QueryFields(Part):
    """Which database, as whom, a statement, and what becomes of its rows."""

    host: Property[Text]
    port: Property[int] = Field(default=8000, ge=1, le=65535)
    use_tls: Property[bool] = False
    connection_timeout: Property[int] = Field(default=60, ge=1, description="Seconds.")
    namespace: Property[Text]
    database: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    query: Property[Text]
    parameters: Property[JsonMap | None] = None
    fetch_type: Property[FetchType] = "STORE"

    async def queried(self, context: RunContext) -> Fetched:
        """The rows of all statements; TaskFailed when nobody answers or one of them is refused."""
        headers = {"Accept": "application/json", "Content-Type": "text/plain"}
        for name, value in (("ns", self.namespace), ("db", self.database)):
            headers |= {name: value, f"surreal-{name}": value}  # as older servers and as newer ones want it
        if self.username:
            context.mask(self.password or "")
            pair = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = f"{'https' if self.use_tls else 'http'}://{host}:{self.port}/sql"
        given = {name: form_field(value) for name, value in (self.parameters or {}).items()}
        options = HttpOptions(timeout=Timeouts(connect_timeout=timedelta(seconds=self.connection_timeout)))
        asked = {"headers": headers, "options": options, "params": given or None, "content": self.query.encode()}
        told = await rest_service.document(context, "SurrealDB", "POST", url, **asked)
        rows: list[dict[str, Any]] = []
        for one in told if isinstance(told, list) else [told] if told else ():
            said = rest_service.mapped(one, "SurrealDB")
            if said.get("status") != "OK":
                raise TaskFailed(f"SurrealDB refused: {said.get('result') or said.get('detail')}")
            result = said.get("result")
            listed = result if isinstance(result, list) else [] if result is None else [result]
            rows += [row if isinstance(row, dict) else {"value": row} for row in listed]
        return await fetched(context, rows, self.fetch_type)


class Query(QueryFields, RunnableTask):
    """Run statements."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.surrealdb.Query
host: surreal.example.com
useTls: true
namespace: company
database: shop
username: flows
password: "{{ secret('SURREAL_PASSWORD') }}"
query: SELECT * FROM order WHERE state = $state
parameters:
  state: open
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.surrealdb.Query"]

    async def run(self, context: RunContext) -> Fetched:
        return await self.queried(context)


class Trigger(QueryFields, PollingTrigger):
    """Start an execution when a statement gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.surrealdb.Trigger
interval: PT5M
host: surreal.example.com
namespace: company
database: shop
query: SELECT * FROM order WHERE seen = false
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.surrealdb.Trigger"]

    async def poll(self, context: RunContext) -> Fetched | None:
        found = await (await fields_of(self, QueryFields, context)).queried(context)
        return found if found.size else None
