"""`io.kestra.plugin.cloudflare.dns.records`: where names lead."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.cloudflare_service import CloudflareConnected
from engine.tasks.property_types import OptionalInteger, Text


class Record(Outputs):
    """The record as it is now; `action` is `created`, `updated` or `unchanged`."""

    id: str
    recordId: str  # noqa: N815 - appears as written
    name: str
    type: str
    content: str
    ttl: int | None = None
    proxied: bool | None = None
    action: Literal["created", "updated", "unchanged"]


class Upsert(CloudflareConnected, RunnableTask):
    """Let a name lead somewhere, whether there is a record of it or not."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dns
type: io.kestra.plugin.cloudflare.dns.records.Upsert
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
recordType: A
name: app.example.com
content: 203.0.113.7
proxied: true
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.Upsert"]
    record_type: Property[Text]
    name: Property[Text]
    content: Property[Text]
    ttl: Property[OptionalInteger] = Field(default=None, description="In seconds; 1: as Cloudflare likes.")
    proxied: Property[bool | None] = None

    async def run(self, context: RunContext) -> Record:
        wanted: dict[str, Any] = {"type": self.record_type.upper(), "name": self.name, "content": self.content}
        wanted |= {"ttl": self.ttl} if self.ttl is not None else {}
        wanted |= {"proxied": self.proxied} if self.proxied is not None else {}
        named = {"type": wanted["type"], "name": self.name}
        there = list(await self.ask(context, "GET", "dns_records", params=named) or ())
        same = [one for one in there if all(one.get(key) == value for key, value in wanted.items() if key != "name")]
        if same:
            return self._told(same[0], "unchanged")
        if len(there) > 1:
            held = ", ".join(str(one.get("content")) for one in there)
            raise TaskFailed(
                f"{self.name} has {len(there)} records of the type {wanted['type']} ({held}).",
                fix="Delete those that are not meant: it can't be told which is to be changed.",
            )
        if not there:
            made = await self.ask(context, "POST", "dns_records", json={"ttl": 1, **wanted})
            return self._told(made, "created")
        return self._told(await self.ask(context, "PATCH", f"dns_records/{there[0]['id']}", json=wanted), "updated")

    def _told(self, record: dict[str, Any], action: Literal["created", "updated", "unchanged"]) -> Record:
        told = {key: str(record[key]) for key in ("id", "name", "type", "content")}
        more = {key: record.get(key) for key in ("ttl", "proxied")}
        return Record(**told, **more, recordId=told["id"], action=action)
