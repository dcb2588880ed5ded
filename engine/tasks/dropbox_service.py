"""Dropbox's API: who asks, one call, lists page by page, and what is told of a file."""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from engine.plugin import Outputs, Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.pages import Pages
from engine.tasks.property_types import Text
from engine.tasks.working_files import STORAGE

API, CONTENT = "https://api.dropboxapi.com", "https://content.dropboxapi.com"
LONGEST = 4096  # characters of a path, in a file that holds one


class DropboxConnected(Part):
    """Who asks."""

    access_token: Property[Text]

    async def ask(self, context: RunContext, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Dropbox refuses."""
        url = f"{self.base(context, API)}/2/files/{path}"
        headers = self.signed(context)
        return await rest_service.mapping(context, "Dropbox", "POST", url, headers=headers, json=dict(given))

    async def pages(
        self, context: RunContext, path: str, going_on: str, given: Mapping[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The answers of a list, one after the other; TaskFailed."""
        told, pages = await self.ask(context, path, given), Pages("Dropbox")
        yield told
        while told.get("has_more") and (cursor := pages.after(told.get("cursor"))):
            told = await self.ask(context, going_on, {"cursor": cursor})
            yield told

    def base(self, context: RunContext, usual: str) -> str:
        """Where Dropbox is: as the settings say, or where it usually is."""
        return (context.settings.provider("dropbox").base_url or usual).rstrip("/")

    def signed(self, context: RunContext, argument: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The headers that say who asks; and for what, where the body is a file."""
        context.mask(self.access_token)
        signed = {"Authorization": f"Bearer {self.access_token}"}
        return signed if argument is None else {**signed, "Dropbox-API-Arg": json.dumps(argument)}


class DropboxFile(Outputs):
    """A file or a folder: `id` is its path in small letters, `type` is `file` or `folder`."""

    name: str | None = None
    id: str | None = None
    path: str | None = None
    type: str | None = None
    size: int | None = None
    clientModified: str | None = None  # noqa: N815 - appears as written

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "DropboxFile":
        """What Dropbox tells of one; it says of what kind it is where there could be several."""
        kind = told.get(".tag")
        is_file = kind == "file" if kind else "rev" in told
        return cls(
            name=told.get("name"),
            id=told.get("path_lower"),
            path=told.get("path_display"),
            type=kind if kind not in (None, "file", "folder") else ("file" if is_file else "folder"),
            size=told.get("size") if is_file else None,
            clientModified=told.get("client_modified") if is_file else None,
        )


def told_of(answer: Mapping[str, Any]) -> DropboxFile:
    """The file that a call was about; TaskFailed when the answer tells of none."""
    found = answer.get("metadata")
    if not isinstance(found, dict):
        raise TaskFailed("Dropbox answered without a file.")
    return DropboxFile.of(found)


def as_written(told: Mapping[str, Any]) -> dict[str, Any]:
    """What Dropbox tells of a file, with names such as `pathLower`."""
    return {camel(name): value for name, value in told.items() if not name.startswith(".")}


def camel(name: str) -> str:
    """`path_lower` as `pathLower`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def path_of(context: RunContext, given: str, name: str, *, is_absolute: bool = True) -> str:
    """A path in Dropbox, or what a file of ours holds; TaskFailed when it is none."""
    text = given.strip()
    if text.startswith(STORAGE):
        with context.files.path(text).open(encoding="utf-8", errors="replace") as file:
            text = file.read(LONGEST).strip()
    if not text:
        raise TaskFailed(f"`{name}` is empty.", fix="Give a path, such as `/reports/july.csv`.")
    if is_absolute and not text.startswith("/"):
        raise TaskFailed(f"`{name}` does not begin with a slash: {text[:100]!r}.", fix=f"/{text[:100]}")
    return text
