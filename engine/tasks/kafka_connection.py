"""What Kafka tasks share: the settings of a client, and how values become bytes and back."""

import base64
import binascii
import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

from engine.core.json_text import read_json
from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.property_types import JsonMap

SerdeType = Literal[
    "STRING",
    "JSON",
    "INTEGER",
    "LONG",
    "SHORT",
    "FLOAT",
    "DOUBLE",
    "BYTE_ARRAY",
    "BYTE_BUFFER",
    "BYTES",
    "UUID",
    "VOID",
    "AVRO",
]

FORMATS = {"INTEGER": ">i", "LONG": ">q", "SHORT": ">h", "FLOAT": ">f", "DOUBLE": ">d"}
PATIENCE = 15  # seconds until a broker answers

# Java's name → ours. Names that only Java's client has, and that change nothing here, are left out.
NAMES = {
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
    "metadata.max.age.ms": "topic.metadata.refresh.interval.ms",
}
JAVA_ONLY = re.compile(
    r"(key|value)\.(de)?serializer|ssl\.(truststore|keystore)\.type|max\.poll\.records|"
    r"(specific|avro)\..*|buffer\.memory|max\.block\.ms|default\.api\.timeout\.ms|auto\.register\.schemas"
)
# These read files of this machine, load libraries, start programs or call elsewhere.
REFUSED = re.compile(r".*\.location|plugin\..*|sasl\.kerberos\..*|sasl\.oauthbearer\..*|ssl\.providers|test\..*|.*_cb")
LOGIN = re.compile(r"""\b(username|password)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;]+))""")


class KafkaConnected(Part):
    """Where Kafka is, and how to sign in: settings by the names that Java's clients and librdkafka give them."""

    properties: Property[JsonMap]
    serde_properties: Property[JsonMap | None] = None

    async def settings(self, context: RunContext) -> dict[str, Any]:
        """The settings of a client; TaskFailed for those that a flow may not give."""
        found: dict[str, Any] = {}
        for name, value in self.properties.items():
            if value is None or JAVA_ONLY.fullmatch(name):
                continue
            if name == "sasl.jaas.config":
                found |= login(str(value))
            elif REFUSED.fullmatch(name):
                fix = "Give certificates and keys as PEM text in `ssl.truststore.certificates`, "
                fix += "`ssl.keystore.certificate.chain` and `ssl.keystore.key`."
                raise TaskFailed(f"`properties` may not have {name!r}.", fix=fix)
            else:
                found[NAMES.get(name, name)] = str(value).lower() if isinstance(value, bool) else str(value)
        if found.get("ssl.endpoint.identification.algorithm") == "":
            found["ssl.endpoint.identification.algorithm"] = "none"
        for secret in ("sasl.password", "ssl.key.pem", "ssl.key.password"):
            if secret in found:
                context.mask(found[secret])
        if not found.get("bootstrap.servers"):
            raise TaskFailed("`properties` lack `bootstrap.servers`.", fix="bootstrap.servers: broker.example.com:9092")
        for server in found["bootstrap.servers"].split(","):
            await check_address(f"http://{server.strip().rpartition('://')[2]}", context.settings)
        return found


@contextmanager
def explained() -> Iterator[Any]:
    """The library; what it raises leaves as TaskFailed."""
    library = extra("confluent_kafka", "kafka")
    try:
        yield library
    except library.KafkaException as error:
        told = error.args[0] if error.args else error
        text = told.str() if isinstance(told, library.KafkaError) else str(told)
        fix = "Check `bootstrap.servers`, the credentials in `properties`, and the topic."
        raise TaskFailed(f"Kafka: {text}", fix=fix) from error


def login(text: str) -> dict[str, str]:
    """User and password of a line for Java's login modules."""
    given = {name: re.sub(r"\\(.)", r"\1", a or b or c) for name, a, b, c in LOGIN.findall(text)}
    if set(given) != {"username", "password"}:
        raise TaskFailed("`sasl.jaas.config` names no user and password.", fix='username="…" password="…";')
    return {"sasl.username": given["username"], "sasl.password": given["password"]}


def writer(kind: SerdeType) -> Callable[[Any], bytes | None]:
    """How a value becomes bytes."""
    _known(kind)

    def write(value: Any) -> bytes | None:
        if value is None or kind == "VOID":
            return None
        try:
            if kind in FORMATS:
                return struct.pack(FORMATS[kind], float(value) if kind in ("FLOAT", "DOUBLE") else int(value))
            if kind.startswith("BYTE"):
                return base64.b64decode(str(value), validate=True)
        except (ValueError, TypeError, struct.error, binascii.Error) as error:
            raise TaskFailed(
                f"{str(value)[:100]!r} is no {kind}: {error}.", fix="Choose another serializer."
            ) from error
        return json.dumps(value, ensure_ascii=False).encode() if kind == "JSON" else text_of(value).encode()

    return write


def reader(kind: SerdeType) -> Callable[[bytes | None], Any]:
    """How bytes become a value; bytes themselves are written in base64."""
    _known(kind)

    def read(data: bytes | None) -> Any:
        if data is None or kind == "VOID":
            return None
        try:
            if kind in FORMATS:
                return struct.unpack(FORMATS[kind], data)[0]
            if kind.startswith("BYTE"):
                return base64.b64encode(data).decode()
            return read_json(data) if kind == "JSON" else data.decode()
        except (ValueError, struct.error) as error:
            raise TaskFailed(f"A message is no {kind}: {data[:100]!r}.", fix="Choose another deserializer.") from error

    return read


def _known(kind: SerdeType) -> None:
    if kind == "AVRO":
        raise TaskFailed("AVRO needs a schema registry, which is not supported.", fix="Send JSON, or bytes.")


def headers_of(given: Any) -> list[tuple[str, bytes]] | None:
    """Headers from a map, or from a list of maps as `Consume` writes it."""
    if given is None:
        return None
    maps = [given] if isinstance(given, Mapping) else given
    if not isinstance(maps, list) or not all(isinstance(one, Mapping) for one in maps):
        raise TaskFailed("`headers` is neither a map nor a list of maps.")
    return [(str(name), text_of(value).encode()) for one in maps for name, value in one.items()]


class Silent:
    """The library's own log; what fails is raised anyway."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


def milliseconds(given: Any) -> int | None:
    """A point in time as Kafka counts it; TaskFailed when it is none."""
    if given is None or isinstance(given, int):
        return given
    try:
        found = datetime.fromisoformat(str(given).split("[")[0])
    except ValueError as error:
        raise TaskFailed(f"{given!r} is no point in time: {error}.", fix="2026-01-31T09:00:00Z") from error
    return int((found if found.tzinfo else found.astimezone()).timestamp() * 1000)
