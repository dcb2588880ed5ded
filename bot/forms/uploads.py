"""Files somebody sent along: kept for a day, since a form with them may be sent that much later, also after a restart;
and under the names they had while the engine copies them into its storage."""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from bot.conversation import Attachment
from bot.forms.values import files_in

KEEP = 24 * 3600.0
_SWEEP = 3600.0


class Uploads:
    """A folder with one folder inside for each thing somebody sent; without `folder` one of its own until `close`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder
        self._folder: Path | None = None
        self._swept = 0.0

    async def place(self) -> Path:
        """A fresh folder."""
        return await asyncio.to_thread(self._make_place)

    def _make_place(self) -> Path:
        if self._folder is None:
            if self._given is not None:
                self._given.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = self._given or Path(tempfile.mkdtemp(prefix="parley-uploads-"))
        if time.monotonic() - self._swept > _SWEEP or not self._swept:
            self._swept = time.monotonic()
            self.sweep()
        return Path(tempfile.mkdtemp(dir=self._folder))

    async def keep(self, name: str, content: bytes, media_type: str = "application/octet-stream") -> Attachment:
        """What somebody sent, as an attachment of that name."""
        path = await self.place() / safe_name(name)
        await asyncio.to_thread(path.write_bytes, content)
        return Attachment(name, str(path), len(content), media_type)

    def sweep(self) -> None:
        """Forget what is older than a day."""
        for old in self._folder.iterdir() if self._folder else ():
            if old.stat().st_mtime < time.time() - KEEP:
                shutil.rmtree(old, ignore_errors=True)

    def close(self) -> None:
        """What is kept in a folder of its own goes."""
        if self._folder is not None and self._given is None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


async def lost(given: Mapping[str, Any]) -> dict[str, str]:
    """The names of files that were sent too long ago to be kept, by the field they were sent for."""
    files = [(name, file) for name, value in given.items() for file in files_in(value)]
    return {name: file.name for name, file in files if not await asyncio.to_thread(Path(file.path).is_file)}


@asynccontextmanager
async def staged(given: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Given values with each attachment as the path of a link that carries its own name; the links last as long."""
    files = {name: value for name, value in given.items() if files_in(value)}
    if not files:
        yield dict(given)
        return
    with tempfile.TemporaryDirectory(prefix="parley-upload-") as folder:
        paths = await asyncio.to_thread(_linked, Path(folder), files)
        yield {**given, **paths}


def _linked(folder: Path, given: Mapping[str, Any]) -> dict[str, str | list[str]]:
    paths: dict[str, str | list[str]] = {}
    for name, value in given.items():
        links = []
        for file in files_in(value):
            link = Path(tempfile.mkdtemp(dir=folder)) / safe_name(file.name)
            link.symlink_to(Path(file.path).absolute())
            links.append(str(link))
        paths[name] = links[0] if isinstance(value, Attachment) else links
    return paths


def safe_name(name: str) -> str:
    """A file's name without anything that leads elsewhere."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[^\w.@+=() -]", "_", last).lstrip(".")[:120] or "file"
