"""HubSpot's objects: created, read, changed, deleted and searched, whatever kind they are."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import filed
from engine.tasks.http_options import HttpOptions
from engine.tasks.pages import Pages
from engine.tasks.property_types import JsonList, JsonMap, OptionalText, TextList

API = "https://api.hubapi.com"
MOST_PAGES = 100  # of a search: HubSpot gives no more than 10,000 results


class Kept(Outputs):
    """The record, and a file with its properties."""

    id: int
    uri: StoredUri


class HubspotTask(RunnableTask):
    """Who asks, and for which kind of object."""

    kind: ClassVar[str] = ""
    api_key: Property[OptionalText] = None
    oauth_token: Property[OptionalText] = None
    options: Property[HttpOptions | None] = None

    async def hubspot(self, context: RunContext, method: str, path: str = "", **given: Any) -> Any:
        """The JSON of one call; TaskFailed when HubSpot refuses."""
        token = self.api_key or self.oauth_token
        if not token:
            raise TaskFailed("It is not said who asks.", fix="Give `apiKey` or `oauthToken`.")
        context.mask(token)
        base = context.settings.provider("hubspot").base_url or API
        url = f"{base.rstrip('/')}/crm/v3/objects/{self.kind}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        return await rest_service.mapping(
            context, "HubSpot", method, url, headers=headers, options=self.options, **given
        )

    async def kept(self, context: RunContext, record: Mapping[str, Any]) -> Kept:
        """A record as outputs tell it."""
        text = json.dumps(record.get("properties") or {}, ensure_ascii=False) + "\n"
        number = rest_service.whole(record, "HubSpot", "id")
        return Kept(id=number, uri=await context.files.put(text.encode(), f"{self.kind}.jsonl"))


class WriteTask(HubspotTask):
    """A task that writes properties; `names` are HubSpot's for ours."""

    names: ClassVar[Mapping[str, str]] = {}
    additional_properties: Property[JsonMap | None] = None

    def properties_given(self) -> dict[str, Any]:
        """The properties in HubSpot's words, without what was not given."""
        given = {theirs: getattr(self, ours) for ours, theirs in self.names.items()}
        kept = {name: str(value) for name, value in given.items() if value is not None}
        return kept | dict(self.additional_properties or {})


class CreateTask(WriteTask):
    """Create an object."""

    def associations(self) -> list[dict[str, Any]]:
        """What the object belongs to."""
        return []

    async def run(self, context: RunContext) -> Kept:
        body: dict[str, Any] = {"properties": self.properties_given()}
        if found := self.associations():
            body["associations"] = found
        return await self.kept(context, await self.hubspot(context, "POST", json=body))


class UpdateTask(WriteTask, ABC):
    """Change properties of an object."""

    @abstractmethod
    def record(self) -> str:
        """Its id."""

    async def run(self, context: RunContext) -> Kept:
        body = {"properties": self.properties_given()}
        return await self.kept(context, await self.hubspot(context, "PATCH", path_of(self.record()), json=body))


class GetTask(HubspotTask, ABC):
    """Read an object."""

    properties: Property[TextList | None] = None

    @abstractmethod
    def record(self) -> str:
        """Its id."""

    async def run(self, context: RunContext) -> Kept:
        params = {"properties": ",".join(self.properties)} if self.properties else {}
        return await self.kept(context, await self.hubspot(context, "GET", path_of(self.record()), params=params))


class DeleteTask(HubspotTask, ABC):
    """Delete an object."""

    @abstractmethod
    def record(self) -> str:
        """Its id."""

    async def run(self, context: RunContext) -> None:
        await self.hubspot(context, "DELETE", path_of(self.record()))


def path_of(record: str) -> str:
    """The path of one record."""
    return f"/{quote(record, safe='')}"


class Listed(Outputs):
    """How many records there are, and a file with their properties."""

    total: int
    uri: StoredUri


class SearchTask(HubspotTask):
    """Search objects."""

    query: Property[OptionalText] = None
    filter_groups: Property[JsonList | None] = None
    properties: Property[TextList | None] = None
    limit: Property[int] = Field(default=10, ge=1, le=100)
    after: Property[OptionalText] = None
    sorts: Property[JsonList | None] = None
    fetch_all_pages: Property[bool] = False

    async def run(self, context: RunContext) -> Listed:
        given = {
            "query": self.query,
            "filterGroups": self.filter_groups,
            "properties": self.properties,
            "limit": self.limit,
            "after": self.after,
            "sorts": self.sorts,
        }
        body = {name: value for name, value in given.items() if value is not None}
        found, pages = list[Any](), Pages("HubSpot", self.after)
        for _ in range(MOST_PAGES):
            answer = await self.hubspot(context, "POST", "/search", json=body)
            results = rest_service.listed(answer, "HubSpot", "results")
            found += [one.get("properties") or {} for one in results]
            following = _following(answer)
            if not self.fetch_all_pages or not (following := pages.after(following)):
                break
            body["after"] = following
        uri = await filed(context, found, f"{self.kind}.jsonl")
        return Listed(total=len(found), uri=uri)


def _following(answer: dict[str, Any]) -> Any:
    """Where the next page begins, None when there is none."""
    paging = rest_service.mapped(answer.get("paging"), "HubSpot")
    return rest_service.mapped(paging.get("next"), "HubSpot").get("after")
