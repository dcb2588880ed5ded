"""`io.kestra.plugin.shopify.customers`: who buys in a store."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.shopify_service import ListTask, ShopifyTask, deleted


class List(ListTask):
    """List customers."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: everybody
type: io.kestra.plugin.shopify.customers.List
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
limit: 250
fetchType: STORE
""",
    )
    kind: ClassVar[str] = "customer"
    type: Literal["io.kestra.plugin.shopify.customers.List"]


class Create(ShopifyTask):
    """Create a customer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: customer
type: io.kestra.plugin.shopify.customers.Create
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
email: ann@example.com
firstName: Ann
""",
    )
    kind: ClassVar[str] = "customer"
    type: Literal["io.kestra.plugin.shopify.customers.Create"]
    email: Property[Text]
    first_name: Property[OptionalText] = None
    last_name: Property[OptionalText] = None
    phone: Property[OptionalText] = None

    async def run(self, context: RunContext) -> dict[str, Any]:
        names = ("email", "first_name", "last_name", "phone")
        return {"customer": await self.written(context, {name: getattr(self, name) for name in names})}


class Get(ShopifyTask):
    """Fetch a customer by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: one
type: io.kestra.plugin.shopify.customers.Get
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
customerId: 123456789
""",
    )
    kind: ClassVar[str] = "customer"
    type: Literal["io.kestra.plugin.shopify.customers.Get"]
    customer_id: Property[int]

    async def run(self, context: RunContext) -> dict[str, Any]:
        found = (await self.shopify(context, "GET", self.customer_id)).get("customer")
        return {"customer": found}


class Delete(ShopifyTask):
    """Delete a customer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.shopify.customers.Delete
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
customerId: 123456789
""",
    )
    kind: ClassVar[str] = "customer"
    type: Literal["io.kestra.plugin.shopify.customers.Delete"]
    customer_id: Property[int]

    async def run(self, context: RunContext) -> dict[str, Any]:
        return await deleted(self, context, self.customer_id)
