"""`io.kestra.plugin.gitlab.mergerequests`: merge requests of a project."""

from typing import ClassVar, Literal

from engine.plugin import Outputs, Property, RunContext
from engine.tasks.gitlab_service import GitlabTask
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.rest_service import held


class Created(Outputs):
    """The merge request, and its page."""

    mergeReqID: str  # noqa: N815 - appears as written
    webUrl: str | None = None  # noqa: N815
    statusCode: int  # noqa: N815


class Create(GitlabTask):
    """Open a merge request."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: propose
type: io.kestra.plugin.gitlab.mergerequests.Create
token: "{{ secret('GITLAB_TOKEN') }}"
projectId: group/shop
title: Prices of this week
sourceBranch: prices
targetBranch: main
""",
    )
    type: Literal["io.kestra.plugin.gitlab.mergerequests.Create", "io.kestra.plugin.gitlab.MergeRequest"]
    title: Property[Text]
    source_branch: Property[Text]
    target_branch: Property[Text]
    merge_request_description: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Created:
        body = {"title": self.title, "source_branch": self.source_branch, "target_branch": self.target_branch}
        if self.merge_request_description is not None:
            body["description"] = self.merge_request_description
        answer, made = await self.gitlab(context, "POST", "merge_requests", json=body)
        return Created(mergeReqID=str(held(made, "GitLab", "id")), webUrl=made.get("web_url"), statusCode=answer.code)
