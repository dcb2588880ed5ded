"""`io.kestra.plugin.apify.actor`: programs that run at Apify."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.apify_service import ApifyTask
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalNumber, OptionalText, Text
from engine.tasks.rest_service import held, mapped


class Run(ApifyTask):
    """Start an actor, and wait up to a minute for its end if asked to; all that Apify says of the run is handed on.
    Apify names the run when that wait is over: when the task is killed before, it goes on."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: crawl
type: io.kestra.plugin.apify.actor.Run
apiToken: "{{ secret('APIFY_TOKEN') }}"
actorId: apify~website-content-crawler
input:
  startUrls:
    - url: https://example.com
waitForFinish: 60
""",
    )
    type: Literal["io.kestra.plugin.apify.actor.Run"]
    actor_id: Property[Text]
    input: Property[JsonMap | None] = None
    request_timeout: Property[OptionalNumber] = None
    memory: Property[OptionalText] = None
    max_items: Property[OptionalInteger] = None
    max_total_charge_usd: Property[OptionalNumber] = None
    build: Property[OptionalText] = None
    wait_for_finish: Property[int | None] = Field(default=None, ge=0, le=60)
    webhooks: Property[OptionalText] = None

    async def run(self, context: RunContext) -> dict[str, Any]:
        params = {
            "timeout": self.request_timeout,
            "memory": self.memory and "".join(filter(str.isdigit, self.memory)),
            "maxItems": self.max_items,
            "maxTotalChargeUsd": self.max_total_charge_usd,
            "build": self.build,
            "waitForFinish": self.wait_for_finish,
            "webhooks": self.webhooks,
        }
        path = f"acts/{quote(self.actor_id.replace('/', '~'), safe='~')}/runs"
        found = await self.apify(context, "POST", path, params=params, json=self.input or {})
        return mapped(held(found, "Apify", "data"), "Apify")
