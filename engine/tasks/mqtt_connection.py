"""What MQTT's tasks and triggers share: a client in a thread of its own, and what it hears."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from engine.plugin import Message, Part, Property, RunContext, TaskFailed
from engine.tasks.address_guard import check_address
from engine.tasks.extras import extra
from engine.tasks.given_rows import text_of
from engine.tasks.message_files import come, held
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.threads import in_own_thread

SerdeType = Literal["STRING", "JSON"]
PATIENCE = 15.0  # seconds until a broker answers
LASTING = 7 * 86400  # seconds a broker keeps what a client has not acknowledged (MQTT 5; before, it keeps it for good)
SECURED = frozenset({"ssl", "mqtts", "tls", "wss"})


class MqttConnected(Part):
    """Which broker, and as whom."""

    server: Property[Text]
    client_id: Property[OptionalText] = None
    mqtt_version: Property[Literal["V3", "V5"]] = Field(default="V5")
    connection_timeout: Property[Any] = None
    https_hostname_verification_enabled: Property[bool] = True
    auth_method: Property[OptionalText] = None
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    crt: Property[OptionalText] = Field(default=None, description="The certificate to trust, in PEM.")
    qos: Property[Literal[0, 1, 2]] = Field(
        default=1,
        description="How it is made sure of a message; by 0 it is not, and one the bot has not kept is lost.",
    )

    @asynccontextmanager
    async def connected(self, context: RunContext, client_id: str, *, lasting: bool) -> AsyncIterator["Client"]:
        """A connection, whose session outlives it when it is `lasting`; TaskFailed when the broker refuses."""
        library = extra("paho.mqtt.client", "mqtt")
        if self.password:
            context.mask(self.password)
        parts = urlsplit(self.server if "://" in self.server else f"tcp://{self.server}")
        if not parts.hostname:
            raise TaskFailed(
                f"`server` {self.server!r} is no address of a broker.", fix="tcp://broker.example.com:1883"
            )
        await check_address(f"http://{parts.netloc.rpartition('@')[2]}", context.settings)
        client = Client(library, self, client_id, lasting=lasting)
        try:
            await client.connect(parts.hostname, parts.port, parts.scheme)
            yield client
        finally:
            await in_own_thread(client.close)


class Client:
    """paho's client; what it hears in its thread is handed to the event loop."""

    def __init__(self, library: Any, fields: MqttConnected, client_id: str, *, lasting: bool) -> None:
        self._library, self._fields, self._lasting = library, fields, lasting
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[Any] = asyncio.Queue()
        self._told: asyncio.Future[None] = self._loop.create_future()
        self.is_v5 = fields.mqtt_version == "V5"
        kinds = extra("paho.mqtt.enums", "mqtt")
        version = kinds.MQTTProtocolVersion.MQTTv5 if self.is_v5 else kinds.MQTTProtocolVersion.MQTTv311
        self._client = library.Client(
            kinds.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=True,
            **({} if self.is_v5 else {"clean_session": not lasting}),
        )
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _, __, message: self._hand(message)
        logging.getLogger("paho").setLevel(logging.CRITICAL)

    async def connect(self, host: str, port: int | None, scheme: str) -> None:
        """Sign in; TaskFailed when there is nobody, or the broker refuses."""
        fields, client = self._fields, self._client
        secured = scheme in SECURED
        if fields.username:
            client.username_pw_set(fields.username, fields.password)
        if secured:
            import ssl

            tls = ssl.create_default_context(cadata=fields.crt)
            tls.check_hostname = fields.https_hostname_verification_enabled
            client.tls_set_context(tls)
        options: dict[str, Any] = {"keepalive": 60}
        if self.is_v5:
            properties = extra("paho.mqtt.properties", "mqtt").Properties
            packets = extra("paho.mqtt.packettypes", "mqtt").PacketTypes
            asked = properties(packets.CONNECT)
            asked.SessionExpiryInterval = LASTING if self._lasting else 0
            if fields.auth_method:
                asked.AuthenticationMethod = fields.auth_method
            options |= {"clean_start": not self._lasting, "properties": asked}

        def work() -> None:
            client.connect(host, port or (8883 if secured else 1883), **options)
            client.loop_start()

        try:
            async with asyncio.timeout(PATIENCE):
                await in_own_thread(work)
                await self._told
        except TimeoutError as error:
            raise TaskFailed(
                f"The broker {host} did not answer within {PATIENCE:g} s.", fix="Check `server`."
            ) from error
        except (OSError, ValueError) as error:
            raise TaskFailed(f"The broker {host} could not be reached: {error}.", fix="Check `server`.") from error

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Hear messages of topics, from when this returns on; TaskFailed when the broker refuses one."""
        answer: asyncio.Future[list[Any]] = self._loop.create_future()

        def settle(reasons: list[Any]) -> None:
            if not answer.done():
                answer.set_result(reasons)

        def told(_: Any, __: Any, ___: Any, reasons: list[Any], ____: Any) -> None:
            self._loop.call_soon_threadsafe(settle, reasons)

        self._client.on_subscribe = told
        code, _ = self._client.subscribe([(topic, self._fields.qos) for topic in topics])
        self._expect(code)
        try:
            async with asyncio.timeout(PATIENCE):
                reasons = await answer
        except TimeoutError as error:
            said = f"The broker did not answer within {PATIENCE:g} s to the topics asked for."
            raise TaskFailed(said, fix="Check the broker.") from error
        if refused := [f"{topic} ({one})" for topic, one in zip(topics, reasons, strict=False) if one.is_failure]:
            said = f"The broker refused {', '.join(refused)}."
            raise TaskFailed(said, fix="Check `topic`, and what `username` may hear.")

    async def publish(
        self, topic: str, data: bytes, *, retain: bool, answers: str | None = None, correlation: bytes | None = None
    ) -> None:
        """Send a message, and wait until the broker has it. Where it is answered, and what for, only V5 can say."""
        options: dict[str, Any] = {"qos": self._fields.qos, "retain": retain}
        if self.is_v5 and (answers or correlation):
            packets = extra("paho.mqtt.packettypes", "mqtt").PacketTypes
            options["properties"] = said = extra("paho.mqtt.properties", "mqtt").Properties(packets.PUBLISH)
            if answers:
                said.ResponseTopic = answers
            if correlation:
                said.CorrelationData = correlation
        info = self._client.publish(topic, data, **options)
        self._expect(info.rc)
        await in_own_thread(lambda: info.wait_for_publish(PATIENCE))
        if not info.is_published():
            raise TaskFailed(f"The broker did not take a message within {PATIENCE:g} s.", fix="Check the broker.")

    async def heard(self, most: int, patience: float) -> list[Any]:
        """The next messages; none when there were none for a while. TaskFailed when the connection is gone."""
        found = await come(self._heard, most, patience)
        if error := next((one for one in found if isinstance(one, TaskFailed)), None):
            raise error
        return found

    def acknowledge(self, messages: Sequence[Any]) -> None:
        """Messages that need not come again."""
        for message in messages:
            self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Leave; blocks until the thread has ended."""
        self._client.disconnect()
        self._client.loop_stop()

    def _expect(self, code: int) -> None:
        if code != self._library.MQTT_ERR_SUCCESS:
            raise TaskFailed(f"The broker is gone: {self._library.error_string(code)}")

    def _hand(self, one: Any) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, one)

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        def told() -> None:
            if self._told.done():
                return
            if reason.is_failure:
                said = f"The broker refused the connection: {reason}."
                self._told.set_exception(TaskFailed(said, fix="Check `username`, `password` and `clientId`."))
            else:
                self._told.set_result(None)

        self._loop.call_soon_threadsafe(told)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._hand(TaskFailed(f"The connection to the broker has ended: {reason}."))


def written(value: Any, kind: SerdeType) -> bytes:
    """A value as the payload of a message."""
    return json.dumps(value, ensure_ascii=False).encode() if kind == "JSON" else text_of(value).encode()


def read(message: Any, kind: SerdeType) -> Message:
    """A message as flows see it."""
    text = message.payload.decode("utf-8", "replace")
    about = {"id": message.mid, "topic": message.topic, "qos": message.qos, "retain": bool(message.retain)}
    properties = getattr(message, "properties", None)
    if answers := getattr(properties, "ResponseTopic", None):
        about["responseTopic"] = answers
    if correlation := getattr(properties, "CorrelationData", None):
        about["correlationData"] = base64.b64encode(correlation).decode()
    if kind == "STRING":
        return Message({**about, "payload": text})
    try:
        return Message({**about, "payload": held(text)})
    except TaskFailed as problem:
        return Message({**about, "payload": text}, problem=problem)
