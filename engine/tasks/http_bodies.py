"""What goes into a request and comes out of an answer: headers, forms, files and their names."""

import json
import mimetypes
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import httpx

from engine.plugin import RunContext, TaskFailed
from engine.tasks.property_types import scalar_to_text
from engine.tasks.working_files import STORAGE


def header(value: Any) -> str:
    """A header's value; TaskFailed when it holds a line break."""
    text = form_field(value)
    if "\n" in text.strip() or "\r" in text.strip():
        raise TaskFailed("A header's value holds a line break.", fix="Check the expression that makes it.")
    return text.strip()


def form_field(value: Any) -> str:
    """A value as a form holds it: text as it is, a list or a map as JSON."""
    text = scalar_to_text(value)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def multipart(form: Mapping[str, Any], context: RunContext, stack: ExitStack) -> dict[str, Any]:
    """A form as parts: storage URIs and `{name, content}` are files, which stay open as long as the stack."""
    parts: list[tuple[str, Any]] = []
    for name, value in form.items():
        content, file = value, None
        if isinstance(value, Mapping) and {"name", "content"} <= value.keys():
            content, file = value["content"], str(value["name"])
        if isinstance(content, str) and content.startswith(STORAGE):
            path = context.files.path(content)
            handle = stack.enter_context(path.open("rb"))
            parts.append((name, (file or path.name, handle, mimetypes.guess_type(file or path.name)[0])))
        elif file is not None:
            parts.append((name, (file, form_field(content).encode(), mimetypes.guess_type(file)[0])))
        else:
            parts.append((name, (None, form_field(value).encode())))
    return {"files": parts}


def grouped(headers: httpx.Headers) -> dict[str, list[str]]:
    """An answer's headers: name → values, in their own spelling."""
    found: dict[str, list[str]] = {}
    for raw_name, raw_value in headers.raw:
        found.setdefault(raw_name.decode("latin-1"), []).append(raw_value.decode("latin-1"))
    return found


def file_name(response: httpx.Response) -> str:
    """What to call a download: as the service names it, else by its address and type; never a path."""
    disposition = response.headers.get("content-disposition", "")
    encoded = re.search(r"filename\*=(?:UTF-8'')?([^;]+)", disposition, re.IGNORECASE)
    plain = re.search(r'filename="?([^";]+)"?', disposition, re.IGNORECASE)
    name = unquote(encoded[1]) if encoded else plain[1] if plain else PurePosixPath(response.url.path).name
    name = PurePosixPath(name.replace("\\", "/")).name.strip() or "download"
    if not PurePosixPath(name).suffix:
        name += mimetypes.guess_extension(response.headers.get("content-type", "").split(";")[0].strip()) or ""
    return quote(name, safe=" ._-()+@")[:200]
