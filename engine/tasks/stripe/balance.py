"""`io.kestra.plugin.stripe.balance`: the money of an account."""

from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, RunContext
from engine.tasks.stripe_service import StripeTask


class Balance(Outputs):
    """What is there and what is on its way, by currency, and all that Stripe says."""

    available: list[dict[str, Any]]
    pending: list[dict[str, Any]]
    raw: dict[str, Any]


class Retrieve(StripeTask):
    """Fetch the balance of the account."""

    examples: ClassVar[tuple[str, ...]] = (
        "id: balance\ntype: io.kestra.plugin.stripe.balance.Retrieve\napiKey: \"{{ secret('STRIPE_API_KEY') }}\"\n",
    )
    type: Literal["io.kestra.plugin.stripe.balance.Retrieve", "io.kestra.plugin.stripe.balance.RetrieveBalance"]

    async def run(self, context: RunContext) -> Balance:
        found = await self.stripe(context, "GET", "balance")
        parts = {
            name: [{"currency": one.get("currency"), "amount": one.get("amount")} for one in found.get(name) or ()]
            for name in ("available", "pending")
        }
        return Balance(**parts, raw=found)
