"""`io.kestra.plugin.github.issues`: issues at GitHub."""

import re
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.github.service import MOST_PAGES, GithubTask, RepositoryTask
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList

_KIND = re.compile(r"\b(?:is|type):(?:pr|pull-request|issue)\b", re.IGNORECASE)


class Issue(Outputs):
    """The issue."""

    issueUrl: str  # noqa: N815 - appears as written
    issueNumber: int  # noqa: N815


class Create(RepositoryTask):
    """Open an issue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: issue
type: io.kestra.plugin.github.issues.Create
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
repository: company/shop
title: The nightly import failed
body: "{{ execution.id }} failed; see the log."
labels: [bug]
""",
    )
    type: Literal["io.kestra.plugin.github.issues.Create"]
    title: Property[Text]
    body: Property[OptionalText] = None
    labels: Property[TextList | None] = None
    assignees: Property[TextList | None] = None
    fields: Property[JsonMap | None] = Field(
        default=None, description="Values of the organization's issue fields by their names or ids."
    )

    async def run(self, context: RunContext) -> Issue:
        given = {"title": self.title, "body": self.body, "labels": self.labels, "assignees": self.assignees}
        body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.fields:
            body["issue_field_values"] = await self._valued(context, self.fields)
        made = await self.github(context, "POST", self.path("issues"), json=body)
        number, url = (rest_service.held(made, "GitHub", name) for name in ("number", "html_url"))
        return Issue(issueUrl=url, issueNumber=number)

    async def _valued(self, context: RunContext, fields: dict[str, Any]) -> list[dict[str, Any]]:
        """The values of fields with the fields' ids; TaskFailed when the organization has no such field."""
        owner = self.path("").split("/")[1]
        told = await self.github(context, "GET", f"orgs/{owner}/issue-fields")
        known = rest_service.listed(told, "GitHub")
        ids = {str(one.get(key)): one.get("id") for key in ("id", "node_id", "name") for one in known}
        if unknown := next((name for name in fields if ids.get(name) is None), None):
            raise TaskFailed(
                f"{owner} has no issue field {unknown!r}.",
                fix=f"It has: {', '.join(str(one.get('name')) for one in known) or 'none'}.",
            )
        return [{"field_id": ids[name], "value": value} for name, value in fields.items()]


class Commented(Outputs):
    """The issue, and the comment's address."""

    issueUrl: str  # noqa: N815 - appears as written
    commentUrl: str  # noqa: N815


class Comment(RepositoryTask):
    """Comment on an issue or a pull request."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: comment
type: io.kestra.plugin.github.issues.Comment
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
repository: company/shop
issueNumber: "{{ outputs.issue.issueNumber }}"
body: It failed again.
""",
    )
    type: Literal["io.kestra.plugin.github.issues.Comment"]
    issue_number: Property[int]
    body: Property[Text]

    async def run(self, context: RunContext) -> Commented:
        made = await self.github(
            context, "POST", self.path(f"issues/{self.issue_number}/comments"), json={"body": self.body}
        )
        url = str(rest_service.held(made, "GitHub", "html_url"))
        return Commented(issueUrl=url.partition("#")[0], commentUrl=url)


class SearchTask(GithubTask):
    """Search at GitHub; what is found becomes a file of rows, or what `fetchType` says."""

    kind: ClassVar[str] = "issues"
    extra_terms: ClassVar[str] = ""
    query: Property[OptionalText] = None
    order: Property[Literal["ASC", "DESC", "asc", "desc"]] = "ASC"
    sort: Property[OptionalText] = None
    fetch_type: Property[FetchType] = "STORE"

    def terms(self) -> dict[str, str | None]:
        """What narrows the search: GitHub's own words, and their values."""
        return {}

    def extra(self) -> str:
        """What is asked for beside the words of the flow."""
        return self.extra_terms

    def row(self, found: dict[str, Any]) -> dict[str, Any]:
        """A row of one thing that was found: all that GitHub tells of it."""
        return found

    async def rows(self, context: RunContext, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows of all that was found."""
        return [self.row(one) for one in found]

    async def run(self, context: RunContext) -> Fetched:
        asked = [self.query or "", self.extra()]
        asked += [f"{name}:{quoted(value)}" for name, value in self.terms().items() if value]
        wanted = " ".join(part for part in asked if part)
        if not wanted:
            raise TaskFailed("It is not said what to search for.", fix="Give `query`.")
        params = {"q": wanted, "per_page": "100", "order": self.order.lower()}
        if self.sort and self.sort.upper() != "BEST_MATCH":  # which is what it does by itself
            params["sort"] = self.sort.lower().replace("_", "-")
        found: list[Any] = []
        for page in range(1, MOST_PAGES + 1):
            path = f"search/{self.kind}"
            answer = await self.github(context, "GET", path, params=params | {"page": str(page)})
            rest_service.held(answer, "GitHub", "items")
            items = rest_service.listed(answer, "GitHub", "items")
            found += items
            if len(found) >= rest_service.whole(answer, "GitHub", "total_count", missing=0) or not items:
                break
        context.metric("size", len(found))
        return await fetched(context, await self.rows(context, found), self.fetch_type)


class Search(SearchTask):
    """Search issues."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bugs
type: io.kestra.plugin.github.issues.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
query: "repo:company/shop is:issue label:bug"
open: true
""",
    )
    extra_terms: ClassVar[str] = "is:issue"
    type: Literal["io.kestra.plugin.github.issues.Search"]
    sort: Property[OptionalText] = "CREATED"
    repository: Property[OptionalText] = None
    mentions: Property[OptionalText] = None
    assignee: Property[OptionalText] = None
    open: Property[bool | None] = None
    closed: Property[bool | None] = None
    merged: Property[bool | None] = None

    def terms(self) -> dict[str, str | None]:
        state = "open" if self.open else "closed" if self.closed else None
        named = {"repo": self.repository, "mentions": self.mentions, "assignee": self.assignee}
        return named | {"state": state, "is": "merged" if self.merged else None}

    def extra(self) -> str:
        # GitHub takes a search for one of the two only; what is merged is a pull request.
        if _KIND.search(self.query or ""):
            return ""
        return "is:pr" if self.merged else self.extra_terms

    def row(self, found: dict[str, Any]) -> dict[str, Any]:
        return issue_row(found)


def issue_row(found: dict[str, Any]) -> dict[str, Any]:
    """What GitHub tells of an issue or pull request, with people and labels by name, and `url` for a browser."""
    reason, repository = found.get("state_reason"), str(found.get("repository_url") or "")
    page = str(found.get("html_url") or "")
    told = {
        "state": _upper(found.get("state")),
        "state_reason": _upper(reason),
        "owner": rest_service.mapped(found, "GitHub", "user").get("login"),
        "assignee": rest_service.mapped(found, "GitHub", "assignee").get("login"),
        "assignees": [one.get("login") for one in rest_service.listed(found, "GitHub", "assignees")],
        "closed_by": rest_service.mapped(found, "GitHub", "closed_by").get("login"),
        "labels": [one.get("name") for one in rest_service.listed(found, "GitHub", "labels")],
        "repository_name": repository.rpartition("/")[2] or None,
        "repository_url": page.rpartition("/issues/")[0] or page.rpartition("/pull/")[0] or None,
        "url": page or found.get("url"),
    }
    return {**found, **told}


def _upper(word: Any) -> str | None:
    return str(word).upper() if word else None


def quoted(value: str) -> str:
    """A value of a search, which has quotes when it has blanks."""
    return f'"{value}"' if " " in value else value
