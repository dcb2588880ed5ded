"""`io.kestra.plugin.stripe.payment`: payments, and what customers pay with."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalInteger, OptionalText, Text
from engine.tasks.rest_service import held, mapped
from engine.tasks.stripe_service import StripeTask, step


class Intent(Outputs):
    """A payment, and how far it is."""

    paymentIntentId: str  # noqa: N815 - appears as written
    status: str | None = None
    clientSecret: str | None = None  # noqa: N815


class Created(Intent):
    """A new payment, as Stripe describes it."""

    rawResponse: dict[str, Any]  # noqa: N815 - appears as written


class CreateIntent(StripeTask):
    """Begin a payment."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: charge
type: io.kestra.plugin.stripe.payment.CreateIntent
apiKey: "{{ secret('STRIPE_API_KEY') }}"
amount: 1000
currency: usd
customer: "{{ outputs.customer.customerId }}"
""",
    )
    type: Literal["io.kestra.plugin.stripe.payment.CreateIntent", "io.kestra.plugin.stripe.payment.CreatePaymentIntent"]
    amount: Property[int] = Field(description="In the smallest unit of the currency.")
    currency: Property[Text]
    customer: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Created:
        given = {"amount": self.amount, "currency": self.currency, "customer": self.customer}
        found = await self.stripe(context, "POST", "payment_intents", **given)
        return Created(**_about(context, found), rawResponse=found)


class Confirmed(Intent):
    """A confirmed payment, as Stripe describes it in JSON."""

    raw: str


class ConfirmIntent(StripeTask):
    """Carry a payment out."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: confirm
type: io.kestra.plugin.stripe.payment.ConfirmIntent
apiKey: "{{ secret('STRIPE_API_KEY') }}"
paymentIntentId: "{{ outputs.charge.paymentIntentId }}"
paymentMethod: pm_card_visa
""",
    )
    type: Literal[
        "io.kestra.plugin.stripe.payment.ConfirmIntent", "io.kestra.plugin.stripe.payment.ConfirmPaymentIntent"
    ]
    payment_intent_id: Property[Text]
    payment_method: Property[OptionalText] = None
    return_url: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Confirmed:
        given = {"payment_method": self.payment_method, "return_url": self.return_url}
        found = await self.stripe(context, "POST", f"payment_intents/{step(self.payment_intent_id)}/confirm", **given)
        return Confirmed(**_about(context, found), raw=json.dumps(found))


class Intents(Outputs):
    """Payments, as Stripe describes them."""

    count: int
    paymentIntents: list[dict[str, Any]]  # noqa: N815 - appears as written


class ListIntents(StripeTask):
    """List payments, the newest first."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: payments
type: io.kestra.plugin.stripe.payment.ListIntents
apiKey: "{{ secret('STRIPE_API_KEY') }}"
customer: cus_123456789
limit: 5
""",
    )
    type: Literal["io.kestra.plugin.stripe.payment.ListIntents", "io.kestra.plugin.stripe.payment.ListPaymentIntents"]
    limit: Property[OptionalInteger] = None
    customer: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Intents:
        params = {"limit": self.limit, "customer": self.customer or None}
        found = held(await self.stripe(context, "GET", "payment_intents", **params), "Stripe", "data")
        for one in found:
            _about(context, mapped(one, "Stripe"))
        return Intents(count=len(found), paymentIntents=found)


class Refunded(Outputs):
    """What was given back."""

    refundId: str  # noqa: N815 - appears as written
    status: str | None = None
    amount: int | None = None
    currency: str | None = None
    raw: str


class Refund(StripeTask):
    """Give a payment back, or a part of it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: give_back
type: io.kestra.plugin.stripe.payment.Refund
apiKey: "{{ secret('STRIPE_API_KEY') }}"
paymentIntentId: "{{ inputs.payment }}"
amount: 500
""",
    )
    type: Literal["io.kestra.plugin.stripe.payment.Refund", "io.kestra.plugin.stripe.payment.RefundPayment"]
    charge_id: Property[OptionalText] = None
    payment_intent_id: Property[OptionalText] = None
    amount: Property[OptionalInteger] = None

    async def run(self, context: RunContext) -> Refunded:
        if not self.charge_id and not self.payment_intent_id:
            raise TaskFailed("It is not said what to give back.", fix="Give `chargeId` or `paymentIntentId`.")
        given = {"charge": self.charge_id, "payment_intent": self.payment_intent_id, "amount": self.amount}
        found = await self.stripe(context, "POST", "refunds", **given)
        about = {name: found.get(name) for name in ("status", "amount", "currency")}
        return Refunded(refundId=held(found, "Stripe", "id"), **about, raw=json.dumps(found))


class Method(Outputs):
    """What a customer pays with, as Stripe describes it."""

    paymentMethodId: str  # noqa: N815 - appears as written
    customerId: str | None = None  # noqa: N815
    type: str | None = None
    paymentMethodData: dict[str, Any]  # noqa: N815


class AttachMethod(StripeTask):
    """Let a customer pay with a payment method from now on."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: attach
type: io.kestra.plugin.stripe.payment.AttachMethod
apiKey: "{{ secret('STRIPE_API_KEY') }}"
paymentMethodId: pm_123
customerId: cus_456
""",
    )
    type: Literal["io.kestra.plugin.stripe.payment.AttachMethod", "io.kestra.plugin.stripe.payment.AttachPaymentMethod"]
    payment_method_id: Property[Text]
    customer_id: Property[Text]

    async def run(self, context: RunContext) -> Method:
        path = f"payment_methods/{step(self.payment_method_id)}/attach"
        found = await self.stripe(context, "POST", path, customer=self.customer_id)
        about = {"customerId": found.get("customer"), "type": found.get("type")}
        return Method(paymentMethodId=held(found, "Stripe", "id"), **about, paymentMethodData=found)


class Methods(Outputs):
    """What a customer can pay with."""

    customerId: str  # noqa: N815 - appears as written
    paymentMethodIds: list[str]  # noqa: N815
    raw: str


class ListMethods(StripeTask):
    """List what a customer can pay with."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: methods
type: io.kestra.plugin.stripe.payment.ListMethods
apiKey: "{{ secret('STRIPE_API_KEY') }}"
customerId: cus_456
paymentMethodType: card
""",
    )
    type: Literal["io.kestra.plugin.stripe.payment.ListMethods", "io.kestra.plugin.stripe.payment.ListPaymentMethods"]
    customer_id: Property[Text]
    payment_method_type: Property[Text]

    async def run(self, context: RunContext) -> Methods:
        params = {"customer": self.customer_id, "type": self.payment_method_type.lower()}
        found = await self.stripe(context, "GET", "payment_methods", **params)
        ids = [held(one, "Stripe", "id") for one in held(found, "Stripe", "data")]
        return Methods(customerId=self.customer_id, paymentMethodIds=ids, raw=json.dumps(found))


def _about(context: RunContext, found: dict[str, Any]) -> dict[str, Any]:
    """What is told of a payment; whoever has its secret can pay with it."""
    if secret := found.get("client_secret"):
        context.mask(secret)
    return {
        "paymentIntentId": held(found, "Stripe", "id"),
        "status": found.get("status"),
        "clientSecret": found.get("client_secret"),
    }
