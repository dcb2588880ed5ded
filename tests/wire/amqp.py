"""A broker that speaks AMQP 0-9-1: exchanges, queues, confirms; what a connection left unacknowledged comes again."""

import socketserver
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from pamqp import body, commands, frame, header

from tests.wire.tcp import listening

HEADER = b"AMQP\x00\x00\x09\x01"


@dataclass
class Held:
    """A message, and how often it was handed out."""

    properties: Any
    content: bytes
    again: bool = False


@dataclass
class Broker:
    """`queues` by name; `bindings` as (exchange, routing key) → queues."""

    password: str
    queues: dict[str, deque[Held]] = field(default_factory=dict)
    exchanges: dict[str, str] = field(default_factory=dict)
    bindings: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    consumers: list[tuple[Any, int, str, str]] = field(default_factory=list)
    unsaid: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    port: int = 0
    tls: SSLContext | None = None

    @property
    def url(self) -> str:
        return f"amqp://flows:{self.password}@127.0.0.1:{self.port}/shop"

    def publish(self, exchange: str, key: str, held: Held) -> None:
        with self.lock:
            for name in self.bindings.get((exchange, key), []) if exchange else [key]:
                if name in self.queues:
                    self.queues[name].append(held)
            self.feed()

    def feed(self) -> None:
        """Hand out what waits in queues that somebody hears."""
        for connection, channel, tag, name in self.consumers:
            while self.queues[name]:
                connection.deliver(channel, tag, name, self.queues[name].popleft())


class Connection(socketserver.StreamRequestHandler):
    """One client's."""

    broker: Broker

    def setup(self) -> None:
        if self.broker.tls:
            self.request = self.broker.tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        super().setup()

    def finish(self) -> None:
        super().finish()
        if self.broker.tls:
            self.request.close()

    def handle(self) -> None:
        self.held: dict[tuple[int, int], tuple[str, Held]] = {}
        self.numbers, self.confirms, self.publishing = 0, 0, None
        try:
            self.rfile.read(len(HEADER))
            self.send(0, commands.Connection.Start(server_properties={"capabilities": {"publisher_confirms": True}}))
            while head := self.rfile.read(7):
                _, channel, size = struct.unpack(">BHI", head)
                _, _, value = frame.unmarshal(head + self.rfile.read(size + 1))
                with self.broker.lock:
                    if self.take(channel, value) is False:
                        break
        except OSError:
            pass
        with self.broker.lock:
            self.broker.consumers = [one for one in self.broker.consumers if one[0] is not self]
            for name, held in reversed(self.held.values()):
                held.again = True
                self.broker.queues[name].appendleft(held)
            self.broker.unsaid -= len(self.held)
            self.broker.feed()

    def send(self, channel: int, *values: Any) -> None:
        self.wfile.write(b"".join(frame.marshal(value, channel) for value in values))
        self.wfile.flush()

    def deliver(self, channel: int, tag: str, queue: str, held: Held) -> None:
        self.numbers += 1
        self.held[channel, self.numbers] = (queue, held)
        self.broker.unsaid += 1
        about = commands.Basic.Deliver(tag, self.numbers, held.again, "", queue)
        self.send(channel, about, *self.content(held))

    def content(self, held: Held) -> tuple[Any, Any]:
        return header.ContentHeader(0, len(held.content), held.properties), body.ContentBody(held.content)

    def take(self, channel: int, value: Any) -> bool | None:
        name = type(value).__qualname__.replace(".", "_")
        return getattr(self, f"on_{name}", lambda *_: None)(channel, value)

    def on_Connection_StartOk(self, channel: int, value: Any) -> bool | None:  # noqa: N802
        _, user, password = str(value.response).split("\0")
        if (user, password) != ("flows", self.broker.password):
            self.send(0, commands.Connection.Close(403, "ACCESS_REFUSED - Login was refused", 0, 0))
            return None
        self.send(0, commands.Connection.Tune(2047, 131072, 0))
        return None

    def on_Connection_Open(self, channel: int, value: Any) -> None:  # noqa: N802
        self.send(0, commands.Connection.OpenOk())

    def on_Connection_Close(self, channel: int, value: Any) -> bool:  # noqa: N802
        self.send(0, commands.Connection.CloseOk())
        return False

    def on_Connection_CloseOk(self, channel: int, value: Any) -> bool:  # noqa: N802
        return False

    def on_Channel_Open(self, channel: int, value: Any) -> None:  # noqa: N802
        self.send(channel, commands.Channel.OpenOk())

    def on_Channel_Close(self, channel: int, value: Any) -> None:  # noqa: N802
        self.send(channel, commands.Channel.CloseOk())

    def on_Confirm_Select(self, channel: int, value: Any) -> None:  # noqa: N802
        self.send(channel, commands.Confirm.SelectOk())

    def on_Basic_Qos(self, channel: int, value: Any) -> None:  # noqa: N802
        self.send(channel, commands.Basic.QosOk())

    def on_Queue_Declare(self, channel: int, value: Any) -> None:  # noqa: N802
        if value.passive and value.queue not in self.broker.queues:
            self.send(channel, commands.Channel.Close(404, f"NOT_FOUND - no queue '{value.queue}'", 50, 10))
            return
        waiting = self.broker.queues.setdefault(value.queue, deque())
        self.send(channel, commands.Queue.DeclareOk(value.queue, len(waiting), 0))

    def on_Exchange_Declare(self, channel: int, value: Any) -> None:  # noqa: N802
        if value.passive and value.exchange not in self.broker.exchanges:
            self.send(channel, commands.Channel.Close(404, f"NOT_FOUND - no exchange '{value.exchange}'", 40, 10))
            return
        self.broker.exchanges.setdefault(value.exchange, value.exchange_type)
        self.send(channel, commands.Exchange.DeclareOk())

    def on_Queue_Bind(self, channel: int, value: Any) -> None:  # noqa: N802
        self.broker.bindings.setdefault((value.exchange, value.routing_key), []).append(value.queue)
        self.send(channel, commands.Queue.BindOk())

    def on_Basic_Publish(self, channel: int, value: Any) -> None:  # noqa: N802
        self.publishing = value

    def on_ContentHeader(self, channel: int, value: Any) -> None:  # noqa: N802
        self.properties = value.properties

    def on_ContentBody(self, channel: int, value: Any) -> None:  # noqa: N802
        assert self.publishing is not None
        self.confirms += 1
        self.broker.publish(self.publishing.exchange, self.publishing.routing_key, Held(self.properties, value.value))
        self.send(channel, commands.Basic.Ack(self.confirms))

    def on_Basic_Consume(self, channel: int, value: Any) -> None:  # noqa: N802
        self.send(channel, commands.Basic.ConsumeOk(value.consumer_tag))
        self.broker.consumers.append((self, channel, value.consumer_tag, value.queue))
        self.broker.feed()

    def on_Basic_Get(self, channel: int, value: Any) -> None:  # noqa: N802
        waiting = self.broker.queues[value.queue]
        if not waiting:
            self.send(channel, commands.Basic.GetEmpty())
            return
        held = waiting.popleft()
        self.numbers += 1
        if not value.no_ack:
            self.held[channel, self.numbers] = (value.queue, held)
            self.broker.unsaid += 1
        about = commands.Basic.GetOk(self.numbers, held.again, "", value.queue, len(waiting))
        self.send(channel, about, *self.content(held))

    def on_Basic_Ack(self, channel: int, value: Any) -> None:  # noqa: N802
        meant = [
            key
            for key in self.held
            if key[0] == channel and (key[1] <= value.delivery_tag if value.multiple else key[1] == value.delivery_tag)
        ]
        for key in meant:
            del self.held[key]
        self.broker.unsaid -= len(meant)


@contextmanager
def amqp_broker(password: str, tls: SSLContext | None = None) -> Iterator[Broker]:
    """A running broker, heard over TLS when that is given."""
    broker = Broker(password, tls=tls)

    with listening(type("OfThisBroker", (Connection,), {"broker": broker})) as broker.port:
        yield broker
