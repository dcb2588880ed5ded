"""Azure's Service Bus over HTTP: who asks, and messages sent, locked, taken out and let go again."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, quote_plus, urlsplit

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.entra import credential_of
from engine.tasks.extras import extra
from engine.tasks.outbound import Answer
from engine.tasks.property_types import OptionalText
from engine.tasks.threads import in_own_thread

SERVICE = "Service Bus"
SCOPE = "https://servicebus.azure.net/.default"
LASTING = 3600  # seconds that a signature holds
SUB_QUEUES = {"DEAD_LETTER_QUEUE": "/$deadletterqueue", "TRANSFER_DEAD_LETTER_QUEUE": "/$Transfer/$deadletterqueue"}


class BusConnected(Part):
    """Which queue or topic, and who asks."""

    connection_string: Property[OptionalText] = None
    queue_name: Property[OptionalText] = None
    topic_name: Property[OptionalText] = None
    subscription_name: Property[OptionalText] = None
    serde_type: Property[Literal["STRING", "JSON"]] = "STRING"
    tenant_id: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    pem_certificate: Property[OptionalText] = None

    async def bus(self, context: RunContext, sub_queue: str = "NONE", *, hears: bool = False) -> "Bus":
        """The queue, the topic, or (`hears`) the topic's subscription; TaskFailed when it is not said which."""
        for secret in (self.connection_string, self.client_secret, self.pem_certificate):
            if secret:
                context.mask(secret)
        if not self.connection_string:
            fix = "Give `connectionString`; without a key in it, also `tenantId`, `clientId` and `clientSecret`."
            raise TaskFailed("It is not said which Service Bus.", fix=fix)
        if bool(self.queue_name) == bool(self.topic_name):
            raise TaskFailed("Either `queueName` or `topicName` says where.", fix="Give one of the two.")
        if hears and self.topic_name and not self.subscription_name:
            raise TaskFailed("A topic is heard by a subscription.", fix="Give `subscriptionName`.")
        parts = dict(part.split("=", 1) for part in self.connection_string.split(";") if "=" in part)
        place = urlsplit(parts.get("Endpoint", ""))
        if not place.hostname:
            raise TaskFailed("`connectionString` names no `Endpoint`.", fix="Copy it from `Shared access policies`.")
        key = parts.get("SharedAccessKey")
        if key:
            context.mask(key)
        path = quote(self.queue_name or self.topic_name or "", safe="/")
        if hears and self.topic_name:
            path += f"/subscriptions/{quote(self.subscription_name or '', safe='')}"
        scheme = "http" if place.scheme == "http" or parts.get("UseDevelopmentEmulator") == "true" else "https"
        base = f"{scheme}://{place.netloc}"
        token = None if key else await self._token(context)
        url = f"{base}/{path}{SUB_QUEUES.get(sub_queue, '')}"
        return Bus(context, base, url, parts.get("SharedAccessKeyName", ""), key, token)

    async def _token(self, context: RunContext) -> str:
        """A token for an app; TaskFailed when there is none to be had."""
        errors = extra("azure.core.exceptions", "azure")
        credential = credential_of(self.tenant_id, self.client_id, self.client_secret, self.pem_certificate)
        if credential is None:
            fix = "Give a `connectionString` with a key, or `tenantId`, `clientId` and `clientSecret`."
            raise TaskFailed("It is not said who asks.", fix=fix)
        try:
            token = str((await in_own_thread(lambda: credential.get_token(SCOPE))).token)
        except (errors.ClientAuthenticationError, ValueError) as error:
            fix = "Check `tenantId`, `clientId` and `clientSecret`."
            raise TaskFailed(f"Azure gave no token: {error}", fix=fix) from error
        context.mask(token)
        return token


@dataclass(frozen=True, slots=True)
class Received:
    """A message: what the service says of it, and where its lock is let go; "" when it is taken out already."""

    body: bytes
    about: Mapping[str, Any] = field(default_factory=dict)
    lock: str = ""


class Bus:
    """A queue, a topic or a subscription."""

    def __init__(self, context: RunContext, base: str, url: str, name: str, key: str | None, token: str | None) -> None:
        self._context, self._base, self._url = context, base, url
        self._name, self._key, self._token = name, key, token

    async def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a message; TaskFailed when the service refuses."""
        await self._call("POST", f"{self._url}/messages", content=body, headers=headers)

    async def receive(self, patience: float, *, locks: bool) -> Received | None:
        """The next message, locked or taken out; None when none came in time."""
        how = "POST" if locks else "DELETE"
        answer = await self._call(how, f"{self._url}/messages/head", params={"timeout": str(max(round(patience), 1))})
        if answer.code == 204:
            return None
        about = json.loads(answer.headers.get("brokerproperties") or "{}")
        return Received(answer.content, about, answer.headers.get("location", "") if locks else "")

    async def complete(self, one: Received) -> None:
        """Take a message out; one whose lock has ended comes again."""
        if one.lock:
            try:
                await self._call("DELETE", one.lock)
            except TaskFailed as error:
                self._context.log(f"A message could not be taken out, and comes again: {error.message}", "WARN")

    async def release(self, one: Received) -> None:
        """Let others have a message, if that can be said; its lock ends anyway."""
        if one.lock:
            try:
                await asyncio.shield(self._call("PUT", one.lock))
            except TaskFailed:
                self._context.log("A message stays locked for a while.", "WARN")

    async def _call(self, method: str, url: str, headers: Mapping[str, str] | None = None, **given: Any) -> Answer:
        if urlsplit(url).netloc != urlsplit(self._base).netloc:
            raise TaskFailed(f"Service Bus names a lock elsewhere: {url}.")
        signed = {"Authorization": self._signature(), **(headers or {})}
        return await rest_service.call(self._context, SERVICE, method, url, headers=signed, **given)

    def _signature(self) -> str:
        """What says who asks: a token, or a signature of the address and the time until which it holds."""
        if not self._key:
            return f"Bearer {self._token}"
        place, until = quote_plus(self._base), int(time.time()) + LASTING
        signed = hmac.new(self._key.encode(), f"{place}\n{until}".encode(), hashlib.sha256).digest()
        mark = quote_plus(base64.b64encode(signed))
        return f"SharedAccessSignature sr={place}&sig={mark}&se={until}&skn={self._name}"
