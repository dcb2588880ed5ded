"""Text that comes to a port of this machine, and text that is sent to one elsewhere."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import Field

from engine.plugin import Message, Outputs, Part, Property, TaskFailed
from engine.tasks.property_types import Text

AT_ONCE = 100  # messages whose executions are written together
WAITING = 1000  # messages that are kept until there is time for them


class Sent(Outputs):
    """Where it went, and how many bytes."""

    host: str
    port: int
    sentBytes: int  # noqa: N815 - appears as written


class EarFields(Part):
    """Which port is listened to."""

    host: Property[Text] = Field(default="0.0.0.0", description="The address it is bound to.")  # noqa: S104
    port: Property[int] = Field(ge=1, le=65535)
    encoding: Property[Text] = "UTF-8"


class Heard(Outputs):
    """What came, when, and from where."""

    payload: str
    timestamp: str
    sourceIp: str  # noqa: N815 - appears as written
    sourcePort: int  # noqa: N815 - appears as written


class Ear:
    """What has come and no execution was made of yet."""

    def __init__(self, encoding: str) -> None:
        known(encoding)
        self._encoding = encoding
        self._waiting: asyncio.Queue[tuple[Message, asyncio.Event]] = asyncio.Queue(WAITING)

    def hears(self, said: bytes, source: tuple[str, int]) -> asyncio.Event | None:
        """Keeps what came; the event is set when its execution is there. None when there is no room for it."""
        event, moment = asyncio.Event(), datetime.now(UTC).isoformat().replace("+00:00", "Z")
        text = said.decode(self._encoding, errors="replace").strip()
        message = Message(Heard(payload=text, timestamp=moment, sourceIp=source[0], sourcePort=source[1]))
        try:
            self._waiting.put_nowait((message, event))
        except asyncio.QueueFull:
            return None
        return event

    async def take(self) -> tuple[list[Message], list[asyncio.Event]]:
        """The next messages, some at once, and what to set when their executions are there."""
        taken = [await self._waiting.get()]
        while len(taken) < AT_ONCE and not self._waiting.empty():
            taken.append(self._waiting.get_nowait())
        return [message for message, _ in taken], [event for _, event in taken]


def known(encoding: str) -> None:
    """TaskFailed when there is no such encoding, or none of text (hex, zip)."""
    try:
        b"a".decode(encoding, errors="replace")
    except (LookupError, ValueError) as error:
        raise TaskFailed(f"There is no character set {encoding!r}.", fix="Write it as UTF-8.") from error


def coded(text: str, encoding: str) -> bytes:
    """The text in an encoding; TaskFailed when that can't be."""
    known(encoding)
    try:
        return text.encode(encoding)
    except UnicodeError as error:
        raise TaskFailed(f"The payload can't be written in {encoding}: {error}.", fix="Use UTF-8.") from error


@contextmanager
def bound(fields: EarFields) -> Iterator[None]:
    """TaskFailed when the port can't be had."""
    try:
        yield
    except OSError as error:
        raise TaskFailed(
            f"Nobody can listen at {fields.host}:{fields.port}: {error.strerror or error}.",
            fix="Choose a port that is free, and an address of this machine.",
        ) from error
