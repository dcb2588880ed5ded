"""`io.kestra.plugin.github.code`: code at GitHub."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.github.issues import SearchTask
from engine.tasks.property_types import OptionalText
from engine.tasks.rest_service import mapped

FORKS = {"PARENT_AND_FORKS": "true", "FORKS_ONLY": "only"}


class Search(SearchTask):
    """Search code."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: found
type: io.kestra.plugin.github.code.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
query: addClass
language: js
repository: jquery/jquery
""",
    )
    kind: ClassVar[str] = "code"
    type: Literal["io.kestra.plugin.github.code.Search"]
    sort: Property[OptionalText] = "BEST_MATCH"
    repository: Property[OptionalText] = None
    user: Property[OptionalText] = None
    in_: Property[OptionalText] = Field(default=None, alias="in")
    language: Property[OptionalText] = None
    extension: Property[OptionalText] = None
    fork: Property[Literal["PARENT_AND_FORKS", "FORKS_ONLY", "PARENT_ONLY"] | None] = None
    filename: Property[OptionalText] = None
    path: Property[OptionalText] = None
    size: Property[OptionalText] = None

    def terms(self) -> dict[str, str | None]:
        return {
            "repo": self.repository,
            "user": self.user,
            "in": self.in_,
            "language": self.language,
            "extension": self.extension,
            "fork": FORKS.get(self.fork or ""),
            "filename": self.filename,
            "path": self.path,
            "size": self.size,
        }

    def row(self, found: dict[str, Any]) -> dict[str, Any]:
        """A file as GitHub tells of it, with its repository by name and `url` for a browser."""
        repository = mapped(found, "GitHub", "repository")
        told = {
            "repository_name": repository.get("name"),
            "repository_url": repository.get("html_url"),
            "url": found.get("html_url"),
        }
        return found | {name: value for name, value in told.items() if value}
