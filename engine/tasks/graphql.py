"""`io.kestra.plugin.graphql`: queries and mutations of any service that speaks GraphQL."""

import json
from contextlib import ExitStack
from typing import Any, ClassVar, Literal

import httpx
from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.core.http import HttpTask, Method
from engine.tasks.http_bodies import grouped
from engine.tasks.outbound import send
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.rest_service import parsed


class Response(Outputs):
    """What the service answered: `body` is its `data`, `error` its `errors`."""

    uri: str
    code: int
    headers: dict[str, list[str]]
    body: Any = None
    error: Any = None
    encryptedBody: str | None = None  # noqa: N815 - appears as written


class Request(HttpTask):
    """Send a query or a mutation, and hand on its data."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: person
type: io.kestra.plugin.graphql.Request
uri: https://api.example.com/graphql
headers:
  Authorization: "Bearer {{ secret('API_TOKEN') }}"
query: |
  query Person($id: ID!) {
    user(id: $id) { name email }
  }
variables:
  id: "{{ inputs.person }}"
failOnGraphQLErrors: true
""",
    )
    type: Literal["io.kestra.plugin.graphql.Request"]
    method: Property[Method] = "POST"
    query: Property[Text]
    variables: Property[JsonMap | None] = None
    operation_name: Property[OptionalText] = None
    fail_on_graphql_errors: Property[bool] = Field(default=False, alias="failOnGraphQLErrors")
    encrypt_body: Property[bool] = Field(
        default=False, description="True: the answer is `encryptedBody`, a secret in the database, logs and cards."
    )

    async def run(self, context: RunContext) -> Response:
        options = self.effective_options()
        asked: dict[str, Any] = {"query": self.query}
        if self.variables is not None:
            asked["variables"] = self.variables
        if self.operation_name:
            asked["operationName"] = self.operation_name
        body = json.dumps(asked, ensure_ascii=False)
        with ExitStack() as stack:
            call = self.model_copy(update={"body": body, "form_data": None}).call(context, stack)
            if "REQUEST_BODY" in options.told:
                context.log(body)
            answer = await send(context, self.method, self.uri, options=options, **call)
        self.measure(context, httpx.URL(answer.url), answer.code, len(body), len(answer.content))
        if self.encrypt_body:
            context.mask(answer.text)
        if "RESPONSE_BODY" in options.told:
            context.log(answer.text)
        self.judge(answer.code, answer.text, options, answer.url)
        told = parsed(answer, "The service")
        if not isinstance(told, dict):
            told = {"data": told}
        if (errors := told.get("errors")) and self.fail_on_graphql_errors:
            raise TaskFailed(f"The query failed: {_said(errors)}", fix="Look at the query and its variables.")
        given = {"encryptedBody": answer.text} if self.encrypt_body else {"body": told.get("data")}
        about = {"uri": answer.url, "code": answer.code, "headers": grouped(answer.headers)}
        return Response(**about, error=told.get("errors"), **given)


def _said(errors: Any) -> str:
    """What the errors say, the first few of them."""
    listed = errors if isinstance(errors, list) else [errors]
    texts = [one.get("message") if isinstance(one, dict) else None for one in listed[:5]]
    return "; ".join(str(text or json.dumps(one))[:300] for text, one in zip(texts, listed, strict=False))
