"""`io.kestra.plugin.digitalocean.droplet`: DigitalOcean's virtual machines, read and destroyed."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.http_options import HttpOptions
from engine.tasks.property_types import Text


class DropletTask(RunnableTask):
    """Which droplet, and who asks."""

    api_token: Property[Text]
    base_url: Property[Text] = "https://api.digitalocean.com"
    options: Property[HttpOptions | None] = None
    droplet_id: Property[Text]

    async def asked(self, context: RunContext, method: str) -> Any:
        """The JSON of one call about the droplet; TaskFailed when DigitalOcean refuses."""
        context.mask(self.api_token)
        if not self.droplet_id.strip():
            raise TaskFailed("It is not said which droplet.", fix="Give `dropletId`.")
        url = f"{self.base_url.rstrip('/')}/v2/droplets/{quote(self.droplet_id.strip(), safe='')}"
        headers = {"Authorization": f"Bearer {self.api_token}"}
        return await rest_service.document(context, "DigitalOcean", method, url, options=self.options, headers=headers)


class Droplet(Outputs):
    """A droplet; `ip` is its first public address of IPv4."""

    id: int | None = None
    name: str | None = None
    status: str | None = None
    region: str | None = None
    sizeSlug: str | None = None  # noqa: N815 - appears as written
    ip: str | None = None
    createdAt: str | None = None  # noqa: N815


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
        answer = await self.asked(context, "GET")
        found = answer.get("droplet") if isinstance(answer, dict) else None
        if not isinstance(found, dict):
            raise TaskFailed("DigitalOcean answered without a droplet.", fix="Check `baseUrl`.")
        addresses = (found.get("networks") or {}).get("v4") or []
        public = [one.get("ip_address") for one in addresses if one.get("type") == "public"]
        return Droplet(
            id=found.get("id"),
            name=found.get("name"),
            status=found.get("status"),
            region=(found.get("region") or {}).get("slug"),
            sizeSlug=found.get("size_slug"),
            ip=public[0] if public else None,
            createdAt=found.get("created_at"),
        )


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
