"""Google Drive: files by id, two a page."""

import json
import re
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest

from tests.wire.google import TOKEN
from tests.wire.loopback import Answered, Loopback, Received, serving


class GoogleDrive:
    """`files` by id, each with what Google says of it and its `content`."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.now = "2026-01-02T03:04:05.678Z"
        self.wire: Loopback

    def answer(self, request: Received) -> Answered:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "Invalid Credentials")
        found = re.fullmatch(r"(/upload)?/drive/v3/files(?:/(\w+))?(/export)?", request.path)
        if found is None or (found[2] and found[2] not in self.files):
            return _error(404, f"File not found: {found and found[2]}.")
        if found[1]:
            return self._upload(request, found[2])
        match request.method, found[2], found[3]:
            case "GET", None, None:
                return self._list(request)
            case "POST", None, None:
                return Answered(_shown(self._kept(None, request.json, b"")))
            case "GET", str(id_), "/export":
                return Answered(f"{request.query['mimeType']}:".encode() + self.files[id_]["content"])
            case "GET", str(id_), None:
                file = self.files[id_]
                return Answered(file["content"] if request.query.get("alt") == "media" else _shown(file))
            case "DELETE", str(id_), None:
                del self.files[id_]
                return Answered(status=204)
        return _error(405, "Method not allowed.")

    def _upload(self, request: Received, id_: str | None) -> Answered:
        if request.query.get("uploadType") != "multipart" or (request.method == "PATCH") != bool(id_):
            return _error(400, "Bad request")
        head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
        about, media = BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()  # type: ignore[attr-defined]
        file = self._kept(id_, json.loads(about.get_payload(decode=True)), media.get_payload(decode=True))
        file["contentType"] = media.get_content_type()
        return Answered(_shown(file))

    def _kept(self, id_: str | None, about: dict[str, Any], content: bytes) -> dict[str, Any]:
        name = id_ or f"f{len(self.files) + 1}"
        old = self.files.get(name, {"version": "0", "parents": ["root"], "trashed": False, "createdTime": self.now})
        self.files[name] = {**old, "id": name, **about, "version": str(int(old["version"]) + 1), "content": content}
        return self.files[name]

    def _list(self, request: Received) -> Answered:
        if request.query.get("includeItemsFromAllDrives") != request.query.get("supportsAllDrives"):
            return _error(403, "includeItemsFromAllDrives needs supportsAllDrives")
        try:
            rows = [_shown(file) for file in self.files.values() if fits(request.query.get("q", ""), file)]
        except SyntaxError:
            return _error(400, "Invalid Value: q")
        start = int(request.query.get("pageToken") or 0)
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(rows) else {}
        return Answered({"files": rows[start : start + 2], **more})


TERM = re.compile(r"('(?:[^'\\]|\\.)*') in (\w+)|(\w+) (=|!=|>=|<) ('(?:[^'\\]|\\.)*'|true|false)")


def fits(query: str, file: dict[str, Any]) -> bool:
    """Whether a file is what a search in Drive's words asks for."""

    def holds(term: re.Match[str]) -> str:
        if term[2]:
            return str(_read(term[1]) in file.get(term[2], []))
        own, said = file[term[3]], _read(term[5])
        return str({"=": own == said, "!=": own != said, ">=": own >= said, "<": own < said}[term[4]])

    rest = TERM.sub(holds, query)
    if not re.fullmatch(r"[()\s]*(?:(?:True|False|and|or)[()\s]*)*", rest):
        raise SyntaxError(query)
    return bool(eval(rest)) if rest.strip() else True  # only words that were just checked


def _read(text: str) -> Any:
    return text == "true" if text in ("true", "false") else re.sub(r"\\(.)", r"\1", text[1:-1])


def _shown(file: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in file.items() if name != "content"} | {"size": str(len(file["content"]))}


def _error(code: int, message: str) -> Answered:
    return Answered({"error": {"code": code, "message": message}}, code)


@pytest.fixture
def google_drive() -> Iterator[GoogleDrive]:
    """The service, running."""
    service = GoogleDrive()
    with serving(service.answer) as service.wire:
        yield service
