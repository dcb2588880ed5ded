"""`io.kestra.plugin.jdbc.trino`: statements for Trino, over HTTP."""

from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from engine.core.retries import Retry
from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.sql_http import HttpQueriesTask, HttpQueryTask, HttpSqlFields, HttpSqlTrigger, Row, basic, row_of
from engine.tasks.trino_values import value_of

# What stands before Trino may not reach it for a moment: it is asked again then, as its own clients do. Nothing is done
# twice by that, for a statement begins when its first `nextUri` is read.
BRIEFLY = Retry(type="exponential", interval=timedelta(seconds=0.1), max_attempts=5)
PATIENT = HttpOptions(retry=BRIEFLY, retry_on_status_codes=(502, 503, 504))


class TrinoConnected(HttpSqlFields):
    """Trino's HTTP interface. Who asks is told wherever Trino sends us on to, as its own clients tell it (a coordinator
    behind a gateway names itself); a password goes from https to http nowhere."""

    service: ClassVar[str] = "Trino"
    driver: ClassVar[str] = "jdbc:trino:"
    default_port: ClassVar[int] = 8080

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        at, path, _ = self.place
        catalog, schema = (*path, "", "")[:2]
        given = {
            "X-Trino-User": self.username or "parley",
            "X-Trino-Catalog": catalog,
            "X-Trino-Schema": schema,
            "X-Trino-Time-Zone": self.time_zone_id or "",
        }
        headers = {name: value for name, value in given.items() if value}
        headers |= basic(self.username, self.password) if self.password else {}
        zone = ZoneInfo(self.time_zone_id) if self.time_zone_id else None
        found: list[Row] = []
        answer = await self._told(context, "POST", f"{at}/v1/statement", headers, content=statement.encode())
        while True:
            columns = answer.get("columns") or []
            names, kinds = [[str(column[key]) for column in columns] for key in ("name", "type")]
            for values in answer.get("data") or []:
                told = [value_of(kind, value, zone) for kind, value in zip(kinds, values, strict=True)]
                found.append(row_of(names, told))
            if not (more := str(answer.get("nextUri") or "")):
                return found
            if self.password and not is_kept_secret(at, more):
                raise TaskFailed(
                    f"Trino goes on at {more}, where anyone could read the password.",
                    fix="Set `http-server.process-forwarded=true` at the coordinator behind this address.",
                )
            stop = partial(self.ask, context, "DELETE", more, headers=headers)
            async with rest_service.stopping(context, "The statement", stop):
                answer = await self._told(context, "GET", more, headers)

    async def _told(
        self, context: RunContext, method: str, url: str, headers: dict[str, str], **body: Any
    ) -> dict[str, Any]:
        answer = await self.ask(context, method, url, headers=headers, options=PATIENT, carries=True, **body)
        found = rest_service.mapped(rest_service.parsed(answer, self.service), self.service)
        if error := found.get("error"):
            raise TaskFailed(f"Trino refused: {error.get('message')}")
        return found


def is_kept_secret(at: str, more: str) -> bool:
    """Whether what is sent to an address is as safe from listeners as what was sent to the one before."""
    return at.startswith("http://") or more.lower().startswith("https://")


class Query(TrinoConnected, HttpQueryTask):
    """Run one statement in Trino."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.jdbc.trino.Query
url: jdbc:trino://trino.example.com:8080/hive/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, total FROM orders
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.trino.Query"]


class Queries(TrinoConnected, HttpQueriesTask):
    """Run several statements in Trino, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.jdbc.trino.Queries
url: jdbc:trino://trino.example.com:8080/hive/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  SELECT id, total FROM orders;
  SELECT id FROM orders WHERE NOT seen;
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.trino.Queries"]


class Trigger(TrinoConnected, HttpSqlTrigger):
    """Start an execution when a statement in Trino gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.trino.Trigger
interval: PT5M
url: jdbc:trino://trino.example.com:8080/hive/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = TrinoConnected
    type: Literal["io.kestra.plugin.jdbc.trino.Trigger"]
