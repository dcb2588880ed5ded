"""`io.kestra.plugin.x`: posts on X."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.execution_text import TextTask
from engine.tasks.http_options import DEFAULT
from engine.tasks.outbound import deliver
from engine.tasks.property_types import OptionalText, Text

POSTS = "https://api.x.com/2/tweets"
MAX_TEXT = 280


class XExecution(TextTask):
    """Post a text, or a summary of an execution, on X."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.x.XExecution
bearerToken: "{{ secret('X_BEARER_TOKEN') }}"
textBody: "{{ inputs.version }} is out."
""",
        """
id: alert
type: io.kestra.plugin.x.XExecution
consumerKey: "{{ secret('X_CONSUMER_KEY') }}"
consumerSecret: "{{ secret('X_CONSUMER_SECRET') }}"
accessToken: "{{ secret('X_ACCESS_TOKEN') }}"
accessSecret: "{{ secret('X_ACCESS_SECRET') }}"
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.x.XExecution"]
    bearer_token: Property[OptionalText] = Field(default=None, description="A token of OAuth 2; or the four below.")
    consumer_key: Property[OptionalText] = Field(default=None, description="The app's key.")
    consumer_secret: Property[OptionalText] = Field(default=None, description="The app's secret.")
    access_token: Property[OptionalText] = Field(default=None, description="The account's token.")
    access_secret: Property[OptionalText] = Field(default=None, description="The account's secret.")
    url: Property[Text] = Field(default=POSTS, description="Another address than that of X.")

    async def run(self, context: RunContext) -> None:
        text = await self.said_within(context, MAX_TEXT, "X")
        headers = {"Authorization": self._credentials(context)}
        options = self.options or DEFAULT
        await deliver(context, self.url, service="X", options=options, headers=headers, json={"text": text})

    def _credentials(self, context: RunContext) -> str:
        for secret in (self.bearer_token, self.consumer_secret, self.access_token, self.access_secret):
            if secret:
                context.mask(secret)
        if self.bearer_token:
            return f"Bearer {self.bearer_token}"
        if not (self.consumer_key and self.consumer_secret and self.access_token and self.access_secret):
            raise TaskFailed(
                "X wants to know who posts.",
                fix="Give `bearerToken`, or `consumerKey`, `consumerSecret`, `accessToken` and `accessSecret`.",
            )
        parameters = {
            "oauth_consumer_key": self.consumer_key,
            "oauth_nonce": secrets.token_hex(16),
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())),
            "oauth_token": self.access_token,
            "oauth_version": "1.0",
        }
        signature = signed("POST", self.url, parameters, self.consumer_secret, self.access_secret)
        told = {**parameters, "oauth_signature": signature}
        return "OAuth " + ", ".join(f'{name}="{_escaped(value)}"' for name, value in sorted(told.items()))


def signed(method: str, url: str, parameters: Mapping[str, str], secret: str, token_secret: str) -> str:
    """The signature of OAuth 1 (RFC 5849) for a request whose body is not a form."""
    pairs = "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in sorted(parameters.items()))
    text = "&".join((method, _escaped(url), _escaped(pairs)))
    key = f"{_escaped(secret)}&{_escaped(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _escaped(text: str) -> str:
    return quote(text, safe="-._~")
