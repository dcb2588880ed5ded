"""`io.kestra.plugin.digitalocean.domain`: zones of names that DigitalOcean answers for."""

from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.digitalocean_service import DigitalOceanTask, Listed, ListTask, below, found
from engine.tasks.property_types import OptionalText, Text


class Domain(Outputs):
    """A zone; `ttl` in seconds, `zoneFile` as BIND writes it, once there is one."""

    name: str | None = None
    ttl: int | None = None
    zoneFile: str | None = None  # noqa: N815 - appears as written

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Domain":
        """What an answer tells of one; TaskFailed when it tells of none."""
        told = found(answer, "domain")
        return cls(name=told.get("name"), ttl=told.get("ttl"), zoneFile=told.get("zone_file"))


class DomainTask(DigitalOceanTask):
    """Which zone."""

    name: Property[Text]

    @property
    def path(self) -> str:
        """Where the zone is; TaskFailed when it is not said which."""
        return below("domains", self.name, "name")


class Create(DigitalOceanTask):
    """Make a zone; with `ipAddress`, with a record of its own name. The name must be registered elsewhere."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: zone
type: io.kestra.plugin.digitalocean.domain.Create
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
name: example.com
ipAddress: 192.0.2.7
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.Create"]
    name: Property[Text]
    ip_address: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Domain:
        wanted = {"name": self.name} | ({"ip_address": self.ip_address} if self.ip_address else {})
        return Domain.of(await self.ask(context, "POST", "domains", json=wanted))


class Get(DomainTask):
    """Read a zone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: zone
type: io.kestra.plugin.digitalocean.domain.Get
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
name: example.com
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.Get"]

    async def run(self, context: RunContext) -> Domain:
        return Domain.of(await self.ask(context, "GET", self.path))


class List(ListTask):
    """All zones, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: zones
type: io.kestra.plugin.digitalocean.domain.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "domains")


class Delete(DomainTask):
    """Take a zone away with all its records. Nothing brings it back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.digitalocean.domain.Delete
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
name: example.com
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.domain.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.ask(context, "DELETE", self.path)
