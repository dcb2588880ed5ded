"""GitHub's REST API: what its tasks share."""

from typing import Any
from urllib.parse import quote

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText, Text

API = "https://api.github.com"
MOST_PAGES = 10  # of a search: GitHub gives no more than 1,000 results


class GithubTask(RunnableTask):
    """Who we are to GitHub."""

    login: Property[OptionalText] = None
    oauth_token: Property[OptionalText] = None
    jwt_token: Property[OptionalText] = None
    app_installation_token: Property[OptionalText] = None
    endpoint: Property[OptionalText] = None

    async def github(self, context: RunContext, method: str, path: str, **given: Any) -> Any:
        """The JSON of one call; TaskFailed when GitHub refuses."""
        token = self.oauth_token or self.app_installation_token or self.jwt_token
        return await github(context, self.endpoint, token, method, path, **given)


async def github(
    context: RunContext, endpoint: str | None, token: str | None, method: str, path: str, **given: Any
) -> Any:
    """The JSON of one call to GitHub's API; TaskFailed when it refuses."""
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if token:
        context.mask(token)
        headers["Authorization"] = f"Bearer {token}"
    url = address(context, endpoint, path)
    return await rest_service.document(context, "GitHub", method, url, headers=headers, **given)


def address(context: RunContext, endpoint: str | None, path: str) -> str:
    """Where a path of GitHub's API is: at the flow's `endpoint`, the installation's, or github.com. A server of one's
    own has GraphQL beside its REST API (`/api/v3`), not in it."""
    base = (endpoint or context.settings.provider("github").base_url or API).rstrip("/")
    return f"{base.removesuffix('/v3') if path == 'graphql' else base}/{path}"


class RepositoryTask(GithubTask):
    """In which repository."""

    repository: Property[Text]

    def path(self, rest: str) -> str:
        """A path below the repository; TaskFailed when it is not `owner/name`."""
        owner, slash, name = self.repository.strip().removeprefix("https://github.com/").partition("/")
        if not slash or not owner or not name or "/" in name:
            raise TaskFailed(f"`repository` {self.repository!r} is not a repository.", fix="Write it as owner/name.")
        return f"repos/{quote(owner)}/{quote(name)}/{rest}"
