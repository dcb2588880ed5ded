"""`io.kestra.plugin.jdbc.clickhouse`: statements for ClickHouse, over HTTP."""

import json
from typing import ClassVar, Literal

from engine.plugin import RunContext, TaskFailed
from engine.tasks.sql_http import HttpQueriesTask, HttpQueryTask, HttpSqlFields, HttpSqlTrigger, Row, row_of


class ClickHouseConnected(HttpSqlFields):
    """ClickHouse's HTTP interface."""

    service: ClassVar[str] = "ClickHouse"
    driver: ClassVar[str] = "jdbc:clickhouse:"
    default_port: ClassVar[int] = 8123
    backslashes: ClassVar[bool] = True

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        at, path, options = self.place
        asked = {"default_format": "JSONCompactEachRowWithNames", "output_format_json_quote_64bit_integers": "0"}
        asked |= {name: options[name] for name in ("database",) if name in options}
        asked |= {"database": path[0]} if path else {}
        asked |= {"session_timezone": self.time_zone_id} if self.time_zone_id else {}
        headers = {"X-ClickHouse-User": self.username, "X-ClickHouse-Key": self.password}
        known = {name: value for name, value in headers.items() if value}
        answer = await self.ask(context, "POST", at, params=asked, headers=known, content=statement.encode())
        lines = [line for line in answer.text.splitlines() if line.strip()]
        try:
            names, *values = [json.loads(line) for line in lines] or [[]]
            return [row_of(names, one) for one in values]
        except (ValueError, TypeError) as error:
            raise TaskFailed(
                "ClickHouse answered in another form.", fix="Leave `FORMAT` out of the statement."
            ) from error


class Query(ClickHouseConnected, HttpQueryTask):
    """Run one statement in ClickHouse."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.jdbc.clickhouse.Query
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, total FROM orders
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.clickhouse.Query"]


class Queries(ClickHouseConnected, HttpQueriesTask):
    """Run several statements in ClickHouse, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.jdbc.clickhouse.Queries
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  SELECT id, total FROM orders;
  SELECT id FROM orders WHERE NOT seen;
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.clickhouse.Queries"]


class Trigger(ClickHouseConnected, HttpSqlTrigger):
    """Start an execution when a statement in ClickHouse gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.clickhouse.Trigger
interval: PT5M
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = ClickHouseConnected
    type: Literal["io.kestra.plugin.jdbc.clickhouse.Trigger"]
