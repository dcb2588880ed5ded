"""The parts of a `multipart/form-data` body that a webhook is sent."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from engine.core.request_triggers import Sent
from engine.errors import Refused
from engine.runtime.webhooks import Form

KIND = "multipart/form-data"
MOST = 1000  # files in one form, and as many fields
LONGEST = 1024 * 1024  # bytes of one field: it travels with the execution
PIECE = 64 * 1024  # bytes that are read before others get a turn on the loop


class _Parser(MultiPartParser):
    is_whole = False

    def on_end(self) -> None:
        self.is_whole = True


def form_of(request: Request, raw: bytes) -> Form | None:
    """Reads the parts of a request's body; None when it is no form that has some."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return partial(_parts, request.headers, raw) if kind == KIND else None


async def _parts(headers: Headers, raw: bytes) -> list[Sent]:
    parser = _Parser(
        headers, _pieces(raw, lambda: parser.is_whole), max_files=MOST, max_fields=MOST, max_part_size=LONGEST
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        fix = f"A form has {MOST} files and {MOST} fields at most, and a field {LONGEST // 1024} KB."
        raise Refused(f"The form can't be read: {error.message}", fix=fix) from error
    try:
        return [await _sent(name, value) for name, value in form.multi_items()]
    finally:
        await form.close()


async def _sent(name: str, value: UploadFile | str) -> Sent:
    if isinstance(value, str):
        return Sent(name, value.encode())
    return Sent(name, await value.read(), value.filename or "", value.content_type or "")


async def _pieces(raw: bytes, is_whole: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(raw), PIECE):
        yield raw[start : start + PIECE]
        await asyncio.sleep(0)
    if not is_whole():
        raise MultiPartException("It ends in the middle.")  # here, so that the parser lets go of its files
