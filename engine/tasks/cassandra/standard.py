"""`io.kestra.plugin.cassandra.standard`: statements for Apache Cassandra."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from engine.plugin import Part, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.extras import extra
from engine.tasks.fetched_rows import Fetched, FetchFields, fetched
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.sql_rows import json_value
from engine.tasks.threads import in_own_thread
from engine.tasks.trigger_fields import fields_of

PATIENCE = 15  # seconds until a node answers


class Endpoint(Part):
    """A node."""

    hostname: Property[Text]
    port: Property[int] = 9042
    server_name: Property[OptionalText] = None


class Session(Part):
    """Which cluster, and as whom."""

    endpoints: tuple[Endpoint, ...]
    local_datacenter: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    application_name: Property[OptionalText] = None


class QueryFields(FetchFields):
    """A statement, and what becomes of its rows."""

    session: Session
    cql: Property[Text]

    async def queried(self, context: RunContext) -> Fetched:
        """The rows of the statement; TaskFailed when nobody answers or Cassandra refuses."""
        if self.session.password:
            context.mask(self.session.password)
        for node in self.session.endpoints:
            await check_host(node.hostname, context.settings)
        extra("cassandra", "cassandra")
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what fails is raised anyway
        return await fetched(context, await in_own_thread(self._rows), self.fetching)

    def _rows(self) -> list[dict[str, Any]]:
        with explained():
            cluster = self._cluster()
            try:
                result = cluster.connect().execute(self.cql)
                names = result.column_names or ()
                return [dict(zip(names, map(json_value, row), strict=True)) for row in result] if names else []
            finally:
                cluster.shutdown()

    def _cluster(self) -> Any:
        library = extra("cassandra.cluster", "cassandra")
        policies = extra("cassandra.policies", "cassandra")
        tuples = extra("cassandra.query", "cassandra").tuple_factory
        auth = None
        if self.session.username and self.session.password:
            plain = extra("cassandra.auth", "cassandra").PlainTextAuthProvider
            auth = plain(self.session.username, self.session.password)
        near = self.session.local_datacenter
        balance = policies.DCAwareRoundRobinPolicy(near) if near else policies.RoundRobinPolicy()
        profile = library.ExecutionProfile(load_balancing_policy=balance, row_factory=tuples, request_timeout=None)
        return library.Cluster(
            [(node.hostname, node.port) for node in self.session.endpoints],
            auth_provider=auth,
            application_name=self.session.application_name or "parley",
            execution_profiles={library.EXEC_PROFILE_DEFAULT: profile},
            connect_timeout=PATIENCE,
            schema_metadata_enabled=False,
            token_metadata_enabled=False,
        )


@contextmanager
def explained() -> Iterator[None]:
    """What the driver raises leaves as TaskFailed."""
    library, cluster = extra("cassandra", "cassandra"), extra("cassandra.cluster", "cassandra")
    refusal = extra("cassandra.protocol", "cassandra").ErrorMessage
    try:
        yield
    except cluster.NoHostAvailable as error:
        told = "; ".join(dict.fromkeys(str(one) for one in error.errors.values())) or str(error)
        raise TaskFailed(
            f"Cassandra could not be reached: {told}", fix="Check `endpoints`, `localDatacenter` and the password."
        ) from error
    except (library.DriverException, refusal) as error:
        said = getattr(error, "message", None) or error
        raise TaskFailed(f"Cassandra refused: {said}") from error


class Query(QueryFields, RunnableTask):
    """Run a statement of CQL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.cassandra.standard.Query
session:
  endpoints:
    - hostname: cassandra.example.com
  localDatacenter: datacenter1
  username: flows
  password: "{{ secret('CASSANDRA_PASSWORD') }}"
cql: SELECT id, total FROM shop.orders LIMIT 100
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.cassandra.standard.Query", "io.kestra.plugin.cassandra.Query"]

    async def run(self, context: RunContext) -> Fetched:
        return await self.queried(context)


class Trigger(QueryFields, PollingTrigger):
    """Run a statement again and again; an execution starts when it gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: waiting
type: io.kestra.plugin.cassandra.standard.Trigger
interval: PT5M
session:
  endpoints:
    - hostname: cassandra.example.com
  localDatacenter: datacenter1
cql: SELECT id FROM shop.waiting
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.cassandra.standard.Trigger", "io.kestra.plugin.cassandra.Trigger"]

    async def poll(self, context: RunContext) -> Fetched | None:
        found = await (await fields_of(self, QueryFields, context)).queried(context)
        return found if found.size else None
