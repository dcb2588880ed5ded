"""`io.kestra.plugin.jdbc.pinot`: statements for Pinot, over HTTP."""

from typing import ClassVar, Literal

from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.sql_http import HttpQueriesTask, HttpQueryTask, HttpSqlFields, HttpSqlTrigger, Row, basic, row_of


class PinotConnected(HttpSqlFields):
    """Pinot's HTTP interface."""

    service: ClassVar[str] = "Pinot"
    driver: ClassVar[str] = "jdbc:pinot:"
    default_port: ClassVar[int] = 9000

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        at, _, _ = self.place
        headers = basic(self.username, self.password)
        answer = await self.ask(context, "POST", f"{at}/sql", headers=headers, json={"sql": statement})
        found = rest_service.parsed(answer, self.service) or {}
        if refusals := found.get("exceptions"):
            raise TaskFailed(f"Pinot refused: {refusals[0].get('message')}")
        table = found.get("resultTable") or {"dataSchema": {"columnNames": []}, "rows": []}
        return [row_of(table["dataSchema"]["columnNames"], values) for values in table["rows"]]


class Query(PinotConnected, HttpQueryTask):
    """Run one statement in Pinot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.jdbc.pinot.Query
url: jdbc:pinot://pinot.example.com:9000
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT playerName, runs FROM baseball LIMIT 10
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.pinot.Query"]


class Queries(PinotConnected, HttpQueriesTask):
    """Run several statements in Pinot, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.jdbc.pinot.Queries
url: jdbc:pinot://pinot.example.com:9000
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  SELECT playerName, runs FROM baseball LIMIT 10;
  SELECT playerName FROM baseball LIMIT 1;
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.pinot.Queries"]


class Trigger(PinotConnected, HttpSqlTrigger):
    """Start an execution when a statement in Pinot gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.pinot.Trigger
interval: PT5M
url: jdbc:pinot://pinot.example.com:9000
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT playerName FROM baseball LIMIT 1
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = PinotConnected
    type: Literal["io.kestra.plugin.jdbc.pinot.Trigger"]
