"""`io.kestra.plugin.digitalocean.volume`: disks that droplets take along."""

from typing import ClassVar, Literal

from engine.plugin import RunContext
from engine.tasks.digitalocean_service import Listed, ListTask


class List(ListTask):
    """All disks, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: volumes
type: io.kestra.plugin.digitalocean.volume.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
fetchType: NONE
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.volume.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "volumes")
