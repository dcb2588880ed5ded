"""`io.kestra.plugin.ai.retriever.SqlDatabaseRetriever`: what a database says about a question."""

import json
import re
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.task import AnyTyped
from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.ai.conversation import Configuration, Turn
from engine.tasks.ai.model_service import provider_of
from engine.tasks.ai.retriever import Retriever
from engine.tasks.jdbc import mysql, postgresql
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.sql_task import QueriesTask
from engine.tasks.sql_text import statements

KINDS: dict[str, type[QueriesTask]] = {"POSTGRESQL": postgresql.Queries, "MYSQL": mysql.Queries}
READ_ONLY = {"POSTGRESQL": "SET TRANSACTION READ ONLY", "MYSQL": "START TRANSACTION READ ONLY"}
OWN = "('pg_catalog', 'information_schema', 'mysql', 'performance_schema', 'sys')"
COLUMNS = (
    "SELECT table_schema AS place, table_name AS name, column_name AS col, data_type AS kind "  # noqa: S608
    f"FROM information_schema.columns WHERE table_schema NOT IN {OWN} "
    "ORDER BY table_schema, table_name, ordinal_position"
)
FENCE = re.compile(r"^```(?:sql)?\s*|\s*```$", re.IGNORECASE)
READS = re.compile(r"\s*(?:select|with|values|table)\b", re.IGNORECASE)
MOST = 100  # rows that a model is given to read
DEMAND = """You write SQL for a {kind} database. It has these tables:
{tables}
Answer with one SELECT statement that finds what is needed to answer the question, and nothing else."""


class SqlDatabaseRetriever(Retriever):
    """Let a model write a SELECT for the question, and give its rows to read; nothing else is run, and only to read."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.retriever.SqlDatabaseRetriever
databaseType: POSTGRESQL
jdbcUrl: jdbc:postgresql://db.example.com:5432/shop
username: reader
password: "{{ secret('DB_PASSWORD') }}"
provider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-2.5-flash
""",
    )
    type: Literal["io.kestra.plugin.ai.retriever.SqlDatabaseRetriever"]
    database_type: Property[Literal["POSTGRESQL", "MYSQL", "H2"]]
    jdbc_url: Property[Text]
    username: Property[Text]
    password: Property[Text]
    driver: Property[OptionalText] = None
    max_pool_size: Property[int] = 2
    provider: AnyTyped
    configuration: Configuration = Field(default_factory=Configuration)

    async def retrieve(self, context: RunContext, question: str) -> list[str]:
        if self.database_type not in KINDS:
            raise TaskFailed("H2 is a database inside of Java programs.", fix="Use POSTGRESQL or MYSQL.")
        tables = await self._tables(context)
        demand = DEMAND.format(kind=self.database_type, tables=tables)
        turns = [Turn("system", demand), Turn("user", question)]
        said = await provider_of(self.provider).ask(context, turns, self.configuration)
        sql = FENCE.sub("", said.text.strip()).strip().rstrip(";")
        if len(statements(sql)) != 1 or not READS.match(sql):
            raise TaskFailed(f"The model wrote no single SELECT: {sql[:200]!r}.", fix="Ask in other words.")
        context.log(f"Asking the database: {sql}", "DEBUG")
        rows = (await self._run(context, f"{READ_ONLY[self.database_type]};\n{sql}"))[-1][:MOST]
        return [f"Result of executing {sql!r}:\n" + "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)]

    async def _tables(self, context: RunContext) -> str:
        found: dict[str, list[str]] = {}
        for row in (await self._run(context, COLUMNS))[0]:
            found.setdefault(f"{row['place']}.{row['name']}", []).append(f"{row['col']} {row['kind']}")
        return "\n".join(f"{name} ({', '.join(columns)})" for name, columns in found.items())

    async def _run(self, context: RunContext, sql: str) -> list[list[dict[str, Any]]]:
        who: dict[str, Any] = {"url": self.jdbc_url, "username": self.username, "password": self.password}
        return await KINDS[self.database_type].rows(context, sql, **who)
