"""`io.kestra.plugin.cloudflare.dns.records`: where names lead."""

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.cloudflare_service import SERVICE, CloudflareConnected
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, document_from_text


class Record(Outputs):
    """The record as it is now."""

    id: str
    recordId: str  # noqa: N815 - appears as written
    name: str
    type: str
    content: str
    ttl: int | None = None
    proxied: bool | None = None


class Led(Record):
    """The record as it is now; `action` is `created`, `updated` or `unchanged`."""

    action: Literal["created", "updated", "unchanged"]


FIELDS = ("id", "name", "type", "content", "ttl", "proxied")


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """What outputs tell of a record of Cloudflare's."""
    told = rest_service.mapped(record, SERVICE)
    return {key: told.get(key) for key in FIELDS}


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

    async def run(self, context: RunContext) -> Led:
        wanted: dict[str, Any] = {"type": self.record_type.upper(), "name": self.name, "content": self.content}
        wanted |= {"ttl": self.ttl} if self.ttl is not None else {}
        wanted |= {"proxied": self.proxied} if self.proxied is not None else {}
        named = {"type": wanted["type"], "name": self.name}
        found = await self.ask(context, "GET", "dns_records", params=named) or ()
        there = [rest_service.mapped(one, SERVICE) for one in found]
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
        known = rest_service.held(there[0], SERVICE, "id")
        return self._told(await self.ask(context, "PATCH", f"dns_records/{known}", json=wanted), "updated")

    def _told(self, record: dict[str, Any], action: Literal["created", "updated", "unchanged"]) -> Led:
        return Led(**_told(record), recordId=str(rest_service.held(record, SERVICE, "id")), action=action)


class Create(CloudflareConnected, RunnableTask):
    """Make a record, whatever other records its name has."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dns
type: io.kestra.plugin.cloudflare.dns.records.Create
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
recordType: TXT
name: _check.example.com
content: "{{ inputs.token }}"
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.Create"]
    record_type: Property[Text]
    name: Property[Text]
    content: Property[Text]
    ttl: Property[int] = Field(default=1, description="In seconds; 1: as Cloudflare likes.")
    proxied: Property[bool] = False

    async def run(self, context: RunContext) -> Record:
        wanted = {"type": self.record_type, "name": self.name, "content": self.content, "ttl": self.ttl}
        made = await self.ask(context, "POST", "dns_records", json={**wanted, "proxied": self.proxied})
        return Record(**_told(made), recordId=str(rest_service.held(made, SERVICE, "id")))


class RecordTask(CloudflareConnected, RunnableTask):
    """Which record of the zone."""

    record_id: Property[Text]

    @property
    def place(self) -> str:
        """Where it lies below the zone; TaskFailed when it is not said which."""
        if not self.record_id.strip():
            raise TaskFailed("It is not said which record.", fix="Give `recordId`.")
        return f"dns_records/{quote(self.record_id.strip(), safe='')}"


class Get(RecordTask):
    """Read a record by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: record
type: io.kestra.plugin.cloudflare.dns.records.Get
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
recordId: 372e67954025e0ba6aaa6d586b9e0b59
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.Get"]

    async def run(self, context: RunContext) -> Record:
        found = await self.ask(context, "GET", self.place)
        return Record(**_told(found), recordId=str(rest_service.held(found, SERVICE, "id")))


class Updated(Outputs):
    """The record."""

    id: str


class Update(RecordTask):
    """Change of a record what is given, and leave the rest."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: moved
type: io.kestra.plugin.cloudflare.dns.records.Update
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
recordId: 372e67954025e0ba6aaa6d586b9e0b59
content: 203.0.113.8
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.Update"]
    record_type: Property[OptionalText] = None
    name: Property[OptionalText] = None
    content: Property[OptionalText] = None
    ttl: Property[OptionalInteger] = None
    proxied: Property[bool | None] = None

    async def run(self, context: RunContext) -> Updated:
        given = {
            "type": self.record_type,
            "name": self.name,
            "content": self.content,
            "ttl": self.ttl,
            "proxied": self.proxied,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        changed = await self.ask(context, "PATCH", self.place, json=changes)
        return Updated(id=str(rest_service.held(changed, SERVICE, "id")))


class Deleted(Outputs):
    """The record that is gone."""

    deletedId: str  # noqa: N815 - appears as written


class Delete(RecordTask):
    """Delete a record."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: gone
type: io.kestra.plugin.cloudflare.dns.records.Delete
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
recordId: "{{ outputs.dns.recordId }}"
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.Delete"]

    async def run(self, context: RunContext) -> Deleted:
        gone = await self.ask(context, "DELETE", self.place)
        return Deleted(deletedId=str(rest_service.held(gone, SERVICE, "id")))


class Records(Outputs):
    """The records: of each its `id`, `name`, `type`, `content`, `ttl` and `proxied`."""

    records: list[dict[str, Any]]


class List(CloudflareConnected, RunnableTask):
    """All records of a zone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: records
type: io.kestra.plugin.cloudflare.dns.records.List
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.List"]

    async def run(self, context: RunContext) -> Records:
        return Records(records=[_told(one) for one in await self.results(context, self.below("dns_records"))])


class NewRecord(Part):
    """A record to make."""

    type: OptionalText = None
    name: OptionalText = None
    content: OptionalText = None
    ttl: OptionalInteger = None
    proxied: bool | None = None


class ChangedRecord(NewRecord):
    """What is to change of a record."""

    id: Text


class OldRecord(Part):
    """A record to take away."""

    id: Text


class Done(Outputs):
    """That Cloudflare did it."""

    success: bool = True


class Batch(CloudflareConnected, RunnableTask):
    """Delete, change and make many records at once: all of them, or none."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: moved
type: io.kestra.plugin.cloudflare.dns.records.Batch
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
posts:
  - {type: A, name: app1.example.com, content: 203.0.113.7, ttl: 1}
patches:
  - {id: 372e67954025e0ba6aaa6d586b9e0b59, content: 203.0.113.8}
deletes:
  - id: 1f1f679540a5e0ba6aaa6d586b9e0b5f
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.dns.records.Batch"]
    posts: Property[Annotated[list[NewRecord] | None, BeforeValidator(document_from_text)]] = None
    patches: Property[Annotated[list[ChangedRecord] | None, BeforeValidator(document_from_text)]] = None
    deletes: Property[Annotated[list[OldRecord] | None, BeforeValidator(document_from_text)]] = None

    async def run(self, context: RunContext) -> Done:
        given = {"posts": self.posts, "patches": self.patches, "deletes": self.deletes}
        body = {name: [one.model_dump(exclude_none=True) for one in some] for name, some in given.items() if some}
        if not body:
            raise TaskFailed("It is not said what to do.", fix="Give `posts`, `patches` or `deletes`.")
        await self.ask(context, "POST", "dns_records/batch", json=body)
        return Done()
