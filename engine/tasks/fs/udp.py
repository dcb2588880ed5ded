"""`io.kestra.plugin.fs.udp`: text in datagrams, of which the network may lose some."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.plugin import Message, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.heard_text import Ear, EarFields, Sent, bound, coded
from engine.tasks.property_types import Text
from engine.tasks.trigger_fields import fields_of


class Send(RunnableTask):
    """Send a datagram; whether anybody hears it is not known."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: count
type: io.kestra.plugin.fs.udp.Send
host: statsd.example.com
port: 8125
payload: "flows.done:1|c"
""",
    )
    type: Literal["io.kestra.plugin.fs.udp.Send"]
    host: Property[Text]
    port: Property[int] = Field(ge=1, le=65535)
    payload: Property[Text]
    encoding: Property[Text] = "UTF-8"

    async def run(self, context: RunContext) -> Sent:
        said = coded(self.payload, self.encoding)
        await check_host(self.host, context.settings)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
            with socket.socket(found[0][0], socket.SOCK_DGRAM) as mouth:
                mouth.setblocking(False)
                await loop.sock_sendto(mouth, said, found[0][4])
        except OSError as error:
            raise TaskFailed(
                f"{self.host}:{self.port} could not be sent anything: {error.strerror or error}.",
                fix="Check the host; a datagram has room for about 65,000 bytes.",
            ) from error
        return Sent(host=self.host, port=self.port, sentBytes=len(said))


class DatagramFields(EarFields):
    """Which port is listened to, and how much of each datagram is read."""

    buffer_size: Property[int] = Field(default=1024, ge=1, description="Bytes; what is longer is cut there.")


class RealtimeTrigger(DatagramFields, plugin.RealtimeTrigger):
    """Start an execution for each datagram that comes to a port.

    Anybody who reaches the port may send: bind it to an address that only those reach who should.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: measured
type: io.kestra.plugin.fs.udp.RealtimeTrigger
host: 127.0.0.1
port: 8091
""",
    )
    type: Literal["io.kestra.plugin.fs.udp.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, DatagramFields, context)
        ear = Ear(fields.encoding)
        with bound(fields):
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Ears(context, ear, fields.buffer_size), local_addr=(fields.host, fields.port)
            )
        try:
            while True:
                messages, _ = await ear.take()
                yield messages
        finally:
            transport.close()


class _Ears(asyncio.DatagramProtocol):
    def __init__(self, context: RunContext, ear: Ear, most: int) -> None:
        self._context, self._ear, self._most = context, ear, most

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > self._most:
            self._context.log(f"{addr[0]} sent {len(data)} bytes, cut to {self._most} (`bufferSize`).", "WARN")
        if self._ear.hears(data[: self._most], addr) is None:
            self._context.log(f"{addr[0]} was not heard: too many said something at once.", "WARN")
