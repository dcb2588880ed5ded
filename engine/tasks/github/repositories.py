"""`io.kestra.plugin.github.repositories`: repositories at GitHub."""

from typing import ClassVar, Literal

from engine.plugin import Property
from engine.tasks.github.issues import SearchTask
from engine.tasks.property_types import OptionalText


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
