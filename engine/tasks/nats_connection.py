"""What tasks and triggers of NATS share: a connection, messages in and out, and a stream's next ones."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from engine.plugin import Message, Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.http_bodies import header
from engine.tasks.property_types import OptionalMoment, OptionalText, Text
from engine.tasks.rows import lines_of

PATIENCE = 15  # seconds until a server answers
ACKNOWLEDGED_IN = 300  # seconds a server waits before it sends a message again
ROUNDED = timedelta(microseconds=1)  # a message's time is told to the nearest of them; the server has nanoseconds
RENEWED_IN = 60  # seconds until it is told that those we have are still being worked on
UNLIMITED = -1
SerializationType = Literal["STRING", "BASE64", "BINARY"]
POLICIES = {
    "All": "all",
    "Last": "last",
    "New": "new",
    "ByStartSequence": "by_start_sequence",
    "ByStartTime": "by_start_time",
    "LastPerSubject": "last_per_subject",
}


class NatsConnected(Part):
    """Which server, and who we are to it."""

    url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    token: Property[OptionalText] = None
    creds: Property[OptionalText] = Field(default=None, description="The text of a credentials file.")

    @asynccontextmanager
    async def connected(self, context: RunContext) -> AsyncIterator[Any]:
        """A connection; TaskFailed when nobody answers or the server refuses us."""
        library = extra("nats", "nats")
        errors = library.errors
        for secret in (self.password, self.token, self.creds):
            if secret:
                context.mask(secret)
        address = self.url if "://" in self.url else f"nats://{self.url}"
        parts = urlsplit(address)
        if not parts.hostname:
            raise TaskFailed(f"`url` {self.url!r} is no address of a server.", fix="nats://nats.example.com:4222")
        await check_host(parts.hostname, context.settings)
        refused: list[Exception] = []

        async def hear(error: Exception) -> None:
            refused.append(error)

        given: dict[str, Any] = {"allow_reconnect": False, "connect_timeout": PATIENCE, "error_cb": hear}
        given |= {"max_reconnect_attempts": 1, "reconnect_time_wait": 0}  # it counts the first try among them
        if self.username and self.password:
            given |= {"user": self.username, "password": self.password}
        if self.token:
            given["token"] = self.token
        if self.creds:
            given["user_credentials"] = extra("nats.aio.client", "nats").RawCredentials(self.creds)
        connection = library.NATS()
        try:
            await connection.connect(address, **given)
        except (errors.Error, OSError, TimeoutError, ValueError) as error:
            await connection.close()
            said = refused[0] if refused else error
            raise TaskFailed(
                f"NATS at {parts.hostname} can't be used: {said or type(said).__name__}.",
                fix="Check `url`, and who we are to it.",
            ) from error
        try:
            yield connection
            if refused:
                raise TaskFailed(f"NATS refused: {refused[0]}.")
        except (errors.Error, TimeoutError) as error:
            said = refused[0] if refused else error
            raise TaskFailed(f"NATS refused: {said or type(said).__name__}.", fix=_fix(error, errors)) from error
        finally:
            await connection.close()


def _fix(error: Exception, errors: Any) -> str:
    name = type(error).__name__
    if name in ("NotFoundError", "NoStreamResponseError", "BucketNotFoundError"):
        return "There must be a stream (or a bucket) of this name or for this subject."
    return "Is JetStream switched on?" if isinstance(error, errors.NoRespondersError) else ""


class SubscribeFields(NatsConnected):
    """What is read of a stream, and from where on."""

    subject: Property[Text]
    durable_id: Property[OptionalText] = None
    since: Property[OptionalMoment] = None
    batch_size: Property[int] = Field(default=10, ge=1)
    deliver_policy: Property[Literal["All", "Last", "New", "ByStartSequence", "ByStartTime", "LastPerSubject"]] = "All"

    async def subscribed(self, connection: Any) -> Any:
        """A consumer that messages are fetched from; what a durable one has acknowledged does not come again."""
        api = extra("nats.js.api", "nats")
        policy = "ByStartTime" if self.since else self.deliver_policy
        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACKNOWLEDGED_IN,
            max_ack_pending=UNLIMITED,
            deliver_policy=api.DeliverPolicy(POLICIES[policy]),
            opt_start_time=self.since and self.since - ROUNDED,
        )
        return await connection.jetstream().pull_subscribe(self.subject, durable=self.durable_id, config=config)


async def fetched(consumer: Any, most: int, patience: float) -> list[Any]:
    """The next messages; none when there were none for a while."""
    try:
        found: list[Any] = await consumer.fetch(most, timeout=patience)
    except TimeoutError:
        return []
    return found


async def sent(connection: Any) -> None:
    """Wait until the server has all that was published, and has said what it refuses of it."""
    await connection.flush()  # its question overtakes what still waits to be written
    await connection.flush()  # and this one comes after it


def read(message: Any) -> Message:
    """A message as flows see it."""
    about = message.metadata
    return Message(
        {
            "subject": message.subject,
            "headers": {name: [value] for name, value in (message.headers or {}).items()},
            "data": message.data.decode("utf-8", "replace"),
            "timestamp": about.timestamp.isoformat(),
        },
        key=f"{about.stream}:{about.sequence.stream}",
    )


async def written(context: RunContext, row: Any, kind: SerializationType = "STRING") -> tuple[bytes, dict[str, str]]:
    """The payload and the headers of a message that is a map with `data`, or only its data."""
    given: Mapping[str, Any] = row if isinstance(row, dict) and "data" in row else {"data": row}
    headers = {
        str(name): header(", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in (given.get("headers") or {}).items()
    }
    data = text_of(given["data"])
    if kind == "BINARY":
        return await context.files.read(data), headers
    if kind == "STRING":
        return data.encode(), headers
    try:
        return base64.b64decode(data, validate=True), headers
    except binascii.Error as error:
        raise TaskFailed(f"A message's data is not Base64: {data[:40]!r}.", fix="Use `STRING`.") from error


def line(message: Message) -> str:
    """A message as a line of a file of rows."""
    return "".join(lines_of([message.variables]))
