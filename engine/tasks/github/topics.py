"""`io.kestra.plugin.github.topics`: topics at GitHub."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.github.issues import SearchTask
from engine.tasks.property_types import OptionalText

Kind = Literal["CURATED", "FEATURED", "NOT_CURATED", "NOT_FEATURED"]


class Search(SearchTask):
    """Search topics."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: found
type: io.kestra.plugin.github.topics.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
query: workflow
is: NOT_CURATED
repositories: ">100"
""",
    )
    kind: ClassVar[str] = "topics"
    type: Literal["io.kestra.plugin.github.topics.Search"]
    is_: Property[Literal["CURATED", "FEATURED", "NOT_CURATED", "NOT_FEATURED"] | None] = Field(
        default=None, alias="is"
    )
    repositories: Property[OptionalText] = None
    created: Property[OptionalText] = None

    def terms(self) -> dict[str, str | None]:
        return {
            "is": self.is_ and self.is_.lower().replace("_", "-"),
            "repositories": self.repositories,
            "created": self.created,
        }
