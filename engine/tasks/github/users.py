"""`io.kestra.plugin.github.users`: people and organizations at GitHub."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.github.issues import SearchTask
from engine.tasks.property_types import OptionalText

KINDS = {"USER": "user", "ORGANIZATION": "org"}


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
