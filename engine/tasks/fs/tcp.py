"""`io.kestra.plugin.fs.tcp`: text over plain TCP connections."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import ClassVar, Literal

from pydantic import Field

from engine import plugin
from engine.plugin import Message, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.heard_text import Ear, EarFields, Sent, bound, coded
from engine.tasks.property_types import Text
from engine.tasks.trigger_fields import fields_of

CALLERS = 100  # connections that are read at once; more wait until one is done
MOST = 500  # connections; one more is closed at once, so that all others of the bot find room
PATIENCE = 60.0  # seconds in which a caller must have said all


class Send(RunnableTask):
    """Send a line of text to a TCP server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.fs.tcp.Send
host: scale.example.com
port: 5000
payload: "{{ execution.id }} has begun"
""",
    )
    type: Literal["io.kestra.plugin.fs.tcp.Send"]
    host: Property[Text]
    port: Property[int] = Field(ge=1, le=65535)
    payload: Property[Text]
    encoding: Property[Text] = "UTF-8"
    timeout_ms: Property[int] = Field(default=5000, ge=1, description="Milliseconds for all of it.")

    async def run(self, context: RunContext) -> Sent:
        said = coded(self.payload, self.encoding)
        await check_host(self.host, context.settings)
        try:
            async with asyncio.timeout(self.timeout_ms / 1000):
                _, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    writer.write(said + b"\n")
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
                finally:
                    writer.transport.abort()  # else one that never reads keeps the connection, and what it was told
        except (OSError, TimeoutError) as error:
            why = str(error) or f"it took longer than {self.timeout_ms} ms"
            raise TaskFailed(
                f"{self.host}:{self.port} could not be reached: {why}.", fix="Check host, port and network."
            ) from error
        return Sent(host=self.host, port=self.port, sentBytes=len(said))


class RealtimeTrigger(EarFields, plugin.RealtimeTrigger):
    """Start an execution for what each caller of a TCP port says until it ends its side of the connection.

    The connection is closed when the execution is there. Anybody who reaches the port may call: bind it to an address
    that only those reach who should.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: weighed
type: io.kestra.plugin.fs.tcp.RealtimeTrigger
host: 127.0.0.1
port: 9090
""",
    )
    type: Literal["io.kestra.plugin.fs.tcp.RealtimeTrigger"]

    async def listen(self, context: RunContext) -> AsyncGenerator[Sequence[Message], None]:
        fields = await fields_of(self, EarFields, context)
        ear, room = Ear(fields.encoding), asyncio.Semaphore(CALLERS)
        callers: set[asyncio.Task[None] | None] = set()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            callers.add(asyncio.current_task())
            source = writer.get_extra_info("peername") or ("", 0)
            try:
                if len(callers) <= MOST:
                    await _hear(context, ear, room, reader, source)
                else:
                    context.log(f"{source[0]} was not heard: {MOST} others call.", "WARN")
            finally:
                callers.discard(asyncio.current_task())
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

        with bound(fields):
            server = await asyncio.start_server(answer, fields.host, fields.port)
        try:
            while True:
                messages, events = await ear.take()
                yield messages
                for event in events:
                    event.set()
        finally:
            server.close()
            for caller in list(callers):
                if caller is not None:
                    caller.cancel()


async def _hear(
    context: RunContext, ear: Ear, room: asyncio.Semaphore, reader: asyncio.StreamReader, source: tuple[str, int]
) -> None:
    """Keep what a caller says, and wait until its execution is there."""
    most = context.settings.limits.output_bytes
    said = b""
    try:
        async with room, asyncio.timeout(PATIENCE):
            while len(said) <= most and (more := await reader.read(most + 1 - len(said))):
                said += more
    except (OSError, TimeoutError) as error:
        context.log(f"{source[0]} was not heard: {str(error) or f'not all was said in {PATIENCE:g} s'}.", "WARN")
        return
    if len(said) > most:
        context.log(f"{source[0]} was not heard: it said more than {most} bytes (`limits.output_bytes`).", "WARN")
    elif said.strip():
        kept = ear.hears(said, source)
        if kept is None:
            context.log(f"{source[0]} was not heard: too many said something at once.", "WARN")
        else:
            await kept.wait()
