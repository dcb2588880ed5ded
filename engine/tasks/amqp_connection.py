"""What AMQP's tasks and triggers share: a channel, and messages as flows see them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from ssl import SSLContext, SSLError, create_default_context
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from engine.plugin import Message, Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.extras import extra
from engine.tasks.message_files import come, held
from engine.tasks.property_types import OptionalText

SerdeType = Literal["STRING", "JSON"]
PORTS = {"amqp": 5672, "amqps": 5671}
PATIENCE = 15  # seconds until a broker answers
AT_ONCE = 50
ENDED = object()  # comes after the last message of a connection


class AmqpConnected(Part):
    """Which broker, and as whom: by one URL, or in parts."""

    url: Property[OptionalText] = None
    host: Property[OptionalText] = None
    port: Property[OptionalText] = Field(default=None, description="5672 when nothing is given; 5671 with TLS.")
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    virtual_host: Property[OptionalText] = "/"
    ssl: Property[bool | None] = Field(default=None, description="TLS; as `url` says when nothing is given.")
    ssl_ca_certificate: Property[OptionalText] = Field(
        default=None, description="PEM of who vouches for the broker, with TLS; those the machine trusts otherwise."
    )

    @property
    def address(self) -> str:
        """The URL of the broker; TaskFailed when it is not said which."""
        scheme = "amqps" if self.ssl else "amqp"
        if self.url:
            return self.url if self.ssl is None else f"{scheme}://{self.url.strip().partition('://')[2]}"
        if not self.host:
            raise TaskFailed("It is not said which broker.", fix="Give `host` or `url`.")
        who = f"{quote(self.username or 'guest', safe='')}:{quote(self.password or 'guest', safe='')}"
        port = self.port or PORTS[scheme]
        return f"{scheme}://{who}@{self.host}:{port}/{quote(self.virtual_host or '/', safe='')}"

    @property
    def trust(self) -> SSLContext | None:
        """Who may vouch for the broker, None for those the machine trusts; TaskFailed."""
        if self.ssl_ca_certificate is None or not self.address.startswith("amqps:"):
            return None
        try:  # without any data it would trust all that the machine does
            return create_default_context(cadata=self.ssl_ca_certificate or " ")
        except (SSLError, ValueError) as error:
            raise TaskFailed("`sslCaCertificate` is no certificate.", fix="Give its PEM text.") from error

    @asynccontextmanager
    async def channel(self, context: RunContext) -> AsyncIterator[Any]:
        """An open channel; TaskFailed when the broker can't be reached, or refuses."""
        library, errors = extra("aio_pika", "amqp"), extra("aio_pika.exceptions", "amqp")
        parts = urlsplit(self.address)
        for secret in (self.password, parts.password):
            if secret:
                context.mask(secret)
        await check_address(f"http://{parts.netloc.rpartition('@')[2]}", context.settings)
        where = f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, 5672)}"
        trust = self.trust
        try:
            connection = await library.connect(self.address, timeout=PATIENCE, ssl_context=trust)
        except (OSError, TimeoutError, errors.AMQPError, ValueError) as error:
            raise TaskFailed(
                f"The broker {where} could not be reached: {error or type(error).__name__}.",
                fix="Check `host`, `virtualHost`, `username` and `password`.",
            ) from error
        try:
            yield await connection.channel()
        except errors.AMQPError as error:
            raise TaskFailed(f"The broker refused: {error}", fix="Check the names of queues and exchanges.") from error
        finally:
            await connection.close()


class Inbox:
    """Messages of a queue as they come; what is not acknowledged when the channel closes comes again."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[Any] = asyncio.Queue()

    async def open(self, channel: Any, name: str, *, tag: str | None, auto_ack: bool) -> None:
        """Begin to hear a queue that is there."""
        await channel.set_qos(prefetch_count=AT_ONCE)
        queue = await channel.get_queue(name)
        channel.close_callbacks.add(lambda *_: self._heard.put_nowait(ENDED))
        await queue.consume(self._heard.put, no_ack=auto_ack, consumer_tag=tag)

    async def take(self, most: int, patience: float) -> list[Any]:
        """The next messages; none when there were none for a while. TaskFailed when the connection is gone."""
        found = await come(self._heard, most, patience)
        if ENDED in found:
            raise TaskFailed("The connection to the broker has ended.", fix="Look at the broker's log.")
        return found


def read(got: Any, kind: SerdeType) -> Message:
    """A message as flows see it. A broker gives it no id; one of the sender's names it together with what it says."""
    seen = {
        "data": got.body.decode("utf-8", "replace"),
        "headers": _plain(got.headers or {}),
        "contentType": got.content_type,
        "contentEncoding": got.content_encoding,
        "deliveryMode": got.delivery_mode and int(got.delivery_mode),
        "priority": got.priority,
        "messageId": got.message_id,
        "correlationId": got.correlation_id,
        "replyTo": got.reply_to,
        "timestamp": got.timestamp.isoformat() if got.timestamp else None,
        "type": got.type,
        "appId": got.app_id,
    }
    seen = {name: value for name, value in seen.items() if value is not None}
    key = f"{got.message_id}/{seen.get('timestamp')}/{hashlib.sha256(got.body).hexdigest()}" if got.message_id else None
    if kind == "STRING":
        return Message(seen, key)
    try:
        return Message({**seen, "data": held(got.body)}, key)
    except TaskFailed as problem:
        return Message(seen, key, problem)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
