"""Files people send: fetched from Slack and kept for a day, since a draft with them may be sent that much later."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bot.conversation import Attachment
from bot.slack.answers import SentFile
from bot.slack.limits import FILE_BYTES
from bot.slack.transport import Transport

KEEP = 24 * 3600.0
_SWEEP = 3600.0


class Inbox:
    """A folder with one folder inside for each thing somebody sent."""

    def __init__(self, transport: Transport, folder: Path | None) -> None:
        self._transport = transport
        self._given = folder
        self._folder: Path | None = None
        self._swept = 0.0

    async def fetch(self, files: Sequence[SentFile]) -> tuple[Attachment, ...]:
        """The files, fetched; FileRefused for the first that can't be had."""
        if not files:
            return ()
        place = await self._place()
        return tuple(
            [await self._transport.download(file, place / str(number), FILE_BYTES) for number, file in enumerate(files)]
        )

    async def keep(self, name: str, text: str) -> Attachment:
        """A text as an attachment."""
        path = await self._place() / name
        await asyncio.to_thread(path.write_text, text, "utf-8", "replace")
        return Attachment(name, str(path), path.stat().st_size, "text/plain")

    async def _place(self) -> Path:
        return await asyncio.to_thread(self._make_place)

    def _make_place(self) -> Path:
        if self._folder is None:
            if self._given is not None:
                self._given.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = self._given or Path(tempfile.mkdtemp(prefix="parley-slack-"))
        if time.monotonic() - self._swept > _SWEEP or not self._swept:
            self._swept = time.monotonic()
            self.sweep()
        return Path(tempfile.mkdtemp(dir=self._folder))

    def sweep(self) -> None:
        """Forget what is older than a day."""
        for old in self._folder.iterdir() if self._folder else ():
            if old.stat().st_mtime < time.time() - KEEP:
                shutil.rmtree(old, ignore_errors=True)
