"""`io.kestra.plugin.apify.dataset`: what actors found."""

import asyncio
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.apify_service import ApifyTask
from engine.tasks.property_types import OptionalText, Text, TextList

PATIENCE = timedelta(minutes=5)
LONGEST_WAIT = 32.0


class Items(Outputs):
    """The items."""

    dataset: list[Any]


class Get(ApifyTask):
    """Read the items of a dataset, waiting for the first of them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pages
type: io.kestra.plugin.apify.dataset.Get
apiToken: "{{ secret('APIFY_TOKEN') }}"
datasetId: "{{ outputs.crawl.defaultDatasetId }}"
fields: [url, text]
""",
    )
    type: Literal["io.kestra.plugin.apify.dataset.Get"]
    dataset_id: Property[Text]
    clean: Property[bool] = True
    offset: Property[int] = 0
    limit: Property[int] = 1000
    fields: Property[TextList | None] = None
    omit: Property[TextList | None] = None
    unwind: Property[TextList | None] = None
    flatten: Property[TextList | bool | None] = None
    sort: Property[Literal["ASC", "DESC"]] = "ASC"
    skip_empty: Property[bool] = True
    skip_failed_pages: Property[bool] = False
    skip_hidden: Property[bool] = False
    simplified: Property[bool] = False
    view: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Items:
        params = {
            "format": "json",
            "clean": self.clean,
            "offset": self.offset,
            "limit": self.limit,
            "fields": self.fields,
            "omit": self.omit,
            "unwind": self.unwind,
            "flatten": self.flatten or None,
            "desc": self.sort == "DESC",
            "skipEmpty": self.skip_empty,
            "skipFailedPages": self.skip_failed_pages,
            "skipHidden": self.skip_hidden,
            "simplified": self.simplified,
            "view": self.view,
        }
        wait, left = 0.2, (PATIENCE if self.timeout is None else self.timeout).total_seconds()
        while True:
            found = await self.apify(
                context, "GET", f"datasets/{quote(self.dataset_id, safe='~')}/items", params=params
            )
            if found:
                return Items(dataset=found)
            if left <= 0:
                raise TaskFailed("The dataset stayed empty.", fix="Raise `timeout`, or wait for the actor's end.")
            await asyncio.sleep(min(wait, left))
            left, wait = left - wait, min(wait * 2, LONGEST_WAIT)
