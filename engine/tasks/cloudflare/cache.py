"""`io.kestra.plugin.cloudflare.cache`: copies of pages that Cloudflare keeps."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.cloudflare_service import SERVICE, CloudflareConnected
from engine.tasks.property_types import TextList

AT_ONCE = 30  # Cloudflare takes no more of a kind in one call on its smaller plans


class Purged(Outputs):
    """The zone, and what Cloudflare calls what it was asked for last."""

    id: str
    requestId: str  # noqa: N815 - appears as written


class Purge(CloudflareConnected, RunnableTask):
    """Let Cloudflare forget its copies: of all pages of a zone, or of some."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: purge
type: io.kestra.plugin.cloudflare.cache.Purge
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
files:
  - https://app.example.com/
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.cache.Purge"]
    purge_all: Property[bool] = False
    files: Property[TextList] = Field(default_factory=list, description="Addresses of pages.")
    hosts: Property[TextList] = Field(default_factory=list)
    tags: Property[TextList] = Field(default_factory=list)
    prefixes: Property[TextList] = Field(default_factory=list)

    async def run(self, context: RunContext) -> Purged:
        some = {"files": self.files, "hosts": self.hosts, "tags": self.tags, "prefixes": self.prefixes}
        bodies: list[dict[str, object]] = [
            {kind: names[start : start + AT_ONCE]}
            for kind, names in some.items()
            for start in range(0, len(names), AT_ONCE)
        ]
        if self.purge_all:
            bodies = [{"purge_everything": True}]
        if not bodies:
            raise TaskFailed(
                "It is not said what to purge.", fix="Give `purgeAll: true`, or `files`, `hosts`, `tags` or `prefixes`."
            )
        told: dict[str, Any] = {}
        for body in bodies:
            told = rest_service.mapped(await self.ask(context, "POST", "purge_cache", json=body), SERVICE)
        return Purged(id=self.zone_id, requestId=str(told.get("id") or self.zone_id))
