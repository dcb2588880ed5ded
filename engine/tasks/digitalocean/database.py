"""`io.kestra.plugin.digitalocean.database`: database clusters that DigitalOcean keeps. No password is handed on."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.digitalocean_service import SERVICE, DigitalOceanTask, Listed, ListTask, below, found
from engine.tasks.property_types import Text
from engine.tasks.rest_service import mapped

# Of a row: users, passwords, addresses with both.
SECRET = frozenset(
    {
        "users",
        "connection",
        "private_connection",
        "standby_connection",
        "standby_private_connection",
        "ui_connection",
        "schema_registry_connection",
        "metrics_connection",
    }
)


class Database(Outputs):
    """A cluster; `status` is `creating`, `online`, `resizing` or `migrating`."""

    id: str | None = None
    name: str | None = None
    engine: str | None = None
    region: str | None = None
    status: str | None = None
    host: str | None = None
    port: int | None = None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Database":
        """What an answer tells of one; TaskFailed when it tells of none."""
        told = found(answer, "database")
        there = mapped(told.get("connection"), SERVICE)
        named = {name: told.get(name) for name in ("id", "name", "engine", "region", "status")}
        return cls(**named, host=there.get("host"), port=there.get("port"))


class DatabaseTask(DigitalOceanTask):
    """Which cluster."""

    database_id: Property[Text]

    @property
    def path(self) -> str:
        """Where the cluster is; TaskFailed when it is not said which."""
        return below("databases", self.database_id, "databaseId")


class Create(DigitalOceanTask):
    """Make a cluster. It takes minutes until it is `online`: `Get` tells."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: database
type: io.kestra.plugin.digitalocean.database.Create
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
name: "{{ inputs.name }}"
engine: pg
engineVersion: "16"
region: nyc1
size: db-s-1vcpu-1gb
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.database.Create"]
    name: Property[Text]
    engine: Property[Text] = Field(description="`pg`, `mysql`, `redis`, `mongodb`, `kafka` or `opensearch`.")
    engine_version: Property[Text]
    region: Property[Text]
    size: Property[Text]
    num_nodes: Property[int] = Field(default=1, ge=1, le=3)

    async def run(self, context: RunContext) -> Database:
        wanted: dict[str, Any] = {"name": self.name, "engine": self.engine, "version": self.engine_version}
        wanted |= {"region": self.region, "size": self.size, "num_nodes": self.num_nodes}
        return Database.of(await self.ask(context, "POST", "databases", json=wanted))


class Get(DatabaseTask):
    """Read what a cluster is and where."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: database
type: io.kestra.plugin.digitalocean.database.Get
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
databaseId: 9cc10173-e9ea-4176-9dbc-a4cee4c4ff30
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.database.Get"]

    async def run(self, context: RunContext) -> Database:
        return Database.of(await self.ask(context, "GET", self.path))


class List(ListTask):
    """All clusters, without what opens them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: databases
type: io.kestra.plugin.digitalocean.database.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.database.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "databases", SECRET)


class Resize(DatabaseTask):
    """Give a cluster another size and number of nodes. It only begins: nobody waits for the end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bigger
type: io.kestra.plugin.digitalocean.database.Resize
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
databaseId: 9cc10173-e9ea-4176-9dbc-a4cee4c4ff30
size: db-s-2vcpu-4gb
numNodes: 2
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.database.Resize"]
    size: Property[Text]
    num_nodes: Property[int] = Field(default=1, ge=1, le=3)

    async def run(self, context: RunContext) -> None:
        await self.ask(context, "PUT", f"{self.path}/resize", json={"size": self.size, "num_nodes": self.num_nodes})


class Delete(DatabaseTask):
    """Destroy a cluster with all that is in it. Nothing brings it back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.digitalocean.database.Delete
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
databaseId: 9cc10173-e9ea-4176-9dbc-a4cee4c4ff30
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.database.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.ask(context, "DELETE", self.path)
