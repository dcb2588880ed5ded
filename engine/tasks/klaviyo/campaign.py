"""`io.kestra.plugin.klaviyo.campaign`: campaigns of Klaviyo."""

from typing import ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import Text, TextList

REVISION = "2025-10-15"  # of Klaviyo's API


class Get(RunnableTask):
    """Read campaigns, in the order of their ids: of each what Klaviyo has in `data`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: campaigns
type: io.kestra.plugin.klaviyo.campaign.Get
apiKey: "{{ secret('KLAVIYO_API_KEY') }}"
campaignIds: "{{ inputs.campaign_ids }}"
""",
    )
    type: Literal["io.kestra.plugin.klaviyo.campaign.Get"]
    api_key: Property[Text]
    base_url: Property[Text] = "https://a.klaviyo.com/api"
    campaign_ids: Property[TextList]
    fetch_type: Property[FetchType] = "FETCH"

    async def run(self, context: RunContext) -> Fetched:
        context.mask(self.api_key)
        headers = {"Authorization": f"Klaviyo-API-Key {self.api_key}", "revision": REVISION}
        headers |= {"Accept": "application/vnd.api+json"}
        rows = []
        for one in self.campaign_ids:
            url = f"{self.base_url.rstrip('/')}/campaigns/{quote(one, safe='')}"
            answer = await rest_service.mapping(context, "Klaviyo", "GET", url, headers=headers)
            if isinstance(row := answer.get("data"), dict):
                rows.append(row)
        return await fetched(context, rows, self.fetch_type)
