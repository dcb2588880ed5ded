"""`io.kestra.plugin.jira.comments`: comments on issues in Jira."""

from typing import ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.fetched_rows import FetchType
from engine.tasks.jira.issues import Read, ReadTask, issue_path
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.rest_service import listed


class Get(ReadTask):
    """Read the comments on an issue, or one of them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: comments
type: io.kestra.plugin.jira.comments.Get
baseUrl: https://company.atlassian.net
username: "{{ secret('JIRA_USER') }}"
password: "{{ secret('JIRA_TOKEN') }}"
issueIdOrKey: OPS-12
""",
    )
    type: Literal["io.kestra.plugin.jira.comments.Get"]
    fetch_type: Property[FetchType] = "FETCH"
    issue_id_or_key: Property[Text]
    comment_id: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Read:
        path = issue_path(self.issue_id_or_key, "comment")
        if self.fetch_type == "NONE":
            return Read()
        if self.fetch_type == "FETCH_ONE":
            if not self.comment_id:
                raise TaskFailed("It is not said which comment is meant.", fix="Give `commentId`.")
            one = issue_path(self.issue_id_or_key, "comment", self.comment_id)
            return Read(row=await self.jira(context, "GET", one), size=1)
        answer = await self.jira(context, "GET", path, params={"maxResults": str(self.max_results)})
        return await self.several(context, listed(answer, "Jira", "comments"), self.fetch_type)
