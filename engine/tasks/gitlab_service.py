"""GitLab's projects: who asks, and one call."""

from typing import Any
from urllib.parse import quote, unquote

from engine.plugin import Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.outbound import Answer
from engine.tasks.property_types import Text

HOME = "https://gitlab.com"


class GitlabTask(RunnableTask):
    """Which project, and who asks."""

    url: Property[Text] = HOME
    api_path: Property[Text] = "/api/v4/projects"
    token: Property[Text]
    project_id: Property[Text]

    async def gitlab(self, context: RunContext, method: str, resource: str, **given: Any) -> tuple[Answer, Any]:
        """The answer of one call about the project, and its JSON; TaskFailed when GitLab refuses."""
        context.mask(self.token)
        project = quote(unquote(self.project_id), safe="")  # also as an address has it: group%2Fshop
        url = f"{self.url.rstrip('/')}/{self.api_path.strip('/')}/{project}/{resource}"
        headers = {"PRIVATE-TOKEN": self.token}
        answer = await rest_service.call(context, "GitLab", method, url, headers=headers, **given)
        return answer, rest_service.parsed(answer, "GitLab")
