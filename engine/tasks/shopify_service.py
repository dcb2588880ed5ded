"""Shopify's Admin API: which store, who asks, one call, and what becomes of a list."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import FetchType, fetched
from engine.tasks.property_types import OptionalInteger, Text, scalar_to_text

VERSION = "2024-10"


class ShopifyTask(RunnableTask):
    """Which store, and who asks. `kind` is what it is about: "order"."""

    kind: ClassVar[str] = ""
    store_domain: Property[Text]
    access_token: Property[Text]
    api_version: Property[Text] = VERSION
    rate_limit_delay: Property[timedelta] = Field(
        default=timedelta(0), description="A wait before each call; when Shopify asks to wait, that is done anyway."
    )

    async def shopify(self, context: RunContext, method: str, record: int | None = None, **given: Any) -> Any:
        """The JSON of one call about the kind, or about one of them; TaskFailed when Shopify refuses."""
        context.mask(self.access_token)
        await asyncio.sleep(self.rate_limit_delay.total_seconds())
        domain = self.store_domain.rstrip("/")
        base = domain if "://" in domain else f"https://{domain}"
        url = f"{base}/admin/api/{self.api_version}/{self.kind}s{'' if record is None else f'/{record}'}.json"
        headers = {"X-Shopify-Access-Token": self.access_token, "Accept": "application/json"}
        return await rest_service.mapping(context, "Shopify", method, url, headers=headers, **given)

    async def written(self, context: RunContext, about: Mapping[str, Any], record: int | None = None) -> Any:
        """What is kept about a new one, or about one that was there; TaskFailed when nothing is to be kept."""
        kept = {name: value for name, value in about.items() if value is not None}
        if not kept:
            raise TaskFailed(f"It is not said what of the {self.kind} changes.", fix="Give at least one property.")
        method = "POST" if record is None else "PUT"
        body = {self.kind: kept if record is None else {**kept, "id": record}}
        return rest_service.held(await self.shopify(context, method, record, json=body), "Shopify", self.kind)


class ListTask(ShopifyTask):
    """List some; `filters` are the properties that narrow the list, as Shopify calls them too."""

    filters: ClassVar[Sequence[str]] = ()
    fetch_type: Property[FetchType] = "FETCH"
    limit: Property[OptionalInteger] = Field(default=None, ge=1, le=250)

    async def run(self, context: RunContext) -> dict[str, Any]:
        asked = {name: getattr(self, name) for name in ("limit", *self.filters)}
        params = {name: scalar_to_text(value) for name, value in asked.items() if value is not None}
        found = (await self.shopify(context, "GET", params=params)).get(f"{self.kind}s") or []
        kept = await fetched(context, found, self.fetch_type)
        rows = [kept.row] if kept.row is not None else kept.rows
        if self.fetch_type == "FETCH_ONE":
            rows = rows or []
        return {f"{self.kind}s": rows, "count": kept.size, "uri": kept.uri}


async def deleted(task: ShopifyTask, context: RunContext, record: int) -> dict[str, Any]:
    """Delete one; which, and that it is gone."""
    await task.shopify(context, "DELETE", record)
    return {f"{task.kind}Id": record, "deleted": True}
