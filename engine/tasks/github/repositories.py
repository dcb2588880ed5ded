"""`io.kestra.plugin.github.repositories`: repositories at GitHub."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.github.issues import SearchTask
from engine.tasks.github.users import count
from engine.tasks.property_types import OptionalText
from engine.tasks.rest_service import mapped

MORE = "... on Repository { pullRequests(states: OPEN) { totalCount } }"  # which a search does not count


class Search(SearchTask):
    """Search repositories."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: found
type: io.kestra.plugin.github.repositories.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
user: company
language: python
visibility: PUBLIC
sort: STARS
order: DESC
""",
    )
    kind: ClassVar[str] = "repositories"
    type: Literal["io.kestra.plugin.github.repositories.Search"]
    sort: Property[OptionalText] = "UPDATED"
    repository: Property[OptionalText] = None
    language: Property[OptionalText] = None
    created: Property[OptionalText] = None
    stars: Property[OptionalText] = None
    user: Property[OptionalText] = None
    topic: Property[OptionalText] = None
    visibility: Property[Literal["PUBLIC", "PRIVATE", "INTERNAL"] | None] = None

    def terms(self) -> dict[str, str | None]:
        return {
            "repo": self.repository,
            "language": self.language,
            "created": self.created,
            "stars": self.stars,
            "user": self.user,
            "topic": self.topic,
            "is": self.visibility and self.visibility.lower(),
        }

    async def rows(self, context: RunContext, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = await self.nodes(context, [str(one["node_id"]) for one in found if one.get("node_id")], MORE)
        return [repository_row(one, known.get(str(one.get("node_id")), {})) for one in found]


def repository_row(found: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """A repository as a search tells of it, its owner by name, `url` for a browser, and counts under the names flows
    read: `task_count` is that of its forks."""
    told = {
        "url": found.get("html_url") or found.get("url"),
        "owner": mapped(found, "GitHub", "owner").get("login"),
        "task_count": found.get("forks_count") or 0,
        "stars_count": found.get("stargazers_count") or 0,
        "issues_count": found.get("open_issues_count") or 0,
        "pull_request_count": count(known, "pullRequests"),
        "created": found.get("created_at"),
        "updated": found.get("updated_at"),
    }
    return {**found, **told}
