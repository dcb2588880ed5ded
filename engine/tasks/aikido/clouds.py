"""`io.kestra.plugin.aikido.clouds`: what Aikido sees in connected clouds."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks.aikido_service import AikidoConnected
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import OptionalInteger, OptionalText


class ListAssets(AikidoConnected, RunnableTask):
    """List the assets of connected clouds."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: machines
type: io.kestra.plugin.aikido.clouds.ListAssets
clientId: "{{ secret('AIKIDO_CLIENT_ID') }}"
clientSecret: "{{ secret('AIKIDO_CLIENT_SECRET') }}"
assetType: AWS::EC2::Instance
fetchType: STORE
""",
    )
    type: Literal["io.kestra.plugin.aikido.clouds.ListAssets", "io.kestra.plugin.aikido.clouds.ListCloudAssets"]
    cloud_id: Property[OptionalInteger] = None
    asset_type: Property[OptionalText] = None
    region: Property[OptionalText] = None
    provider: Property[OptionalText] = None
    search: Property[OptionalText] = None
    include_metadata: Property[bool] = False
    page_size: Property[int] = Field(default=20, ge=10, le=100)
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Fetched:
        found = await (await self.session(context)).pages(
            "clouds/assets",
            self.page_size,
            key="assets",
            cloud_id=self.cloud_id,
            asset_type=self.asset_type or None,
            region=self.region or None,
            provider=self.provider or None,
            search=self.search or None,
            include_metadata=self.include_metadata,
        )
        return await fetched(context, found, self.fetch_type)
