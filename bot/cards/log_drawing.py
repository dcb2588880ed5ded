"""What the thread of a run's card gets at the end: the log, and where it says more than text the timeline."""

import asyncio
from datetime import datetime

from bot.cards.log_lines import written
from bot.cards.parts import elapsed, tone
from bot.commands.references import short
from bot.conversation import Card, FileRef
from bot.office import Office
from bot.pictures.timeline import says_more, timeline
from bot.texts import code, fenced, shorten
from engine.core.execution import Execution
from engine.errors import NotFound
from engine.files import SCHEME, execution_folder

MAX_LINES = 5000
SHOWN = 20  # lines in the message itself; more are a file
LONGEST = 160


async def log_card(office: Office, execution_id: str, version: int) -> tuple[Card, bool]:
    """The log of a run as a message, and whether the run is over; NotFound."""
    execution = await office.engine.execution(execution_id)
    found = await office.engine.logs(execution_id, limit=MAX_LINES, last=True)
    lines = written(found)
    label, files = short(execution.id), list[FileRef]()
    if len(lines) > SHOWN or any(len(line) > LONGEST for line in lines):
        files.append(await _kept(office, execution, f"run-{execution.id}.log", "\n".join(lines).encode(), "text/plain"))
    if says_more(execution) and (drawn := await asyncio.to_thread(_timeline_png, execution, office.now())):
        files.append(await _kept(office, execution, f"timeline-{execution.id}.png", drawn, "image/png"))
    took = ((execution.ended or office.now()) - execution.begun).total_seconds()
    count = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
    shown = [shorten(line, LONGEST) for line in lines[-SHOWN:]]
    card = Card(
        "post",
        execution.id,
        tone(execution.state),
        f"Log of {execution.flow_id}",
        subtitle=f"run {code(label)} \u00b7 {count} \u00b7 {elapsed(took)}",
        body=fenced(shown) if shown else "Nothing was logged.",
        files=tuple(files),
        version=version,
        fallback=f"Log of {execution.flow_id} {label}",
    )
    return card, execution.state.is_terminal


def _timeline_png(execution: Execution, now: datetime) -> bytes | None:
    from bot.pictures.raster import png  # noqa: PLC0415 - a library that only pictures need

    return png(timeline(execution, now))


async def _kept(office: Office, execution: Execution, name: str, content: bytes, media_type: str) -> FileRef:
    """A file beside those of the run, once for each time the run ended."""
    folder = execution_folder(execution.namespace, execution.flow_id, execution.id)
    folder = f"{folder}/chat/{len(execution.histories)}"
    files = office.engine.files

    def keep() -> str:
        uri = f"{SCHEME}/{folder}/{name}"
        try:
            files.path(uri)
        except NotFound:
            return files.put(folder, content, name)
        return uri

    return FileRef(await asyncio.to_thread(keep), name, media_type, len(content), alt=name)
