"""`io.kestra.plugin.digitalocean.droplet`: DigitalOcean's virtual machines, from their making to their end."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.durations import Duration
from engine.plugin import Look, Outputs, PollContext, PollingTrigger, Property, RunContext
from engine.tasks.digitalocean_service import (
    SERVICE,
    DigitalOcean,
    DigitalOceanTask,
    Listed,
    ListTask,
    below,
    found,
)
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.rest_service import held, listed, mapped
from engine.tasks.trigger_fields import fields_of

MISSES = 3  # looks in a row without a droplet, after which it is gone


class DropletTask(DigitalOceanTask):
    """Which droplet."""

    droplet_id: Property[Text]

    async def asked(self, context: RunContext, method: str, path: str = "", **given: Any) -> dict[str, Any]:
        """The JSON of one call about the droplet; TaskFailed when DigitalOcean refuses."""
        return await self.ask(context, method, below("droplets", self.droplet_id, "dropletId") + path, **given)

    async def act(self, context: RunContext, **wanted: Any) -> "Acted":
        """Begin something of the droplet; TaskFailed."""
        action = found(await self.asked(context, "POST", "/actions", json=wanted), "action")
        return Acted(actionId=action.get("id"), status=action.get("status"), type=action.get("type"))


class Droplet(Outputs):
    """A droplet; `ip` is its first public address of IPv4."""

    id: int | None = None
    name: str | None = None
    status: str | None = None
    region: str | None = None
    sizeSlug: str | None = None  # noqa: N815 - appears as written
    ip: str | None = None
    createdAt: str | None = None  # noqa: N815

    @classmethod
    def of(cls, answer: dict[str, Any]) -> "Droplet":
        """What an answer tells of one; TaskFailed when it tells of none."""
        droplet = found(answer, "droplet")
        addresses = listed(droplet, SERVICE, "networks", "v4")
        public = [one.get("ip_address") for one in addresses if one.get("type") == "public"]
        return cls(
            id=droplet.get("id"),
            name=droplet.get("name"),
            status=droplet.get("status"),
            region=mapped(droplet.get("region"), SERVICE).get("slug"),
            sizeSlug=droplet.get("size_slug"),
            ip=public[0] if public else None,
            createdAt=droplet.get("created_at"),
        )


class Acted(Outputs):
    """What was begun; `status` is `in-progress`, `completed` or `errored`."""

    actionId: int | None = None  # noqa: N815
    status: str | None = None
    type: str | None = None


class Get(DropletTask):
    """Read a droplet by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: machine
type: io.kestra.plugin.digitalocean.droplet.Get
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
dropletId: "3164444"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.Get"]

    async def run(self, context: RunContext) -> Droplet:
        return Droplet.of(await self.asked(context, "GET"))


class Create(DigitalOceanTask):
    """Make a droplet. It has its address some moments later: `Get` tells it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: machine
type: io.kestra.plugin.digitalocean.droplet.Create
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
name: "{{ inputs.name }}"
region: nyc3
size: s-1vcpu-1gb
image: ubuntu-24-04-x64
tags: [trial]
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.Create"]
    name: Property[Text]
    region: Property[Text]
    size: Property[Text]
    image: Property[Text]
    ssh_keys: Property[TextList] = Field(default_factory=list, description="Fingerprints or ids of keys.")
    tags: Property[TextList] = Field(default_factory=list)
    backups: Property[bool] = False
    ipv6: Property[bool] = False
    user_data: Property[OptionalText] = Field(default=None, description="What cloud-init runs at the first boot.")

    async def run(self, context: RunContext) -> Droplet:
        wanted: dict[str, Any] = {"name": self.name, "region": self.region, "size": self.size, "image": self.image}
        wanted |= {"backups": self.backups, "ipv6": self.ipv6}
        more = {"ssh_keys": self.ssh_keys, "tags": self.tags, "user_data": self.user_data}
        wanted |= {name: value for name, value in more.items() if value}
        return Droplet.of(await self.ask(context, "POST", "droplets", json=wanted))


class List(ListTask):
    """All droplets, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: machines
type: io.kestra.plugin.digitalocean.droplet.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "droplets")


class Action(DropletTask):
    """Switch a droplet on or off, start it anew, or keep how it is. It only begins: nobody waits for the end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: switched_off
type: io.kestra.plugin.digitalocean.droplet.Action
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
dropletId: "3164444"
action: POWER_OFF
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.Action"]
    action: Property[Literal["POWER_ON", "POWER_OFF", "REBOOT", "SNAPSHOT"]]
    name: Property[OptionalText] = Field(default=None, description="Of the snapshot.")

    async def run(self, context: RunContext) -> Acted:
        named = {"name": self.name} if self.action == "SNAPSHOT" and self.name else {}
        return await self.act(context, type=self.action.lower(), **named)


class Resize(DropletTask):
    """Give a droplet another size. It only begins: nobody waits for the end."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bigger
type: io.kestra.plugin.digitalocean.droplet.Resize
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
dropletId: "3164444"
size: s-2vcpu-2gb
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.Resize"]
    size: Property[Text]
    disk: Property[bool] = Field(default=False, description="The disk too, from which there is no way back.")

    async def run(self, context: RunContext) -> Acted:
        return await self.act(context, type="resize", size=self.size, disk=self.disk)


class Delete(DropletTask):
    """Destroy a droplet with its disk; snapshots and backups stay. Nothing brings it back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.digitalocean.droplet.Delete
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
dropletId: "3164444"
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.Delete"]

    async def run(self, context: RunContext) -> None:
        await self.asked(context, "DELETE")


class Appeared(Outputs):
    """A droplet that was not there at the look before."""

    id: int
    name: str | None = None
    region: str | None = None
    status: str | None = None
    createdAt: str | None = None  # noqa: N815


class Trigger(DigitalOcean, PollingTrigger):
    """Start an execution for each new droplet, one a look; not for those of before."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_machines
type: io.kestra.plugin.digitalocean.droplet.Trigger
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
interval: PT5M
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.droplet.Trigger"]
    interval: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))

    async def poll(self, context: PollContext) -> Look:
        fields = await fields_of(self, DigitalOcean, context)
        there = {str(held(one, SERVICE, "id")): one async for one in fields.rows(context, "droplets")}
        if "misses" not in context.memory:
            return Look(None, {"misses": dict.fromkeys(there, 0)})
        known: Mapping[str, int] = context.memory["misses"]
        new = next((one for identity, one in there.items() if identity not in known), None)
        told = [str(new["id"])] if new else []
        memory = {"misses": remembered(known, there, told)}
        if new is None:
            return Look(None, memory)
        made = Droplet.of({"droplet": new})
        return Look(Appeared(**made.model_dump(include=set(Appeared.model_fields))), memory)


def remembered(known: Mapping[str, int], there: Iterable[str], told: Iterable[str]) -> dict[str, int]:
    """Which droplets are known from now on, and at how many looks in a row each was missing: one that a list lacks for
    a moment is no news."""
    present = set(there)
    missing = {one: misses + 1 for one, misses in known.items() if one not in present and misses + 1 < MISSES}
    return missing | {one: 0 for one in known if one in present} | dict.fromkeys(told, 0)
