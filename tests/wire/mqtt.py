"""A broker that speaks MQTT 3.1.1 and 5: topics with wildcards, and sessions that keep what was not acknowledged."""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.wire.tcp import listening

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PING, DISCONNECT = 1, 3, 4, 8, 12, 14

REFUSED = 0x80


class Broker:
    """`sessions`: client → its topics and the messages that it has not acknowledged."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.sessions: dict[str, dict[str, Any]] = {}
        self.retained: dict[str, bytes] = {}
        self.properties: dict[str, bytes] = {}
        self.lock = threading.RLock()
        self.port = 0
        self._numbers = 0

    def waiting(self, client: str) -> int:
        """How many messages a client has not acknowledged."""
        with self.lock:
            return len(self.sessions.get(client, {}).get("unsaid", {}))

    def publish(self, topic: str, payload: bytes) -> None:
        with self.lock:
            for session in self.sessions.values():
                if any(fits(topic, wanted) for wanted in session["topics"]):
                    self._numbers += 1
                    session["unsaid"][self._numbers] = (topic, payload)
                    if session["connection"]:
                        session["connection"].deliver(self._numbers, topic, payload, again=False)


def fits(topic: str, wanted: str) -> bool:
    """Whether a topic is among those that a pattern means."""
    return topic.startswith(wanted[:-1]) if wanted.endswith("#") else topic == wanted


class Connection(socketserver.StreamRequestHandler):
    """One client's."""

    broker: Broker

    def handle(self) -> None:
        self.client, self.is_v5 = "", False
        try:
            while head := self.rfile.read(1):
                if not self.take(head[0] >> 4, head[0] & 15, self.rfile.read(self.length())):
                    break
        except (OSError, ValueError):
            pass
        with self.broker.lock:
            session = self.broker.sessions.get(self.client)
            if session and session["connection"] is self:
                session["connection"] = None
                if not session["lasting"]:
                    del self.broker.sessions[self.client]

    def length(self) -> int:
        size = shift = 0
        while True:
            byte = self.rfile.read(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return size

    def send(self, kind: int, flags: int, body: bytes) -> None:
        size, head = len(body), bytearray([kind << 4 | flags])
        while True:
            size, digit = divmod(size, 128)
            head.append(digit | (128 if size else 0))
            if not size:
                break
        self.wfile.write(bytes(head) + body)
        self.wfile.flush()

    def deliver(self, number: int, topic: str, payload: bytes, *, again: bool) -> None:
        about = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", number)
        self.send(PUBLISH, 2 | (8 if again else 0), about + (b"\0" if self.is_v5 else b"") + payload)

    def take(self, kind: int, flags: int, body: bytes) -> bool:
        with self.broker.lock:
            if kind == CONNECT:
                return self.connect(body)
            if kind == SUBSCRIBE:
                self.subscribe(body)
            elif kind == PUBLISH:
                self.published(flags, body)
            elif kind == PUBACK:
                self.broker.sessions[self.client]["unsaid"].pop(struct.unpack(">H", body[:2])[0], None)
            elif kind == PING:
                self.send(13, 0, b"")
            return kind != DISCONNECT

    def connect(self, body: bytes) -> bool:
        self.is_v5, flags, at = body[6] == 5, body[7], 10
        lasting = not flags & 2
        if self.is_v5:
            at += 1 + body[at]
        words = []
        while at < len(body):
            size = struct.unpack(">H", body[at : at + 2])[0]
            words.append(body[at + 2 : at + 2 + size].decode())
            at += 2 + size
        if words[2:3] != [self.broker.password]:
            self.send(2, 0, b"\0\x86\0" if self.is_v5 else b"\0\x04")
            return False
        self.client = words[0]
        there = self.broker.sessions.get(self.client) if lasting else None
        session = there or {"topics": [], "unsaid": {}}
        self.broker.sessions[self.client] = session | {"connection": self, "lasting": lasting}
        self.send(2, 0, bytes([1 if there else 0, 0]) + (b"\0" if self.is_v5 else b""))
        for number, (topic, payload) in session["unsaid"].items():
            self.deliver(number, topic, payload, again=True)
        return True

    def subscribe(self, body: bytes) -> None:
        at, topics = 2 + (1 + body[2] if self.is_v5 else 0), []
        while at < len(body):
            size = struct.unpack(">H", body[at : at + 2])[0]
            topics.append(body[at + 2 : at + 2 + size].decode())
            at += 3 + size
        self.broker.sessions[self.client]["topics"] = topics
        self.send(
            9,
            0,
            body[:2] + (b"\0" if self.is_v5 else b"") + bytes(REFUSED if topic == "secret" else 1 for topic in topics),
        )

    def published(self, flags: int, body: bytes) -> None:
        size = struct.unpack(">H", body[:2])[0]
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        number, rest = (rest[:2], rest[2:]) if flags & 6 else (b"", rest)
        payload = rest[1 + rest[0] :] if self.is_v5 else rest
        self.broker.properties[topic] = rest[1 : 1 + rest[0]] if self.is_v5 else b""
        if flags & 1:
            self.broker.retained[topic] = payload
        self.broker.publish(topic, payload)
        if number:
            self.send(PUBACK, 0, number)


@contextmanager
def mqtt_broker(password: str) -> Iterator[Broker]:
    """A running broker."""
    broker = Broker(password)

    with listening(type("OfThisBroker", (Connection,), {"broker": broker})) as broker.port:
        yield broker
