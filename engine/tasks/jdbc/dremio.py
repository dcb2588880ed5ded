"""`io.kestra.plugin.jdbc.dremio`: statements for Dremio, over its REST service."""

import re
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.sql_http import HttpQueriesTask, HttpQueryTask, HttpSqlFields, HttpSqlTrigger, Row, row_of

EVERY = timedelta(seconds=0.5)  # between two looks at a statement that runs
PAGE = 500  # rows that Dremio gives at once
DIRECT = re.compile(r"jdbc:dremio:direct=(?P<host>[^:;/]+)(:(?P<port>\d+))?(?P<options>(;[^;]*)*)")
CLOUD = re.compile(r"sql\.(?=([a-z]+\.)?dremio\.cloud$)")
BUSY = ("NOT_SUBMITTED", "STARTING", "PENDING", "METADATA_RETRIEVAL", "PLANNING", "QUEUED", "ENGINE_START")
RUNNING = (*BUSY, "EXECUTION_PLANNING", "RUNNING", "INVALID_STATE", "CANCELLATION_REQUESTED")


class DremioConnected(HttpSqlFields):
    """Dremio's REST service: at port 9047 of the host that a JDBC URL names, or at an address of its own. Without a
    `username` the `password` is a personal access token, and always in Dremio Cloud, which a `PROJECT_ID` tells."""

    service: ClassVar[str] = "Dremio"
    driver: ClassVar[str] = "jdbc:dremio:"
    default_port: ClassVar[int] = 9047

    @property
    def place(self) -> tuple[str, list[str], dict[str, str]]:
        given = self.url.strip()
        if not given.startswith(self.driver):
            at, path, options = super().place
            return f"{at}/api/v3", path, options
        found = DIRECT.fullmatch(given)
        if found is None:
            raise TaskFailed("`url` is no address of Dremio.", fix="jdbc:dremio:direct=host:31010, or http://host:9047")
        options = dict(one.split("=", 1) for one in found["options"].split(";") if "=" in one)
        is_cloud = CLOUD.match(found["host"]) is not None  # which takes a token: never in the clear
        scheme = "https" if is_cloud or options.get("ssl", "").lower() == "true" else "http"
        if project := options.get("PROJECT_ID"):  # docs.dremio.com/cloud/reference/api
            api, port = CLOUD.sub("api.", found["host"]), found["port"] or 443
            return f"{scheme}://{api}:{port}/v0/projects/{quote(project, safe='')}", [], options
        if is_cloud:
            raise TaskFailed("Dremio Cloud wants to know which project.", fix="Put `;PROJECT_ID=…` behind the URL.")
        return f"{scheme}://{found['host']}:{self.default_port}/api/v3", [], options

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        at, _, options = self.place
        who = await self._who(context, at, is_cloud="PROJECT_ID" in options)
        asked: dict[str, Any] = {"sql": statement}
        if schema := options.get("schema"):
            asked["context"] = schema.split(".")
        told = await self._said(context, who, "POST", f"{at}/sql", json=asked)
        job = quote(str(rest_service.held(told, self.service, "id")), safe="")

        async def look() -> dict[str, Any] | None:
            found: dict[str, Any] = await self._said(context, who, "GET", f"{at}/job/{job}")
            return None if rest_service.held(found, self.service, "jobState") in RUNNING else found

        about = await rest_service.waited(
            context, look, every=EVERY, what=f"The job {job}",
            stop=lambda: self.ask(context, "POST", f"{at}/job/{job}/cancel", headers=who),
        )  # fmt: skip
        if about.get("jobState") != "COMPLETED":
            raise TaskFailed(f"Dremio refused: {about.get('errorMessage') or about.get('cancellationReason')}")
        found: list[Row] = []
        for start in range(0, int(about.get("rowCount") or 0), PAGE):
            path = f"{at}/job/{job}/results"
            page = await self._said(context, who, "GET", path, params={"offset": str(start), "limit": str(PAGE)})
            names = [column["name"] for column in rest_service.held(page, self.service, "schema")]
            rows = rest_service.held(page, self.service, "rows")
            found += [row_of(names, [row.get(name) for name in names]) for row in rows]
        return found

    async def _said(self, context: RunContext, who: dict[str, str], method: str, url: str, **given: Any) -> Any:
        return rest_service.parsed(await self.ask(context, method, url, headers=who, **given), self.service) or {}

    async def _who(self, context: RunContext, at: str, *, is_cloud: bool) -> dict[str, str]:
        if is_cloud or not self.username:
            return {"Authorization": f"Bearer {self.password}"} if self.password else {}
        login = {"userName": self.username, "password": self.password or ""}
        answer = await self._said(context, {}, "POST", f"{at.removesuffix('/api/v3')}/apiv2/login", json=login)
        token = str(rest_service.held(answer, self.service, "token"))
        context.mask(token)
        return {"Authorization": f"_dremio{token}"}


class Query(DremioConnected, HttpQueryTask):
    """Run one statement in Dremio."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.jdbc.dremio.Query
url: jdbc:dremio:direct=dremio.example.com:31010
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, total FROM lake.orders
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.dremio.Query"]


class Queries(DremioConnected, HttpQueriesTask):
    """Run several statements in Dremio, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.jdbc.dremio.Queries
url: https://dremio.example.com
password: "{{ secret('DREMIO_TOKEN') }}"
sql: |
  SELECT id, total FROM lake.orders;
  SELECT id FROM lake.returns;
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.dremio.Queries"]


class Trigger(DremioConnected, HttpSqlTrigger):
    """Start an execution when a statement in Dremio gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.dremio.Trigger
interval: PT5M
url: jdbc:dremio:direct=dremio.example.com:31010
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id FROM lake.orders WHERE NOT seen
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = DremioConnected
    type: Literal["io.kestra.plugin.jdbc.dremio.Trigger"]
