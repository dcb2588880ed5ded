"""Files on their way: what people send along is fetched to a folder, what cards show is read from storage."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bot.conversation import Attachment, FileRef
from bot.discord.limits import FILE_BYTES, MIB
from bot.discord.payloads import Upload
from bot.discord.transport import Sent, Transport
from bot.discord.views.components import DETAILS, Rendered, details, file_of, safe_name
from bot.forms.uploads import Uploads
from bot.texts import plain
from engine.errors import EngineError

Locate = Callable[[str], Path]


class TooLarge(Exception):
    """A file somebody sent is larger than this bot takes."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        super().__init__(name)
        told = f"{plain(name)} is {size / MIB:.1f} MB; the limit here is {limit / MIB:.0f} MB."
        self.text = f"{told} Upload it on the page: `/flow web` opens it."


class Files:
    """Reads files out of internal storage (`locate` gives their path), and keeps what came in: in `inbox` for a day,
    else until `close`."""

    def __init__(self, transport: Transport, locate: Locate | None, max_upload: int, inbox: Path | None = None) -> None:
        self._transport = transport
        self._locate = locate
        self._max_upload = max_upload
        self._uploads = Uploads(inbox)

    async def fetch(self, upload: Upload) -> Attachment:
        """A file somebody sent along, on disk; TooLarge, Unreachable."""
        if upload.size > self._max_upload:
            raise TooLarge(safe_name(upload.name), upload.size, self._max_upload)
        content = await self._transport.fetch(upload.url)
        if len(content) > self._max_upload:
            raise TooLarge(safe_name(upload.name), len(content), self._max_upload)
        return await self._uploads.keep(upload.name, content, upload.media_type)

    async def keep(self, name: str, text: str) -> Attachment:
        """A text as an attachment."""
        return await self._uploads.keep(name, text.encode("utf-8", "replace"), "text/plain")

    async def read(self, refs: Sequence[FileRef]) -> tuple[tuple[FileRef, ...], dict[str, bytes]]:
        """The references with their true sizes, and the contents by URI; what can't be read or sent has no content."""
        return await asyncio.to_thread(self._read, refs)

    def _read(self, refs: Sequence[FileRef]) -> tuple[tuple[FileRef, ...], dict[str, bytes]]:
        known: list[FileRef] = []
        contents: dict[str, bytes] = {}
        for ref in refs:
            try:
                path = self._locate(ref.uri) if self._locate else None
                size = path.stat().st_size if path else FILE_BYTES + 1
                if path and size <= FILE_BYTES:
                    contents[ref.uri] = path.read_bytes()
            except (EngineError, OSError):
                size = FILE_BYTES + 1  # drawn as a file that could not be sent
            known.append(replace(ref, size=size))
        return tuple(known), contents

    def close(self) -> None:
        """Delete what came in, unless it has a folder to be kept in."""
        self._uploads.close()


def to_send(rendered: Rendered, contents: Mapping[str, bytes]) -> list[Sent]:
    """The files a payload names, in its order: the overflow, and `contents` by attachment name."""
    names = [str(item["filename"]) for item in rendered.payload.get("attachments", [])]
    texts = {item.file: file_of(item.text) for item in rendered.overflow if item.file}
    if DETAILS in names:
        texts[DETAILS] = details(rendered.overflow)
    return [Sent(name, texts[name] if name in texts else contents[name]) for name in names]
