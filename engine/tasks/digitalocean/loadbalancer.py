"""`io.kestra.plugin.digitalocean.loadbalancer`: what shares requests among droplets."""

from typing import ClassVar, Literal

from engine.plugin import RunContext
from engine.tasks.digitalocean_service import Listed, ListTask


class List(ListTask):
    """All load balancers, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: balancers
type: io.kestra.plugin.digitalocean.loadbalancer.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
fetchType: NONE
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.loadbalancer.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "load_balancers")
