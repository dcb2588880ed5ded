"""`io.kestra.plugin.stripe.webhook`: events that Stripe tells of."""

import hashlib
import hmac
import json
import time
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.property_types import OptionalText, Text

TOLERANCE = 300  # seconds an event may be old


class Event(Outputs):
    """The event: what it is about, and how it came."""

    id: str
    type: str
    data: dict[str, Any]
    raw: str


class HandleEvent(RunnableTask):
    """Check that an event is Stripe's own, and read it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: event
type: io.kestra.plugin.stripe.webhook.HandleEvent
payload: "{{ inputs.payload }}"
signatureHeader: "{{ inputs.signature }}"
endpointSecret: "{{ secret('STRIPE_WEBHOOK_SECRET') }}"
""",
    )
    type: Literal["io.kestra.plugin.stripe.webhook.HandleEvent", "io.kestra.plugin.stripe.webhook.HandleWebhookEvent"]
    api_key: Property[OptionalText] = None  # nothing is asked of Stripe
    payload: Property[Text]
    signature_header: Property[Text]
    endpoint_secret: Property[Text]

    async def run(self, context: RunContext) -> Event:
        context.mask(self.endpoint_secret)
        if not signed(self.payload, self.signature_header, self.endpoint_secret, time.time()):
            raise TaskFailed(
                "The event is not signed with this secret, or too old.",
                fix="`payload` must be the body as Stripe sent it, `endpointSecret` that of its webhook (whsec_…).",
            )
        try:
            found = json.loads(self.payload)
            return Event(id=found["id"], type=found["type"], data=found["data"]["object"], raw=self.payload)
        except (ValueError, KeyError, TypeError) as error:
            raise TaskFailed(f"`payload` is not an event of Stripe: {self.payload[:100]!r}.") from error


def signed(payload: str, header: str, secret: str, now: float) -> bool:
    """Whether `t=…,v1=…` signs a payload with a secret, and not too long ago."""
    parts = [part.strip().split("=", 1) for part in header.split(",") if "=" in part]
    moment = next((value for name, value in parts if name == "t"), "")
    if not moment.isdigit() or abs(now - int(moment)) > TOLERANCE:
        return False
    wanted = hmac.new(secret.encode(), f"{moment}.{payload}".encode(), hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(wanted.encode(), value.encode()) for name, value in parts if name == "v1")
