"""`io.kestra.plugin.shopify.orders`: orders of a store."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalInteger, OptionalText
from engine.tasks.shopify_service import ListTask, ShopifyTask, deleted


class List(ListTask):
    """List orders."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: paid
type: io.kestra.plugin.shopify.orders.List
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
status: any
financialStatus: paid
""",
    )
    kind: ClassVar[str] = "order"
    filters: ClassVar[Sequence[str]] = (
        "since_id",
        "status",
        "financial_status",
        "fulfillment_status",
        "created_at_min",
        "created_at_max",
        "updated_at_min",
        "updated_at_max",
    )
    type: Literal["io.kestra.plugin.shopify.orders.List"]
    since_id: Property[OptionalInteger] = None
    status: Property[OptionalText] = None
    financial_status: Property[OptionalText] = None
    fulfillment_status: Property[OptionalText] = None
    created_at_min: Property[OptionalText] = None
    created_at_max: Property[OptionalText] = None
    updated_at_min: Property[OptionalText] = None
    updated_at_max: Property[OptionalText] = None


class Get(ShopifyTask):
    """Fetch an order by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: one
type: io.kestra.plugin.shopify.orders.Get
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
orderId: 123456789
""",
    )
    kind: ClassVar[str] = "order"
    type: Literal["io.kestra.plugin.shopify.orders.Get"]
    order_id: Property[int]

    async def run(self, context: RunContext) -> dict[str, Any]:
        found = (await self.shopify(context, "GET", self.order_id)).get("order")
        return {"order": found}


class Delete(ShopifyTask):
    """Delete an order."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.shopify.orders.Delete
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
orderId: 123456789
""",
    )
    kind: ClassVar[str] = "order"
    type: Literal["io.kestra.plugin.shopify.orders.Delete"]
    order_id: Property[int]

    async def run(self, context: RunContext) -> dict[str, Any]:
        return await deleted(self, context, self.order_id)
