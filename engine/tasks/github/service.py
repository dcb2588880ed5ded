"""GitHub's REST API: what its tasks share."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText, Text

API = "https://api.github.com"
NODES = 100  # GraphQL tells of so many at once
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
        return await github(context, self.endpoint, self._token, method, path, **given)

    async def nodes(self, context: RunContext, ids: Sequence[str], fields: str) -> dict[str, dict[str, Any]]:
        """What GraphQL tells of things by their node ids. Nothing without a token, which it demands, and with a word in
        the log when it refuses: a search has found them all the same."""
        found: dict[str, dict[str, Any]] = {}
        if not self._token:
            return found
        query = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ id {fields} }} }}"
        for begin in range(0, len(ids), NODES):
            asked = {"query": query, "variables": {"ids": list(ids[begin : begin + NODES])}}
            try:
                answer = rest_service.mapped(await self.github(context, "POST", "graphql", json=asked), "GitHub")
            except TaskFailed as error:
                context.log(f"What is found is told in part only: {error}", "WARN")
                return found
            told = rest_service.mapped(answer, "GitHub", "data").get("nodes")
            known = told if isinstance(told, list) else ()  # null for what the token may not see
            found |= {str(one["id"]): one for one in known if isinstance(one, dict) and "id" in one}
        return found

    @property
    def _token(self) -> str | None:
        return self.oauth_token or self.app_installation_token or self.jwt_token


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
