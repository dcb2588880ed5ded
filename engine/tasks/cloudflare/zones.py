"""`io.kestra.plugin.cloudflare.zones`: the domains that Cloudflare serves."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import model_validator

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.cloudflare_service import SERVICE, CloudflareAccount
from engine.tasks.property_types import OptionalText
from engine.tasks.rest_service import mapped


class Zone(Outputs):
    """A zone; `status` is `active`, `pending` and the like."""

    id: str
    name: str | None = None
    status: str | None = None


class Zones(Outputs):
    """The zones: of each its `id`, `name` and `status`."""

    zones: list[dict[str, Any]]


class Get(CloudflareAccount, RunnableTask):
    """Find a zone by its id or by its name."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: zone
type: io.kestra.plugin.cloudflare.zones.Get
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
hostname: example.com
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.zones.Get"]
    zone_id: Property[OptionalText] = None
    hostname: Property[OptionalText] = None

    @model_validator(mode="after")
    def _names_one(self) -> "Get":
        if self.zone_id is None and self.hostname is None:
            raise ValueError("it needs its `zoneId` or its `hostname`")
        return self

    async def run(self, context: RunContext) -> Zone:
        if self.zone_id:
            found = await self.result(context, "GET", f"zones/{quote(self.zone_id, safe='')}")
        else:
            named = (
                await self.result(context, "GET", "zones", params={"name": self.hostname or ""})
                if self.hostname
                else []
            )
            if not named:
                raise TaskFailed(f"No zone is called {self.hostname!r}.", fix="The token must be allowed to read it.")
            found = next(iter(named))
        return Zone(**_told(mapped(found, SERVICE)))


class List(CloudflareAccount, RunnableTask):
    """All zones that the token may read."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: zones
type: io.kestra.plugin.cloudflare.zones.List
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.zones.List"]

    async def run(self, context: RunContext) -> Zones:
        return Zones(zones=[_told(mapped(one, SERVICE)) for one in await self.results(context, "zones")])


def _told(zone: dict[str, Any]) -> dict[str, Any]:
    return {key: zone.get(key) for key in ("id", "name", "status")}
