"""The trigger that an HTTP request fires."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from engine.core.property import Property
from engine.core.request_triggers import Arrived, Heard, RequestTrigger, read_body


class Webhook(RequestTrigger):
    """Start an execution when a request comes whose address holds the key."""

    examples = (
        """
        id: on_payment
        type: io.kestra.plugin.core.trigger.Webhook
        key: "{{ secret('PAYMENT_WEBHOOK_KEY') }}"
        """,
        """
        id: handshake
        type: io.kestra.plugin.core.trigger.Webhook
        key: "{{ secret('HANDSHAKE_WEBHOOK_KEY') }}"
        wait: true
        returnOutputs: true
        responseContentType: text/plain
        """,
        """
        id: on_upload
        type: io.kestra.plugin.core.trigger.Webhook
        key: "{{ secret('UPLOAD_WEBHOOK_KEY') }}"
        when: "{{ trigger.parts[0].size > 0 and trigger.formFields.team[0] == 'ops' }}"
        """,
    )
    type: Literal["io.kestra.plugin.core.trigger.Webhook", "io.kestra.core.models.triggers.types.Webhook"]
    fetch_type: Literal["FETCH", "STORE", "NONE"] = Field(
        default="FETCH",
        description="Where the body goes: to `trigger.body` (bytes as base64), into a file at `trigger.uri`, nowhere. "
        "Files of a `multipart/form-data` body are always files at `trigger.parts[n].uri`, what else it holds is in "
        "`trigger.formFields`.",
    )
    wait: bool = Field(default=False, description="Answer when the execution has ended.")
    return_outputs: bool = Field(default=False, description="Answer with the flow's outputs; needs `wait`.")
    response_content_type: Literal["application/json", "text/plain"] | None = Field(
        default=None, description="Of the outputs. As text/plain a single text output is sent as it is."
    )
    response_code: Property[int] | None = Field(
        default=None, description="Status of the answer after `wait`; 200, or 500 when the execution failed."
    )

    @model_validator(mode="after")
    def _waits_for_what_it_answers(self) -> "Webhook":
        late = {"returnOutputs": self.return_outputs, "responseCode": self.response_code is not None}
        named = next((name for name, given in late.items() if given), None)
        if named and not self.wait:
            raise ValueError(f"invalid webhook: `{named}` requires `wait: true`")
        if self.response_content_type and not self.return_outputs:
            raise ValueError("invalid webhook: `responseContentType` requires `wait` and `returnOutputs` to be true")
        return self

    @model_validator(mode="after")
    def _looks_at_requests_only(self) -> "Webhook":
        if any(condition.type.endswith(".MultipleCondition") for condition in self.conditions):
            raise ValueError("invalid webhook: conditions of type MultipleCondition are not supported")
        return self

    def admit(self, arrived: Arrived, credentials: Mapping[str, str], now: datetime) -> Heard:
        """Any request that has the key."""
        return Heard(arrived.variables(read_body(arrived.body)))
