"""Files somebody sent along, under the names they had, while the engine copies them into its storage."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from bot.conversation import Attachment


@asynccontextmanager
async def staged(given: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Given values with each attachment as the path of a link that carries its own name; the links last as long."""
    files = {name: value for name, value in given.items() if isinstance(value, Attachment)}
    if not files:
        yield dict(given)
        return
    with tempfile.TemporaryDirectory(prefix="parley-upload-") as folder:
        paths = await asyncio.to_thread(_linked, Path(folder), files)
        yield {**given, **paths}


def _linked(folder: Path, files: Mapping[str, Attachment]) -> dict[str, str]:
    paths: dict[str, str] = {}
    for number, (name, file) in enumerate(files.items()):
        place = folder / str(number)
        place.mkdir()
        link = place / safe_name(file.name)
        link.symlink_to(Path(file.path).absolute())
        paths[name] = str(link)
    return paths


def safe_name(name: str) -> str:
    """A file's name without anything that leads elsewhere."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[^\w.@+=() -]", "_", last).lstrip(".")[:120] or "file"
