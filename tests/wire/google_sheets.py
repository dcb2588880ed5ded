"""Google Sheets: a spreadsheet whose sheets are lists of rows, and the Drive that it lies in."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.google import TOKEN
from tests.wire.loopback import Answered, Loopback, Received, serving


class GoogleSheets:
    """`sheets` by title, of the spreadsheet `S1`; `made` are the titles of new ones."""

    def __init__(self) -> None:
        self.sheets: dict[str, list[list[Any]]] = {"Sheet1": [], "It's": [["x"], ["1"]]}
        self.made: list[str] = []
        self.version = 1
        self.editors = ["Ann"]  # of each version
        self.deleted: list[str] = []
        self.wire: Loopback

    def answer(self, request: Received) -> Answered:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "Request had invalid authentication credentials.")
        if re.fullmatch(r"/drive/v3/files/(\w+)/revisions", request.path):
            if not self.editors:
                return _error(403, "The user does not have sufficient permissions for this file.")
            number = int(request.query.get("pageToken", 1))
            more = {"nextPageToken": str(number + 1)} if number < len(self.editors) else {}
            return Answered({"revisions": [{"id": str(number), **self._revision(number)}], **more})
        if found := re.fullmatch(r"/drive/v3/files/(\w+)", request.path):
            if request.method == "GET":
                return Answered({"name": "Rota", "version": str(self.version), **self._revision(self.version)})
            self.deleted.append(found[1])
            return Answered(status=204)
        if request.path == "/v4/spreadsheets" and request.method == "POST":
            self.made.append(request.json["properties"]["title"])
            return Answered({"spreadsheetId": "S2", "spreadsheetUrl": "https://docs.google.com/spreadsheets/d/S2"})
        found = re.fullmatch(r"/v4/spreadsheets/S1(?:/values(?:/(.+?))?)?(?::(append|clear|batchGet))?", request.path)
        if found is None:
            return _error(404, "Requested entity was not found.")
        return self._values(request, found[1], found[2])

    def _revision(self, number: int) -> dict[str, Any]:
        who = {"lastModifyingUser": {"displayName": self.editors[number - 1]}} if number <= len(self.editors) else {}
        return {"modifiedTime": f"2026-01-02T03:04:05.{number:03}Z", **who}

    def _values(self, request: Received, where: str | None, act: str | None) -> Answered:
        if where is None and act is None:
            return Answered({"sheets": [{"properties": {"title": title}} for title in self.sheets]})
        if act == "batchGet":
            found = [{"range": one, "values": self._sheet(one)} for one in request.parameters["ranges"]]
            return Answered({"valueRanges": found})
        rows = self._sheet(where or "")
        if rows is None:
            return _error(400, f"Unable to parse range: {where}")
        if request.method == "GET":
            return Answered({"range": where, **({"values": rows} if rows else {})})
        if act == "clear":
            rows.clear()
            return Answered({"clearedRange": where})
        if request.query.get("valueInputOption") != "RAW":
            return _error(400, "'valueInputOption' is required but not specified")
        given = request.json["values"]
        if any(isinstance(cell, dict | list) or cell is None for row in given for cell in row):
            return _error(400, "Invalid values")
        done = {"updatedRange": f"{where}!A1", "updatedRows": len(given), "updatedColumns": max(map(len, given))}
        if act == "append":
            rows += given
            return Answered({"updates": done})
        rows[: len(given)] = given
        return Answered(done)

    def _sheet(self, where: str) -> list[list[Any]] | None:
        title = where.partition("!")[0]
        if title.startswith("'"):
            title = title[1:-1].replace("''", "'")
        return self.sheets.get(title)


def _error(code: int, message: str) -> Answered:
    return Answered({"error": {"code": code, "message": message}}, code)


@pytest.fixture
def google_sheets() -> Iterator[GoogleSheets]:
    """The service, running."""
    service = GoogleSheets()
    with serving(service.answer) as service.wire:
        yield service
