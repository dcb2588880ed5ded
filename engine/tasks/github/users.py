"""`io.kestra.plugin.github.users`: people and organizations at GitHub."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.github.issues import SearchTask
from engine.tasks.property_types import OptionalText
from engine.tasks.rest_service import whole

KINDS = {"USER": "user", "ORGANIZATION": "org"}
MORE = """
... on User {
  name company location createdAt updatedAt followers { totalCount } following { totalCount }
  repositories(privacy: PUBLIC, ownerAffiliations: OWNER) { totalCount }
}
... on Organization { name location createdAt updatedAt repositories(privacy: PUBLIC) { totalCount } }
"""  # a search tells of people no more than their names


class Search(SearchTask):
    """Search people and organizations."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: found
type: io.kestra.plugin.github.users.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
query: company
in: login
accountType: ORGANIZATION
""",
    )
    kind: ClassVar[str] = "users"
    type: Literal["io.kestra.plugin.github.users.Search"]
    sort: Property[OptionalText] = "JOINED"
    language: Property[OptionalText] = None
    created: Property[OptionalText] = None
    repositories: Property[OptionalText] = None
    in_: Property[OptionalText] = Field(default=None, alias="in")
    location: Property[OptionalText] = None
    followers: Property[OptionalText] = None
    account_type: Property[Literal["USER", "ORGANIZATION"] | None] = None

    def terms(self) -> dict[str, str | None]:
        return {
            "language": self.language,
            "created": self.created,
            "repos": self.repositories,
            "in": self.in_,
            "location": self.location,
            "followers": self.followers,
            "type": KINDS.get(self.account_type or ""),
        }

    async def rows(self, context: RunContext, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = await self.nodes(context, [str(one["node_id"]) for one in found if one.get("node_id")], MORE)
        return [user_row(one, known.get(str(one.get("node_id")), {})) for one in found]


def user_row(found: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Somebody as a search tells of them, and what GraphQL knows beside it; `url` is for a browser."""
    told = {
        "username": found.get("login"),
        "url": found.get("html_url") or found.get("url"),
        "name": known.get("name") or found.get("name"),
        "company": known.get("company"),
        "location": known.get("location"),
        "created": known.get("createdAt"),
        "updated": known.get("updatedAt"),
        "followers": count(known, "followers"),
        "following": count(known, "following"),
        "public_repositories": count(known, "repositories"),
        "private_repositories": None,
    }
    return {**found, **told}


def count(known: dict[str, Any], name: str) -> int:
    """How many there are of what GraphQL counts; 0 of what it does not tell."""
    return whole(known, "GitHub", name, "totalCount", missing=0)
