"""Apache Pulsar as tasks reach it: its client in a thread, topics, and messages as flows see them."""

import base64
import binascii
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field

from engine.core.json_text import read_json
from engine.plugin import Message, Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.extras import extra
from engine.tasks.property_types import JsonList, OptionalText, Text
from engine.tasks.runners import WORK
from engine.tasks.secret_files import kept
from engine.tasks.threads import in_own_thread

R = TypeVar("R")
PATIENCE = 30  # seconds for what a broker is asked
SerdeType = Literal["STRING", "JSON", "BYTES"]


class TlsOptions(Part):
    """Certificates as PEM, or Base64 of it."""

    cert: OptionalText = None
    key: OptionalText = None
    ca: OptionalText = None


class PulsarConnected(Part):
    """Which cluster, who we are to it, and which topic."""

    uri: Property[Text]
    topic: Property[JsonList] = Field(description="The name of a topic, or of several.")
    authentication_token: Property[OptionalText] = None
    tls_options: Property[TlsOptions | None] = None
    schema_type: Property[Literal["NONE", "AVRO", "JSON"]] = "NONE"
    schema_string: Property[OptionalText] = None

    @asynccontextmanager
    async def client(self, context: RunContext) -> AsyncIterator[Any]:
        """A client; TaskFailed when the cluster can't be reached or refuses."""
        pulsar = extra("pulsar", "pulsar")
        if self.schema_type != "NONE":
            raise TaskFailed(
                "Schemas of Pulsar are not supported here.",
                fix="Leave out `schemaType`; send JSON by `serializer: JSON`.",
            )
        place = urlsplit(self.uri.strip())
        if place.scheme not in ("pulsar", "pulsar+ssl") or not place.hostname:
            raise TaskFailed("`uri` is no address of Pulsar.", fix="Write pulsar://host:6650.")
        for host in place.netloc.split(","):
            await check_address(f"{place.scheme}://{host}", context.settings)
        given: dict[str, Any] = {
            "operation_timeout_seconds": PATIENCE,
            "logger": pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull),  # its own writes to stdout
        }
        if self.authentication_token:
            context.mask(self.authentication_token)
            given["authentication"] = pulsar.AuthenticationToken(self.authentication_token)
        if self.tls_options:
            given |= self._tls(context, self.tls_options, pulsar)
        with refused(self.uri):
            client = await in_own_thread(lambda: pulsar.Client(self.uri.strip(), **given))
            try:
                yield client
            finally:
                with suppress(pulsar.PulsarException):
                    await in_own_thread(client.close)

    def topics(self) -> list[str]:
        """The topics' names; TaskFailed when there are none."""
        found = [str(one).strip() for one in self.topic if str(one).strip()]
        if not found:
            raise TaskFailed("It is not said which topic.", fix="Give `topic`.")
        return found

    def _tls(self, context: RunContext, tls: TlsOptions, pulsar: Any) -> dict[str, Any]:
        folder = context.working_dir / WORK / "pulsar"
        folder.mkdir(parents=True, exist_ok=True)
        files = {name: _file(folder, name, getattr(tls, name)) for name in ("cert", "key", "ca") if getattr(tls, name)}
        given: dict[str, Any] = {"use_tls": True, "tls_validate_hostname": True}
        if "ca" in files:
            given["tls_trust_certs_file_path"] = files["ca"]
        if "cert" in files and "key" in files and not self.authentication_token:
            given["authentication"] = pulsar.AuthenticationTLS(files["cert"], files["key"])
        return given


class SubscriptionFields(PulsarConnected):
    """How messages are heard."""

    subscription_name: Property[Text]
    initial_position: Property[Literal["Earliest", "Latest"]] = "Earliest"
    subscription_type: Property[Literal["Exclusive", "Shared", "Failover", "Key_Shared"]] = "Exclusive"
    consumer_name: Property[OptionalText] = None
    consumer_properties: Property[dict[str, Text] | None] = None
    encryption_key: Property[OptionalText] = None
    deserializer: Property[SerdeType] = "STRING"

    async def subscribed(self, client: Any) -> Any:
        """A consumer of the topics."""
        pulsar = extra("pulsar", "pulsar")
        if self.encryption_key:
            raise TaskFailed("Encrypted messages are not supported here.", fix="Leave out `encryptionKey`.")
        given = {
            "consumer_type": getattr(pulsar.ConsumerType, self.subscription_type.replace("_", "")),
            "initial_position": getattr(pulsar.InitialPosition, self.initial_position),
            "consumer_name": self.consumer_name,
            "properties": self.consumer_properties,
        }
        topics = self.topics()
        name = topics[0] if len(topics) == 1 else topics
        return await in_own_thread(lambda: client.subscribe(name, self.subscription_name, **given))


@contextmanager
def refused(uri: str) -> Iterator[None]:
    """What the client says went wrong, as TaskFailed."""
    pulsar = extra("pulsar", "pulsar")
    try:
        yield
    except pulsar.Timeout as error:
        fix = "Check host, port, network and `authenticationToken`: one that is refused may look like this."
        raise TaskFailed(f"{uri} did not answer.", fix=fix) from error
    except (pulsar.AuthenticationError, pulsar.AuthorizationError) as error:
        raise TaskFailed(f"{uri} refused: {_said(error)}.", fix="Check `authenticationToken`.") from error
    except pulsar.PulsarException as error:
        raise TaskFailed(
            f"{uri} refused: {_said(error)}.", fix="Check the topic, and what the token may do."
        ) from error


async def received(hears: Callable[[int], Any], most: int, patience: float) -> list[Any]:
    """The next messages, some at once; none when none came for a while. `hears` waits for one, so many milliseconds."""
    timeout = extra("pulsar", "pulsar").Timeout

    def work() -> list[Any]:
        found: list[Any] = []
        with suppress(timeout):
            found.append(hears(max(int(patience * 1000), 1)))
            while len(found) < most:
                found.append(hears(1))
        return found

    return await in_own_thread(work)


def read(got: Any, kind: SerdeType) -> Message:
    """A message as flows see it; one that is not what `deserializer` says has a problem."""
    raw = got.data()
    moments = {"eventTime": got.event_timestamp(), "publishTime": got.publish_timestamp()}
    seen: dict[str, Any] = {
        "key": got.partition_key() or None,
        "value": raw.decode("utf-8", "replace") if kind != "BYTES" else base64.b64encode(raw).decode(),
        "properties": dict(got.properties()),
        "topic": got.topic_name(),
        "messageId": str(got.message_id()),
        "redeliveryCount": got.redelivery_count(),
        "producerName": got.producer_name(),
        **{name: datetime.fromtimestamp(at / 1000, UTC).isoformat() for name, at in moments.items() if at},
    }
    key = f"{seen['topic']}:{seen['messageId']}"
    if kind != "JSON":
        return Message(seen, key=key)
    try:
        return Message({**seen, "value": read_json(raw)}, key=key)
    except ValueError as error:
        problem = TaskFailed(
            f"The message {seen['messageId']} is not JSON: {error}.", fix="Set `deserializer: STRING`."
        )
        return Message(seen, key=key, problem=problem)


def _said(error: Exception) -> str:
    return str(error).removeprefix("Pulsar error: ")


def _file(folder: Path, name: str, text: str) -> str:
    if "-----BEGIN" not in text:
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise TaskFailed(f"`tlsOptions.{name}` is neither PEM nor Base64 of it.") from error
    return kept(folder / f"{name}.pem", text)
