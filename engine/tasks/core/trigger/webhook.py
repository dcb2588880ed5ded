"""The trigger that an HTTP request fires."""

from typing import Literal

from pydantic import Field, model_validator

from engine.core.triggers import Trigger


class Webhook(Trigger):
    """Start an execution when a request comes whose address holds the key."""

    examples = (
        """
        id: on_payment
        type: io.kestra.plugin.core.trigger.Webhook
        key: "{{ secret('PAYMENT_WEBHOOK_KEY') }}"
        """,
    )
    type: Literal["io.kestra.plugin.core.trigger.Webhook", "io.kestra.core.models.triggers.types.Webhook"]
    key: str = Field(
        min_length=1, max_length=256, description="The credential in the address; may be a {{ template }}."
    )
    wait: bool = False
    return_outputs: bool = False
    response_content_type: str | None = None
    response_code: int | None = None

    @model_validator(mode="after")
    def _looks_at_requests_only(self) -> "Webhook":
        if any(condition.type.endswith(".MultipleCondition") for condition in self.conditions):
            raise ValueError("invalid webhook: conditions of type MultipleCondition are not supported")
        return self
