"""`io.kestra.plugin.jdbc.druid`: statements for Druid, over HTTP."""

from typing import ClassVar, Literal

from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.sql_http import HttpQueriesTask, HttpQueryTask, HttpSqlFields, HttpSqlTrigger, Row, basic


class DruidConnected(HttpSqlFields):
    """Druid's HTTP interface."""

    service: ClassVar[str] = "Druid"
    driver: ClassVar[str] = "jdbc:avatica:remote:"
    default_port: ClassVar[int] = 8888

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        # Java's driver wants the address of its own protocol; the same servers answer JSON beside it
        given = self.url.partition("url=")[2].partition(";")[0] or self.url
        at = given.strip().removesuffix("/").removesuffix("/avatica").removesuffix("-protobuf").removesuffix("/sql")
        at = at if at.endswith("/druid/v2") else f"{at}/druid/v2"
        zone = {"context": {"sqlTimeZone": self.time_zone_id}} if self.time_zone_id else {}
        body = {"query": statement, "resultFormat": "object", **zone}
        headers = basic(self.username, self.password)
        answer = await self.ask(context, "POST", f"{at}/sql", headers=headers, json=body)
        found = rest_service.parsed(answer, self.service)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise TaskFailed("Druid answered with no rows.", fix="Check `url`: another service may hear there.")
        return found


class Query(DruidConnected, HttpQueryTask):
    """Run one statement in Druid."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.jdbc.druid.Query
url: jdbc:avatica:remote:url=http://druid.example.com:8888/druid/v2/sql/avatica/
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT channel, COUNT(*) AS n FROM wikipedia GROUP BY channel
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.druid.Query"]


class Queries(DruidConnected, HttpQueriesTask):
    """Run several statements in Druid, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.jdbc.druid.Queries
url: jdbc:avatica:remote:url=http://druid.example.com:8888/druid/v2/sql/avatica/;transparent_reconnection=true
sql: |
  SELECT COUNT(*) AS n FROM wikipedia;
  SELECT MAX(__time) AS latest FROM wikipedia;
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.druid.Queries"]


class Trigger(DruidConnected, HttpSqlTrigger):
    """Start an execution when a statement in Druid gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.druid.Trigger
interval: PT5M
url: jdbc:avatica:remote:url=http://druid.example.com:8888/druid/v2/sql/avatica/
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT __time FROM wikipedia LIMIT 1
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = DruidConnected
    type: Literal["io.kestra.plugin.jdbc.druid.Trigger"]
