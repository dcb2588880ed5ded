"""Files people send: fetched from Slack and kept for a day, since a draft with them may be sent that much later."""

from collections.abc import Sequence
from pathlib import Path

from bot.conversation import Attachment
from bot.forms.uploads import Uploads
from bot.slack.answers import SentFile
from bot.slack.limits import FILE_BYTES
from bot.slack.transport import Transport


class Inbox:
    """What came from this workspace."""

    def __init__(self, transport: Transport, folder: Path | None) -> None:
        self._transport = transport
        self._uploads = Uploads(folder)

    async def fetch(self, files: Sequence[SentFile]) -> tuple[Attachment, ...]:
        """The files, fetched; FileRefused for the first that can't be had."""
        if not files:
            return ()
        place = await self._uploads.place()
        return tuple(
            [await self._transport.download(file, place / str(number), FILE_BYTES) for number, file in enumerate(files)]
        )

    async def keep(self, name: str, text: str) -> Attachment:
        """A text as an attachment."""
        return await self._uploads.keep(name, text.encode("utf-8", "replace"), "text/plain")
