"""`io.kestra.plugin.github.commits`: commits at GitHub."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.github.issues import SearchTask
from engine.tasks.property_types import OptionalText
from engine.tasks.rest_service import mapped


class Search(SearchTask):
    """Search commits."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: found
type: io.kestra.plugin.github.commits.Search
oauthToken: "{{ secret('GITHUB_TOKEN') }}"
query: Initial
repository: company/shop
""",
    )
    kind: ClassVar[str] = "commits"
    type: Literal["io.kestra.plugin.github.commits.Search"]
    sort: Property[OptionalText] = "COMMITTER_DATE"
    repository: Property[OptionalText] = None
    is_: Property[OptionalText] = Field(default=None, alias="is")
    hash: Property[OptionalText] = None
    parent: Property[OptionalText] = None
    tree: Property[OptionalText] = None
    user: Property[OptionalText] = None
    org: Property[OptionalText] = None
    author: Property[OptionalText] = None
    author_date: Property[OptionalText] = None
    author_email: Property[OptionalText] = None
    author_name: Property[OptionalText] = None
    committer: Property[OptionalText] = None
    committer_date: Property[OptionalText] = None
    committer_email: Property[OptionalText] = None
    committer_name: Property[OptionalText] = None
    merge: Property[bool | None] = None

    def terms(self) -> dict[str, str | None]:
        return {
            "repo": self.repository,
            "is": self.is_,
            "hash": self.hash,
            "parent": self.parent,
            "tree": self.tree,
            "user": self.user,
            "org": self.org,
            "author": self.author,
            "author-date": self.author_date,
            "author-email": self.author_email,
            "author-name": self.author_name,
            "committer": self.committer,
            "committer-date": self.committer_date,
            "committer-email": self.committer_email,
            "committer-name": self.committer_name,
            "merge": None if self.merge is None else str(self.merge).lower(),
        }

    def row(self, found: dict[str, Any]) -> dict[str, Any]:
        """A commit as GitHub tells of it, with people and the repository by name, and `url` for a browser."""
        commit, tree = mapped(found, "GitHub", "commit"), mapped(found, "GitHub", "commit", "tree")
        told = {
            "author": mapped(found, "GitHub", "author").get("login"),
            "committer": mapped(found, "GitHub", "committer").get("login"),
            "authored_date": mapped(commit, "GitHub", "author").get("date"),
            "commit_date": mapped(commit, "GitHub", "committer").get("date"),
            "repository": mapped(found, "GitHub", "repository").get("name"),
            "message": commit.get("message"),
            "tree_sha": tree.get("sha"),
            "tree_url": tree.get("url"),
            "url": found.get("html_url"),
        }
        return found | {name: value for name, value in told.items() if value}
