"""Clusters of Elasticsearch and OpenSearch: where they are, who asks, and one call."""

import base64
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions, Ssl
from engine.tasks.outbound import Answer
from engine.tasks.property_types import OptionalText, TextList


class BasicAuth(Part):
    """User and password."""

    username: Property[OptionalText] = None
    password: Property[OptionalText] = None


class Connection(Part):
    """Where the cluster is, and who we are to it."""

    hosts: Property[TextList]
    basic_auth: BasicAuth | None = None
    headers: Property[TextList | None] = Field(default=None, description="Each as `Name: value`.")
    path_prefix: Property[OptionalText] = None
    strict_deprecation_mode: Property[bool | None] = None
    trust_all_ssl: Property[bool] = False
    target_server_version: Any = Field(
        default=None, description="Of no effect: either version is asked in its own words."
    )

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON object of one call; TaskFailed when the cluster refuses."""
        answer = await self.answer(context, method, path, **given)
        return rest_service.mapped(rest_service.parsed(answer, "Elasticsearch"), "Elasticsearch")

    async def answer(self, context: RunContext, method: str, path: str, **given: Any) -> Answer:
        """What the first node that answers a call says; TaskFailed when the cluster refuses."""
        headers = {"Content-Type": "application/json"}
        if (who := self.basic_auth) and who.username:
            if who.password:
                context.mask(who.password)
            pair = base64.b64encode(f"{who.username}:{who.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        for line in self.headers or []:
            name, _, value = line.partition(":")
            headers[name.strip()] = value.strip()
        options = HttpOptions(ssl=Ssl(insecure_trust_all_certificates=self.trust_all_ssl))
        params = {name: value for name, value in (given.pop("params", None) or {}).items() if value is not None}
        prefix = f"/{self.path_prefix.strip('/')}" if self.path_prefix else ""
        failed: TaskFailed | None = None
        for host in self.hosts:
            url = f"{host.rstrip('/')}{prefix}/{path.lstrip('/')}"
            try:
                return await rest_service.call(
                    context, "Elasticsearch", method, url, options=options, headers=headers, params=params, **given
                )
            except TaskFailed as error:
                if " answered " in error.message:
                    raise
                failed = error
        raise failed or TaskFailed("It is not said where Elasticsearch is.", fix="Give `connection.hosts`.")

    async def carried_out(self, context: RunContext, operations: str, routing: str | None = None) -> None:
        """Carry out some operations in one call; TaskFailed when the cluster refuses one of them."""
        answer = await self.ask(context, "POST", "_bulk", params={"routing": routing}, content=operations.encode())
        if answer.get("errors"):
            items = rest_service.held(answer, "Elasticsearch", "items")
            said = next((one["error"] for item in items for one in item.values() if "error" in one), None)
            why = (said or {}).get("reason") or said or "nothing more is said"
            raise TaskFailed(f"Elasticsearch kept not all documents: {why}")


class ElasticsearchTask(RunnableTask):
    """Which cluster."""

    peers: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.opensearch.",)
    connection: Connection
    routing: Property[OptionalText] = None

    async def ask(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The JSON object of one call; TaskFailed when the cluster refuses."""
        return await self.connection.ask(context, method, path, **given)

    async def answer(self, context: RunContext, method: str, path: str, **given: Any) -> Answer:
        """What the first node that answers a call says; TaskFailed when the cluster refuses."""
        return await self.connection.answer(context, method, path, **given)

    async def carried_out(self, context: RunContext, operations: str) -> None:
        """Carry out some operations in one call; TaskFailed when the cluster refuses one of them."""
        await self.connection.carried_out(context, operations, self.routing)


def name_of(text: str) -> str:
    """A name as it stands in an address."""
    return quote(text, safe="")


def names_of(indexes: list[str] | None) -> str:
    """The indexes as an address begins with them; nothing for all of them."""
    return f"{','.join(map(name_of, indexes))}/" if indexes else ""
