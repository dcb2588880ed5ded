"""`io.kestra.plugin.n8n.webhook`: workflows of n8n that begin with a webhook."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.http_bodies import form_field, header
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.rest_service import call, parsed

KINDS = {
    "BINARY": "application/octet-stream",
    "JSON": "application/json",
    "XML": "application/xml",
    "TEXT": "text/plain",
}


class Authentication(Part):
    """Who we are to the webhook: a user, a header, or a token."""

    type: Literal["BasicAuth", "HeaderAuth", "JWTAuth"]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    name: Property[OptionalText] = None
    value: Property[OptionalText] = None
    jwt: Property[OptionalText] = None

    def secured(self, context: RunContext, options: HttpOptions, headers: dict[str, str]) -> HttpOptions:
        """The options that say who we are; a header is added to the headers."""
        for secret in (self.password, self.value, self.jwt):
            if secret:
                context.mask(secret)
        if self.type == "HeaderAuth":
            if not self.name:
                raise TaskFailed("`authentication` has no header.", fix="Give its `name` and `value`.")
            headers[self.name] = header(self.value or "")
            return options
        is_user = self.type == "BasicAuth"
        basic = Auth(type="BASIC", username=self.username, password=self.password)
        auth = basic if is_user else Auth(type="BEARER", token=self.jwt)
        return options.model_copy(update={"auth": auth})


class Answered(Outputs):
    """What the workflow answered: JSON as what it is, everything else as text; nothing unless waited for."""

    statusCode: int  # noqa: N815 - appears as written
    body: Any = None


class TriggerWorkflow(RunnableTask):
    """Call the webhook of a workflow."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hand_over
type: io.kestra.plugin.n8n.webhook.TriggerWorkflow
uri: https://n8n.example.com/webhook/213e8fbc-f843-428c-9860-ab9f64e5ef3b
method: POST
authentication:
  type: BasicAuth
  username: flows
  password: "{{ secret('N8N_PASSWORD') }}"
body:
  order: "{{ inputs.order }}"
""",
    )
    type: Literal["io.kestra.plugin.n8n.webhook.TriggerWorkflow", "io.kestra.plugin.n8n.TriggerWorkflow"]
    uri: Property[Text]
    method: Property[Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]]
    authentication: Authentication | None = None
    body: Property[JsonMap | None] = None
    from_: Property[OptionalText] = Field(default=None, alias="from")
    content_type: Property[Literal["BINARY", "JSON", "XML", "TEXT"]] = "BINARY"
    query_parameters: Property[JsonMap | None] = None
    headers: Property[JsonMap | None] = None
    wait: Property[bool] = True
    options: Property[HttpOptions | None] = None

    async def run(self, context: RunContext) -> Answered:
        if self.from_ and self.body:
            raise TaskFailed("Both `from` and `body` are given.", fix="Leave out one of them.")
        headers = {str(name): header(value) for name, value in (self.headers or {}).items()}
        given: dict[str, Any] = {"headers": headers}
        if self.body:
            given["json"] = self.body
        if self.from_:
            given["content"] = await context.files.read(self.from_)
            headers.setdefault("Content-Type", KINDS[self.content_type])
        if self.query_parameters:
            given["params"] = {name: form_field(value) for name, value in self.query_parameters.items()}
        options = self.options or DEFAULT
        if self.authentication:
            options = self.authentication.secured(context, options, headers)
        answer = await call(context, "n8n", self.method, self.uri, options=options, **given)
        if not self.wait:
            return Answered(statusCode=answer.code)
        is_json = "application/json" in answer.headers.get("content-type", "")
        return Answered(statusCode=answer.code, body=parsed(answer, "n8n") if is_json else answer.text)
