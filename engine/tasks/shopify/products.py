"""`io.kestra.plugin.shopify.products`: what a store sells."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from engine.plugin import Property, RunContext
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.shopify_service import ListTask, ShopifyTask, deleted

Lower = Annotated[OptionalText, BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)]


class List(ListTask):
    """List products."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: on_sale
type: io.kestra.plugin.shopify.products.List
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
status: ACTIVE
limit: 50
""",
    )
    kind: ClassVar[str] = "product"
    filters: ClassVar[Sequence[str]] = (
        "since_id",
        "status",
        "published_status",
        "product_type",
        "vendor",
        "handle",
        "created_at_min",
        "created_at_max",
        "updated_at_min",
        "updated_at_max",
    )
    type: Literal["io.kestra.plugin.shopify.products.List"]
    since_id: Property[OptionalInteger] = None
    status: Property[Lower] = None
    published_status: Property[Lower] = None
    product_type: Property[OptionalText] = None
    vendor: Property[OptionalText] = None
    handle: Property[OptionalText] = None
    created_at_min: Property[OptionalText] = None
    created_at_max: Property[OptionalText] = None
    updated_at_min: Property[OptionalText] = None
    updated_at_max: Property[OptionalText] = None


class WriteTask(ShopifyTask):
    """What is kept about a product."""

    kind: ClassVar[str] = "product"
    body_html: Property[OptionalText] = None
    vendor: Property[OptionalText] = None
    product_type: Property[OptionalText] = None
    tags: Property[TextList | None] = None
    status: Property[Lower] = None
    handle: Property[OptionalText] = None
    template_suffix: Property[OptionalText] = None
    published_scope: Property[OptionalText] = None
    seo_title: Property[OptionalText] = None
    seo_description: Property[OptionalText] = None

    def about(self) -> dict[str, Any]:
        """What was given, in Shopify's words."""
        names = (
            "body_html",
            "vendor",
            "product_type",
            "status",
            "handle",
            "template_suffix",
            "published_scope",
        )
        seo = {"title": self.seo_title, "description": self.seo_description}
        seo = {name: value for name, value in seo.items() if value is not None}
        tags = ",".join(self.tags) if self.tags is not None else None
        return {**{name: getattr(self, name) for name in names}, "tags": tags, "seo": seo or None}


class Create(WriteTask):
    """Create a product, as a draft unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: shirt
type: io.kestra.plugin.shopify.products.Create
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
title: T-shirt
productType: Clothing
tags: [cotton]
""",
    )
    type: Literal["io.kestra.plugin.shopify.products.Create"]
    title: Property[Text]
    status: Property[Lower] = "draft"

    async def run(self, context: RunContext) -> dict[str, Any]:
        return {"product": await self.written(context, {"title": self.title, **self.about()})}


class Update(WriteTask):
    """Change a product."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: sell
type: io.kestra.plugin.shopify.products.Update
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
productId: 123456789
status: active
""",
    )
    type: Literal["io.kestra.plugin.shopify.products.Update"]
    product_id: Property[int]
    title: Property[OptionalText] = None

    async def run(self, context: RunContext) -> dict[str, Any]:
        return {"product": await self.written(context, {"title": self.title, **self.about()}, self.product_id)}


class Get(ShopifyTask):
    """Fetch a product by its id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: one
type: io.kestra.plugin.shopify.products.Get
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
productId: 123456789
""",
    )
    kind: ClassVar[str] = "product"
    type: Literal["io.kestra.plugin.shopify.products.Get"]
    product_id: Property[int]

    async def run(self, context: RunContext) -> dict[str, Any]:
        found = (await self.shopify(context, "GET", self.product_id)).get("product")
        return {"product": found}


class Delete(ShopifyTask):
    """Delete a product."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.shopify.products.Delete
storeDomain: shop.myshopify.com
accessToken: "{{ secret('SHOPIFY_TOKEN') }}"
productId: 123456789
""",
    )
    kind: ClassVar[str] = "product"
    type: Literal["io.kestra.plugin.shopify.products.Delete"]
    product_id: Property[int]

    async def run(self, context: RunContext) -> dict[str, Any]:
        return await deleted(self, context, self.product_id)
