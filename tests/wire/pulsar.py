"""Apache Pulsar's binary protocol, as much of it as topics with subscriptions need, by the field numbers of its own
description. What a producer frames is handed on to consumers as it came, checksums and all."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.wire.tcp import close

TOKEN = "t0ken"
CONNECT, CONNECTED, SUBSCRIBE, PRODUCER, SEND, RECEIPT, MESSAGE, ACK, FLOW = 2, 3, 4, 5, 6, 7, 9, 10, 11
UNSUBSCRIBE, SUCCESS, ERROR, CLOSE_PRODUCER, CLOSE_CONSUMER, PRODUCER_SUCCESS, PING, PONG = (
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
)
REDELIVER, METADATA, METADATA_ANSWER, LOOKUP, LOOKUP_ANSWER, LAST_ID, LAST_ID_ANSWER, ACK_ANSWER = (
    20, 21, 22, 23, 24, 29, 30, 38,
)  # fmt: skip
SEEK = 28
AUTHENTICATION_FAILED, TOPIC_NOT_FOUND, CONSUMER_BUSY = 3, 11, 5
NO_MESSAGE = (1 << 64) - 1


@dataclass
class Subscription:
    """How far a subscription has come."""

    next: int
    acked: set[int] = field(default_factory=set)
    consumer: tuple["Connection", int] | None = None
    permits: int = 0


@dataclass
class Topic:
    """Messages as their producers framed them, how many are in each frame, and who hears them."""

    frames: list[tuple[bytes, int]] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)


class Broker:
    """`topics` by their full names. One whose name holds `none` is not there."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.port = 0
        self.asked: list[tuple[int, dict[int, list[Any]]]] = []

    def topic(self, name: str) -> Topic:
        return self.topics.setdefault(name, Topic())

    def push(self, topic: Topic) -> None:
        """Send what there are permits for."""
        for one in topic.subscriptions.values():
            while one.consumer and one.permits > 0 and one.next < len(topic.frames):
                frame, count = topic.frames[one.next]
                if one.next not in one.acked:
                    connection, consumer = one.consumer
                    about = _number(1, consumer) + _bytes(2, _number(1, 1) + _number(2, one.next))
                    connection.send(MESSAGE, about, frame)
                    one.permits -= count
                one.next += 1


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, broker: Broker) -> None:
        self.broker, self.buffer = broker, b""
        self.producers: dict[int, str] = {}
        self.consumers: dict[int, tuple[Topic, str, bool]] = {}
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for consumer in list(self.consumers):
            self._left(consumer)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 8:
            total, size = struct.unpack(">II", self.buffer[:8])
            if len(self.buffer) < total + 4:
                return
            command, payload = self.buffer[8 : 8 + size], self.buffer[8 + size : total + 4]
            self.buffer = self.buffer[total + 4 :]
            fields = read(command)
            kind = fields[1][0]
            given = read(fields[kind][0]) if kind in fields else {}
            self.broker.asked.append((kind, given))
            self.heard(kind, given, payload)

    def send(self, kind: int, fields: bytes, payload: bytes = b"") -> None:
        command = _number(1, kind) + _bytes(kind, fields)
        self.transport.write(struct.pack(">II", 4 + len(command) + len(payload), len(command)) + command + payload)

    def refuse(self, request: int, code: int, message: str) -> None:
        self.send(ERROR, _number(1, request) + _number(2, code) + _bytes(3, message.encode()))

    def heard(self, kind: int, given: dict[int, list[Any]], payload: bytes) -> None:
        """Do what a command says."""
        acts: dict[int, Any] = {
            CONNECT: lambda: self._connected(given),
            PING: lambda: self.send(PONG, b""),
            METADATA: lambda: self._described(given),
            LOOKUP: lambda: self._looked_up(given),
            PRODUCER: lambda: self._producing(given),
            SEND: lambda: self._sent(given, payload),
            SUBSCRIBE: lambda: self._subscribed(given),
            FLOW: lambda: self._permitted(given),
            ACK: lambda: self._acknowledged(given),
            LAST_ID: lambda: self._last(given),
            CLOSE_CONSUMER: lambda: self._closed(given),
            UNSUBSCRIBE: lambda: self._closed(given),
            CLOSE_PRODUCER: lambda: self.send(SUCCESS, _number(1, given[2][0])),
            SEEK: lambda: self._sought(given),
            REDELIVER: lambda: None,
        }
        acts[kind]()

    def _connected(self, given: dict[int, list[Any]]) -> None:
        if given.get(3, [TOKEN.encode()])[0] != TOKEN.encode():
            self.refuse(NO_MESSAGE, AUTHENTICATION_FAILED, "Failed to authenticate")
            self.transport.close()
        else:
            self.send(CONNECTED, _bytes(1, b"a broker") + _number(2, 12) + _number(3, 5 << 20))

    def _described(self, given: dict[int, list[Any]]) -> None:
        missing = b"none" in given[1][0]
        told = _number(3, 1) + _number(4, TOPIC_NOT_FOUND) + _bytes(5, b"Topic not found") if missing else _number(3, 0)
        self.send(METADATA_ANSWER, _number(1, 0) + _number(2, given[2][0]) + told)

    def _looked_up(self, given: dict[int, list[Any]]) -> None:
        at = f"pulsar://127.0.0.1:{self.broker.port}".encode()
        self.send(LOOKUP_ANSWER, _bytes(1, at) + _number(3, 1) + _number(4, given[2][0]) + _number(5, 1))

    def _producing(self, given: dict[int, list[Any]]) -> None:
        self.producers[given[2][0]] = given[1][0].decode()
        name = given.get(4, [b"a-producer"])[0]
        self.send(PRODUCER_SUCCESS, _number(1, given[3][0]) + _bytes(2, name) + _number(3, NO_MESSAGE))

    def _sent(self, given: dict[int, list[Any]], payload: bytes) -> None:
        topic = self.broker.topic(self.producers[given[1][0]])
        topic.frames.append((payload, given.get(3, [1])[0]))
        topic.arrived.append(time.time())
        place = _bytes(3, _number(1, 1) + _number(2, len(topic.frames) - 1))
        self.send(RECEIPT, _number(1, given[1][0]) + _number(2, given[2][0]) + place)
        self.broker.push(topic)

    def _permitted(self, given: dict[int, list[Any]]) -> None:
        if given[1][0] in self.consumers:
            topic, name, _ = self.consumers[given[1][0]]
            topic.subscriptions[name].permits += given[2][0]
            self.broker.push(topic)

    def _acknowledged(self, given: dict[int, list[Any]]) -> None:
        topic, name, _ = self.consumers[given[1][0]]
        entries = [read(one)[2][0] for one in given[3]]
        up_to = range(entries[-1] + 1) if given.get(2, [0])[0] == 1 else entries
        topic.subscriptions[name].acked.update(up_to)
        if 8 in given:
            self.send(ACK_ANSWER, _number(1, given[1][0]) + _number(6, given[8][0]))

    def _last(self, given: dict[int, list[Any]]) -> None:
        topic = self.consumers[given[1][0]][0]
        last = _number(1, 1) + _number(2, len(topic.frames) - 1 if topic.frames else NO_MESSAGE)
        self.send(LAST_ID_ANSWER, _bytes(1, last) + _number(2, given[2][0]))

    def _sought(self, given: dict[int, list[Any]]) -> None:
        topic, name, _ = self.consumers[given[1][0]]
        self.send(SUCCESS, _number(1, given[2][0]))
        later = (at for at, moment in enumerate(topic.arrived) if moment * 1000 >= given[4][0])
        topic.subscriptions[name].next = next(later, len(topic.frames))
        self.broker.push(topic)

    def _closed(self, given: dict[int, list[Any]]) -> None:
        self._left(given[1][0])
        self.send(SUCCESS, _number(1, given[2][0]))

    def _subscribed(self, given: dict[int, list[Any]]) -> None:
        topic, name = self.broker.topic(given[1][0].decode()), given[2][0].decode()
        durable = bool(given.get(8, [1])[0])
        known = topic.subscriptions.get(name)
        if known is not None and known.consumer is not None:
            self.refuse(given[5][0], CONSUMER_BUSY, "Exclusive consumer is already connected")
            return
        if known is None:
            first = 0 if given.get(13, [0])[0] == 1 else len(topic.frames)
            if 9 in given:  # a reader says where
                entry = read(given[9][0])[2][0]
                first = len(topic.frames) if entry == NO_MESSAGE >> 1 else 0 if entry >= NO_MESSAGE - 1 else entry
            known = topic.subscriptions[name] = Subscription(first)
        known.consumer, known.permits = (self, given[4][0]), 0
        known.next = min(
            (at for at in range(len(topic.frames)) if at not in known.acked and at >= known.next), default=known.next
        )
        self.consumers[given[4][0]] = (topic, name, durable)
        self.send(SUCCESS, _number(1, given[5][0]))

    def _left(self, consumer: int) -> None:
        if consumer in self.consumers:
            topic, name, durable = self.consumers.pop(consumer)
            one = topic.subscriptions[name]
            one.consumer = None
            one.next = min((at for at in range(one.next) if at not in one.acked), default=one.next)
            if not durable:
                del topic.subscriptions[name]


def read(data: bytes) -> dict[int, list[Any]]:
    """The fields of a message of Protocol Buffers: numbers and bytes."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 2:
            size, at = _varint(data, at)
            value: Any = data[at : at + size]
            at += size
        elif key & 7 == 0:
            value, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = data[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def _coded(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(number: int, value: int) -> bytes:
    return _coded(number << 3) + _coded(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _coded(number << 3 | 2) + _coded(len(value)) + value


@contextmanager
def pulsar() -> Iterator[Broker]:
    """A broker, in a thread of its own."""
    broker, loop = Broker(), asyncio.new_event_loop()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        broker.port = listening.getsockname()[1]
        server = loop.run_until_complete(loop.create_server(lambda: Connection(broker), sock=listening))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield broker
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            close(loop)
