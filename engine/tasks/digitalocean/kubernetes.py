"""`io.kestra.plugin.digitalocean.kubernetes`: clusters of Kubernetes that DigitalOcean keeps."""

from typing import ClassVar, Literal

from engine.plugin import RunContext
from engine.tasks.digitalocean_service import Listed, ListTask


class List(ListTask):
    """All clusters, as DigitalOcean tells them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: clusters
type: io.kestra.plugin.digitalocean.kubernetes.List
apiToken: "{{ secret('DIGITALOCEAN_TOKEN') }}"
fetchType: NONE
""",
    )
    type: Literal["io.kestra.plugin.digitalocean.kubernetes.List"]

    async def run(self, context: RunContext) -> Listed:
        return await self.listed(context, "kubernetes_clusters", path="kubernetes/clusters")
