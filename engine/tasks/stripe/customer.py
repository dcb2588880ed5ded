"""`io.kestra.plugin.stripe.customer`: customers in Stripe."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.rest_service import held
from engine.tasks.stripe_service import StripeTask, step


class Customer(Outputs):
    """The customer, as Stripe describes it."""

    customerId: str  # noqa: N815 - appears as written
    customerData: dict[str, Any]  # noqa: N815


class WriteTask(StripeTask):
    """What is kept about a customer."""

    name: Property[OptionalText] = None
    email: Property[OptionalText] = None
    metadata: Property[JsonMap | None] = None

    async def written(self, context: RunContext, path: str) -> Customer:
        """The customer once it is written."""
        given = {"name": self.name, "email": self.email, "metadata": self.metadata}
        found = await self.stripe(context, "POST", path, **given)
        return Customer(customerId=held(found, "Stripe", "id"), customerData=found)


class Create(WriteTask):
    """Create a customer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: customer
type: io.kestra.plugin.stripe.customer.Create
apiKey: "{{ secret('STRIPE_API_KEY') }}"
name: Ann
email: ann@example.com
metadata:
  plan: pro
""",
    )
    type: Literal["io.kestra.plugin.stripe.customer.Create", "io.kestra.plugin.stripe.customer.CreateCustomer"]

    async def run(self, context: RunContext) -> Customer:
        return await self.written(context, "customers")


class Update(WriteTask):
    """Change a customer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: change
type: io.kestra.plugin.stripe.customer.Update
apiKey: "{{ secret('STRIPE_API_KEY') }}"
customerId: cus_123456789
email: ann@example.org
""",
    )
    type: Literal["io.kestra.plugin.stripe.customer.Update", "io.kestra.plugin.stripe.customer.UpdateCustomer"]
    customer_id: Property[Text]

    async def run(self, context: RunContext) -> Customer:
        return await self.written(context, f"customers/{step(self.customer_id)}")


class Get(StripeTask):
    """Fetch a customer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: customer
type: io.kestra.plugin.stripe.customer.Get
apiKey: "{{ secret('STRIPE_API_KEY') }}"
customerId: cus_123456789
""",
    )
    type: Literal["io.kestra.plugin.stripe.customer.Get", "io.kestra.plugin.stripe.customer.GetCustomer"]
    customer_id: Property[Text]

    async def run(self, context: RunContext) -> Customer:
        found = await self.stripe(context, "GET", f"customers/{step(self.customer_id)}")
        return Customer(customerId=held(found, "Stripe", "id"), customerData=found)


class Gone(Customer):
    """The customer that was deleted."""

    deleted: bool


class Delete(StripeTask):
    """Delete a customer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.stripe.customer.Delete
apiKey: "{{ secret('STRIPE_API_KEY') }}"
customerId: cus_123456789
""",
    )
    type: Literal["io.kestra.plugin.stripe.customer.Delete", "io.kestra.plugin.stripe.customer.DeleteCustomer"]
    customer_id: Property[Text]

    async def run(self, context: RunContext) -> Gone:
        found = await self.stripe(context, "DELETE", f"customers/{step(self.customer_id)}")
        return Gone(customerId=held(found, "Stripe", "id"), customerData=found, deleted=bool(found.get("deleted")))


class Customers(Outputs):
    """The customers, as Stripe describes them."""

    customers: list[dict[str, Any]]
    totalCount: int  # noqa: N815 - appears as written


class List(StripeTask):
    """List customers, the newest first."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: customers
type: io.kestra.plugin.stripe.customer.List
apiKey: "{{ secret('STRIPE_API_KEY') }}"
limit: 20
""",
    )
    type: Literal["io.kestra.plugin.stripe.customer.List", "io.kestra.plugin.stripe.customer.ListCustomers"]
    limit: Property[int] = Field(default=10, ge=1, le=100)
    email: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Customers:
        found = await self.stripe(context, "GET", "customers", limit=self.limit, email=self.email or None)
        customers = held(found, "Stripe", "data")
        return Customers(customers=customers, totalCount=len(customers))
