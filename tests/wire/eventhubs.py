"""Azure Event Hubs as it speaks AMQP 1.0, on the loopback address: one hub and its partitions."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from azure.eventhub._pyamqp import performatives as frames
from azure.eventhub._pyamqp._decode import decode_frame, decode_payload
from azure.eventhub._pyamqp._encode import encode_frame, encode_payload
from azure.eventhub._pyamqp.endpoints import Source, Target
from azure.eventhub._pyamqp.message import Message, Properties
from azure.eventhub._pyamqp.outcomes import Accepted
from azure.eventhub._pyamqp.types import AMQPTypes

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(16, 25)
ENQUEUED = 1767225600000  # of the first event, in milliseconds; each other comes a second later
BATCH = 0x80013700


class Hub:
    """`partitions` hold the events by their partition; `refuses` is what its service says no to a token with."""

    def __init__(self) -> None:
        self.partitions: dict[str, list[dict[str, Any]]] = {"0": [], "1": []}
        self.tokens: list[str] = []
        self.batches: list[tuple[str | None, list[Message]]] = []
        self.starts: list[tuple[str, str]] = []  # where a partition began to be read
        self.refuses = ""
        self.links: list[tuple[Connection, int, int]] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.lock = threading.RLock()

    @property
    def connection(self) -> str:
        port = self.listening.getsockname()[1]
        who = "SharedAccessKeyName=me;SharedAccessKey=aHVzaA=="
        return f"Endpoint=sb://127.0.0.1:{port};{who};UseDevelopmentEmulator=true"

    def put(self, partition: str, *bodies: bytes, **about: Any) -> None:
        """Events come; whoever reads hears of them."""
        with self.lock:
            there = self.partitions[partition]
            for body in bodies:
                there.append({"body": body, "number": len(there), **about})
        for connection in {connection for connection, _, _ in self.links}:
            with suppress(OSError):
                connection.push()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                place, _ = self.listening.accept()
                threading.Thread(target=Connection(self, place).run, daemon=True).start()


class Connection:
    """One connection of a client."""

    def __init__(self, hub: Hub, place: socket.socket) -> None:
        self.hub, self.place, self.lock = hub, place, threading.RLock()
        self.attached: dict[tuple[int, int], list[Any]] = {}
        self.credit: dict[tuple[int, int], int] = {}
        self.next: dict[tuple[int, int], int] = {}
        self.sent: dict[int, int] = {}

    def run(self) -> None:
        with suppress(OSError, ConnectionError), self.place:
            self._greet()
            while self._frame():
                pass

    def _greet(self) -> None:
        if self._read(8)[4] == 3:
            self.place.sendall(b"AMQP\x03\x01\x00\x00")
            self._send(0, frames.SASLMechanism(sasl_server_mechanisms=[b"ANONYMOUS", b"MSSBCBS"]), b"\x01")
            self._read(int.from_bytes(self._read(4), "big") - 4)
            self._send(0, frames.SASLOutcome(code=0, additional_data=None), b"\x01")
            self._read(8)
        self.place.sendall(b"AMQP\x00\x01\x00\x00")

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            block = self.place.recv(size - len(found))
            if not block:
                raise ConnectionError("gone")
            found += block
        return found

    def _send(self, channel: int, frame: Any, kind: bytes = b"\x00") -> None:
        header, body = encode_frame(frame, kind)
        with self.lock:
            self.place.sendall(header + channel.to_bytes(2, "big") + bytes(body or b""))

    def _frame(self) -> bool:
        size = int.from_bytes(self._read(4), "big")
        rest = self._read(size - 4)
        channel = int.from_bytes(rest[2:4], "big")
        if size == 8:
            return True
        kind, fields = decode_frame(memoryview(rest)[4:])
        if kind == OPEN:
            self._send(0, frames.OpenFrame("hub", None, 65536, 100, None, None, None, None, None, None))
        elif kind == BEGIN:
            self._send(channel, frames.BeginFrame(channel, 0, 65536, 65536, 255, None, None, None))
        elif kind == ATTACH:
            self._attach(channel, fields)
        elif kind == FLOW and fields[4] is not None:
            self.credit[channel, fields[4]] = fields[6]
            self.push()
        elif kind == TRANSFER:
            self._take(channel, fields)
        elif kind == DETACH:
            self.attached.pop((channel, fields[0]), None)
            self._send(channel, frames.DetachFrame(fields[0], True, None))
        elif kind == END:
            self._send(channel, frames.EndFrame(None))
        elif kind == CLOSE:
            self._send(0, frames.CloseFrame(None))
            return False
        return True

    def _attach(self, channel: int, fields: list[Any]) -> None:
        name, handle, reads, source, target = fields[0], fields[1], fields[2], fields[5], fields[6]
        self.attached[channel, handle] = fields
        answer = [name, handle, not reads, fields[3], fields[4], None, None, None, None, 0, 1 << 20, None, None, None]
        if source is not None:
            answer[5] = Source(_text(source[0]))
        if target is not None:
            answer[6] = Target(_text(target[0]))
        self._send(channel, frames.AttachFrame(*answer))
        if not reads:
            self._send(channel, frames.FlowFrame(0, 65536, 0, 65536, handle, 0, 1000, None, None, None, None))
            return
        place = _text(source[0])
        if "/Partitions/" in place:
            partition = place.rpartition("/")[2]
            start = _text(next(iter((source[7] or {}).values()), ""))
            self.hub.starts.append((partition, start))
            offset = start.partition("'")[2].rpartition("'")[0]
            there = self.hub.partitions[partition]
            first = len(there) if offset == "@latest" else max(int(offset) + 1, 0) if "offset" in start else 0
            self.next[channel, handle] = first
            self.hub.links.append((self, channel, handle))

    def push(self) -> None:
        """Send what readers wait for."""
        with self.hub.lock:
            for at, number in list(self.next.items()):
                if at not in self.attached:
                    continue
                there = self.hub.partitions[_text(self.attached[at][5][0]).rpartition("/")[2]]
                while self.credit.get(at, 0) > 0 and number < len(there):
                    self._give(at, _event(there[number]))
                    number += 1
                    self.credit[at] -= 1
                self.next[at] = number

    def _give(self, at: tuple[int, int], message: Message) -> None:
        channel, handle = at
        number = self.sent.get(channel, 0)
        self.sent[channel] = number + 1
        payload = bytes(encode_payload(bytearray(), message))
        tag = number.to_bytes(4, "big")
        frame = frames.TransferFrame(handle, number, tag, 0, True, False, None, None, None, None, None, payload)
        self._send(channel, frame)

    def _take(self, channel: int, fields: list[Any]) -> None:
        handle, number, form, payload = fields[0], fields[1], fields[3], fields[-1]
        message = decode_payload(memoryview(payload))
        place = _text(self.attached[channel, handle][6][0])
        if place in ("$cbs", "$management"):
            self._answer(channel, place, message)
        else:
            parts = [decode_payload(memoryview(one)) for one in message.data] if form == BATCH else [message]
            key = (message.message_annotations or {}).get(b"x-opt-partition-key")
            self.hub.batches.append((_text(key), parts))
        self._send(channel, frames.DispositionFrame(True, number, number, True, Accepted(), None))

    def _answer(self, channel: int, place: str, message: Message) -> None:
        asked = message.application_properties
        value: Any = None
        if place == "$cbs":
            self.hub.tokens.append(_text(message.value if message.value is not None else message.data[0]))
            code = 401 if self.hub.refuses else 200
            status = {"status-code": code, "status-description": self.hub.refuses or "OK"}
        else:
            status = {"status-code": 200, "status-description": "OK"}
            value = {
                b"name": _text(asked.get(b"name")),
                b"created_at": {"TYPE": AMQPTypes.timestamp, "VALUE": ENQUEUED},
                b"partition_ids": list(self.hub.partitions),
            }
        told = Properties(correlation_id=message.properties.message_id)
        reply = Message(properties=told, application_properties=status, value=value if value is not None else "")
        for at, fields in self.attached.items():
            if at[0] == channel and fields[2] and _text(fields[5][0]) == place:
                self._give(at, reply)
                return


def _event(about: dict[str, Any]) -> Message:
    number = about["number"]
    notes = {
        b"x-opt-offset": str(number),
        b"x-opt-sequence-number": {"TYPE": AMQPTypes.long, "VALUE": number},
        b"x-opt-enqueued-time": {"TYPE": AMQPTypes.timestamp, "VALUE": ENQUEUED + number * 1000},
    }
    if about.get("key"):
        notes[b"x-opt-partition-key"] = about["key"]
    told = Properties(message_id=about.get("id"), content_type=about.get("kind"))
    return Message(
        properties=told, message_annotations=notes, application_properties=about.get("properties"), data=[about["body"]]
    )


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def event_hub() -> Iterator[Hub]:
    """A hub that answers."""
    hub = Hub()
    threading.Thread(target=hub.serve, daemon=True).start()
    try:
        yield hub
    finally:
        hub.listening.close()
