"""`io.kestra.plugin.gitlab.issues`: issues of a project."""

from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.gitlab_service import GitlabTask
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.rest_service import held, listed


class Created(Outputs):
    """The issue, its number in the project, and its page."""

    issueId: str  # noqa: N815 - appears as written
    issueIid: int | None = None  # noqa: N815
    webUrl: str | None = None  # noqa: N815
    statusCode: int  # noqa: N815


class Create(GitlabTask):
    """Open an issue."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.gitlab.issues.Create
token: "{{ secret('GITLAB_TOKEN') }}"
projectId: group/shop
title: The nightly load failed
issueDescription: "Execution {{ execution.id }}"
labels: [bug]
""",
    )
    type: Literal["io.kestra.plugin.gitlab.issues.Create"]
    title: Property[Text]
    issue_description: Property[OptionalText] = None
    labels: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Created:
        given = {"title": self.title, "description": self.issue_description, "labels": self.labels}
        body = {name: value for name, value in given.items() if value is not None}
        answer, made = await self.gitlab(context, "POST", "issues", json=body)
        return Created(
            issueId=str(held(made, "GitLab", "id")),
            issueIid=made.get("iid"),
            webUrl=made.get("web_url"),
            statusCode=answer.code,
        )


class Found(Outputs):
    """The issues as GitLab describes them."""

    issues: list[dict[str, Any]]
    count: int
    statusCode: int  # noqa: N815 - appears as written


class Search(GitlabTask):
    """Search issues; the first page of what is found."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bugs
type: io.kestra.plugin.gitlab.issues.Search
token: "{{ secret('GITLAB_TOKEN') }}"
projectId: "123"
search: timeout
labels: [bug]
""",
    )
    type: Literal["io.kestra.plugin.gitlab.issues.Search"]
    search: Property[OptionalText] = None
    state: Property[Text] = "opened"
    labels: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Found:
        params = {"state": self.state}
        if self.search is not None:
            params["search"] = self.search
        if self.labels:
            params["labels"] = ",".join(self.labels)
        answer, found = await self.gitlab(context, "GET", "issues", params=params)
        issues = listed(found, "GitLab")
        return Found(issues=issues, count=len(issues), statusCode=answer.code)
