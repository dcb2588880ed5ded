"""`io.kestra.plugin.digitalocean.domain.record`: what the names of a zone stand for."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks import rest_service
from engine.tasks.digitalocean_service import DigitalOceanTask, Listed, ListTask, below, found
from engine.tasks.property_types import Text


class Record(Outputs):
    """A record; `ttl` in seconds."""

    id: int | None = None
    type: str | None = None
    name: str | None = None
    data: str | None = None
    ttl: int | None = None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Record":
        """What an answer tells of one; TaskFailed when it tells of none."""
        told = found(answer, "domain_record")
        return cls(**{name: told.get(name) for name in ("id", "type", "name", "data", "ttl")})


def records_of(domain: str) -> str:
    """Where the records of a zone are; TaskFailed when it is not said which."""
    return f"{below('domains', domain, 'domain')}/records"


class RecordTask(DigitalOceanTask):
    """Which record of which zone."""

    domain: Property[Text]
    record_id: Property[Text]

    @property
    def path(self) -> str:
        """Where the record is; TaskFailed when it is not said which."""
        return below(records_of(self.domain), self.record_id, "recordId")


class Create(DigitalOceanTask):
    """Make a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: www
type: io.kestra.plugin.digitalocean.domain.record.Create
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
domain: example.com
recordType: A
name: www
data: 192.0.2.7
ttl: 300
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.record.Create"]
    domain: Property[Text]
    record_type: Property[Text] = Field(description="`A`, `AAAA`, `CNAME`, `MX`, `TXT`, `SRV`, `NS` or `CAA`.")
    name: Property[Text] = Field(description="The name within the zone, `@` for the zone itself.")
    data: Property[Text] = Field(description="What the name stands for: an address, another name or a text.")
    ttl: Property[int] = Field(default=1800, description="How long others may remember it, in seconds.")
    priority: Property[int | None] = Field(default=None, description="Of `MX` and `SRV`.")
    port: Property[int | None] = Field(default=None, description="Of `SRV`.")
    weight: Property[int | None] = Field(default=None, description="Of `SRV`.")

    async def run(self, context: RunContext) -> Record:
        wanted: dict[str, Any] = {"type": self.record_type, "name": self.name, "data": self.data, "ttl": self.ttl}
        wanted |= rest_service.present(priority=self.priority, port=self.port, weight=self.weight)
        return Record.of(await self.ask(context, "POST", records_of(self.domain), json=wanted))


class Get(RecordTask):
    """Read a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: www
type: io.kestra.plugin.digitalocean.domain.record.Get
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
domain: example.com
recordId: "{{ outputs.made.id }}"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.record.Get"]

    async def run(self, context: RunContext) -> Record:
        return Record.of(await self.ask(context, "GET", self.path))


class List(ListTask):
    """All records of a zone, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: records
type: io.kestra.plugin.digitalocean.domain.record.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
domain: example.com
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.record.List"]
    domain: Property[Text]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "domain_records", path=records_of(self.domain))


class Delete(RecordTask):
    """Take a record out of its zone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.digitalocean.domain.record.Delete
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
domain: example.com
recordId: "{{ outputs.made.id }}"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.record.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.ask(context, "DELETE", self.path)
