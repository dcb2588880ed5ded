"""`io.kestra.plugin.digitalocean.firewall`: which connections reach droplets, and which leave them."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.digitalocean_service import DigitalOceanTask, Listed, ListTask, below, found
from engine.tasks.property_types import Text, document_from_text

Rules = Annotated[list[dict[str, Any]], BeforeValidator(document_from_text)]
Droplets = Annotated[list[int] | None, BeforeValidator(document_from_text)]


class Firewall(Outputs):
    """A firewall; `status` is `waiting`, `succeeded` or `failed`."""

    id: str | None = None
    name: str | None = None
    status: str | None = None
    createdAt: str | None = None  # noqa: N815 - appears as written

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Firewall":
        """What an answer tells of one; TaskFailed when it tells of none."""
        told = found(answer, "firewall")
        return cls(
            id=told.get("id"), name=told.get("name"), status=told.get("status"), createdAt=told.get("created_at")
        )


class FirewallTask(DigitalOceanTask):
    """Which firewall."""

    firewall_id: Property[Text]

    @property
    def path(self) -> str:
        """Where the firewall is; TaskFailed when it is not said which."""
        return below("firewalls", self.firewall_id, "firewallId")


class Create(DigitalOceanTask):
    """Make a firewall, and put droplets behind it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: firewall
type: io.kestra.plugin.digitalocean.firewall.Create
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
name: web
inboundRules:
  - protocol: tcp
    ports: "443"
    sources: {addresses: ["0.0.0.0/0", "::/0"]}
outboundRules:
  - protocol: tcp
    ports: 1-65535
    destinations: {addresses: ["0.0.0.0/0", "::/0"]}
dropletIds: [3164444]
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.firewall.Create"]
    name: Property[Text]
    inbound_rules: Property[Rules] = Field(
        description="Maps with `protocol`, `ports` and `sources`, in DigitalOcean's own words."
    )
    outbound_rules: Property[Rules] = Field(
        description="Maps with `protocol`, `ports` and `destinations`, in DigitalOcean's own words."
    )
    droplet_ids: Property[Droplets] = None

    async def run(self, context: RunContext) -> Firewall:
        wanted: dict[str, Any] = {"name": self.name, "inbound_rules": self.inbound_rules}
        wanted |= {"outbound_rules": self.outbound_rules}
        wanted |= {"droplet_ids": self.droplet_ids} if self.droplet_ids else {}
        return Firewall.of(await self.ask(context, "POST", "firewalls", json=wanted))


class Get(FirewallTask):
    """Read how a firewall is doing."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: firewall
type: io.kestra.plugin.digitalocean.firewall.Get
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
firewallId: bb4b2611-3d72-467b-8602-280330ecd65c
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.firewall.Get"]

    async def run(self, context: RunContext) -> Firewall:
        return Firewall.of(await self.ask(context, "GET", self.path))


class List(ListTask):
    """All firewalls, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: firewalls
type: io.kestra.plugin.digitalocean.firewall.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.firewall.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "firewalls")


class Delete(FirewallTask):
    """Take a firewall away; the droplets behind it stay. Nothing brings it back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.digitalocean.firewall.Delete
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
firewallId: bb4b2611-3d72-467b-8602-280330ecd65c
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.firewall.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.ask(context, "DELETE", self.path)
