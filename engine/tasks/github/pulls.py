"""`io.kestra.plugin.github.pulls`: pull requests at GitHub."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext
from engine.tasks import rest_service
from engine.tasks.github.issues import SearchTask, issue_row, quoted
from engine.tasks.github.service import RepositoryTask
from engine.tasks.property_types import OptionalText, Text


class PullRequest(Outputs):
    """The pull request."""

    issueUrl: str  # noqa: N815 - appears as written
    pullRequestUrl: str  # noqa: N815
    pullRequestNumber: int  # noqa: N815


class Create(RepositoryTask):
    """Open a pull request."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: propose
type: io.kestra.plugin.github.pulls.Create
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
repository: company/flows
sourceBranch: "{{ outputs.push.branch }}"
targetBranch: main
title: New flows
body: Written by a flow.
""",
    )
    type: Literal["io.kestra.plugin.github.pulls.Create"]
    source_branch: Property[Text]
    target_branch: Property[Text]
    title: Property[Text]
    body: Property[OptionalText] = None
    maintainer_can_modify: Property[bool] = False
    draft: Property[bool] = False

    async def run(self, context: RunContext) -> PullRequest:
        body = {
            "title": self.title,
            "head": self.source_branch,
            "base": self.target_branch,
            "body": self.body or "",
            "maintainer_can_modify": self.maintainer_can_modify,
            "draft": self.draft,
        }
        made = await self.github(context, "POST", self.path("pulls"), json=body)
        number, url = (rest_service.held(made, "GitHub", name) for name in ("number", "html_url"))
        return PullRequest(issueUrl=made.get("issue_url") or url, pullRequestUrl=url, pullRequestNumber=number)


class Search(SearchTask):
    """Search pull requests."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: waiting
type: io.kestra.plugin.github.pulls.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
repository: company/shop
open: true
""",
    )
    extra_terms: ClassVar[str] = "is:pr"
    type: Literal["io.kestra.plugin.github.pulls.Search"]
    sort: Property[OptionalText] = "CREATED"
    repository: Property[OptionalText] = None
    mentions: Property[OptionalText] = None
    open: Property[bool | None] = None
    closed: Property[bool | None] = None
    merged: Property[bool | None] = None
    draft: Property[bool | None] = None
    assigned: Property[OptionalText] = None
    title: Property[OptionalText] = None
    created_at: Property[OptionalText] = None
    updated_at: Property[OptionalText] = None
    closed_at: Property[OptionalText] = None
    created_after: Property[OptionalText] = None
    created_before: Property[OptionalText] = None
    base: Property[OptionalText] = None
    head: Property[OptionalText] = None
    is_: Property[OptionalText] = Field(default=None, alias="is")
    commit: Property[OptionalText] = None
    author: Property[OptionalText] = None
    created_by_me: Property[bool | None] = None

    def terms(self) -> dict[str, str | None]:
        return {
            "repo": self.repository,
            "mentions": self.mentions,
            "is": self.is_ or ("open" if self.open else "closed" if self.closed else "merged" if self.merged else None),
            "draft": None if self.draft is None else str(self.draft).lower(),
            "assignee": self.assigned,
            "created": self.created_at or _span(self.created_after, self.created_before),
            "updated": self.updated_at,
            "closed": self.closed_at,
            "base": self.base,
            "head": self.head,
            "sha": self.commit,
            "author": self.author or ("@me" if self.created_by_me else None),
        }

    def extra(self) -> str:
        return f"{quoted(self.title)} in:title {self.extra_terms}" if self.title else self.extra_terms

    def row(self, found: dict[str, Any]) -> dict[str, Any]:
        return issue_row(found)


def _span(after: str | None, before: str | None) -> str | None:
    if after and before:
        return f"{after}..{before}"
    return f">={after}" if after else f"<={before}" if before else None
