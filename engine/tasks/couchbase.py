"""`io.kestra.plugin.couchbase`: statements in SQL++ (N1QL) for Couchbase, over its query service."""

import json
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from engine.plugin import Part, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.http_options import Auth, HttpOptions
from engine.tasks.property_types import JsonList, JsonMap, Text
from engine.tasks.trigger_fields import fields_of

SERVICES = {"couchbase": ("http", 8093), "couchbases": ("https", 18093)}


class QueryFields(Part):
    """Which cluster, a statement, and what becomes of its rows."""

    connection_string: Property[Text]
    username: Property[Text]
    password: Property[Text]
    query: Property[Text]
    parameters: Property[JsonMap | JsonList | None] = None
    fetch_type: Property[FetchType] = "STORE"

    async def queried(self, context: RunContext) -> Fetched:
        """The rows of the statement; TaskFailed when nobody answers or Couchbase refuses."""
        context.mask(self.password)
        body: dict[str, Any] = {"statement": self.query}
        if isinstance(self.parameters, list):
            body["args"] = self.parameters
        else:
            body |= {f"${name}": value for name, value in (self.parameters or {}).items()}
        options = HttpOptions(auth=Auth(type="BASIC", username=self.username, password=self.password))
        failed: TaskFailed | None = None
        for node in self._nodes():
            try:
                answer = await rest_service.call(context, "Couchbase", "POST", node, options=options, json=body)
            except TaskFailed as error:
                if " answered " in error.message:
                    raise
                failed = error  # nobody there: the next node may answer
                continue
            return await fetched(context, _rows(rest_service.parsed(answer, "Couchbase") or {}), self.fetch_type)
        raise failed or TaskFailed("`connectionString` names no host.", fix="couchbase://host")

    def _nodes(self) -> list[str]:
        given = self.connection_string.strip()
        scheme, found, rest = given.partition("://")
        if not found:
            scheme, rest = "couchbase", given
        if scheme in ("http", "https"):
            return [f"{given.rstrip('/')}/query/service"]
        if scheme not in SERVICES:
            raise TaskFailed(
                f"`connectionString` begins with {scheme}://.", fix="couchbase://host or couchbases://host"
            )
        secured, port = SERVICES[scheme]
        hosts = [urlsplit(f"//{one}").hostname for one in rest.partition("?")[0].rstrip("/").split(",") if one.strip()]
        return [f"{secured}://{f'[{host}]' if ':' in host else host}:{port}/query/service" for host in hosts if host]


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    if errors := answer.get("errors"):
        raise TaskFailed(f"Couchbase refused: {errors[0].get('msg') or json.dumps(errors[0])}")
    return [row if isinstance(row, dict) else {"value": row} for row in answer.get("results") or []]


class Query(QueryFields, RunnableTask):
    """Run one statement."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: airlines
type: io.kestra.plugin.couchbase.Query
connectionString: couchbase://couchbase.example.com
username: flows
password: "{{ secret('COUCHBASE_PASSWORD') }}"
query: SELECT name, iata FROM `travel-sample`.inventory.airline WHERE country = $country
parameters:
  country: France
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.couchbase.Query"]

    async def run(self, context: RunContext) -> Fetched:
        return await self.queried(context)


class Trigger(QueryFields, PollingTrigger):
    """Start an execution when a statement gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.couchbase.Trigger
interval: PT5M
connectionString: couchbase://couchbase.example.com
username: flows
password: "{{ secret('COUCHBASE_PASSWORD') }}"
query: SELECT META().id FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.couchbase.Trigger"]

    async def poll(self, context: RunContext) -> Fetched | None:
        found = await (await fields_of(self, QueryFields, context)).queried(context)
        return found if found.size else None
